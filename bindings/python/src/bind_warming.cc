// Curves, plans and simulated warm-ups (mailsbuddy/warming.h).
#include <fmt/format.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "bindings/python/src/bind.h"
#include "bindings/python/src/convert.h"
#include "bindings/python/src/errors.h"
#include "mailsbuddy/warming.h"

namespace mailsbuddy::python {
namespace {

using warming::Curve;

warming::Settings settings_of(const std::string& limits, const std::string& name) {
  warming::Settings settings = warming::Settings::shipped();
  if (!limits.empty()) value_or_raise(settings.add(limits, name));
  return settings;
}

void bind_curve(py::module_& warming) {
  py::class_<Curve>(warming, "Curve", "A warm-up curve: messages a sending day; the last value persists.")
      .def_static(
          "parse", [](std::string_view text) { return value_or_raise(Curve::parse(text)); }, py::arg("text"),
          "A preset's name, a list (\"200,500,1k\") or a formula (\"start=50 growth=1.4 ceiling=50k\").")
      .def_property_readonly("name", [](const Curve& self) { return to_str(self.name); })
      .def_property_readonly("daily", [](const Curve& self) { return self.daily; }, "Messages by sending day, from day 0.")
      .def_readonly("hour_share", &Curve::hour_share, "Of the day's cap that one hour may carry; 0: it does not say.")
      .def("at", [](const Curve& self, std::uint64_t day) -> std::optional<std::uint64_t> {
        const std::uint64_t cap = self.at(day);
        if (cap == warming::kNoCap) return std::nullopt;
        return cap;
      }, py::arg("day"), "The cap of that sending day; None: there is none.")
      .def("times", &Curve::times, py::arg("factor"), "Every day multiplied.")
      .def("__repr__", [](const Curve& self) {
        return fmt::format("<mailsbuddy.warming.Curve {} of {} days>", self.name, self.daily.size());
      });
  warming.def("presets", [] {
    py::list list;
    for (const auto& each : warming::curve_presets()) {
      list.append(py::make_tuple(to_str(each.name), to_str(each.about), to_str(each.source)));
    }
    return list;
  });
}

using Ip = std::tuple<std::string, std::optional<Curve>, std::uint64_t>;

py::tuple plan(const std::vector<std::pair<std::string, std::uint64_t>>& audience, const std::vector<Ip>& ips, py::handle start,
               const std::string& limits, const std::string& limits_name, const py::bytes& tzif, const std::string& zone, std::uint32_t days_max) {
  const auto settings = settings_of(limits, limits_name);
  warming::PlanRequest request;
  for (const auto& [provider, messages] : audience) request.audience.push_back({{provider}, messages});
  for (const auto& [address, curve, day] : ips) request.ips.push_back({address, curve, day});
  request.start = to_time_point(start, "start");
  request.settings = &settings;
  if (const auto bytes = std::string_view(tzif); !bytes.empty()) request.zone = value_or_raise(Zone::read(bytes, zone));
  request.days_max = days_max;
  const auto made = value_or_raise(without_gil([&] { return warming::plan(request); }));
  py::list rows;
  for (const auto& row : made.rows) {
    rows.append(py::make_tuple(row.day, to_str(row.provider), to_str(row.ip), row.messages, row.cap, to_str(row.bound)));
  }
  py::list providers;
  for (const auto& each : made.providers) {
    providers.append(py::make_tuple(to_str(each.provider), each.messages, each.left, each.days, to_datetime(each.finish),
                                    to_str(each.bound)));
  }
  return py::make_tuple(std::move(rows), std::move(providers), made.days, to_datetime(made.start), to_datetime(made.finish),
                        to_str(made.bound));
}

warming::SignalKind signal_named(std::string_view name) {
  for (std::size_t i = 0; i < warming::kSignalKinds; ++i) {
    if (to_string(static_cast<warming::SignalKind>(i)) == name) return static_cast<warming::SignalKind>(i);
  }
  raise(ErrorCode::kInvalidArgument, fmt::format("receiver: it answered \"{}\", which is no signal; for example delivered", name));
}

// A warm-up of one egress IP at one provider, an hour a step, by the very controller that the engine uses.
class Simulation {
 public:
  Simulation(const std::string& provider, std::optional<Curve> curve, const std::string& limits,
             const std::string& limits_name, bool adaptive, py::handle start)
      : now_(to_time_point(start, "start")),
        pacer_({.provider = {provider},
                .ips = {{kIp, std::move(curve)}},
                .settings = std::make_shared<const warming::Settings>(settings_of(limits, limits_name)),
                .adaptive = adaptive}) {}

  // How many of `waiting` go in this hour. Each is taken at its own time within it, as the engine would.
  std::uint64_t send(std::uint64_t waiting) {
    return without_gil([&] {
      std::uint64_t sent = 0;
      TimePoint at = now_;
      while (sent < waiting) {
        at = pacer_.next(0, {}, at);
        if (at >= now_ + std::chrono::hours(1)) break;
        pacer_.take(0, {}, at);
        ++sent;
      }
      return sent;
    });
  }

  // What the receiver said to this hour's messages; then the next hour begins.
  void learn(const std::vector<std::pair<std::string, std::uint64_t>>& replies) {
    const TimePoint end = now_ + std::chrono::hours(1);
    for (const auto& [name, count] : replies) {
      if (count > 0) pacer_.learn(0, {.kind = signal_named(name), .count = count}, end - std::chrono::nanoseconds(1));
    }
    now_ = end;
  }

  py::tuple state() {
    const auto explained = value_or_raise(pacer_.explain(kIp, now_));
    py::list decisions;
    for (const auto& each : pacer_.take_decisions()) {
      decisions.append(py::make_tuple(to_datetime(each.time), to_str(to_string(each.kind)), to_str(each.str())));
    }
    const std::optional<std::uint64_t> cap =
        explained.cap == warming::kNoCap ? std::nullopt : std::optional(explained.cap);
    return py::make_tuple(to_datetime(now_), to_str(to_string(explained.state)), explained.day, cap, std::move(decisions));
  }

 private:
  static constexpr const char* kIp = "192.0.2.1";
  TimePoint now_;
  warming::Pacer pacer_;
};

}  // namespace

void bind_warming(py::module_& core) {
  auto warming = core.def_submodule("warming", "Pace: curves, plans, simulated warm-ups.");
  bind_curve(warming);
  warming.def("plan", &plan, py::arg("audience"), py::arg("ips"), py::arg("start"), py::arg("limits"), py::arg("limits_name"),
              py::arg("tzif"), py::arg("zone"), py::arg("days_max"));
  py::class_<Simulation>(warming, "Simulation", "One egress IP at one provider, an hour a step.")
      .def(py::init<const std::string&, std::optional<Curve>, const std::string&, const std::string&, bool, py::handle>(),
           py::arg("provider"), py::arg("curve"), py::arg("limits"), py::arg("limits_name"), py::arg("adaptive"),
           py::arg("start"))
      .def("send", &Simulation::send, py::arg("waiting"))
      .def("learn", &Simulation::learn, py::arg("replies"))
      .def("state", &Simulation::state);
}

}  // namespace mailsbuddy::python
