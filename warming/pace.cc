// Permits, the operator's commands, and what the end of a day decides. pace_learn.cc has what replies decide.
#include "warming/pace.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "warming/text.h"

namespace mailsbuddy::warming {
namespace {

constexpr double kKnownGood = 0.9;     // Of what a provider took before it refused: where a cap goes back to.
constexpr double kNearFailure = 0.95;  // From here on a ceiling is about to try again what failed.
constexpr double kSameLevel = 0.25;    // Failures that lie so close together are of one level.
constexpr std::uint64_t kWaitDaysMax = 8;
constexpr double kOutgrown = 1.1;       // Of a level that failed: delivered, it is no limit any more.
constexpr double kStepRegained = 1.03;  // A day: the growth that failed is tried again by and by,
constexpr double kStepSmall = 0.2;      // sooner while it is below what nearly all providers follow.
constexpr double kStepRegainedSmall = 1.1;
constexpr double kStepKnown = 0.5;      // A growth up to this that failed was nearly right:
constexpr double kStepCut = 0.75;       // somewhat less will do.
constexpr double kRateRegained = 0.02;  // A day: the pace that failed is tried again by and by.
constexpr double kFades = 0.97;         // A best day is forgotten slowly.
constexpr double kChance = 1.65;        // Standard deviations that are exceeded by chance one time in twenty.

}  // namespace

Pace::Pace(Setup setup)
    : provider_(*setup.provider),
      address_(std::move(setup.ip.address)),
      given_curve_(std::move(setup.ip.curve)),
      given_day_(setup.ip.day),
      number_(setup.number),
      adaptive_(setup.adaptive),
      decisions_(*setup.decisions) {
  budget_.zone_ = std::move(setup.zone);
  budget_.day_ = setup.ip.day;
  apply_settings(*setup.settings);
  throttle_ = Throttle(limits_);
  step_ = thresholds_.raise;
  connections_ = limits_.connections;
  if (setup.started != TimePoint{}) throttle_.exhaust(setup.started);
}

void Pace::apply_settings(const Settings& settings) {
  limits_ = settings.limits(provider_, Subject::kIp, address_);
  thresholds_ = settings.thresholds(provider_, address_);
  origins_ = settings.origins(provider_, Subject::kIp, address_);
  budget_.curve_ = given_curve_ ? given_curve_->times(thresholds_.curve_multiplier) : Curve{};
  budget_.advances_ = !adaptive_;
  budget_.hour_share_ =
      budget_.curve_.hour_share > 0 ? budget_.curve_.hour_share : std::clamp(thresholds_.smoothing / 24, 0.0, 1.0);
  budget_.hour_floor_ = thresholds_.hour_floor;
  budget_.idle_days_ = thresholds_.idle_days;
}

void Pace::change(const Settings& settings, TimePoint now) {
  const Limits before = limits_;
  roll(now);
  apply_settings(settings);
  if (connections_ == before.connections) connections_ = limits_.connections;
  connections_ = std::clamp(connections_, 1, std::max(1, limits_.connections));
  apply_rate(now);
  decide(DecisionKind::kSettings, now, "settings", "settings were changed", "connections",
         static_cast<std::uint64_t>(before.connections), static_cast<std::uint64_t>(limits_.connections));
}

// ---------------------------------------------------------------------------------------------------------------------
// Permits

TimePoint Pace::next(TimePoint now, std::uint64_t bytes) {
  if (paused_) return kNever;
  roll(now);
  return std::max({now, suspended_until_, throttle_.next(now, bytes), budget_.next(now)});
}

TimePoint Pace::next_over_cap(TimePoint now, std::uint64_t bytes) {
  if (paused_) return kNever;
  roll(now);
  return std::max({now, suspended_until_, throttle_.next(now, bytes)});
}

bool Pace::exhausted(TimePoint now) {
  roll(now);
  return paused_ || suspended(now) || budget_.used_up(now);
}

void Pace::take(TimePoint now, std::uint64_t bytes, std::uint64_t messages) {
  roll(now);
  throttle_.take(now, bytes, messages);
  budget_.take(now, messages);
}

void Pace::refund(std::uint64_t bytes, TimePoint taken_at) {
  throttle_.refund(bytes);
  budget_.refund(taken_at);
}

std::uint64_t Pace::left(TimePoint now) {
  roll(now);
  return paused_ || suspended(now) ? 0 : budget_.left(now);
}

std::uint64_t Pace::used(TimePoint now) {
  roll(now);
  return budget_.used();
}

std::uint64_t Pace::delivered_lately(TimePoint now) {
  roll(now);
  return day_.delivered + closed_.delivered;
}

int Pace::connections(TimePoint now) {
  roll(now);
  if (paused_ || suspended(now)) return 0;
  const int scaled = static_cast<int>(std::ceil(limits_.connections * rate_));
  return std::max(1, std::min(connections_, scaled));
}

TimePoint Pace::next_connection(TimePoint now) {
  return paused_ ? kNever : std::max(suspended_until_, throttle_.next_connection(now));
}

bool Pace::cold() const {
  const Curve& curve = budget_.curve_;
  return !curve.daily.empty() && budget_.cap() < curve.daily.back();
}

void Pace::apply_rate(TimePoint now) {
  Limits scaled = limits_;
  scaled.messages_per_second *= rate_;
  scaled.burst = std::max(1.0, scaled.burst * rate_);
  throttle_.change(scaled, now);
  budget_.pace_ = rate_;
}

// ---------------------------------------------------------------------------------------------------------------------
// The end of a day

void Pace::roll(TimePoint now) {
  if (!budget_.roll(now)) return;
  if (budget_.idle_steps_ > 0) {
    decide(DecisionKind::kIdle, now, "idle_days",
           fmt::format("{} days or more without sending, {} times", thresholds_.idle_days, budget_.idle_steps_),
           "daily cap", budget_.closed_cap_, budget_.cap());
  }
  closed_ = day_;
  day_ = {};
  suspensions_today_ = 0;
  if (budget_.closed_used_ > 0 && adaptive_) close_day(now);
  repeat_day_ = false;
}

// Counts of rare things are spread like Poisson's: by the square root of what is expected.
bool Pace::exceeds(std::uint64_t count, std::uint64_t of, double limit) {
  const double expected = limit * static_cast<double>(of);
  return static_cast<double>(count) >= expected + kChance * std::sqrt(expected) && count > 0;
}

std::string Pace::day_fails() const {
  const Thresholds& t = thresholds_;
  const auto attempts = static_cast<double>(std::max<std::uint64_t>(closed_.attempts, 1));
  const auto share = [attempts](std::uint64_t n) { return static_cast<double>(n) / attempts; };
  const double sent =
      static_cast<double>(budget_.closed_used_) / static_cast<double>(std::max<std::uint64_t>(budget_.closed_cap_, 1));
  if (repeat_day_) return "the operator repeats the day";
  if (sent < t.sent_share) return fmt::format("sent {} of the cap, needed {}", percent(sent), percent(t.sent_share));
  if (share(closed_.delivered) < t.delivered_share) {
    return fmt::format("delivered {} of {}, needed {}", percent(share(closed_.delivered)), closed_.attempts,
                       percent(t.delivered_share));
  }
  const struct {
    std::string_view what;
    std::uint64_t count, of;
    double limit;
    std::uint64_t samples_min;
  } tests[] = {{"deferred", closed_.deferred, closed_.attempts, t.deferral_hold, 0},
               {"bounced", closed_.bounced, closed_.attempts, t.bounce_hold, 0},
               {"complaints", closed_.complaints, closed_.delivered, t.complaint_hold, t.complaint_samples_min}};
  for (const auto& test : tests) {
    if (test.of < test.samples_min || !exceeds(test.count, test.of, test.limit)) continue;
    return fmt::format("{} {} of {}, hold from {}", test.what,
                       percent(static_cast<double>(test.count) / static_cast<double>(test.of)), test.of,
                       percent(test.limit));
  }
  if (latency_seconds_ >= std::chrono::duration<double>(t.latency_hold).count()) {
    return fmt::format("{:.0f} s a message, hold from {}", latency_seconds_, duration_text(t.latency_hold));
  }
  return {};
}

void Pace::close_day(TimePoint now) {
  const std::uint64_t before = budget_.closed_cap_;
  const bool capped = !budget_.curve_.daily.empty();
  std::string fails = day_fails();
  if (failed_today_) {
    settle_ceiling_after_failure();
    fails = fmt::format("stepped back; {} were taken", thousands(closed_.delivered));
  } else {
    ++good_days_;
    if (closed_.deferred == 0 || fails.empty()) rate_max_ = std::min(1.0, rate_max_ + kRateRegained);
    if (suspensions_today_ == 0) suspensions_ = 0;
  }
  failed_today_ = false;
  if (connections_known_ > 0) ++connections_known_;  // What it takes at once may change.
  window_ = {};
  best_day_ = std::max(best_day_ * kFades, static_cast<double>(closed_.delivered));
  if (!capped || budget_.pinned_ != kNoCap) return;
  if (fails.empty())
    return advance(now, fmt::format("sent {} of {}, delivered {}", thousands(budget_.closed_used_), thousands(before),
                                    thousands(closed_.delivered)));
  decide(DecisionKind::kHold, now, "day", std::move(fails), "daily cap", before, budget_.cap());
}

// What was taken is known better at the day's end than when it was cut. And the day has shown by how much the provider
// lets a day outgrow those before it.
void Pace::settle_ceiling_after_failure() {
  const auto cap = static_cast<double>(std::max<std::uint64_t>(budget_.closed_cap_, 1));
  const auto taken = static_cast<double>(closed_.delivered);
  const bool again = failed_level_ > 0 && std::abs(taken - failed_level_) <= kSameLevel * failed_level_;
  wait_days_ = again ? std::min(wait_days_ * 2, kWaitDaysMax) : 1;
  failed_level_ = std::max(taken, 1.0);
  good_days_ = 0;
  const double grown = best_day_ > 0 ? taken / best_day_ - 1 : 1;
  const double slower = last_step_ <= kStepKnown ? kStepCut * last_step_ : 0;
  step_max_ = std::clamp(std::max(kKnownGood * grown, slower), thresholds_.raise, 1.0);
  step_ = step_max_;
  if (budget_.curve_.daily.empty()) return;
  const double ceiling = std::clamp(kKnownGood * taken, thresholds_.cut * cap, cap);
  budget_.ceiling_ = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(ceiling));
}

