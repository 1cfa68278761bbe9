// What is decoded was encoded with the same key: no local part but ours is taken.
#include <cstdlib>
#include <string>

#include "core/base/ascii.h"
#include "mailsbuddy/bounce.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mailsbuddy;
  constexpr std::string_view kKey = "0123456789abcdef";
  const std::string_view local_part(reinterpret_cast<const char*>(data), size);
  const auto token = bounce::verp_decode(local_part, kKey);
  if (token && bounce::verp_encode(*token, kKey).value() != ascii::to_lower(local_part)) std::abort();
  return 0;
}
