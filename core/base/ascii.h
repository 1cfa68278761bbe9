// ascii.h - characters and letter case of ASCII, whatever the locale says. Bytes above 127 belong to no class and stay
// as they are, so UTF-8 passes through unharmed.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace mailsbuddy::ascii {

constexpr bool is_upper(char c) noexcept { return c >= 'A' && c <= 'Z'; }
constexpr bool is_lower(char c) noexcept { return c >= 'a' && c <= 'z'; }
constexpr bool is_alpha(char c) noexcept { return is_upper(c) || is_lower(c); }
constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool is_alnum(char c) noexcept { return is_alpha(c) || is_digit(c); }
constexpr bool is_wsp(char c) noexcept { return c == ' ' || c == '\t'; }                  // RFC 5234 B.1
constexpr bool is_space(char c) noexcept { return is_wsp(c) || c == '\r' || c == '\n'; }  // WSP, CR and LF.
constexpr bool is_visible(char c) noexcept { return c > 0x20 && c < 0x7f; }               // VCHAR, RFC 5234 B.1
constexpr bool is_control(char c) noexcept { return (c >= 0 && c < 0x20) || c == 0x7f; }  // CTL, RFC 5234 B.1

constexpr char to_lower(char c) noexcept { return is_upper(c) ? static_cast<char>(c + 0x20) : c; }
constexpr char to_upper(char c) noexcept { return is_lower(c) ? static_cast<char>(c - 0x20) : c; }

// The value of a hexadecimal digit in any letter case; -1: it is none.
constexpr int hex_value(char c) noexcept {
  if (is_digit(c)) return c - '0';
  const char lower = to_lower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

inline std::string to_lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = to_lower(c);
  return lower;
}

constexpr bool iequals(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return to_lower(x) == to_lower(y); });
}

constexpr bool istarts_with(std::string_view text, std::string_view prefix) noexcept {
  return text.size() >= prefix.size() && iequals(text.substr(0, prefix.size()), prefix);
}

// Without the spaces, tabs, CRs and LFs at either end. A view into `text`.
constexpr std::string_view trim(std::string_view text) noexcept {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace mailsbuddy::ascii
