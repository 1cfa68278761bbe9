// What the strict decoder takes, the encoder gives back to the letter, and the lenient one reads the same.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "core/base/encoding.h"

namespace mb = mailsbuddy;

static void check(bool holds) {
  if (!holds) std::abort();
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(data, data + size);
  const std::string lenient = mb::decode_base64_lenient(text);
  check(lenient.size() <= text.size() * 3 / 4);
  if (const auto strict = mb::decode_base64(text)) {
    check(*strict == lenient);
    std::string again;
    mb::append_base64(again, *strict);
    check(again == text);
  }
  std::string lines;
  mb::append_base64_lines(lines, text);
  check(mb::decode_base64_lenient(lines) == text);
  return 0;
}
