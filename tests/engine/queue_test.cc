// Commands about the queue: by filter, to another pool, away from an IP, and what a person wants forgotten.
#include <fmt/format.h>
#include <malloc.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "mailsbuddy/engine.h"
#include "tests/sim/caller.h"
#include "tests/sim/sim.h"
#include "tests/spool/scratch.h"

using namespace mailsbuddy;
using namespace std::chrono_literals;
using sim::Collector;
using sim::Rows;

namespace {

std::vector<std::string> users(int count, std::string_view domain) {
  std::vector<std::string> addresses;
  for (int i = 0; i < count; ++i) addresses.push_back(fmt::format("u{}@{}", i, domain));
  return addresses;
}

// Two domains of two providers, two pools, one engine.
struct World {
  sim::World world;
  std::shared_ptr<spool::Spool> spool = spool::make_memory_spool();
  std::shared_ptr<Collector> collector = std::make_shared<Collector>();
  std::unique_ptr<Engine> engine;

  World() {
    for (const auto& [domain, ip] : {std::pair("a.test", "198.51.100.1"), std::pair("b.test", "198.51.100.2")}) {
      world.mx[domain] = {{10, fmt::format("mx.{}", domain)}};
      world.addresses[fmt::format("mx.{}", domain)] = {*net::IpAddress::parse(ip)};
      world.receivers[ip];
    }
  }
  ~World() {
    engine.reset();
    spool->close();
  }
  void open(EngineOptions options = {.egress = {}}) {
    engine.reset();
    options.egress = {{.address = "192.0.2.1", .ehlo_name = "one.test"},
                      {.address = "192.0.2.2", .ehlo_name = "two.test"},
                      {.address = "192.0.2.3", .ehlo_name = "three.test", .pool = "other"}};
    options.runtime = sim::make_runtime(world, 1);
    options.spool = spool;
    if (options.sinks.empty() && collector != nullptr) options.sinks = {collector};
    auto opened = Engine::open(std::move(options));
    BOOST_REQUIRE_MESSAGE(opened.has_value(), (opened ? "" : opened.error().detail));
    engine = *std::move(opened);
  }
  ImportReport start(const std::string& id, std::vector<std::string> addresses, int attempts_max = 0) {
    Rows rows(std::move(addresses));
    const auto started = try_start(id, rows, attempts_max);
    BOOST_REQUIRE_MESSAGE(started.has_value(), (started ? "" : started.error().detail));
    return *started;
  }
  Result<ImportReport> try_start(const std::string& id, Rows& rows, int attempts_max = 0) {
    const auto content =
        make_campaign_content({.headers = {{"Subject", "Hi"}}, .text = "Hi", .html = {}, .attachments = {}},
                              {.unsubscribe_url = "https://s.test/u", .list_id = "l.s.test"});
    return engine->start({.id = id,
                          .account = "brand",
                          .content = *content,
                          .from = *NamedAddress::parse("n@s.test"),
                          .return_path_domain = "b.s.test",
                          .attempts_max = attempts_max},
                         rows);
  }
  std::string submit(std::vector<std::string> to, TimePoint not_before = {}) {
    Message message{.sender = *Address::parse("n@s.test"), .recipients = {}, .data = {}};
    for (const std::string& each : to) message.recipients.push_back(*Address::parse(each));
    message.data = fmt::format("From: n@s.test\r\nTo: {}\r\nSubject: Hi\r\n\r\nHello {}.\r\n", fmt::join(to, ", "), to.front());
    message.not_before = not_before;
    const auto id = engine->submit(std::move(message));
    BOOST_REQUIRE_MESSAGE(id.has_value(), (id ? "" : id.error().detail));
    return id->str();
  }
  void run(std::chrono::seconds time) { world.loop.run_until(world.loop.now() + time); }
  std::uint64_t count(const std::string& id, spool::State state) const { return engine->status(id).value().of(state); }
  void all_reply(const std::string& reply) {
    for (auto& [ip, receiver] : world.receivers) receiver.script["RCPT"] = {{sim::Action::Kind::kReply, reply}};
  }
  void all_accept() {
    for (auto& [ip, receiver] : world.receivers) receiver.script.clear();
  }
  std::multiset<std::string> taken() const {
    std::multiset<std::string> to;
    for (const auto& [ip, receiver] : world.receivers) {
      for (const auto& mail : receiver.mails) to.insert(mail.to);
    }
    return to;
  }
  std::vector<QueuedRecipient> list(std::string_view filter) const {
    std::vector<QueuedRecipient> out;
    spool::ListCursor cursor;
    const auto parsed = QueueFilter::parse(filter);
    BOOST_REQUIRE_MESSAGE(parsed.has_value(), (parsed ? "" : parsed.error().detail));
    for (bool more = true; more;) {
      const auto listed = engine->list(*parsed, cursor, 3, out);
      BOOST_REQUIRE(listed.has_value());
      more = *listed;
    }
    return out;
  }
};

std::size_t files_with(const std::string& directory, std::string_view text) {
  std::size_t found = 0;
  for (const auto& file : std::filesystem::recursive_directory_iterator(directory)) {
    if (!file.is_regular_file()) continue;
    std::ifstream in(file.path(), std::ios::binary);
    std::ostringstream octets;
    octets << in.rdbuf();
    found += octets.str().find(text) != std::string::npos ? 1 : 0;
  }
  return found;
}

}  // namespace

