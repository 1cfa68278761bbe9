// Against a decoder written the other way round: decode each character, then ask whether its number and its length fit.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/base/encoding.h"

namespace {

bool decodes(const std::uint8_t* data, std::size_t size) {
  static constexpr std::uint32_t kLeast[] = {0, 0x80, 0x800, 0x10000};
  for (std::size_t i = 0; i < size;) {
    const std::uint8_t first = data[i++];
    const int tails = first < 0x80 ? 0 : first >> 5 == 6 ? 1 : first >> 4 == 14 ? 2 : first >> 3 == 30 ? 3 : -1;
    if (tails < 0) return false;
    std::uint32_t code = tails == 0 ? first : first & (0x3fU >> tails);
    for (int tail = 0; tail < tails; ++tail, ++i) {
      if (i == size || data[i] >> 6 != 2) return false;
      code = code << 6 | (data[i] & 0x3fU);
    }
    if (code < kLeast[tails] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return false;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (mailsbuddy::is_valid_utf8(text) != decodes(data, size)) std::abort();
  return 0;
}
