// Whatever the bytes: what comes out is 7-bit and has the same parts, decoding to the same octets.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/base/encoding.h"
#include "core/mail/mime_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mailsbuddy;
  const std::string_view message(reinterpret_cast<const char*>(data), size);
  const auto made = to_seven_bit(message);
  if (!made) return made.error().code == ErrorCode::kUnsupported ? 0 : (std::abort(), 0);
  if (!is_ascii(*made)) std::abort();
  if (is_ascii(message)) return *made == message ? 0 : (std::abort(), 0);
  const MimeTree before = read_mime(message), after = read_mime(*made);
  if (before.parts.size() != after.parts.size()) std::abort();
  const auto again = to_seven_bit(*made);
  if (!again || *again != *made) std::abort();
  return 0;
}
