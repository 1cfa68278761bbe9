// timer_wheel.h - many timers for one loop: O(1) arm and cancel, after Varghese and Lauck, "Hashed and hierarchical
// timing wheels" (1987).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

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
  std::uint64_t order_ = 0;  // Of arming: decides between timers of one time.
  TimerWheel* wheel_ = nullptr;
  Timer* next_ = nullptr;
  Timer* previous_ = nullptr;
  bool* destroyed_ = nullptr;  // While the callback runs: tells the wheel that it must not touch the timer again.
  std::uint16_t slot_ = 0;
};

// Threads: one owner. Invariants: no timer fires before its time; each fires in the first advance() at or after it, in
// order of time (ties: in order of arming).
//
// Times are counted in ticks and read as numbers of base 64. A timer lies on the level of the highest digit in which
// its tick differs from the current one, in the slot of its own digit there. Eleven levels hold any 64-bit number, so
// there is no horizon beyond which timers would have to be parked, and time may leap any distance in one step.
class TimerWheel {
 public:
  explicit TimerWheel(TimePoint start, Duration tick = std::chrono::milliseconds(1));
  ~TimerWheel();  // Cancels what is armed. Not to be called from a callback.
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  void arm(Timer& timer, TimePoint at);  // Armed already: moved. In the past: fires in the next advance().
  void cancel(Timer& timer) noexcept;    // Not armed: nothing happens.
  // When advance() next has something to do: never later than the earliest timer, and equal to it when that timer is
  // due within the innermost wheel. TimePoint::max(): nothing is armed.
  TimePoint next() const noexcept;
  // Fires what is due. Timers armed by callbacks for `now` or earlier wait for the next. A `now` before an earlier one
  // counts as that one. Not to be called from a callback.
  void advance(TimePoint now);
  std::size_t size() const noexcept { return size_; }

 private:
  static constexpr int kDigitBits = 6;
  static constexpr std::size_t kSlots = 1U << kDigitBits;
  static constexpr std::size_t kLevels = 11;             // 11 * 6 >= 64 bits.
  static constexpr std::size_t kDue = kLevels * kSlots;  // The list of timers that advance() is firing.

  static std::size_t level_of(std::uint64_t difference) noexcept;
  static std::size_t digit(std::uint64_t tick, std::size_t level) noexcept;
  std::uint64_t tick_of(TimePoint at) const noexcept;
  void place(Timer& timer) noexcept;
  void link(Timer& timer, std::size_t slot) noexcept;
  void unlink(Timer& timer) noexcept;
  void collect(std::size_t level, std::uint64_t slots);
  void fire(Timer& timer);

  Duration tick_;
  TimePoint now_;
  std::uint64_t current_;  // Tick of now_.
  std::uint64_t armings_ = 0;
  std::size_t size_ = 0;
  std::array<std::uint64_t, kLevels> occupied_{};  // A bit per slot.
  std::array<Timer*, kDue + 1> heads_{};
  std::vector<Timer*> collected_;  // Scratch of advance(), kept for its memory.
};

}  // namespace mailsbuddy
