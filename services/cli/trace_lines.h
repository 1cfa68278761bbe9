// trace_lines.h - connections followed live: what is wished, and the lines that come.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "mailsbuddy/engine.h"
#include "services/cli/control.h"

namespace mailsbuddy::cli {

// Of --trace and `mailsbuddy trace`.
struct TraceWish {
  std::optional<TraceFilter> out;            // Of what an engine sends.
  std::optional<smtp::ListenTraceFilter> in; // Of what a listener takes.

  // "all", or a filter of one kind. `listens`: there is a listener. Errors: kInvalidArgument.
  static Result<TraceWish> parse(const std::string& text, bool listens,
                                 smtp::TraceBodies bodies = smtp::TraceBodies::kHeaders);
};

// The listener of a process, which begins after others have learned where to ask, and ends before them. Threads: any.
class ListenerDoor {
 public:
  void open(smtp::Listener* listener);  // Null: it has ended.
  std::unique_ptr<Tracing> trace(const smtp::ListenTraceFilter& filter);

 private:
  std::mutex mutex_;
  smtp::Listener* listener_ = nullptr;
};

struct TraceSources {
  Engine* engine = nullptr;
  std::shared_ptr<ListenerDoor> listener{};  // Null: there is none.
};
using Tracings = std::vector<std::unique_ptr<Tracing>>;
Tracings begin_traces(const TraceWish& wish, const TraceSources& sources);

// The answer to "trace", with "filter" and "bodies".
ControlStreamHandler trace_stream(TraceSources sources);

// One line of a trace as JSON, from a record or its text over the wire, and for people.
ControlJson json_of(const TraceRecord& record);
std::string line_of(const ControlJson& line, bool colours);

// Prints what traces bring to standard error, in colours on a terminal or as a JSON object a line.
// Threads: has one of its own. Ownership: destroying it prints what has come and ends it.
class TracePrinter {
 public:
  TracePrinter(Tracings tracings, bool json);
  ~TracePrinter();

 private:
  void print();

  Tracings tracings_;
  const bool json_;
  const bool colours_;
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

}  // namespace mailsbuddy::cli
