#include "bindings/python/src/wait.h"

#include "bindings/python/src/errors.h"

namespace mailsbuddy::python {

void Wait::end_all() {
  ends_ = true;
  while (under_way_ != 0) {  // Asked with the GIL: none begins meanwhile. A slice at most, unless a program's iterator is stuck.
    {
      const pybind11::gil_scoped_release released;
      std::unique_lock lock(end_mutex_);  // Let go of before the GIL is asked for.
      none_left_.wait_for(lock, kSignalSlice, [] { return under_way_ == 0; });
    }
    if (PyErr_CheckSignals() != 0) throw pybind11::error_already_set();
  }
}

void check_slice() {
  if (Wait::interpreter_ends()) raise(ErrorCode::kClosed, "the interpreter is ending");
  if (PyErr_CheckSignals() != 0) throw pybind11::error_already_set();
}

}  // namespace mailsbuddy::python
