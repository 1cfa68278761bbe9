#include "engine/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <utility>

#include "core/base/ascii.h"
#include "core/base/filter_text.h"

namespace mailsbuddy {

Result<TraceFilter> TraceFilter::parse(std::string_view text) {
  TraceFilter filter;
  const FilterField fields[] = {{"domain", filter.domain},
                                {"job", filter.job},
                                {"egress", filter.egress},
                                {"provider", filter.provider},
                                {"mx", filter.mx_host}};
  if (auto parsed = parse_filter(text, fields); !parsed) return std::move(parsed).error();
  for (std::string* const each : {&filter.domain, &filter.egress, &filter.provider, &filter.mx_host})
    *each = ascii::to_lower(*each);
  return filter;
}

namespace engine {
namespace {

// What is kept of a connection for those who may want it later: an opening with TLS has some thirty lines.
constexpr std::size_t kOpeningMax = 64;

bool fits(std::string_view wanted, std::string_view value) noexcept { return wanted.empty() || wanted == value; }

bool fits_message(const TraceFilter& filter, const TracedMessage& message) {
  if (!filter.job.empty() && filter.job != message.job && filter.job != message.campaign) return false;
  return filter.domain.empty() ||
         ascii::iequals(filter.domain, message.recipient.substr(message.recipient.rfind('@') + 1));
}

}  // namespace

std::unique_ptr<Tracing> follow(std::shared_ptr<Traces> traces, TraceFilter filter) {
  return std::make_unique<Following<Tracing, Traces>>(std::move(traces), std::move(filter));
}

// ---------------------------------------------------------------------------------------------------------------------
// One connection

class LaneTracer::Followed final : public smtp::Trace {
 public:
  Followed(LaneTracer& lane, smtp::ConnectionId id, TraceRecord tags) : lane_(lane), id_(id), tags_(std::move(tags)) {
    look_who_follows();
  }
  ~Followed() override {
    const auto found = lane_.followed_.find(id_);
    if (found != lane_.followed_.end() && found->second == this) lane_.followed_.erase(found);
  }

  smtp::TraceBodies bodies() const override { return bodies_; }

  void on_line(const smtp::TraceLine& line) override {
    TraceRecord record = tags_;
    record.time = line.time;
    record.kind = line.kind;
    record.text = line.text;
    for (const Listener& each : listeners_) {
      if (!each.by_message || each.messages > 0) each.feed->push(record);
    }
    if (begun_) return;
    opening_.push_back(std::move(record));
    if (opening_.size() > kOpeningMax) opening_.pop_front();
  }

  void begins(const TracedMessage& message, TimePoint now) {
    begun_ = true;
    if (version_ != lane_.traces_.version()) look_who_follows();
    for (Listener& each : listeners_) {
      if (!each.by_message || !fits_message(each.feed->filter(), message)) continue;
      ++each.messages;
      if (std::exchange(each.has_opening, true)) continue;
      for (const TraceRecord& record : opening_) each.feed->push(record);
    }
    step(now, fmt::format("message of {} for {}", message.job, message.recipient));
  }

  void ended(const TracedMessage& message, const Outcome& outcome, TimePoint now) {
    step(now, fmt::format("{}: {}", message.recipient, outcome.str()));
    for (Listener& each : listeners_) {
      if (each.by_message && each.messages > 0 && fits_message(each.feed->filter(), message)) --each.messages;
    }
  }

 private:
  struct Listener {
    std::shared_ptr<Traces::One> feed;
    bool by_message = false;
    int messages = 0;  // Under way, that it is about.
    bool has_opening = false;
  };

  // Those who are new begin here.
  void look_who_follows() {
    version_ = lane_.traces_.version();
    const auto feeds = lane_.feeds_of(tags_.mx_host);
    std::erase_if(listeners_, [&](const Listener& each) { return std::ranges::find(feeds, each.feed) == feeds.end(); });
    for (const auto& feed : feeds) {
      if (std::ranges::find(listeners_, feed, &Listener::feed) != listeners_.end()) continue;
      const TraceFilter& filter = feed->filter();
      listeners_.push_back({.feed = feed, .by_message = !filter.domain.empty() || !filter.job.empty()});
    }
    bodies_ = smtp::TraceBodies::kNone;
    for (const Listener& each : listeners_) bodies_ = std::max(bodies_, each.feed->filter().bodies);
  }

  void step(TimePoint now, std::string_view text) {
    on_line({.time = now, .kind = smtp::TraceLine::Kind::kStep, .text = text});
  }

  LaneTracer& lane_;
  const smtp::ConnectionId id_;
  const TraceRecord tags_;
  std::uint64_t version_ = 0;  // Of the traces, when it was looked last.
  std::vector<Listener> listeners_;
  smtp::TraceBodies bodies_ = smtp::TraceBodies::kNone;
  std::deque<TraceRecord> opening_;  // What was said before the first message.
  bool begun_ = false;               // That is over.
};

// ---------------------------------------------------------------------------------------------------------------------
// One lane

LaneTracer::~LaneTracer() = default;

std::vector<std::shared_ptr<Traces::One>> LaneTracer::feeds_of(std::string_view mx_host) const {
  std::vector<std::shared_ptr<Traces::One>> feeds = traces_.all();
  std::erase_if(feeds, [&](const auto& each) {
    const TraceFilter& filter = each->filter();
    return !fits(filter.egress, egress_) || !fits(filter.provider, provider_) || !fits(filter.mx_host, mx_host);
  });
  return feeds;
}

std::unique_ptr<smtp::Trace> LaneTracer::trace(const smtp::TraceConnection& connection) {
  if (!active() || feeds_of(connection.mx_host).empty()) return nullptr;
  TraceRecord tags{.connection = traces_.next_connection(),
                   .remote = connection.remote.str(),
                   .egress = egress_,
                   .provider = provider_,
                   .mx_host = std::string(connection.mx_host)};
  auto followed = std::make_unique<Followed>(*this, connection.id, std::move(tags));
  followed_[connection.id] = followed.get();
  return followed;
}

void LaneTracer::begins(smtp::Pool& pool, smtp::ConnectionId connection, const TracedMessage& message, TimePoint now) {
  pool.trace(connection);
  const auto found = followed_.find(connection);
  if (found != followed_.end()) found->second->begins(message, now);
}

void LaneTracer::ended(smtp::ConnectionId connection, const TracedMessage& message, const Outcome& outcome,
                       TimePoint now) {
  const auto found = followed_.find(connection);
  if (found != followed_.end()) found->second->ended(message, outcome, now);
}

}  // namespace engine
}  // namespace mailsbuddy
