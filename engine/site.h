// site.h - one site's rows, prepared messages and lanes: where a recipient is pulled, made and sent.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/timer_wheel.h"
#include "engine/fair_queue.h"
#include "engine/maker.h"
#include "engine/provider.h"
#include "engine/trace.h"

namespace mailsbuddy::engine {

class Site;
class Worker;

// Opening takes a round trip or three: begin that long before the next permit.
inline constexpr Duration kOpenAhead = std::chrono::seconds(1);

// DNS leads where no mail is sent to, and would again.
bool hopeless_for_good(const Outcome& outcome) noexcept;

// (egress IP, site): its connections. Threads: its worker's.
class Lane final : public smtp::PoolHandler {
 public:
  // `guest`: of another pool, which takes what this one's IPs do not.
  Lane(Site& site, Worker& worker, Egress& egress, bool guest);
  ~Lane() override;

  const Egress& egress() const noexcept { return egress_; }
  bool guest() const noexcept { return guest_; }
  bool cold() const;                          // On a curve that it has not come to the end of.
  bool capped() const noexcept { return egress_.ip->curve.has_value(); }
  bool draining() const;                      // An operator has it carry nothing for a while.
  bool exhausted(TimePoint now) const;        // Its cap is used up, or it is suspended or paused, or it is draining.
  // The next permit of the IP, names aside; kNever: not before an operator acts. `above_cap`: as if it had none.
  TimePoint ready_at(TimePoint now, bool above_cap = false) const;
  // When it can carry something as far as time goes: permit, connection, being set aside. max(): time alone will not
  // do.
  TimePoint wakes_at(TimePoint now, bool above_cap) const;
  bool may_open(TimePoint now, bool above_cap = false);  // A further connection, as far as this lane and its IP go.
  bool reachable(TimePoint now) const;        // Not set aside, its IP not stopped: it could send, now or when permitted.
  bool full(TimePoint now) const;             // The IP has all its connections at this provider.
  void open();
  smtp::ConnectionId idle() const noexcept;  // 0: none.
  void feed();  // Something is made: it goes to connections whose window has room.
  void send(smtp::ConnectionId connection, PreparedPtr prepared);
  int open_connections() const noexcept { return pool_ == nullptr ? 0 : pool_->open_connections(); }
  int ready_connections() const noexcept { return static_cast<int>(connections_.size()); }
  std::size_t appetite(TimePoint now) const;  // Messages that its connections will soon carry.
  void change();  // Settings have changed.
  void quit_idle();
  void quit_draining() {
    if (draining()) quit_idle();
  }
  TimePoint set_aside_until() const noexcept { return set_aside_until_; }
  int failures() const noexcept { return failures_; }
  bool hopeless() const noexcept { return hopeless_; }  // What it failed for last will not pass.

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
    TimePoint sent_at{};       // When its permit was taken.
    TimePoint turn_at{};       // When all before it were answered.
    bool ahead = false;        // Begun behind another one.
    bool started = true;       // Its turn came: all before it were answered.
    bool replied = false;      // Of a recipient, or of all, there was a reply.
    std::uint32_t taught = 0;  // Kinds of warming::SignalKind that the pacer has learned of from it, as bits.
  };
  struct Connection {
    TimePoint ready_at{};
    std::deque<Sending> carries;  // Empty: idle.
    std::optional<smtp::TlsResult> tls{};  // If TLS reports are wanted.
    warming::Pacer::Carried carried{};
    std::set<std::string, std::less<>> tls_counted{};  // The domains that it was counted for.
    int completed = 0;                                 // Transactions that had a reply.
    int completed_ahead = 0;      // Those among them that were begun behind another.
  };

