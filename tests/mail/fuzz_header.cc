// Whatever stands in a header is read as UTF-8 of one line, and what is written from it reads back the same.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/base/ascii.h"
#include "core/base/encoding.h"
#include "core/mail/header.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mailsbuddy;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string decoded = decode_header(text);
  if (!is_valid_utf8(decoded) || decoded.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos)
    std::abort();

  const std::string field = format_header("Subject", decoded);
  for (std::size_t at = 0, end; at < field.size(); at = end + 2) {
    end = field.find("\r\n", at);
    if (end == std::string::npos || end - at > 998) std::abort();
    if (at > 0 && !ascii::is_wsp(field[at])) std::abort();  // Another field.
  }
  const std::string read = decode_header(find_header(field, "Subject").value());
  const bool long_spaces =
      decoded.find(std::string(20, ' ')) != std::string::npos || decoded.find('\t') != std::string::npos;
  if (decoded.find("=?") == std::string::npos && !long_spaces && read != ascii::trim(decoded)) std::abort();
  if (!is_ascii(format_header("Reply-To", decoded)) && decoded.find('@') == std::string::npos) std::abort();

  for (const HeaderField& parameter : parse_parameters(text).parameters) {
    if (!is_valid_utf8(parameter.value)) std::abort();
  }
  return 0;
}
