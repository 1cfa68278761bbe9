// An IP's state as words, and as octets.
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "warming/pace.h"

namespace mailsbuddy::warming {
namespace {

constexpr std::uint64_t kAheadMin = 10;     // Messages that a snapshot counts ahead, at least, and
constexpr std::uint64_t kAheadShare = 100;  // this part of the cap: a crash costs a hundredth of a day.
constexpr std::size_t kSpansRead = 16;
constexpr std::uint64_t kCountMax = 1'000'000'000'000'000;  // Messages, of anything.
constexpr double kMeasureMax = 1e16;
constexpr std::uint64_t kIdleRemembered = 12;  // Times Thresholds::idle_days: a year, and a cap halved as often.
constexpr Duration kForgotten = std::chrono::hours(1);  // What replies said is too old then to be held against anybody.
constexpr std::int64_t kHourMax = 25;  // Of a day: no clock is put back further.
constexpr std::int64_t kDayMax = 1'000'000'000;  // Differences of days stay far from what 64 bits hold.

double share(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

PaceState Pace::state(TimePoint now) const {
  if (paused_) return PaceState::kPaused;
  if (suspended(now)) return PaceState::kSuspended;
  if (budget_.pinned_ != kNoCap) return PaceState::kPinned;
  if (restarting_) return PaceState::kRestarting;
  if (budget_.curve_.daily.empty() || !cold()) return PaceState::kWarm;
  return budget_.ceiling_ != kNoCap ? PaceState::kHeld : PaceState::kWarming;
}

std::uint64_t Pace::next_cap() const {
  if (budget_.pinned_ != kNoCap) return budget_.pinned_;
  if (!adaptive_ || budget_.ceiling_ == kNoCap) return budget_.curve_.at(budget_.day_ + 1);
  return std::max(budget_.ceiling_ + 1,
                  static_cast<std::uint64_t>(static_cast<double>(budget_.ceiling_) * (1 + step_)));
}

Explanation Pace::explain(TimePoint now) {
  const TimePoint at = next(now, 0);
  Explanation out{.provider = provider_.name,
                  .ip = address_,
                  .state = state(now),
                  .pinned = budget_.pinned_ != kNoCap,
                  .curve = budget_.curve_.name,
                  .day = budget_.day_,
                  .days = budget_.curve_.daily.size(),
                  .cap = budget_.cap(),
                  .hour_cap = budget_.hour_cap(),
                  .used = budget_.used(),
                  .used_this_hour = budget_.used_this_hour(),
                  .next_cap = next_cap(),
                  .rate = rate(),
                  .rate_percent = static_cast<int>(std::lround(rate_ * 100)),
                  .connections = connections(now),
                  .connections_max = limits_.connections,
                  .next = at,
                  .suspended_until = suspended_until_,
                  .why = why_,
                  .to_advance = {},
                  .settings = origins_};
  if (budget_.curve_.daily.empty() || !adaptive_) return out;
  const Thresholds& t = thresholds_;
  const auto at_least = [&](std::string name, double have, double need, bool is_share) {
    out.to_advance.push_back({std::move(name), have, need, is_share, true, have >= need});
  };
  const auto below = [&](std::string name, double have, double need) {
    out.to_advance.push_back({std::move(name), have, need, true, false, have < need});
  };
  at_least("sent today", static_cast<double>(out.used), std::ceil(t.sent_share * static_cast<double>(out.cap)), false);
  at_least("delivered", share(day_.delivered, day_.attempts), t.delivered_share, true);
  below("deferred", share(day_.deferred, day_.attempts), t.deferral_hold);
  below("bounced", share(day_.bounced, day_.attempts), t.bounce_hold);
  below("complaints", share(day_.complaints, day_.delivered), t.complaint_hold);
  if (failed_level_ > 0)
    at_least("good days since it failed", static_cast<double>(good_days_), static_cast<double>(wait_days_), false);
  if (failed_today_) out.to_advance.push_back({"no step back today", 0, 1, false, true, false});
  return out;
}

// ---------------------------------------------------------------------------------------------------------------------
// Snapshots. Every field is 64 bits; docs/warming.md has their order.

std::uint64_t Pace::ahead() const {
  const std::uint64_t cap = budget_.cap();
  return cap == kNoCap ? 0 : std::max(kAheadMin, cap / kAheadShare);
}

bool Pace::snapshot_due() const {
  return budget_.covered_ != kNoCap && budget_.cap() != kNoCap && budget_.covered_ < budget_.cap() &&
         budget_.used_ + ahead() / 2 >= budget_.covered_;
}

void Pace::write(BytesWriter& out, std::uint64_t more) {
  Budget& b = budget_;
  staged_ = b.cap() == kNoCap ? kNoCap : std::min(std::max(b.used_, b.cap()), b.used_ + more);
  staged_day_ = b.calendar_day_;
  // No number is written that read() would not take. What an earlier snapshot lets go counts in this one as well.
  const std::uint64_t covered = b.covered_ == kNoCap || more == 0 ? 0 : b.covered_;
  const std::uint64_t used = std::min(b.cap() == kNoCap ? b.used_ : std::max({b.used_, covered, staged_}), kCountMax);
  const std::uint64_t used_hour = std::min(b.used_hour_ + more, kCountMax);
  const std::uint64_t unsure = std::min(used, b.unsure_ + used - std::min(used, b.used_));
  for (const std::uint64_t value : {b.day_, used, used_hour, unsure, b.ceiling_, b.pinned_, suspensions_,
                                    suspensions_today_, wait_days_, good_days_}) {
    out.u64(value);
  }
  const std::int64_t hour = b.calendar_day_ == Budget::kNoDay ? 0 : b.calendar_day_ * 24 + b.hour_;
  for (const std::int64_t value : {b.calendar_day_, hour, b.last_sent_}) out.i64(value);
  for (const double value :
       {rate_, rate_max_, failed_level_, step_, step_max_, last_step_, best_day_, latency_seconds_})
    out.f64(value);
  for (const TimePoint value : {suspended_until_, last_raise_, last_cut_}) out.time(value);
  for (const Counts* counts : {&day_, &closed_}) {
    for (const std::uint64_t value : {counts->attempts, counts->delivered, counts->deferred, counts->bounced,
                                      counts->rejected, counts->complaints}) {
      out.u64(std::min(value, kCountMax));
    }
  }
  out.u64(static_cast<std::uint64_t>(connections_));
  out.u64(static_cast<std::uint64_t>(connections_known_));
  out.u64((restarting_ ? 1U : 0U) | (paused_ ? 2U : 0U) | (repeat_day_ ? 4U : 0U) | (failed_today_ ? 8U : 0U));
  out.u64(b.spans_.size());
  for (const Budget::Span& span : b.spans_) {
    out.i64(span.first);
    out.i64(span.last);
  }
}

// A day that has begun since is not what the snapshot covers.
void Pace::cover() {
  if (staged_day_ == budget_.calendar_day_) budget_.covered_ = staged_;
}

void Pace::require_cover() {
  if (budget_.covered_ == kNoCap && !budget_.curve_.daily.empty()) budget_.covered_ = 0;
}

void Pace::waive_cover() { budget_.covered_ = kNoCap; }

// Snapshots have no windows: what is in them must be too old to matter.
bool Pace::at_rest(TimePoint now) {
  roll(now);
  const bool window_matters = window_.deferred + window_.rejected + window_.bounced + window_.complaints > 0 &&
                              now - window_since_ < kForgotten;
  const bool events_matter = reputation_events_ + block_events_ + rate_events_ > 0 && now - events_since_ < kForgotten;
  return budget_.pinned_ == kNoCap && !paused_ && !restarting_ && !suspended(now) && throttle_.at_rest(now) &&
         !window_matters && !events_matter;
}

bool Pace::as_made(TimePoint now) {
  roll(now);
  const bool unused = budget_.used_ == 0 && budget_.last_sent_ == Budget::kNoDay && budget_.day_ == given_day_;
  return (budget_.curve_.daily.empty() || unused) && budget_.ceiling_ == kNoCap && budget_.pinned_ == kNoCap &&
         !paused_ && !restarting_ && !repeat_day_ && rate_ >= 1 && rate_max_ >= 1 && suspensions_ == 0 &&
         connections_ == limits_.connections && connections_known_ == 0 && day_.attempts < thresholds_.samples_min;
}

bool Pace::outlived(TimePoint now) {
  if (as_made(now)) return true;
  if (thresholds_.idle_days == 0 || budget_.last_sent_ == Budget::kNoDay || budget_.used_ > 0) return false;
  const auto remembered = static_cast<std::int64_t>(kIdleRemembered * thresholds_.idle_days);
  return budget_.pinned_ == kNoCap && !paused_ && !suspended(now) &&
         budget_.calendar_day_ - budget_.last_sent_ > remembered &&
         (budget_.curve_.daily.empty() || budget_.day_ <= given_day_);
}

// Nothing goes until a snapshot covers it.
bool Pace::read(BytesReader& in) {
  Budget& b = budget_;
  for (std::uint64_t* field : {&b.day_, &b.used_, &b.used_hour_, &b.unsure_, &b.ceiling_, &b.pinned_, &suspensions_,
                               &suspensions_today_, &wait_days_, &good_days_}) {
    *field = in.u64();
  }
  for (std::int64_t* field : {&b.calendar_day_, &b.hour_, &b.last_sent_}) *field = in.i64();
  for (double* field :
       {&rate_, &rate_max_, &failed_level_, &step_, &step_max_, &last_step_, &best_day_, &latency_seconds_})
    *field = in.f64();
  for (TimePoint* field : {&suspended_until_, &last_raise_, &last_cut_}) *field = in.time();
  for (Counts* counts : {&day_, &closed_}) {
    for (std::uint64_t* field : {&counts->attempts, &counts->delivered, &counts->deferred, &counts->bounced,
                                 &counts->rejected, &counts->complaints}) {
      *field = in.u64();
    }
  }
  const std::uint64_t connections = in.u64();
  const std::uint64_t known = in.u64();
  const std::uint64_t flags = in.u64();
  const std::uint64_t spans = in.u64();
  if (in.bad() || flags > 15 || spans > kSpansRead) return false;
  b.spans_.clear();
  for (std::uint64_t i = 0; i < spans; ++i) {
    const std::int64_t first = in.i64();
    b.spans_.push_back({first, in.i64()});
    if (b.spans_.back().first > b.spans_.back().last) return false;
    if (i > 0 && b.spans_[i - 1].last >= first) return false;
  }
  const auto sane = [](double value, double low, double high) { return value >= low && value <= high; };
  const auto possible = [](std::int64_t number) { return std::abs(number) <= kDayMax; };
  for (const Budget::Span& span : b.spans_) {
    if (!possible(span.first) || !possible(span.last)) return false;
  }
  for (const TimePoint time : {suspended_until_, last_raise_, last_cut_}) {
    if (time < TimePoint{}) return false;
  }
  for (const Counts* counts : {&day_, &closed_}) {
    if (std::max({counts->attempts, counts->delivered, counts->deferred, counts->bounced, counts->rejected,
                  counts->complaints}) > kCountMax) {
      return false;
    }
  }
  if (!possible(b.calendar_day_) || !possible(b.last_sent_) || std::abs(b.hour_) > 25 * kDayMax) return false;
  b.hour_ = b.calendar_day_ == Budget::kNoDay ? 0 : std::clamp<std::int64_t>(b.hour_ - b.calendar_day_ * 24, 0, kHourMax);
  if (in.bad() || !sane(rate_, 1e-3, 1) || !sane(rate_max_, 0.5, 1) || !sane(step_, 0, 10) || !sane(step_max_, 0, 10) ||
      !sane(last_step_, -1, kMeasureMax) || !sane(best_day_, 0, kMeasureMax) || !sane(failed_level_, 0, kMeasureMax) ||
      !sane(latency_seconds_, 0, kMeasureMax) || wait_days_ > 1'000 || b.used_ > kCountMax ||
      b.used_hour_ > kCountMax || b.unsure_ > b.used_) {
    return false;
  }
  connections_ = static_cast<int>(
      std::clamp<std::uint64_t>(connections, 1, static_cast<std::uint64_t>(std::max(1, limits_.connections))));
  connections_known_ =
      static_cast<int>(std::min<std::uint64_t>(known, static_cast<std::uint64_t>(std::max(1, limits_.connections))));
  restarting_ = (flags & 1) != 0;
  paused_ = (flags & 2) != 0;
  repeat_day_ = (flags & 4) != 0;
  failed_today_ = (flags & 8) != 0;
  b.covered_ = b.used_;
  b.pace_ = rate_;
  return true;
}

void Pace::restored(TimePoint now) {
  apply_rate(now);
  throttle_.exhaust(now);
}

}  // namespace mailsbuddy::warming
