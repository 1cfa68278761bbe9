// What replies mean (mailsbuddy/bounce.h).
#include <fmt/format.h>
#include <pybind11/pybind11.h>

#include "bindings/python/src/bind.h"
#include "bindings/python/src/convert.h"
#include "mailsbuddy/bounce.h"

namespace mailsbuddy::python {
namespace {

void bind_verdict(py::module_& bounce) {
  using bounce::Verdict;  // Names of classes and the like are str: the words of docs/bounces.md.
  py::class_<Verdict>(bounce, "Verdict", "What a reply means and what to do about it.")
      .def_property_readonly("klass", [](const Verdict& self) { return to_str(to_string(self.klass)); })
      .def_property_readonly("permanence", [](const Verdict& self) { return to_str(to_string(self.permanence)); })
      .def_property_readonly("scope", [](const Verdict& self) { return to_str(to_string(self.scope)); })
      .def_property_readonly("reaction", [](const Verdict& self) { return to_str(to_string(self.reaction)); })
      .def("__str__", [](const Verdict& self) {
        return fmt::format("{} ({}): {}", to_string(self.klass), to_string(self.permanence), to_string(self.reaction));
      })
      .def("__repr__", [](const Verdict& self) { return fmt::format("<mailsbuddy.Verdict {}>", to_string(self.klass)); });
}

}  // namespace

void bind_bounce(py::module_& core) {
  auto bounce = core.def_submodule("bounce", "What replies and reports mean.");
  bind_verdict(bounce);
}

}  // namespace mailsbuddy::python
