// Warming as the engine does it, where a scenario file can not show it: a second engine on the spool of the first,
// threads, and what options are refused.
#include <fmt/format.h>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <map>
#include <thread>

#include "mailsbuddy/engine.h"
#include "tests/sim/returned.h"
#include "tests/sim/sim.h"

using namespace mailsbuddy;
using namespace std::chrono_literals;

namespace {

class Rows final : public RowSource {
 public:
  explicit Rows(int count, std::string name = "u", std::vector<std::string> domains = {"d.test"})
      : count_(count), name_(std::move(name)), domains_(std::move(domains)) {}
  std::span<const std::string> columns() const override { return {}; }
  Result<std::optional<RowView>> next() override {
    if (at_ == count_) return std::optional<RowView>();
    address_ = fmt::format("{}{}@{}", name_, at_, domains_[static_cast<std::size_t>(at_) % domains_.size()]);
    return std::optional<RowView>({.number = static_cast<std::uint64_t>(++at_), .address = address_, .values = {}});
  }

 private:
  int count_;
  std::string name_;
  std::vector<std::string> domains_;
  int at_ = 0;
  std::string address_;
};

// One receiver, and engines one after the other on one spool.
struct World {
  World() {
    world.mx["d.test"] = {{10, "mx.d.test"}};
    world.addresses["mx.d.test"] = {*net::IpAddress::parse("198.51.100.1")};
    world.receivers["198.51.100.1"].judge = [this](const std::string&, const std::string&) {
      ++by_day[zone.day(world.loop.now() - sim::kLatency)];
      return std::string(says);
    };
    world.receivers["198.51.100.1"].take = [](const sim::Receiver::Mail&) {};
  }

  void open(std::string_view curve) {
    engine.reset();
    engine = *Engine::open(
        {.egress = {{.address = "192.0.2.1", .ehlo_name = "a.test", .curve = *warming::Curve::parse(curve)}},
         .zone = zone,
         .runtime = sim::make_runtime(world, 1),
         .spool = spool});
  }

  void campaign(int rows) {
    Rows source(rows);
    start(source);
  }

  void start(RowSource& source, std::string pool = "default", std::string account = "a") {
    const auto content =
        make_campaign_content({.headers = {{"Subject", "Hi"}}, .text = "Hi", .html = {}, .attachments = {}},
                              {.unsubscribe_url = "https://s.test/u", .list_id = "l.s.test"});
    BOOST_REQUIRE(engine
                      ->start({.id = fmt::format("c{}", ++campaigns),
                               .account = std::move(account),
                               .content = *content,
                               .from = *NamedAddress::parse("n@s.test"),
                               .return_path_domain = "b.s.test",
                               .pool = std::move(pool)},
                              source)
                      .has_value());
  }

  std::uint64_t on(int day) { return by_day[zone.day(sim::kStart) + day]; }

