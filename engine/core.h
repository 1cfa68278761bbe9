// core.h - the engine behind its facade: jobs, workers, and the threads' meeting points.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/inbound.h"
#include "engine/intake.h"
#include "engine/provider_lookups.h"
#include "engine/tls_reporting.h"
#include "engine/worker.h"

namespace mailsbuddy {

// Threads: the public methods from any.
class Engine::Core {
 public:
  static Result<std::unique_ptr<Core>> open(EngineOptions options);
  ~Core();

  // `kept`: snapshots that are durable if and only if the message is.
  Result<MessageId> submit(Message message, std::vector<spool::Snapshot> kept = {});
  Result<ImportReport> start(Campaign campaign, RowSource& rows);
  Result<CampaignStatus> status(std::string_view id) const;
  std::vector<std::string> campaigns() const;
  Result<void> set_paused(std::string_view id, bool paused);
  Result<void> cancel(std::string_view id);
  Result<void> forget(std::string_view id);
  Result<void> suppress(std::string_view account, const Address& address, SuppressionReason reason);
  bool carries_token(const Address& address) const { return inbound_.carries_token(address, now()); }
  Result<InboundReport> inbound(std::string_view message, const InboundEnvelope& envelope);
  std::optional<Suppressed> suppressed(std::string_view account, const Address& address) const;
  Result<std::vector<OpenRecipient>> open_recipients(std::string_view id, std::size_t max) const;
  Result<warming::Explanation> explain(std::string_view ip, std::string_view provider) const;
  Result<void> command(std::string_view ip, std::string_view provider, warming::Command command, std::uint64_t value);
  Result<void> resume_domain(std::string_view sender_domain, std::string_view provider);
  std::vector<warming::Explanation> paces() const;
  void change(std::shared_ptr<const warming::Settings> settings);
  void set_keys(std::shared_ptr<const dkim::KeyRing> keys) { maker_.set_keys(std::move(keys)); }
  std::unique_ptr<Tracing> trace(TraceFilter filter);
  std::vector<smtp::TlsReport> take_tls_reports();
  // core_queue.cc
  Result<bool> list(const QueueFilter& filter, spool::ListCursor& cursor, std::size_t max,
                    std::vector<QueuedRecipient>& out) const;
  Result<QueueSummary> summary(const QueueFilter& filter, QueueGrouping by, std::size_t max) const;  // core_summary.cc
  std::uint64_t find_providers(const QueueFilter& filter, Duration time) const;
  Result<bool> fail(const QueueFilter& filter, std::string_view reason, spool::ListCursor& cursor, QueueChange& change);
  Result<bool> hold(const QueueFilter& filter, std::string_view reason, spool::ListCursor& cursor, QueueChange& change);
  Result<bool> release(const QueueFilter& filter, spool::ListCursor& cursor, QueueChange& change);
  Result<bool> move(const QueueFilter& filter, std::string_view pool, spool::ListCursor& cursor, std::uint64_t& moved);
  Result<void> drain_egress(std::string_view address, bool draining);
  std::vector<EgressStatus> egress() const;
  // core_intake.cc
  IntakePressure pressure() const;
  // core_erase.cc
  Result<AddressErased> erase_address(const Address& address, bool suppressions);
  Result<void> erase_campaign(std::string_view campaign);
  // core_suppression.cc
  Result<bool> unsuppress(std::string_view account, const Address& address);
  Result<std::uint64_t> import_suppressions(const std::function<std::optional<SuppressionEntry>()>& next);
  Result<void> export_suppressions(const std::function<bool(const SuppressionEntry&)>& visit) const;
  Result<bool> export_suppressions(std::string& cursor, std::size_t max, std::vector<SuppressionEntry>& out) const;
  void start_tls_reporting();
  void subscribe(std::shared_ptr<EventSink> sink);
  bool drain(std::chrono::milliseconds limit);
  std::uint64_t open_rows() const;
  std::uint64_t unreported() const;

 private:
  Core(EngineOptions options, std::vector<net::IpAddress> egress, smtp::TargetRules targets, bool snapshots);

  net::Runtime& runtime() const noexcept { return *options_.runtime; }
  spool::Spool& spool() const noexcept { return *options_.spool; }
  TimePoint now() const noexcept { return runtime().clock().now(); }
  int owner_of(std::string_view name) const;  // The worker of a domain or a provider.

  bool has_pool(std::string_view pool) const;
  Result<engine::JobPtr> campaign_job(const Campaign& campaign, std::span<const std::string> columns) const;
  Result<void> set_schedule(const Schedule& schedule, std::span<const std::string> columns, engine::Job& job) const;
  Result<void> set_zone(engine::Job& job) const;
  Result<engine::JobPtr> message_job(Message message, MessageId id) const;
  // All its rows are in the spool, and it says so: let them go.
  void release(const engine::JobPtr& job);
  Result<engine::JobPtr> begin_import(
      engine::JobPtr job);  // A new job, or the one of that id whose import was interrupted.
  Result<void> keep_complete(engine::Job& job);
  Result<void> keep_control(const engine::Job& job, bool paused, bool cancelled, const std::string& pool);
  std::shared_ptr<const std::string> load_message(const engine::Job& job) const;
  Result<void> check_intake() const;
  engine::ImportChecks import_checks(const engine::Job& job) const;
  void settle_suppressed(engine::Job& job, const std::vector<engine::SuppressedRow>& rows);
  std::uint64_t memory_used() const;

