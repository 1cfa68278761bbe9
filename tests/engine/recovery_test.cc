// An engine that opens on a spool that another one left: what was queued, deferred, paused, cancelled, half imported or
// on the wire goes on from where it was.
#include <fmt/format.h>

#include <boost/test/unit_test.hpp>
#include <map>
#include <set>

#include "mailsbuddy/engine.h"
#include "tests/sim/caller.h"
#include "tests/sim/sim.h"

using namespace mailsbuddy;
using namespace std::chrono_literals;
using sim::Collector;
using sim::Rows;

namespace {

// Several engines, one after the other, on one spool and in one world with one receiver.
struct Fixture {
  sim::World world;
  std::shared_ptr<spool::Spool> spool = spool::make_memory_spool();
  std::unique_ptr<Engine> engine;
  std::shared_ptr<Collector> collector;
  sim::Receiver* receiver = nullptr;

  Fixture() {
    world.mx["d.test"] = {{10, "mx.d.test"}};
    world.addresses["mx.d.test"] = {*net::IpAddress::parse("198.51.100.1")};
    receiver = &world.receivers["198.51.100.1"];
    open();
  }
  void open() {
    engine.reset();
    collector = std::make_shared<Collector>();
    engine = Engine::open({.egress = {{.address = "192.0.2.1", .ehlo_name = "a.test"}},
                           .runtime = sim::make_runtime(world, 1),
                           .spool = spool})
                 .value();
    engine->subscribe(collector);
  }
  Result<ImportReport> start(Rows& rows, OnUnknown on_unknown = OnUnknown::kResend, std::string_view text = "Hi") {
    const auto content = make_campaign_content(
        {.headers = {{"Subject", "Hi"}}, .text = std::string(text), .html = {}, .attachments = {}},
        {.unsubscribe_url = "https://s.test/u", .list_id = "l.s.test"});
    return engine->start({.id = "c",
                          .account = "a",
                          .content = *content,
                          .from = *NamedAddress::parse("n@s.test"),
                          .return_path_domain = "b.s.test",
                          .on_unknown = on_unknown},
                         rows);
  }
  void start(std::vector<std::string> addresses, OnUnknown on_unknown = OnUnknown::kResend) {
    Rows rows(std::move(addresses));
    BOOST_REQUIRE(start(rows, on_unknown).has_value());
  }
  void run(std::chrono::seconds time) { world.loop.run_until(world.loop.now() + time); }
  std::uint64_t count(spool::State state) const { return engine->status("c").value().of(state); }
  std::multiset<std::string> taken() const {
    std::multiset<std::string> to;
    for (const auto& mail : receiver->mails) to.insert(mail.to);
    return to;
  }
};

std::vector<std::string> users(int count) {
  std::vector<std::string> addresses;
  for (int i = 0; i < count; ++i) addresses.push_back(fmt::format("u{}@d.test", i));
  return addresses;
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(what_is_queued_goes_on, Fixture) {
  start(users(50));
  open();  // Before anything ran.
  run(60s);
  BOOST_TEST(count(spool::State::kDelivered) == 50U);
  const auto to = taken();
  BOOST_TEST(to.size() == 50U);
  BOOST_TEST(std::set<std::string>(to.begin(), to.end()).size() == 50U);
}

BOOST_FIXTURE_TEST_CASE(deferred_rows_keep_their_time_and_attempts, Fixture) {
  receiver->script["RCPT"] = {{sim::Action::Kind::kReply, "451 4.7.1 Greylisted"}};
  start(users(3));
  run(60s);
  BOOST_TEST(count(spool::State::kDeferred) == 3U);
  open();
  receiver->script.clear();
  run(60s);
  BOOST_TEST(count(spool::State::kDeferred) == 3U);  // Not due yet.
  run(20min);
  BOOST_TEST(count(spool::State::kDelivered) == 3U);
  BOOST_REQUIRE(collector->events.size() == 3U);
  BOOST_TEST(collector->events.front().attempt == 2U);
}

BOOST_FIXTURE_TEST_CASE(what_a_person_said_stays_said, Fixture) {
  start(users(5));
  BOOST_REQUIRE(engine->pause("c").has_value());
  open();
  run(60s);
  BOOST_TEST(engine->status("c").value().paused);
  BOOST_TEST(receiver->mails.empty());
  BOOST_REQUIRE(engine->resume("c").has_value());
  open();
  run(60s);
  BOOST_TEST(count(spool::State::kDelivered) == 5U);
}

BOOST_FIXTURE_TEST_CASE(what_was_cancelled_is_not_sent, Fixture) {
  start(users(5));
  BOOST_REQUIRE(engine->cancel("c").has_value());
  open();
  run(60s);
  BOOST_TEST(receiver->mails.empty());
  BOOST_TEST(count(spool::State::kCancelled) == 5U);
}

BOOST_FIXTURE_TEST_CASE(the_age_counts_on, Fixture) {
  receiver->script["RCPT"] = {{sim::Action::Kind::kReply, "451 4.7.1 Greylisted"}};
  start(users(1));
  run(std::chrono::hours(4 * 24));
  open();
  run(std::chrono::hours(25));
  BOOST_TEST(count(spool::State::kExpired) == 1U);
}

BOOST_AUTO_TEST_CASE(what_was_on_the_wire_is_unknown) {
  struct Case {
    OnUnknown policy;
    spool::State state;
    EventKind kind;
    std::size_t copies;
  };
  const Case kCases[] = {{OnUnknown::kResend, spool::State::kDelivered, EventKind::kDeferred, 2},
                         {OnUnknown::kHold, spool::State::kHeld, EventKind::kHeld, 1},
                         {OnUnknown::kDrop, spool::State::kFailed, EventKind::kFailed, 1}};
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(to_string(c.kind)) {
      Fixture world;
      world.start(users(1), c.policy);
      world.world.loop.run_until(sim::kStart + 30s, [&world] { return !world.receiver->mails.empty(); });
      BOOST_REQUIRE(world.taken().size() == 1U);  // It has it; its answer is on the way.
      BOOST_TEST(world.count(spool::State::kClaimed) == 1U);
      world.open();
      world.run(1h);
      BOOST_TEST(world.count(c.state) == 1U);
      BOOST_TEST(world.taken().size() == c.copies);
      BOOST_REQUIRE(!world.collector->events.empty());
      const Event& first = world.collector->events.front();
      BOOST_TEST((first.kind == c.kind));
      BOOST_TEST(first.outcome.unknown());
      BOOST_TEST(first.recipient == "u0@d.test");
    }
  }
}

BOOST_FIXTURE_TEST_CASE(messages_go_on_too, Fixture) {
  receiver->script["RCPT"] = {{sim::Action::Kind::kReply, "451 4.7.1 Greylisted"}};
  const auto id = engine->submit({.sender = Address::parse("b@s.test").value(),
                                  .recipients = {Address::parse("ann@d.test").value()},
                                  .data = "From: <a@s.test>\r\nSubject: s\r\n\r\nbody\r\n",
                                  .campaign = "receipts",
                                  .not_before = world.loop.now() + 1h});
  BOOST_REQUIRE(id.has_value());
  open();
  run(30min);
  BOOST_TEST(collector->events.empty());  // It is for later.
  run(1h);
  BOOST_REQUIRE(!collector->events.empty());
  BOOST_TEST(collector->events.front().campaign == "receipts");
  open();
  receiver->script.clear();
  run(2h);
  BOOST_REQUIRE(receiver->mails.size() == 1U);
  BOOST_TEST(receiver->mails.front().from == "b@s.test");
  BOOST_TEST(!engine->status(id->str()).has_value());  // Settled, and forgotten.
  BOOST_TEST(spool->jobs().empty());
  open();
  BOOST_TEST(spool->jobs().empty());
}

BOOST_FIXTURE_TEST_CASE(a_source_that_fails_leaves_nothing, Fixture) {
  Rows broken(users(10), Error{ErrorCode::kIo, "the file ends in the middle"});
  BOOST_TEST(!start(broken).has_value());
  BOOST_TEST(spool->jobs().empty());
  start(users(2));
}

// The rows of before are not stored twice, what the source has twice is refused as ever, and nothing goes before all
// are in.
BOOST_FIXTURE_TEST_CASE(an_interrupted_import_is_resumed, Fixture) {
  Rows interrupted(users(5'000), Error{ErrorCode::kResourceExhausted, "the disk is full"});
  const auto first = start(interrupted);
  BOOST_REQUIRE(!first.has_value());
  BOOST_TEST((first.error().code == ErrorCode::kResourceExhausted));
  const std::uint64_t stored = spool->open_rows();
  BOOST_TEST(stored == 4096U);  // One batch of them.
  open();
  run(60s);
  BOOST_TEST(receiver->mails.empty());
  BOOST_TEST(!engine->status("c").has_value());

  Rows other(users(1));
  const auto differs = start(other, OnUnknown::kResend, "Another text");
  BOOST_REQUIRE(!differs.has_value());
  BOOST_TEST(differs.error().detail.find("differs") != std::string::npos);

  auto all = users(6'000);
  all.push_back("U1@d.test");
  Rows whole(all);
  const auto report = start(whole);
  BOOST_REQUIRE(report.has_value());
  BOOST_TEST(report->accepted == 6'000U);
  BOOST_TEST(report->resumed == stored);
  BOOST_TEST(report->refused == 1U);
  BOOST_TEST(whole.bad.size() == 1U);
  BOOST_TEST(engine->status("c").value().total == 6'000U);
}

BOOST_FIXTURE_TEST_CASE(an_interrupted_import_can_be_given_up, Fixture) {
  Rows interrupted(users(5'000), Error{ErrorCode::kResourceExhausted, "the disk is full"});
  BOOST_REQUIRE(!start(interrupted).has_value());
  open();
  BOOST_REQUIRE(engine->forget("c").has_value());
  BOOST_TEST(spool->jobs().empty());
  BOOST_TEST(spool->open_rows() == 0U);
  start(users(1));
}

// Its rows stay in the spool, for a version that can read it.
BOOST_FIXTURE_TEST_CASE(a_record_that_cannot_be_read_is_set_aside, Fixture) {
  const auto broken = spool->create({.id = "broken", .content = "nonsense", .created = {}, .control = "nonsense"});
  const spool::RowInput row{"d.test", "eve", ""};
  BOOST_REQUIRE(spool->append(*broken, {&row, 1}).has_value());
  start(users(2));
  open();
  run(60s);
  BOOST_TEST(count(spool::State::kDelivered) == 2U);
  BOOST_TEST(spool->jobs().size() == 2U);
  BOOST_TEST(spool->open_rows() == 1U);
}

// Bounces of what an engine before has sent are known.
BOOST_FIXTURE_TEST_CASE(return_paths_are_signed_as_before, Fixture) {
  start(users(1));
  run(60s);
  BOOST_REQUIRE(receiver->mails.size() == 1U);
  const std::string return_path = receiver->mails.front().from;
  open();
  const std::string message = "From: a@d.test\r\nTo: " + return_path +
                              "\r\nAuto-Submitted: auto-replied\r\nSubject: Away\r\n\r\nBack soon.\r\n";
  const auto report = engine->inbound(message, {.recipient = return_path});
  BOOST_REQUIRE(report.has_value());
  BOOST_TEST((report->attribution == Attribution::kRow));
  BOOST_TEST(report->recipient == "u0@d.test");
}

// What one engine took from the due ones, and neither sent nor settled, the next one on the same spool has.
BOOST_FIXTURE_TEST_CASE(due_rows_that_were_taken_are_not_lost, Fixture) {
  receiver->script["RCPT"] = {{sim::Action::Kind::kReply, "451 4.7.1 Greylisted"}};
  start(users(3));
  run(60s);
  BOOST_REQUIRE(count(spool::State::kDeferred) == 3U);
  BOOST_REQUIRE(engine->pause("c").has_value());
  run(1h);  // They are due, and wait at their site.
  receiver->script.clear();
  open();
  BOOST_REQUIRE(engine->resume("c").has_value());
  run(2h);
  BOOST_TEST(count(spool::State::kDelivered) == 3U);
}

// An engine that ends in good order leaves as unknown what is on the wire, and not what it had made ahead.
BOOST_FIXTURE_TEST_CASE(what_was_made_ahead_is_given_back, Fixture) {
  receiver->latency = 1s;
  start(users(200), OnUnknown::kDrop);
  world.loop.run_until(sim::kStart + 1h, [this] { return receiver->mails.size() >= 3U; });
  BOOST_REQUIRE(count(spool::State::kClaimed) > 3U);
  receiver->latency = sim::kLatency;
  open();
  run(2h);
  const std::uint64_t failed = count(spool::State::kFailed);
  BOOST_TEST(count(spool::State::kDelivered) + failed == 200U);
  std::set<std::string> dropped;
  for (const Event& event : collector->events) {
    if (event.kind == EventKind::kFailed) dropped.insert(event.recipient);
  }
  BOOST_TEST(dropped.size() == failed);
  // At most one a connection, and one behind it.
  BOOST_TEST(failed <= 2U * static_cast<unsigned>(receiver->connections_seen));
  BOOST_TEST(failed < 20U);
}

// Nobody is called for what is settled.
BOOST_FIXTURE_TEST_CASE(a_settled_campaign_calls_nobody, Fixture) {
  start(users(20));
  run(60s);
  BOOST_REQUIRE(count(spool::State::kDelivered) == 20U);
  open();
  receiver->connections_seen = 0;
  run(1h);
  BOOST_TEST(receiver->connections_seen == 0);
}
