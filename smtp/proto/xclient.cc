#include "smtp/proto/xclient.h"

#include <algorithm>
#include <array>
#include <bitset>

#include "core/base/ascii.h"
#include "smtp/proto/command_parser.h"
#include "smtp/proto/xtext.h"

namespace mailsbuddy::smtp {
namespace {

struct Row {
  std::string_view name;
  std::string Xclient::*value;
};
constexpr std::array kAttributes = {Row{"NAME", &Xclient::name}, Row{"ADDR", &Xclient::addr},
                                    Row{"PORT", &Xclient::port}, Row{"PROTO", &Xclient::proto},
                                    Row{"HELO", &Xclient::helo}};

// A value goes into headers and logs.
bool is_printable(std::string_view text) noexcept {
  return std::none_of(text.begin(), text.end(), [](char c) { return ascii::is_control(c) || (c & 0x80) != 0; });
}

bool take_value(std::string_view text, std::string& value) {
  if (ascii::iequals(text, "[UNAVAILABLE]") || ascii::iequals(text, "[TEMPUNAVAIL]")) return true;
  return decode_xtext(text, value) && !value.empty() && value.size() <= kXclientValueMax && is_printable(value);
}

}  // namespace

std::optional<Xclient> parse_xclient(std::string_view argument) {
  Xclient xclient;
  std::bitset<kAttributes.size()> seen;
  if (argument.empty()) return std::nullopt;
  while (!argument.empty()) {
    const Parameter parameter = take_parameter(argument);
    const auto* const row = std::find_if(kAttributes.begin(), kAttributes.end(),
                                         [&](const Row& each) { return ascii::iequals(each.name, parameter.keyword); });
    if (row == kAttributes.end()) return std::nullopt;
    const auto index = static_cast<std::size_t>(row - kAttributes.begin());
    if (seen.test(index) || !take_value(parameter.value, xclient.*row->value)) return std::nullopt;
    seen.set(index);
  }
  if (ascii::istarts_with(xclient.addr, "IPV6:")) xclient.addr.erase(0, 5);
  return xclient;
}

}  // namespace mailsbuddy::smtp
