#include <boost/test/unit_test.hpp>
#include <chrono>
#include <limits>
#include <random>

#include "mailsbuddy/warming.h"

namespace mailsbuddy::warming {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kStart{std::chrono::seconds(1'790'000'000)};

bool conforms(const RateLimiter& limiter, TimePoint now) { return limiter.next(now) <= now; }

// How many events may go at one instant, up to `most`.
int burst_at(RateLimiter& limiter, TimePoint now, int most = 1000) {
  int count = 0;
  for (; count < most && conforms(limiter, now); ++count) limiter.take(now);
  return count;
}

struct BurstCase {
  std::string_view name;
  double per_second;
  double burst;
  int at_once;
  Duration interval;  // Until the next one after that.
};
constexpr BurstCase kBursts[] = {
    {.name = "no burst", .per_second = 10, .burst = 1, .at_once = 1, .interval = 100ms},
    {.name = "burst below one is one", .per_second = 10, .burst = 0, .at_once = 1, .interval = 100ms},
    {.name = "ten at once", .per_second = 100, .burst = 10, .at_once = 10, .interval = 10ms},
    {.name = "an interval that is no whole number, rounded down",
     .per_second = 3,
     .burst = 10,
     .at_once = 10,
     .interval = 333'333'333ns},
    {.name = "an interval that is no whole number, rounded up",
     .per_second = 6,
     .burst = 10,
     .at_once = 10,
     .interval = 166'666'667ns},
    {.name = "less than one a second", .per_second = 1.0 / 60, .burst = 2, .at_once = 2, .interval = 1min},
    {.name = "a million a second", .per_second = 1e6, .burst = 100, .at_once = 100, .interval = 1us},
};

BOOST_AUTO_TEST_CASE(takes_a_burst_then_one_an_interval) {
  for (const BurstCase& c : kBursts) {
    BOOST_TEST_CONTEXT(c.name) {
      RateLimiter limiter(c.per_second, c.burst);
      BOOST_TEST(burst_at(limiter, kStart) == c.at_once);
      BOOST_TEST((limiter.next(kStart) - kStart).count() == c.interval.count());
      BOOST_TEST(!conforms(limiter, kStart + c.interval - 1ns));
      BOOST_TEST(burst_at(limiter, kStart + c.interval) == 1);
      // After a long silence the whole burst is there again, and no more.
      BOOST_TEST(burst_at(limiter, kStart + 24h) == c.at_once);
    }
  }
}

BOOST_AUTO_TEST_CASE(unlimited) {
  for (const double per_second : {0.0, -1.0, std::numeric_limits<double>::quiet_NaN()}) {
    RateLimiter limiter(per_second, 1);
    BOOST_TEST(burst_at(limiter, kStart) == 1000);
  }
  RateLimiter limiter;
  BOOST_TEST(burst_at(limiter, kStart) == 1000);
}

BOOST_AUTO_TEST_CASE(a_rate_near_nothing_does_not_overflow) {
  RateLimiter limiter(1e-300, 1e300);
  BOOST_TEST(burst_at(limiter, kStart) >= 1);
  BOOST_TEST(!conforms(limiter, kStart));
  BOOST_TEST((limiter.next(kStart) > kStart));
}

// Sends whenever it may, waking exactly when next() says, for a simulated day.
BOOST_AUTO_TEST_CASE(exact_over_a_day) {
  for (const double per_second : {0.5, 1.0, 3.0, 7.3, 25.0}) {
    BOOST_TEST_CONTEXT(per_second) {
      RateLimiter limiter(per_second, 10);
      const TimePoint end = kStart + 24h;
      std::int64_t sent = 0;
      for (TimePoint now = kStart; now < end; ++sent) {
        now = std::max(now, limiter.next(now));
        if (now >= end) break;
        limiter.take(now);
      }
      const double expected = per_second * 86'400 + 9;  // The burst, of which one belongs to the first interval.
      BOOST_TEST(std::abs(static_cast<double>(sent) - expected) <= 1.0);
    }
  }
}

// At random times, no window of any length has more than its share and the burst.
BOOST_AUTO_TEST_CASE(no_window_has_more_than_its_share) {
  constexpr double kPerSecond = 10;
  constexpr double kBurst = 5;
  RateLimiter limiter(kPerSecond, kBurst);
  std::mt19937_64 random(11);
  std::vector<TimePoint> sent;
  for (TimePoint now = kStart; sent.size() < 2000; now += Duration(random() % 150'000'000)) {
    if (!conforms(limiter, now)) continue;
    limiter.take(now);
    sent.push_back(now);
  }
  for (std::size_t first = 0; first < sent.size(); first += 7) {
    for (std::size_t last = first; last < std::min(first + 200, sent.size()); ++last) {
      const double seconds = std::chrono::duration<double>(sent[last] - sent[first]).count();
      if (static_cast<double>(last - first + 1) > seconds * kPerSecond + kBurst + 1e-6) {
        BOOST_ERROR("too many from " << first << " to " << last);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(remembers_what_went_without_leave) {
  RateLimiter limiter(10, 1);
  for (int i = 0; i < 5; ++i) limiter.take(kStart);
  BOOST_TEST((limiter.next(kStart) == kStart + 500ms));
}

BOOST_AUTO_TEST_CASE(refund_takes_back_one) {
  RateLimiter limiter(10, 2);
  BOOST_TEST(burst_at(limiter, kStart) == 2);
  limiter.refund();
  BOOST_TEST(burst_at(limiter, kStart) == 1);
  limiter.refund();
  limiter.refund();
  BOOST_TEST(burst_at(limiter, kStart) == 2);
}

}  // namespace
}  // namespace mailsbuddy::warming
