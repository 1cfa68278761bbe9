#include "core/base/timer_wheel.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <functional>
#include <map>
#include <memory>
#include <vector>

namespace mailsbuddy {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kStart{1'700'000'000s};

// Timers by name, and the names in the order in which they fired.
struct Fixture {
  TimerWheel wheel{kStart};
  std::vector<int> fired;
  std::map<int, std::unique_ptr<Timer>> timers;
  std::map<int, std::function<void()>> on_fire;

  void arm(int name, Duration after) {
    auto& timer = timers[name];
    if (!timer) {
      timer = std::make_unique<Timer>([this, name] {
        fired.push_back(name);
        if (const auto found = on_fire.find(name); found != on_fire.end()) found->second();
      });
    }
    wheel.arm(*timer, kStart + after);
  }
  std::vector<int> advance(Duration to) {
    fired.clear();
    wheel.advance(kStart + to);
    return fired;
  }
};

using Names = std::vector<int>;

BOOST_FIXTURE_TEST_CASE(nothing_armed, Fixture) {
  BOOST_TEST((wheel.next() == TimePoint::max()));
  BOOST_TEST(wheel.size() == 0U);
  BOOST_TEST(advance(24h) == Names{}, boost::test_tools::per_element());
}

BOOST_FIXTURE_TEST_CASE(fires_once_at_its_time_and_not_before, Fixture) {
  arm(1, 10ms);
  BOOST_TEST(timers[1]->armed());
  BOOST_TEST((timers[1]->at() == kStart + 10ms));
  BOOST_TEST(advance(10ms - 1ns).empty());
  BOOST_TEST(advance(10ms) == Names{1}, boost::test_tools::per_element());
  BOOST_TEST(!timers[1]->armed());
  BOOST_TEST(wheel.size() == 0U);
  BOOST_TEST(advance(1h).empty());
}

BOOST_AUTO_TEST_CASE(distances_from_a_nanosecond_to_the_end_of_time) {
  struct Case {
    const char* name;
    Duration after;
    Duration tick;
  };
  constexpr Case kCases[] = {
      {.name = "a nanosecond", .after = 1ns, .tick = 1ms},
      {.name = "within the tick", .after = 900us, .tick = 1ms},
      {.name = "the next tick", .after = 1ms, .tick = 1ms},
      {.name = "the end of the innermost wheel", .after = 63ms, .tick = 1ms},
      {.name = "just outside it", .after = 64ms, .tick = 1ms},
      {.name = "minutes", .after = 5min, .tick = 1ms},
      {.name = "a warm-up of months", .after = 24h * 90, .tick = 1ms},
      {.name = "a century", .after = 24h * 36525, .tick = 1ms},
      {.name = "a century in nanoseconds", .after = 24h * 36525, .tick = 1ns},
      {.name = "the last nanosecond there is", .after = TimePoint::max() - kStart, .tick = 1ns},
      {.name = "the last nanosecond by coarse ticks", .after = TimePoint::max() - kStart, .tick = 1h},
      {.name = "a tick of zero counts as the least", .after = 1s, .tick = 0ns},
  };
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      TimerWheel wheel(kStart, c.tick);
      int fired = 0;
      Timer timer([&] { ++fired; });
      wheel.arm(timer, kStart + c.after);
      wheel.advance(kStart + c.after - 1ns);
      BOOST_TEST(fired == 0);
      BOOST_TEST((wheel.next() == kStart + c.after));
      wheel.advance(kStart + c.after);
      BOOST_TEST(fired == 1);
    }
  }
}

BOOST_AUTO_TEST_CASE(following_next_reaches_any_timer_in_few_steps) {
  for (const Duration after : {Duration(1ms), Duration(65ms), Duration(1h), Duration(24h * 365)}) {
    TimerWheel wheel(kStart);
    int fired = 0;
    Timer timer([&] { ++fired; });
    wheel.arm(timer, kStart + after);
    int steps = 0;
    while (fired == 0) {
      const TimePoint next = wheel.next();
      BOOST_REQUIRE((next <= kStart + after));
      BOOST_REQUIRE(++steps <= 11);
      wheel.advance(next);
    }
    BOOST_TEST(wheel.size() == 0U);
  }
}

BOOST_FIXTURE_TEST_CASE(order_is_by_time_then_by_arming, Fixture) {
  arm(1, 20ms);
  arm(2, 10ms + 2ns);  // The same tick as 3, but later.
  arm(3, 10ms + 1ns);
  arm(4, 10ms + 2ns);
  arm(5, 3h);
  arm(2, 10ms + 2ns);  // Armed anew: now after 4.
  BOOST_TEST(advance(4h) == (Names{3, 4, 2, 1, 5}), boost::test_tools::per_element());
}

