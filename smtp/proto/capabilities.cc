// RFC 5321 4.1.1.1:
//   ehlo-line    = ehlo-keyword *( SP ehlo-param )
//   ehlo-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")   ; in any letter case
#include "smtp/proto/capabilities.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace mailsbuddy::smtp {
namespace {

struct Row {
  std::string_view keyword;
  bool Capabilities::*offered;
};

constexpr std::array kKeywords = {
    Row{"PIPELINING", &Capabilities::pipelining},
    Row{"8BITMIME", &Capabilities::eight_bit_mime},
    Row{"SMTPUTF8", &Capabilities::smtputf8},
    Row{"ENHANCEDSTATUSCODES", &Capabilities::enhanced_status_codes},
    Row{"STARTTLS", &Capabilities::start_tls},
    Row{"CHUNKING", &Capabilities::chunking},
    Row{"SIZE", &Capabilities::size},
};

constexpr char upper(char c) noexcept { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

bool equal_ignoring_case(std::string_view text, std::string_view upper_case) noexcept {
  return std::ranges::equal(text, upper_case, [](char a, char b) { return upper(a) == b; });
}

// size-value = 1*20DIGIT (RFC 1870 4). 0, missing or unreadable: no limit stated.
std::uint64_t size_value(std::string_view param) noexcept {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(param.data(), param.data() + param.size(), value);
  return error == std::errc{} ? value : 0;
}

}  // namespace

Capabilities parse_capabilities(std::string_view text) noexcept {
  Capabilities found;
  found.esmtp = true;
  std::size_t at = text.find('\n');
  while (at != std::string_view::npos) {
    const std::string_view line = text.substr(at + 1, text.find('\n', at + 1) - at - 1);
    at = text.find('\n', at + 1);
    const std::size_t space = std::min(line.find(' '), line.size());
    for (const Row& row : kKeywords) {
      if (!equal_ignoring_case(line.substr(0, space), row.keyword)) continue;
      found.*row.offered = true;
      if (row.offered == &Capabilities::size && space < line.size())
        found.size_max = size_value(line.substr(space + 1));
    }
  }
  return found;
}

}  // namespace mailsbuddy::smtp
