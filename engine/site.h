// site.h - one site's rows, prepared messages and lanes: where a recipient is pulled, made and sent.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/timer_wheel.h"
#include "engine/fair_queue.h"
#include "engine/maker.h"
#include "engine/provider.h"

namespace mailsbuddy::engine {

class Site;
class Worker;

using PreparedPtr = std::unique_ptr<Prepared>;

// Opening takes a round trip or three: begin that long before the next permit.
inline constexpr Duration kOpenAhead = std::chrono::seconds(1);

// (egress IP, site): its connections. Threads: its worker's.
class Lane final : public smtp::PoolHandler {
 public:
  Lane(Site& site, Worker& worker, Egress& egress) : site_(site), worker_(worker), egress_(egress) {}
  ~Lane() override;

  Egress& egress() noexcept { return egress_; }
  bool may_open(TimePoint now);         // A further connection, as far as this lane and its IP go.
  bool reachable(TimePoint now) const;  // Not set aside, its IP not paused: it could send, now or when permitted.
  bool full() const noexcept;    // The IP has all its connections at this provider.
  void open();
  smtp::ConnectionId idle() const noexcept;  // 0: none.
  void send(smtp::ConnectionId connection, PreparedPtr prepared);
  int open_connections() const noexcept { return pool_ == nullptr ? 0 : pool_->open_connections(); }
  int ready_connections() const noexcept { return static_cast<int>(connections_.size()); }
  void quit_idle();
  TimePoint set_aside_until() const noexcept { return set_aside_until_; }
  int failures() const noexcept { return failures_; }

  void on_ready(smtp::Pool& pool, smtp::ConnectionId connection) override;
  void on_recipient(smtp::Pool& pool, smtp::ConnectionId connection, std::size_t recipient,
                    const Outcome& outcome) override;
  void on_transaction_done(smtp::Pool& pool, smtp::ConnectionId connection) override;
  void on_sending(smtp::Pool& pool, smtp::ConnectionId connection) override;
  void on_room(smtp::Pool& pool, smtp::ConnectionId connection) override { follow(pool, connection); }
  void on_closed(smtp::Pool& pool, smtp::ConnectionId connection, const Outcome& reason) override;
  void on_open_failed(smtp::Pool& pool, smtp::ConnectionId connection, const Outcome& reason) override;

 private:
  // A message on a connection. Those behind the first wait for its reply; their envelopes are sent, or all of them.
  struct Sending {
    PreparedPtr message;
    std::string_view rcpt_to;  // Into `message`.
    TimePoint sent_at{};       // When its budget was taken.
    bool ahead = false;        // Begun behind another one.
    bool started = true;       // Its turn came: all before it were answered.
  };
  struct Connection {
    std::deque<Sending> carries;  // Empty: idle.
    int completed = 0;            // Transactions that ended with a reply.
    int completed_ahead = 0;      // Those among them that were begun behind another.
  };

  int window(TimePoint now) const;  // Messages that may be on one connection.
  void follow(smtp::Pool& pool, smtp::ConnectionId connection);
  void withdraw(smtp::Pool& pool, smtp::ConnectionId connection);
  void finish(Connection& connection, const Outcome& outcome, const smtp::ConnectionInfo& info);
  bool learn_to_wait(const Connection& connection, const Outcome& outcome);
  void learn(const Outcome& outcome, const bounce::Verdict& verdict);
  void released();  // A connection's slot is free again.
  void set_aside(TimePoint now);
  bool proven() const;  // One of the connections has completed a transaction.

  Site& site_;
  Worker& worker_;
  Egress& egress_;
  std::unique_ptr<smtp::Pool> pool_;                            // From the first open() on.
  std::unordered_map<smtp::ConnectionId, Connection> connections_;  // Those that have been ready.
  TimePoint set_aside_until_{};
  TimePoint capped_until_{};  // The pool opens fewer connections than allowed until then.
  int failures_ = 0;          // Connections in a row that carried nothing.
};

// One set of MX hosts, for one pool of egress IPs. Threads: its worker's.
// Invariants: every row that was pulled is either prepared, on the wire, settled or given back.
class Site {
 public:
  Site(Worker& worker, Provider& provider, std::string key, std::vector<smtp::RouteHost> hosts, std::string_view pool);
  ~Site();

