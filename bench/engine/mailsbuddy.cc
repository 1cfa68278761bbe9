// bench_engine_mailsbuddy DIR PORT MESSAGES CONNECTIONS [KEYFILE]: a campaign of MESSAGES recipients, imported into a new
// durable spool in DIR, which survives a loss of power, each rendered, signed if there is a key, sent to 127.0.0.1:PORT,
// settled and reported. Ends when all are delivered; anything else is a failure.
#include "bench/support/send.h"

int main(int argc, char** argv) {
  using namespace mailsbuddy;
  if (argc != 5 && argc != 6) return 2;
  bench::send_campaign({.port = static_cast<std::uint16_t>(bench::to_number(argv[2])),
                        .messages = bench::to_number(argv[3]),
                        .connections = static_cast<int>(bench::to_number(argv[4])),
                        .keys = argc == 6 ? bench::key_ring(argv[5]) : nullptr,
                        .spool = bench::need(spool::open_rocks_spool({.directory = argv[1]}))});
}
