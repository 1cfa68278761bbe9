// What is read from any bytes can be written again (refusals for reasons of RFC 2046 apart), and reads the same.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/base/encoding.h"
#include "mailsbuddy/mail.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mailsbuddy;
  const auto content = Content::parse_eml({reinterpret_cast<const char*>(data), size});
  if (!content) return 0;
  if (!is_valid_utf8(content->text) || !is_valid_utf8(content->html)) std::abort();
  Random random(1);
  const auto message = build_message(*content, "", random);
  if (!message) return 0;
  if (!is_ascii(*message) && content->headers.empty()) std::abort();
  const auto again = Content::parse_eml(*message);
  if (!again || again->attachments.size() != content->attachments.size()) std::abort();
  if (again->text.empty() != content->text.empty() || again->html.empty() != content->html.empty()) std::abort();
  return 0;
}
