// log_queue.h - the library's log lines on their way to Python's logging.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "mailsbuddy/base.h"

namespace mailsbuddy::python {

// Lines wait here for a thread of Python's, so that none of the engine's ever waits for the GIL or for somebody's
// handler. Threads: any. Bounded: beyond kLinesMax lines are dropped, and counted.
class LogQueue final : public LogSink {
 public:
  static constexpr std::size_t kLinesMax = 10'000;

  struct Line {
    LogLevel level = LogLevel::kInfo;
    TimePoint time{};
    std::string room;
    std::string text;
  };

  LogLevel level() const noexcept override { return level_; }
  void write(LogLevel level, std::string_view room, std::string_view line) noexcept override;

  void set_level(LogLevel level) { level_ = level; }
  std::vector<Line> take(std::chrono::milliseconds wait);  // What has come; when there is nothing, it waits for it so long.
  std::uint64_t dropped();                                 // Since the last call.
  void close();                                            // take() waits no more.
  bool closed() const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Line> lines_;
  std::uint64_t dropped_ = 0;
  bool closed_ = false;
  std::atomic<LogLevel> level_{LogLevel::kInfo};
};

}  // namespace mailsbuddy::python