BOOST_FIXTURE_TEST_CASE(timers_of_one_tick_fire_only_when_due, Fixture) {
  arm(1, 10ms + 100ns);
  arm(2, 10ms + 200ns);
  BOOST_TEST(advance(10ms + 100ns) == Names{1}, boost::test_tools::per_element());
  BOOST_TEST((wheel.next() == kStart + 10ms + 200ns));
  BOOST_TEST(advance(10ms + 200ns) == Names{2}, boost::test_tools::per_element());
}

BOOST_FIXTURE_TEST_CASE(the_past_fires_in_the_next_advance, Fixture) {
  advance(1h);
  arm(1, 5ms);
  arm(2, -24h * 365 * 60);  // Before 1970.
  BOOST_TEST((wheel.next() <= kStart + 1h));
  BOOST_TEST(advance(1h) == (Names{2, 1}), boost::test_tools::per_element());
}

BOOST_FIXTURE_TEST_CASE(time_that_goes_back_counts_as_standing_still, Fixture) {
  arm(1, 2s);
  advance(1s);
  BOOST_TEST(advance(0s).empty());
  arm(2, 500ms);
  BOOST_TEST(advance(0s) == Names{2}, boost::test_tools::per_element());
  BOOST_TEST(advance(2s) == Names{1}, boost::test_tools::per_element());
}

BOOST_FIXTURE_TEST_CASE(cancelled_and_destroyed_timers_do_not_fire, Fixture) {
  for (int name = 1; name <= 5; ++name) arm(name, 10ms);
  wheel.cancel(*timers[1]);
  wheel.cancel(*timers[1]);  // Twice does no harm.
  timers.erase(3);
  wheel.cancel(*timers[5]);
  BOOST_TEST(wheel.size() == 2U);
  BOOST_TEST(advance(1s) == (Names{2, 4}), boost::test_tools::per_element());
  BOOST_TEST((wheel.next() == TimePoint::max()));
}

BOOST_FIXTURE_TEST_CASE(moving_a_timer_leaves_nothing_behind, Fixture) {
  arm(1, 10ms);
  arm(1, 1h);
  BOOST_TEST(wheel.size() == 1U);
  BOOST_TEST(advance(30min).empty());
  arm(1, 31min);
  BOOST_TEST(advance(31min) == Names{1}, boost::test_tools::per_element());
  BOOST_TEST(advance(2h).empty());
}

BOOST_FIXTURE_TEST_CASE(destroying_the_wheel_disarms, Fixture) {
  auto other = std::make_unique<TimerWheel>(kStart);
  Timer timer([] {});
  other->arm(timer, kStart + 1h);
  other.reset();
  BOOST_TEST(!timer.armed());
  wheel.arm(timer, kStart + 1h);
  BOOST_TEST(timer.armed());
}

// Callbacks

BOOST_FIXTURE_TEST_CASE(armed_by_a_callback_for_now_waits_for_the_next_advance, Fixture) {
  on_fire[1] = [this] {
    arm(1, 10ms);  // Itself, in the past.
    arm(2, 10ms);  // Another of this advance, which had not fired yet.
    arm(3, 5ms);
  };
  arm(1, 10ms);
  arm(2, 15ms);
  BOOST_TEST(advance(20ms) == Names{1}, boost::test_tools::per_element());
  on_fire.clear();
  BOOST_TEST((wheel.next() <= kStart + 20ms));
  BOOST_TEST(advance(20ms) == (Names{3, 1, 2}), boost::test_tools::per_element());
}

BOOST_FIXTURE_TEST_CASE(a_callback_cancels_and_destroys_those_still_to_fire, Fixture) {
  on_fire[1] = [this] {
    BOOST_TEST((wheel.next() == kStart + 10ms));  // 2 is still to fire.
    BOOST_TEST(wheel.size() == 4U);
    wheel.cancel(*timers[2]);
    timers.erase(4);
    wheel.cancel(*timers[5]);
  };
  for (int name = 1; name <= 5; ++name) arm(name, 10ms);
  BOOST_TEST(advance(10ms) == (Names{1, 3}), boost::test_tools::per_element());
  BOOST_TEST(wheel.size() == 0U);
}

BOOST_FIXTURE_TEST_CASE(a_callback_destroys_its_own_timer, Fixture) {
  const auto held = std::make_shared<int>(7);
  timers[1] = std::make_unique<Timer>([this, held] {
    timers.erase(1);
    fired.push_back(*held);  // What the callback holds lives until it returns.
  });
  wheel.arm(*timers[1], kStart + 1ms);
  BOOST_TEST(advance(1ms) == Names{7}, boost::test_tools::per_element());
  BOOST_TEST(held.use_count() == 1);
}

