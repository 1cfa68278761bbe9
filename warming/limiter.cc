// The generic cell rate algorithm, as a virtual schedule (ITU-T I.371 annex A): an event conforms when it does not come
// before its theoretical arrival time less the tolerance.
#include <algorithm>
#include <cmath>

#include "mailsbuddy/warming.h"

namespace mailsbuddy::warming {
namespace {

constexpr double kNanosecondsMax = 1e9 * 86'400 * 365;  // A year: keeps sums far from what 64 bits hold.

Duration nanoseconds(double count) noexcept {
  return Duration(static_cast<Duration::rep>(std::min(count, kNanosecondsMax) + 0.5));
}

// n intervals, but no more than a year of them.
Duration times(Duration interval, std::uint64_t n) noexcept {
  const auto product = static_cast<double>(interval.count()) * static_cast<double>(n);
  return product >= kNanosecondsMax ? Duration(static_cast<Duration::rep>(kNanosecondsMax))
                                    : interval * static_cast<Duration::rep>(n);
}

constexpr std::uint64_t tenth(std::uint64_t count) noexcept { return std::max<std::uint64_t>(1, count / 10); }

RateLimiter per(std::uint64_t count, Duration period) noexcept {
  return RateLimiter::window(count, period, tenth(count));
}

}  // namespace

RateLimiter::RateLimiter(double per_second, double burst) noexcept {
  if (!(per_second > 0)) return;  // Also what is no number.
  interval_ = std::max(nanoseconds(1e9 / per_second), Duration(1));
  tolerance_ = nanoseconds(static_cast<double>(interval_.count()) * std::max(burst - 1, 0.0));
}

// Of events that conform, the n-th after one comes at least (n - burst) intervals after it. So a half-open span of W
// holds fewer than burst + W / interval of them; with W / (count - burst + 1) as the interval, rounded up, that is
// count.
RateLimiter RateLimiter::window(std::uint64_t count, Duration period, std::uint64_t burst) noexcept {
  RateLimiter limiter;
  if (count == 0 || period.count() <= 0) return limiter;
  burst = std::clamp<std::uint64_t>(burst, 1, count);
  const auto spread = static_cast<double>(count - burst + 1);
  limiter.interval_ = std::max(Duration(static_cast<Duration::rep>(
                                   std::min(std::ceil(static_cast<double>(period.count()) / spread), kNanosecondsMax))),
                               Duration(1));
  limiter.tolerance_ = times(limiter.interval_, burst - 1);
  return limiter;
}

TimePoint RateLimiter::next(TimePoint now, std::uint64_t n) const noexcept {
  if (interval_.count() == 0) return now;
  if (n == 1) return theoretical_arrival_ - tolerance_;
  const Duration ahead = std::min(times(interval_, n - 1), tolerance_);  // More than a burst: when nothing is owed.
  return theoretical_arrival_ - tolerance_ + ahead;
}

TimePoint RateLimiter::nth(TimePoint now, std::uint64_t n) const noexcept {
  if (interval_.count() == 0) return now;
  if (n <= 1) return theoretical_arrival_ - tolerance_;
  return std::max(theoretical_arrival_, now) + times(interval_, n - 1) - tolerance_;
}

void RateLimiter::take(TimePoint now, std::uint64_t n) noexcept {
  if (interval_.count() == 0) return;
  theoretical_arrival_ = std::max(theoretical_arrival_, now) + (n == 1 ? interval_ : times(interval_, n));
}

void RateLimiter::refund(std::uint64_t n) noexcept { theoretical_arrival_ -= times(interval_, n); }

void RateLimiter::exhaust(TimePoint now) noexcept {
  if (interval_.count() != 0) theoretical_arrival_ = std::max(theoretical_arrival_, now + tolerance_ + interval_);
}

// What is owed is a number of events; how long they take is the new pace's.
void RateLimiter::change(const RateLimiter& to, TimePoint now) noexcept {
  if (interval_ == to.interval_ && tolerance_ == to.tolerance_) return;  // Exactly as it was.
  const Duration owed = theoretical_arrival_ - now;
  double events = 0;
  if (interval_.count() > 0 && owed.count() > 0) {
    events = static_cast<double>(owed.count()) / static_cast<double>(interval_.count());
  }
  interval_ = to.interval_;
  tolerance_ = to.tolerance_;
  theoretical_arrival_ = now + nanoseconds(events * static_cast<double>(interval_.count()));
}

Throttle::Throttle(const Limits& limits) noexcept
    : second_(limits.messages_per_second, limits.burst),
      minute_(per(limits.messages_per_minute, std::chrono::minutes(1))),
      hour_(per(limits.messages_per_hour, std::chrono::hours(1))),
      day_(per(limits.messages_per_day, std::chrono::days(1))),
      bytes_(RateLimiter::window(limits.bytes_per_minute, std::chrono::minutes(1), (limits.bytes_per_minute + 1) / 2)),
      connections_(per(limits.connections_per_minute, std::chrono::minutes(1))) {}

TimePoint Throttle::next(TimePoint now, std::uint64_t bytes) const noexcept {
  TimePoint at = std::max(now, second_.next(now));
  at = std::max(at, minute_.next(now));
  at = std::max(at, hour_.next(now));
  at = std::max(at, day_.next(now));
  return bytes == 0 ? at : std::max(at, bytes_.next(now, bytes));
}

TimePoint Throttle::nth(TimePoint now, std::uint64_t n) const noexcept {
  TimePoint at = now;
  for (const RateLimiter* limiter : {&second_, &minute_, &hour_, &day_}) at = std::max(at, limiter->nth(now, n));
  return at;
}

bool Throttle::at_rest(TimePoint now) const noexcept {
  for (const RateLimiter* limiter : {&second_, &minute_, &hour_, &day_, &bytes_, &connections_}) {
    if (!limiter->at_rest(now)) return false;
  }
  return true;
}

void Throttle::take(TimePoint now, std::uint64_t bytes, std::uint64_t messages) noexcept {
  for (RateLimiter* limiter : {&second_, &minute_, &hour_, &day_}) limiter->take(now, messages);
  if (bytes > 0) bytes_.take(now, bytes);
}

bool Throttle::try_take(TimePoint now, std::uint64_t bytes) noexcept {
  if (next(now, bytes) > now) return false;
  take(now, bytes);
  return true;
}

void Throttle::refund(std::uint64_t bytes) noexcept {
  for (RateLimiter* limiter : {&second_, &minute_, &hour_, &day_}) limiter->refund();
  if (bytes > 0) bytes_.refund(bytes);
}

void Throttle::change(const Limits& limits, TimePoint now) noexcept {
  const Throttle to(limits);
  second_.change(to.second_, now);
  minute_.change(to.minute_, now);
  hour_.change(to.hour_, now);
  day_.change(to.day_, now);
  bytes_.change(to.bytes_, now);
  connections_.change(to.connections_, now);
}

void Throttle::exhaust(TimePoint now) noexcept {
  for (RateLimiter* limiter : {&second_, &minute_, &hour_, &day_, &bytes_, &connections_}) limiter->exhaust(now);
}

}  // namespace mailsbuddy::warming