  Zone zone;  // Where days begin.
  sim::World world;
  std::map<std::int64_t, std::uint64_t> by_day;
  std::string_view says = "250 2.1.5 Ok";
  std::shared_ptr<spool::Spool> spool = spool::make_memory_spool();
  int campaigns = 0;
  std::unique_ptr<Engine> engine;
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(a_second_engine_does_not_grant_the_day_again, World) {
  open("100,200 hour=1");
  campaign(60);
  world.loop.run_until(world.loop.now() + 1min);
  BOOST_TEST(on(0) == 60U);
  open("100,200 hour=1");
  const auto explained = engine->explain("192.0.2.1", "d.test");
  BOOST_REQUIRE(explained.has_value());
  BOOST_TEST(explained->used >= 60U);  // Some more: what a snapshot covers counts as sent.
  BOOST_TEST(explained->used <= 70U);
  campaign(500);
  world.loop.run_until(world.loop.now() + 15h);
  BOOST_TEST(on(0) <= 100U);
  BOOST_TEST(on(0) >= 90U);  // What a crash may cost.
  world.loop.run_until(world.loop.now() + 24h);
  BOOST_TEST(on(1) <= 200U);
  BOOST_TEST(on(1) >= 150U);
}

// In New York it is twice 01:30 on 2027-11-07, once before the restart and once after it.
BOOST_FIXTURE_TEST_CASE(nor_an_hour_that_comes_twice, World) {
  zone = *Zone::parse("EST5EDT,M3.2.0,M11.1.0");
  const TimePoint changes = std::chrono::sys_days(std::chrono::year(2027) / 11 / 7) + 6h;
  const int day = static_cast<int>(zone.day(changes) - zone.day(sim::kStart));
  world.loop.run_until(changes - 30min);
  open("100,200 hour=1");
  campaign(60);
  world.loop.run_until(changes + 30min);
  BOOST_TEST(on(day) == 60U);
  open("100,200 hour=1");
  campaign(1'000);
  world.loop.run_until(changes + 40h);
  BOOST_TEST(on(day) <= 100U);
  BOOST_TEST(on(day) >= 90U);
  BOOST_TEST(on(day + 1) <= 200U);
  BOOST_TEST(on(day + 1) >= 150U);
}

// Wherever it ends: between a snapshot and its claim, or with messages on the wire.
BOOST_FIXTURE_TEST_CASE(restarts_at_any_moment_stay_within_the_day, World) {
  Random random(7);
  open("300,600 hour=1");
  for (int restart = 0; restart < 40; ++restart) {
    campaign(50);
    world.loop.run_until(world.loop.now() + std::chrono::microseconds(random.below(400'000)));
    open("300,600 hour=1");
  }
  world.loop.run_until(world.loop.now() + 1h);
  BOOST_TEST(on(0) <= 300U);
  BOOST_TEST(on(0) > 50U);
}

BOOST_FIXTURE_TEST_CASE(a_suspension_outlives_the_engine, World) {
  open("100,200");
  says = "550 5.7.1 Service unavailable, client host 192.0.2.1 blocked using Spamhaus";
  campaign(10);
  world.loop.run_until(world.loop.now() + 1min);
  BOOST_TEST(static_cast<int>(engine->explain("192.0.2.1", "d.test")->state) ==
             static_cast<int>(warming::PaceState::kSuspended));
  open("100,200");
  BOOST_TEST(static_cast<int>(engine->explain("192.0.2.1", "d.test")->state) ==
             static_cast<int>(warming::PaceState::kSuspended));
}

BOOST_FIXTURE_TEST_CASE(paces_lists_what_is_sent_to, World) {
  open("100,200");
  BOOST_TEST(engine->paces().empty());
  campaign(5);
  world.loop.run_until(world.loop.now() + 1min);
  const auto paces = engine->paces();
  BOOST_REQUIRE(paces.size() == 1U);
  BOOST_TEST(paces[0].provider == "d.test");
  BOOST_TEST(paces[0].used == 5U);
}

BOOST_FIXTURE_TEST_CASE(what_is_no_ip_is_an_error, World) {
  open("100,200");
  BOOST_TEST(int(engine->explain("192.0.2.9", "d.test").error().code) == int(ErrorCode::kNotFound));
  BOOST_TEST(int(engine->command("192.0.2.9", "d.test", warming::Command::kPause).error().code) ==
             int(ErrorCode::kNotFound));
  BOOST_TEST(int(engine->command("192.0.2.1", "d.test", warming::Command::kPin, warming::kNoCap).error().code) ==
             int(ErrorCode::kInvalidArgument));
}

BOOST_FIXTURE_TEST_CASE(orders_reach_whom_they_name_or_fail, World) {
  open("100,200");
  BOOST_REQUIRE(engine->command("192.0.2.1", "D.Test", warming::Command::kPause).has_value());
  BOOST_TEST(int(engine->explain("192.0.2.1", "d.test")->state) == int(warming::PaceState::kPaused));
  BOOST_TEST(int(engine->explain("192.0.2.1", "D.TEST")->state) == int(warming::PaceState::kPaused));
  BOOST_TEST(engine->paces().size() == 1U);
  BOOST_TEST(int(engine->resume_domain("s.test", "d.test").error().code) == int(ErrorCode::kNotFound));
  BOOST_TEST(int(engine->resume_domain("s.test", "typo.test").error().code) == int(ErrorCode::kNotFound));
  BOOST_TEST(engine->paces().size() == 1U);  // What was mistyped leaves nothing.
}

// Real threads: many ask at once, of the threads that own the providers.
namespace {

constexpr int kTail = 300;  // Domains of the long tail, each a provider of its own.

class TailRows final : public RowSource {
 public:
  std::span<const std::string> columns() const override { return {}; }
  Result<std::optional<RowView>> next() override {
    if (at_ == kTail) return std::optional<RowView>();
    address_ = fmt::format("u@d{}.test", at_++);
    return std::optional<RowView>({.number = static_cast<std::uint64_t>(at_), .address = address_, .values = {}});
  }

 private:
  int at_ = 0;
  std::string address_;
};

struct Tail : World {
  Tail() {
    for (int i = 0; i < kTail; ++i) {
      world.mx[fmt::format("d{}.test", i)] = {{10, fmt::format("mx.d{}.test", i)}};
      world.addresses[fmt::format("mx.d{}.test", i)] = {*net::IpAddress::parse("198.51.100.1")};
    }
  }
  void send() {
    TailRows rows;
    start(rows);
    world.loop.run_until(world.loop.now() + 30min);
  }
  void send_and_count() {
    for (std::uint64_t round = 1; round <= 3; ++round) {
      send();
      BOOST_TEST(on(0) == round * kTail);
      BOOST_TEST(engine->paces().size() <= 200U);  // Of three hundred.
      for (int i = 0; i < kTail; i += 37) {
        const auto explained = engine->explain("192.0.2.1", fmt::format("d{}.test", i));
        BOOST_REQUIRE(explained.has_value());
        BOOST_TEST(explained->used == round);  // It was forgotten and comes back as it was.
      }
    }
  }
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(idle_providers_of_warming_ips_take_no_memory_and_forget_nothing, Tail) {
  open("10,20 hour=1");
  send_and_count();
}

// What was kept of them goes from the spool, a few with each site that ends.
BOOST_FIXTURE_TEST_CASE(what_is_worth_nothing_any_more_is_dropped, Tail) {
  const auto kept = [this] {
    int count = 0;
    auto name = spool->next_snapshot("warming/d");
    for (; name && name->starts_with("warming/d"); name = spool->next_snapshot(*name)) ++count;
    return count;
  };
  open("10,20 hour=1");
  send();
  world.loop.run_until(world.loop.now() + 24h);
  send();                // Of the first day it is certain now that it was one.
  open("10,20 hour=1");  // Nothing is in memory.
  BOOST_REQUIRE(kept() == kTail);
  BOOST_REQUIRE(engine->command("192.0.2.1", "d7.test", warming::Command::kPause).has_value());
  world.loop.run_until(world.loop.now() + std::chrono::days(350));
  const auto send_elsewhere = [this] {
    std::vector<std::string> domains;
    for (int i = 0; i < kTail / 2 + 10; ++i) domains.push_back(fmt::format("e{}.test", i));
    for (const std::string& each : domains) world.mx[each] = {{10, "mx." + each}};
    for (const std::string& each : domains) world.addresses["mx." + each] = {*net::IpAddress::parse("198.51.100.1")};
    Rows source(static_cast<int>(domains.size()), "u", domains);
    start(source);
    world.loop.run_until(world.loop.now() + 30min);
  };
  send_elsewhere();
  BOOST_TEST(kept() == kTail);
  world.loop.run_until(world.loop.now() + std::chrono::days(20));
  send_elsewhere();
  send_elsewhere();         // They are looked at in turns, with those elsewhere.
  BOOST_TEST(kept() == 1);  // Who is paused.
  BOOST_TEST(int(engine->explain("192.0.2.1", "d7.test")->state) == int(warming::PaceState::kPaused));
  BOOST_TEST(engine->explain("192.0.2.1", "d8.test")->used == 0U);
}

BOOST_FIXTURE_TEST_CASE(likewise_in_an_engine_that_keeps_nothing, Tail) {
  spool = nullptr;
  open("10,20 hour=1");
  send_and_count();
}

namespace {

// Mails that arrived, and complaints about them. The second IP, which delivers a fifth of what the first does, is in
// its pool or takes its overflow; the third is another pool's.
struct Complaints : World {
  void send(std::string_view pool_of_second) {
    world.receivers["198.51.100.1"].take = [this](const sim::Receiver::Mail& mail) {
      mails.push_back(mail);
      ++sent[mail.client];
    };
    const warming::Curve curve = *warming::Curve::parse("250,600 hour=1");
    engine = *Engine::open(
        {.egress = {{.address = kFirst, .ehlo_name = "a.test", .curve = curve},
                    {.address = kSecond, .ehlo_name = "b.test", .pool = std::string(pool_of_second), .curve = curve.times(0.2)},
                    {.address = kThird, .ehlo_name = "c.test", .pool = "others"}},
         .pools = {{"default", {.overflow = {.when = warming::Overflow::kNamedPool,
                                             .pool = pool_of_second == "default" ? "others" : std::string(pool_of_second)}}}},
         .runtime = sim::make_runtime(world, 1)});
    campaign(300);
    world.loop.run_until(world.loop.now() + 20min);
    BOOST_REQUIRE(mails.size() == 300U);
    BOOST_REQUIRE(sent[kSecond] > 10);
    BOOST_REQUIRE(sent[kFirst] > 2 * sent[kSecond]);
  }
  // About so many that `ip` carried; empty `source_ip`: the reports do not say.
  void complain(std::size_t count, const std::string& ip, const std::string& source_ip) {
    for (const auto& mail : mails) {
      if (count == 0) break;
      if (mail.client != ip) continue;
      const auto report = sim::make_returned("arf", {.to = mail.to, .return_path = mail.from, .source_ip = source_ip});
      const auto taken = engine->inbound(report.data, {.recipient = report.recipient});
      BOOST_REQUIRE(taken.has_value());
      count -= taken->repeated ? 0 : 1;
    }
    BOOST_REQUIRE(count == 0U);
    world.loop.run_until(world.loop.now() + 1min);
  }
  double borne_by(const std::string& ip) {
    const auto explained = engine->explain(ip, "d.test");
    BOOST_REQUIRE(explained.has_value());
    for (const auto& each : explained->to_advance) {
      if (each.name != "complaints") continue;
      const double borne = each.have * sent[ip];
      BOOST_TEST(std::abs(borne - std::round(borne)) < 1e-6);
      return std::round(borne);
    }
    BOOST_FAIL("complaints are no condition");
    return 0;
  }

  static constexpr const char* kFirst = "192.0.2.1";
  static constexpr const char* kSecond = "192.0.2.2";
  static constexpr const char* kThird = "192.0.2.3";
  std::vector<sim::Receiver::Mail> mails;
  std::map<std::string, double> sent;
};

}  // namespace

// What came back is held against the IP that sent it, where the report says which and it may have been; elsewhere
// against those that may have, in proportion to what they delivered.
BOOST_FIXTURE_TEST_CASE(complaints_are_borne_by_who_sent_the_message, Complaints) {
  for (const std::string pool : {"default", "spare"}) {
    BOOST_TEST_CONTEXT("the second IP is in pool " << pool) {
      mails.clear();
      sent.clear();
      send(pool);
      complain(6, kSecond, kSecond);
      BOOST_TEST(borne_by(kSecond) == 6);
      BOOST_TEST(borne_by(kFirst) == 0);
      complain(60, kFirst, "");
      const double share = sent[kSecond] / (sent[kFirst] + sent[kSecond]);
      BOOST_TEST(std::abs(borne_by(kSecond) - 6 - 60 * share) < 1.5);
      BOOST_TEST(borne_by(kFirst) + borne_by(kSecond) == 66);
    }
  }
}

BOOST_FIXTURE_TEST_CASE(no_complaint_is_borne_by_an_ip_of_another_pool, Complaints) {
  send("spare");
  Rows rows(20);
  start(rows, "others");  // The third IP has sent as well, but none of what they complain about.
  world.loop.run_until(world.loop.now() + 1min);
  BOOST_REQUIRE(sent[kThird] == 20);
  complain(12, kFirst, kThird);
  BOOST_TEST(engine->explain(kThird, "d.test")->why.empty());
  BOOST_TEST(borne_by(kFirst) + borne_by(kSecond) == 12);
}

// Two sites of one provider, and who is in the midst of a transaction there: between RCPT and the end of data.
BOOST_FIXTURE_TEST_CASE(connections_of_a_campaign_and_of_an_account, World) {
  std::map<char, int> open, most;  // By what the recipients' names begin with.
  world.mx["e.test"] = {{10, "mx2.d.test"}};
  world.addresses["mx2.d.test"] = {*net::IpAddress::parse("198.51.100.2")};
  for (const char* host : {"198.51.100.1", "198.51.100.2"}) {
    world.receivers[host].latency = 1s;
    world.receivers[host].judge = [&](const std::string&, const std::string& to) {
      most[to.front()] = std::max(most[to.front()], ++open[to.front()]);
      return std::string("250 2.1.5 Ok");
    };
    world.receivers[host].take = [&](const sim::Receiver::Mail& mail) { --open[mail.to.front()]; };
  }
  auto settings = std::make_shared<warming::Settings>();
  BOOST_REQUIRE(settings->add("* campaign:c1 connections=1\n* account:acme connections=2\n", "test").has_value());
  engine = *Engine::open({.egress = {{.address = "192.0.2.1", .ehlo_name = "a.test"}, {.address = "192.0.2.2", .ehlo_name = "b.test"}},
                          .settings = settings,
                          .runtime = sim::make_runtime(world, 1)});
  const std::vector<std::string> both{"d.test", "e.test"};
  Rows first(10, "x", both), second(40, "y", both), third(40, "z", both);
  start(first);
  start(second, "default", "acme");
  start(third, "default", "other");
  world.loop.run_until(world.loop.now() + 75s);
  BOOST_TEST(engine->status("c1")->settled());
  BOOST_TEST(engine->status("c3")->settled());
  world.loop.run_until(world.loop.now() + 2min);
  BOOST_TEST(engine->status("c2")->settled());
  BOOST_TEST(most['x'] == 1);
  BOOST_TEST(most['y'] == 2);
  BOOST_TEST(most['z'] > 4);  // Nobody holds up the third.
}

BOOST_AUTO_TEST_CASE(any_thread_may_ask_and_tell) {
  auto engine = *Engine::open(
      {.egress = {{.address = "127.0.0.1", .ehlo_name = "a.test", .curve = *warming::Curve::parse("10,20")}},
       .runtime_options = {.workers = 2}});
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      const std::string provider = fmt::format("p{}.test", i);
      for (int round = 0; round < 50; ++round) {
        const bool told = engine->command("127.0.0.1", provider, warming::Command::kPin, 5).has_value();
        const auto explained = engine->explain("127.0.0.1", provider);
        if (told && explained && explained->cap == 5) ++good;
        if (round % 10 == 0) engine->change(nullptr);
        static_cast<void>(engine->paces());
      }
    });
  }
  for (std::thread& each : threads) each.join();
  BOOST_TEST(good == 200);
  BOOST_TEST(engine->paces().size() == 4U);
}

BOOST_AUTO_TEST_CASE(pools_that_would_strand_mail_are_refused) {
  using warming::Overflow;
  struct Case {
    std::string_view name;
    std::string pool = "cold";
    PoolOptions options{};
    std::string_view error;  // Empty: it is good.
  };
  const Case kCases[] = {
      {.name = "defaults", .error = ""},
      {.name = "no such pool", .pool = "none", .error = "no egress IP is in pool 'none'"},
      {.name = "to another pool", .options = {.overflow = {.when = Overflow::kNamedPool, .pool = "warm"}}, .error = ""},
      {.name = "to none",
       .options = {.overflow = {.when = Overflow::kNamedPool, .pool = "moon"}},
       .error = "no egress IP's"},
      {.name = "to itself", .options = {.overflow = {.when = Overflow::kNamedPool, .pool = "cold"}}, .error = "itself"},
      {.name = "after the hold to none",
       .options = {.overflow = {.when = Overflow::kWait, .hold_max = 1h, .then = Overflow::kNamedPool}},
       .error = "no egress IP's"},
      {.name = "a negative hold", .options = {.overflow = {.hold_max = -1h}}, .error = "negative"},
      {.name = "engaged ones alone",
       .options = {.engaged_only = warming::EngagedOnly{}},
       .error = "no IP is for the others"},
      {.name = "engaged ones, the others anyway after a while",
       .options = {.overflow = {.hold_max = 1h, .then = Overflow::kSendAnyway}, .engaged_only = warming::EngagedOnly{}},
       .error = ""},
      {.name = "engaged ones beside a warm IP",
       .pool = "warm",
       .options = {.engaged_only = warming::EngagedOnly{}},
       .error = ""},
  };
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      sim::World world;
      const auto opened = Engine::open(
          {.egress =
               {{.address = "192.0.2.1", .ehlo_name = "a.test", .pool = "cold", .curve = *warming::Curve::parse("1,2")},
                {.address = "192.0.2.2", .ehlo_name = "b.test", .pool = "warm"}},
           .pools = {{c.pool, c.options}},
           .runtime = sim::make_runtime(world, 1)});
      BOOST_TEST(opened.has_value() == c.error.empty());
      if (!opened) BOOST_TEST(opened.error().detail.find(c.error) != std::string::npos, opened.error().detail);
    }
  }
}
