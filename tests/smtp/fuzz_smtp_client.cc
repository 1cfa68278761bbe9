// The fuzzer plays the server of client_chaos.h: its octets are the choices. The session's promises must hold.
#include <cstddef>
#include <cstdint>

#include "tests/smtp/client_chaos.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::size_t at = 0;
  mailsbuddy::test::Chaos chaos([&](std::size_t below) {
    std::size_t choice = at < size ? data[at++] : 1;
    if (below > 256 && at < size) choice = choice << 8 | data[at++];
    return choice % below;
  });
  chaos.play();  // A broken promise throws, which ends the process.
  return 0;
}
