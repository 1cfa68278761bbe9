#include "engine/events.h"

#include <cstring>
#include <type_traits>

namespace mailsbuddy {

std::string_view to_string(EventKind kind) noexcept {
  static constexpr std::string_view kNames[] = {"delivered", "deferred", "bounced",     "suppressed", "expired",      "cancelled",
                                                "failed",    "held",     "late_bounce", "complaint",  "unsubscribed", "auto_reply"};
  static_assert(std::size(kNames) == kEventKinds);
  return kNames[static_cast<std::size_t>(kind)];
}

namespace engine {
namespace {

// One list of an event's parts serves writing and reading.
template <class Codec, class E>
void each_part(Codec& codec, E& event) {
  codec(event.kind), codec(event.time), codec(event.job), codec(event.campaign), codec(event.account);
  codec(event.recipient);
  codec(event.row), codec(event.attempt);
  codec(event.outcome.stage), codec(event.outcome.cause), codec(event.outcome.reply.code);
  codec(event.outcome.reply.enhanced), codec(event.outcome.reply.text), codec(event.outcome.detail);
  codec(event.verdict.klass), codec(event.verdict.permanence), codec(event.verdict.scope), codec(event.verdict.reaction);
  codec(event.rule), codec(event.provider), codec(event.egress), codec(event.mx_host), codec(event.tls);
  codec(event.tls_verified), codec(event.due);
}

// Where an Event has its kind.
constexpr char kDecisionMark = '\xff';
static_assert(kEventKinds < 0xff);

template <class Codec, class D>
void each_decision_part(Codec& codec, D& decision) {
  codec(decision.kind), codec(decision.time), codec(decision.provider), codec(decision.ip), codec(decision.rule);
  codec(decision.seen), codec(decision.what), codec(decision.old_value), codec(decision.new_value);
}

struct Writer {
  std::string out;
  void operator()(const std::string& text) {
    (*this)(static_cast<std::uint32_t>(text.size()));
    out += text;
  }
  template <class T>
    requires std::is_trivially_copyable_v<T>
  void operator()(const T& value) {
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    out.append(bytes, sizeof(T));
  }
};

struct Reader {
  std::string_view in;
  bool good = true;
  void operator()(std::string& text) {
    std::uint32_t size = 0;
    (*this)(size);
    if (size > in.size()) good = false;
    if (!good) return;
    text = in.substr(0, size);
    in.remove_prefix(size);
  }
  template <class T>
    requires std::is_trivially_copyable_v<T>
  void operator()(T& value) {
    if (sizeof(T) > in.size()) good = false;
    if (!good) return;
    std::memcpy(&value, in.data(), sizeof(T));
    in.remove_prefix(sizeof(T));
  }
};

}  // namespace

std::string encode_event(const Event& event) {
  Writer writer;
  writer.out.reserve(256);
  each_part(writer, event);
  return std::move(writer.out);
}

Result<Event> decode_event(std::string_view bytes) {
  Event event;
  Reader reader{bytes};
  each_part(reader, event);
  if (!reader.good || !reader.in.empty()) return Error{ErrorCode::kInternal, "an event in the outbox cannot be read"};
  return event;
}

std::string encode_decision(const warming::Decision& decision) {
  Writer writer;
  writer(kDecisionMark);
  each_decision_part(writer, decision);
  return std::move(writer.out);
}

void erase_recipient(Event& event) {
  event.recipient.clear();
  event.outcome.reply.text.clear();
  event.outcome.detail.clear();
}

bool is_decision(std::string_view bytes) noexcept { return !bytes.empty() && bytes.front() == kDecisionMark; }

Result<warming::Decision> decode_decision(std::string_view bytes) {
  warming::Decision decision;
  Reader reader{bytes};
  char mark = 0;
  reader(mark);
  each_decision_part(reader, decision);
  if (!reader.good || !reader.in.empty() || mark != kDecisionMark) {
    return Error{ErrorCode::kInternal, "a decision in the outbox cannot be read"};
  }
  return decision;
}

void EventDispatcher::subscribe(std::shared_ptr<EventSink> sink) {
  {
    const std::lock_guard lock(mutex_);
    sinks_.push_back(std::move(sink));
  }
  notify();
}

void EventDispatcher::notify() {
  if (deliver_ && !scheduled_.exchange(true)) executor_.post([this] { run(); });
}

void EventDispatcher::run() {
  scheduled_ = false;  // Before looking: what comes during this run schedules the next.
  std::vector<std::shared_ptr<EventSink>> sinks;
  {
    const std::lock_guard lock(mutex_);
    sinks = sinks_;
  }
  const std::vector<std::string> records = spool_.peek_events(kBatch);
  if (records.empty()) return;
  std::vector<Event> events;
  std::vector<warming::Decision> decisions;
  if (!sinks.empty()) {
    events.reserve(records.size());
    for (const std::string& record : records) {
      if (is_decision(record)) {
        if (auto decision = decode_decision(record)) decisions.push_back(*std::move(decision));
      } else if (auto event = decode_event(record)) {
        events.push_back(*std::move(event));
      }
    }
  }
  for (const auto& sink : sinks) {
    if (!events.empty()) sink->on_events(events);
    if (!decisions.empty()) sink->on_decisions(decisions);
  }
  spool_.remove_events(records.size());
  notify();
}

}  // namespace engine
}  // namespace mailsbuddy