// A day that proves itself: on to the next of the curve; or, below a ceiling, a step.
// Near the level that failed last it waits, longer each time: so under a provider that does not change the cap comes to
// rest.
void Pace::advance(TimePoint now, std::string seen) {
  const std::uint64_t before = budget_.cap();
  if (failed_level_ > 0 && static_cast<double>(closed_.delivered) > kOutgrown * failed_level_) {
    failed_level_ = 0;
    wait_days_ = 1;
  }
  if (budget_.ceiling_ == kNoCap) {
    ++budget_.day_;
    const double followed = static_cast<double>(before) * (1 + step_max_);
    step_max_ = std::min(1.0, step_max_ * kStepRegained);
    if (step_max_ < 1 && static_cast<double>(budget_.cap()) > followed) {
      budget_.ceiling_ = std::max(before + 1, static_cast<std::uint64_t>(followed));
      step_ = step_max_;
    }
  } else {
    const double next = static_cast<double>(budget_.ceiling_) * (1 + step_);
    if (failed_level_ > 0 && next > kNearFailure * failed_level_ && good_days_ < wait_days_) {
      return decide(DecisionKind::kHold, now, "hysteresis",
                    fmt::format("{} failed before; tried again after {} good days, now {}",
                                thousands(static_cast<std::uint64_t>(failed_level_)), wait_days_, good_days_),
                    "daily cap", before, before);
    }
    budget_.ceiling_ = std::max(budget_.ceiling_ + 1, static_cast<std::uint64_t>(next));
    step_max_ = std::min(1.0, step_max_ * (step_max_ < kStepSmall ? kStepRegainedSmall : kStepRegained));
    step_ = std::min(step_max_, step_ * 2);
    if (budget_.ceiling_ >= budget_.curve_.at(budget_.day_)) {
      ++budget_.day_;
      if (budget_.ceiling_ >= budget_.curve_.at(budget_.day_)) budget_.ceiling_ = kNoCap;
    }
  }
  last_step_ = static_cast<double>(budget_.cap()) / static_cast<double>(std::max<std::uint64_t>(before, 1)) - 1;
  decide(DecisionKind::kAdvance, now, "day", std::move(seen), "daily cap", before, budget_.cap());
}