  int window(TimePoint now) const;  // Messages that may be on one connection.
  bool follow(smtp::Pool& pool, smtp::ConnectionId connection);  // False: there was nothing that it may carry.
  void take_permits(smtp::ConnectionId connection, Prepared& message, TimePoint now);
  bool withdrawn(smtp::Pool& pool, smtp::ConnectionId connection);
  void finish(smtp::ConnectionId id, Prepared& recipient, const Outcome& outcome, const smtp::ConnectionInfo& info);
  bool learn_to_wait(const Connection& connection, const Outcome& outcome);
  void refund(const Sending& sending, const Prepared& recipient);
  void learn(const Outcome& outcome, const bounce::Verdict& verdict, Sending* sending = nullptr,
             const Prepared* recipient = nullptr);
  bool too_many(TimePoint now) const;  // More connections are open than the provider is to have now.
  void released();  // A connection's slot is free again.
  bool set_aside(TimePoint now);
  void on_tls(const smtp::TlsResult& result);
  bool proven(TimePoint now) const;  // A connection has completed a transaction, and is there or ended lately.

  Site& site_;
  Worker& worker_;
  Egress& egress_;
  const bool guest_;
  LaneTracer tracer_;
  std::unique_ptr<smtp::Pool> pool_;                            // From the first open() on.
  std::unordered_map<smtp::ConnectionId, Connection> connections_;  // Those that have been ready.
  std::optional<smtp::TlsResult> opened_;  // Of the one that is about to be ready.
  TimePoint set_aside_until_{};
  bool hungry_ = false;       // A connection's window may have room.
  TimePoint proven_until_{};  // By a connection that has ended.
  TimePoint sent_at_{};       // The last message.
  TimePoint rests_until_{};   // A connection was opened for nothing: no further one before.
  TimePoint capped_until_{};  // The pool opens fewer connections than allowed until then.
  int failures_ = 0;          // Connections in a row that carried nothing.
  bool hopeless_ = false;
};

// One set of MX hosts, for one pool of egress IPs. Threads: its worker's.
// Invariants: every row that was pulled is either prepared, on the wire, settled or given back.
class Site {
 public:
  Site(Worker& worker, Provider& provider, std::string key, const smtp::Route& route, std::string_view pool);
  ~Site();

  void push(FeedPtr feed, std::chrono::seconds ttl);  // `ttl`: of the route that brought it here.
  void change();                        // Settings, or what an operator or a snapshot allows, have changed.
  void push_front(Prepared& message);   // Claimed, but nothing was tried: its rows wait again.
  void requeue(Prepared& recipient);    // The same for one of its recipients. The message stays: it may be under way.
  void put_back(PreparedPtr message);   // Made, and for recipients that were not tried: the next to go.
  void made(std::vector<PreparedPtr> prepared);  // Back from the CPU pool.
  void pump();                                   // Does whatever can be done now. Call after every change.
  void review();                                 // After a command: settles or gives back what must not go any more.
  PreparedPtr next_for(Lane& lane, TimePoint now);  // What this lane may carry now. Null: nothing.
  void refill(TimePoint now);
  // Settles those of its open recipients that must not have it any more, who leave it. True: none is left.
  bool stopped(Prepared& message, TimePoint now);
  bool may_join(const Lane& lane, const Prepared& recipient, TimePoint now) const;  // Go with one that goes now, too.
  void lane_failed(const Outcome& outcome);         // A lane could not be opened, and is set aside.
  void give_back_ready();                           // What is made, and on no connection.
  void quit_draining();                             // Idle connections of egress IPs that are to be used no more.
  TimePoint waits_since(TimePoint now) const;        // When the row that waits longest could first have gone; `now`: none waits.
  void shed(TimePoint until);                        // Due rows that cannot go now wait in the spool.
  void quit_spare();                                // Others wait for connections: quit those that have no work here.