BOOST_AUTO_TEST_CASE(filters_are_read) {
  const auto filter = QueueFilter::parse("job=spring,domain=Example.NET,state=deferred,state=held,age=2h,pool=cold");
  BOOST_REQUIRE(filter.has_value());
  BOOST_TEST(filter->job == "spring");
  BOOST_TEST(filter->domain == "example.net");
  BOOST_TEST(filter->pool == "cold");
  BOOST_TEST(filter->states == 0b1100U);
  BOOST_TEST((filter->age_min == 2h));
  BOOST_TEST(!filter->whole_jobs());
  BOOST_TEST(QueueFilter::parse("").value().whole_jobs());
  for (const std::string_view bad : {"domain", "domain=", "colour=red", "state=gone", "age=2", "age=h", "age=-1h", "address=no"}) {
    BOOST_TEST_CONTEXT(bad) {
      const auto refused = QueueFilter::parse(bad);
      BOOST_REQUIRE(!refused.has_value());
      BOOST_TEST((refused.error().code == ErrorCode::kInvalidArgument));
    }
  }
}

BOOST_FIXTURE_TEST_CASE(the_queue_is_listed_by_what_is_asked, World) {
  open();
  all_reply("451 4.7.1 Later");
  std::vector<std::string> all = users(4, "a.test");
  for (const std::string& each : users(5, "b.test")) all.push_back(each);
  start("spring", all);
  const std::string message = submit({"u1@b.test"}, world.loop.now() + 1h);
  run(30s);
  BOOST_TEST(list("").size() == 10U);
  BOOST_TEST(list("job=spring").size() == 9U);
  BOOST_TEST(list("job=spring,domain=a.test").size() == 4U);
  BOOST_TEST(list("address=u1@b.test").size() == 2U);
  BOOST_TEST(list("account=brand,state=deferred").size() == 9U);
  BOOST_TEST(list("state=queued").size() == 1U);
  BOOST_TEST(list("provider=b.test").size() == 6U);  // The domain of the message is known by the campaign.
  BOOST_TEST(list("age=1h").empty());
  BOOST_TEST(list("pool=other").empty());
  const auto one = list("address=u2@a.test");
  BOOST_REQUIRE(one.size() == 1U);
  BOOST_TEST(one[0].job == "spring");
  BOOST_TEST(one[0].attempts == 1U);
  BOOST_TEST(one[0].provider == "a.test");
  BOOST_TEST((one[0].due > world.loop.now()));
  spool::ListCursor cursor;
  std::vector<QueuedRecipient> none;
  BOOST_TEST(!engine->list({.job = "autumn"}, cursor, 10, none).has_value());
}

BOOST_FIXTURE_TEST_CASE(what_is_failed_is_not_sent_wherever_it_is, World) {
  open();
  std::vector<std::string> all = users(200, "a.test");
  for (const std::string& each : users(50, "b.test")) all.push_back(each);
  start("spring", all);
  world.receivers["198.51.100.1"].latency = 1s;
  run(3s);  // Some were sent, some are on the wire, made or at hand, the rest in the spool.
  const std::size_t before = taken().size();
  const auto failed = engine->fail(QueueFilter::parse("domain=a.test").value(), "not this domain");
  BOOST_REQUIRE(failed.has_value());
  BOOST_TEST(failed->rows > 0U);
  run(10min);
  BOOST_TEST(count("spring", spool::State::kFailed) == failed->rows);
  BOOST_TEST(count("spring", spool::State::kFailed) + count("spring", spool::State::kDelivered) == 250U);
  const auto to = taken();
  BOOST_TEST(to.size() >= before);
  BOOST_TEST(std::set<std::string>(to.begin(), to.end()).size() == to.size());
  std::map<std::string, int> finals;
  for (const Event& event : collector->events) {
    if (!is_final(event.kind)) continue;
    ++finals[event.recipient];
    BOOST_TEST((event.kind == EventKind::kDelivered) == to.contains(event.recipient), event.recipient);
    if (event.kind == EventKind::kFailed) BOOST_TEST(event.outcome.detail == "not this domain");
  }
  BOOST_TEST(finals.size() == 250U);
  for (const auto& [address, times] : finals) BOOST_TEST(times == 1, address);
}

BOOST_FIXTURE_TEST_CASE(failed_messages_are_done_with, World) {
  open();
  const std::string message = submit({"u1@b.test", "u2@a.test"}, world.loop.now() + 1h);
  run(1s);
  BOOST_REQUIRE(engine->fail({.job = message}, "wrong one").has_value());
  BOOST_TEST(!engine->status(message).has_value());
  run(2h);
  BOOST_TEST(taken().empty());
  BOOST_TEST(collector->events.size() == 2U);
}

