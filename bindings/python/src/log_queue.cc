#include "bindings/python/src/log_queue.h"

#include <exception>
#include <utility>

namespace mailsbuddy::python {

void LogQueue::write(LogLevel level, std::string_view room, std::string_view line) noexcept {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  if (lines_.size() >= kLinesMax) {
    ++dropped_;
    return;
  }
  try {
    lines_.push_back({level, std::chrono::system_clock::now(), std::string(room), std::string(line)});
  } catch (const std::exception&) {  // No memory.
    ++dropped_;
  }
  changed_.notify_all();
}

std::vector<LogQueue::Line> LogQueue::take(std::chrono::milliseconds wait) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, wait, [this] { return closed_ || !lines_.empty(); });
  std::vector<Line> taken(std::make_move_iterator(lines_.begin()), std::make_move_iterator(lines_.end()));
  lines_.clear();
  return taken;
}

std::uint64_t LogQueue::dropped() {
  const std::lock_guard lock(mutex_);
  return std::exchange(dropped_, 0);
}

void LogQueue::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

bool LogQueue::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

}  // namespace mailsbuddy::python
