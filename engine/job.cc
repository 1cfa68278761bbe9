#include "engine/job.h"

#include <algorithm>

namespace mailsbuddy::engine {
namespace {

std::int64_t seconds_of(TimePoint time) {
  return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

}  // namespace

void SettleRate::count(TimePoint now, std::uint64_t settled) {
  const std::lock_guard lock(mutex_);
  const std::int64_t second = seconds_of(now);
  if (first_ == 0) first_ = newest_ = second;
  for (; newest_ < second; ++newest_) {
    if (second - newest_ > kWindow) newest_ = second - kWindow;
    counts_[static_cast<std::size_t>((newest_ + 1) % kWindow)] = 0;
  }
  counts_[static_cast<std::size_t>(second % kWindow)] += settled;
}

double SettleRate::per_second(TimePoint now) const {
  const std::lock_guard lock(mutex_);
  const std::int64_t second = seconds_of(now);
  if (first_ == 0) return 0;
  std::uint64_t sum = 0;
  for (std::int64_t age = 0; age < kWindow; ++age) {
    const std::int64_t at = second - age;
    if (at <= newest_ && at > newest_ - kWindow && at >= first_) sum += counts_[static_cast<std::size_t>(at % kWindow)];
  }
  const std::int64_t span = std::clamp<std::int64_t>(second - first_ + 1, 1, kWindow);
  return static_cast<double>(sum) / static_cast<double>(span);
}

}  // namespace mailsbuddy::engine
