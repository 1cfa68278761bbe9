// wait.h - waiting for another thread without the GIL, so that Python's other threads run and Ctrl-C works.
#pragma once

#include <pybind11/pybind11.h>

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace mailsbuddy::python {

// A thread that waits in C++ never sees Python's signal handlers: they run between slices. This is how late Ctrl-C may be.
inline constexpr std::chrono::milliseconds kSignalSlice{100};

// Returns once `done()`, called under `mutex`, is true; whoever changes what it reads notifies `changed`. The GIL is held by
// the caller, `mutex` is not. Throws what a signal handler raised: KeyboardInterrupt.
template <class Done>
void wait_until(std::mutex& mutex, std::condition_variable& changed, Done done) {
  while (true) {
    {
      const pybind11::gil_scoped_release released;
      std::unique_lock lock(mutex);
      if (changed.wait_for(lock, kSignalSlice, done)) return;
    }
    if (PyErr_CheckSignals() != 0) throw pybind11::error_already_set();
  }
}

}  // namespace mailsbuddy::python
