// The engine (mailsbuddy/engine.h). Methods keep the names of C++; mailsbuddy/_engine.py gives them Python's manners.
#include <fmt/format.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <thread>

#include "bindings/python/src/arrow_rows.h"
#include "bindings/python/src/bind.h"
#include "bindings/python/src/convert.h"
#include "bindings/python/src/engine_handle.h"
#include "bindings/python/src/engine_options.h"
#include "bindings/python/src/log_queue.h"
#include "bindings/python/src/python_rows.h"
#include "bindings/python/src/wait.h"

namespace mailsbuddy::python {
namespace {

using Use = EngineHandle::Use;
using Handle = std::shared_ptr<EngineHandle>;

constexpr std::chrono::milliseconds kDrainSlice{20};

Handle open(const py::dict& options, const py::dict& spool_options, py::object on_events, py::object on_decisions, py::object on_error) {
  auto engine_options = to_engine_options(options);
  auto rocks = to_spool_options(spool_options);
  auto hub = std::make_shared<EventHub>();
  if (!on_events.is_none() || !on_decisions.is_none()) hub->subscribe({std::move(on_events), std::move(on_decisions), std::move(on_error)});
  engine_options.sinks = {hub};
  rocks.log = engine_options.log;
  std::shared_ptr<spool::Spool> spool;
  std::shared_ptr<net::Runtime> runtime;
  auto opened = without_gil([&]() -> Result<std::unique_ptr<Engine>> {
    if (rocks.directory.empty()) {
      spool = spool::make_memory_spool();
    } else {
      auto durable = spool::open_rocks_spool(rocks);
      if (!durable) return Error{durable.error().code, "spool_dir: " + durable.error().detail};
      spool = *std::move(durable);
    }
    engine_options.spool = spool;
    auto threads = net::make_runtime(engine_options.runtime_options);
    if (!threads) return threads.error();
    engine_options.runtime = *std::move(threads);
    runtime = engine_options.runtime;
    return Engine::open(std::move(engine_options));
  });
  return std::make_shared<EngineHandle>(value_or_raise(std::move(opened)), std::move(runtime), std::move(spool), std::move(hub));
}

// ---------------------------------------------------------------------------------------------------------------------
// Importing

// Engine::start() on a thread of its own, so that this one can make rows under the GIL, see signals, and end it.
class Importer {
 public:
  Importer(Engine& engine, Campaign campaign, Import& rows, RowPipe* pipe)
      : thread_([this, &engine, &rows, pipe, campaign = std::move(campaign)]() mutable {
          auto report = engine.start(std::move(campaign), rows);
          if (pipe != nullptr) pipe->import_ended();
          const std::lock_guard lock(mutex_);
          report_ = std::move(report);
          ended_ = true;
          changed_.notify_all();
        }),
        rows_(rows) {}
  ~Importer() {
    if (!thread_.joinable()) return;
    rows_.interrupt("the import was given up");
    without_gil([this] { thread_.join(); });
  }
  Result<ImportReport> wait(const EngineHandle& handle) {
    while (true) {
      try {
        const bool ended = without_gil([this] {
          std::unique_lock lock(mutex_);
          return changed_.wait_for(lock, kSignalSlice, [this] { return ended_; });
        });
        if (ended) break;
        if (PyErr_CheckSignals() != 0) throw py::error_already_set();
      } catch (py::error_already_set&) {
        rows_.interrupt("the import was interrupted");
        throw;
      }
      if (handle.closing()) rows_.interrupt("the engine is being closed");
    }
    without_gil([this] { thread_.join(); });
    return std::move(*report_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ended_ = false;
  std::optional<Result<ImportReport>> report_;
  std::thread thread_;  // After what it uses.
  Import& rows_;
};

py::tuple to_tuple(const ImportReport& report, Import& rows) {
  return py::make_tuple(report.accepted, report.resumed, report.suppressed, report.refused, report.domains, std::move(rows.bad_rows()));
}

py::tuple start_rows(EngineHandle& handle, const py::dict& given, py::iterator iterator, std::vector<std::string> columns, const std::string& address_column) {
  handle.refuse_in_callback("start()");
  auto campaign = to_campaign(given);
  PythonRows rows(std::move(iterator), std::move(columns), address_column);
  if (campaign.address_field.empty()) campaign.address_field = rows.address_column();
  RowPipe pipe(rows.columns());
  Use engine(handle);
  Importer importer(*engine, std::move(campaign), pipe, &pipe);
  for (bool more = true; more && !pipe.ended() && !handle.closing();) {
    RowBatch batch;
    more = rows.fill(batch);
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    wait_until(pipe.mutex(), pipe.changed(), [&pipe] { return pipe.wants_more(); });
    pipe.push(std::move(batch));
  }
  if (handle.closing()) pipe.interrupt("the engine is being closed");
  pipe.finish();
  const auto report = value_or_raise(importer.wait(handle));
  return to_tuple(report, pipe);
}

py::tuple start_arrow(EngineHandle& handle, const py::dict& given, py::capsule stream, const std::string& address_column) {
  handle.refuse_in_callback("start()");
  auto campaign = to_campaign(given);
  const auto rows = ArrowRows::open(std::move(stream), address_column);
  if (campaign.address_field.empty()) campaign.address_field = rows->address_column();
  Use engine(handle);
  Importer importer(*engine, std::move(campaign), *rows, nullptr);
  const auto report = value_or_raise(importer.wait(handle));
  return to_tuple(report, *rows);
}

// ---------------------------------------------------------------------------------------------------------------------
// The rest

bool drain(EngineHandle& handle, py::object timeout) {
  handle.refuse_in_callback("drain()");
  using Clock = std::chrono::steady_clock;
  const auto limit = timeout.is_none() ? Duration::max() : to_duration(timeout, "timeout");
  const auto start = Clock::now();
  while (true) {
    bool drained = false;
    {
      Use engine(handle);
      drained = without_gil([&] { return engine->drain(std::min<std::chrono::milliseconds>(
          kDrainSlice, std::chrono::duration_cast<std::chrono::milliseconds>(limit))); });
    }
    if (drained) return true;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    if (Clock::now() - start >= limit) return false;
  }
}

bool outbox_reached(EngineHandle& handle, std::uint64_t handed_over) {
  const Use engine(handle);
  return without_gil([&] { return handle.spool().event_count() == 0 || handle.hub().handed_over() >= handed_over; });
}

std::uint64_t outbox_end(EngineHandle& handle) {
  const Use engine(handle);
  return without_gil([&] { return handle.hub().handed_over() + handle.spool().event_count(); });
}

warming::Command to_command(const std::string& word) {
  using warming::Command;
  for (const Command each : {Command::kPin, Command::kUnpin, Command::kPause, Command::kResume, Command::kSkipDay, Command::kRepeatDay}) {
    if (to_string(each) == word) return each;
  }
  raise(ErrorCode::kInvalidArgument, fmt::format("command: \"{}\" is none of pin, unpin, pause, resume, skip_day, repeat_day", word));
}

LogLevel to_level(const std::string& word) {
  using enum LogLevel;
  for (const auto& [name, level] : {std::pair("debug", kDebug), std::pair("info", kInfo), std::pair("warning", kWarning)}) {
    if (word == name) return level;
  }
  return kError;
}

void bind_log(py::module_& module) {
  static constexpr const char* kLevels[] = {"debug", "info", "warning", "error"};
  py::class_<LogQueue, std::shared_ptr<LogQueue>>(module, "LogQueue", "Log lines on their way to a logger.")
      .def(py::init<>())
      .def("set_level", [](LogQueue& self, const std::string& level) { self.set_level(to_level(level)); }, py::arg("level"))
      .def("take", [](LogQueue& self, py::object wait) {
        const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(to_duration(wait, "wait"));
        if (Wait::interpreter_ends()) raise(ErrorCode::kClosed, "the interpreter is ending");
        const Wait waiting;
        py::list list;
        for (const auto& line : without_gil([&] { return self.take(limit); })) {
          const double when = std::chrono::duration<double>(line.time.time_since_epoch()).count();
          list.append(py::make_tuple(kLevels[static_cast<std::size_t>(line.level)], when, to_str(line.room), to_str(line.text)));
        }
        return list;
      }, py::arg("wait"))
      .def("dropped", &LogQueue::dropped)
      .def("close", &LogQueue::close)
      .def("closed", &LogQueue::closed);
}

template <class Class>
void bind_control(Class& engine) {
  engine
      .def("submit", [](EngineHandle& self, const py::dict& message) {
        auto ready = to_message(message);
        Use use(self);
        return value_or_raise(without_gil([&] { return use->submit(std::move(ready)); })).str();
      }, py::arg("message"))
      .def("start_rows", &start_rows, py::arg("campaign"), py::arg("rows"), py::arg("columns"), py::arg("address_column"))
      .def("start_arrow", &start_arrow, py::arg("campaign"), py::arg("stream"), py::arg("address_column"))
      .def("status", [](EngineHandle& self, const std::string& job) {
        Use use(self);
        return value_or_raise(without_gil([&] { return use->status(job); }));
      }, py::arg("job"))
      .def("pause", [](EngineHandle& self, const std::string& campaign) {
        Use use(self);
        value_or_raise(without_gil([&] { return use->pause(campaign); }));
      }, py::arg("campaign"))
      .def("resume", [](EngineHandle& self, const std::string& campaign) {
        Use use(self);
        value_or_raise(without_gil([&] { return use->resume(campaign); }));
      }, py::arg("campaign"))
      .def("cancel", [](EngineHandle& self, const std::string& campaign) {
        Use use(self);
        value_or_raise(without_gil([&] { return use->cancel(campaign); }));
      }, py::arg("campaign"))
      .def("forget", [](EngineHandle& self, const std::string& campaign) {
        Use use(self);
        value_or_raise(without_gil([&] { return use->forget(campaign); }));
      }, py::arg("campaign"))
      .def("open_recipients", [](EngineHandle& self, const std::string& job, std::size_t max) {
        Use use(self);
        const auto open = value_or_raise(without_gil([&] { return use->open_recipients(job, max); }));
        py::list list;
        for (const OpenRecipient& each : open) list.append(py::make_tuple(to_str(each.address), to_str(spool::to_string(each.state))));
        return list;
      }, py::arg("job"), py::arg("max"))
      .def("drain", &drain, py::arg("timeout"))
      .def("open_rows", [](EngineHandle& self) {
        Use use(self);
        return without_gil([&] { return use->open_rows(); });
      })
      .def("set_keys", [](EngineHandle& self, std::shared_ptr<dkim::KeyRing> keys) {
        Use use(self);
        without_gil([&] { use->set_keys(std::move(keys)); });
      }, py::arg("keys").none(true));
}

template <class Class>
void bind_inbound(Class& engine) {
  engine
      .def("inbound", [](EngineHandle& self, const py::object& message, const py::object& recipient, bool trust_unsigned,
                        const py::object& account) {
        const std::string bytes = to_bytes(message, "message");
        const auto to = to_bytes(recipient, "recipient");  // pybind11 would quote them all where one has a wrong type.
        const auto whose = to_bytes(account, "account");
        Use use(self);
        return value_or_raise(without_gil([&] {
          return use->inbound(bytes, {.recipient = to, .trust_unsigned = trust_unsigned, .account = whose});
        }));
      }, py::arg("message"), py::arg("recipient"), py::arg("trust_unsigned"), py::arg("account"))
      .def("carries_token", [](EngineHandle& self, const py::object& address) {
        const Address of = to_address(address);
        Use use(self);
        return use->carries_token(of);
      }, py::arg("address"));
}

template <class Class>
void bind_pace(Class& engine) {
  engine
      .def("explain", [](EngineHandle& self, const std::string& ip, const std::string& provider) {
        Use use(self);
        return value_or_raise(without_gil([&] { return use->explain(ip, provider); }));
      }, py::arg("ip"), py::arg("provider"))
      .def("command", [](EngineHandle& self, const std::string& ip, const std::string& provider, const std::string& command, std::uint64_t value) {
        const auto word = to_command(command);
        Use use(self);
        value_or_raise(without_gil([&] { return use->command(ip, provider, word, value); }));
      }, py::arg("ip"), py::arg("provider"), py::arg("command"), py::arg("value"))
      .def("resume_domain", [](EngineHandle& self, const std::string& sender_domain, const std::string& provider) {
        Use use(self);
        value_or_raise(without_gil([&] { return use->resume_domain(sender_domain, provider); }));
      }, py::arg("sender_domain"), py::arg("provider"))
      .def("paces", [](EngineHandle& self) {
        Use use(self);
        return without_gil([&] { return use->paces(); });
      })
      .def("change", [](EngineHandle& self, const std::string& limits) {
        auto settings = std::make_shared<warming::Settings>(warming::Settings::shipped());
        value_or_raise(settings->add(limits, "limits"));
        Use use(self);
        without_gil([&] { use->change(std::move(settings)); });
      }, py::arg("limits"))
      .def("trace", [](EngineHandle& self, const py::dict& filter) {
        auto what = to_trace_filter(filter);
        Use use(self);
        return without_gil([&] { return use->trace(std::move(what)); });
      }, py::arg("filter"));
}

template <class Class>
void bind_reporting(Class& engine) {
  engine
      .def("subscribe", [](EngineHandle& self, py::object on_events, py::object on_decisions, py::object on_error) {
        const Use use(self);
        return self.hub().subscribe({std::move(on_events), std::move(on_decisions), std::move(on_error)});
      }, py::arg("on_events"), py::arg("on_decisions"), py::arg("on_error"))
      .def("unsubscribe", [](EngineHandle& self, std::uint64_t number) { self.hub().unsubscribe(number); }, py::arg("number"))
      .def("open_queue", [](EngineHandle& self, const std::string& job, bool claimed) {
        const Use use(self);
        return self.hub().open_queue(job, claimed);
      }, py::arg("job"), py::arg("claimed"))
      .def("close_queue", [](EngineHandle& self, const std::shared_ptr<EventQueue>& queue) {
        without_gil([&] { self.hub().close_queue(queue); });
      }, py::arg("queue"))
      .def("in_callback", [](EngineHandle& self) { return self.hub().on_its_thread(); })
      .def("outbox_end", &outbox_end)
      .def("outbox_reached", &outbox_reached, py::arg("handed_over"));
}

}  // namespace

void bind_engine(py::module_& core) {
  auto module = core.def_submodule("engine", "The engine.");
  bind_log(module);
  py::class_<EngineHandle, Handle> engine(module, "Engine", "An open engine.");
  engine.def_static("open", &open, py::arg("options"), py::arg("spool_options"), py::arg("on_events"), py::arg("on_decisions"),
                    py::arg("on_error"))
      .def("close", &EngineHandle::close)
      .def("closed", &EngineHandle::closed_or_foreign);
  bind_control(engine);
  bind_inbound(engine);
  bind_pace(engine);
  bind_reporting(engine);
  module.def("join_reapers", [] { without_gil(&join_reapers); });
  bind_queue(core);
  bind_events(core);
  bind_listen(core);
}

}  // namespace mailsbuddy::python
