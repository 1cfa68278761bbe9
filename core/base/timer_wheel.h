// timer_wheel.h - many timers for one loop: O(1) arm and cancel, after Varghese and Lauck, "Hashed and hierarchical timing
// wheels" (1987).
#pragma once

#include <array>
#include <cstdint>

#include "mailsbuddy/base.h"

namespace mailsbuddy {

class TimerWheel;

// One timer. Belongs to its owner, who may destroy it at any time, also from inside its own callback.
// Threads: its wheel's. Invariants: fires once per arm(); a destroyed or cancelled timer does not fire.
class Timer {
 public:
  explicit Timer(Task callback);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  bool armed() const noexcept { return wheel_ != nullptr; }
  TimePoint at() const noexcept { return at_; }  // When armed.

 private:
  friend class TimerWheel;
  Task callback_;
  TimePoint at_{};
  TimerWheel* wheel_ = nullptr;
  Timer* next_ = nullptr;
  Timer* previous_ = nullptr;
  std::uint16_t slot_ = 0;
};

// Threads: one owner. Invariants: no timer fires before its time; each fires in the first advance() at or after it, in
// order of time (ties: in order of arming).
class TimerWheel {
 public:
  explicit TimerWheel(TimePoint start, Duration tick = std::chrono::milliseconds(1));
  ~TimerWheel();  // Cancels what is armed.
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  void arm(Timer& timer, TimePoint at);  // Armed already: moved. In the past: fires in the next advance().
  void cancel(Timer& timer) noexcept;    // Not armed: nothing happens.
  // When advance() next has something to do: never later than the earliest timer, and equal to it when that timer is due
  // within the innermost wheel. TimePoint::max(): nothing is armed.
  TimePoint next() const noexcept;
  void advance(TimePoint now);           // Fires what is due. Timers armed by callbacks for `now` or earlier wait for the next.
  std::size_t size() const noexcept { return size_; }

 private:
  std::size_t size_ = 0;  // The implementation adds what it needs.
};

}  // namespace mailsbuddy
