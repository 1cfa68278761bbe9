#include "engine/job.h"

#include <algorithm>

#include "engine/fields.h"

namespace mailsbuddy::engine {
namespace {

std::int64_t seconds_of(TimePoint time) {
  return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

}  // namespace

TimePoint Job::opens(std::string_view fields, TimePoint at) const {
  if (windows.empty() || zone_column == 0) return opens(at);
  std::vector<std::string_view> values;
  unpack_fields(fields, values);
  const std::string_view name = values.size() < zone_column ? std::string_view() : values[zone_column - 1];
  if (name.empty()) return engine::opens(windows, zone, at);
  const auto own = zones->zone(name);  // It was checked when the row came; a name may be known no more.
  return engine::opens(windows, own ? *own : zone, at);
}

void MessageData::set(std::string data, std::shared_ptr<std::atomic<std::uint64_t>> total) {
  drop();
  const std::lock_guard lock(mutex_);
  data_ = std::make_shared<const std::string>(std::move(data));
  total_ = std::move(total);
  if (total_ != nullptr) total_->fetch_add(data_->size(), std::memory_order_relaxed);
}

void MessageData::drop() noexcept {
  const std::lock_guard lock(mutex_);
  if (data_ != nullptr && total_ != nullptr) total_->fetch_sub(data_->size(), std::memory_order_relaxed);
  data_.reset();
}

std::shared_ptr<const std::string> MessageData::get() const {
  const std::lock_guard lock(mutex_);
  return data_;
}

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
