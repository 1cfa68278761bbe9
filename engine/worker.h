// worker.h - one owner thread: routes the domains and delivers to the providers that fall to it.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/log.h"
#include "core/base/timer_wheel.h"
#include "engine/delivery.h"
#include "engine/erased_addresses.h"
#include "engine/fair_queue.h"
#include "engine/known_providers.h"
#include "engine/maker.h"
#include "engine/provider.h"
#include "engine/site.h"
#include "engine/trace.h"
#include "engine/worker_tls.h"

namespace mailsbuddy::engine {

// Domains of a job whose rows are still to be routed: eight octets each, where a feed takes hundreds, and a site
// thousands.
struct Unrouted {
  struct Domain {
    std::uint32_t rows = 0;
    spool::DomainNumber number = 0;
  };
  JobPtr job;
  std::vector<Domain> domains;  // The next one last.
};

// What all workers have of the engine. Lives as long as they.
struct Shared {
  const EngineOptions& options;
  net::Runtime& runtime;
  spool::Spool& spool;
  const Maker& maker;
  EventDispatcher& events;
  std::vector<net::IpAddress> egress;                        // As in options.egress.
  smtp::TargetRules targets;
  Traces& traces;
  std::function<JobPtr(spool::JobNumber)> find_job;          // Null: it is gone.
  std::function<int(std::string_view)> owner_of;             // The worker of a domain or a provider.
  std::function<void(FeedPtr)> route;                        // To the worker that owns the feed's domain.
  std::function<void(FeedPtr, smtp::Route)> deliver;         // To the worker that owns the route's provider.
  Delivery::Committed committed;
  std::shared_ptr<Gate> gate;                                // Closed before anything here goes.
  KnownProviders& known_providers;
  // Rows were settled or held that somebody may have: who is to send one looks whether it was.
  const std::atomic<bool>& withdrawn;
  const ErasedAddresses& erased;
  const std::deque<std::atomic<bool>>& draining;             // As options.egress.
  std::shared_ptr<std::atomic<std::uint64_t>> due_at_hand;   // Rows that were due and are in memory.
  std::function<void()> shed;                                // Every worker's Worker::shed().
  bool snapshots = false;                                    // The spool may outlive this engine.
  TimePoint started{};
  const std::atomic<bool>& stopping;                         // The engine is being destroyed.
};

smtp::RouterOptions router_options(const EngineOptions& options);

// Threads: constructed and destroyed anywhere while its loop rests; all else on its loop's thread.
class Worker {
 public:
  Worker(const Shared& shared, int index);
  ~Worker();

  void route(FeedPtr feed);                        // Finds the feed's site and hands it on.
  void route(Unrouted domains);                    // The same with these, some at a time.
  void deliver(FeedPtr feed, smtp::Route route);   // The feed's rows go to this site.
  void settle_unsettled(FeedPtr feed);             // On the wire when the process before ended, perhaps.
  // Warming. The ones with a provider make it, if mail was never sent to it.
  Result<warming::Explanation> explain(const ProviderId& id, std::string_view ip);
  Result<void> command(const ProviderId& id, std::string_view ip, warming::Command command, std::uint64_t value);
  Result<void> resume_domain(const ProviderId& id, std::string_view sender_domain);
  void paces(std::vector<warming::Explanation>& out);
  void change(const std::shared_ptr<const warming::Settings>& settings);
  // What came back by mail about a row of `job`. `source_ip`: that it came from, as the report says; empty: it does
  // not.
  void learn_late(const ProviderId& id, const JobPtr& job, const warming::Signal& signal, std::string_view source_ip);
  // Null: its DNS does not say, now. Not called: the worker is stopping.
  void find_provider(const std::string& domain, std::function<void(const ProviderId*)> found);
  void drain_egress();                               // Which egress IPs are draining has changed.
  int connections(std::size_t egress) const;         // Open or opening, at all providers.
  // Rows of `job` that wait at each provider, and of how many jobs rows wait there.
  struct Backlog {
    ProviderId provider;
    Held held;                 // The job's.
    std::uint64_t others = 0;  // Of all other jobs.
    std::size_t jobs = 0;
    bool curves = false;
    std::vector<warming::Explanation> paces;
  };
  void backlog(const Job& job, std::vector<Backlog>& out);

