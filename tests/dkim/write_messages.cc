// Writes COUNT signed messages of messages.h to the standard output, for verifiers in other languages:
//   2( <selector> SP <key record> LF ) *( ( "pass" / "fail" ) SP <octets> SP <what> LF <message> LF )
#include <cstdio>
#include <cstdlib>

#include "tests/dkim/messages.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  mailsbuddy::dkim::SignedMessages messages;
  for (const char* selector : {"rsa", "ed"}) std::printf("%s %s\n", selector, messages.record(selector).c_str());
  for (int left = std::atoi(argv[1]); left > 0; --left) {
    const auto message = messages.next();
    std::printf("%s %zu %s\n", message.verifies ? "pass" : "fail", message.text.size(), message.what.c_str());
    std::fwrite(message.text.data(), 1, message.text.size(), stdout);
    std::printf("\n");
  }
  return 0;
}
