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

// ---------------------------------------------------------------------------------------------------------------------
// Windows

struct WindowCase {
  std::string_view name;
  std::uint64_t count;
  Duration period;
  std::uint64_t burst;
};
constexpr WindowCase kWindows[] = {
    {.name = "one a minute", .count = 1, .period = 1min, .burst = 1},
    {.name = "evenly", .count = 7, .period = 1s, .burst = 1},
    {.name = "a tenth at once", .count = 50, .period = 1min, .burst = 5},
    {.name = "half at once", .count = 30, .period = 1h, .burst = 15},
    {.name = "all at once", .count = 12, .period = 1h, .burst = 12},
    {.name = "more at once than there are", .count = 3, .period = 1h, .burst = 100},
    {.name = "a period that does not divide", .count = 7, .period = 100ns, .burst = 3},
};

// The most events in any half-open span of `period`.
std::size_t densest(const std::vector<TimePoint>& sent, Duration period) {
  std::size_t most = 0;
  for (std::size_t first = 0, last = 0; last < sent.size(); ++last) {
    while (sent[last] - sent[first] >= period) ++first;
    most = std::max(most, last - first + 1);
  }
  return most;
}

BOOST_AUTO_TEST_CASE(no_window_has_more_than_its_count) {
  for (const WindowCase& c : kWindows) {
    for (std::uint64_t seed = 1; seed <= 8; ++seed) {
      BOOST_TEST_CONTEXT(c.name << ", seed " << seed) {
        Random random(seed);
        RateLimiter limiter = RateLimiter::window(c.count, c.period, c.burst);
        std::vector<TimePoint> sent;
        TimePoint now = kStart;
        for (int i = 0; i < 2'000; ++i) {
          if (random.below(50) == 0) {
            now += c.period * static_cast<std::int64_t>(random.below(4));
          } else if (random.below(2) == 0) {
            now = std::max(now, limiter.next(now));  // Exactly when it may.
          } else {
            now +=
                Duration(static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(c.period.count() / 2 + 1))));
          }
          if (!conforms(limiter, now)) continue;
          limiter.take(now);
          if (random.below(10) == 0) {
            limiter.refund();  // It did not go after all.
          } else {
            sent.push_back(now);
          }
          if (random.below(100) == 0) {  // A crash: all that is known is the time.
            limiter = RateLimiter::window(c.count, c.period, c.burst);
            limiter.exhaust(now);
          }
        }
        BOOST_TEST(sent.size() > 20U);
        BOOST_TEST(densest(sent, c.period) <= c.count);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_window_gives_what_it_promises) {
  RateLimiter limiter = RateLimiter::window(100, 1h, 10);
  BOOST_TEST(burst_at(limiter, kStart) == 10);
  std::vector<TimePoint> sent;
  for (TimePoint now = kStart + 1ns; now < kStart + 24h;) {
    now = std::max(now, limiter.next(now));
    limiter.take(now);
    sent.push_back(now);
  }
  BOOST_TEST(sent.size() >= 91U * 24 - 1);  // count - burst + 1 an hour.
}

BOOST_AUTO_TEST_CASE(several_at_once) {
  RateLimiter limiter(10, 5);
  BOOST_TEST((limiter.next(kStart, 5) <= kStart));
  limiter.take(kStart, 5);
  BOOST_TEST((limiter.next(kStart, 2) == kStart + 200ms));
  BOOST_TEST_CONTEXT("more than the burst go when nothing is owed, and are owed whole") {
    BOOST_TEST((limiter.next(kStart, 50) == kStart + 500ms));
    limiter.take(kStart + 500ms, 50);
    BOOST_TEST((limiter.next(kStart + 500ms) == kStart + 500ms + 4'600ms));
  }
}

BOOST_AUTO_TEST_CASE(another_pace_keeps_what_is_owed) {
  RateLimiter limiter(10, 1);
  for (int i = 0; i < 4; ++i) limiter.take(kStart);
  limiter.change(RateLimiter(1, 1), kStart);
  BOOST_TEST((limiter.next(kStart) == kStart + 4s));
  limiter.change(RateLimiter(), kStart);
  BOOST_TEST(conforms(limiter, kStart));
}

// ---------------------------------------------------------------------------------------------------------------------
// Throttle

static_assert(sizeof(Throttle) < 200, "10,000 lanes of 50 IPs are 100 MB at 200 octets each");

BOOST_AUTO_TEST_CASE(a_throttle_keeps_every_window_at_once) {
  const Limits limits{.messages_per_second = 5,
                      .burst = 20,
                      .messages_per_minute = 60,
                      .messages_per_hour = 600,
                      .messages_per_day = 2'000,
                      .bytes_per_minute = 500'000};
  Random random(3);
  Throttle throttle(limits);
  std::vector<TimePoint> sent;
  std::vector<std::pair<TimePoint, std::uint64_t>> bytes;
  for (TimePoint now = kStart; now < kStart + 50h;) {
    const std::uint64_t size = 1'000 + random.below(9'000);
    const TimePoint at = throttle.next(now, size);
    if (at > now) {
      BOOST_REQUIRE(!throttle.try_take(now, size));
      now = at;
    }
    BOOST_REQUIRE(throttle.try_take(now, size));
    sent.push_back(now);
    bytes.emplace_back(now, size);
  }
  BOOST_TEST(densest(sent, 1min) <= 60U);
  BOOST_TEST(densest(sent, 1h) <= 600U);
  BOOST_TEST(densest(sent, 24h) <= 2'000U);
  BOOST_TEST(sent.size() > 3'000U);
  std::uint64_t in_minute = 0;
  for (std::size_t first = 0, last = 0; last < bytes.size(); ++last) {
    in_minute += bytes[last].second;
    while (bytes[last].first - bytes[first].first >= 1min) in_minute -= bytes[first++].second;
    BOOST_REQUIRE(in_minute <= 500'000U);
  }
}

BOOST_AUTO_TEST_CASE(a_refused_take_takes_nothing) {
  Throttle throttle(Limits{.messages_per_second = 0, .messages_per_hour = 10, .bytes_per_minute = 1'000});
  BOOST_TEST(throttle.try_take(kStart, 500));
  for (int i = 0; i < 100; ++i) BOOST_TEST(!throttle.try_take(kStart, 500));
  BOOST_TEST((throttle.next(kStart, 0) > kStart));  // Its hour, which the refused did not make longer:
  BOOST_TEST((throttle.next(kStart, 0) <= kStart + 6min));
}

BOOST_AUTO_TEST_CASE(a_refund_is_of_all_windows) {
  Throttle throttle(Limits{.messages_per_second = 1, .burst = 1, .messages_per_hour = 1, .bytes_per_minute = 100});
  BOOST_TEST(throttle.try_take(kStart, 100));
  BOOST_TEST((throttle.next(kStart, 100) == kStart + 1h));
  throttle.refund(100);
  BOOST_TEST(throttle.try_take(kStart, 100));
}

BOOST_AUTO_TEST_CASE(new_connections_are_paced_apart) {
  Throttle throttle(Limits{.messages_per_second = 0, .connections_per_minute = 10});
  BOOST_TEST((throttle.next_connection(kStart) == kStart));
  throttle.take_connection(kStart);
  BOOST_TEST((throttle.next_connection(kStart) == kStart + 6s));
  BOOST_TEST((throttle.next(kStart) == kStart));
}

}  // namespace
}  // namespace mailsbuddy::warming
