// rocks_spool.h - the durable spool. Its parts by file: rocks_open.cc brings back what was there; rocks_jobs.cc takes
// jobs and rows; rocks_commit.cc settles, and has the thread that writes; rocks_read.cc hands rows out; rocks_list.cc
// lists; rocks_suppression.cc suppression and tallies; rocks_erase.cc forgets.
//
// How it writes. A commit() changes the ledger and what else is in memory, and adds to `open_`, the group that is
// written next; both under one lock, so that memory is always what is on disk, plus the group under way, plus `open_`.
// The writer takes the group, and with it the rows of waiting append()s, writes them, syncs the log once for all, and
// runs the tasks. When many rows have changed, it adds their pages to the group it takes, at the moment when memory and
// disk-plus-group agree.
//
// Threads: all. `mutex_` guards memory; no disk is read under it on the usual paths.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <unordered_map>
#include <vector>

#include "mailsbuddy/spool.h"
#include "spool/changes.h"
#include "spool/due_window.h"
#include "spool/ledger.h"
#include "spool/names.h"
#include "spool/snapshots.h"
#include "spool/store.h"
#include "spool/suppressions.h"
#include "spool/tallies.h"

namespace mailsbuddy::spool {

class RocksSpool final : public Spool {
 public:
  static Result<std::unique_ptr<RocksSpool>> open(RocksSpoolOptions options, const StoreSettings& settings);
  ~RocksSpool() override;

  using Spool::create;
  Result<JobNumber> create(JobRecord record) override { return create(std::move(record), {}, {}); }
  Result<JobNumber> create(JobRecord record, std::span<const RowInput> rows, std::vector<Snapshot> snapshots) override;
  Result<void> set_control(JobNumber job, std::string control) override;
  std::vector<StoredJob> jobs() const override;
  Result<void> visit_jobs(const std::function<bool(const StoredJob&)>& visit) const override;
  std::optional<JobRecord> job(JobNumber number) const override;
  Result<std::vector<RowKey>> append(JobNumber job, std::span<const RowInput> rows) override;
  void erase(JobNumber job) override;
  std::vector<DomainRows> domains(JobNumber job) const override;
  bool read(JobNumber job, DomainNumber domain, Cursor& cursor, std::size_t max, std::vector<Row>& out) override;
  void take_due(TimePoint now, std::size_t max, std::vector<Row>& out) override;
  TimePoint next_due() const override;
  void take_waiting(JobNumber job, std::size_t max, std::vector<Row>& out) override;
  void hand_out_anew() override;
  std::vector<bool> withdraw(std::vector<Settlement> settlements) override;
  std::size_t make_due(std::span<const RowKey> rows, TimePoint due) override;
  std::optional<State> state(const RowKey& key) const override;
  std::optional<State> look(const RowKey& key) override;
  Result<void> take_unsettled(std::size_t max, std::vector<Row>& out) override;
  void commit(Batch batch, Task durable) override;
  Result<void> sync() override;
  void close() override;
  Pressure pressure() const override;
  std::vector<Defect> defects() const override;
  Counts counts(JobNumber job) const override;
  NoteCounts note_counts(JobNumber job) const override;
  std::optional<RowRecord> row(const RowKey& key) const override;
  std::uint64_t open_rows() const override;
  std::string domain_name(DomainNumber domain) const override;
  Result<void> visit_open(
      JobNumber job,
      const std::function<bool(std::string_view, std::string_view, std::string_view, State)>& visit) const override;
  bool list(const ListQuery& query, ListCursor& cursor, std::size_t max, std::vector<ListedRow>& out) const override;
  bool count(JobNumber job, std::optional<std::string_view> domain, ListCursor& cursor,
             std::vector<DomainCounts>& out) const override;
  std::vector<std::string> peek_events(std::uint64_t skip, std::size_t max) const override;
  void remove_events(std::size_t count) override;
  std::uint64_t event_count() const override;
  std::optional<std::string> snapshot(std::string_view name) const override;
  std::optional<std::string> next_snapshot(std::string_view after) const override;
  Result<void> suppress(NewSuppression suppression) override;
  std::optional<Suppression> suppressed(std::string_view account, std::string_view address) const override;
  Result<bool> unsuppress(std::string_view account, std::string_view address) override;
  Result<std::uint64_t> import_suppressions(const std::function<std::optional<NewSuppression>()>& next) override;
  Result<void> visit_suppressions(const std::function<bool(const NewSuppression&)>& visit) const override;
  Result<bool> list_suppressions(std::string& cursor, std::size_t max, std::vector<NewSuppression>& out) const override;
  bool any_tally() const noexcept override { return any_tally_.load(std::memory_order_relaxed); }
  std::uint64_t tally(std::string_view account, std::string_view address) const override;
  Result<std::uint64_t> rewrite_events(const std::function<bool(std::string&)>& rewrite) override;
  Result<AddressErased> erase_address(const AddressErasure& erasure) override;
  Result<void> scrub() override;

