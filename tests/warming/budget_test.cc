#include <boost/test/unit_test.hpp>
#include <chrono>
#include <limits>

#include "mailsbuddy/warming.h"

namespace mailsbuddy::warming {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kMidnight{std::chrono::days(20'780)};
constexpr std::uint64_t kNoCap = std::numeric_limits<std::uint64_t>::max();

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
  BOOST_TEST(b.left(day(400)) == 4U);
  BOOST_TEST(b.day() == 1U);
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
  take_all(b, day(1));
  BOOST_TEST(b.left(day(0)) == 0U);
  BOOST_TEST(b.left(day(1)) == 0U);
}

}  // namespace
}  // namespace mailsbuddy::warming
