// A campaign at more domains than are at sites at a time: all of them have their turn, whatever becomes of the others.
#include <fmt/format.h>

#include <boost/test/unit_test.hpp>
#include <map>
#include <set>

#include "mailsbuddy/engine.h"
#include "tests/sim/caller.h"
#include "tests/sim/sim.h"

using namespace mailsbuddy;
using namespace std::chrono_literals;
using sim::Rows;

namespace {

struct Collector final : EventSink {
  std::map<EventKind, std::multiset<std::string>> events;  // Who.
  Result<void> on_events(std::span<const Event> batch) override {
    for (const Event& event : batch) events[event.kind].insert(event.recipient);
    return {};
  }
};

// Domains w0.test, w1.test, ... are served by a host that works, d0.test, ... by one that is down.
struct Fixture {
  sim::World world;
  std::unique_ptr<Engine> engine;
  std::shared_ptr<Collector> collector = std::make_shared<Collector>();
  sim::Receiver& works = world.receivers["198.51.100.1"];
  sim::Receiver& down = world.receivers["198.51.100.2"];

  Fixture() {
    world.addresses["mx.works.test"] = {*net::IpAddress::parse("198.51.100.1")};
    world.addresses["mx.down.test"] = {*net::IpAddress::parse("198.51.100.2")};
    down.script["CONNECT"] = {{sim::Action::Kind::kRefuse, {}}};
    engine = Engine::open({.egress = {{.address = "192.0.2.1", .ehlo_name = "a.test"}},
                           .max_age = 24h,
                           .runtime = sim::make_runtime(world, 1)})
                 .value();
    engine->subscribe(collector);
  }

  // `rows` at each of `count` domains of a kind.
  std::vector<std::string> at(char kind, int count, int rows) {
    std::vector<std::string> addresses;
    for (int domain = 0; domain < count; ++domain) {
      const std::string name = fmt::format("{}{}.test", kind, domain);
      world.mx[name] = {{10, kind == 'w' ? "mx.works.test" : "mx.down.test"}};
      for (int row = 0; row < rows; ++row) addresses.push_back(fmt::format("u{}@{}", row, name));
    }
    return addresses;
  }
  void start(std::vector<std::string> addresses) {
    const auto content = make_campaign_content({.headers = {{"Subject", "Hi"}}, .text = "Hi", .html = {}, .attachments = {}},
                                               {.unsubscribe_url = "https://s.test/u", .list_id = "l.s.test"});
    Rows rows(std::move(addresses));
    BOOST_REQUIRE(engine
                      ->start({.id = "c", .account = "a", .content = *content, .from = *NamedAddress::parse("n@s.test"),
                               .return_path_domain = "b.s.test"},
                              rows)
                      .has_value());
  }
  void run(std::chrono::seconds time) { world.loop.run_until(world.loop.now() + time); }
  std::uint64_t count(spool::State state) const { return engine->status("c").value().of(state); }
};

constexpr int kMany = 10'000;

}  // namespace

BOOST_FIXTURE_TEST_CASE(every_domain_has_its_turn_once, Fixture) {
  auto addresses = at('w', kMany, 1);
  for (int row = 1; row < 50; ++row) addresses.push_back(fmt::format("u{}@w7777.test", row));
  start(addresses);
  run(30min);
  BOOST_TEST(count(spool::State::kDelivered) == addresses.size());
  const auto& delivered = collector->events[EventKind::kDelivered];
  BOOST_TEST(std::set<std::string>(delivered.begin(), delivered.end()).size() == addresses.size());
  BOOST_REQUIRE(works.mails.size() == addresses.size());
  BOOST_TEST(works.mails.front().to.ends_with("@w7777.test"), works.mails.front().to);  // The largest is the first.
}

// Those of the host that is down have two rows each, so that they come first, and are more than have room.
BOOST_FIXTURE_TEST_CASE(domains_that_are_stuck_keep_nobody_out, Fixture) {
  auto addresses = at('d', kMany, 2);
  const auto good = at('w', 100, 1);
  addresses.insert(addresses.end(), good.begin(), good.end());
  start(addresses);
  run(5min);
  BOOST_TEST(count(spool::State::kDelivered) == good.size());
  BOOST_TEST(works.mails.size() == good.size());
  down.script.clear();
  run(3h);
  BOOST_TEST(count(spool::State::kDelivered) == addresses.size());
}

BOOST_FIXTURE_TEST_CASE(a_pause_holds_them_and_a_cancellation_ends_them, Fixture) {
  const auto addresses = at('w', kMany, 1);
  start(addresses);
  BOOST_REQUIRE(engine->pause("c").has_value());
  run(1h);
  BOOST_TEST(works.mails.size() < 100U);  // Of the moment before.
  const std::uint64_t before = works.mails.size();
  BOOST_REQUIRE(engine->cancel("c").has_value());
  run(1min);
  BOOST_TEST(works.mails.size() == before);
  BOOST_TEST(count(spool::State::kCancelled) == addresses.size() - before);
  BOOST_TEST(collector->events[EventKind::kCancelled].size() == addresses.size() - before);
  BOOST_TEST(engine->open_rows() == 0U);
}

BOOST_FIXTURE_TEST_CASE(what_is_paused_for_too_long_expires, Fixture) {
  const auto addresses = at('w', kMany, 1);
  start(addresses);
  BOOST_REQUIRE(engine->pause("c").has_value());
  run(25h);
  BOOST_TEST(count(spool::State::kExpired) + works.mails.size() == addresses.size());
}

BOOST_FIXTURE_TEST_CASE(a_pause_that_ends_lets_them_go, Fixture) {
  const auto addresses = at('w', kMany, 1);
  start(addresses);
  BOOST_REQUIRE(engine->pause("c").has_value());
  run(1h);
  BOOST_REQUIRE(engine->resume("c").has_value());
  run(1h);
  BOOST_TEST(count(spool::State::kDelivered) == addresses.size());
  BOOST_TEST(works.mails.size() == addresses.size());
}
