#include <boost/test/unit_test.hpp>
#include <chrono>
#include <limits>
#include <map>

#include "mailsbuddy/warming.h"

namespace mailsbuddy::warming {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kMidnight{std::chrono::days(20'780)};

TimePoint day(int number, Duration hour = 12h) { return kMidnight + std::chrono::days(number) + hour; }
Budget budget() { return Budget(Curve{.name = "test", .daily = {2, 4, 8}}); }

void take_all(Budget& budget, TimePoint now) {
  while (budget.left(now) > 0) budget.take(now);
}

BOOST_AUTO_TEST_CASE(no_curve_no_cap) {
  Budget plain;
  Budget empty(Curve{.name = "empty", .daily = {}});
  for (Budget* budget : {&plain, &empty}) {
    BOOST_TEST(budget->left(day(0)) == kNoCap);
    budget->take(day(0));
    BOOST_TEST(budget->left(day(0)) == kNoCap);
    BOOST_TEST(budget->cap() == kNoCap);
    BOOST_TEST(budget->used() == 1U);
  }
}

BOOST_AUTO_TEST_CASE(follows_the_curve_day_by_day_and_stays_at_its_end) {
  Budget b = budget();
  const std::uint64_t caps[] = {2, 4, 8, 8, 8};
  for (int i = 0; i < 5; ++i) {
    BOOST_TEST_CONTEXT(i) {
      BOOST_TEST(b.left(day(i)) == caps[i]);
      BOOST_TEST(b.cap() == caps[i]);
      BOOST_TEST(b.day() == static_cast<std::uint64_t>(i));
      take_all(b, day(i));
      BOOST_TEST(b.left(day(i)) == 0U);
      BOOST_TEST(b.used() == caps[i]);
    }
  }
}

BOOST_AUTO_TEST_CASE(days_without_sending_do_not_count) {
  Budget b = budget();
  b.take(day(0));
  BOOST_TEST(b.left(day(9)) == 4U);  // The second sending day.
  BOOST_TEST(b.left(day(10)) == 4U);
  BOOST_TEST(b.left(day(30)) == 4U);
  BOOST_TEST(b.day() == 1U);
}

BOOST_AUTO_TEST_CASE(thirty_idle_days_halve_it_and_thirty_more_again) {
  struct Case {
    std::string_view name;
    int idle_days;
    std::uint64_t cap;
  };
  for (const Case& c : {Case{"the next day", 0, 32}, Case{"29 days", 29, 32}, Case{"30 days", 30, 16},
                        Case{"59 days", 59, 16}, Case{"60 days", 60, 8}, Case{"a year", 365, 2}}) {
    BOOST_TEST_CONTEXT(c.name) {
      Budget b(Curve{.name = "test", .daily = {2, 4, 8, 16, 32}});
      for (int i = 0; i < 5; ++i) b.take(day(i));
      BOOST_TEST(b.left(day(5 + c.idle_days)) == c.cap);
    }
  }
}

BOOST_AUTO_TEST_CASE(days_begin_where_the_zone_says) {
  Budget b(Curve{.name = "test", .daily = {2, 4}}, Zone(std::chrono::hours(-5)));  // New York in winter.
  take_all(b, day(0, 12h));
  BOOST_TEST(b.left(day(1, 5h) - 1ns) == 0U);
  BOOST_TEST((b.next(day(1, 4h)) == day(1, 5h)));
  BOOST_TEST(b.left(day(1, 5h)) == 4U);
}

// A day of 23 or 25 hours has one cap, as every day, and each of its hours one share.
BOOST_AUTO_TEST_CASE(days_on_which_the_clocks_are_put) {
  const Zone berlin = *Zone::parse("CET-1CEST,M3.5.0,M10.5.0/3");
  struct Case {
    std::string_view name;
    std::chrono::year_month_day date;
    int hours;
  };
  using namespace std::chrono;
  for (const Case& c : {Case{"spring", 2027y / 3 / 28, 23}, Case{"autumn", 2026y / 10 / 25, 25}, Case{"any", 2026y / 7 / 1, 24}}) {
    BOOST_TEST_CONTEXT(c.name) {
      const std::int64_t number = sys_days(c.date).time_since_epoch().count();
      const TimePoint begins = berlin.day_start(number);
      Budget b(Curve{.name = "test", .daily = {1'000, 2'000}, .hour_share = 0.1}, berlin);
      BOOST_TEST((b.next_day(begins) == begins + hours(c.hours)));
      std::uint64_t sent = 0;
      for (int hour = 0; hour < c.hours; ++hour) {
        const TimePoint now = begins + hours(hour) + 59min;
        const std::uint64_t may = b.left(now);
        BOOST_TEST(may == (hour < 10 ? 100U : 0U), "hour " << hour);
        b.take(now, may);
        sent += may;
        BOOST_TEST((b.next(now) == (hour < 9 ? begins + hours(hour + 1) : begins + hours(c.hours))));
      }
      BOOST_TEST(sent == 1'000U);
      BOOST_TEST(b.left(begins + hours(c.hours) - 1ns) == 0U);
      BOOST_TEST(b.left(begins + hours(c.hours)) == 200U);
      BOOST_TEST(b.day() == 1U);
    }
  }
}

// A year and a half of hours in zones that do odd things at midnight: each calendar day is granted its cap, once.
BOOST_AUTO_TEST_CASE(every_day_is_granted_once_in_every_zone) {
  for (const std::string_view rule : {"CET-1CEST,M3.5.0,M10.5.0/3", "NST3:30NDT,M3.2.0/0:01,M11.1.0/0:01",
                                      "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "CST5CDT,M3.2.0/0,M11.1.0/1"}) {
    const Zone zone = *Zone::parse(rule);
    Budget b(Curve{.name = "test", .daily = {8}}, zone);
    std::map<std::int64_t, std::uint64_t> sent;
    const TimePoint end = kMidnight + 550 * 24h;
    for (TimePoint now = zone.day_start(zone.day(kMidnight)); now < end; now += 10min) {
      const std::uint64_t may = b.left(now);
      b.take(now, may);
      sent[zone.day(now)] += may;
    }
    for (const auto& [calendar_day, count] : sent) BOOST_TEST(count == 8U, rule << " day " << calendar_day);
  }
}

BOOST_AUTO_TEST_CASE(hours_of_a_day) {
  Budget b(Curve{.name = "test", .daily = {240}, .hour_share = 1.0 / 24});
  BOOST_TEST(b.left(day(0, 10h)) == 10U);
  b.take(day(0, 10h), 10);
  BOOST_TEST(b.left(day(0, 10h + 59min)) == 0U);
  BOOST_TEST((b.next(day(0, 10h + 1min)) == day(0, 11h)));
  BOOST_TEST(b.left(day(0, 11h)) == 10U);
  BOOST_TEST_CONTEXT("a clock set back gives no second hour") {
    b.take(day(0, 11h), 10);
    BOOST_TEST(b.left(day(0, 10h)) == 0U);
    BOOST_TEST((b.next(day(0, 10h)) == day(0, 12h)));
  }
  BOOST_TEST_CONTEXT("a refund of an earlier hour is of the day alone") {
    b.refund(day(0, 10h + 30min), 3);
    BOOST_TEST(b.used() == 17U);
    BOOST_TEST(b.left(day(0, 11h)) == 0U);
  }
}

// Whatever a clock does, what goes on a day of the calendar is that day's cap at most: here the largest of the curve.
BOOST_AUTO_TEST_CASE(no_day_is_granted_twice_by_a_jumping_clock) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    Random random(seed);
    Budget b = budget();
    std::map<std::int64_t, std::uint64_t> sent;
    std::int64_t hours = 20'780 * 24;
    for (int step = 0; step < 400; ++step) {
      const std::uint64_t what = random.below(20);
      hours += what == 0   ? static_cast<std::int64_t>(random.below(24 * 200))
               : what == 1 ? -static_cast<std::int64_t>(random.below(24 * 200))
                           : static_cast<std::int64_t>(random.below(8));
      const TimePoint now{std::chrono::hours(hours)};
      while (b.left(now) > 0) {
        b.take(now);
        ++sent[hours >= 0 ? hours / 24 : (hours - 23) / 24];
      }
    }
    for (const auto& [calendar_day, count] : sent)
      BOOST_TEST(count <= 8U, "seed " << seed << " day " << calendar_day << ": " << count);
  }
}

BOOST_AUTO_TEST_CASE(a_clock_that_was_ahead_for_a_moment_costs_a_day_and_no_more) {
  Budget b = budget();
  take_all(b, day(0));
  take_all(b, day(200));  // A wrong clock, for a moment.
  BOOST_TEST(b.left(day(0, 20h)) == 0U);
  BOOST_TEST(b.left(day(1)) > 0U);  // Not in 200 days.
  take_all(b, day(1));
  BOOST_TEST(b.left(day(200)) == 0U);  // That day was granted.
  BOOST_TEST(b.left(day(201)) > 0U);
}

BOOST_AUTO_TEST_CASE(the_day_begins_at_midnight_utc) {
  Budget b = budget();
  take_all(b, day(0, 0h));
  BOOST_TEST(b.left(day(1, 0h) - 1ns) == 0U);
  BOOST_TEST(b.left(day(1, 0h)) == 4U);
  BOOST_TEST((b.next_day(day(0)) == day(1, 0h)));
  BOOST_TEST((b.next_day(day(1, 0h)) == day(2, 0h)));
  BOOST_TEST((b.next_day(day(1, 0h) - 1ns) == day(1, 0h)));
}

BOOST_AUTO_TEST_CASE(take_opens_the_day_too) {
  Budget b = budget();
  b.take(day(0));
  b.take(day(1));
  BOOST_TEST(b.day() == 1U);
  BOOST_TEST(b.used() == 1U);
}

BOOST_AUTO_TEST_CASE(more_than_the_cap_leaves_nothing) {
  Budget b = budget();
  for (int i = 0; i < 5; ++i) b.take(day(0));
  BOOST_TEST(b.left(day(0)) == 0U);
}

BOOST_AUTO_TEST_CASE(refunds) {
  Budget b = budget();
  take_all(b, day(0));
  b.refund(day(0));
  BOOST_TEST(b.left(day(0)) == 1U);

  BOOST_TEST_CONTEXT("of an earlier day is worth nothing") {
    b.take(day(1));
    b.refund(day(0));
    BOOST_TEST(b.left(day(1)) == 3U);
  }
  BOOST_TEST_CONTEXT("a day on which all was refunded does not count") {
    b.refund(day(1));
    BOOST_TEST(b.left(day(2)) == 4U);
    BOOST_TEST(b.day() == 1U);
  }
  BOOST_TEST_CONTEXT("of nothing is nothing") {
    b.refund(day(2));
    BOOST_TEST(b.left(day(2)) == 4U);
  }
}

BOOST_AUTO_TEST_CASE(a_clock_set_back_gives_no_second_day) {
  Budget b = budget();
  take_all(b, day(0));
  take_all(b, day(1));
  BOOST_TEST(b.left(day(0)) == 0U);
  BOOST_TEST((b.next(day(0)) == day(1, 0h)));
  BOOST_TEST(b.left(day(1)) == 0U);
}

}  // namespace
}  // namespace mailsbuddy::warming
