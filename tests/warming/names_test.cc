// What a sender that looks ahead asks a Pacer for: places under the limits of names, what is above a cap, whether it
// may be forgotten, and snapshots in two steps.
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <climits>
#include <map>
#include <vector>

#include "mailsbuddy/warming.h"

namespace mailsbuddy::warming {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kMidnight{std::chrono::days(20'800)};
const std::string kIp = "192.0.2.1";

std::shared_ptr<const Settings> settings_of(std::string_view text) {
  auto settings = std::make_shared<Settings>();
  const auto added = settings->add(text, "test");
  BOOST_REQUIRE_MESSAGE(added.has_value(), (added ? "" : added.error().detail));
  return settings;
}

Pacer pacer_of(std::string_view settings, std::string_view curve = {}) {
  PacedIp ip{.address = kIp};
  if (!curve.empty()) ip.curve = *Curve::parse(curve);
  return Pacer({.provider = {"google"}, .ips = {ip}, .settings = settings_of(settings)});
}

BOOST_AUTO_TEST_CASE(no_more_have_a_place_than_may_go) {
  Pacer pacer = pacer_of("* campaign messages_per_second=1 burst=3\n");
  const Draw spring{.campaign = "spring"};
  BOOST_TEST(pacer.any_names(kMidnight));
  for (int i = 0; i < 3; ++i) {
    BOOST_TEST((pacer.next_named(spring, kMidnight) == kMidnight));
    pacer.hold(spring, kMidnight);
  }
  BOOST_TEST((pacer.next_named(spring, kMidnight) == kMidnight + 1s));  // The fourth goes a second after the third.
  BOOST_TEST((pacer.next_named({.campaign = "autumn"}, kMidnight) == kMidnight));
  // Sent: its place becomes a permit.
  pacer.let_go(spring, kMidnight);
  pacer.take(0, spring, kMidnight);
  BOOST_TEST((pacer.next_named(spring, kMidnight) == kMidnight + 1s));
  // Given back: another may have it.
  pacer.let_go(spring, kMidnight);
  BOOST_TEST((pacer.next_named(spring, kMidnight) == kMidnight));
  // Given back twice by mistake, it is no more than a place.
  for (int i = 0; i < 5; ++i) pacer.let_go(spring, kMidnight);
  BOOST_TEST((pacer.next_named(spring, kMidnight) == kMidnight));
  BOOST_TEST((pacer.blocked_until(spring, kMidnight) == kMidnight));
}

BOOST_AUTO_TEST_CASE(as_many_places_as_connections) {
  Pacer pacer = pacer_of("* account connections=2\n* campaign:spring connections=1\n");
  const Draw spring{.campaign = "spring", .account = "acme"};
  const Draw autumn{.campaign = "autumn", .account = "acme"};
  BOOST_TEST(pacer.any_places());
  auto first = pacer.places(spring, kMidnight);
  BOOST_REQUIRE(first.has_value());
  BOOST_TEST(!pacer.places(spring, kMidnight).has_value());
  BOOST_TEST((pacer.next_named(spring, kMidnight) > kMidnight));
  BOOST_TEST((pacer.next_joining(spring, kMidnight) == kMidnight));  // In the same transaction.
  BOOST_TEST((pacer.next_named(autumn, kMidnight) == kMidnight));
  const auto second = pacer.places(autumn, kMidnight);
  BOOST_REQUIRE(second.has_value());
  BOOST_TEST(!pacer.places(autumn, kMidnight).has_value());  // Two of the account.
  BOOST_TEST(pacer.places({.campaign = "autumn", .account = "other"}, kMidnight).has_value());
  first.reset();
  BOOST_TEST((pacer.next_named(spring, kMidnight) == kMidnight));
  BOOST_TEST(pacer.places(spring, kMidnight).has_value());
  pacer.change(settings_of("* account connections=1\n"), kMidnight);
  BOOST_TEST(!pacer.places(spring, kMidnight).has_value());  // One has been under way all the time.
  pacer.change(settings_of("* account messages_per_day=5\n"), kMidnight);
  BOOST_TEST(!pacer.any_places());
  BOOST_TEST((pacer.next_named(autumn, kMidnight) == kMidnight));
}

// A message that begins on a connection counts for each name that has a limit; none for others.
BOOST_AUTO_TEST_CASE(a_connection_carries_so_many_of_a_name) {
  Pacer pacer = pacer_of("* account messages_per_connection=3\n* domain:brand.example messages_per_connection=2\n");
  const Draw brand{.account = "acme", .sender_domain = "brand.example"};
  const Draw other{.account = "acme", .sender_domain = "other.example"};
  const Draw nobody{.sender_domain = "other.example"};
  Pacer::Carried one, two;
  BOOST_TEST(!pacer.carry(one, brand, kMidnight));
  BOOST_TEST(pacer.carry(one, brand, kMidnight));  // Two of the domain.
  BOOST_TEST(!pacer.carry(two, other, kMidnight));
  for (int i = 0; i < 10; ++i) BOOST_TEST(!pacer.carry(two, nobody, kMidnight));
  BOOST_TEST(!pacer.carry(two, brand, kMidnight));
  BOOST_TEST(pacer.carry(two, other, kMidnight));  // Three of the account.
  pacer.change(settings_of("* account messages_per_day=5\n"), kMidnight);
  for (int i = 0; i < 10; ++i) BOOST_TEST(!pacer.carry(two, brand, kMidnight));
}

// In no span of a minute are more opened for a name than its limit, whatever the moments at which somebody asks.
BOOST_AUTO_TEST_CASE(so_many_new_connections_of_a_name) {
  Pacer pacer = pacer_of("* campaign connections_per_minute=4\n* account:acme connections_per_minute=6\n");
  BOOST_TEST(pacer.any_openings());
  BOOST_TEST(!pacer.next_opening({.account = "other", .sender_domain = "x.example"}, kMidnight).has_value());
  BOOST_TEST((pacer.next_opening({.account = "acme"}, kMidnight) == kMidnight));
  BOOST_TEST((pacer.next_named({.campaign = "a", .account = "acme"}, kMidnight) == kMidnight));
  std::map<std::string, std::vector<TimePoint>> opened;
  std::uint64_t random = 7;
  for (TimePoint now = kMidnight; now < kMidnight + 30min; now += 1ms + 1ms * ((random >> 33) % 4'000)) {
    random = random * 6'364'136'223'846'793'005U + 1;
    const std::string campaign(1, static_cast<char>('a' + (random >> 40) % 3));
    const Draw draw{.campaign = campaign, .account = "acme"};
    if (pacer.next_opening(draw, now).value() > now) continue;
    pacer.take_opening(draw, now);
    opened[campaign].push_back(now);
    opened["acme"].push_back(now);
  }
  BOOST_TEST(opened["acme"].size() > 30U * 4);
  for (const auto& [name, times] : opened) {
    const std::size_t most = name == "acme" ? 6 : 4;
    for (std::size_t i = most; i < times.size(); ++i) BOOST_TEST((times[i] - times[i - most] >= 1min), name);
  }
  pacer.change(settings_of("* site connections_per_minute=1\n"), kMidnight);
  BOOST_TEST(!pacer.any_openings());
}

// Of all subjects that a connection or a transaction comes under the least stands.
BOOST_AUTO_TEST_CASE(the_least_of_all_subjects_stands) {
  const Pacer pacer = pacer_of(
      "* ip messages_per_connection=50 recipients_per_transaction=40\n* total messages_per_connection=20\n"
      "google site:mx1.example messages_per_connection=5 recipients_per_transaction=30\n"
      "* account:acme recipients_per_transaction=20\n* campaign:spring recipients_per_transaction=10\n"
      "* domain:a.example recipients_per_transaction=3\n");
  BOOST_TEST(pacer.messages_per_connection(0, "mx1.example") == 5);
  BOOST_TEST(pacer.messages_per_connection(0, "mx2.example") == 20);
  BOOST_TEST(pacer.recipients_per_transaction(0, {.site = "mx2.example"}) == 40);
  BOOST_TEST(pacer.recipients_per_transaction(0, {.site = "mx1.example"}) == 30);
  BOOST_TEST(pacer.recipients_per_transaction(0, {.site = "mx1.example", .account = "acme"}) == 20);
  BOOST_TEST(pacer.recipients_per_transaction(0, {.campaign = "spring", .account = "acme"}) == 10);
  BOOST_TEST(pacer.recipients_per_transaction(0, {.campaign = "spring", .sender_domain = "a.example"}) == 3);
}

BOOST_AUTO_TEST_CASE(new_connections_of_an_ip_of_all_and_of_a_site) {
  for (const std::string_view subject : {"ip", "total", "site:mx1.example"}) {
    Pacer pacer = pacer_of(std::string("* ") + std::string(subject) + " connections_per_minute=1\n");
    BOOST_TEST((pacer.next_connection(0, "mx1.example", kMidnight) == kMidnight), subject);
    pacer.take_connection(0, "mx1.example", kMidnight);
    BOOST_TEST((pacer.next_connection(0, "mx1.example", kMidnight) == kMidnight + 1min), subject);
    BOOST_TEST((pacer.next_connection(0, "mx2.example", kMidnight) > kMidnight) == (subject != "site:mx1.example"), subject);
  }
}

// More names than are remembered, all of which owe something: who comes back has no second burst.
BOOST_AUTO_TEST_CASE(names_without_number) {
  Pacer pacer = pacer_of("* domain messages_per_day=100\n* ip messages_per_second=0\n");
  const auto name = [](std::size_t i) { return "d" + std::to_string(i) + ".example"; };
  const auto spend = [&](const std::string& domain) {
    int sent = 0;
    for (; pacer.next(0, {.sender_domain = domain}, kMidnight) <= kMidnight && sent < 100; ++sent)
      pacer.take(0, {.sender_domain = domain}, kMidnight);
    return sent;
  };
  const auto warm = [&](std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i) pacer.take(0, {.sender_domain = name(i)}, kMidnight, 10);
  };
  BOOST_TEST(spend(name(0)) == 10);
  warm(1, 2 * Pacer::kSubjectsMax);
  for (std::size_t i = 0; i < 2 * Pacer::kSubjectsMax; i += 9'973) BOOST_TEST(spend(name(i)) == 0, name(i));
}

BOOST_AUTO_TEST_CASE(a_paused_domain_is_a_name) {
  Pacer pacer = pacer_of("* ip connections=1\n");
  BOOST_TEST(!pacer.any_names(kMidnight));
  pacer.learn(0,
              {.kind = SignalKind::kRejected,
               .scope = SignalScope::kSenderDomain,
               .slow_restart = true,
               .sender_domain = "bad.example"},
              kMidnight);
  BOOST_TEST(pacer.any_names(kMidnight));
  BOOST_TEST((pacer.next_named({.sender_domain = "bad.example"}, kMidnight) == kMidnight + 10min));
  BOOST_TEST((pacer.blocked_until({.sender_domain = "good.example"}, kMidnight) == kMidnight));
  BOOST_TEST((pacer.next(0, {}, kMidnight) == kMidnight));
  BOOST_TEST(!pacer.any_names(kMidnight + 10min));
}

BOOST_AUTO_TEST_CASE(above_the_cap_limits_still_stand) {
  Pacer pacer = pacer_of("* ip messages_per_second=10 burst=1\n* control smoothing=24\n", "2,4");
  for (int i = 0; i < 2; ++i) pacer.take(0, {}, kMidnight + i * 1s);
  BOOST_TEST(pacer.exhausted(0, kMidnight + 1s));
  BOOST_TEST((pacer.next(0, {}, kMidnight + 1s) == kMidnight + 24h));
  BOOST_TEST((pacer.next_over_cap(0, {}, kMidnight + 1s) == kMidnight + 1100ms));
  BOOST_REQUIRE(pacer.command(kIp, Command::kPause, kMidnight + 1s).has_value());
  BOOST_TEST((pacer.next_over_cap(0, {}, kMidnight + 2s) == kNever));
}

BOOST_AUTO_TEST_CASE(connections_of_all_ips_and_of_a_site) {
  const Pacer pacer = pacer_of("* total connections=20\ngoogle site:mx1.example connections=2\n");
  BOOST_TEST(pacer.connections_max(Subject::kTotal, {}) == 20);
  BOOST_TEST(pacer.connections_max(Subject::kSite, "mx1.example") == 2);
  BOOST_TEST(pacer.connections_max(Subject::kSite, "mx2.example") == INT_MAX);
}

BOOST_AUTO_TEST_CASE(what_has_nothing_to_remember_may_be_forgotten) {
  struct Case {
    std::string_view name;
    void (*happens)(Pacer& pacer);
    bool at_rest = false;
  };
  const Case kCases[] = {
      {.name = "nothing", .happens = [](Pacer&) {}, .at_rest = true},
      {.name = "a message, ten minutes ago", .happens = [](Pacer& p) { p.take(0, {}, kMidnight); }, .at_rest = true},
      {.name = "a message of a daily limit", .happens = [](Pacer& p) { p.take(0, {.account = "a"}, kMidnight); }},
      {.name = "a place", .happens = [](Pacer& p) { p.hold({.account = "a"}, kMidnight); }},
      {.name = "a pin",
       .happens = [](Pacer& p) { static_cast<void>(p.command(kIp, Command::kPin, kMidnight, 5)), p.take_decisions(); }},
      {.name = "a decision that nobody was told",
       .happens = [](Pacer& p) { p.change({}, kMidnight); }},
      {.name = "a reply that counts",
       .happens = [](Pacer& p) { p.learn(0, {.kind = SignalKind::kReputation}, kMidnight); }},
      {.name = "a reply that counted an hour ago",
       .happens = [](Pacer& p) { p.learn(0, {.kind = SignalKind::kReputation}, kMidnight - 1h); },
       .at_rest = true},
  };
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      Pacer pacer = pacer_of("* account messages_per_day=100\n");
      c.happens(pacer);
      BOOST_TEST(pacer.at_rest(kMidnight + 10min) == c.at_rest);
    }
  }
}

// What is forgotten comes back as it was: what was sent today counts, and nothing is counted that was not sent.
BOOST_AUTO_TEST_CASE(what_is_forgotten_comes_back) {
  Pacer pacer = pacer_of("* ip messages_per_second=0\n* control smoothing=24\n", "100,200");
  BOOST_TEST(pacer.at_rest(kMidnight));
  BOOST_TEST(pacer.as_made(kMidnight));
  pacer.require_snapshots();
  static_cast<void>(pacer.snapshot(kMidnight));
  for (int i = 0; i < 50; ++i) {  // Ten times the day's cap, if each return cost what a crash may.
    const TimePoint now = kMidnight + i * 1min;
    BOOST_REQUIRE(pacer.left(0, now) > 0U);
    pacer.take(0, {}, now);
    pacer.learn(0, {}, now);
    BOOST_TEST(!pacer.as_made(now));
    const std::string kept = pacer.last_snapshot(now);
    BOOST_TEST(kept.size() < 250U);  // There may be a million of them.
    for (const std::size_t size : {std::size_t{3}, std::size_t{4}, kept.size() / 2, kept.size() - 1})
      BOOST_TEST(!pacer_of("").restore(kept.substr(0, size), now).has_value());
    pacer = pacer_of("* ip messages_per_second=0\n* control smoothing=24\n", "100,200");
    BOOST_REQUIRE(pacer.restore(kept, now).has_value());
    BOOST_TEST(pacer.left(0, now) == 0U);  // Nothing goes that no snapshot covers,
    BOOST_TEST(pacer.snapshot_due());
    i % 2 == 0 ? pacer.waive_snapshots() : static_cast<void>(pacer.snapshot(now));
    BOOST_TEST(pacer.used(now) == static_cast<std::uint64_t>(i + 1));
  }
  BOOST_TEST(pacer.delivered_lately(0, kMidnight + 1h) == 50U);
}

// What is forgotten is worth nothing in the end: a year later the receiver does not know the IP any more either.
BOOST_AUTO_TEST_CASE(what_is_forgotten_is_outlived) {
  struct Case {
    std::string_view name;
    std::string_view settings;
    std::string_view curve;
    void (*happens)(Pacer& pacer, TimePoint now);
    int days;  // 0: never.
  };
  const auto nothing = [](Pacer&, TimePoint) {};
  const auto skips = [](Pacer& p, TimePoint now) {
    for (int i = 0; i < 3; ++i) static_cast<void>(p.command(kIp, Command::kSkipDay, now));
  };
  const auto told = [](Pacer& p, TimePoint now) { p.learn(0, {.kind = SignalKind::kTooManyConnections}, now); };
  const auto pauses = [](Pacer& p, TimePoint now) { static_cast<void>(p.command(kIp, Command::kPause, now)); };
  const auto pins = [](Pacer& p, TimePoint now) { static_cast<void>(p.command(kIp, Command::kPin, now, 5)); };
  const Case kCases[] = {
      {"on a curve", "", "100,200,400", nothing, 360},
      {"far along one", "", "100,200,400", skips, 360},
      {"on none, with a lesson", "", "", told, 360},
      {"sooner idle", "* control idle_days=10\n", "100,200,400", nothing, 120},
      {"idle never counts", "* control idle_days=0\n", "100,200,400", nothing, 0},
      {"paused", "", "100,200,400", pauses, 0},
      {"pinned", "", "100,200,400", pins, 0},
  };
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      Pacer pacer = pacer_of(c.settings, c.curve);
      pacer.take(0, {}, kMidnight);
      pacer.learn(0, {}, kMidnight);
      c.happens(pacer, kMidnight);
      BOOST_TEST(!pacer.outlived(kMidnight));
      const std::string kept = pacer.last_snapshot(kMidnight);
      const auto outlived = [&](std::chrono::days later) {
        Pacer again = pacer_of(c.settings, c.curve);
        BOOST_REQUIRE(again.restore(kept, kMidnight + later).has_value());
        return again.outlived(kMidnight + later);
      };
      if (c.days == 0) {
        BOOST_TEST(!outlived(std::chrono::days(5'000)));
      } else {
        BOOST_TEST(!outlived(std::chrono::days(c.days)));
        BOOST_TEST(outlived(std::chrono::days(c.days + 1)));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(what_a_snapshot_covers_goes_when_it_is_stored) {
  Pacer pacer = pacer_of("* ip messages_per_second=0\n* control smoothing=24\n", "100,200");
  pacer.require_snapshots();
  BOOST_TEST(pacer.left(0, kMidnight) == 0U);
  BOOST_TEST(!pacer.exhausted(0, kMidnight));  // The cap is not used up: nothing overflows for want of a snapshot.
  BOOST_TEST(pacer.snapshot_due());
  const std::string first = pacer.stage_snapshot(kMidnight);
  BOOST_TEST(pacer.left(0, kMidnight) == 0U);
  pacer.snapshot_stored();
  BOOST_TEST(pacer.left(0, kMidnight) == 10U);
  pacer.take(0, {}, kMidnight, 10);
  // A crash before the second is stored finds the first.
  const std::string second = pacer.stage_snapshot(kMidnight);
  Pacer after = pacer_of("* ip messages_per_second=0\n* control smoothing=24\n", "100,200");
  BOOST_REQUIRE(after.restore(first, kMidnight).has_value());
  BOOST_TEST(after.used(kMidnight) == 10U);
  Pacer later = pacer_of("* ip messages_per_second=0\n* control smoothing=24\n", "100,200");
  BOOST_REQUIRE(later.restore(second, kMidnight).has_value());
  BOOST_TEST(later.used(kMidnight) == 20U);
}

// What was staged on one day says nothing of the next.
BOOST_AUTO_TEST_CASE(a_snapshot_of_yesterday_covers_nothing) {
  Pacer pacer = pacer_of("* ip messages_per_second=0\n* control smoothing=24\n", "100,200");
  pacer.require_snapshots();
  static_cast<void>(pacer.stage_snapshot(kMidnight));
  BOOST_TEST(pacer.left(0, kMidnight + 24h) == 0U);
  pacer.snapshot_stored();
  BOOST_TEST(pacer.left(0, kMidnight + 24h) == 0U);
}

}  // namespace
}  // namespace mailsbuddy::warming
