// What replies decide, at once.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "warming/pace.h"
#include "warming/text.h"

namespace mailsbuddy::warming {
namespace {

constexpr Duration kWindowMin = std::chrono::seconds(60);   // Momentum adjusts so often.
constexpr Duration kSettleTime = std::chrono::minutes(10);  // What was on its way when a cut was made says nothing new.
constexpr Duration kEventsFor = std::chrono::hours(1);      // "twice per hour".
constexpr std::uint64_t kRateEvents = 3;                    // In that time: KumoMTA's rules count to two or three.
constexpr double kRateMin = 1.0 / 64;
constexpr double kRateSuspends = 1.0 / 8;  // Cut to this, the pace is not the problem any more.
constexpr double kBelowFailure = 0.8;      // Of a pace that was too much: what it grows back to today.
constexpr double kSmoothing = 0.05;        // Of latency: the last twenty deliveries or so.
constexpr double kKnownGood = 0.9;         // Of what a provider took: where a cap goes back to.

double share(std::uint64_t part, std::uint64_t whole) {
  return static_cast<double>(part) / static_cast<double>(std::max<std::uint64_t>(whole, 1));
}

std::uint64_t as_percent(double rate) { return static_cast<std::uint64_t>(std::llround(rate * 100)); }

std::uint64_t unix_seconds(TimePoint time) {
  return time == kNever
             ? 0
             : static_cast<std::uint64_t>(std::max<std::int64_t>(0, time.time_since_epoch() / std::chrono::seconds(1)));
}

}  // namespace

void Pace::add(Counts& counts, const Signal& signal) {
  switch (signal.kind) {
    case SignalKind::kComplaint:
      counts.complaints += signal.count;
      return;
    case SignalKind::kUnreachable:         // An outage blames nobody.
    case SignalKind::kTooManyConnections:  // No message was tried.
      return;
    case SignalKind::kDelivered:
      counts.delivered += signal.count;
      break;
    case SignalKind::kDeferred:
    case SignalKind::kRateLimited:
    case SignalKind::kReputation:
      counts.deferred += signal.count;
      break;
    case SignalKind::kUnknownUser:
      counts.bounced += signal.count;
      break;
    case SignalKind::kBlocked:
    case SignalKind::kRejected:
      counts.rejected += signal.count;
      break;
  }
  counts.attempts += signal.count;
}

void Pace::learn(const Signal& signal, TimePoint now) {
  roll(now);
  // A full mailbox and greylisting say nothing of us; what is refused for good counts whatever the reason.
  const bool of_recipient = signal.scope == SignalScope::kRecipient && signal.kind == SignalKind::kDeferred;
  if (of_recipient || signal.count == 0) return;
  if (window_.attempts == 0 && window_.complaints == 0) window_since_ = now;
  add(day_, signal);
  add(window_, signal);
  if (signal.kind == SignalKind::kDelivered && signal.latency > Duration(0)) {
    const double seconds = std::chrono::duration<double>(signal.latency).count();
    latency_seconds_ += (seconds - latency_seconds_) * (latency_seconds_ == 0 ? 1 : kSmoothing);
  }
  if (!adaptive_ || budget_.pinned_ != kNoCap) return;
  act_on_reply(signal, now);
  judge_window(now);
  if (signal.kind == SignalKind::kDelivered) raise(now);
}

// Replies that say by themselves what to do.
void Pace::act_on_reply(const Signal& signal, TimePoint now) {
  if (now - events_since_ >= kEventsFor) {
    events_since_ = now;
    reputation_events_ = block_events_ = rate_events_ = 0;
  }
  const auto seen = [&](std::uint64_t events, std::string_view what) {
    return fmt::format("{} in {}{}{}", events, duration_text(now - events_since_), what,
                       signal.rule.empty() ? "" : fmt::format(" ({})", signal.rule));
  };
  switch (signal.kind) {
    case SignalKind::kTooManyConnections:
      return cut_connections(now);
    case SignalKind::kReputation:
      reputation_events_ += signal.count;
      if (reputation_events_ >= thresholds_.reputation_events) {
        step_back(now, "reputation_events", seen(reputation_events_, " replies blame the reputation"), true);
      }
      break;
    case SignalKind::kBlocked:
      block_events_ += signal.count;
      if (!signal.needs_operator && block_events_ >= thresholds_.block_events) {
        suspend(now, suspension(), DecisionKind::kSuspend, "block_events", seen(block_events_, " blocks"));
        step_back(now, "block_events", seen(block_events_, " blocks"), false);
      }
      break;
    case SignalKind::kRateLimited:
      rate_events_ += signal.count;
      if (!signal.slow_restart && rate_events_ >= kRateEvents)
        cut_rate(now, "rate_limited", seen(rate_events_, " replies say too fast"));
      break;
    default:
      break;
  }
  if (signal.needs_operator) {
    suspend(now, thresholds_.alert_pause, DecisionKind::kSuspend, "needs_operator",
            fmt::format("a person must act{}", signal.rule.empty() ? "" : fmt::format(" ({})", signal.rule)));
  } else if (signal.slow_restart) {
    if (!suspended(now) && static_cast<double>(day_.delivered) >= best_day_ && suspensions_today_ > 0) {
      step_back(now, "slow_restart", "told to stop again, beyond the best day", true);
    }
    const Duration length = thresholds_.restart_pause * (std::int64_t{1} << std::min<std::uint64_t>(suspensions_, 10));
    suspend(now, std::max(signal.pause, std::min(length, thresholds_.suspend_max)), DecisionKind::kRestart,
            "slow_restart",
            fmt::format("told to stop{}", signal.rule.empty() ? "" : fmt::format(" ({})", signal.rule)));
  } else if (signal.pause > Duration(0)) {
    suspend(now, signal.pause, DecisionKind::kSuspend, "pause",
            fmt::format("told to stop for {}", duration_text(signal.pause)));
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Shares over a window

Pace::Finding Pace::judge(const Counts& window, const Counts& whole) const {
  struct Test {
    std::string_view name;
    std::uint64_t count, of;
    double hold, step_back, suspend;
    bool believed;
  };
  const Thresholds& t = thresholds_;
  const bool enough = window.attempts >= t.samples_min;
  const Test tests[] = {
      {"deferral", window.deferred, window.attempts, t.deferral_hold, t.deferral_step_back, t.deferral_suspend, enough},
      {"bounce", window.bounced, window.attempts, t.bounce_hold, t.bounce_step_back, t.bounce_suspend, enough},
      {"rejection", window.rejected, window.attempts, 2, 2, t.rejection_suspend, enough},
      {"complaint", whole.complaints, whole.delivered, t.complaint_hold, t.complaint_step_back, t.complaint_suspend,
       whole.delivered >= t.complaint_samples_min && window.complaints > 0},
  };
  Finding worst;
  for (const Test& test : tests) {
    if (!test.believed) continue;
    const auto over = [&](double limit) { return exceeds(test.count, test.of, limit); };
    const Severity severity = over(test.suspend)     ? Severity::kSuspend
                              : over(test.step_back) ? Severity::kStepBack
                              : over(test.hold)      ? Severity::kHold
                                                     : Severity::kNone;
    if (severity <= worst.severity) continue;
    const double limit = severity == Severity::kSuspend    ? test.suspend
                         : severity == Severity::kStepBack ? test.step_back
                                                           : test.hold;
    worst = {
        severity, test.name,
        fmt::format("{} {} of {}, limit {}", test.name, percent(share(test.count, test.of)), test.of, percent(limit))};
  }
  return worst;
}

void Pace::judge_window(TimePoint now) {
  if (window_.attempts + window_.complaints == 0 || now - window_since_ < kWindowMin) return;
  if (window_.attempts < thresholds_.samples_min && window_.complaints == 0) return;
  const Finding found = judge(window_, day_);
  if (found.severity == Severity::kNone || suspended(now)) {
    window_ = {};
    return;
  }
  window_ = {};
  if (found.severity == Severity::kHold) {
    last_raise_ = now;  // No growth for an hour.
    return;
  }
  step_back(now, fmt::format("{}_step_back", found.rule), found.seen, found.rule == "deferral");
  if (found.severity == Severity::kSuspend) {
    suspend(now, suspension(), DecisionKind::kSuspend, fmt::format("{}_suspend", found.rule), found.seen);
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Levers

void Pace::cut_rate(TimePoint now, std::string_view rule, std::string seen) {
  if (suspended(now) || now - last_cut_ < kSettleTime) return;
  const double before = rate_;
  rate_max_ = std::clamp(before * kBelowFailure, 0.5, rate_max_);
  rate_ = std::max(kRateMin, rate_ * thresholds_.cut);
  last_cut_ = now;
  apply_rate(now);
  decide(DecisionKind::kCut, now, rule, seen, "rate", as_percent(before), as_percent(rate_));
  if (rate_ <= kRateSuspends) suspend(now, suspension(), DecisionKind::kSuspend, rule, std::move(seen));
}

void Pace::cut_connections(TimePoint now) {
  if (now - last_connection_cut_ < kWindowMin || connections_ <= 1) return;
  const int before = connections_;
  connections_known_ = connections_ - 1;
  connections_ = std::max(1, connections_ / 2);
  last_connection_cut_ = last_raise_ = now;
  decide(DecisionKind::kCut, now, "too_many_connections", "the provider says so", "connections",
         static_cast<std::uint64_t>(before), static_cast<std::uint64_t>(connections_));
}

// Refused beyond what it took on the best day before: the volume was too much. The cap goes to nine tenths of what was
// taken, but by half at most. Refused earlier in the day, it was the pace, or a provider's day that ends when ours does
// not: the rate is cut and the cap stays. Blame for what was sent, and not for how much, halves the cap.
void Pace::step_back(TimePoint now, std::string_view rule, std::string seen, bool of_volume) {
  if (now - last_cut_ < kSettleTime) return;
  const auto taken = static_cast<double>(day_.delivered);
  const bool known_volume = of_volume && (failed_today_ || taken < kKnownGood * best_day_);
  if (budget_.curve_.daily.empty() || known_volume) return cut_rate(now, rule, std::move(seen));
  const std::uint64_t before = budget_.cap();
  const auto cap = static_cast<double>(before);
  const double low = thresholds_.cut * cap;
  budget_.ceiling_ = std::max<std::uint64_t>(
      1, static_cast<std::uint64_t>(of_volume ? std::clamp(kKnownGood * taken, low, std::max(low, kKnownGood * cap))
                                              : low));
  rate_ = std::max(kRateMin, rate_ * thresholds_.cut);
  failed_today_ = true;
  last_cut_ = now;
  window_ = {};
  apply_rate(now);
  decide(DecisionKind::kStepBack, now, rule, std::move(seen), "daily cap", before, budget_.cap());
}

Duration Pace::suspension() const {
  Duration length = thresholds_.suspend_first;
  for (std::uint64_t i = 0; i < suspensions_ && length < thresholds_.suspend_max; ++i) length *= 4;
  return std::min(length, thresholds_.suspend_max);
}

// What connections that were open already tell again during a suspension changes nothing. The IPs of a pool do not come
// back in the same second: each a little later than the one before.
void Pace::suspend(TimePoint now, Duration length, DecisionKind kind, std::string_view rule, std::string seen) {
  if (suspended(now)) return;
  length += length / 64 * static_cast<std::int64_t>(number_ % 8);
  const TimePoint before = suspended_until_;
  suspended_until_ = now + length;
  ++suspensions_;
  ++suspensions_today_;
  connections_ = 1;
  restarting_ = true;
  rate_max_ = std::clamp(rate_ * kBelowFailure, 0.5, rate_max_);
  rate_ = std::max(kRateMin, rate_ * thresholds_.cut);
  last_raise_ = suspended_until_;
  window_ = {};
  rate_events_ = reputation_events_ = block_events_ = 0;
  apply_rate(now);
  decide(kind, now, rule, std::move(seen), "until", unix_seconds(before), unix_seconds(suspended_until_));
}

// Additive increase: a tenth of the full pace and one connection, at most once an hour, and only while all goes well.
void Pace::raise(TimePoint now) {
  if (suspended(now) || now - last_raise_ < thresholds_.raise_every || now - last_cut_ < thresholds_.raise_every)
    return;
  const int most = connections_known_ > 0 ? std::min(connections_known_, limits_.connections) : limits_.connections;
  if (rate_ >= rate_max_ && connections_ >= most) {
    restarting_ = false;
    return;
  }
  if (share(window_.deferred + window_.rejected, window_.attempts) >= thresholds_.deferral_hold) return;
  const double before = rate_;
  const int connections_before = connections_;
  rate_ = std::max(rate_, std::min(rate_max_, rate_ + thresholds_.raise));
  connections_ = std::max(connections_, std::min(most, connections_ + 1));
  last_raise_ = now;
  apply_rate(now);
  if (rate_ != before) {
    decide(DecisionKind::kRaise, now, "raise_every", "an hour went well", "rate", as_percent(before),
           as_percent(rate_));
  } else {
    decide(DecisionKind::kRaise, now, "raise_every", "an hour went well", "connections",
           static_cast<std::uint64_t>(connections_before), static_cast<std::uint64_t>(connections_));
  }
}

}  // namespace mailsbuddy::warming
