// What is decoded was encoded with the same key: no local part but ours is taken.
#include <cstdlib>
#include <string>

#include "core/base/ascii.h"
#include "mailsbuddy/bounce.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mailsbuddy;
  static const auto kKey = bounce::VerpKey::make("0123456789abcdef").value();
  const std::string_view local_part(reinterpret_cast<const char*>(data), size);
  const auto token = kKey.decode(local_part, 20'780, UINT32_MAX);
  std::string again;
  if (token) kKey.encode(*token, again);
  if (token && again != ascii::to_lower(local_part)) std::abort();
  return 0;
}