  // A row of the queue, and whose it is.
  struct Listed {
    spool::ListedRow row;
    engine::JobPtr job;
    std::string provider;
  };
  bool fits(const QueueFilter& filter, const engine::Job& job) const;
  Result<void> check_filter(const QueueFilter& filter, const spool::ListCursor& cursor = {}) const;
  engine::JobPtr next_job(const QueueFilter& filter, spool::JobNumber& from, bool& more) const;
  bool list_rows(const QueueFilter& filter, spool::ListCursor& cursor, std::size_t max, std::vector<Listed>& out) const;
  bool list_jobs(const QueueFilter& filter, spool::ListQuery query, spool::ListCursor& cursor, std::size_t max,
                 std::vector<spool::ListedRow>& out) const;
  void ask_provider(spool::DomainNumber number) const;
  using Visit = std::function<void(const engine::Job&, spool::DomainNumber, const spool::Counts&)>;
  void count_rows(const QueueFilter& filter, bool by_domain, const Visit& visit) const;
  std::vector<spool::DomainNumber> unknown_domains(const QueueFilter& filter) const;
  std::uint64_t left_unknown(const QueueFilter& filter) const;
  std::uint64_t leave_unreadable(std::vector<Listed>& rows) const;  // Takes them out; how many.
  Result<bool> withdraw(const QueueFilter& filter, std::uint32_t states, spool::State to, EventKind kind,
                        std::string_view reason, spool::ListCursor& cursor, QueueChange& change);
  void end_if_settled(const engine::JobPtr& message);
  Result<bool> move_job(const engine::JobPtr& job, const std::string& pool);

  // core_recovery.cc: what the process before left in the spool.
  Result<void> recover();
  void place(engine::Job& job, const std::string& moved_to);
  engine::JobPtr recover(const spool::Spool::StoredJob& stored);
  Result<void> recover_unsettled();
  engine::JobPtr find(std::string_view id) const;  // Null: none.
  engine::JobPtr find(spool::JobNumber number) const;
  engine::JobPtr find_campaign(std::uint64_t token_number) const;
  void add(const engine::JobPtr& job);
  void remove(const engine::JobPtr& job);
  void route(engine::FeedPtr feed);
  void deliver(engine::FeedPtr feed, smtp::Route route);
  // Later, on the loop of each; none waits.
  template <class Do>
  void each_worker(Do run) const {
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      runtime().loop(static_cast<int>(i)).post([worker = workers_[i].get(), run] { run(*worker); });
    }
  }
  void wake_workers(const engine::JobPtr& job);
  // Runs on the worker's thread, and waits for it. False: the engine is stopping, it never ran.
  void collect_tls_reports(const std::function<void(smtp::TlsReports)>& done);
  static Error stopping();
  bool on_a_loop() const;  // Who is on one cannot wait for another, from a LogSink say: two might wait for each other for ever.
  bool on_worker(int index, const std::function<void(engine::Worker&)>& task) const;
  void learn_late(const engine::JobPtr& job, const engine::Inbound::Late& late);
  void plan_finish(const engine::Job& job, std::uint64_t open, CampaignStatus& status) const;
  void committed(TimePoint earliest_due, const std::vector<engine::JobPtr>& messages);

  std::atomic<bool> stopping_{false};
  std::atomic<bool> withdrawn_{false};
  mutable engine::KnownProviders known_providers_;  // What is looked up for a question is known from then on.
  mutable engine::ProviderLookups lookups_{[this](spool::DomainNumber domain) { ask_provider(domain); }};
  engine::ErasedAddresses erased_;
  std::deque<std::atomic<bool>> draining_;  // As options_.egress.
  std::shared_ptr<std::atomic<std::uint64_t>> due_at_hand_ = std::make_shared<std::atomic<std::uint64_t>>(0);
  std::shared_ptr<std::atomic<std::uint64_t>> message_bytes_ = std::make_shared<std::atomic<std::uint64_t>>(0);
  mutable std::atomic<std::uint64_t> memory_used_{0};
  mutable std::atomic<std::int64_t> memory_asked_{0};  // When, by the steady clock.
  EngineOptions options_;
  engine::Maker maker_;
  engine::EventDispatcher events_;
  engine::Inbound inbound_;
  std::shared_ptr<engine::Traces> traces_ = std::make_shared<engine::Traces>();
  engine::Shared shared_;
  std::vector<std::unique_ptr<engine::Worker>> workers_;
  std::unique_ptr<engine::TlsReporting> tls_reporting_;  // Null: it is the caller's.

  std::mutex control_mutex_;                       // A job's flags change together with what is kept of them.
  bool curves_ = false;                            // Some egress IP has one.
  mutable std::mutex finish_mutex_;
  std::shared_ptr<const warming::Settings> settings_;  // As of the last change().
  struct Finish {
    TimePoint asked{};
    std::optional<TimePoint> finish{};
    std::string bound;
  };
  mutable std::map<std::string, Finish, std::less<>> finishes_;  // Of jobs that were asked about lately.

  std::mutex tls_mutex_;
  TimePoint tls_reported_;                         // Until when take_tls_reports() has reported.

  mutable std::mutex mutex_;                       // The jobs and the ids' randomness.
  std::map<std::string, engine::JobPtr, std::less<>> jobs_;
  std::map<spool::JobNumber, engine::JobPtr> jobs_by_number_;
  std::unordered_map<std::uint64_t, engine::JobPtr> campaigns_by_token_;  // By token_number().
  std::map<std::string, engine::JobPtr, std::less<>> interrupted_;        // Whose import is to be resumed.
  std::set<std::string, std::less<>> pool_names_;                         // Jobs point at them.
  std::shared_ptr<const engine::ZoneBook> zones_;
  mutable Random random_;
};

}  // namespace mailsbuddy