BOOST_FIXTURE_TEST_CASE(what_is_released_goes_at_once_and_once, World) {
  open();
  all_reply("451 4.7.1 Later");
  start("spring", users(20, "a.test"));
  run(30s);
  BOOST_REQUIRE(count("spring", spool::State::kDeferred) == 20U);
  all_accept();
  const auto released = engine->release(QueueFilter::parse("job=spring,address=u3@a.test").value());
  BOOST_REQUIRE(released.has_value());
  BOOST_TEST(released->rows == 1U);
  run(30s);
  BOOST_TEST(taken().size() == 1U);
  BOOST_TEST(engine->release({}).value().rows == 19U);
  BOOST_TEST(engine->release({}).value().rows == 0U);
  run(1h);
  BOOST_TEST(taken().size() == 20U);
  BOOST_TEST(count("spring", spool::State::kDelivered) == 20U);
}

// Wherever they are when it is said: on the wire, made, at hand, in the spool, deferred.
BOOST_FIXTURE_TEST_CASE(what_is_held_waits_until_it_is_released_and_goes_once, World) {
  open();
  std::vector<std::string> all = users(200, "a.test");
  for (const std::string& each : users(50, "b.test")) all.push_back(each);
  start("spring", all);
  world.receivers["198.51.100.1"].latency = 1s;
  run(3s);
  const auto held = engine->hold(QueueFilter::parse("domain=a.test").value(), "a wrong link");
  BOOST_REQUIRE(held.has_value());
  BOOST_TEST(held->rows > 100U);
  run(10min);
  BOOST_TEST(count("spring", spool::State::kHeld) == held->rows);
  BOOST_TEST(count("spring", spool::State::kDelivered) == 250U - held->rows);
  BOOST_TEST(taken().size() == 250U - held->rows);
  BOOST_TEST(list("state=held").size() == held->rows);
  BOOST_TEST(engine->hold({}, "again").value().rows == 0U);
  const auto events = std::count_if(collector->events.begin(), collector->events.end(), [](const Event& event) {
    return event.kind == EventKind::kHeld && event.outcome.detail == "a wrong link";
  });
  BOOST_TEST(static_cast<std::uint64_t>(events) == held->rows);
  BOOST_TEST(engine->release({.job = "spring"}).value().rows == held->rows);
  run(10min);
  const auto to = taken();
  BOOST_TEST(to.size() == 250U);
  BOOST_TEST(std::set<std::string>(to.begin(), to.end()).size() == 250U);
  BOOST_TEST(engine->status("spring").value().settled());
}

// Said again and again, at any moment, and with those who have rows in any state: nobody is mailed twice, nobody is
// lost.
BOOST_FIXTURE_TEST_CASE(holding_and_releasing_sends_nothing_twice, World) {
  open();
  world.receivers["198.51.100.1"].latency = 200ms;
  world.receivers["198.51.100.2"].script["RCPT"] = {{sim::Action::Kind::kReply, "451 4.7.1 Later"}};
  std::vector<std::string> all = users(400, "a.test");
  for (const std::string& each : users(40, "b.test")) all.push_back(each);
  start("spring", all);
  const std::string message = submit({"m1@a.test", "m2@b.test"}, world.loop.now() + 2s);
  Random random(7);
  for (int turn = 0; turn < 200; ++turn) {
    world.loop.run_until(world.loop.now() + std::chrono::milliseconds(random.below(60)));
    QueueFilter some;
    if (random.below(2) == 0) some.address = all[random.below(all.size())];
    if (random.below(3) == 0) some.domain = "a.test";
    if (random.below(8) == 0) some.job = message;
    if (random.below(4) == 0) some = {};
    if (random.below(3) != 0) {
      BOOST_REQUIRE(engine->hold(some, "wait").has_value() || !some.job.empty());
    }
    if (random.below(2) == 0) world.loop.run_until(world.loop.now() + std::chrono::milliseconds(random.below(20)));
    if (random.below(4) != 0) BOOST_REQUIRE(engine->release(some).has_value() || !some.job.empty());
    if (turn == 100) all_accept();
  }
  BOOST_REQUIRE(engine->hold({}, "wait").has_value());
  run(1min);
  const auto before = taken().size();
  open();  // The next process finds them held.
  run(1h);
  BOOST_TEST(taken().size() == before);
  BOOST_TEST(before < 442U);
  BOOST_REQUIRE(engine->release({}).has_value());
  run(6h);
  const auto to = taken();
  BOOST_TEST(to.size() == 442U);
  BOOST_TEST(std::set<std::string>(to.begin(), to.end()).size() == 442U);
  BOOST_TEST(engine->status("spring").value().of(spool::State::kDelivered) == 440U);
}

