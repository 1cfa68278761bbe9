#include "services/cli/trace_lines.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "services/cli/say.h"
#include "services/cli/signals.h"

namespace mailsbuddy::cli {
namespace {

using namespace std::chrono_literals;

struct KindRow {
  std::string_view name, arrow, colour;
};
constexpr KindRow kKinds[] = {{"step", "* ", "\x1b[33m"}, {"sent", "> ", "\x1b[36m"}, {"received", "< ", "\x1b[32m"}};

std::string clock_time(std::int64_t milliseconds) {
  return fmt::format("{:%H:%M:%S}.{:03}", fmt::gmtime(static_cast<std::time_t>(milliseconds / 1000)),
                     milliseconds % 1000);
}

// What has come of all, in the order of time.
std::vector<ControlJson> take(const Tracings& tracings, std::chrono::milliseconds wait) {
  std::vector<TraceRecord> records;
  std::uint64_t dropped = 0;
  for (const auto& each : tracings) {
    auto more = each->take(records.empty() ? wait / static_cast<int>(tracings.size()) : 0ms);
    std::ranges::move(more, std::back_inserter(records));
    dropped += each->dropped();
  }
  std::ranges::stable_sort(records, {}, &TraceRecord::time);
  std::vector<ControlJson> lines;
  for (const TraceRecord& each : records) lines.push_back(json_of(each));
  if (dropped > 0) lines.push_back({{"trace", "dropped"}, {"lines", dropped}});
  return lines;
}

class TraceStream final : public ControlStream {
 public:
  explicit TraceStream(Tracings tracings) : tracings_(std::move(tracings)) {}
  std::vector<ControlJson> take() override { return cli::take(tracings_, 0ms); }

 private:
  Tracings tracings_;
};

Result<smtp::TraceBodies> bodies_of(std::string_view word) {
  if (word == "none") return smtp::TraceBodies::kNone;
  if (word == "headers") return smtp::TraceBodies::kHeaders;
  if (word == "full") return smtp::TraceBodies::kFull;
  return Error{ErrorCode::kInvalidArgument, fmt::format("bodies: \"{}\" is none of none, headers, full", word)};
}

}  // namespace

Result<TraceWish> TraceWish::parse(const std::string& text, bool listens, smtp::TraceBodies bodies) {
  const std::string filter = text == "all" ? "" : text;
  auto out = TraceFilter::parse(filter);
  auto in = smtp::ListenTraceFilter::parse(filter);
  if (!out && !listens) return out.error();
  if (!out && !in)
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("of what goes out, {}; of what comes in, {}", out.error().detail, in.error().detail)};
  TraceWish wish;
  if (out) wish.out = *std::move(out);
  if (in && listens) wish.in = *std::move(in);
  if (wish.out) wish.out->bodies = bodies;
  if (wish.in) wish.in->bodies = bodies;
  return wish;
}

void ListenerDoor::open(smtp::Listener* listener) {
  const std::lock_guard lock(mutex_);
  listener_ = listener;
}

std::unique_ptr<Tracing> ListenerDoor::trace(const smtp::ListenTraceFilter& filter) {
  const std::lock_guard lock(mutex_);
  auto tracing = listener_ == nullptr ? Result<std::unique_ptr<Tracing>>(nullptr) : listener_->trace(filter);
  return tracing ? *std::move(tracing) : nullptr;
}

Tracings begin_traces(const TraceWish& wish, const TraceSources& sources) {
  Tracings tracings;
  if (wish.in && sources.listener) tracings.push_back(sources.listener->trace(*wish.in));
  if (wish.out) tracings.push_back(sources.engine->trace(*wish.out));
  std::erase(tracings, nullptr);
  return tracings;
}

ControlStreamHandler trace_stream(TraceSources sources) {
  return [sources = std::move(sources)](const ControlJson& arguments) -> Result<std::unique_ptr<ControlStream>> {
    const auto bodies = bodies_of(text_or(arguments, "bodies", "headers"));
    if (!bodies) return bodies.error();
    const auto wish = TraceWish::parse(text_or(arguments, "filter", "all"), sources.listener != nullptr, *bodies);
    if (!wish) return wish.error();
    return std::unique_ptr<ControlStream>(std::make_unique<TraceStream>(begin_traces(*wish, sources)));
  };
}

ControlJson json_of(const TraceRecord& record) {
  const auto milliseconds = std::chrono::floor<std::chrono::milliseconds>(record.time.time_since_epoch()).count();
  ControlJson json{{"trace", kKinds[static_cast<std::size_t>(record.kind)].name},
                   {"time_ms", milliseconds},
                   {"connection", record.connection},
                   {"remote", record.remote}};
  if (record.local.empty())
    json.update({{"egress", record.egress}, {"provider", record.provider}, {"mx_host", record.mx_host}});
  else
    json.update({{"local", record.local}, {"user", record.user}});
  json["text"] = record.text;
  return json;
}

std::string line_of(const ControlJson& line, bool colours) {
  const auto text = [&line](const char* name) { return text_or(line, name, ""); };
  const auto* const kind = std::ranges::find(kKinds, std::string_view(text("trace")), &KindRow::name);
  if (kind == std::end(kKinds))
    return fmt::format("({} lines were dropped: they came faster than they could be written)", line.value("lines", 0));
  const std::string local = text("local"), user = text("user"), mx_host = text("mx_host"), remote = text("remote");
  const std::string whose = !local.empty()   ? fmt::format("{} to {}{}{}", remote, local, user.empty() ? "" : " ", user)
                            : mx_host.empty() ? fmt::format("{} {}", text("egress"), remote)
                                              : fmt::format("{} {}", text("egress"), mx_host);
  return fmt::format("{} {}#{} {} {}{}{}{}", clock_time(line.value("time_ms", std::int64_t{0})),
                     local.empty() ? "" : "in", line.value("connection", std::uint64_t{0}), whose,
                     colours ? kind->colour : "", kind->arrow, text("text"), colours ? "\x1b[0m" : "");
}

TracePrinter::TracePrinter(Tracings tracings, bool json)
    : tracings_(std::move(tracings)), json_(json), colours_(!json && isatty(STDERR_FILENO) == 1), thread_([this] {
        block_sigpipe();
        while (!ending_) print();
      }) {}

TracePrinter::~TracePrinter() {
  ending_ = true;
  thread_.join();
  print();
}

void TracePrinter::print() {
  for (const ControlJson& line : take(tracings_, ending_ ? 0ms : 100ms))
    say("{}\n", json_ ? line.dump() : line_of(line, colours_));
}

}  // namespace mailsbuddy::cli
