// trace.h - who follows which connections, and the lines on their way to them.
//
// A connection's lines go to every trace whose filter it fits. A filter about messages (a domain, a job) fits a
// connection only while it carries one of those: what was said before the first message is kept and given then, so that
// a transcript begins at its beginning, and has nothing of others' messages in it but what overlaps.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/followers.h"
#include "mailsbuddy/engine.h"

namespace mailsbuddy::engine {

using Traces = Followers<TraceFilter, TraceRecord, kTraceRecordsMax>;

// Begins a trace. Ownership: it may outlive the engine.
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

  std::vector<std::shared_ptr<Traces::One>> feeds_of(std::string_view mx_host) const;

  Traces& traces_;
  std::string provider_;
  std::string egress_;
  std::unordered_map<smtp::ConnectionId, Followed*> followed_;
};

}  // namespace mailsbuddy::engine