BOOST_FIXTURE_TEST_CASE(what_is_held_is_failed_and_cancelled_all_the_same, World) {
  open();
  start("spring", users(60, "a.test"));
  world.receivers["198.51.100.1"].latency = 1s;
  run(2s);
  const auto held = engine->hold({.job = "spring"}, "wait").value().rows;
  BOOST_TEST(held > 3U);
  BOOST_TEST(engine->fail(QueueFilter::parse("address=u59@a.test").value(), "no").value().rows == 1U);
  BOOST_REQUIRE(engine->cancel("spring").has_value());
  run(1min);
  BOOST_TEST(count("spring", spool::State::kCancelled) == held - 1);
  BOOST_TEST(engine->status("spring").value().settled());
  const std::string message = submit({"u1@b.test"}, world.loop.now() + 1h);
  BOOST_TEST(engine->hold({.job = message}, "wait").value().rows == 1U);
  run(2h);
  BOOST_TEST(engine->status(message).value().of(spool::State::kHeld) == 1U);
  BOOST_TEST(engine->release({.job = message}).value().rows == 1U);
  run(1min);
  BOOST_TEST(world.receivers["198.51.100.2"].mails.size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_campaign_moves_to_another_pool_and_stays_there, World) {
  open();
  start("spring", users(30, "a.test"));
  BOOST_REQUIRE(engine->pause("spring").has_value());
  run(1s);
  BOOST_TEST(engine->move({.job = "spring"}, "other").value() == 1U);
  BOOST_TEST(engine->move({.job = "spring"}, "other").value() == 0U);
  BOOST_TEST(!engine->move({.job = "spring"}, "nowhere").has_value());
  BOOST_TEST(!engine->move({.domain = "a.test"}, "other").has_value());
  open();  // What was said is kept.
  BOOST_REQUIRE(engine->resume("spring").has_value());
  run(1min);
  const auto& mails = world.receivers["198.51.100.1"].mails;
  BOOST_TEST(mails.size() == 30U);
  for (const auto& mail : mails) BOOST_TEST(mail.client == "192.0.2.3");
}

// At rest no IPs are known to judge the pool's name by. The one that it was started in is better than to wait for none.
BOOST_FIXTURE_TEST_CASE(what_was_moved_to_a_pool_without_ips_goes_by_its_own, World) {
  open({.egress = {}, .deliver = false});
  BOOST_TEST(!engine->move({}, "").has_value());
  BOOST_TEST(!engine->move({}, std::string_view("a\0b", 3)).has_value());
  open();
  start("spring", users(5, "a.test"));
  BOOST_REQUIRE(engine->pause("spring").has_value());
  open({.egress = {}, .deliver = false});
  BOOST_TEST(engine->move({.job = "spring"}, "othr").value() == 1U);
  open();
  BOOST_REQUIRE(engine->resume("spring").has_value());
  run(1min);
  BOOST_TEST(taken().size() == 5U);
}

BOOST_FIXTURE_TEST_CASE(what_moves_under_way_is_sent_once, World) {
  open();
  world.receivers["198.51.100.1"].latency = 200ms;
  start("spring", users(100, "a.test"));
  run(2s);
  BOOST_REQUIRE(engine->move({}, "other").value() == 1U);
  run(5min);
  const auto to = taken();
  BOOST_TEST(to.size() == 100U);
  BOOST_TEST(std::set<std::string>(to.begin(), to.end()).size() == 100U);
  BOOST_TEST(world.receivers["198.51.100.1"].mails.back().client == "192.0.2.3");
}

BOOST_FIXTURE_TEST_CASE(an_ip_is_drained_and_its_pool_takes_the_rest, World) {
  open();
  world.receivers["198.51.100.1"].latency = 200ms;
  start("spring", users(300, "a.test"));
  run(3s);
  BOOST_TEST(!engine->drain_egress("192.0.2.9").has_value());
  BOOST_REQUIRE(engine->drain_egress("192.0.2.1").has_value());
  run(30s);
  BOOST_TEST(engine->egress().front().draining);
  BOOST_TEST(engine->egress().front().connections == 0);
  const auto from_it = [&] {
    const auto& mails = world.receivers["198.51.100.1"].mails;
    return std::count_if(mails.begin(), mails.end(), [](const auto& mail) { return mail.client == "192.0.2.1"; });
  };
  start("summer", users(20, "b.test"));
  run(5min);
  BOOST_TEST(from_it() < 300);
  BOOST_TEST(taken().size() == 320U);
  for (const auto& mail : world.receivers["198.51.100.2"].mails) BOOST_TEST(mail.client == "192.0.2.2");
  // With nobody else in its pool mail waits, and goes when the IP is used again.
  BOOST_REQUIRE(engine->drain_egress("192.0.2.2").has_value());
  run(1s);
  start("autumn", users(5, "b.test"));
  run(1h);
  BOOST_TEST(taken().size() == 320U);
  BOOST_REQUIRE(engine->drain_egress("192.0.2.1", false).has_value());
  run(1min);
  BOOST_TEST(taken().size() == 325U);
}

BOOST_FIXTURE_TEST_CASE(attempts_are_bounded_when_asked, World) {
  open({.egress = {}, .attempts_max = 3});
  all_reply("451 4.7.1 Later");
  start("two", users(1, "a.test"), 2);
  start("three", users(1, "b.test"));
  run(24h);
  std::map<std::string, Event> last;
  for (const Event& event : collector->events) last[event.job] = event;
  BOOST_TEST((last["two"].kind == EventKind::kExpired));
  BOOST_TEST(last["two"].attempt == 2U);
  BOOST_TEST(last["two"].outcome.reply.text == "Later");
  BOOST_TEST((last["three"].kind == EventKind::kExpired));
  BOOST_TEST(last["three"].attempt == 3U);
}

BOOST_FIXTURE_TEST_CASE(a_message_for_later_is_read_from_the_spool, World) {
  open();
  submit({"u1@a.test"}, world.loop.now() + 2h);
  all_reply("451 4.7.1 Later");
  run(3h);
  all_accept();
  run(6h);
  const auto& mails = world.receivers["198.51.100.1"].mails;
  BOOST_REQUIRE(mails.size() == 1U);
  BOOST_TEST(mails.front().data.find("Hello u1@a.test.") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(intake_refuses_while_the_outbox_is_full_and_recovers, World) {
  struct Stuck final : EventSink {
    bool stuck = true;
    std::uint64_t taken = 0;
    Result<void> on_events(std::span<const Event> events) override {
      if (stuck) return Error{ErrorCode::kIo, "no room"};
      taken += events.size();
      return {};
    }
  };
  const auto sink = std::make_shared<Stuck>();
  open({.egress = {}, .outbox_events_max = 5, .sinks = {sink}});
  start("spring", users(20, "a.test"));
  run(1min);
  BOOST_TEST(taken().size() == 20U);  // Delivery goes on.
  BOOST_TEST(engine->unreported() == 20U);
  const auto refused = engine->submit({.sender = *Address::parse("n@s.test"),
                                       .recipients = {*Address::parse("u@a.test")},
                                       .data = "From: n@s.test\r\n\r\nHi\r\n"});
  BOOST_REQUIRE(!refused.has_value());
  BOOST_TEST((refused.error().code == ErrorCode::kResourceExhausted));
  BOOST_TEST(refused.error().detail.find("outbox_events_max") != std::string::npos, refused.error().detail);
  sink->stuck = false;
  run(1min);
  BOOST_TEST(sink->taken == 20U);
  BOOST_TEST(!engine->pressure().refuses);
  submit({"u@a.test"});
}

BOOST_FIXTURE_TEST_CASE(intake_refuses_above_the_memory_limit, World) {
  if (mallinfo2().uordblks == 0) {
    BOOST_TEST_MESSAGE("skipped: the allocator of this build counts nothing");  // A sanitizer's.
    return;
  }
  open({.egress = {}, .memory_max_bytes = 1});
  const auto refused = engine->submit({.sender = *Address::parse("n@s.test"),
                                       .recipients = {*Address::parse("u@a.test")},
                                       .data = "From: n@s.test\r\n\r\nHi\r\n"});
  BOOST_REQUIRE(!refused.has_value());
  BOOST_TEST((refused.error().code == ErrorCode::kResourceExhausted));
  BOOST_TEST(refused.error().detail.find("memory_max_bytes") != std::string::npos, refused.error().detail);
}

// More of its rows are due than are to be in memory: they make room, and go when it is resumed.
BOOST_FIXTURE_TEST_CASE(a_paused_campaign_holds_up_no_others_retries, World) {
  open({.egress = {}, .due_rows_max = 10});
  all_reply("451 4.2.0 Later");
  start("spring", users(40, "a.test"));
  run(1min);
  const std::string other = submit({"bob@b.test"});
  run(1min);
  BOOST_TEST(count("spring", spool::State::kDeferred) == 40U);
  BOOST_REQUIRE(engine->pause("spring").has_value());
  all_accept();
  run(1h);
  BOOST_TEST(taken() == std::multiset<std::string>{"bob@b.test"});
  BOOST_REQUIRE(engine->resume("spring").has_value());
  run(5min);
  BOOST_TEST(taken().size() == 41U);
  BOOST_TEST(count("spring", spool::State::kDelivered) == 40U);
}

// The same with a host that is down, and a cap so small that nothing but what is stuck is at hand.
BOOST_FIXTURE_TEST_CASE(a_host_that_is_down_holds_up_no_others_retries, World) {
  open({.egress = {}, .due_rows_max = 10});
  all_reply("451 4.2.0 Later");
  start("spring", users(40, "a.test"));
  run(1min);
  submit({"bob@b.test"});
  run(1min);
  all_accept();
  world.receivers["198.51.100.1"].script["CONNECT"] = {{sim::Action::Kind::kRefuse, {}}};
  run(2h);
  BOOST_TEST(taken() == std::multiset<std::string>{"bob@b.test"});
  all_accept();
  run(4h);
  BOOST_TEST(taken().size() == 41U);
  BOOST_TEST(count("spring", spool::State::kDelivered) == 40U);
}

// They are settled with the import, before any of the others goes, and whatever is said of them later.
BOOST_FIXTURE_TEST_CASE(who_is_suppressed_is_settled_by_the_import, World) {
  open();
  const Address ann = *Address::parse("Ann@a.test");
  BOOST_REQUIRE(engine->suppress("brand", ann, SuppressionReason::kUnsubscribe).has_value());
  BOOST_REQUIRE(engine->suppress("other", *Address::parse("bob@a.test"), SuppressionReason::kManual).has_value());
  BOOST_REQUIRE(engine->suppress("*", *Address::parse("eve@b.test"), SuppressionReason::kManual).has_value());
  const auto report = start("spring", {"bob@a.test", "ANN@a.test", "eve@b.test", "zoe@b.test"});
  BOOST_TEST(report.accepted == 4U);
  BOOST_TEST(report.suppressed == 2U);
  BOOST_TEST(count("spring", spool::State::kSuppressed) == 2U);
  BOOST_TEST(engine->open_rows() == 2U);
  BOOST_TEST(engine->unsuppress("brand", ann).value());
  run(1min);
  BOOST_TEST((taken() == std::multiset<std::string>{"bob@a.test", "zoe@b.test"}));
  std::multiset<std::string> reported;
  std::set<std::uint64_t> rows;
  for (const Event& event : collector->events) {
    rows.insert(event.row);
    if (event.kind != EventKind::kSuppressed) continue;
    BOOST_TEST((event.outcome.cause == Cause::kSuppressed));
    BOOST_TEST(event.job == "spring");
    reported.insert(event.recipient);
  }
  BOOST_TEST((reported == std::multiset<std::string>{"ANN@a.test", "eve@b.test"}));
  BOOST_TEST(rows.size() == 4U);
  BOOST_TEST(engine->status("spring")->settled());
}

// An import that comes to nothing reports nobody.
BOOST_FIXTURE_TEST_CASE(who_is_suppressed_is_not_reported_by_an_import_that_fails, World) {
  open();
  BOOST_REQUIRE(engine->suppress("brand", *Address::parse("u1@a.test"), SuppressionReason::kManual).has_value());
  Rows rows(users(5000, "a.test"), Error{ErrorCode::kInvalidArgument, "a bad file"});  // More than one write takes.
  BOOST_TEST(!try_start("spring", rows).has_value());
  run(1min);
  BOOST_TEST(collector->events.empty());
  BOOST_TEST(!engine->status("spring").has_value());
}

BOOST_FIXTURE_TEST_CASE(suppressions_come_and_go, World) {
  open();
  std::vector<SuppressionEntry> entries{{.account = "brand", .address = "Ann@a.test", .suppressed = {SuppressionReason::kComplaint, TimePoint(5s)}},
                                        {.account = "*", .address = "bob@a.test"},
                                        {.account = "other", .address = "eve@a.test"}};
  std::size_t at = 0;
  const auto next = [&]() -> std::optional<SuppressionEntry> {
    return at < entries.size() ? std::optional(entries[at++]) : std::nullopt;
  };
  BOOST_TEST(engine->import_suppressions(next).value() == 3U);
  BOOST_TEST((engine->suppressed("brand", *Address::parse("ann@a.test"))->reason == SuppressionReason::kComplaint));
  BOOST_TEST(engine->suppressed("brand", *Address::parse("bob@a.test")).has_value());
  BOOST_TEST(!engine->suppressed("brand", *Address::parse("eve@a.test")).has_value());
  start("spring", {"ann@a.test", "bob@a.test", "eve@a.test"});
  run(1min);
  BOOST_TEST(taken().size() == 1U);
  BOOST_TEST(engine->unsuppress("brand", *Address::parse("ann@a.test")).value());
  BOOST_TEST(!engine->unsuppress("brand", *Address::parse("ann@a.test")).value());
  std::set<std::string> left;
  BOOST_REQUIRE(engine->export_suppressions([&](const SuppressionEntry& each) {
    left.insert(each.account + " " + each.address);
    return true;
  }).has_value());
  const std::set<std::string> expected{"* bob@a.test", "other eve@a.test"};
  BOOST_TEST(left == expected, boost::test_tools::per_element());
  entries = {{.account = "brand", .address = "no address"}};
  at = 0;
  BOOST_TEST(!engine->import_suppressions(next).has_value());
  entries = {{.account = "brand", .address = "hmac-sha256:12"}};
  at = 0;
  BOOST_TEST(!engine->import_suppressions(next).has_value());
}

// In the files of a durable spool, searched octet by octet.
struct OnDisk : World {
  spool::Scratch scratch;
  std::string directory = scratch.path("spool");
  OnDisk() {
    auto opened = spool::open_rocks_spool(
        {.directory = directory, .durability = spool::Durability::kProcessCrash, .reserve_bytes = 0});
    BOOST_REQUIRE_MESSAGE(opened.has_value(), (opened ? "" : opened.error().detail));
    spool = *std::move(opened);
  }
  // The spool's writer is a thread of its own, whose tasks are posted to the simulated loop.
  void settle(std::chrono::seconds time) {
    for (int i = 0; i < 200; ++i) {
      run(std::chrono::duration_cast<std::chrono::seconds>(time) / 200 + 1s);
      BOOST_REQUIRE(spool->sync().has_value());
    }
  }
};

BOOST_FIXTURE_TEST_CASE(an_address_is_erased_from_rows_messages_events_and_files, OnDisk) {
  collector = nullptr;
  open();
  start("spring", {"xylophone77@a.test", "bumblekite42@a.test", "quagmire9@b.test"});
  BOOST_REQUIRE(engine->pause("spring").has_value());
  submit({"xylophone77@a.test"}, world.loop.now() + 1h);
  const std::string both = submit({"xylophone77@a.test", "bumblekite42@a.test"}, world.loop.now() + 1h);
  BOOST_REQUIRE(spool->sync().has_value());
  BOOST_TEST(files_with(directory, "xylophone77") > 0U);
  const auto erased = engine->erase_address(*Address::parse("XYLOPHONE77@a.test"));
  BOOST_REQUIRE_MESSAGE(erased.has_value(), (erased ? "" : erased.error().detail));
  BOOST_TEST(erased->rows == 3U);
  BOOST_TEST(erased->cancelled == 3U);
  BOOST_TEST(files_with(directory, "xylophone77") == 0U);
  // What is compressed shows no text: what the spool reads of it says the same.
  BOOST_TEST(list("address=xylophone77@a.test,state=any").empty());
  BOOST_TEST(list("address=bumblekite42@a.test,state=any").size() == 2U);
  const auto visited = spool->visit_jobs([](const spool::Spool::StoredJob& job) {
    BOOST_TEST(job.record.content.find("xylophone77") == std::string::npos);
    return true;
  });
  BOOST_TEST(visited.has_value());
  BOOST_REQUIRE(engine->resume("spring").has_value());
  settle(2h);
  const auto to = taken();
  BOOST_TEST(to.size() == 3U);
  BOOST_TEST(!to.contains("xylophone77@a.test"));
  for (const auto& mail : world.receivers["198.51.100.1"].mails) {
    BOOST_TEST(mail.data.find("xylophone77") == std::string::npos);
  }
  BOOST_TEST(files_with(directory, "xylophone77") == 0U);
}

BOOST_FIXTURE_TEST_CASE(a_campaign_is_erased_from_the_files, OnDisk) {
  open();
  start("spring", {"xylophone77@a.test", "u@b.test"});
  start("summer", {"bumblekite42@a.test"});
  BOOST_REQUIRE(engine->pause("spring").has_value());
  BOOST_REQUIRE(engine->pause("summer").has_value());
  BOOST_TEST(!engine->erase_campaign("autumn").has_value());
  BOOST_REQUIRE(engine->erase_campaign("spring").has_value());
  BOOST_TEST(!engine->status("spring").has_value());
  BOOST_TEST(files_with(directory, "xylophone77") == 0U);
  BOOST_TEST(files_with(directory, "bumblekite42") > 0U);
  BOOST_REQUIRE(engine->resume("summer").has_value());
  settle(1min);
  BOOST_TEST(taken().size() == 1U);
}

// Whatever moment it is done at: also that between a reply and the write of what it settles.
BOOST_FIXTURE_TEST_CASE(no_event_names_an_address_that_was_erased_as_it_was_settled, World) {
  int delivered = 0;
  for (int moment = 0; moment < 40; ++moment) {
    BOOST_TEST_CONTEXT(moment << " ms") {
      spool = spool::make_memory_spool();
      open();
      start("spring", {"xylophone77@a.test"});
      world.loop.run_until(world.loop.now() + std::chrono::milliseconds(moment));
      collector->events.clear();  // What the sink has been given is the caller's.
      BOOST_REQUIRE(engine->erase_address(*Address::parse("xylophone77@a.test")).has_value());
      run(1min);
      for (const Event& event : collector->events) BOOST_TEST(event.recipient.empty());
      delivered += static_cast<int>(engine->status("spring")->of(spool::State::kDelivered));
      engine.reset();
    }
  }
  BOOST_TEST(delivered > 0);  // Some moments were later.
  BOOST_TEST(delivered < 40);
}

// One who was on the wire when it was erased: nothing that is said afterwards names it, and it is not tried again.
BOOST_FIXTURE_TEST_CASE(what_is_on_the_wire_is_erased_too, World) {
  open();
  all_reply("451 4.7.1 xylophone77 is greylisted");
  world.receivers["198.51.100.1"].latency = 5s;
  start("spring", {"xylophone77@a.test"});
  for (int i = 0; i < 100 && count("spring", spool::State::kClaimed) == 0; ++i) run(1s);
  BOOST_REQUIRE(count("spring", spool::State::kClaimed) == 1U);
  run(2s);  // Its envelope is on the wire.
  const auto erased = engine->erase_address(*Address::parse("xylophone77@a.test"));
  BOOST_REQUIRE(erased.has_value());
  BOOST_TEST(erased->claimed == 1U);
  run(24h);
  BOOST_TEST(count("spring", spool::State::kCancelled) == 1U);
  BOOST_REQUIRE(collector->events.size() == 1U);
  BOOST_TEST(collector->events.front().recipient.empty());
  BOOST_TEST(collector->events.front().outcome.reply.text.empty());
}

// A burst of single messages in the midst of a campaign of a million rows goes out within the time of its permits, and
// what waits of the campaign is on the spool's side.
BOOST_FIXTURE_TEST_CASE(a_burst_goes_out_in_its_permit_time_within_a_campaign_of_a_million, World) {
  auto settings = std::make_shared<warming::Settings>();
  BOOST_REQUIRE(settings->add("* total messages_per_second=50 burst=1\n", "test").has_value());
  open({.egress = {}, .settings = settings});
  start("spring", users(1'000'000, "a.test"));
  run(20s);
  const std::size_t before = taken().size();
  BOOST_TEST(before > 500U);
  BOOST_TEST(before < 1'500U);
  std::vector<std::string> messages;
  for (int i = 0; i < 100; ++i) messages.push_back(submit({fmt::format("single{}@a.test", i)}));
  run(4s);  // 100 permits take two seconds; what was made ahead and on the wire was before them.
  std::size_t singles = 0;
  for (const std::string& to : taken()) singles += to.starts_with("single") ? 1 : 0;
  BOOST_TEST(singles == 100U);
  BOOST_TEST(taken().size() < before + 300U);
}

BOOST_FIXTURE_TEST_CASE(commands_go_page_by_page, World) {
  constexpr int kMany = 20'000;
  open();
  all_reply("451 4.7.1 Later");
  start("spring", users(kMany, "a.test"));
  BOOST_REQUIRE(engine->pause("spring").has_value());
  run(10s);
  const QueueFilter filter{.job = "spring"};
  QueueChange change;
  spool::ListCursor cursor;
  int pages = 0;
  for (bool more = true; more; ++pages) {
    const std::uint64_t before = change.rows;
    more = engine->fail(filter, "no more", cursor, change).value();
    BOOST_TEST(change.rows - before <= 8192U);
    BOOST_TEST(count("spring", spool::State::kFailed) == change.rows);  // What is said was done.
    const auto left = engine->summary(filter, QueueGrouping::kDomain).value();
    BOOST_TEST((left.groups.empty() ? 0U : left.groups[0].rows()) == kMany - change.rows);
  }
  BOOST_TEST(pages >= 3);
  BOOST_TEST(change.rows + change.under_way == kMany);
  BOOST_TEST(!engine->fail({.job = "autumn"}, "no more").has_value());
  // What was begun of a campaign that is gone since is at its end.
  BOOST_REQUIRE(engine->erase_campaign("spring").has_value());
  BOOST_TEST(engine->fail(filter, "no more", cursor, change).value() == false);
  std::vector<QueuedRecipient> rows;
  const auto listed = engine->list(filter, cursor, 100, rows);
  BOOST_TEST((listed && !*listed && rows.empty()));
  BOOST_TEST(!engine->release(filter).has_value());
}

BOOST_FIXTURE_TEST_CASE(many_messages_move_a_bounded_number_at_a_time, World) {
  open();
  std::set<std::string> messages;
  for (int i = 0; i < 150; ++i) messages.insert(submit({fmt::format("u{}@a.test", i)}, world.loop.now() + 1h));
  spool::ListCursor cursor;
  std::uint64_t moved = 0;
  for (bool more = true; more;) {
    const std::uint64_t before = moved;
    more = engine->move({}, "other", cursor, moved).value();
    BOOST_TEST(moved - before <= 64U);
    const auto there = engine->summary({.pool = "other"}, QueueGrouping::kState).value();
    BOOST_TEST((there.groups.empty() ? 0U : there.groups[0].rows()) == moved);
  }
  BOOST_TEST(moved == 150U);
  run(2h);
  const auto& mails = world.receivers["198.51.100.1"].mails;
  BOOST_TEST(mails.size() == 150U);
  for (const auto& mail : mails) BOOST_TEST(mail.client == "192.0.2.3");
}

BOOST_FIXTURE_TEST_CASE(a_summary_has_the_largest_and_the_rest, World) {
  open();
  std::vector<std::string> all;
  for (int domain = 0; domain < 30; ++domain) {
    world.mx[fmt::format("d{}.test", domain)] = {{10, "mx.a.test"}};
    for (const std::string& each : users(domain + 1, fmt::format("d{}.test", domain))) all.push_back(each);
  }
  start("spring", all);
  submit({"u1@b.test"}, world.loop.now() + 1h);
  BOOST_REQUIRE(engine->pause("spring").has_value());
  const auto summary = engine->summary({}, QueueGrouping::kDomain, 3).value();
  BOOST_REQUIRE(summary.groups.size() == 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    BOOST_TEST(summary.groups[i].name == fmt::format("d{}.test", 29 - i));
    BOOST_TEST(summary.groups[i].rows() == 30 - i);
  }
  BOOST_TEST(summary.other_groups == 28U);
  BOOST_TEST(summary.others[0] + summary.others[1] == 30 * 31 / 2 - 30 - 29 - 28 + 1U);
  const auto campaigns = engine->summary({}, QueueGrouping::kCampaign).value();
  BOOST_REQUIRE(campaigns.groups.size() == 2U);
  BOOST_TEST(campaigns.groups[0].name == "spring");
  BOOST_TEST(campaigns.groups[1].name.empty());
  BOOST_TEST(campaigns.groups[1].rows() == 1U);
  const auto one = engine->summary({.address = "u0@d7.test"}, QueueGrouping::kDomain).value();
  BOOST_REQUIRE(one.groups.size() == 1U);
  BOOST_TEST(one.groups[0].name == "d7.test");
  BOOST_TEST(one.groups[0].rows() == 1U);
  BOOST_TEST(!engine->summary({.job = "autumn"}, QueueGrouping::kState).has_value());
}
