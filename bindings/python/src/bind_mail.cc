// Addresses, templates, replies and outcomes (mailsbuddy/mail.h).
#include <fmt/format.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings/python/src/bind.h"
#include "bindings/python/src/convert.h"
#include "bindings/python/src/errors.h"
#include "mailsbuddy/mail.h"

namespace mailsbuddy::python {
namespace {

py::object enhanced_of(const Reply& reply) {
  if (!reply.enhanced) return py::none();
  return to_str(reply.enhanced->str());
}

void bind_address(py::module_& mail) {
  py::class_<Address>(mail, "Address", "An RFC 5321 mailbox; the domain in lower case, as A-labels.")
      .def(py::init([](std::string_view text) { return value_or_raise(Address::parse(text)); }), py::arg("text"))
      .def_property_readonly("local", [](const Address& self) { return to_str(self.local()); })
      .def_property_readonly("domain", [](const Address& self) { return to_str(self.domain()); })
      .def_property_readonly("needs_smtputf8", &Address::needs_smtputf8)
      .def_property_readonly("is_literal", &Address::is_literal)
      .def("__str__", [](const Address& self) { return to_str(self.str()); })
      .def("__repr__", [](const Address&) { return "<mailsbuddy.Address>"; })  // Never personal data.
      .def("__hash__", [](const Address& self) { return py::hash(to_str(self.str())); })
      .def("__eq__", [](const Address& self, py::object other) {
        return py::isinstance<Address>(other) && self == other.cast<const Address&>();
      });
}

void bind_template(py::module_& mail) {
  py::class_<Template>(mail, "Template", "Headers and bodies in Liquid, compiled once, rendered a row at a time.")
      .def_static(
          "parse_eml",
          [](py::object eml) {
            const std::string bytes = to_bytes(eml, "eml");
            return value_or_raise(without_gil([&]() -> Result<Template> {
              auto content = Content::parse_eml(bytes);
              if (!content) return std::move(content).error();
              return Template::compile(*std::move(content));
            }));
          },
          py::arg("eml"), "From the text of an .eml file.")
      .def_property_readonly("field_names", [](const Template& self) {
        py::list names;
        for (const std::string& name : self.field_names()) names.append(to_str(name));
        return names;
      });
}

void bind_outcome(py::module_& mail) {
  py::class_<Reply>(mail, "Reply", "One SMTP reply, all its lines (RFC 5321 4.2).")
      .def_readonly("code", &Reply::code)
      .def_property_readonly("enhanced", &enhanced_of)
      .def_property_readonly("text", [](const Reply& self) { return to_str(self.text); })
      .def("__str__", [](const Reply& self) { return to_str(self.str()); })
      .def("__repr__", [](const Reply& self) { return fmt::format("<mailsbuddy.Reply {}>", self.code); });
  py::class_<Outcome>(mail, "Outcome", "What became of one recipient in one attempt.")
      .def_property_readonly("stage", [](const Outcome& self) { return to_str(to_string(self.stage)); })
      .def_property_readonly("cause", [](const Outcome& self) { return to_str(to_string(self.cause)); })
      .def_property_readonly("reply", [](const Outcome& self) { return self.reply; })
      .def_property_readonly("detail", [](const Outcome& self) { return to_str(self.detail); })
      .def_property_readonly("delivered", &Outcome::delivered)
      .def_property_readonly("unknown", &Outcome::unknown)
      .def("__str__", [](const Outcome& self) { return to_str(self.str()); })
      .def("__repr__", [](const Outcome& self) {
        return fmt::format("<mailsbuddy.Outcome {}: {}>", to_string(self.stage), to_string(self.cause));
      });
}

}  // namespace

void bind_mail(py::module_& core) {
  auto mail = core.def_submodule("mail", "Addresses, templates, replies and outcomes.");
  bind_address(mail);
  bind_template(mail);
  bind_outcome(mail);
}

}  // namespace mailsbuddy::python
