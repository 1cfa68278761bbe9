#include <fmt/format.h>

#include <algorithm>

#include "mailsbuddy/dkim.h"

namespace mailsbuddy::dkim {

std::string zone_file_strings(std::string_view text) {
  constexpr std::size_t kCharacterStringMax = 255;  // RFC 1035 3.3
  std::string out;
  do {
    out += out.empty() ? "\"" : " \"";
    for (const char c : text.substr(0, kCharacterStringMax)) {
      if (c == '"' || c == '\\') out += '\\';
      if (c >= ' ' && c < 0x7f) {
        out += c;
      } else {
        out += fmt::format("\\{:03}", static_cast<unsigned char>(c));  // RFC 1035 5.1
      }
    }
    out += '"';
    text.remove_prefix(std::min(text.size(), kCharacterStringMax));
  } while (!text.empty());
  return out;
}

}  // namespace mailsbuddy::dkim
