// bench_wan_mailsbuddy PORT MESSAGES IN_FLIGHT: a campaign of MESSAGES recipients over one connection to
// 127.0.0.1:PORT, so many messages under way at once. Ends when all are delivered; anything else is a failure.
#include "bench/support/send.h"

int main(int argc, char** argv) {
  using namespace mailsbuddy::bench;
  if (argc != 4) return 2;
  send_campaign({.port = static_cast<std::uint16_t>(to_number(argv[1])),
                 .messages = to_number(argv[2]),
                 .connections = 1,
                 .in_flight = static_cast<int>(to_number(argv[3]))});
}