  const std::string& key() const noexcept { return key_; }
  const std::string& name() const noexcept { return hosts_.front().host; }  // Of limits: its most preferred host.
  const std::vector<smtp::RouteHost>& hosts() const noexcept { return hosts_; }
  const smtp::RouteTls& tls() const noexcept { return tls_; }
  const smtp::Relay* relay() const noexcept { return relay_.get(); }  // Null: its hosts are MX hosts.
  // For TLS reports. A failure counts for the domain whose mail it keeps back: that of the next row that is sent or
  // charged.
  void know_tls(const std::string& domain, const smtp::RouteTls& tls);
  void tls_failed(const smtp::TlsResult& result);
  void count_tls(std::string_view recipient, const smtp::TlsResult* session);  // Null: there was none.
  Provider& provider() noexcept { return provider_; }
  std::uint64_t waiting() const;  // Rows and messages that want to go.
  void held(const Job& job, Held& held) const;  // Adds its rows.
  std::uint64_t all_rows() const;
  void jobs(std::set<const Job*>& out) const;  // Of which rows wait.
  warming::Draw draw(const Prepared& prepared) const;
  warming::Draw draw(const Job& job, std::uint64_t bytes) const;
  void let_go(Prepared& prepared, TimePoint now);  // Of its place at the pacer.
  void make_seven_bit();          // A server here does not offer 8BITMIME: for a day no message goes with octets above 127.
  bool full() const;              // It has all the connections that a site may have.
  std::string_view pool() const noexcept { return pool_; }
  bool unused(TimePoint now) const;          // Nothing here, open or worth remembering: it may be destroyed.
  std::deque<Site*>* waits_in = nullptr;     // The line in which this site waits for a connection, if any.

 private:
  static constexpr std::size_t kMakeBatch = 8;           // Messages per CPU task.
  static constexpr std::size_t kLookAheadMax = 1024;     // Messages made before they can be sent.
  static constexpr std::size_t kLookAheadBytesMax = 16u << 20;  // The same in octets, but for one message.
  static constexpr std::size_t kMessageBytes = 64u << 10;       // The guess for the first.
  static constexpr std::size_t kLookedAtMax = 2000;  // Rows pulled at a time, however few of them may go.
  static constexpr std::uint64_t kWantedMax = 1000;             // Rows counted to see how many connections they need.
  static constexpr Duration kMakeAhead = std::chrono::milliseconds(100);  // Of a name's permit: to be made until then.
  static constexpr Duration kHeldBackMax = std::chrono::seconds(1);       // What must wait longer, made, is given back.
  static constexpr std::uint64_t kSiftedMax = 10'000;  // Rows in memory that no cold IP is for, while there is none else.
  static constexpr std::uint64_t kEngagedAhead = 64;   // Rows sifted out for cold IPs before they are needed.
  static constexpr Duration kSevenBitBelieved = std::chrono::hours(24);
  // Rows that wait longer than DNS says that their route is good for are routed anew, within these limits: a TTL of a
  // minute would ask for a hundred thousand waiting domains without end.
  static constexpr Duration kRouteAgeMin = std::chrono::minutes(10);
  static constexpr Duration kRouteAgeMax = std::chrono::hours(1);
  static constexpr Duration kFailuresRemembered = std::chrono::minutes(30);

  struct LookAhead {
    std::deque<PreparedPtr> ready;
    std::size_t preparing = 0;
    std::size_t size() const noexcept { return ready.size() + preparing; }
  };

  // What the IPs of the pool may still take, as of now.
  struct Ways {
    bool warm_left = false;  // A warm one has something left,
    bool warm_able = false;  // and is not set aside.
    bool cold_left = false;
    bool guest_permit = false;
  };
  Ways ways(TimePoint now) const;
  warming::Way way(const Ways& ways, bool admitted, bool retry, TimePoint since, TimePoint now) const;
  bool may_carry(const Lane& lane, const Prepared& prepared, const Ways& ways, TimePoint now) const;
  bool has_work(const Lane& lane, TimePoint now) const;
  warming::Way overflow_way(TimePoint now) const;
  bool above_cap(TimePoint now) const;
  bool for_cold(const Job& job, const spool::Row& row) const;
  bool for_cold(const Lane& lane, const Job& job, const spool::Row& row) const;
  void sift(TimePoint now);
  void fail_overflow(TimePoint now);
  void settle_over_cap(std::vector<FeedPtr> feeds);
  Outcome over_cap() const;
  std::size_t rest_target(TimePoint now) const;
  PreparedPtr prepare(Pulled pulled, TimePoint now);
  void join(Prepared& first, TimePoint now);
  std::size_t recipients_max(const Job& job) const;
  bool stopped_alone(Prepared& recipient, const std::optional<Outcome>& failure, TimePoint now);
  TimePoint oldest(TimePoint now) const;

