#include "bindings/python/src/errors.h"

namespace mailsbuddy::python {

namespace py = pybind11;

void raise(const Error& error) {
  const std::string_view code = to_string(error.code);
  const py::object exception =
      py::module_::import("mailsbuddy._errors").attr("error_of")(py::str(code.data(), code.size()),
                                                               py::str(error.detail.data(), error.detail.size()));
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.ptr())), exception.ptr());
  throw py::error_already_set();
}

}  // namespace mailsbuddy::python
