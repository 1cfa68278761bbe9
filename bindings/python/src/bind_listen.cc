// The submission listener (mailsbuddy/smtp.h), feeding an engine. mailsbuddy/_listen.py gives it Python's manners.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <chrono>

#include "bindings/python/src/bind.h"
#include "bindings/python/src/convert.h"
#include "bindings/python/src/engine_options.h"
#include "bindings/python/src/listener_handle.h"

namespace mailsbuddy::python {
namespace {

using Use = ListenerHandle::Use;

constexpr std::chrono::milliseconds kDrainSlice{20};

std::chrono::milliseconds milliseconds(const py::object& given, std::string_view what) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(to_duration(given, what));
}

py::dict to_dict(const smtp::ListenCounts& counts) {
  py::dict dict;
  dict["connections"] = counts.connections, dict["connections_refused"] = counts.connections_refused;
  dict["messages"] = counts.messages, dict["messages_refused"] = counts.messages_refused, dict["bytes"] = counts.bytes;
  dict["authenticated"] = counts.authenticated, dict["auth_failures"] = counts.auth_failures;
  dict["tls_handshakes"] = counts.tls_handshakes, dict["timeouts"] = counts.timeouts;
  dict["protocol_errors"] = counts.protocol_errors, dict["open"] = counts.open;
  return dict;
}

bool drain(ListenerHandle& self, const py::object& timeout) {
  using Clock = std::chrono::steady_clock;
  const auto limit = timeout.is_none() ? Duration::max() : to_duration(timeout, "timeout");
  const auto start = Clock::now();
  while (true) {
    bool drained = false;
    {
      Use listener(self);
      const auto slice = std::min<Duration>(kDrainSlice, limit);
      drained =
          without_gil([&] { return listener->drain(std::chrono::duration_cast<std::chrono::milliseconds>(slice)); });
    }
    if (drained) return true;
    check_slice();
    if (Clock::now() - start >= limit) return false;
  }
}

py::dict to_dict(const smtp::Submission& letter) {
  py::list recipients;
  for (const smtp::EnvelopeRecipient& each : letter.envelope.recipients) recipients.append(to_str(each.address.str()));
  py::dict dict;
  dict["id"] = letter.id.str(), dict["recipients"] = recipients, dict["data"] = py::bytes(letter.data);
  dict["sender"] = letter.envelope.sender ? to_str(letter.envelope.sender->str()) : py::str();
  dict["client"] = letter.client.str(), dict["hello"] = to_str(letter.hello), dict["tls"] = letter.tls;
  return dict;
}

template <class Question>
void bind_queue(py::module_& module, const char* name, const char* doc) {
  using Queue = QuestionQueue<Question>;
  py::class_<Queue, std::shared_ptr<Queue>>(module, name, doc)
      .def(py::init<>())
      .def(
          "take",
          [](Queue& self, const py::object& wait) {
            const auto limit = milliseconds(wait, "wait");
            if (Wait::interpreter_ends()) raise(ErrorCode::kClosed, "the interpreter is ending");
            return without_gil([&] { return self.take(limit); });
          },
          py::arg("wait"))
      .def("close", [](Queue& self) { without_gil([&] { self.close(); }); })
      .def("closed", &Queue::closed);
}

void bind_questions(py::module_& module) {
  py::class_<Login, std::shared_ptr<Login>>(module, "Login", "Somebody who wants to log in.")
      .def_property_readonly("mechanism", [](const Login& self) { return to_str(self.mechanism()); })
      .def_property_readonly("user", [](const Login& self) { return to_str(self.user()); })
      .def_property_readonly("password", [](const Login& self) { return to_str(self.password()); })
      .def_property_readonly("client", &Login::client)
      .def_property_readonly("tls", &Login::tls)
      .def(
          "accept", [](Login& self, const py::dict& identity) { self.answer(to_identity(identity)); },
          py::arg("identity"))
      .def("refuse", [](Login& self) { self.answer(std::nullopt); })
      .def("leave", &Login::leave);
  py::class_<InboundQuestion, std::shared_ptr<InboundQuestion>>(
      module, "InboundQuestion", "About an address at an inbound domain, or a letter to one.")
      .def_property_readonly("recipient",
                             [](const InboundQuestion& self) {
                               return self.recipient() != nullptr ? std::optional(*self.recipient()) : std::nullopt;
                             })
      .def("letter",
           [](const InboundQuestion& self) -> std::optional<py::dict> {
             return self.letter() != nullptr ? std::optional(to_dict(*self.letter())) : std::nullopt;
           })
      .def("answer", &InboundQuestion::answer, py::arg("yes"))
      .def("leave", &InboundQuestion::leave);
  bind_queue<Login>(module, "LoginQueue", "Credentials on their way to who judges them.");
  bind_queue<InboundQuestion>(module, "InboundQueue", "Questions about inbound mail on their way to who answers them.");
}

}  // namespace

void bind_listen(py::module_& core) {
  auto module = core.attr("engine").cast<py::module_>();
  bind_questions(module);
  py::class_<ListenerHandle, std::shared_ptr<ListenerHandle>>(module, "Listener", "A started listener.")
      .def_static(
          "start",
          [](EngineHandle& engine, const py::dict& options, std::shared_ptr<LoginQueue> logins,
             std::shared_ptr<InboundQueue> inbound) {
            return ListenerHandle::start(engine, to_listener_options(options), {std::move(logins), std::move(inbound)});
          },
          py::arg("engine"), py::arg("options"), py::arg("logins").none(true), py::arg("inbound").none(false))
      .def("close", &ListenerHandle::close)
      .def("closed", &ListenerHandle::closed_or_foreign)
      .def("endpoints",
           [](ListenerHandle& self) {
             const Use listener(self);
             std::vector<std::string> endpoints;
             for (const net::Endpoint& each : listener->endpoints()) endpoints.push_back(each.str());
             return endpoints;
           })
      .def("counts", [](ListenerHandle& self) { return to_dict(self.counts()); })
      .def("drain", &drain, py::arg("timeout"))
      .def(
          "trace",
          [](ListenerHandle& self, const py::dict& filter) {
            auto what = to_listen_trace_filter(filter);
            const Use listener(self);
            return value_or_raise(without_gil([&] { return listener->trace(std::move(what)); }));
          },
          py::arg("filter"));
  module.def(
      "report_unraisable",
      [](const py::object& error, const py::object& where) {
        PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(error.ptr())), error.ptr());
        PyErr_WriteUnraisable(where.ptr());
      },
      py::arg("error"), py::arg("where"));
}

}  // namespace mailsbuddy::python