  const FairQueue::Gate& gate() const;
  TimePoint opens(const Job& job, TimePoint permit) const;
  bool gated(TimePoint now) const { return windows_ || provider_.pacer.any_names(now); }
  std::optional<Pulled> pull(Priority priority, std::size_t& rest_wanted, TimePoint now);
  void give_back_blocked(TimePoint now);
  bool take_places(Prepared& message, TimePoint now);
  PreparedPtr take_ready(LookAhead& ahead, std::size_t index);
  void settle_ended(TimePoint now);
  bool misplaced(const Job& job) const { return job.current_pool() != pool_; }  // It was moved to another pool.
  void send_home();  // The rows of such.
  void settle_feeds(std::vector<FeedPtr> ended);
  void give_up(const Outcome& outcome);
  void reroute(TimePoint now);
  void send_ready(TimePoint now);
  void send_ready(bool cold, TimePoint now);
  bool can_carry(TimePoint now);  // There is a connection, or there may be one.
  // For whom a further connection may be opened: null: for those whom no limit of new ones keeps back; empty: for
  // nobody.
  std::optional<const Job*> opens_for(TimePoint now);
  void open_for(const Job* whom, Lane& lane, TimePoint now);
  void refill(Priority priority, std::size_t target, TimePoint now);
  void open_connections(TimePoint now);
  Lane* lane_for_retry(TimePoint now);
  void wait_for_connection();
  void leave_line();                                // It waits for no connection.
  void arm(TimePoint now);
  void charge();                             // One waiting message bears the failure of all lanes.

  Lane* lane_to_open(TimePoint now);
  int open_connections() const;

  Worker& worker_;
  Provider& provider_;
  static constexpr std::size_t kTlsFailuresMax = 20;  // Not counted yet: of one round of the hosts.

  std::string key_;
  smtp::RouteTls tls_;
  std::unordered_map<std::string, smtp::RouteTls> tls_of_domains_;  // Of those that have more to say than tls_.
  std::vector<smtp::TlsResult> tls_failures_;
  std::vector<smtp::RouteHost> hosts_;
  std::shared_ptr<const smtp::Relay> relay_;
  std::string pool_;
  const PoolOptions& rules_;
  FairQueue queue_;
  // Where cold IPs are for some recipients alone, the queue's next rows are sifted: theirs, and the rest.
  FairQueue engaged_;
  FairQueue rest_;
  std::uint64_t sifted_ = 0;        // Rows that went to `rest_` and were not pulled yet, about.
  FairQueue::Gate gate_;
  FairQueue::Gate joining_gate_;    // For a further recipient of a message that is made.
  bool windows_ = false;            // Some of its campaigns have, or had: their rows are looked at before they are pulled.
  bool again_ = false;              // The last refill() found many rows whose windows are closed, and stopped.
  bool mixed_ = false;              // There are cold IPs, or were: not every lane may carry everything.
  int connections_max_ = 0;         // By the settings for sites.
  TimePoint ready_opens_ = TimePoint::max();  // When something that is made may go, for want of a name's permit.
  TimePoint opens_at_ = TimePoint::max();     // When a connection may be opened, for want of a name's permit for one.
  LookAhead ahead_[2];  // By Priority.
  std::size_t ready_bytes_ = 0;
  std::size_t message_bytes_ = kMessageBytes;  // Of the last message made: the guess for the next.
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::size_t turn_ = 0;            // Which lane is looked at first.
  std::optional<Outcome> failure_;  // To be charged.
  TimePoint seven_bit_until_{};
  TimePoint reroute_at_;            // When the queue's rows are to be routed anew.
  Timer timer_;
};

}  // namespace mailsbuddy::engine
