// pace.h - one egress IP at one provider: its permits, its budget, and the controller that moves them.
//
// The controller has two levers. The daily cap follows the curve, one day at a time, as long as each day proves itself;
// a `ceiling` below the curve holds what the provider has shown to take. Within the day `rate_`, a share of the full
// pace, is cut at once and grows back by a tenth an hour; connections follow it. Both are AIMD (Chiu and Jain, 1989):
// what several senders share is left stable by no other simple rule.
#pragma once

#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "mailsbuddy/warming.h"

namespace mailsbuddy::warming {

// Adds to those that wait to be taken, at most Pacer::kDecisionsMax.
void keep(std::vector<Decision>& decisions, Decision decision);

class Pace {
 public:
  struct Setup {
    const ProviderId* provider = nullptr;
    PacedIp ip;
    std::size_t number = 0;
    const Settings* settings = nullptr;
    Zone zone{};
    bool adaptive = true;
    TimePoint started{};
    std::vector<Decision>* decisions = nullptr;
  };
  explicit Pace(Setup setup);

  TimePoint next(TimePoint now, std::uint64_t bytes);
  TimePoint next_over_cap(TimePoint now, std::uint64_t bytes);
  TimePoint next_bytes(TimePoint now, std::uint64_t bytes) const noexcept { return throttle_.next_bytes(now, bytes); }
  bool exhausted(TimePoint now);
  void take(TimePoint now, std::uint64_t bytes, std::uint64_t messages);
  void refund(std::uint64_t bytes, TimePoint taken_at);
  std::uint64_t left(TimePoint now);
  double rate() const { return limits_.messages_per_second * rate_; }
  int connections(TimePoint now);
  TimePoint next_connection(TimePoint now);
  void take_connection(TimePoint now) { throttle_.take_connection(now); }
  const Limits& limits() const { return limits_; }
  const std::string& address() const { return address_; }
  std::uint64_t used(TimePoint now);
  bool cold() const;
  std::uint64_t sending_day() const { return budget_.day(); }
  std::uint64_t delivered_lately(TimePoint now);

  void learn(const Signal& signal, TimePoint now);
  Result<void> command(Command command, TimePoint now, std::uint64_t value);
  void change(const Settings& settings, TimePoint now);
  Explanation explain(TimePoint now);

  void write(BytesWriter& out) { write(out, ahead()); }  // What it covers may go after cover().
  void write_last(BytesWriter& out) { write(out, 0); }    // Nothing goes from here any more.
  void cover();
  void require_cover();
  void waive_cover();
  bool at_rest(TimePoint now);
  bool as_made(TimePoint now);
  bool outlived(TimePoint now);
  bool read(BytesReader& in);
  void restored(TimePoint now);  // Nothing goes at once: what went before the snapshot's end is not known.
  bool snapshot_due() const;

 private:
  struct Counts {
    std::uint64_t attempts = 0;
    std::uint64_t delivered = 0;
    std::uint64_t deferred = 0;
    std::uint64_t bounced = 0;
    std::uint64_t rejected = 0;  // Blocks among them.
    std::uint64_t complaints = 0;
  };
  // A trouble in one window, and what it calls for.
  enum class Severity : std::uint8_t { kNone, kHold, kStepBack, kSuspend };
  struct Finding {
    Severity severity = Severity::kNone;
    std::string_view rule{};
    std::string seen{};
  };

  // More than chance explains, one time in twenty: `limit` of `of` would seldom give `count`.
  static bool exceeds(std::uint64_t count, std::uint64_t of, double limit);
  static void add(Counts& counts, const Signal& signal);
  void roll(TimePoint now);
  void close_day(TimePoint now);
  void settle_ceiling_after_failure();
  void advance(TimePoint now, std::string seen);
  std::string day_fails() const;  // Why the day that was closed does not let the cap grow; empty: it does.
  Finding judge(const Counts& window, const Counts& whole) const;
  void act_on_reply(const Signal& signal, TimePoint now);
  void judge_window(TimePoint now);
  void cut_rate(TimePoint now, std::string_view rule, std::string seen);
  void cut_connections(TimePoint now);
  void step_back(TimePoint now, std::string_view rule, std::string seen, bool of_volume);
  void suspend(TimePoint now, Duration length, DecisionKind kind, std::string_view rule, std::string seen);
  Duration suspension() const;
  void raise(TimePoint now);
  void apply_rate(TimePoint now);
  bool suspended(TimePoint now) const { return now < suspended_until_; }
  void decide(DecisionKind kind, TimePoint now, std::string_view rule, std::string seen, std::string what,
              std::uint64_t before, std::uint64_t after);
  void apply_settings(const Settings& settings);
  std::uint64_t ahead() const;
  void write(BytesWriter& out, std::uint64_t more);
  std::uint64_t next_cap() const;
  PaceState state(TimePoint now) const;

  const ProviderId& provider_;
  std::string address_;
  std::optional<Curve> given_curve_;
  std::uint64_t given_day_;
  std::size_t number_;
  bool adaptive_;
  std::vector<Decision>& decisions_;
  std::vector<Settings::Origin> origins_;
  Limits limits_;
  Thresholds thresholds_;
  Throttle throttle_;
  Budget budget_;

  double rate_ = 1;      // Of the full pace, now.
  double rate_max_ = 1;  // What it may grow to: after a cut somewhat below what was too much; more each good day.
  int connections_ = 0;  // As learned; rate_ scales them besides.
  bool restarting_ = false;
  bool paused_ = false;
  bool repeat_day_ = false;
  TimePoint suspended_until_{};
  TimePoint last_raise_{};
  TimePoint last_cut_{};
  TimePoint last_connection_cut_{};
  std::uint64_t suspensions_ = 0;  // In a row; a day without ends the row.

  Counts day_;     // Of today; complaints come days later and count when they come.
  Counts window_;  // Since the last judgement.
  Counts closed_;  // Of the last day.
  TimePoint window_since_{};
  TimePoint events_since_{};
  std::uint64_t reputation_events_ = 0;
  std::uint64_t block_events_ = 0;
  std::uint64_t rate_events_ = 0;
  std::uint64_t suspensions_today_ = 0;
  bool failed_today_ = false;    // Stepped back.
  double failed_level_ = 0;      // Messages a day at which it failed; 0: not known to fail.
  std::uint64_t wait_days_ = 1;  // Good days before that level is tried again; doubles each time it fails.
  std::uint64_t good_days_ = 0;  // Since.
  double step_ = 0.1;            // By which a ceiling grows a day; doubles while it goes well, up to
  double step_max_ = 1;          // what the provider showed to follow.
  double last_step_ = 1;         // The growth that was given last.
  double best_day_ = 0;          // Deliveries of the best of the last good days, fading.
  int connections_known_ = 0;    // Most that it takes at once, as far as it said; 0: it did not say.
  double latency_seconds_ = 0;   // Smoothed.
  std::uint64_t staged_ = 0;  // What the last snapshot covers of the day
  std::int64_t staged_day_ = 0;
  std::string why_;
};

}  // namespace mailsbuddy::warming
