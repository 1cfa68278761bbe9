// A program of its own, since it counts what is allocated: classify() allocates nothing.
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "mailsbuddy/bounce.h"

namespace {
std::atomic<std::size_t> allocations{0};
}  // namespace

void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace mailsbuddy::bounce {
namespace {

BOOST_AUTO_TEST_CASE(classify_allocates_nothing) {
  std::vector<Outcome> outcomes;
  for (const char* line :
       {"550 5.1.1 <ann@example.net>: Recipient address rejected: User unknown in virtual mailbox table", "550 No",
        "421 4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your IP address",
        "554 5.7.1 Client host [192.0.2.1] blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/192.0.2.1",
        "Bo\xc3\xaete pleine", "550 \xe5\xae\x9b\xe5\x85\x88\xe4\xb8\x8d\xe6\x98\x8e"}) {
    const Reply reply = parse_reply_line(line);
    outcomes.push_back({.stage = Stage::kRcptTo, .cause = Cause::kReply, .reply = reply, .detail = {}});
  }
  const Classifier& classifier = Classifier::shipped();
  const ProviderId provider{"a-provider-with-a-name-too-long-to-stand-in-the-string-itself.example"};
  const std::size_t before = allocations;
  std::size_t letters = 0;
  for (const Outcome& outcome : outcomes) letters += classifier.classify(outcome, provider).rule.size();
  const std::size_t after = allocations;
  BOOST_TEST(after == before);
  BOOST_TEST(before > 1000U);  // It does count: the rules were made ready.
  BOOST_TEST(letters > 0U);
}

}  // namespace
}  // namespace mailsbuddy::bounce
