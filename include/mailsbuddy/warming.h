// warming.h - how much each egress IP may send to each mailbox provider, and when: limits, permits, warm-up curves.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mailsbuddy/base.h"
#include "mailsbuddy/mail.h"

namespace mailsbuddy::warming {

// What a mailbox provider takes from one egress IP. Defaults: those of a receiver about whom nothing is known.
struct Limits {
  int connections = 10;                // At once.
  int messages_per_connection = 100;
  double messages_per_second = 100;    // 0: unlimited.
  double burst = 10;                   // Messages that may go at once after a pause.
  // As smtp::SessionOptions::messages_in_flight. A provider that shows that it minds has it taken back to 1 for a day.
  int messages_in_flight = 2;
};

// The shipped limits for `provider` (docs/limits.md has the table and its sources).
Limits default_limits(const ProviderId& provider);

// Paces events exactly: GCRA (ITU-T I.371 annex A), in nanoseconds. No clock inside.
// Threads: one owner.
class RateLimiter {
 public:
  RateLimiter() = default;                           // Unlimited.
  RateLimiter(double per_second, double burst) noexcept;  // per_second 0: unlimited; burst at least 1.

  TimePoint next(TimePoint now) const noexcept;      // When the next event conforms; `now` or earlier: at once.
  void take(TimePoint now) noexcept;                 // Counts an event. Conforming or not: the debt is remembered.
  void refund() noexcept;                            // Takes back one take().

 private:
  Duration interval_{0};
  Duration tolerance_{0};
  TimePoint theoretical_arrival_{};
};

// A warm-up curve: sending day -> messages that day. The last value persists; an empty curve has no cap.
struct Curve {
  std::string name;
  std::vector<std::uint64_t> daily;

  // "sendgrid", "sparkpost", "conservative" (docs/warming.md has the numbers and their sources).
  // Errors: kNotFound with the names there are.
  static Result<Curve> preset(std::string_view name);
};

// Counts messages of one (egress IP, provider) against a curve. A sending day is a calendar day (UTC) on which something
// was sent; days without sending do not advance the curve. Threads: one owner.
class Budget {
 public:
  Budget() = default;  // No cap.
  explicit Budget(Curve curve);

  // How many may still go today. UINT64_MAX: no cap.
  std::uint64_t left(TimePoint now);
  void take(TimePoint now);             // At attempt.
  void refund(TimePoint taken_at);      // The attempt did not reach RCPT.
  TimePoint next_day(TimePoint now) const noexcept;  // When the next day begins.
  std::uint64_t day() const noexcept { return day_; }      // Sending day, from 0.
  std::uint64_t used() const noexcept { return used_; }    // Today.
  std::uint64_t cap() const noexcept;                      // Today's; UINT64_MAX: none.

 private:
  void roll(TimePoint now);
  Curve curve_;
  std::uint64_t day_ = 0;
  std::uint64_t used_ = 0;
  std::int64_t calendar_day_ = -1;
};

}  // namespace mailsbuddy::warming
