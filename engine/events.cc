#include "engine/events.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <type_traits>
#include <utility>

#include "core/base/log.h"

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
    new_sinks_.push_back(std::move(sink));
  }
  notify();
}

void EventDispatcher::notify() {
  if (deliver_ && !scheduled_.exchange(true)) executor_.post([this] { run(); });
}

void EventDispatcher::run() {
  scheduled_ = false;  // Before looking: what comes during this run schedules the next.
  {
    const std::lock_guard lock(mutex_);
    for (auto& sink : new_sinks_) subscribers_.push_back({.sink = std::move(sink)});
    new_sinks_.clear();
  }
  std::uint64_t gone = 0;
  if (subscribers_.empty()) gone = spool_.peek_events(0, kBatch).size();
  bool more = gone > 0;
  std::optional<Records> records;  // Those of the sink before: most are at the same place.
  for (Subscriber& each : subscribers_) {
    if (each.resting) continue;
    if (!records || records->from != each.taken || each.refused > 0) records = read(each);
    if (records->count == 0) {
      if (spool_.event_count() > each.taken) look_again();  // Not durable yet, or they cannot be read just now.
      continue;
    }
    if (auto taken = hand_over(each, *records); !taken) {
      rest(each, records->count, taken.error());
    } else {
      each.taken += records->count;
      more = true;
    }
  }
  if (!subscribers_.empty()) gone = std::ranges::min(subscribers_, {}, &Subscriber::taken).taken;
  if (gone > 0) spool_.remove_events(gone);
  for (Subscriber& each : subscribers_) each.taken -= gone;
  if (more) notify();
}

EventDispatcher::Records EventDispatcher::read(const Subscriber& subscriber) const {
  Records records{.from = subscriber.taken};
  for (const std::string& record : spool_.peek_events(subscriber.taken, subscriber.refused > 0 ? subscriber.refused : kBatch)) {
    ++records.count;
    if (is_decision(record)) {
      if (auto decision = decode_decision(record)) records.decisions.push_back(*std::move(decision));
    } else if (auto event = decode_event(record)) {
      records.events.push_back(*std::move(event));
    }
  }
  return records;
}

Result<void> EventDispatcher::hand_over(Subscriber& to, const Records& records) {
  if (!records.events.empty() && !to.events_taken) {
    if (auto taken = to.sink->on_events(records.events); !taken) return taken;
  }
  if (!records.decisions.empty()) {
    to.events_taken = true;
    if (auto taken = to.sink->on_decisions(records.decisions); !taken) return taken;
  }
  to.events_taken = false;
  if (std::exchange(to.refused, 0) > 0) log(log_, LogLevel::kInfo, "events", "a sink takes events again");
  return {};
}

void EventDispatcher::rest(Subscriber& subscriber, std::size_t refused, const Error& error) {
  if (std::exchange(subscriber.refused, refused) == 0) {
    log(log_, LogLevel::kError, "events",
        "a sink refused {} events or decisions; they come again until it takes them: {}", refused, error.detail);
  }
  subscriber.resting = true;
  look_again();
}

// With one clock for all of them: who refused later rests a little less.
void EventDispatcher::look_again() {
  loop_.post([this] {
    if (!again_.armed()) loop_.timers().arm(again_, loop_.now() + kAgain);
  });
}

void EventDispatcher::try_again() {
  executor_.post([this] {
    for (Subscriber& each : subscribers_) each.resting = false;
    run();
  });
}

}  // namespace engine
}  // namespace mailsbuddy
