// gate.h - what Python opens and closes once, however it comes about: who uses it is waited for, and forks are refused.
#pragma once

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string_view>
#include <utility>

#include "bindings/python/src/errors.h"

namespace mailsbuddy::python {

// Threads: any.
class Gate {
 public:
  explicit Gate(std::string_view what) : what_(what) {}  // "engine".

  // False: it is closed, or this process is a fork of the one that opened it.
  bool enter() {
    if (!ours()) return false;  // A thread of the parent's may have the mutex.
    const std::lock_guard lock(mutex_);
    if (closing_) return false;
    ++users_;
    return true;
  }
  void enter_or_raise() {  // Unsupported in a fork, else Closed.
    if (enter()) return;
    if (ours()) raise(ErrorCode::kClosed, fmt::format("the {} is closed", what_));
    raise(ErrorCode::kUnsupported,
          fmt::format("this {0} was opened by process {1}, of which this is a fork: open one here, or start "
                      "processes by the \"spawn\" method of multiprocessing",
                      what_, process_));
  }
  void leave() {
    const std::lock_guard lock(mutex_);
    if (--users_ == 0) idle_.notify_all();
  }

  void close() {  // Users who wait, or read what a program gives, look at closing() at short intervals.
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  // With the GIL. Raises what a signal handler raises, and waits not at all when the interpreter ends.
  void wait_interruptibly() {
    if (!Wait::interpreter_ends()) wait_until(mutex_, idle_, [this] { return users_ == 0; });
  }
  void wait() {  // Without the GIL.
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [this] { return users_ == 0; });
  }
  bool closing() const { return closing_; }
  bool ours() const { return getpid() == process_; }

 private:
  const std::string_view what_;
  const pid_t process_ = getpid();
  std::mutex mutex_;
  std::condition_variable idle_;
  int users_ = 0;
  std::atomic<bool> closing_{false};
};

}  // namespace mailsbuddy::python
