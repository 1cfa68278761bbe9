// Addresses, templates, messages, replies and outcomes (mailsbuddy/mail.h).
#include <fmt/format.h>
#include <libpsl.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>
#include <vector>

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

// What somebody registered: "brand.co.uk" of "mail.brand.co.uk". Empty: a public suffix itself. A-labels in lower case.
std::string registrable_domain(const std::string& domain) {
  const char* found = psl_registrable_domain(psl_builtin(), domain.c_str());
  return found != nullptr ? found : "";
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
  mail.def(
      "parse_named",
      [](std::string_view text) {
        const auto named = value_or_raise(NamedAddress::parse(text));
        return py::make_tuple(to_str(named.name), named.address, to_str(named.header_value()));
      },
      py::arg("text"));
  mail.def("registrable_domain", &registrable_domain, py::arg("domain"));
  mail.def("provider_of", [](std::string_view mx_host) { return to_str(provider_of(mx_host).name); }, py::arg("mx_host"));
}

using Headers = std::vector<std::pair<std::string, std::string>>;
using Attachments = std::vector<std::tuple<std::string, std::string, py::bytes, std::string>>;

Content content_of(const Headers& headers, std::string text, std::string html, const Attachments& attachments) {
  Content content{.text = std::move(text), .html = std::move(html)};
  for (const auto& [name, value] : headers) content.headers.push_back({name, value});
  for (const auto& [filename, type, data, id] : attachments) {
    content.attachments.push_back({.filename = filename, .content_type = type, .data = std::string(data), .content_id = id});
  }
  return content;
}

py::bytes render(const Template& self, const std::vector<std::pair<std::string, std::string>>& fields,
                 const py::bytes& leading_headers) {
  std::vector<std::string_view> names, values;
  for (const auto& [name, value] : fields) {
    names.emplace_back(name);
    values.emplace_back(value);
  }
  const auto leading = std::string_view(leading_headers);
  std::string out;
  value_or_raise(without_gil([&] { return self.render({names, values}, leading, out); }));
  return out;
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
      .def_static(
          "compile",
          [](const Headers& headers, std::string text, std::string html, const Attachments& attachments) {
            Content content = content_of(headers, std::move(text), std::move(html), attachments);
            return value_or_raise(without_gil([&] { return Template::compile(std::move(content)); }));
          },
          py::arg("headers"), py::arg("text"), py::arg("html"), py::arg("attachments"))
      .def("render", &render, py::arg("fields"), py::arg("leading_headers"))
      .def_property_readonly("field_names", [](const Template& self) {
        py::list names;
        for (const std::string& name : self.field_names()) names.append(to_str(name));
        return names;
      });
}

void bind_message(py::module_& mail) {
  mail.def(
      "build_message",
      [](const Headers& headers, std::string text, std::string html, const Attachments& attachments) {
        const Content content = content_of(headers, std::move(text), std::move(html), attachments);
        return py::bytes(value_or_raise(without_gil([&] {
          Random random(system_seed());
          return build_message(content, "", random);
        })));
      },
      py::arg("headers"), py::arg("text"), py::arg("html"), py::arg("attachments"));
  mail.def(
      "to_seven_bit",
      [](const py::bytes& message) {
        const auto bytes = std::string_view(message);
        return py::bytes(value_or_raise(without_gil([&] { return to_seven_bit(bytes); })));
      },
      py::arg("message"));
  mail.def("new_id", [] {
    static Random random(system_seed());  // Under the GIL.
    return Id128::make(SystemClock().now(), random).str();
  });
  mail.def(
      "format_header",
      [](std::string_view name, std::string_view value) { return py::bytes(format_header(name, value)); }, py::arg("name"),
      py::arg("value"));
  mail.def("format_date", [] { return format_date(SystemClock().now()); });
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
  bind_message(mail);
  bind_outcome(mail);
}

}  // namespace mailsbuddy::python
