// trace.h - who follows which connections, and the lines on their way to them.
//
// A connection's lines go to every trace whose filter it fits. A filter about messages (a domain, a job) fits a
// connection only while it carries one of those: what was said before the first message is kept and given then, so that
// a transcript begins at its beginning, and has nothing of others' messages in it but what overlaps.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "mailsbuddy/engine.h"

namespace mailsbuddy::engine {

// Of one trace. Threads: any. Invariants: never more than kTraceRecordsMax lines wait; what comes then is counted.
class TraceFeed {
 public:
  explicit TraceFeed(TraceFilter filter) : filter_(std::move(filter)) {}
  const TraceFilter& filter() const noexcept { return filter_; }
  void push(const TraceRecord& record);
  std::vector<TraceRecord> take(std::chrono::milliseconds wait);
  std::uint64_t dropped();
  void close() noexcept { closed_ = true; }  // Nobody takes any more.

 private:
  const TraceFilter filter_;
  std::atomic<bool> closed_{false};
  std::mutex mutex_;
  std::condition_variable came_;
  std::vector<TraceRecord> records_;
  std::uint64_t dropped_ = 0;
};

// All of an engine's. Threads: any.
class Traces {
 public:
  bool active() const noexcept { return active_.load(std::memory_order_relaxed); }  // Somebody follows something.
  void add(std::shared_ptr<TraceFeed> feed);
  void remove(const TraceFeed* feed);
  std::vector<std::shared_ptr<TraceFeed>> all() const;
  std::uint64_t version() const noexcept { return version_; }  // Changes with every add() and remove().
  std::uint64_t next_connection() noexcept { return ++connections_; }

 private:
  std::atomic<bool> active_{false};
  std::atomic<std::uint64_t> version_{0};
  std::atomic<std::uint64_t> connections_{0};
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<TraceFeed>> feeds_;
};

// Begins a trace. Ownership: the feeds are the Tracing's too, which may outlive the engine.
std::unique_ptr<Tracing> follow(std::shared_ptr<Traces> traces, TraceFilter filter);

struct TracedMessage {
  std::string_view job;       // The campaign's id, or the message's as text.
  std::string_view campaign;  // Message::campaign.
  std::string_view recipient;
};

// One lane's: it is asked for the lane's connections, and told of their messages.
// Threads: the lane's worker's. Ownership: outlives the lane's Pool.
class LaneTracer final : public smtp::Tracer {
 public:
  LaneTracer(Traces& traces, std::string provider, std::string egress)
      : traces_(traces), provider_(std::move(provider)), egress_(std::move(egress)) {}
  ~LaneTracer() override;

  bool active() const noexcept { return traces_.active(); }
  std::unique_ptr<smtp::Trace> trace(const smtp::TraceConnection& connection) override;
  // Around each message; only when active(). begins() comes before Pool::send().
  void begins(smtp::Pool& pool, smtp::ConnectionId connection, const TracedMessage& message, TimePoint now);
  void ended(smtp::ConnectionId connection, const TracedMessage& message, const Outcome& outcome, TimePoint now);

 private:
  class Followed;

  std::vector<std::shared_ptr<TraceFeed>> feeds_of(std::string_view mx_host) const;

  Traces& traces_;
  std::string provider_;
  std::string egress_;
  std::unordered_map<smtp::ConnectionId, Followed*> followed_;
};

}  // namespace mailsbuddy::engine
