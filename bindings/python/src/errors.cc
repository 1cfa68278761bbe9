#include "bindings/python/src/errors.h"

#include "bindings/python/src/convert.h"

namespace mailsbuddy::python {

namespace py = pybind11;

void raise(const Error& error) {
  const std::string_view code = to_string(error.code);
  const py::object exception =
      py::module_::import("mailsbuddy._errors").attr("error_of")(py::str(code.data(), code.size()),
                                                               to_str(error.detail));  // It may quote what strangers wrote.
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.ptr())), exception.ptr());
  throw py::error_already_set();
}

}  // namespace mailsbuddy::python
