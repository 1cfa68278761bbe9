// The native half of the package, mailsbuddy._core: private, its doors are the modules of bindings/python/mailsbuddy.
#include "bindings/python/src/bind.h"

namespace {

// Threads of the library take the GIL by PyGILState, which knows the main interpreter alone: elsewhere callbacks would
// run in the wrong one.
constexpr const char* kMainAlone = "mailsbuddy works in the main interpreter alone, not in subinterpreters; use a process";

bool in_main_interpreter() { return PyInterpreterState_Get() == PyInterpreterState_Main(); }

}  // namespace

// pybind11's own entry takes the GIL by PyGILState before any line of ours runs, which in a subinterpreter never
// returns: so it gets another name, and ours stands before it.
#define PyInit__core initialise_core
PYBIND11_MODULE(_core, core) {
  namespace python = mailsbuddy::python;
  if (!in_main_interpreter()) throw pybind11::import_error(kMainAlone);  // Since Python 3.13 the entry runs in the main one.
  core.doc() = "The native half of mailsbuddy. Private: use the modules of the package.";
  python::bind_base(core);
  python::bind_mail(core);
  python::bind_net(core);
  python::bind_smtp(core);
  python::bind_dkim(core);
  python::bind_bounce(core);
  python::bind_warming(core);
  python::bind_engine(core);
}
#undef PyInit__core

extern "C" PYBIND11_EXPORT PyObject* PyInit__core();
extern "C" PYBIND11_EXPORT PyObject* PyInit__core() {
  if (in_main_interpreter()) return initialise_core();
  PyErr_SetString(PyExc_ImportError, kMainAlone);
  return nullptr;
}
