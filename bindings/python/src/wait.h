// wait.h - waiting for another thread without the GIL, so that Python's other threads run and Ctrl-C works.
#pragma once

#include <pybind11/pybind11.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>

namespace mailsbuddy::python {

// A thread that waits in C++ never sees Python's signal handlers: they run between slices. This is how late Ctrl-C may
// be.
inline constexpr std::chrono::milliseconds kSignalSlice{100};

// One wait under way. An interpreter that ends kills daemon threads where they ask for the GIL, in the middle of C++:
// so its end is told to all who wait, and waits until they have the GIL back. The GIL is held where one begins and
// ends.
class Wait {
 public:
  Wait() noexcept { ++under_way_, ++of_this_thread_; }
  ~Wait() {
    --of_this_thread_;
    if (--under_way_ != 0 || !ends_) return;
    const std::lock_guard lock(end_mutex_);
    none_left_.notify_all();
  }
  Wait(const Wait&) = delete;
  Wait& operator=(const Wait&) = delete;

  static bool interpreter_ends() noexcept { return ends_; }
  static void end_all();  // At the interpreter's exit. Throws what a signal handler raises.
  static void after_fork() noexcept { under_way_ = of_this_thread_; }  // In the child, which has no other thread.

 private:
  static inline std::atomic<int> under_way_{0};
  static inline thread_local int of_this_thread_ = 0;
  static inline std::atomic<bool> ends_{false};
  static inline std::mutex end_mutex_;  // Whoever has it waits neither for the GIL nor with it.
  static inline std::condition_variable none_left_;
};

// Throws what the end of a slice brings: what a signal handler raised (KeyboardInterrupt), or Closed when the
// interpreter ends.
void check_slice();

// Returns once `done()`, called under `mutex`, is true; whoever changes what it reads notifies `changed`. The GIL is
// held by the caller, `mutex` is not. Throws as check_slice().
template <class Done>
void wait_until(std::mutex& mutex, std::condition_variable& changed, Done done) {
  if (Wait::interpreter_ends()) check_slice();
  const Wait wait;
  while (true) {
    {
      const pybind11::gil_scoped_release released;
      std::unique_lock lock(mutex);
      if (changed.wait_for(lock, kSignalSlice, done)) return;
    }
    check_slice();
  }
}

}  // namespace mailsbuddy::python
