// signals.h - how a command that serves until it is told to stop hears of it.
#pragma once

#include <signal.h>

#include <chrono>

namespace mailsbuddy::cli {

// Of this thread and those it starts: a pipe whose reader is gone is an error, EPIPE, and ends no process.
inline void block_sigpipe() noexcept {
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
}

// SIGINT and SIGTERM are waited for instead of handled: no code runs in a handler.
class Signals {
 public:
  Signals() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGINT);
    sigaddset(&set_, SIGTERM);
    sigprocmask(SIG_BLOCK, &set_, &before_);
  }
  ~Signals() { sigprocmask(SIG_SETMASK, &before_, nullptr); }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  bool wait(std::chrono::nanoseconds limit) const {  // True: one has come.
    const auto seconds = std::chrono::floor<std::chrono::seconds>(limit);
    const timespec time{static_cast<time_t>(seconds.count()), static_cast<long>((limit - seconds).count())};
    return sigtimedwait(&set_, nullptr, &time) > 0;
  }

 private:
  sigset_t set_{};
  sigset_t before_{};
};

}  // namespace mailsbuddy::cli
