#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cmath>
#include <map>

#include "mailsbuddy/warming.h"

namespace mailsbuddy::warming {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kMidnight{std::chrono::days(20'800)};
const ProviderId kGoogle{"google"};
const std::string kIp = "192.0.2.1";

TimePoint day(int number, Duration hour = 0h) { return kMidnight + std::chrono::days(number) + hour; }

std::shared_ptr<const Settings> settings_of(std::string_view text) {
  auto settings = std::make_shared<Settings>();
  const auto added = settings->add(text, "test");
  BOOST_REQUIRE_MESSAGE(added.has_value(), (added ? "" : added.error().detail));
  return settings;
}

// Unpaced within the day, so that a test may send a day's cap at once.
constexpr std::string_view kLoose = "* ip messages_per_second=0\n* control smoothing=24\n";

struct Fixture {
  std::shared_ptr<const Settings> settings = settings_of(kLoose);
  Pacer pacer{{.provider = kGoogle,
               .ips = {{kIp, *Curve::parse("1000,2000,4000,8000,16000,32000,64000")}, {"192.0.2.2"}},
               .settings = settings}};

  Explanation explain(TimePoint now) { return *pacer.explain(kIp, now); }
  std::uint64_t cap(TimePoint now) { return explain(now).cap; }
  void learn(SignalKind kind, std::uint64_t count, TimePoint now) {
    pacer.learn(0, {.kind = kind, .count = count}, now);
  }
  // Sends the rest of today's cap; of it the given numbers come back so, the others are delivered.
  void send_day(TimePoint now, const std::map<SignalKind, std::uint64_t>& others = {}) {
    const std::uint64_t left = pacer.left(0, now);
    pacer.take(0, {}, now, left);
    std::uint64_t delivered = left;
    for (const auto& [kind, count] : others) {
      if (kind != SignalKind::kComplaint) delivered -= std::min(delivered, count);
    }
    learn(SignalKind::kDelivered, delivered, now);
    for (const auto& [kind, count] : others) learn(kind, count, now);
  }
  std::vector<Decision> decisions(DecisionKind kind) {
    std::vector<Decision> found = pacer.take_decisions();
    std::erase_if(found, [kind](const Decision& each) { return each.kind != kind; });
    return found;
  }
};

// ---------------------------------------------------------------------------------------------------------------------
// The end of a day

struct DayCase {
  std::string_view name;
  double sent;  // Of the cap of 1000.
  std::map<SignalKind, std::uint64_t> back;
  bool advances;
  std::string_view why;
};

BOOST_AUTO_TEST_CASE(a_day_must_prove_itself) {
  const DayCase cases[] = {
      {"all delivered", 1, {}, true, "sent 1,000 of 1,000"},
      {"three quarters sent", 0.75, {}, true, "sent 750"},
      {"less than that", 0.74, {}, false, "74 % of the cap"},
      {"few bounces", 1, {{SignalKind::kUnknownUser, 20}}, true, "delivered 980"},
      {"bounces that chance may explain", 1, {{SignalKind::kUnknownUser, 35}}, true, ""},
      {"too many bounces", 1, {{SignalKind::kUnknownUser, 45}}, false, "bounced 4.5 %"},
      {"few deferrals", 1, {{SignalKind::kDeferred, 9}}, true, ""},
      {"too many deferrals", 1, {{SignalKind::kDeferred, 20}}, false, "deferred 2 %"},
      {"too little delivered", 1, {{SignalKind::kRejected, 110}}, false, "delivered 89 %"},
      {"complaints of too few deliveries to tell", 1, {{SignalKind::kComplaint, 9}}, true, ""},
  };
  for (const DayCase& c : cases) {
    BOOST_TEST_CONTEXT(c.name) {
      Fixture f;
      const auto count = static_cast<std::uint64_t>(1'000 * c.sent);
      f.pacer.take(0, {}, day(0), count);
      std::uint64_t delivered = count;
      for (const auto& [kind, n] : c.back) {
        f.learn(kind, n, day(0));
        if (kind != SignalKind::kComplaint) delivered -= n;
      }
      f.learn(SignalKind::kDelivered, delivered, day(0));
      BOOST_TEST(f.cap(day(1)) == (c.advances ? 2'000U : 1'000U));
      const auto found = f.decisions(c.advances ? DecisionKind::kAdvance : DecisionKind::kHold);
      BOOST_REQUIRE(found.size() == 1U);
      BOOST_TEST(found[0].seen.find(c.why) != std::string::npos, found[0].seen);
      BOOST_TEST(found[0].old_value == 1'000U);
      BOOST_TEST(found[0].new_value == (c.advances ? 2'000U : 1'000U));
    }
  }
}

BOOST_AUTO_TEST_CASE(sending_days_count_and_not_days) {
  Fixture f;
  f.send_day(day(0));
  BOOST_TEST(f.cap(day(5)) == 2'000U);
  BOOST_TEST(f.cap(day(9)) == 2'000U);
}

BOOST_AUTO_TEST_CASE(complaints_hold_step_back_and_suspend) {
  struct Case {
    std::string_view name;
    std::uint64_t complaints;  // Of 8,000 delivered.
    std::uint64_t cap;
    PaceState state;
  };
  for (const Case& c :
       {Case{"below", 5, 16'000, PaceState::kWarming}, Case{"hold", 14, 8'000, PaceState::kWarming},
        Case{"step back", 24, 4'000, PaceState::kHeld}, Case{"suspend", 40, 4'000, PaceState::kSuspended}}) {
    BOOST_TEST_CONTEXT(c.name) {
      Fixture f;
      for (int i = 0; i < 3; ++i) f.send_day(day(i));
      f.send_day(day(3));
      f.learn(SignalKind::kComplaint, c.complaints, day(3, 1h));
      BOOST_TEST(to_string(f.explain(day(3, 1h)).state) == to_string(c.state));
      if (c.state != PaceState::kHeld && c.state != PaceState::kSuspended) {
        BOOST_TEST(f.cap(day(4)) == c.cap);
      } else {
        BOOST_TEST(f.cap(day(3, 1h)) == c.cap);
      }
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Replies

BOOST_AUTO_TEST_CASE(beyond_what_it_took_before_the_cap_steps_back) {
  Fixture f;
  f.send_day(day(0));
  f.pacer.take(0, {}, day(1), 1'600);
  f.learn(SignalKind::kDelivered, 1'500, day(1));
  f.learn(SignalKind::kReputation, 2, day(1));
  BOOST_TEST(f.cap(day(1)) == 1'350U);  // Nine tenths of what was taken.
  BOOST_TEST(f.pacer.left(0, day(1)) == 0U);
  const auto found = f.decisions(DecisionKind::kStepBack);
  BOOST_REQUIRE(found.size() == 1U);
  BOOST_TEST(found[0].rule == "reputation_events");
  BOOST_TEST(found[0].old_value == 2'000U);
  BOOST_TEST(found[0].new_value == 1'350U);
  BOOST_TEST(f.cap(day(2)) == 1'350U);  // And the day does not count.
}

BOOST_AUTO_TEST_CASE(below_what_it_took_before_only_the_pace_is_cut) {
  Fixture f;
  f.send_day(day(0));
  f.learn(SignalKind::kDelivered, 300, day(1));
  f.learn(SignalKind::kReputation, 2, day(1));
  BOOST_TEST(f.cap(day(1)) == 2'000U);
  BOOST_TEST(f.explain(day(1)).rate_percent == 50);
}

BOOST_AUTO_TEST_CASE(one_reply_is_no_pattern) {
  Fixture f;
  f.learn(SignalKind::kReputation, 1, day(0));
  f.learn(SignalKind::kBlocked, 1, day(0));
  f.learn(SignalKind::kRateLimited, 2, day(0));
  BOOST_TEST(f.explain(day(0)).rate_percent == 100);
  f.learn(SignalKind::kReputation, 1, day(0, 61min));  // Not in the same hour.
  BOOST_TEST(f.pacer.take_decisions().empty());
}

BOOST_AUTO_TEST_CASE(slow_restart) {
  Fixture f;
  f.pacer.learn(0, {.kind = SignalKind::kRateLimited, .slow_restart = true, .rule = "google.rate_ip"}, day(0, 9h));
  BOOST_TEST((f.pacer.next(0, {}, day(0, 9h)) == day(0, 9h + 10min)));
  BOOST_TEST(f.pacer.connections(0, day(0, 9h)) == 0);
  const TimePoint again = day(0, 9h + 10min);
  BOOST_TEST((f.pacer.next(0, {}, again) == again));
  BOOST_TEST(f.pacer.connections(0, again) == 1);
  BOOST_TEST_CONTEXT("one more at a time, once an hour") {
    int before = 1;
    for (int minutes = 0; minutes < 600; minutes += 10) {
      f.learn(SignalKind::kDelivered, 1, again + std::chrono::minutes(minutes));
      const int now = f.pacer.connections(0, again + std::chrono::minutes(minutes));
      BOOST_TEST(now <= before + 1);
      BOOST_TEST(now <= 1 + minutes / 60);
      before = now;
    }
    BOOST_TEST(before > 1);
  }
  BOOST_TEST_CONTEXT("told again: longer") {
    f.pacer.learn(0, {.kind = SignalKind::kRateLimited, .slow_restart = true}, day(0, 20h));
    BOOST_TEST((f.pacer.next(0, {}, day(0, 20h)) == day(0, 20h + 20min)));
    f.pacer.learn(0, {.kind = SignalKind::kRateLimited, .count = 500, .slow_restart = true}, day(0, 20h + 1min));
    BOOST_TEST(
        (f.pacer.next(0, {}, day(0, 20h + 1min)) == day(0, 20h + 20min)));  // What was open already tells nothing new.
  }
}

BOOST_AUTO_TEST_CASE(suspensions_grow_longer_up_to_four_hours) {
  Fixture f;
  TimePoint now = day(0);
  for (const Duration length : {Duration(30min), Duration(2h), Duration(4h), Duration(4h)}) {
    f.learn(SignalKind::kBlocked, 2, now);
    BOOST_TEST((f.pacer.next(0, {}, now) == now + length));
    now += length;
  }
}

BOOST_AUTO_TEST_CASE(what_needs_a_person_waits_for_one_or_a_day) {
  Fixture f;
  f.pacer.learn(0, {.kind = SignalKind::kBlocked, .needs_operator = true, .rule = "microsoft.block_list"}, day(0));
  BOOST_TEST((f.pacer.next(0, {}, day(0)) == day(1)));
  BOOST_REQUIRE(f.pacer.command(kIp, Command::kResume, day(0, 1h)).has_value());
  BOOST_TEST((f.pacer.next(0, {}, day(0, 1h)) == day(0, 1h)));
}

BOOST_AUTO_TEST_CASE(the_scope_decides_who_pauses) {
  Fixture f;
  BOOST_TEST_CONTEXT("a recipient: nobody") {
    f.pacer.learn(0, {.kind = SignalKind::kDeferred, .scope = SignalScope::kRecipient, .count = 10'000}, day(0, 1h));
    f.pacer.learn(0, {.kind = SignalKind::kDeferred, .scope = SignalScope::kRecipient, .count = 10'000}, day(0, 2h));
    BOOST_TEST(f.pacer.take_decisions().empty());
  }
  BOOST_TEST_CONTEXT("an IP: that IP") {
    f.learn(SignalKind::kBlocked, 2, day(0, 3h));
    BOOST_TEST((f.pacer.next(0, {}, day(0, 3h)) > day(0, 3h)));
    BOOST_TEST((f.pacer.next(1, {}, day(0, 3h)) == day(0, 3h)));
  }
  BOOST_TEST_CONTEXT("a sending domain: it, on all IPs") {
    f.pacer.learn(0,
                  {.kind = SignalKind::kRateLimited,
                   .scope = SignalScope::kSenderDomain,
                   .slow_restart = true,
                   .sender_domain = "a.example"},
                  day(1));
    BOOST_TEST((f.pacer.next(1, {.sender_domain = "a.example"}, day(1)) == day(1) + 10min));
    BOOST_TEST((f.pacer.next(0, {.sender_domain = "b.example"}, day(1)) == day(1)));
    const auto none = f.pacer.resume_domain("b.example", day(1));
    BOOST_REQUIRE(!none);
    BOOST_TEST(none.error().detail == "the From domain b.example is not paused at google");
    BOOST_TEST((none.error().code == ErrorCode::kNotFound));
    BOOST_TEST(!f.pacer.resume_domain("a.example", day(1) + 10min));  // Not any more.
    BOOST_TEST(f.pacer.resume_domain("a.example", day(1)).has_value());
    BOOST_TEST((f.pacer.next(1, {.sender_domain = "a.example"}, day(1)) == day(1)));
    BOOST_TEST(!f.pacer.resume_domain("a.example", day(1)));
  }
}

BOOST_AUTO_TEST_CASE(an_outage_blames_nobody) {
  Fixture f;
  f.learn(SignalKind::kUnreachable, 100'000, day(0, 1h));
  f.learn(SignalKind::kUnreachable, 100'000, day(0, 2h));
  BOOST_TEST(f.pacer.take_decisions().empty());
}

BOOST_AUTO_TEST_CASE(too_many_connections) {
  Fixture f;
  BOOST_TEST(f.pacer.connections(0, day(0)) == 10);
  f.learn(SignalKind::kTooManyConnections, 5, day(0));
  BOOST_TEST(f.pacer.connections(0, day(0)) == 5);
  f.learn(SignalKind::kTooManyConnections, 5, day(0, 30s));  // The same episode.
  BOOST_TEST(f.pacer.connections(0, day(0, 30s)) == 5);
  for (int hour = 1; hour < 20; ++hour) f.learn(SignalKind::kDelivered, 1, day(0, std::chrono::hours(hour)));
  BOOST_TEST(f.pacer.connections(0, day(0, 20h)) == 9);  // Never again that many today.
}

BOOST_AUTO_TEST_CASE(at_most_one_increase_an_hour) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    Fixture f;
    Random random(seed);
    TimePoint last{};
    for (TimePoint now = day(0); now < day(6); now += std::chrono::minutes(1 + random.below(20))) {
      if (f.pacer.next(0, {}, now) > now) continue;
      const std::uint64_t n = std::min<std::uint64_t>(f.pacer.left(0, now), 1 + random.below(50));
      f.pacer.take(0, {}, now, n);
      f.learn(SignalKind::kDelivered, n, now);
      if (random.below(40) == 0)
        f.learn(static_cast<SignalKind>(random.below(kSignalKinds)), 1 + random.below(200), now);
      for (const Decision& each : f.pacer.take_decisions()) {
        if (each.kind != DecisionKind::kRaise) continue;
        BOOST_TEST((each.time - last >= 1h), "seed " << seed << ": " << each.str());
        last = each.time;
      }
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Under a provider that does not change

// The caps of `days` days at a provider that takes `capacity` a day and refuses the rest.
std::vector<std::uint64_t> settle(std::uint64_t capacity, int days, std::uint64_t seed) {
  Pacer pacer({.provider = kGoogle,
               .ips = {{kIp, *Curve::preset("adaptive")}},
               .settings = settings_of("* ip messages_per_second=0\n")});
  Random random(seed);
  std::vector<std::uint64_t> caps;
  for (int number = 0; number < days; ++number) {
    std::uint64_t taken = 0;
    for (TimePoint now = day(number); now < day(number + 1); now += 5min) {
      while (pacer.next(0, {}, now) <= now && pacer.left(0, now) > 0) {
        const std::uint64_t n = std::min<std::uint64_t>(pacer.left(0, now), 1 + random.below(capacity / 200 + 2));
        pacer.take(0, {}, now, n);
        const std::uint64_t good = std::min(n, capacity - taken);
        taken += good;
        if (good > 0) pacer.learn(0, {.kind = SignalKind::kDelivered, .count = good}, now);
        if (n > good) pacer.learn(0, {.kind = SignalKind::kReputation, .count = n - good}, now);
      }
    }
    caps.push_back(pacer.explain(kIp, day(number + 1) - 1ns)->cap);
  }
  return caps;
}

BOOST_AUTO_TEST_CASE(it_comes_to_rest) {
  for (const std::uint64_t capacity : {1'500U, 20'000U, 300'000U}) {
    for (std::uint64_t seed = 1; seed <= 2; ++seed) {
      BOOST_TEST_CONTEXT("capacity " << capacity << ", seed " << seed) {
        const auto caps = settle(capacity, 120, seed);
        const auto c = static_cast<double>(capacity);
        int changes = 0;
        for (std::size_t i = 60; i < caps.size(); ++i) {
          BOOST_TEST(static_cast<double>(caps[i]) >= 0.75 * c);
          BOOST_TEST(static_cast<double>(caps[i]) <= 1.25 * c);
          changes += caps[i] != caps[i - 1] ? 1 : 0;
        }
        BOOST_TEST(changes <= 24);  // In sixty days: it mostly stays where it is.
      }
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Permits

BOOST_AUTO_TEST_CASE(sleeps_until_exactly_the_next_permit) {
  Pacer pacer(
      {.provider = kGoogle, .ips = {{kIp}}, .settings = settings_of("google ip messages_per_second=10 burst=1")});
  TimePoint now = day(0);
  for (int i = 0; i < 100; ++i) {
    BOOST_TEST((pacer.next(0, {}, now) == now));
    pacer.take(0, {}, now);
    now += 100ms;
    BOOST_TEST((pacer.next(0, {}, now - 1ns) == now));
  }
}

BOOST_AUTO_TEST_CASE(a_process_that_begins_does_not_burst) {
  const auto settings = settings_of("google ip messages_per_second=0 messages_per_hour=100");
  Pacer fresh({.provider = kGoogle, .ips = {{kIp}}, .settings = settings});
  Pacer again({.provider = kGoogle, .ips = {{kIp}}, .settings = settings, .started = day(0)});
  BOOST_TEST((fresh.next(0, {}, day(0)) == day(0)));
  BOOST_TEST((again.next(0, {}, day(0)) > day(0)));
  BOOST_TEST((again.next(0, {}, day(0)) <= day(0) + 1min));
}

// However often it begins anew: each subject has a limit of its own that the day's mail would be well above.
BOOST_AUTO_TEST_CASE(processes_that_begin_again_and_again_stay_within_the_day) {
  const Draw draw{.site = "mx1.example", .campaign = "spring", .account = "acme", .sender_domain = "a.example"};
  for (const char* const subject : {"total", "ip", "site", "campaign", "account", "domain"}) {
    const auto settings = settings_of("* " + std::string(subject) + " messages_per_day=100");
    int sent = 0;
    for (int run = 0; run < 20; ++run) {
      const TimePoint begins = day(0, std::chrono::minutes(run));
      Pacer pacer({.provider = kGoogle, .ips = {{kIp}}, .settings = settings, .started = begins});
      for (TimePoint now = begins; now < begins + 1min; now += 1s) {
        if (pacer.next(0, draw, now) > now) continue;
        pacer.take(0, draw, now);
        ++sent;
      }
    }
    BOOST_TEST(sent <= 100, subject << ": " << sent);
  }
}

BOOST_AUTO_TEST_CASE(without_a_controller_nothing_is_learned) {
  Pacer pacer({.provider = kGoogle,
               .ips = {{kIp, *Curve::parse("100,200")}},
               .settings = settings_of(kLoose),
               .adaptive = false});
  pacer.take(0, {}, day(0), 1);
  for (int i = 0; i < 5; ++i)
    pacer.learn(0, {.kind = SignalKind::kBlocked, .count = 1'000}, day(0, std::chrono::minutes(i)));
  BOOST_TEST((pacer.next(0, {}, day(0)) == day(0)));
  BOOST_TEST(pacer.explain(kIp, day(1))->cap == 200U);  // A day on which something was sent.
  BOOST_TEST(pacer.take_decisions().empty());
}

BOOST_AUTO_TEST_CASE(all_ips_together_and_named_subjects) {
  Pacer pacer(
      {.provider = kGoogle,
       .ips = {{kIp}, {"192.0.2.2"}},
       .settings = settings_of("google total messages_per_second=1 burst=1\n* campaign:spring messages_per_hour=1\n"
                               "* account messages_per_minute=1\n")});
  BOOST_TEST((pacer.next(0, {}, day(0)) == day(0)));
  pacer.take(0, {.campaign = "spring", .account = "a"}, day(0));
  BOOST_TEST((pacer.next(1, {}, day(0)) == day(0) + 1s));
  BOOST_TEST((pacer.next(1, {.campaign = "autumn"}, day(0)) == day(0) + 1s));
  BOOST_TEST((pacer.next(1, {.campaign = "spring"}, day(0)) == day(0) + 1h));
  BOOST_TEST((pacer.next(1, {.account = "a"}, day(0)) == day(0) + 1min));
  BOOST_TEST((pacer.next(1, {.account = "b"}, day(0)) == day(0) + 1s));
  pacer.refund(0, {.campaign = "spring", .account = "a"}, day(0));
  BOOST_TEST((pacer.next(1, {.campaign = "spring", .account = "a"}, day(0)) == day(0)));
}

BOOST_AUTO_TEST_CASE(limits_change_while_running) {
  Fixture f;
  f.pacer.change(settings_of("google ip connections=2 messages_per_second=1 burst=1"), day(0));
  BOOST_TEST(f.pacer.limits(0).connections == 2);
  BOOST_TEST(f.pacer.connections(0, day(0)) == 2);
  f.pacer.take(0, {}, day(0));
  BOOST_TEST((f.pacer.next(0, {}, day(0)) == day(0) + 1s));
  f.pacer.change(f.settings, day(0));
  BOOST_TEST((f.pacer.next(0, {}, day(0)) == day(0)));
}

// Random lanes, times and refunds: what the IPs have used is what the provider has used, and no cap is passed.
BOOST_AUTO_TEST_CASE(sums_over_ips_are_the_providers) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Random random(seed);
    PacerOptions options{.provider = kGoogle, .ips = {}, .settings = settings_of(kLoose)};
    for (int i = 0; i < 4; ++i) options.ips.push_back({"192.0.2." + std::to_string(i), *Curve::parse("30,60,120")});
    Pacer pacer(options);
    std::map<std::pair<int, std::int64_t>, std::uint64_t> sent;  // By IP and day.
    TimePoint now = day(0);
    for (int step = 0; step < 500; ++step) {
      now += std::chrono::minutes(random.below(60));
      const std::size_t ip = random.below(4);
      if (pacer.next(ip, {}, now) > now) continue;
      const std::uint64_t n = std::min<std::uint64_t>(1 + random.below(10), pacer.left(ip, now));
      pacer.take(ip, {}, now, n);
      std::uint64_t refunded = 0;
      if (n == 1 && random.below(3) == 0) {
        pacer.refund(ip, {}, now);
        refunded = 1;
      }
      const std::int64_t today = std::chrono::floor<std::chrono::days>(now).time_since_epoch().count();
      sent[{static_cast<int>(ip), today}] += n - refunded;
      std::uint64_t of_today = 0;
      for (const auto& [key, count] : sent) of_today += key.second == today ? count : 0;
      BOOST_REQUIRE_EQUAL(pacer.used(now), of_today);
      const Explanation e = *pacer.explain("192.0.2." + std::to_string(ip), now);
      BOOST_REQUIRE(e.used <= e.cap);
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// The operator

BOOST_AUTO_TEST_CASE(commands) {
  Fixture f;
  BOOST_TEST((f.pacer.command("192.0.2.9", Command::kPause, day(0)).error().code == ErrorCode::kNotFound));
  BOOST_TEST((f.pacer.command("192.0.2.2", Command::kSkipDay, day(0)).error().code ==
              ErrorCode::kInvalidArgument));  // No curve.
  BOOST_TEST((f.pacer.command(kIp, Command::kPin, day(0), kNoCap).error().code == ErrorCode::kInvalidArgument));
  BOOST_TEST_CONTEXT("pause and resume") {
    BOOST_REQUIRE(f.pacer.command(kIp, Command::kPause, day(0)).has_value());
    BOOST_TEST((f.pacer.next(0, {}, day(0)) == kNever));
    BOOST_TEST(to_string(f.explain(day(0)).state) == "paused");
    BOOST_REQUIRE(f.pacer.command(kIp, Command::kResume, day(0)).has_value());
    BOOST_TEST((f.pacer.next(0, {}, day(0)) == day(0)));
  }
  BOOST_TEST_CONTEXT("skip a day") {
    BOOST_REQUIRE(f.pacer.command(kIp, Command::kSkipDay, day(0)).has_value());
    BOOST_TEST(f.cap(day(0)) == 2'000U);
  }
  BOOST_TEST_CONTEXT("repeat a day") {
    f.send_day(day(0));
    BOOST_REQUIRE(f.pacer.command(kIp, Command::kRepeatDay, day(0)).has_value());
    BOOST_TEST(f.cap(day(1)) == 2'000U);
    f.send_day(day(1));
    BOOST_TEST(f.cap(day(2)) == 4'000U);
  }
  BOOST_TEST_CONTEXT("pin: whatever comes back") {
    BOOST_REQUIRE(f.pacer.command(kIp, Command::kPin, day(2), 123).has_value());
    f.learn(SignalKind::kReputation, 500, day(2));
    f.send_day(day(2));
    BOOST_TEST(f.cap(day(3)) == 123U);
    BOOST_TEST(to_string(f.explain(day(3)).state) == "pinned");
    BOOST_REQUIRE(f.pacer.command(kIp, Command::kUnpin, day(3)).has_value());
    BOOST_TEST(f.cap(day(3)) == 4'000U);
  }
  for (const Decision& each : f.decisions(DecisionKind::kOperator)) BOOST_TEST(each.rule.starts_with("operator."));
}

BOOST_AUTO_TEST_CASE(explains_itself) {
  Fixture f;
  f.send_day(day(0));
  f.pacer.take(0, {}, day(1, 2h), 1'200);
  f.learn(SignalKind::kDelivered, 1'200, day(1, 2h));
  const Explanation e = f.explain(day(1, 2h));
  BOOST_TEST(e.cap == 2'000U);
  BOOST_TEST(e.used == 1'200U);
  BOOST_TEST(e.next_cap == 4'000U);
  BOOST_TEST(e.day == 1U);
  BOOST_REQUIRE(!e.to_advance.empty());
  BOOST_TEST(e.to_advance[0].name == "sent today");
  BOOST_TEST(e.to_advance[0].need == 1'500);
  BOOST_TEST(!e.to_advance[0].met);
  const std::string text = e.str();
  for (const std::string_view part :
       {"192.0.2.1 at google: warming", "sending day 2 of 7", "1,200 sent of 2,000", "sent today at least 1,500",
        "advance (day)", "smoothing = 24  test:2, for everybody"}) {
    BOOST_TEST(text.find(part) != std::string::npos, part << " is not in\n" << text);
  }
  BOOST_TEST((f.pacer.explain("192.0.2.9", day(0)).error().code == ErrorCode::kNotFound));
}

BOOST_AUTO_TEST_CASE(decisions_that_nobody_takes_are_bounded) {
  Fixture f;
  for (int i = 0; i < 3'000; ++i) static_cast<void>(f.pacer.command(kIp, Command::kResume, day(0)));
  BOOST_TEST(f.pacer.take_decisions().size() <= Pacer::kDecisionsMax);
}

}  // namespace
}  // namespace mailsbuddy::warming