  void wake(const JobPtr& job);  // It was paused, resumed, cancelled or moved: look at everything again. Null: many were.
  void hand_out_due();                             // Sends due rows on their way, and sleeps until the next are due.
  void shed();                                     // Due rows that cannot go now wait in the spool for a while.
  void shed(FeedPtr feed, TimePoint until);

  void stop();                                     // Closes every connection; nothing follows.

  // For sites and lanes.
  TimePoint now() const noexcept { return loop_.now(); }
  net::Loop& loop() noexcept { return loop_; }
  spool::Spool& spool() noexcept { return shared_.spool; }
  Delivery& delivery() noexcept { return delivery_; }
  const RetrySchedule& retries() const noexcept { return retries_; }
  // `on_tls` as PoolOptions::on_tls, if TLS reports are wanted.
  std::unique_ptr<smtp::Pool> make_pool(const Egress& egress, Site& site, smtp::PoolHandler& handler, smtp::Tracer& tracer,
                                        std::function<void(const smtp::TlsResult&)> on_tls);
  Traces& traces() noexcept { return shared_.traces; }
  smtp::TlsReports& tls_reports() noexcept { return tls_.reports; }
  void make(const std::string& site, std::vector<PreparedPtr> prepared, std::size_t batch);  // Claims, makes, gives back.
  void report(Provider& provider);         // The controller's new decisions.
  void place_free(Provider& provider);     // A message has ended: others of its campaign, account or domain may go.
  void keep_snapshot(Provider& provider);  // If one is due.
  const PoolOptions& pool_options(std::string_view pool) const;
  bool may_carry(std::string_view pool, const EgressIp& ip) const;  // Mail of `pool`: it is in it, or takes its overflow.
  bool draining(std::size_t egress) const { return shared_.draining[egress].load(std::memory_order_relaxed); }
  // What a command made of it meanwhile.
  enum class Look {
    kAsItWas,
    kGone,       // Settled or held: it is not this worker's any more.
    kUnclaimed,  // It cannot be sent before it is claimed, also if it was.
  };
  Look look(const Job& job, const spool::Row& row) const;
  bool erased(spool::JobNumber job, std::string_view address) const { return shared_.erased.contains(job, address); }
  void settle_feed(FeedPtr feed, Outcome outcome, std::string provider);   // Every row of it, a few at a time.
  void route_again(FeedPtr feed) { shared_.route(std::move(feed)); }

  // Connections are counted over all sites, and sites that find none left wait in line: for one of their provider, or
  // in waiting_sites() for any.
  bool connections_full() const noexcept { return connections_ >= connections_max_; }
  void count_connections(int change) noexcept { connections_ += change; }
  std::deque<Site*>& waiting_sites() noexcept { return waiting_; }
  void wait(Site& site, std::deque<Site*>& line);
  bool someone_waits(const Provider& provider) const noexcept { return !waiting_.empty() || !provider.waiting.empty(); }
  void connection_released(Provider& provider);
  void retire(Site& site);                           // It may be unused: destroyed soon if so.

  template <class... Args>
  void log(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
    mailsbuddy::log(shared_.options.log.get(), level, "engine", format, std::forward<Args>(args)...);
  }

