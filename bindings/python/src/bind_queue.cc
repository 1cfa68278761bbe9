// What operators ask and say of mail that is not settled, suppressions, personal data, TLS reports
// (mailsbuddy/engine.h). What it gives are tuples, which mailsbuddy/_queue.py and _suppressions.py give names to.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <chrono>

#include "bindings/python/src/bind.h"
#include "bindings/python/src/convert.h"
#include "bindings/python/src/engine_handle.h"
#include "bindings/python/src/engine_options.h"
#include "bindings/python/src/suppression_lists.h"

namespace mailsbuddy::python {
namespace {

using Use = EngineHandle::Use;

py::tuple to_tuple(const QueuedRecipient& each) {
  return py::make_tuple(to_str(each.job), to_str(each.campaign), to_str(each.account), to_str(each.address), each.row,
                        to_str(spool::to_string(each.state)), each.attempts, to_datetime(each.due), to_str(each.provider),
                        to_str(each.unreadable));
}

// A page of the queue, and whether there may be more.
py::tuple list_queue(EngineHandle& self, const py::object& filter, spool::ListCursor& cursor, std::size_t max) {
  const auto which = to_queue_filter(filter);
  std::vector<QueuedRecipient> page;
  const Use use(self);
  const bool more = value_or_raise(without_gil([&] { return use->list(which, cursor, max, page); }));
  py::list list;
  for (const QueuedRecipient& each : page) list.append(to_tuple(each));
  return py::make_tuple(std::move(list), more);
}

py::tuple to_tuple(const QueueChange& change) {
  return py::make_tuple(change.rows, change.under_way, change.unknown, change.unreadable, change.unknown_domains);
}

// Groups with their counts by state, the counts of the others, how many these are, and QueueSummary::unknown.
py::tuple summarise(EngineHandle& self, const py::object& filter, const std::string& by, std::size_t max) {
  const auto which = to_queue_filter(filter);
  const QueueGrouping grouping = value_or_raise(parse_queue_grouping(by));
  const Use use(self);
  const auto summary = value_or_raise(without_gil([&] { return use->summary(which, grouping, max); }));
  py::list groups;
  for (const QueueGroup& each : summary.groups) groups.append(py::make_tuple(to_str(each.name), each.counts));
  return py::make_tuple(std::move(groups), summary.others, summary.other_groups, summary.unknown,
                        summary.unknown_domains);
}

template <class Class>
void bind_commands(Class& engine) {
  engine.def("list_page", &list_queue, py::arg("filter"), py::arg("cursor"), py::arg("max"))
      .def("summary", &summarise, py::arg("filter"), py::arg("by"), py::arg("max"))
      .def(
          "fail",
          [](EngineHandle& self, const py::object& filter, const std::string& reason) {
            const auto which = to_queue_filter(filter);
            const Use use(self);
            return to_tuple(value_or_raise(without_gil([&] { return use->fail(which, reason); })));
          },
          py::arg("filter"), py::arg("reason"))
      .def(
          "hold",
          [](EngineHandle& self, const py::object& filter, const std::string& reason) {
            const auto which = to_queue_filter(filter);
            const Use use(self);
            return to_tuple(value_or_raise(without_gil([&] { return use->hold(which, reason); })));
          },
          py::arg("filter"), py::arg("reason"))
      .def(
          "release",
          [](EngineHandle& self, const py::object& filter) {
            const auto which = to_queue_filter(filter);
            const Use use(self);
            return to_tuple(value_or_raise(without_gil([&] { return use->release(which); })));
          },
          py::arg("filter"))
      .def(
          "move",
          [](EngineHandle& self, const py::object& filter, const std::string& pool) {
            const auto which = to_queue_filter(filter);
            const Use use(self);
            return value_or_raise(without_gil([&] { return use->move(which, pool); }));
          },
          py::arg("filter"), py::arg("pool"))
      .def(
          "drain_egress",
          [](EngineHandle& self, const std::string& address, bool draining) {
            const Use use(self);
            value_or_raise(without_gil([&] { return use->drain_egress(address, draining); }));
          },
          py::arg("address"), py::arg("draining"))
      .def("egress",
           [](EngineHandle& self) {
             const Use use(self);
             py::list list;
             for (const EgressStatus& each : without_gil([&] { return use->egress(); })) {
               list.append(py::make_tuple(to_str(each.address), to_str(each.pool), each.draining, each.connections));
             }
             return list;
           })
      .def("pressure",
           [](EngineHandle& self) {
             const Use use(self);
             const auto pressure = without_gil([&] { return use->pressure(); });
             return py::make_tuple(pressure.refuses, to_str(pressure.detail));
           })
      .def("campaigns",
           [](EngineHandle& self) {
             const Use use(self);
             return without_gil([&] { return use->campaigns(); });
           })
      .def("unreported", [](EngineHandle& self) {
        const Use use(self);
        return without_gil([&] { return use->unreported(); });
      });
}

template <class Class>
void bind_erasing(Class& engine) {
  engine
      .def("erase_address", [](EngineHandle& self, const py::object& address, bool suppressions) {
        const Address who = to_address(address);
        const Use use(self);
        const auto erased = value_or_raise(without_gil([&] { return use->erase_address(who, suppressions); }));
        return py::make_tuple(erased.rows, erased.cancelled, erased.claimed, erased.events, erased.jobs, erased.suppressions, erased.tallies);
      }, py::arg("address"), py::arg("suppressions"))
      .def("erase_campaign", [](EngineHandle& self, const std::string& campaign) {
        const Use use(self);
        value_or_raise(without_gil([&] { return use->erase_campaign(campaign); }));
      }, py::arg("campaign"));
}

SuppressionReason to_reason(const std::string& word) {
  if (const auto reason = parse_suppression_reason(word)) return *reason;
  raise(ErrorCode::kInvalidArgument,
        "reason: \"" + word + "\" is none of manual, unsubscribe, complaint, hard_bounce, soft_bounces");
}

template <class Class>
void bind_suppression(Class& engine) {
  engine
      // pybind11 quotes what has a wrong type, an address too: so types are looked at here.
      .def("suppress", [](EngineHandle& self, const py::object& account, const py::object& address,
                          const py::object& reason) {
        const auto whose = to_bytes(account, "account");
        const Address who = to_address(address);
        const auto why = to_reason(to_bytes(reason, "reason"));
        const Use use(self);
        value_or_raise(without_gil([&] { return use->suppress(whose, who, why); }));
      }, py::arg("account"), py::arg("address"), py::arg("reason"))
      .def("unsuppress", [](EngineHandle& self, const py::object& account, const py::object& address) {
        const auto whose = to_bytes(account, "account");
        const Address who = to_address(address);
        const Use use(self);
        return value_or_raise(without_gil([&] { return use->unsuppress(whose, who); }));
      }, py::arg("account"), py::arg("address"))
      .def("suppressed", [](EngineHandle& self, const py::object& account, const py::object& address) -> py::object {
        const auto whose = to_bytes(account, "account");
        const Address who = to_address(address);
        const Use use(self);
        const auto found = without_gil([&] { return use->suppressed(whose, who); });
        if (!found) return py::none();
        return py::make_tuple(to_str(to_string(found->reason)), to_datetime(found->since));
      }, py::arg("account"), py::arg("address"))
      .def("import_suppressions", [](EngineHandle& self, py::iterator entries) {
        SuppressionSource source(self, std::move(entries), &to_reason);
        const Use use(self);
        auto count = without_gil([&] { return use->import_suppressions([&source] { return source.next(); }); });
        source.rethrow();
        return value_or_raise(std::move(count));
      }, py::arg("entries"))
      .def("export_suppressions", [](EngineHandle& self) {
        SuppressionList list;
        const Use use(self);
        value_or_raise(without_gil([&] {
          return use->export_suppressions([&list](const SuppressionEntry& entry) { return list.add(entry), true; });
        }));
        return list;
      });
}

smtp::TlsReporter to_reporter(const std::string& organization, const std::string& contact, const std::string& domain) {
  return {.organization = organization, .contact = contact, .domain = domain};
}

std::uint64_t sessions(const smtp::TlsReport& report, std::uint64_t smtp::TlsReportPolicy::* count) {
  std::uint64_t sum = 0;
  for (const auto& policy : report.policies) sum += policy.*count;
  return sum;
}

// For its id, which anybody may guess.
Random report_random() { return Random(std::chrono::steady_clock::now().time_since_epoch().count()); }

py::bytes report_mail(const smtp::TlsReport& report, const smtp::TlsReporter& reporter, const py::object& sender, const py::object& recipient) {
  Random random = report_random();
  const auto id = smtp::tls_report_id(report, reporter, random);
  return value_or_raise(smtp::tls_report_mail(report, reporter, to_address(sender), to_address(recipient), id,
                                              std::chrono::system_clock::now(), random));
}

template <class Module, class Class>
void bind_tls_reports(Module& module, Class& engine) {
  using smtp::TlsReport;
  py::class_<TlsReport>(module, "TlsReport", "What the hosts of a domain did about TLS in a time (RFC 8460).")
      .def_property_readonly("domain", [](const TlsReport& self) { return to_str(self.domain); })
      .def_property_readonly("begin", [](const TlsReport& self) { return to_datetime(self.begin); })
      .def_property_readonly("end", [](const TlsReport& self) { return to_datetime(self.end); })
      .def_property_readonly("successful", [](const TlsReport& self) { return sessions(self, &smtp::TlsReportPolicy::successful); },
                             "Sessions that were as the domain wants them.")
      .def_property_readonly("failed", [](const TlsReport& self) { return sessions(self, &smtp::TlsReportPolicy::failed); },
                             "Sessions that were not.")
      .def("to_json", [](const TlsReport& self, const std::string& organization, const std::string& contact, const std::string& domain) {
        const auto reporter = to_reporter(organization, contact, domain);
        Random random = report_random();
        return to_str(smtp::tls_report_json(self, reporter, smtp::tls_report_id(self, reporter, random)));
      }, py::kw_only(), py::arg("organization"), py::arg("contact"), py::arg("domain"), "As RFC 8460 4.4 has it.")
      .def("to_mail", [](const TlsReport& self, const std::string& organization, const std::string& contact, const std::string& domain,
                         const py::object& sender, const py::object& recipient) {
        return report_mail(self, to_reporter(organization, contact, domain), sender, recipient);
      }, py::kw_only(), py::arg("organization"), py::arg("contact"), py::arg("domain"), py::arg("sender"), py::arg("recipient"),
           "A complete message that carries it (RFC 8460 5.3), for Engine.submit().")
      .def("__repr__", [](const TlsReport& self) { return to_str("<mailsbuddy.TlsReport of " + self.domain + ">"); });
  engine.def("take_tls_reports", [](EngineHandle& self) {
    const Use use(self);
    return without_gil([&] { return use->take_tls_reports(); });
  });
}

}  // namespace

void bind_queue(py::module_& core) {
  auto module = core.attr("engine").cast<py::module_>();
  auto engine = module.attr("Engine").cast<py::class_<EngineHandle, std::shared_ptr<EngineHandle>>>();
  py::class_<spool::ListCursor>(module, "ListCursor", "How far a listing has come.").def(py::init<>());
  py::class_<SuppressionList>(module, "SuppressionList", "Suppressions, packed.")
      .def("__len__", &SuppressionList::size)
      .def("take", &SuppressionList::take, py::arg("max"));
  bind_commands(engine);
  bind_erasing(engine);
  bind_suppression(engine);
  bind_tls_reports(module, engine);
}

}  // namespace mailsbuddy::python
