#include "core/base/timer_wheel.h"

#include <algorithm>
#include <bit>
#include <cassert>

namespace mailsbuddy {

Timer::Timer(Task callback) : callback_(std::move(callback)) {}

Timer::~Timer() {
  if (wheel_ != nullptr) wheel_->cancel(*this);
  if (destroyed_ != nullptr) *destroyed_ = true;
}

TimerWheel::TimerWheel(TimePoint start, Duration tick)
    : tick_(std::max(tick, Duration(1))), now_(start), current_(tick_of(start)) {}

TimerWheel::~TimerWheel() {
  for (Timer* head : heads_) {
    for (; head != nullptr; head = head->next_) head->wheel_ = nullptr;
  }
}

void TimerWheel::arm(Timer& timer, TimePoint at) {
  if (timer.wheel_ != nullptr) timer.wheel_->cancel(timer);
  timer.at_ = at;
  timer.order_ = armings_++;
  timer.wheel_ = this;
  ++size_;
  place(timer);
}

void TimerWheel::cancel(Timer& timer) noexcept {
  if (timer.wheel_ == nullptr) return;
  assert(timer.wheel_ == this);
  unlink(timer);
  timer.wheel_ = nullptr;
  --size_;
}

TimePoint TimerWheel::next() const noexcept {
  if (heads_[kDue] != nullptr) return heads_[kDue]->at_;
  for (std::size_t level = 0; level < kLevels; ++level) {
    if (occupied_[level] == 0) continue;
    // Timers of one level come before all of the next, and those of a lower slot before those of a higher one.
    const auto slot = static_cast<std::size_t>(std::countr_zero(occupied_[level]));
    if (level > 0) {
      const auto shift = level * kDigitBits;
      const std::uint64_t above = (current_ >> shift >> kDigitBits) << kDigitBits;
      return TimePoint(tick_ * static_cast<Duration::rep>((above | slot) << shift));
    }
    const Timer* timer = heads_[slot];
    TimePoint earliest = timer->at_;
    while ((timer = timer->next_) != nullptr) earliest = std::min(earliest, timer->at_);
    return earliest;
  }
  return TimePoint::max();
}

void TimerWheel::advance(TimePoint now) {
  assert(heads_[kDue] == nullptr);
  now_ = std::max(now, now_);
  const std::uint64_t target = tick_of(now_);
  // Below the highest digit that changes every timer is due; on its level those up to the new digit may be. On the
  // levels above nothing changes. Visiting these slots at once makes a leap of an hour as cheap as a step.
  const std::size_t top = level_of(current_ ^ target);
  for (std::size_t level = 0; level < top; ++level) collect(level, ~std::uint64_t{0});
  collect(top, ~std::uint64_t{0} >> (kSlots - 1 - digit(target, top)));
  current_ = target;

  // What is not due after all goes back, now nearer to the innermost level.
  const auto not_due =
      std::partition(collected_.begin(), collected_.end(), [this](const Timer* timer) { return timer->at_ <= now_; });
  std::for_each(not_due, collected_.end(), [this](Timer* timer) { place(*timer); });
  // Latest first: link() puts each in front of those before.
  std::sort(collected_.begin(), not_due,
            [](const Timer* a, const Timer* b) { return a->at_ != b->at_ ? a->at_ > b->at_ : a->order_ > b->order_; });
  std::for_each(collected_.begin(), not_due, [this](Timer* timer) { link(*timer, kDue); });
  collected_.clear();
  // A list rather than the vector, because callbacks may cancel, move and destroy timers that are still to fire.
  while (heads_[kDue] != nullptr) fire(*heads_[kDue]);
}

// The callback is held here while it runs, because it may destroy its timer.
void TimerWheel::fire(Timer& timer) {
  cancel(timer);
  bool destroyed = false;
  timer.destroyed_ = &destroyed;
  Task callback = std::move(timer.callback_);
  callback();
  if (destroyed) return;
  timer.callback_ = std::move(callback);
  timer.destroyed_ = nullptr;
}

std::size_t TimerWheel::level_of(std::uint64_t difference) noexcept {
  return difference == 0 ? 0 : static_cast<std::size_t>(std::bit_width(difference) - 1) / kDigitBits;
}

std::size_t TimerWheel::digit(std::uint64_t tick, std::size_t level) noexcept {
  return static_cast<std::size_t>(tick >> (level * kDigitBits)) % kSlots;
}

std::uint64_t TimerWheel::tick_of(TimePoint at) const noexcept {
  return static_cast<std::uint64_t>(std::max(at.time_since_epoch(), Duration(0)) / tick_);
}

void TimerWheel::place(Timer& timer) noexcept {
  const std::uint64_t tick = std::max(tick_of(timer.at_), current_);
  const std::size_t level = level_of(tick ^ current_);
  link(timer, level * kSlots + digit(tick, level));
}

void TimerWheel::link(Timer& timer, std::size_t slot) noexcept {
  timer.slot_ = static_cast<std::uint16_t>(slot);
  timer.previous_ = nullptr;
  timer.next_ = heads_[slot];
  if (timer.next_ != nullptr) timer.next_->previous_ = &timer;
  heads_[slot] = &timer;
  if (slot != kDue) occupied_[slot / kSlots] |= std::uint64_t{1} << (slot % kSlots);
}

void TimerWheel::unlink(Timer& timer) noexcept {
  if (timer.next_ != nullptr) timer.next_->previous_ = timer.previous_;
  if (timer.previous_ != nullptr) {
    timer.previous_->next_ = timer.next_;
    return;
  }
  const std::size_t slot = timer.slot_;
  heads_[slot] = timer.next_;
  if (timer.next_ == nullptr && slot != kDue) occupied_[slot / kSlots] &= ~(std::uint64_t{1} << (slot % kSlots));
}

// Empties those of the level's slots whose bit is set.
void TimerWheel::collect(std::size_t level, std::uint64_t slots) {
  for (std::uint64_t left = occupied_[level] & slots; left != 0; left &= left - 1) {
    Timer*& head = heads_[level * kSlots + static_cast<std::size_t>(std::countr_zero(left))];
    for (; head != nullptr; head = head->next_) collected_.push_back(head);
  }
  occupied_[level] &= ~slots;
}

}  // namespace mailsbuddy
