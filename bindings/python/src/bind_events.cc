// What an engine reports: events, decisions, explanations, traces (mailsbuddy/engine.h, mailsbuddy/warming.h).
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>

#include "bindings/python/src/bind.h"
#include "bindings/python/src/convert.h"
#include "bindings/python/src/errors.h"
#include "bindings/python/src/event_hub.h"
#include "bindings/python/src/wait.h"

namespace mailsbuddy::python {
namespace {

constexpr std::string_view kTlsVerify[] = {"", "webpki", "dane"};

std::string_view name_of(net::TlsVerify verified) {
  return verified == net::TlsVerify::kNone ? kTlsVerify[0] : kTlsVerify[verified == net::TlsVerify::kDane ? 2 : 1];
}

// The names of `mailsbuddy send --events`.
py::dict to_dict(const Event& event) {
  py::dict dict;
  const auto set = [&dict](const char* name, std::string_view value) {
    if (!value.empty()) dict[name] = to_str(value);
  };
  dict["time"] = to_datetime(event.time).attr("isoformat")("T", "milliseconds").attr("replace")("+00:00", "Z");
  set("kind", to_string(event.kind));
  dict["campaign"] = to_str(event.campaign), dict["job"] = to_str(event.job), dict["recipient"] = to_str(event.recipient);
  dict["row"] = event.row, dict["attempt"] = event.attempt;
  set("stage", to_string(event.outcome.stage)), set("cause", to_string(event.outcome.cause));
  const Reply& reply = event.outcome.reply;
  if (reply.code != 0) dict["code"] = reply.code;
  if (reply.enhanced) set("enhanced", reply.enhanced->str());
  if (reply.code != 0 || !reply.text.empty()) dict["text"] = to_str(reply.text);
  set("detail", event.outcome.detail);
  set("class", bounce::to_string(event.verdict.klass)), set("permanence", bounce::to_string(event.verdict.permanence));
  set("scope", bounce::to_string(event.verdict.scope)), set("reaction", bounce::to_string(event.verdict.reaction));
  dict["rule"] = to_str(event.rule);
  set("provider", event.provider), set("egress", event.egress);
  if (!event.mx_host.empty()) set("mx", event.mx_host), dict["tls"] = event.tls;
  set("tls_verified", name_of(event.tls_verified));
  if (event.kind == EventKind::kDeferred) dict["due"] = to_datetime(event.due).attr("isoformat")("T", "milliseconds").attr("replace")("+00:00", "Z");
  return dict;
}

template <class Class, class T>
void text(Class& cls, const char* name, std::string T::* member) {
  cls.def_property_readonly(name, [member](const T& self) { return to_str(self.*member); });
}

void bind_event(py::module_& engine) {
  py::class_<Event, std::shared_ptr<Event>> event(engine, "Event", "What happened to one recipient.");
  event.def_property_readonly("kind", [](const Event& self) { return to_str(to_string(self.kind)); })
      .def_property_readonly("is_final", [](const Event& self) { return is_final(self.kind); })
      .def_property_readonly("time", [](const Event& self) { return to_datetime(self.time); })
      .def_readonly("row", &Event::row)
      .def_readonly("attempt", &Event::attempt)
      .def_property_readonly("outcome", [](const Event& self) { return self.outcome; })
      .def_property_readonly("verdict", [](const Event& self) {
        bounce::Verdict verdict = self.verdict;
        verdict.rule = verdict.matched = {};  // Views of what is gone; the rule is the event's own.
        return verdict;
      })
      .def_readonly("tls", &Event::tls)
      .def_property_readonly("tls_verified", [](const Event& self) { return to_str(name_of(self.tls_verified)); })
      .def_property_readonly("due", [](const Event& self) { return to_datetime(self.due); })
      .def("to_dict", &to_dict, "As `mailsbuddy send --events` writes it: for JSON.")
      .def("__str__", [](const Event& self) { return to_str(fmt::format("{}: {} {}", self.recipient, to_string(self.kind), self.outcome.str())); })
      .def("__repr__", [](const Event& self) {
        return to_str(fmt::format("<mailsbuddy.Event {} of {}, row {}, attempt {}>", to_string(self.kind), self.job, self.row, self.attempt));
      });
  text(event, "job", &Event::job), text(event, "campaign", &Event::campaign), text(event, "account", &Event::account);
  text(event, "recipient", &Event::recipient), text(event, "rule", &Event::rule), text(event, "provider", &Event::provider);
  text(event, "egress", &Event::egress), text(event, "mx_host", &Event::mx_host);
}

void bind_decision(py::module_& engine) {
  using warming::Decision;
  py::class_<Decision> decision(engine, "Decision", "What the controller or an operator decided about a pace, and why.");
  decision.def_property_readonly("kind", [](const Decision& self) { return to_str(to_string(self.kind)); })
      .def_property_readonly("time", [](const Decision& self) { return to_datetime(self.time); })
      .def_readonly("old_value", &Decision::old_value)
      .def_readonly("new_value", &Decision::new_value)
      .def("__str__", [](const Decision& self) { return to_str(self.str()); })
      .def("__repr__", [](const Decision& self) {
        return to_str(fmt::format("<mailsbuddy.Decision {} at {}>", to_string(self.kind), self.provider));
      });
  text(decision, "provider", &Decision::provider), text(decision, "ip", &Decision::ip), text(decision, "rule", &Decision::rule);
  text(decision, "seen", &Decision::seen), text(decision, "what", &Decision::what);
}

py::object cap_of(std::uint64_t cap) { return cap == warming::kNoCap ? py::object(py::none()) : py::object(py::int_(cap)); }

void bind_explanation(py::module_& engine) {
  using warming::Explanation;
  py::class_<Explanation> explanation(engine, "Explanation", "Why an IP sends to a provider as it does.");
  explanation.def_property_readonly("state", [](const Explanation& self) { return to_str(to_string(self.state)); })
      .def_readonly("pinned", &Explanation::pinned)
      .def_readonly("day", &Explanation::day)
      .def_readonly("days", &Explanation::days)
      .def_property_readonly("cap", [](const Explanation& self) { return cap_of(self.cap); })
      .def_property_readonly("hour_cap", [](const Explanation& self) { return cap_of(self.hour_cap); })
      .def_property_readonly("next_cap", [](const Explanation& self) { return cap_of(self.next_cap); })
      .def_readonly("used", &Explanation::used)
      .def_readonly("used_this_hour", &Explanation::used_this_hour)
      .def_readonly("rate", &Explanation::rate)
      .def_readonly("rate_percent", &Explanation::rate_percent)
      .def_property_readonly("to_advance", [](const Explanation& self) {
        py::list list;
        for (const auto& each : self.to_advance) {
          list.append(py::make_tuple(to_str(each.name), each.have, each.need, each.share, each.at_least, each.met));
        }
        return list;
      })
      .def_property_readonly("settings", [](const Explanation& self) {
        py::list list;
        for (const auto& each : self.settings) list.append(py::make_tuple(to_str(each.setting), to_str(each.value), to_str(each.where)));
        return list;
      })
      .def_readonly("connections", &Explanation::connections)
      .def_readonly("connections_max", &Explanation::connections_max)
      .def_property_readonly("next", [](const Explanation& self) { return to_datetime(self.next); })
      .def_property_readonly("suspended_until", [](const Explanation& self) { return to_datetime(self.suspended_until); })
      .def("__str__", [](const Explanation& self) { return to_str(self.str()); })
      .def("__repr__", [](const Explanation& self) {
        return to_str(fmt::format("<mailsbuddy.Explanation {} at {}: {}>", self.ip, self.provider, to_string(self.state)));
      });
  text(explanation, "provider", &Explanation::provider), text(explanation, "ip", &Explanation::ip);
  text(explanation, "curve", &Explanation::curve), text(explanation, "why", &Explanation::why);
}

std::string counts_of(const CampaignStatus& status) {
  std::string counts = fmt::format("{} rows", status.total);
  for (std::size_t i = 0; i < spool::kStateCount; ++i) {
    if (status.counts[i] != 0)
      counts += fmt::format(", {} {}", status.counts[i], spool::to_string(static_cast<spool::State>(i)));
  }
  if (status.paused) counts += ", paused";
  return counts;
}

// Counts, rate, finish date and what limits it, for people.
std::string words_of(const CampaignStatus& status) {
  std::string words = counts_of(status);
  const std::pair<std::uint64_t, const char*> came_back[] = {{status.late_bounces, "late bounces"},
                                                             {status.complaints, "complaints"},
                                                             {status.unsubscribed, "unsubscribed"},
                                                             {status.auto_replies, "auto-replies"}};
  for (const auto& [count, name] : came_back) {
    if (count != 0) words += fmt::format(", {} {}", count, name);
  }
  if (status.settled() || status.paused) return words;
  words += fmt::format("; {:.3g} a second", status.settled_per_second);
  if (status.finish) {
    const auto finish = std::chrono::time_point_cast<std::chrono::seconds>(*status.finish);
    words += fmt::format("; done at {:%F %H:%M} UTC", fmt::gmtime(std::chrono::system_clock::to_time_t(finish)));
  }
  if (!status.finish_bound.empty()) words += "; limited by " + status.finish_bound;
  return words;
}

void bind_status(py::module_& engine) {
  py::class_<CampaignStatus> status(engine, "CampaignStatus", "Counts by state, rate, finish date and what limits it.");
  status
      .def_property_readonly("counts", [](const CampaignStatus& self) {
        py::dict counts;
        for (std::size_t i = 0; i < spool::kStateCount; ++i) counts[to_str(spool::to_string(static_cast<spool::State>(i)))] = self.counts[i];
        return counts;
      })
      .def_readonly("total", &CampaignStatus::total)
      .def_readonly("paused", &CampaignStatus::paused)
      .def_readonly("cancelled", &CampaignStatus::cancelled)
      .def_property_readonly("settled", &CampaignStatus::settled)
      .def_readonly("late_bounces", &CampaignStatus::late_bounces)
      .def_readonly("complaints", &CampaignStatus::complaints)
      .def_readonly("unsubscribed", &CampaignStatus::unsubscribed)
      .def_readonly("auto_replies", &CampaignStatus::auto_replies)
      .def_readonly("settled_per_second", &CampaignStatus::settled_per_second)
      .def_property_readonly("finish", [](const CampaignStatus& self) { return self.finish ? to_datetime(*self.finish) : py::none(); })
      .def("__str__", [](const CampaignStatus& self) { return to_str(words_of(self)); })
      .def("__repr__", [](const CampaignStatus& self) {
        return to_str(fmt::format("<mailsbuddy.CampaignStatus of {}>", counts_of(self)));
      });
  text(status, "finish_bound", &CampaignStatus::finish_bound);
}

void bind_import_report(py::module_& engine) {
  py::class_<BadRow> bad(engine, "BadRow", "A row that was refused: its number, its address as it stands, and why.");
  bad.def_readonly("number", &BadRow::number).def("__repr__", [](const BadRow& self) {
    return fmt::format("<mailsbuddy.BadRow {}>", self.number);
  });
  text(bad, "address", &BadRow::address), text(bad, "reason", &BadRow::reason);
}

void bind_inbound(py::module_& engine) {
  py::class_<InboundReport> report(engine, "InboundReport", "What a message that came back says, and what was done.");
  report.def_property_readonly("attribution", [](const InboundReport& self) { return to_str(to_string(self.attribution)); })
      .def_property_readonly("event", [](const InboundReport& self) {
        return self.event ? py::object(to_str(to_string(*self.event))) : py::object(py::none());
      })
      .def_property_readonly("kind", [](const InboundReport& self) { return to_str(bounce::to_string(self.report.kind)); })
      .def_readonly("repeated", &InboundReport::repeated)
      .def_property_readonly("suppressed", [](const InboundReport& self) { return self.suppressed; })
      .def("__repr__", [](const InboundReport& self) {
        return to_str(fmt::format("<mailsbuddy.InboundReport {} of {}>", bounce::to_string(self.report.kind), self.campaign));
      });
  text(report, "campaign", &InboundReport::campaign), text(report, "account", &InboundReport::account);
  text(report, "recipient", &InboundReport::recipient);
}

void bind_trace(py::module_& engine) {
  static constexpr std::string_view kKinds[] = {"step", "sent", "received"};
  py::class_<TraceRecord> record(engine, "TraceRecord", "One line of a connection's transcript.");
  record.def_property_readonly("time", [](const TraceRecord& self) { return to_datetime(self.time); })
      .def_property_readonly("kind", [](const TraceRecord& self) { return to_str(kKinds[static_cast<std::size_t>(self.kind)]); })
      .def_readonly("connection", &TraceRecord::connection)
      .def("__repr__", [](const TraceRecord& self) {
        return fmt::format("<mailsbuddy.TraceRecord {} of connection {}>", kKinds[static_cast<std::size_t>(self.kind)], self.connection);
      });
  text(record, "text", &TraceRecord::text), text(record, "egress", &TraceRecord::egress);
  text(record, "provider", &TraceRecord::provider), text(record, "mx_host", &TraceRecord::mx_host);
  text(record, "remote", &TraceRecord::remote), text(record, "local", &TraceRecord::local), text(record, "user", &TraceRecord::user);
  py::class_<Tracing>(engine, "Tracing", "A trace while it is taken.")
      .def("take", [](Tracing& self, py::object wait) {
        auto left = std::chrono::duration_cast<std::chrono::milliseconds>(to_duration(wait, "wait"));
        const Wait waiting;
        while (true) {
          const auto slice = std::min(left, kSignalSlice);
          auto lines = without_gil([&] { return self.take(slice); });
          if (!lines.empty() || (left -= slice).count() <= 0) return lines;
          check_slice();
        }
      }, py::arg("wait"))
      .def("dropped", &Tracing::dropped);
}

void bind_event_queue(py::module_& engine) {
  py::class_<EventQueue, std::shared_ptr<EventQueue>>(engine, "EventQueue", "Events on their way to an iterator.")
      .def(
          "take",
          [](EventQueue& self, std::size_t max, py::object wait) {
            const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(to_duration(wait, "wait"));
            const auto taken = without_gil([&] { return self.take(max, limit); });
            py::list events(taken.size());
            for (std::size_t i = 0; i < taken.size(); ++i) events[i] = py::cast(std::const_pointer_cast<Event>(taken[i]));
            return events;
          },
          py::arg("max"), py::arg("wait"))
      .def("claim", [](EventQueue& self) { return without_gil([&] { return self.claim(); }); })
      .def("closed", &EventQueue::closed)
      .def("wake_once", &EventQueue::wake_once, py::arg("waker"));
}

}  // namespace

void bind_events(py::module_& core) {
  auto engine = core.attr("engine").cast<py::module_>();
  bind_event(engine);
  bind_decision(engine);
  bind_explanation(engine);
  bind_status(engine);
  bind_import_report(engine);
  bind_inbound(engine);
  bind_trace(engine);
  bind_event_queue(engine);
}

}  // namespace mailsbuddy::python
