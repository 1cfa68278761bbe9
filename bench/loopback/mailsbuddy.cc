// bench_loopback_mailsbuddy PORT MESSAGES CONNECTIONS: a campaign of MESSAGES recipients, each rendered, unsigned, sent
// to 127.0.0.1:PORT. Ends when all are delivered; anything else is a failure.
//
// bench_loopback_mailsbuddy expect MESSAGES: prints the digest that a sink must have of them.
#include <cstdio>
#include <string_view>

#include "bench/support/send.h"

int main(int argc, char** argv) {
  using namespace mailsbuddy::bench;
  if (argc == 3 && std::string_view(argv[1]) == "expect") {
    std::printf("%llu\n", static_cast<unsigned long long>(expected_digest(to_number(argv[2]))));
    return 0;
  }
  if (argc != 4) return 2;
  send_campaign({.port = static_cast<std::uint16_t>(to_number(argv[1])),
                 .messages = to_number(argv[2]),
                 .connections = static_cast<int>(to_number(argv[3]))});
}
