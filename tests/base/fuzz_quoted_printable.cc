// Decoding takes anything and never grows; what is encoded decodes to itself, in lines of at most 76 characters.
#include <algorithm>
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
  check(mb::decode_quoted_printable(text).size() <= text.size());
  std::string encoded;
  mb::append_quoted_printable(encoded, text);
  check(mb::decode_quoted_printable(encoded) == text);
  for (std::size_t start = 0; start < encoded.size();) {
    const std::size_t end = std::min(encoded.find("\r\n", start), encoded.size());
    check(end - start <= 76);
    for (std::size_t i = start; i < end; ++i) check(encoded[i] == '\t' || (encoded[i] >= ' ' && encoded[i] < 0x7f));
    check(end == start || (encoded[end - 1] != ' ' && encoded[end - 1] != '\t'));
    start = end + 2;
  }
  return 0;
}
