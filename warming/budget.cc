#include <algorithm>
#include <limits>

#include "mailsbuddy/warming.h"

namespace mailsbuddy::warming {
namespace {

// What is missing is a snapshot and not time. Whoever makes one asks again; this is for who does not.
constexpr Duration kSnapshotAwaited = std::chrono::seconds(1);

}  // namespace

Budget::Budget(Curve curve, Zone zone)
    : curve_(std::move(curve)), zone_(std::move(zone)), hour_share_(curve_.hour_share) {}

const Budget::Today& Budget::today(TimePoint now) {
  if (!today_.holds(now)) {
    const std::int64_t day = zone_.day(now);
    today_ = {.day = day, .begins = zone_.day_start(day), .ends = zone_.day_start(day + 1)};
  }
  return today_;
}

bool Budget::granted(std::int64_t day) const noexcept {
  return std::any_of(spans_.begin(), spans_.end(),
                     [day](const Span& each) { return each.first <= day && day <= each.last; });
}

// Joins its neighbours, so that a sender of every day has one span. What is sparse is remembered coarsely, oldest
// first: a day too many in there is a day lost to a clock set back far, and never one granted twice.
void Budget::grant(std::int64_t day) {
  auto after = std::find_if(spans_.begin(), spans_.end(), [day](const Span& each) { return each.first > day; });
  after = spans_.insert(after, {day, day});
  if (after != spans_.begin() && std::prev(after)->last + 1 == day) {
    std::prev(after)->last = day;
    after = std::prev(spans_.erase(after));
  }
  if (std::next(after) != spans_.end() && std::next(after)->first == after->last + 1) {
    after->last = std::next(after)->last;
    spans_.erase(std::next(after));
  }
  if (spans_.size() > kSpansMax) {
    spans_[1].first = spans_[0].first;
    spans_.erase(spans_.begin());
  }
}

void Budget::step_back_after_idleness(std::int64_t today) {
  if (last_sent_ == kNoDay || idle_days_ == 0 || curve_.daily.empty() || today <= last_sent_) return;
  const std::uint64_t idle = static_cast<std::uint64_t>(today - last_sent_ - 1) / idle_days_;
  for (std::uint64_t i = 0; i < idle && (day_ > 0 || ceiling_ != kNoCap) && idle_steps_ < 64; ++i) {
    ++idle_steps_;
    const std::uint64_t half = curve_.at(day_) / 2;
    day_ = std::min<std::uint64_t>(day_, curve_.daily.size() - 1);
    while (day_ > 0 && curve_.at(day_) > half) --day_;
    if (ceiling_ != kNoCap) ceiling_ = std::max<std::uint64_t>(1, ceiling_ / 2);
  }
}

// A day on which nothing was sent does not count, however many of them pass. A day that was granted before, because the
// clock has jumped, is not opened again: the one that is open stays, and nothing may go until a new one begins.
bool Budget::roll(TimePoint now) {
  const std::int64_t hour = today(now).hour(now);
  const std::int64_t day = today_.day;
  if (day == calendar_day_) {
    if (hour > hour_) {
      hour_ = hour;
      used_hour_ = 0;
    }
    return false;
  }
  if (granted(day)) return false;
  closed_used_ = used_;
  closed_cap_ = calendar_day_ == kNoDay ? 0 : cap();
  closed_used_ -= std::min(closed_used_, unsure_);
  idle_steps_ = 0;
  if (closed_used_ > 0) {
    last_sent_ = calendar_day_;
    if (advances_) ++day_;
  }
  step_back_after_idleness(day);
  if (covered_ != kNoCap) covered_ = 0;  // The day's first permits wait for a snapshot that knows it.
  used_ = used_hour_ = unsure_ = 0;
  calendar_day_ = day;
  hour_ = hour;
  grant(day);
  return true;
}

std::uint64_t Budget::hour_cap() const noexcept {
  const std::uint64_t today = cap();
  if (hour_share_ <= 0 || today == kNoCap) return today;
  const double share = std::max(static_cast<double>(today) * hour_share_, static_cast<double>(hour_floor_)) * pace_;
  return std::min(today, std::max<std::uint64_t>(today > 0 ? 1 : 0, static_cast<std::uint64_t>(share)));
}

std::uint64_t Budget::left(TimePoint now) {
  roll(now);
  if (today(now).day != calendar_day_ && cap() != kNoCap) return 0;  // The clock went back into a day long granted.
  const std::uint64_t whole = std::min(cap(), covered_);
  if (whole == kNoCap) return kNoCap;
  const std::uint64_t hour = hour_cap();
  return std::min(whole - std::min(whole, used_), hour == kNoCap ? kNoCap : hour - std::min(hour, used_hour_));
}

bool Budget::used_up(TimePoint now) {
  roll(now);
  if (cap() == kNoCap) return false;
  return today(now).day != calendar_day_ || used_ >= cap() || used_hour_ >= hour_cap();
}

void Budget::take(TimePoint now, std::uint64_t n) {
  roll(now);
  used_ += n;
  used_hour_ += n;
}

// What was taken on an earlier day, or in an earlier hour, is no longer counted there, so there is nothing to give
// back.
void Budget::refund(TimePoint taken_at, std::uint64_t n) {
  if (today(taken_at).day != calendar_day_) return;
  used_ -= std::min(used_, n);
  if (today_.hour(taken_at) == hour_) used_hour_ -= std::min(used_hour_, n);
}

TimePoint Budget::next(TimePoint now) {
  if (left(now) > 0) return now;
  const TimePoint tomorrow = next_day(now);
  if (today_.day != calendar_day_ || used_ >= cap()) return tomorrow;
  if (used_ >= covered_) return now + kSnapshotAwaited;
  const std::int64_t next_hour = std::max(today_.hour(now), hour_) + 1;
  return std::min(tomorrow, today_.begins + std::chrono::hours(next_hour));
}

TimePoint Budget::next_day(TimePoint now) { return today(now).ends; }

std::uint64_t Budget::cap() const noexcept { return pinned_ != kNoCap ? pinned_ : std::min(curve_.at(day_), ceiling_); }

}  // namespace mailsbuddy::warming
