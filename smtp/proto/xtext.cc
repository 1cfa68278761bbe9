#include "smtp/proto/xtext.h"

#include "core/base/ascii.h"

namespace mailsbuddy::smtp {
namespace {

bool is_xchar(char c) noexcept { return ascii::is_visible(c) && c != '+' && c != '='; }

// Lower-case digits are none: RFC 3461 4 says so, and one spelling for each octet is what makes values comparable.
int hex_digit(char c) noexcept { return ascii::is_lower(c) ? -1 : ascii::hex_value(c); }

}  // namespace

bool decode_xtext(std::string_view xtext, std::string& out) {
  while (!xtext.empty()) {
    if (is_xchar(xtext.front())) {
      out.push_back(xtext.front());
      xtext.remove_prefix(1);
      continue;
    }
    const int high = xtext.size() < 3 || xtext.front() != '+' ? -1 : hex_digit(xtext[1]);
    const int low = high < 0 ? -1 : hex_digit(xtext[2]);
    if (low < 0) return false;
    out.push_back(static_cast<char>(high * 16 + low));
    xtext.remove_prefix(3);
  }
  return true;
}

void append_xtext(std::string& out, std::string_view octets) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  for (const char c : octets) {
    if (is_xchar(c)) {
      out.push_back(c);
      continue;
    }
    const auto octet = static_cast<unsigned char>(c);
    out.push_back('+');
    out.push_back(kDigits[octet >> 4U]);
    out.push_back(kDigits[octet & 15U]);
  }
}

}  // namespace mailsbuddy::smtp
