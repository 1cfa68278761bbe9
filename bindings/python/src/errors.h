// errors.h - a Result's Error as a Python exception of the tree in mailsbuddy/_errors.py.
#pragma once

#include <pybind11/pybind11.h>

#include <string>
#include <utility>

#include "bindings/python/src/wait.h"
#include "mailsbuddy/base.h"

namespace mailsbuddy::python {

// Throws what pybind11 turns into the exception of the error's code. The GIL must be held.
[[noreturn]] void raise(const Error& error);
[[noreturn]] inline void raise(ErrorCode code, std::string detail) { raise(Error{code, std::move(detail)}); }

template <class T>
T value_or_raise(Result<T> result) {
  if (!result) raise(result.error());
  return *std::move(result);
}
inline void value_or_raise(const Result<void>& result) {
  if (!result) raise(result.error());
}

// Runs `work` without the GIL: everything that waits or computes goes through here. Counted as a Wait: a thread that an
// ending interpreter killed where it asks for the GIL again would be in a destructor, and take the process with it.
template <class Work>
auto without_gil(Work&& work) {
  if (Wait::interpreter_ends()) return std::forward<Work>(work)();  // With it: it might not be had again. No engine is open any more.
  const Wait wait;
  const pybind11::gil_scoped_release released;
  return std::forward<Work>(work)();
}

}  // namespace mailsbuddy::python
