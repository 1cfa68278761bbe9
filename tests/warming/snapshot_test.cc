#include <boost/test/unit_test.hpp>
#include <chrono>
#include <map>

#include "mailsbuddy/warming.h"

namespace mailsbuddy::warming {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kMidnight{std::chrono::days(20'800)};
const ProviderId kGoogle{"google"};

TimePoint day(int number, Duration hour = 0h) { return kMidnight + std::chrono::days(number) + hour; }

std::shared_ptr<const Settings> loose() {
  auto settings = std::make_shared<Settings>();
  BOOST_REQUIRE(settings->add("* ip messages_per_second=0\n* control smoothing=24\n", "test").has_value());
  return settings;
}

Pacer make(const std::shared_ptr<const Settings>& settings, int ips = 2, const Zone& zone = {}) {
  PacerOptions options{.provider = kGoogle, .ips = {}, .settings = settings, .zone = zone};
  for (int i = 0; i < ips; ++i)
    options.ips.push_back({"192.0.2." + std::to_string(i + 1), *Curve::parse("300,600,1200,2400")});
  return Pacer(options);
}

BOOST_AUTO_TEST_CASE(state_survives) {
  const auto settings = loose();
  Pacer before = make(settings);
  for (int i = 0; i < 2; ++i) {
    const std::uint64_t n = before.left(0, day(i));
    before.take(0, {}, day(i), n);
    before.learn(0, {.count = n}, day(i));
  }
  before.learn(0, {.kind = SignalKind::kBlocked, .count = 2}, day(2));
  before.learn(
      0, {.kind = SignalKind::kBlocked, .scope = SignalScope::kSenderDomain, .count = 5, .sender_domain = "a.example"},
      day(2));
  BOOST_REQUIRE(before.command("192.0.2.2", Command::kPause, day(2)).has_value());
  Pacer after = make(settings);
  BOOST_REQUIRE(after.restore(before.snapshot(day(2)), day(2)).has_value());
  const Explanation a = *before.explain("192.0.2.1", day(2));
  const Explanation b = *after.explain("192.0.2.1", day(2));
  BOOST_TEST(a.cap == b.cap);
  BOOST_TEST(a.day == b.day);
  BOOST_TEST((a.suspended_until == b.suspended_until));
  BOOST_TEST(a.rate_percent == b.rate_percent);
  BOOST_TEST((after.next(1, {}, day(2)) == kNever));
  BOOST_TEST((after.domain_paused_until("a.example") == before.domain_paused_until("a.example")));
  BOOST_TEST((after.domain_paused_until("a.example") > day(2)));
}

// Random sending, snapshots, crashes (back to the last snapshot), idle times and jumps of the clock: no calendar day of
// an IP has more than its cap, in all its lives together. Half of them in Berlin, over the days on which clocks are
// put.
BOOST_AUTO_TEST_CASE(no_permit_is_granted_twice) {
  const auto settings = loose();
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    Random random(seed);
    const Zone zone = seed % 2 == 0 ? Zone() : *Zone::parse("CET-1CEST,M3.5.0,M10.5.0/3");
    const auto begin = static_cast<int>(seed % 2 == 0 ? 0 : 85 + random.below(2) * 210);  // 8 March or 4 October.
    Pacer pacer = make(settings, 2, zone);
    std::string durable = pacer.snapshot(day(begin));
    std::map<std::pair<std::size_t, std::int64_t>, std::uint64_t> sent;
    std::map<std::pair<std::size_t, std::int64_t>, std::uint64_t> cap;
    TimePoint now = day(begin);
    std::uint64_t crashes = 0;
    for (int step = 0; step < 600; ++step) {
      now += random.below(60) == 0 ? Duration(std::chrono::hours(random.below(80)))
                                   : Duration(std::chrono::minutes(random.below(90)));
      if (random.below(100) == 0 && now > day(begin + 3)) now -= std::chrono::hours(random.below(60));
      if (pacer.snapshot_due()) durable = pacer.snapshot(now);
      if (random.below(25) == 0) {
        pacer = make(settings, 2, zone);
        BOOST_REQUIRE(pacer.restore(durable, now).has_value());
        if (pacer.snapshot_due() && random.below(4) != 0) durable = pacer.snapshot(now);
        ++crashes;
      }
      const std::size_t ip = random.below(2);
      const std::uint64_t n = std::min<std::uint64_t>(pacer.left(ip, now), 1 + random.below(8));
      if (n == 0 || pacer.next(ip, {}, now) > now) continue;
      pacer.take(ip, {}, now, n);
      pacer.learn(ip, {.count = n}, now);
      const std::int64_t today = zone.day(now);
      sent[{ip, today}] += n;
      auto& most = cap[{ip, today}];
      most = std::max(most, pacer.explain("192.0.2." + std::to_string(ip + 1), now)->cap);
    }
    BOOST_TEST(crashes > 3U);
    std::uint64_t all = 0;
    for (const auto& [key, count] : sent) {
      BOOST_TEST((count <= cap[key]), "seed " << seed << ": " << count << " of " << cap[key]);
      all += count;
    }
    BOOST_TEST(all > 200U);  // And it does not forbid everything either.
  }
}

BOOST_AUTO_TEST_CASE(an_ip_that_was_away_goes_on_where_it_was) {
  const auto settings = loose();
  Pacer two = make(settings, 2);
  two.take(1, {}, day(0), 300);
  two.learn(1, {.count = 300}, day(0));
  Pacer one = make(settings, 1);
  BOOST_REQUIRE(one.restore(two.snapshot(day(0)), day(0)).has_value());
  BOOST_TEST(!one.as_made(day(0)));
  BOOST_TEST((one.explain("192.0.2.2", day(0)).error().code == ErrorCode::kNotFound));
  for (const std::string& kept : {one.snapshot(day(0)), one.last_snapshot(day(0))}) {
    Pacer again = make(settings, 2);
    BOOST_REQUIRE(again.restore(kept, day(0)).has_value());
    again.waive_snapshots();
    BOOST_TEST(again.left(1, day(0)) == 0U);
    BOOST_TEST(again.left(1, day(1)) == 600U);
  }
}

BOOST_AUTO_TEST_CASE(grants_stop_where_the_snapshot_ends) {
  Pacer pacer = make(loose());
  const std::string first = pacer.snapshot(day(0));
  BOOST_TEST(pacer.left(0, day(0)) == 10U);  // A hundredth of 300 would be 3; ten are the least.
  pacer.take(0, {}, day(0), 10);
  BOOST_TEST(pacer.left(0, day(0)) == 0U);
  BOOST_TEST(pacer.snapshot_due());
  BOOST_TEST((pacer.next(0, {}, day(0)) > day(0)));
  static_cast<void>(pacer.snapshot(day(0)));
  BOOST_TEST(pacer.left(0, day(0)) == 10U);
  BOOST_TEST_CONTEXT("a new day too waits for one that knows it") {
    BOOST_TEST(pacer.left(0, day(1)) == 0U);
    BOOST_TEST(pacer.snapshot_due());
    static_cast<void>(pacer.snapshot(day(1)));
    BOOST_TEST(pacer.left(0, day(1)) == 10U);
  }
}

BOOST_AUTO_TEST_CASE(without_snapshots_nothing_waits_for_one) {
  Pacer pacer = make(loose());
  BOOST_TEST(!pacer.snapshot_due());
  BOOST_TEST(pacer.left(0, day(0)) == 300U);
}

BOOST_AUTO_TEST_CASE(what_is_no_snapshot_is_refused_and_changes_nothing) {
  const auto settings = loose();
  Pacer source = make(settings);
  source.take(0, {}, day(0), 100);
  const std::string good = source.snapshot(day(0));
  const auto refuses = [&](const std::string& bytes, ErrorCode code) {
    Pacer pacer = make(settings);
    const auto restored = pacer.restore(bytes, day(0));
    BOOST_REQUIRE(!restored);
    BOOST_TEST((restored.error().code == code));
    BOOST_TEST(pacer.left(0, day(0)) == 300U);
  };
  BOOST_TEST_CONTEXT("cut short") {
    for (std::size_t size = 0; size < good.size(); ++size) refuses(good.substr(0, size), ErrorCode::kInvalidArgument);
  }
  BOOST_TEST_CONTEXT("one octet changed") {
    for (std::size_t at = 0; at < good.size(); ++at) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ 0x40);
      refuses(bad, ErrorCode::kInvalidArgument);
    }
  }
  BOOST_TEST_CONTEXT("another provider's") {
    Pacer yahoo({.provider = {"yahoo"}, .ips = {{"192.0.2.1"}}, .settings = settings});
    BOOST_TEST((yahoo.restore(good, day(0)).error().code == ErrorCode::kInvalidArgument));
  }
  BOOST_TEST_CONTEXT("IPs that are not there any more do no harm") {
    Pacer fewer = make(settings, 1);
    BOOST_TEST(fewer.restore(good, day(0)).has_value());
  }
}

}  // namespace
}  // namespace mailsbuddy::warming
