#include "engine/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/base/ascii.h"

namespace mailsbuddy {
namespace {

struct FilterField {
  std::string_view name;
  std::string TraceFilter::*field;
};
constexpr std::array kFields = {
    FilterField{"domain", &TraceFilter::domain}, FilterField{"job", &TraceFilter::job},
    FilterField{"egress", &TraceFilter::egress}, FilterField{"provider", &TraceFilter::provider},
    FilterField{"mx", &TraceFilter::mx_host},
};

}  // namespace

Result<TraceFilter> TraceFilter::parse(std::string_view text) {
  TraceFilter filter;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(','));
    text.remove_prefix(std::min(part.size() + 1, text.size()));
    const std::size_t equals = part.find('=');
    const std::string_view name = part.substr(0, equals);
    const std::string_view value = equals == std::string_view::npos ? "" : part.substr(equals + 1);
    const auto known = std::ranges::find(kFields, name, &FilterField::name);
    if (known == kFields.end() || value.empty() || !(filter.*known->field).empty()) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("\"{}\": each of domain=, job=, egress=, provider= and mx= once, or none", part)};
    }
    filter.*known->field = known->field == &TraceFilter::job ? std::string(value) : ascii::to_lower(value);
  }
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

// ---------------------------------------------------------------------------------------------------------------------
// Feeds

void TraceFeed::push(const TraceRecord& record) {
  if (closed_) return;
  {
    const std::lock_guard lock(mutex_);
    if (records_.size() >= kTraceRecordsMax) {
      ++dropped_;
      return;
    }
    records_.push_back(record);
  }
  came_.notify_one();
}

std::vector<TraceRecord> TraceFeed::take(std::chrono::milliseconds wait) {
  std::unique_lock lock(mutex_);
  if (wait.count() > 0) came_.wait_for(lock, wait, [this] { return !records_.empty(); });
  return std::exchange(records_, {});
}

std::uint64_t TraceFeed::dropped() {
  const std::lock_guard lock(mutex_);
  return std::exchange(dropped_, 0);
}

void Traces::add(std::shared_ptr<TraceFeed> feed) {
  const std::lock_guard lock(mutex_);
  feeds_.push_back(std::move(feed));
  ++version_;
  active_ = true;
}

void Traces::remove(const TraceFeed* feed) {
  const std::lock_guard lock(mutex_);
  std::erase_if(feeds_, [feed](const auto& each) { return each.get() == feed; });
  ++version_;
  active_ = !feeds_.empty();
}

std::vector<std::shared_ptr<TraceFeed>> Traces::all() const {
  const std::lock_guard lock(mutex_);
  return feeds_;
}

namespace {

class Follower final : public Tracing {
 public:
  Follower(std::shared_ptr<Traces> traces, TraceFilter filter)
      : traces_(std::move(traces)), feed_(std::make_shared<TraceFeed>(std::move(filter))) {
    traces_->add(feed_);
  }
  ~Follower() override {
    feed_->close();
    traces_->remove(feed_.get());
  }
  std::vector<TraceRecord> take(std::chrono::milliseconds wait) override { return feed_->take(wait); }
  std::uint64_t dropped() override { return feed_->dropped(); }

 private:
  std::shared_ptr<Traces> traces_;
  std::shared_ptr<TraceFeed> feed_;
};

}  // namespace

std::unique_ptr<Tracing> follow(std::shared_ptr<Traces> traces, TraceFilter filter) {
  return std::make_unique<Follower>(std::move(traces), std::move(filter));
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
    std::shared_ptr<TraceFeed> feed;
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

std::vector<std::shared_ptr<TraceFeed>> LaneTracer::feeds_of(std::string_view mx_host) const {
  std::vector<std::shared_ptr<TraceFeed>> feeds = traces_.all();
  std::erase_if(feeds, [&](const auto& each) {
    const TraceFilter& filter = each->filter();
    return !fits(filter.egress, egress_) || !fits(filter.provider, provider_) || !fits(filter.mx_host, mx_host);
  });
  return feeds;
}

std::unique_ptr<smtp::Trace> LaneTracer::trace(const smtp::TraceConnection& connection) {
  if (!active() || feeds_of(connection.mx_host).empty()) return nullptr;
  TraceRecord tags{.connection = traces_.next_connection(),
                   .egress = egress_,
                   .provider = provider_,
                   .mx_host = std::string(connection.mx_host),
                   .remote = connection.remote.str()};
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
