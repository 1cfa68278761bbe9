#include "dkim/canonicalise.h"

namespace mailsbuddy::dkim {

bool only_crlf(std::string_view text) noexcept {
  for (std::size_t i = 0; (i = text.find_first_of("\r\n", i)) != std::string_view::npos; i += 2) {
    if (!crlf_at(text, i)) return false;
  }
  return true;
}

void append_relaxed_header(std::string& out, std::string_view name, std::string_view value) {
  for (const char c : ascii::trim(name)) out += ascii::to_lower(c);
  out += ':';
  bool space = false;
  for (const char c : ascii::trim(value)) {
    if (ascii::is_space(c)) {
      space = true;
      continue;
    }
    if (space) out += ' ';
    space = false;
    out += c;
  }
}

}  // namespace mailsbuddy::dkim