 private:
  // Somebody who waits for a write. Guarded by mutex_.
  struct Waiter {
    bool done = false;
    Result<void> result{};
  };
  struct Op : Waiter {  // An append(): refused when its write is, unlike a group.
    Changes changes;
  };
  struct Group {
    Changes changes;
    std::string journal;
    std::string events;  // Each behind its length.
    std::uint64_t event_count = 0;
    std::vector<std::pair<RowKey, std::int64_t>> waiting;  // Due dates that become part of the index.
    std::vector<SuppressionHash> suppressions;
    std::vector<Task> tasks;
    std::vector<std::shared_ptr<Waiter>> waiters;
    std::uint64_t batches = 0;
    bool must_sync = false;
    bool empty() const noexcept {
      return changes.empty() && journal.empty() && event_count == 0 && tasks.empty() && waiters.empty();
    }
  };
  using Lock = std::unique_lock<std::mutex>;

  struct RowText {
    Found found = Found::kNo;
    std::string local;
    std::string fields;
    std::string reason{};
  };
  struct Grouped {  // Rows of an append, by domain.
    struct Part {
      DomainNumber domain = 0;
      std::uint32_t first_row = 0;
      std::uint32_t rows = 0;
    };
    std::vector<Part> parts;
    std::vector<std::uint32_t> inputs;  // Part after part: their places in what was given.
  };

  RocksSpool(std::unique_ptr<Store> store, RocksSpoolOptions options, const StoreSettings& settings, SipKey hash_key);

  // Opening.
  Result<void> load();
  Result<void> load_meta();
  Result<void> check_suppression_key();  // With another one, hashed suppressions are not found.
  Result<void> load_small();
  Result<void> load_jobs();
  void load_job_part(JobNumber number, std::string_view key, std::string_view value);
  Result<void> load_journal();
  Result<void> load_outbox();

  // Jobs.
  std::optional<Error> refuses_rows() const;
  static std::vector<RowKey> keys_of(JobNumber job, const Grouped& grouped);
  Grouped by_domain(const JobLedger& job, std::span<const RowInput> rows);
  static std::string put_rows(Changes& changes, JobNumber number, std::span<const RowInput> rows,
                              const Grouped& grouped);
  void put_new_names(Changes& changes) const;
  void merge_extents(JobNumber number, JobLedger& job);
  Result<void> write(Lock& lock, Op& op);
  void erase_stored(JobNumber number, const JobLedger* job, Changes& changes) const;
  std::optional<StoredJob> stored_job(JobNumber number, std::string& unreadable) const;

  // Committing.
  void settle(Settlement& settlement);
  void settle_by_caller(Settlement& settlement);
  bool hold(Settlement& settlement, const DomainLedger& domain);
  void read_ahead(std::span<const RowKey> rows) const;
  std::size_t make_some_due(std::span<const RowKey> rows, TimePoint due);
  void claim(const RowKey& key);
  void put_waiting(const RowKey& key, const Waiting& waiting, Group& group);
  std::optional<Waiting> waiting_of(const RowKey& key, const DomainLedger& domain) const;
  std::optional<Waiting> stored_waiting(const RowKey& key) const;
  std::vector<std::optional<Waiting>> waiting_of_all(const std::vector<ListedRow>& rows) const;
  void add_event(std::string_view event);
  static void put_snapshot(Changes& changes, const Snapshot& snapshot);
  void add_suppression(const NewSuppression& added);
  void remove_suppression(const AddressHash& hash);
  AccountAddress suppression_name(const AccountAddress& who) const;
  std::optional<Suppression> stored_suppression(std::string_view account, std::string_view address) const;
  void set_tally(const Tally& tally);
  void sweep_tallies(TimePoint as_of);
  Result<void> wait_for_group(Lock& lock);

