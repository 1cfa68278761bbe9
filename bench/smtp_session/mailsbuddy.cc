// What a client's session costs, alone: in one thread, against a server that is a string of replies. Beside it what is
// least: the same commands copied, and the same replies looked through for line ends; and with it, each message copied
// once, which a session does not do.
//   bench_smtp_session_mailsbuddy MESSAGES
#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "bench/smtp_session/peer.h"

namespace {

using namespace mailsbuddy;
using bench::Peer;
using bench::Talk;

// Of this thread: on an idle machine the same as the time of the day, on a busy one what it would have been.
double thread_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

struct Took {
  double seconds = 0;
  std::uint64_t messages = 0;  // As the server has them.
  std::uint64_t octets = 0;
};

Took talk(int messages_in_flight, const smtp::Transaction& transaction, std::uint64_t messages) {
  Talk talk(messages_in_flight, transaction);
  const double start = thread_seconds();
  if (!talk.send(messages)) std::exit(1);
  return {thread_seconds() - start, talk.peer().messages(), talk.peer().octets()};
}

// The dialogue of one message in two round trips, as octets that are known before.
Took copy(const smtp::Transaction& transaction, bool messages_too, std::uint64_t messages) {
  const std::string envelope = "MAIL FROM:<" + std::string(transaction.mail_from) +
                               "> SIZE=" + std::to_string(transaction.message_bytes) + "\r\nRCPT TO:<" +
                               std::string(transaction.rcpt_to[0]) + ">\r\nDATA\r\n";
  Peer peer;
  std::string sent;
  std::uint64_t replies = 0;
  const double start = thread_seconds();
  for (std::uint64_t i = 0; i < messages; ++i) {
    for (const bool content : {false, true}) {
      if (!content || messages_too) sent.assign(content ? transaction.data : std::string_view(envelope));
      peer.hear(content && !messages_too ? transaction.data : std::string_view(sent));
      std::string_view said = peer.says();
      while (!said.empty()) {
        replies += said.front() == '2' || said.front() == '3' ? 1 : 0;
        said.remove_prefix(said.find('\n') + 1);
      }
      peer.said();
    }
  }
  const double seconds = thread_seconds() - start;
  if (replies != 4 * messages) std::exit(1);
  return {seconds, peer.messages(), peer.octets()};
}

void print(const char* name, const Took& took, const char* end) {
  std::printf("\"%s\": {\"seconds\": %.9f, \"messages\": %llu, \"octets\": %llu}%s", name, took.seconds,
              static_cast<unsigned long long>(took.messages), static_cast<unsigned long long>(took.octets), end);
}

}  // namespace

int main(int argc, char** argv) {
  const std::uint64_t messages = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 100'000;
  std::string message = "From: news@sender.example\r\nSubject: News\r\n\r\n";
  while (message.size() < 10'240) message += "A line of text as it stands in a newsletter, of some length.\r\n";
  std::string wire;
  smtp::dot_stuff(message, wire);
  const std::string_view to = "somebody.of.some.length@receiver.example";
  const smtp::Transaction transaction{.mail_from = "b-6hq2m4k0zj8v3x1w5y7t9r2p4n6@bounces.sender.example",
                                      .rcpt_to = {&to, 1},
                                      .data = wire,
                                      .message_bytes = message.size()};
  std::printf("{");
  print("floor", copy(transaction, false, messages), ", ");
  print("copied", copy(transaction, true, messages), ", ");
  print("one", talk(1, transaction, messages), ", ");
  print("two", talk(2, transaction, messages), ", ");
  print("bdat", talk(8, transaction, messages), ", ");
  std::printf("\"message_octets\": %zu}\n", message.size());
  return 0;
}
