// The generic cell rate algorithm, as a virtual schedule (ITU-T I.371 annex A): an event conforms when it does not come
// before its theoretical arrival time less the tolerance.
#include <algorithm>

#include "mailsbuddy/warming.h"

namespace mailsbuddy::warming {
namespace {

constexpr double kNanosecondsMax = 1e9 * 86'400 * 365;  // A year: keeps sums far from what 64 bits hold.

Duration nanoseconds(double count) noexcept {
  return Duration(static_cast<Duration::rep>(std::min(count, kNanosecondsMax) + 0.5));
}

}  // namespace

RateLimiter::RateLimiter(double per_second, double burst) noexcept {
  if (!(per_second > 0)) return;  // Also what is no number.
  interval_ = nanoseconds(1e9 / per_second);
  tolerance_ = nanoseconds(static_cast<double>(interval_.count()) * std::max(burst - 1, 0.0));
}

TimePoint RateLimiter::next(TimePoint now) const noexcept {
  return interval_.count() == 0 ? now : theoretical_arrival_ - tolerance_;
}

void RateLimiter::take(TimePoint now) noexcept {
  theoretical_arrival_ = std::max(theoretical_arrival_, now) + interval_;
}

void RateLimiter::refund() noexcept { theoretical_arrival_ -= interval_; }

}  // namespace mailsbuddy::warming