  // Writing.
  void run();
  void finish(Group& group);
  Result<void> try_write(const std::vector<Op*>& ops, const Group& group);
  bool write_until_done(std::vector<Op*>& ops, Group& group);
  void refuse(std::vector<Op*>& ops, Group& group, const Error& error);
  void leave();
  void written(std::vector<Op*>& ops, Group& group, bool durable);

  // Forgetting.
  Result<bool> erase_rows(JobNumber job, DomainNumber domain, const AddressErasure& erasure, AddressErased& erased);
  void erase_row(const RowKey& key, AddressErased& erased);
  Result<void> erase_in_job(JobNumber job, const AddressErasure& erasure, AddressErased& erased);
  std::uint64_t rewrite_outbox(const std::function<bool(std::string&)>& rewrite);
  void erase_suppressions(const std::string& address, AddressErased& erased);
  Result<void> rewrite_files();

  // Reading.
  std::vector<RowText> fetch(std::span<const RowKey> rows) const;
  std::size_t hand_out(std::vector<Row> rows, std::vector<Row>& out);
  void add_tried(Row& row, const DomainLedger& domain);
  bool is_given_back(const RowKey& key, const DomainLedger& domain) const;
  void set_aside(const RowKey& key, const std::string& reason);
  void report(Defect defect) const;
  std::vector<Row> claimed_rows(std::size_t max);
  void put_back(const RowKey& key);
  void report_lost_events(std::uint64_t from, std::uint64_t to) const;
  static std::optional<std::uint64_t> pass_over_events(Store::Scan& scan, std::uint64_t lost, std::uint64_t durable);
  bool load_due();
  void restore_due(const keys::Due& from, const keys::Due& to);
  std::optional<keys::Due> earliest_due();
  void erase_due(const keys::Due& due) { open_.changes.erase(Family::kQueue, keys::due(due)); }

  std::unique_ptr<Store> store_;
  RocksSpoolOptions options_;
  SipKey hash_key_;
  bool power_loss_;
  std::size_t pages_after_;
  std::size_t merge_after_;

  mutable std::mutex mutex_;
  Ledger ledger_;
  std::unordered_map<std::string, JobNumber> ids_;
  JobNumber last_job_ = 0;
  Names names_;
  std::uint32_t names_saved_ = 0;  // Those before it are on disk.
  DueWindow due_;
  std::set<RowKey> unsettled_;  // Handed out by take_unsettled(), and not settled since.
  Snapshots snapshots_;
  Tallies tallies_;
  TimePoint next_sweep_{};  // When tallies to be forgotten are looked for.
  std::atomic<bool> any_tally_{false};
  std::condition_variable append_done_;

  std::uint64_t journal_from_ = 0;  // Records before it are in pages.
  std::uint64_t journal_next_ = 0;
  std::uint64_t outbox_head_ = 0;  // Numbers of events.
  mutable std::uint64_t outbox_lost_ = 0;  // Before it all that cannot be read are reported.
  std::uint64_t outbox_durable_ = 0;
  std::uint64_t outbox_tail_ = 0;

  mutable PendingSuppressions pending_suppressions_;
  std::atomic<std::uint8_t> suppression_kinds_{0};
  bool suppression_key_stored_ = false;  // What tells it from another one.

  Group open_;
  std::vector<Op*> ops_;
  Changes undo_;  // Of refused appends, which may be in the log all the same. The writer's.
  std::uint64_t waiting_batches_ = 0;
  std::condition_variable work_;  // The writer waits.
  std::condition_variable done_;  // Others wait for it.
  std::optional<Error> refused_;  // The disk's last word, while it does not take writes.
  bool stopping_ = false;
  bool stopped_ = false;
  mutable std::mutex defects_mutex_;  // Taken last.
  mutable std::vector<Defect> defects_;
  std::mutex rewrite_mutex_;  // One erase_address() or scrub() at a time.
  std::thread writer_;
};

}  // namespace mailsbuddy::spool
