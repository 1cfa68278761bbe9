#include "bindings/python/src/wait.h"

#include "bindings/python/src/errors.h"

namespace mailsbuddy::python {

void Wait::end_all() {
  ends_ = true;
  while (const int left = under_way_) {  // Asked with the GIL: none begins meanwhile.
    const pybind11::gil_scoped_release released;
    under_way_.wait(left);  // For a slice at most.
  }
}

void check_slice() {
  if (Wait::interpreter_ends()) raise(ErrorCode::kClosed, "the interpreter is ending");
  if (PyErr_CheckSignals() != 0) throw pybind11::error_already_set();
}

}  // namespace mailsbuddy::python
