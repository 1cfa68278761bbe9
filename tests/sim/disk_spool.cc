#include "tests/sim/disk_spool.h"

#include <deque>
#include <stdexcept>
#include <utility>

#include "tests/spool/scratch.h"

namespace mailsbuddy::sim {
namespace {

using namespace spool;

class DiskSpool final : public Spool {
 public:
  DiskSpool(SimLoop& loop, StoreSettings settings, const std::string& directory) : loop_(loop) {
    settings.pages_after = 100;
    settings.merge_after = 50;
    auto opened =
        open_rocks_spool({.directory = directory.empty() ? scratch_.path() : directory,
                          .durability = settings.env == nullptr ? Durability::kProcessCrash : Durability::kPowerLoss,
                          .reserve_bytes = 0},
                         std::move(settings));
    if (!opened) throw std::runtime_error(opened.error().detail);
    disk_ = *std::move(opened);
  }

  // Waits for the disk, so that nothing depends on how fast the writer's thread is. A disk that refuses is waited for
  // on the world's clock.
  void commit(Batch batch, Task durable) override {
    disk_->commit(std::move(batch), nullptr);
    static_cast<void>(disk_->sync());
    waiting_->push_back(std::move(durable));
    look_later();
  }

  Result<JobNumber> create(JobRecord record) override { return disk_->create(std::move(record)); }
  Result<JobNumber> create(JobRecord record, std::span<const RowInput> rows, std::vector<Snapshot> snapshots) override {
    return disk_->create(std::move(record), rows, std::move(snapshots));
  }
  Result<void> set_control(JobNumber job, std::string control) override {
    return disk_->set_control(job, std::move(control));
  }
  std::vector<StoredJob> jobs() const override { return disk_->jobs(); }
  Result<void> visit_jobs(const std::function<bool(const StoredJob&)>& visit) const override {
    return disk_->visit_jobs(visit);
  }
  std::optional<JobRecord> job(JobNumber number) const override { return disk_->job(number); }
  std::vector<bool> withdraw(std::vector<Settlement> settlements) override {
    return disk_->withdraw(std::move(settlements));
  }
  std::size_t make_due(std::span<const RowKey> rows, TimePoint due) override { return disk_->make_due(rows, due); }
  std::optional<State> state(const RowKey& key) const override { return disk_->state(key); }
  std::optional<State> look(const RowKey& key) override { return disk_->look(key); }
  Result<std::uint64_t> rewrite_events(const std::function<bool(std::string& event)>& rewrite) override {
    return disk_->rewrite_events(rewrite);
  }
  Result<std::vector<RowKey>> append(JobNumber job, std::span<const RowInput> rows) override {
    return disk_->append(job, rows);
  }
  void erase(JobNumber job) override { disk_->erase(job); }
  std::vector<DomainRows> domains(JobNumber job) const override { return disk_->domains(job); }
  bool read(JobNumber job, DomainNumber domain, Cursor& cursor, std::size_t max, std::vector<Row>& out) override {
    return disk_->read(job, domain, cursor, max, out);
  }
  void take_due(TimePoint now, std::size_t max, std::vector<Row>& out) override { disk_->take_due(now, max, out); }
  TimePoint next_due() const override { return disk_->next_due(); }
  void take_waiting(JobNumber job, std::size_t max, std::vector<Row>& out) override {
    disk_->take_waiting(job, max, out);
  }
  void hand_out_anew() override { disk_->hand_out_anew(); }
  Result<void> take_unsettled(std::size_t max, std::vector<Row>& out) override {
    return disk_->take_unsettled(max, out);
  }
  Result<void> sync() override { return disk_->sync(); }
  void close() override { disk_->close(); }
  Pressure pressure() const override { return disk_->pressure(); }
  std::vector<Defect> defects() const override { return disk_->defects(); }
  Counts counts(JobNumber job) const override { return disk_->counts(job); }
  NoteCounts note_counts(JobNumber job) const override { return disk_->note_counts(job); }
  std::optional<RowRecord> row(const RowKey& key) const override { return disk_->row(key); }
  std::uint64_t open_rows() const override { return disk_->open_rows(); }
  std::string domain_name(DomainNumber domain) const override { return disk_->domain_name(domain); }
  Result<void> visit_open(
      JobNumber job,
      const std::function<bool(std::string_view, std::string_view, std::string_view, State)>& visit) const override {
    return disk_->visit_open(job, visit);
  }
  bool list(const ListQuery& query, ListCursor& cursor, std::size_t max, std::vector<ListedRow>& out) const override {
    return disk_->list(query, cursor, max, out);
  }
  bool count(JobNumber job, std::optional<std::string_view> domain, ListCursor& cursor,
             std::vector<DomainCounts>& out) const override {
    return disk_->count(job, domain, cursor, out);
  }
  std::vector<std::string> peek_events(std::uint64_t skip, std::size_t max) const override {
    return disk_->peek_events(skip, max);
  }
  void remove_events(std::size_t count) override { disk_->remove_events(count); }
  std::uint64_t event_count() const override { return disk_->event_count(); }
  std::optional<std::string> snapshot(std::string_view name) const override { return disk_->snapshot(name); }
  std::optional<std::string> next_snapshot(std::string_view after) const override {
    return disk_->next_snapshot(after);
  }
  Result<void> suppress(NewSuppression suppression) override { return disk_->suppress(std::move(suppression)); }
  std::optional<Suppression> suppressed(std::string_view account, std::string_view address) const override {
    return disk_->suppressed(account, address);
  }
  Result<bool> unsuppress(std::string_view account, std::string_view address) override {
    return disk_->unsuppress(account, address);
  }
  Result<std::uint64_t> import_suppressions(const std::function<std::optional<NewSuppression>()>& next) override {
    return disk_->import_suppressions(next);
  }
  Result<void> visit_suppressions(const std::function<bool(const NewSuppression&)>& visit) const override {
    return disk_->visit_suppressions(visit);
  }
  Result<bool> list_suppressions(std::string& cursor, std::size_t max,
                                 std::vector<NewSuppression>& out) const override {
    return disk_->list_suppressions(cursor, max, out);
  }
  Result<AddressErased> erase_address(const AddressErasure& erasure) override { return disk_->erase_address(erasure); }
  Result<void> scrub() override { return disk_->scrub(); }
  bool any_tally() const noexcept override { return disk_->any_tally(); }
  std::uint64_t tally(std::string_view account, std::string_view address) const override {
    return disk_->tally(account, address);
  }

 private:
  using Tasks = std::deque<Task>;

  void look_later(Duration time = kDiskTakes) {
    if (looking_) return;
    looking_ = true;
    loop_.after(time, [this, alive = std::weak_ptr<Tasks>(waiting_)] {
      if (!alive.expired()) look();
    });
  }

  void look() {
    looking_ = false;
    if (!disk_->sync()) return look_later(std::chrono::seconds(1));
    const std::shared_ptr<Tasks> keep = waiting_;  // The last task may let go of this spool.
    Tasks tasks = std::exchange(*waiting_, {});
    for (Task& task : tasks) {
      if (task) task();
    }
  }

  SimLoop& loop_;
  Scratch scratch_;
  std::unique_ptr<Spool> disk_;
  std::shared_ptr<Tasks> waiting_ = std::make_shared<Tasks>();
  bool looking_ = false;
};

}  // namespace

std::shared_ptr<Spool> make_disk_spool(SimLoop& loop, StoreSettings settings, const std::string& directory) {
  return std::make_shared<DiskSpool>(loop, std::move(settings), directory);
}

}  // namespace mailsbuddy::sim
