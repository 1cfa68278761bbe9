// Who is shown what, of connections that carry everybody's mail.
#include <boost/test/unit_test.hpp>

#include "mailsbuddy/engine.h"
#include "tests/sim/sim.h"

using namespace mailsbuddy;
using namespace std::chrono_literals;

namespace {

struct Fixture {
  sim::World world;
  std::unique_ptr<Engine> engine;

  Fixture() {
    for (const char* domain : {"a.test", "b.test"}) world.mx[domain] = {{10, "mx.shared.test"}};
    world.mx["c.test"] = {{10, "mx.c.test"}};
    world.addresses["mx.shared.test"] = {*net::IpAddress::parse("198.51.100.1")};
    world.addresses["mx.c.test"] = {*net::IpAddress::parse("198.51.100.2")};
    world.receivers["198.51.100.1"] = {};
    world.receivers["198.51.100.2"] = {};
    engine = Engine::open({.egress = {{.address = "192.0.2.1", .ehlo_name = "me.test"}},
                           .runtime = sim::make_runtime(world, 1)})
                 .value();
  }

  std::string submit(std::string_view to, std::string campaign = {}) {
    const auto id = engine->submit({.sender = Address::parse("me@s.test").value(),
                                    .recipients = {Address::parse(to).value()},
                                    .data = "From: <me@s.test>\r\nSubject: Hi\r\n\r\nbody\r\n",
                                    .campaign = std::move(campaign)});
    BOOST_REQUIRE(id.has_value());
    world.loop.run_until(world.loop.now() + 1s);
    return id->str();
  }

  std::unique_ptr<Tracing> trace(std::string_view filter) { return engine->trace(TraceFilter::parse(filter).value()); }
};

// The lines that name a recipient, and the number of all.
struct Seen {
  std::vector<std::string> recipients;
  std::string first, last;
  std::size_t lines = 0;
};
Seen take(Tracing& tracing) {
  Seen seen;
  for (const TraceRecord& record : tracing.take(0ms)) {
    if (seen.lines++ == 0) seen.first = record.text;
    seen.last = record.text;
    if (record.text.starts_with("RCPT TO:")) seen.recipients.push_back(record.text.substr(9, record.text.size() - 10));
    BOOST_TEST(record.egress == "192.0.2.1");
    BOOST_TEST(record.connection > 0U);
    BOOST_TEST(record.text.find("body") == std::string::npos);
  }
  return seen;
}

using Names = std::vector<std::string>;

}  // namespace

BOOST_AUTO_TEST_CASE(filters) {
  struct Case {
    std::string_view filter;
    Names recipients;
  };
  const Case cases[] = {
      {"", {"x@a.test", "y@b.test", "z@c.test"}},
      {"domain=a.test", {"x@a.test"}},
      {"domain=B.TEST", {"y@b.test"}},
      {"mx=mx.shared.test", {"x@a.test", "y@b.test"}},
      {"mx=mx.c.test,egress=192.0.2.1", {"z@c.test"}},
      {"egress=192.0.2.9", {}},
      {"job=spring", {"z@c.test"}},
      {"job=spring,domain=a.test", {}},
      {"provider=nobody", {}},
  };
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.filter) {
      Fixture fixture;
      const auto tracing = fixture.trace(c.filter);
      fixture.submit("x@a.test");
      fixture.submit("y@b.test");
      fixture.submit("z@c.test", "spring");
      const Seen seen = take(*tracing);
      BOOST_TEST(seen.recipients == c.recipients, boost::test_tools::per_element());
      if (!c.recipients.empty()) BOOST_TEST(seen.first.starts_with("connecting to 198.51.100."));
      BOOST_TEST((seen.lines > 0) == !c.recipients.empty());
    }
  }
}

// The transcript of the second message on a connection begins with the opening, and ends with the message.
BOOST_AUTO_TEST_CASE(a_message_is_shown_with_its_opening_and_without_its_neighbours) {
  Fixture fixture;
  const auto tracing = fixture.trace("domain=b.test");
  fixture.submit("x@a.test");
  BOOST_TEST(take(*tracing).lines == 0U);
  const std::string id = fixture.submit("y@b.test");
  fixture.submit("x2@a.test");
  const Seen seen = take(*tracing);
  BOOST_TEST(seen.first == "connecting to 198.51.100.1:25");
  BOOST_TEST(seen.last.starts_with("y@b.test: final_dot: 250"));
}

BOOST_AUTO_TEST_CASE(an_open_connection_joins_with_its_next_message) {
  Fixture fixture;
  fixture.submit("x@a.test");
  const auto tracing = fixture.trace("");
  fixture.submit("y@b.test");
  const Seen seen = take(*tracing);
  BOOST_TEST(seen.recipients == Names{"y@b.test"}, boost::test_tools::per_element());
  BOOST_TEST(seen.first.starts_with("message of "));
}

BOOST_AUTO_TEST_CASE(several_at_once_and_one_that_ends) {
  Fixture fixture;
  auto all = fixture.trace("");
  const auto some = fixture.trace("domain=b.test");
  fixture.submit("x@a.test");
  all.reset();
  fixture.submit("y@b.test");
  const auto late = fixture.trace("domain=a.test");
  fixture.submit("x2@a.test");
  BOOST_TEST(take(*some).recipients == Names{"y@b.test"}, boost::test_tools::per_element());
  const Seen seen = take(*late);
  BOOST_TEST(seen.recipients.back() == "x2@a.test");
}

BOOST_AUTO_TEST_CASE(too_much_is_dropped_and_counted) {
  Fixture fixture;
  const auto tracing = fixture.trace("");
  std::size_t messages = 0;
  for (; messages < 1500; ++messages) fixture.submit("x@a.test");
  BOOST_TEST(tracing->take(0ms).size() == kTraceRecordsMax);
  BOOST_TEST(tracing->dropped() > 0U);
  BOOST_TEST(tracing->dropped() == 0U);
  BOOST_TEST(tracing->take(0ms).empty());
  fixture.submit("x@a.test");
  BOOST_TEST(!tracing->take(0ms).empty());
}

BOOST_AUTO_TEST_CASE(a_trace_may_outlive_its_engine) {
  Fixture fixture;
  const auto tracing = fixture.trace("");
  fixture.submit("x@a.test");
  fixture.engine.reset();
  BOOST_TEST(take(*tracing).lines > 0U);
  BOOST_TEST(tracing->take(0ms).empty());
}

BOOST_AUTO_TEST_CASE(filters_that_cannot_be) {
  for (const char* text : {"x", "colour=red", "domain=", "domain=a,domain=b", "domain=a,,job=b"}) {
    BOOST_TEST_CONTEXT(text) { BOOST_TEST(!TraceFilter::parse(text).has_value()); }
  }
}
