#include "bindings/python/src/wait.h"

#include <thread>

#include "bindings/python/src/errors.h"

namespace mailsbuddy::python {

void Wait::end_all() {
  ends_ = true;
  while (under_way_ != 0) {  // Asked with the GIL: none begins meanwhile. A slice at most, unless a program's iterator is stuck.
    {
      const pybind11::gil_scoped_release released;
      std::this_thread::sleep_for(kEndSlice);
    }
    if (PyErr_CheckSignals() != 0) throw pybind11::error_already_set();
  }
}

void check_slice() {
  if (Wait::interpreter_ends()) raise(ErrorCode::kClosed, "the interpreter is ending");
  if (PyErr_CheckSignals() != 0) throw pybind11::error_already_set();
}

}  // namespace mailsbuddy::python
