// The controller against fixed curves and no throttle at all, under modelled providers. docs/warming.md has the
// figures.
#include <boost/test/unit_test.hpp>
#include <map>

#include "tests/sim/receivers.h"
#include "tests/warming/warm_up.h"

namespace mailsbuddy::sim {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(__clang__)
constexpr std::uint64_t kSeeds = 3;  // Sanitizers, and fuzzing's clang: the steps are the same, and few are enough.
#else
constexpr std::uint64_t kSeeds = 20;
#endif
constexpr bool kMeansSaySomething = kSeeds >= 20;  // Of three seeds chance says most.

struct Sums {
  double delivered_by_30 = 0;
  double deferrals_by_30 = 0;
};

BOOST_AUTO_TEST_CASE(more_delivered_fewer_deferred_no_long_block_nothing_stranded) {
  std::map<Strategy, Sums> sums;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    for (const Strategy strategy : kStrategies) {
      const WarmUpResult result = warm_up({.strategy = strategy, .seed = seed});
      sums[strategy].delivered_by_30 += result.delivered_by(30);
      sums[strategy].deferrals_by_30 += result.deferrals_by(30);
      const double accounted =
          result.delivered_by(60) + static_cast<double>(result.lost + result.bounced + result.stranded);
      BOOST_TEST(accounted == 50'000'000.0, to_string(strategy) << ", seed " << seed);
      if (strategy != Strategy::kController) continue;
      BOOST_TEST_CONTEXT("seed " << seed) {
        BOOST_TEST(result.stranded == 0U);
        BOOST_TEST(result.lost == 0U);
        BOOST_TEST(result.longest_block_hours <= 24.0);
      }
    }
  }
  const Sums& controller = sums[Strategy::kController];
  for (const Strategy other : kStrategies) {
    if (other == Strategy::kController) continue;
    BOOST_TEST_CONTEXT(to_string(other)) {
      if (kMeansSaySomething) BOOST_TEST(controller.delivered_by_30 > sums[other].delivered_by_30);
      BOOST_TEST(controller.deferrals_by_30 * 5 < sums[other].deferrals_by_30);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_seed_is_a_run) {
  const WarmUpResult a = warm_up({.seed = 7, .days = 20});
  const WarmUpResult b = warm_up({.seed = 7, .days = 20});
  const WarmUpResult c = warm_up({.seed = 8, .days = 20});
  BOOST_TEST(a.delivered == b.delivered);
  BOOST_TEST(a.delivered != c.delivered);
}

// ---------------------------------------------------------------------------------------------------------------------
// The models do what they say.

using namespace std::chrono_literals;
constexpr TimePoint kStart{std::chrono::days(20'800)};

BOOST_AUTO_TEST_CASE(volume_is_granted_by_history) {
  ReceiverModel receiver(receiver_presets()[0], 1, 1);
  double before = receiver.allowance(0);
  for (int day = 0; day < 5; ++day) {
    for (int hour = 0; hour < 24; ++hour) {
      const auto part = static_cast<std::uint64_t>(receiver.allowance(0) / 30);
      static_cast<void>(receiver.send(0, part, false, 1, kStart + std::chrono::hours(day * 24 + hour)));
    }
  }
  BOOST_TEST(receiver.allowance(0) > 2 * before);
}

BOOST_AUTO_TEST_CASE(too_much_is_deferred_and_more_is_blocked) {
  ReceiverModel receiver(receiver_presets()[0], 1, 1);
  const auto allowed = static_cast<std::uint64_t>(receiver.allowance(0));
  const BatchResult first = receiver.send(0, allowed * 2, false, 1, kStart);
  BOOST_TEST(first.of(Answer::kAccepted) <= allowed);
  BOOST_TEST(first.of(Answer::kOverHour) + first.of(Answer::kOverDay) > 0U);
  static_cast<void>(receiver.send(0, allowed * 2, false, 1, kStart + 1min));
  BOOST_TEST(receiver.blocks(0, kStart + 2min));
  BOOST_TEST(receiver.send(0, 10, false, 1, kStart + 2min).of(Answer::kBlocked) == 10U);
  BOOST_TEST(!receiver.blocks(0, kStart + 72h));
}

BOOST_AUTO_TEST_CASE(small_houses_greylist_until_they_know_the_ip) {
  ReceiverModel receiver(receiver_presets()[4], 1, 1);
  BOOST_TEST(receiver.send(0, 100, true, 1, kStart).of(Answer::kGreylisted) > 20U);
  BOOST_TEST(receiver.send(0, 100, false, 1, kStart).of(Answer::kGreylisted) == 0U);
}

BOOST_AUTO_TEST_CASE(too_many_connections_are_refused) {
  ReceiverModel receiver(receiver_presets()[4], 1, 1);
  BOOST_TEST(receiver.send(0, 100, false, 5, kStart).of(Answer::kTooManyConnections) == 0U);
  BOOST_TEST(receiver.send(0, 100, false, 10, kStart).of(Answer::kTooManyConnections) >= 50U);
}

}  // namespace
}  // namespace mailsbuddy::sim
