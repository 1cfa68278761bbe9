// Writes the messages of messages.h to the standard output, for verifiers in other languages:
//   <key record> LF *( ( "pass" / "fail" ) SP <octets> SP <what> LF <message> LF )
#include <cstdio>

#include "tests/dkim/messages.h"

int main() {
  mailsbuddy::dkim::Messages messages;
  std::printf("%s\n", messages.key().record().str().c_str());
  for (const auto& message : messages.make(300)) {
    std::printf("%s %zu %s\n", message.verifies ? "pass" : "fail", message.text.size(), message.what.c_str());
    std::fwrite(message.text.data(), 1, message.text.size(), stdout);
    std::printf("\n");
  }
  return 0;
}