// ---------------------------------------------------------------------------------------------------------------------
// The operator

Result<void> Pace::command(Command command, TimePoint now, std::uint64_t value) {
  roll(now);
  const std::uint64_t before = budget_.cap();
  if ((command == Command::kSkipDay || command == Command::kRepeatDay) && budget_.curve_.daily.empty()) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("{} has no curve at {}", address_, provider_.name)};
  }
  switch (command) {
    case Command::kPin:
      if (value == kNoCap) return Error{ErrorCode::kInvalidArgument, "pin: a daily cap is needed"};
      budget_.pinned_ = value;
      break;
    case Command::kUnpin:
      budget_.pinned_ = kNoCap;
      break;
    case Command::kPause:
      paused_ = true;
      break;
    case Command::kResume:
      paused_ = false;
      suspended_until_ = std::min(suspended_until_, now);
      suspensions_ = 0;
      break;
    case Command::kSkipDay:
      ++budget_.day_;
      budget_.ceiling_ = kNoCap;
      break;
    case Command::kRepeatDay:
      repeat_day_ = true;
      break;
  }
  decide(DecisionKind::kOperator, now, fmt::format("operator.{}", to_string(command)), "told by the operator",
         "daily cap", before, budget_.cap());
  return {};
}

void keep(std::vector<Decision>& decisions, Decision decision) {
  if (decisions.size() >= Pacer::kDecisionsMax)
    decisions.erase(decisions.begin(), decisions.begin() + Pacer::kDecisionsMax / 2);
  decisions.push_back(std::move(decision));
}

void Pace::decide(DecisionKind kind, TimePoint now, std::string_view rule, std::string seen, std::string what,
                  std::uint64_t before, std::uint64_t after) {
  Decision decision{.kind = kind,
                    .time = now,
                    .provider = provider_.name,
                    .ip = address_,
                    .rule = std::string(rule),
                    .seen = std::move(seen),
                    .what = std::move(what),
                    .old_value = before,
                    .new_value = after};
  why_ = decision.str();
  keep(decisions_, std::move(decision));
}

}  // namespace mailsbuddy::warming