  void push(FeedPtr feed);
  void push_front(Prepared& prepared);  // Claimed, but nothing was tried: its row waits again. `wire` stays: it may be under way.
  void made(std::vector<PreparedPtr> prepared);  // Back from the CPU pool.
  void pump();                                   // Does whatever can be done now. Call after every change.
  void review();                                 // After a command: settles or gives back what must not go any more.
  PreparedPtr next_ready(TimePoint now);         // Null: none that may go.
  void refill(TimePoint now);
  bool stopped(Prepared& prepared, TimePoint now);  // Settles what must not go any more. True: it is dealt with.
  void lane_failed(const Outcome& outcome);         // A lane could not be opened, and is set aside.
  void quit_spare();                                // Others wait for connections: quit those that have no work here.

  const std::string& key() const noexcept { return key_; }
  const std::vector<smtp::RouteHost>& hosts() const noexcept { return hosts_; }
  Provider& provider() noexcept { return provider_; }
  std::uint64_t waiting() const;  // Rows and messages that want to go.
  bool unused(TimePoint now) const;          // Nothing here, open or worth remembering: it may be destroyed.
  std::deque<Site*>* waits_in = nullptr;     // The line in which this site waits for a connection, if any.

 private:
  static constexpr std::size_t kMakeBatch = 8;           // Messages per CPU task.
  static constexpr std::size_t kAheadPerConnection = 3;  // Messages made per ready connection: none waits for the CPU.
  static constexpr std::size_t kLookAheadMax = 256;      // Messages made before they can be sent.
  static constexpr std::size_t kLookAheadBytesMax = 16u << 20;  // The same in octets, but for one message.
  static constexpr std::uint64_t kWantedMax = 1000;             // Rows counted to see how many connections they need.
  static constexpr Duration kRouteAge = std::chrono::hours(1);  // Rows that wait longer are routed anew.
  static constexpr Duration kFailuresRemembered = std::chrono::minutes(30);

  struct LookAhead {
    std::deque<PreparedPtr> ready;
    std::size_t preparing = 0;
    std::size_t size() const noexcept { return ready.size() + preparing; }
  };

  void settle_ended(TimePoint now);
  void settle_feeds(std::vector<FeedPtr> ended);
  void reroute(TimePoint now);
  void send_ready(TimePoint now);
  bool can_carry(TimePoint now);  // There is a connection, or there may be one.
  void give_back_ready();
  void refill(Priority priority, std::size_t target, TimePoint now);
  void open_connections(TimePoint now);
  void wait_for_connection();
  void arm(TimePoint now);
  void charge();                             // One waiting message bears the failure of all lanes.
  PreparedPtr take_ready(LookAhead& ahead);  // The first one.

  std::optional<std::pair<Lane*, smtp::ConnectionId>> idle_lane(TimePoint now);
  Lane* lane_to_open(TimePoint now);
  int open_connections() const;
  int ready_connections() const;

  Worker& worker_;
  Provider& provider_;
  std::string key_;
  std::vector<smtp::RouteHost> hosts_;
  FairQueue queue_;
  LookAhead ahead_[2];  // By Priority.
  std::size_t ready_bytes_ = 0;
  std::size_t message_bytes_ = 0;  // Of the last message made: the guess for the next.
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::size_t turn_ = 0;            // Which lane is looked at first.
  std::optional<Outcome> failure_;  // To be charged.
  TimePoint reroute_at_;            // When the queue's rows are to be routed anew.
  Timer timer_;
};

}  // namespace mailsbuddy::engine
