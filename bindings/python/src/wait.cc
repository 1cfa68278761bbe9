#include "bindings/python/src/wait.h"

#include <thread>

#include "bindings/python/src/errors.h"

namespace mailsbuddy::python {

void Wait::end_all() {
  ends_ = true;
  without_gil([] {
    while (under_way_ > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));  // A slice at most.
  });
}

void check_slice() {
  if (Wait::interpreter_ends()) raise(ErrorCode::kClosed, "the interpreter is ending");
  if (PyErr_CheckSignals() != 0) throw pybind11::error_already_set();
}

}  // namespace mailsbuddy::python
