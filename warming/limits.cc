#include "mailsbuddy/warming.h"

namespace mailsbuddy::warming {
namespace {

struct Row {
  std::string_view provider;
  Limits limits;
};

// docs/limits.md has the sources. What a provider is not known to limit stays as for a receiver nobody knows.
constexpr Row kLimits[] = {
    {"google", {.connections = 5, .messages_per_connection = 50}},
    {"microsoft", {.connections = 5, .messages_per_connection = 50}},
    {"microsoft365", {.connections = 5, .messages_per_connection = 50}},
    {"yahoo", {.messages_per_connection = 20}},
    {"apple", {.connections = 10, .messages_per_connection = 5}},
    {"comcast", {.connections = 25, .messages_per_connection = 1000}},
    {"mimecast", {.connections = 10, .messages_per_connection = 100}},
    {"orange", {.connections = 2, .messages_per_connection = 100}},
};

}  // namespace

Limits default_limits(const ProviderId& provider) {
  for (const Row& row : kLimits) {
    if (row.provider == provider.name) return row.limits;
  }
  return {};
}

}  // namespace mailsbuddy::warming
