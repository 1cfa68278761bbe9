// bench_signed_mailsbuddy KEYFILE PORT MESSAGES CONNECTIONS: as bench_loopback_mailsbuddy, each message signed.
//
// bench_signed_mailsbuddy keygen KEYFILE: makes the RSA-2048 key that the contenders share.
#include <cstdio>
#include <fstream>
#include <string>

#include "bench/support/send.h"

namespace mailsbuddy::bench {
namespace {

int keygen(const char* path) {
  std::ofstream out(path, std::ios::binary);
  out << need(dkim::PrivateKey::generate_rsa()).pem();
  return out.flush() ? 0 : 1;
}

}  // namespace
}  // namespace mailsbuddy::bench

int main(int argc, char** argv) {
  using namespace mailsbuddy::bench;
  if (argc == 3 && std::string_view(argv[1]) == "keygen") return keygen(argv[2]);
  if (argc != 5) return 2;
  send_campaign({.port = static_cast<std::uint16_t>(to_number(argv[2])),
                 .messages = to_number(argv[3]),
                 .connections = static_cast<int>(to_number(argv[4])),
                 .keys = key_ring(argv[1])});
}