 private:
  static constexpr int kRoutesAtOnce = 256;        // DNS questions under way.
  // Feeds at sites, made of domains that waited. When so many wait there, for hosts that are down or for permits,
  // others still come, though slowly: nobody waits for them for ever.
  static constexpr long kFeedsMax = 8192;
  static constexpr int kTrickle = 4;
  static constexpr Duration kLookAgain = std::chrono::milliseconds(10);
  static constexpr std::size_t kSettleAtOnce = 2048;  // Some milliseconds.
  static constexpr Duration kShedFor = std::chrono::minutes(1);
  static constexpr Duration kShedAgain = std::chrono::seconds(1);    // It looks at every feed.
  static constexpr Duration kUnreadAgain = std::chrono::seconds(1);  // After the disk could not be read.

  void make_part(const std::string& site, std::uint64_t number, std::vector<PreparedPtr> part);
  void route_next();
  FeedPtr next_to_route();
  FeedPtr next_unrouted();
  TimePoint opens(const Job& job) const;  // When a job's domains may be routed.
  void routed(FeedPtr feed, const smtp::RouteAnswer& answer);
  void charge(Feed& feed, const Outcome& outcome);  // Its first row bears a failed route.
  void count_unroutable(const std::string& domain, const smtp::RouteAnswer& answer);  // For its MTA-STS policy.
  void set_aside(FeedPtr feed, TimePoint until);
  void wake_aside();
  void cancel_waiting(const JobPtr& job);  // Some now, the rest when those are settled.
  bool settled_if_ended(FeedPtr& feed, std::string provider = {});  // True: its job is cancelled or expired.
  Provider& provider(const ProviderId& id);
  void stage_snapshot(Provider& provider);
  void wake(Provider& provider, bool with_rows = false);  // All its sites, or those that have rows.
  std::optional<std::string> kept(const ProviderId& id);  // What the spool has of its pacer.
  void forget_if_idle(const ProviderId& id);
  void drop_outlived();  // Of some that are forgotten, in turns, what is worth nothing.
  void forget_idle(const ProviderId& id);                  // It and, in turns, some others, if they are idle.
  Egress* bearer(Provider& provider, const Job& job, std::string_view source_ip);

  const Shared& shared_;
  const int index_;
  net::Loop& loop_;
  net::Transport& transport_;
  net::Resolver& resolver_;
  Random random_;
  RetrySchedule retries_;
  Delivery delivery_;
  WorkerTls tls_;
  smtp::Router router_;
  smtp::BadHosts bad_hosts_;                       // Of all pools that connect from this host.
  // Behind a proxy the world may look different: what fails there says nothing to others.
  struct Way {
    std::unique_ptr<net::Transport> transport;
    std::unique_ptr<smtp::BadHosts> bad_hosts;
  };
  std::map<std::size_t, Way> proxied_;             // By Egress::number.
  std::deque<FeedPtr> to_route_;
  std::deque<Unrouted> unrouted_;                   // In the order of their turns.
  std::shared_ptr<const void> counter_ = std::make_shared<char>();  // Held by each feed that was made of them.
  int trickle_ = 0;                                 // Of those, how many may be beyond kFeedsMax now.
  int routes_under_way_ = 0;
  std::multimap<TimePoint, FeedPtr> aside_;         // Whose DNS failed, or whose message is for later: by time.
  Timer aside_timer_;
  Timer unrouted_timer_;
  Timer due_timer_;
  TimePoint shed_again_{};  // Not before.
  std::shared_ptr<const warming::Settings> settings_;
  std::map<ProviderId, std::unique_ptr<Provider>> providers_;
  ProviderId looked_at_;                           // The last that forget_idle() looked at.
  std::string kept_looked_at_;                     // The last snapshot that drop_outlived() looked at.
  std::unordered_map<std::string, std::unique_ptr<Site>> sites_;   // By key.
  int connections_ = 0;                                            // Open or opening, of all sites.
  const int connections_max_;
  std::deque<Site*> waiting_;
  // Claimed and being made, by the number of their part: should it stop now, they were never on the wire.
  std::unordered_map<std::uint64_t, std::vector<spool::Row>> making_;
  std::uint64_t parts_ = 0;
  bool stopped_ = false;
};

}  // namespace mailsbuddy::engine
