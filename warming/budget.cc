#include <algorithm>
#include <limits>

#include "mailsbuddy/warming.h"

namespace mailsbuddy::warming {
namespace {

std::int64_t calendar_day_of(TimePoint time) noexcept {
  return std::chrono::floor<std::chrono::days>(time).time_since_epoch().count();
}

}  // namespace

Budget::Budget(Curve curve) : curve_(std::move(curve)) {}

// A day on which nothing was sent does not count, however many of them pass.
void Budget::roll(TimePoint now) {
  const std::int64_t today = calendar_day_of(now);
  if (today <= calendar_day_) return;
  if (used_ > 0) ++day_;
  used_ = 0;
  calendar_day_ = today;
}

std::uint64_t Budget::left(TimePoint now) {
  roll(now);
  const std::uint64_t today = cap();
  return today == std::numeric_limits<std::uint64_t>::max() ? today : today - std::min(today, used_);
}

void Budget::take(TimePoint now) {
  roll(now);
  ++used_;
}

// What was taken on an earlier day is no longer counted, so there is nothing to give back.
void Budget::refund(TimePoint taken_at) {
  if (calendar_day_of(taken_at) == calendar_day_ && used_ > 0) --used_;
}

TimePoint Budget::next_day(TimePoint now) const noexcept {
  return std::chrono::floor<std::chrono::days>(now) + std::chrono::days(1);
}

std::uint64_t Budget::cap() const noexcept {
  if (curve_.daily.empty()) return std::numeric_limits<std::uint64_t>::max();
  return curve_.daily[std::min<std::uint64_t>(day_, curve_.daily.size() - 1)];
}

}  // namespace mailsbuddy::warming