BOOST_FIXTURE_TEST_CASE(a_callback_arms_its_timer_anew_and_destroys_it, Fixture) {
  on_fire[1] = [this] {
    arm(1, 1ms);
    timers.erase(1);
  };
  arm(1, 1ms);
  BOOST_TEST(advance(1ms) == Names{1}, boost::test_tools::per_element());
  BOOST_TEST(wheel.size() == 0U);
  BOOST_TEST(advance(1h).empty());
}

BOOST_FIXTURE_TEST_CASE(a_periodic_timer, Fixture) {
  Duration at = 100ms;
  on_fire[1] = [&] { arm(1, at += 100ms); };
  arm(1, at);
  int count = 0;
  for (Duration now = 0ms; now <= 10s; now += 7ms) count += static_cast<int>(advance(now).size());
  BOOST_TEST(count == 99);  // 100 ms to 9.9 s; the last step is at 9.996 s.
}

// Against a model

// The same promises kept the plain way: a map by (time, order of arming).
class Model {
 public:
  void arm(int name, TimePoint at) {
    cancel(name);
    keys_[name] = armed_.emplace(std::pair(at, order_++), name).first->first;
  }
  void cancel(int name) {
    if (const auto found = keys_.find(name); found != keys_.end()) {
      armed_.erase(found->second);
      keys_.erase(found);
    }
  }
  Names advance(TimePoint now) {
    Names fired;
    while (!armed_.empty() && armed_.begin()->first.first <= now) {
      fired.push_back(armed_.begin()->second);
      cancel(fired.back());
    }
    return fired;
  }
  std::optional<TimePoint> earliest() const {
    return armed_.empty() ? std::nullopt : std::optional(armed_.begin()->first.first);
  }
  std::size_t size() const { return armed_.size(); }

 private:
  using Key = std::pair<TimePoint, std::uint64_t>;
  std::map<Key, int> armed_;
  std::map<int, Key> keys_;
  std::uint64_t order_ = 0;
};

// Distances of all magnitudes, from nanoseconds to years.
Duration some_duration(Random& random) {
  return Duration(static_cast<std::int64_t>(random() >> (6 + random.below(56))));
}

void run_against_model(std::uint64_t seed) {
  Random random(seed);
  const Duration tick = Duration(std::int64_t{1} << random.below(31));
  TimerWheel wheel(kStart, tick);
  Model model;
  TimePoint now = kStart;
  Names fired;
  std::vector<std::unique_ptr<Timer>> timers;
  for (int name = 0; name < 64; ++name) {
    timers.push_back(std::make_unique<Timer>([&fired, name] { fired.push_back(name); }));
  }
  for (int step = 0; step < 3000; ++step) {
    const auto name = static_cast<int>(random.below(timers.size()));
    Timer& timer = *timers[static_cast<std::size_t>(name)];
    switch (random.below(8)) {
      case 0:
        wheel.cancel(timer);
        model.cancel(name);
        break;
      case 1:
      case 2: {
        // To the next event, by leaps, or a little.
        const std::uint64_t how = random.below(3);
        if (how == 0 && wheel.size() > 0) now = std::max(now, wheel.next());
        if (how == 1) now += some_duration(random) / 64;
        if (how == 2) now += Duration(static_cast<std::int64_t>(random.below(3)));
        fired.clear();
        wheel.advance(now);
        BOOST_REQUIRE(fired == model.advance(now));
        break;
      }
      default: {
        TimePoint at = now + some_duration(random);
        if (random.below(16) == 0) at = now - some_duration(random);
        if (random.below(8) == 0) at = timers[random.below(timers.size())]->at();  // Ties.
        wheel.arm(timer, at);
        model.arm(name, at);
      }
    }
    BOOST_REQUIRE(wheel.size() == model.size());
    const std::optional<TimePoint> earliest = model.earliest();
    BOOST_REQUIRE(earliest.has_value() == (wheel.next() != TimePoint::max()));
    if (!earliest) continue;
    BOOST_REQUIRE((wheel.next() <= *earliest));
    const auto ticks = [&](TimePoint at) { return std::max(at.time_since_epoch(), Duration(0)) / tick; };
    if (ticks(*earliest) / 64 <= ticks(now) / 64) BOOST_REQUIRE((wheel.next() == *earliest));
  }
}

BOOST_AUTO_TEST_CASE(random_operations_agree_with_a_sorted_map) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) { run_against_model(seed); }
  }
}

}  // namespace
}  // namespace mailsbuddy
