// A program of its own, since it counts what is allocated: a session that has sent some messages allocates nothing for
// more.
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <new>

#include "bench/smtp_session/peer.h"

namespace {
std::atomic<std::size_t> allocations{0};
}  // namespace

// Not inlined: gcc 12 warns of the free() of what it knows to come from new.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

using namespace mailsbuddy;

BOOST_AUTO_TEST_CASE(nothing_is_allocated_per_message) {
  struct Case {
    std::string_view name;
    int in_flight;
  };
  constexpr Case kCases[] = {{"DATA, one at a time", 1}, {"DATA, two in flight", 2}, {"BDAT, eight in flight", 8}};
  const std::string_view to[] = {"somebody.of.some.length@receiver.example", "b@receiver.example"};
  const smtp::RecipientDsn dsn[] = {{.notify = smtp::kNotifyFailure, .orcpt = "rfc822;a+b@receiver.example"}, {}};
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      bench::Talk talk(c.in_flight, {.mail_from = "a-return-path-of-some-length@bounces.sender.example",
                                     .rcpt_to = std::span(to).first(1),
                                     .data = "Subject: x\r\n\r\nHi\r\n.\r\n",
                                     .message_bytes = 18,
                                     .envid = "an envelope of some length",
                                     .dsn = std::span(dsn).first(1)});
      const std::size_t unused = allocations;
      BOOST_TEST(talk.send(100));
      const std::size_t before = allocations;
      const bool sent = talk.send(10'000);
      const std::size_t after = allocations;
      BOOST_TEST(sent);
      BOOST_TEST(after - before == 0U);
      BOOST_TEST(before > unused);  // It does count: the buffers had to grow first.
      BOOST_TEST(talk.peer().messages() == 10'100U);
    }
  }
}
