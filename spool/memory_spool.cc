#include <algorithm>
#include <atomic>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>

#include "core/base/ascii.h"
#include "mailsbuddy/spool.h"
#include "spool/due_window.h"
#include "spool/memory_rows.h"
#include "spool/memory_suppressions.h"
#include "spool/snapshots.h"
#include "spool/suppressions.h"

namespace mailsbuddy::spool {
namespace {

using memory::Chunk;
using memory::DomainStore;
using memory::get_string;
using memory::known;
using memory::Walk;

constexpr std::size_t kExportRows = 1024;                 // Of a page, so that others have their turn.
constexpr Duration kSweepEvery = std::chrono::hours(24);  // Passes over all tallies to drop the old ones.

struct Job {
  JobRecord record;
  std::unordered_map<DomainNumber, DomainStore> domains;
  Counts counts{};
  NoteCounts notes{};
};

struct DueRow {
  RowKey key;
  std::uint64_t position = 0;
  std::uint16_t attempts = 0;
  std::uint8_t mark = 0;
};

struct KeptTally {
  std::uint64_t value = 0;
  TimePoint forget{};
};

class MemorySpool final : public Spool {
 public:
  explicit MemorySpool(SuppressionKey key) : suppression_key_(std::move(key)) {}

  Result<JobNumber> create(JobRecord record) override {
    const std::lock_guard lock(mutex_);
    const JobNumber number = last_job_ + 1;
    if (!ids_.try_emplace(record.id, number).second) {
      return Error{ErrorCode::kAlreadyExists, "job '" + record.id + "' exists"};
    }
    last_job_ = number;
    jobs_[number].record = std::move(record);
    return number;
  }

  using Spool::create;
  Result<JobNumber> create(JobRecord record, std::span<const RowInput> rows, std::vector<Snapshot> snapshots) override {
    auto number = create(std::move(record));
    if (!number) return number;
    if (auto appended = append(*number, rows); !appended) return std::move(appended).error();
    const std::lock_guard lock(mutex_);
    for (Snapshot& each : snapshots) snapshots_.set(std::move(each));
    return number;
  }

  Result<void> set_control(JobNumber number, std::string control) override {
    const std::lock_guard lock(mutex_);
    Job* job = find(number);
    if (job == nullptr) return no_such_job(number);
    job->record.control = std::move(control);
    return {};
  }

  std::vector<StoredJob> jobs() const override {
    const std::lock_guard lock(mutex_);
    std::vector<StoredJob> out;
    out.reserve(jobs_.size());
    for (const auto& [number, job] : jobs_) out.push_back({number, job.record});
    std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.number < b.number; });
    return out;
  }

  Result<void> visit_jobs(const std::function<bool(const StoredJob&)>& visit) const override {
    for (const StoredJob& job : jobs()) {
      if (!visit(job)) break;
    }
    return {};
  }

  std::optional<JobRecord> job(JobNumber number) const override {
    const std::lock_guard lock(mutex_);
    const Job* job = find(number);
    if (job == nullptr) return std::nullopt;
    return job->record;
  }

  Result<std::vector<RowKey>> append(JobNumber number, std::span<const RowInput> rows) override {
    const std::lock_guard lock(mutex_);
    Job* job = find(number);
    if (job == nullptr) return no_such_job(number);
    std::vector<RowKey> keys;
    keys.reserve(rows.size());
    for (const RowInput& row : rows) {
      const DomainNumber domain = intern(row.domain);
      DomainStore& store = job->domains[domain];
      keys.push_back({number, domain, static_cast<std::uint32_t>(store.states.size())});
      store.append(row.local, row.fields);
    }
    count(*job, State::kQueued) += rows.size();
    open_rows_ += rows.size();
    return keys;
  }

  void erase(JobNumber number) override {
    const std::lock_guard lock(mutex_);
    const Job* job = find(number);
    if (job == nullptr) return;
    for (std::size_t state = 0; state < kStateCount; ++state) {
      if (is_open(static_cast<State>(state))) open_rows_ -= job->counts[state];
    }
    if (job->counts[static_cast<std::size_t>(State::kDeferred)] + job->counts[static_cast<std::size_t>(State::kHeld)] >
        0) {
      std::erase_if(due_, [number](const auto& entry) { return entry.second.key.job == number; });
      std::erase_if(waiting_, [number](const auto& entry) { return entry.first.job == number; });
    }
    std::erase_if(unsettled_, [number](const RowKey& key) { return key.job == number; });
    taken_.erase(taken_.lower_bound({number, 0, 0}), taken_.lower_bound({number + 1, 0, 0}));
    tried_.erase(tried_.lower_bound({number, 0, 0}), tried_.lower_bound({number + 1, 0, 0}));
    ids_.erase(job->record.id);
    jobs_.erase(number);
  }

  std::vector<DomainRows> domains(JobNumber number) const override {
    const std::lock_guard lock(mutex_);
    std::vector<DomainRows> out;
    if (const Job* job = find(number)) {
      out.reserve(job->domains.size());
      for (const auto& [domain, store] : job->domains) {
        const auto queued = std::count(store.states.begin(), store.states.end(), State::kQueued);
        out.push_back({domain, names_[domain], static_cast<std::uint32_t>(store.states.size()),
                       static_cast<std::uint32_t>(queued)});
      }
      std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.domain < b.domain; });
    }
    return out;
  }

  bool read(JobNumber number, DomainNumber domain, Cursor& cursor, std::size_t max, std::vector<Row>& out) override {
    const std::lock_guard lock(mutex_);
    Job* job = find(number);
    if (job == nullptr) return false;
    const auto found = job->domains.find(domain);
    if (found == job->domains.end()) return false;
    DomainStore& store = found->second;
    while (cursor.row < store.states.size() && max > 0) {
      if (store.skip_finished(cursor)) continue;
      const std::uint32_t row = cursor.row++;
      Row read;
      store.read_row(cursor.position, read);
      read.key = {number, domain, row};
      if (store.states[row] != State::kQueued || taken_.contains(read.key)) continue;
      if (const auto tried = tried_.find(read.key); tried != tried_.end()) {
        read.attempts = tried->second.attempts;
        read.mark = tried->second.mark;
        taken_.insert_or_assign(read.key, std::pair(TimePoint(), tried->second));
        tried_.erase(tried);
      }
      out.push_back(std::move(read));
      --max;
    }
    store.read_to = std::max(store.read_to, cursor.row);
    return cursor.row < store.states.size();
  }

  void take_due(TimePoint now, std::size_t max, std::vector<Row>& out) override {
    const std::lock_guard lock(mutex_);
    while (!due_.empty() && due_.begin()->first <= now && max-- > 0) {
      take(due_.begin(), out);
    }
  }

  void take_waiting(JobNumber number, std::size_t max, std::vector<Row>& out) override {
    const std::lock_guard lock(mutex_);
    for (auto entry = due_.begin(); entry != due_.end() && max > 0;) {
      if (entry->second.key.job != number) {
        ++entry;
        continue;
      }
      entry = take(entry, out);
      --max;
    }
  }

  void hand_out_anew() override {
    const std::lock_guard lock(mutex_);
    unsettled_.clear();
    for (const auto& [key, entry] : taken_) {
      const Job* job = find(key.job);
      if (job == nullptr) continue;
      const State state = job->domains.at(key.domain).states[key.row];
      if (state == State::kDeferred || state == State::kHeld) wait(entry.first, entry.second);
      if (state == State::kQueued || state == State::kClaimed) tried_.insert_or_assign(key, entry.second);
    }
    taken_.clear();
    for (auto& [number, job] : jobs_) {
      for (auto& [domain, store] : job.domains) store.read_to = 0;
    }
  }

  std::vector<bool> withdraw(std::vector<Settlement> settlements) override {
    const std::lock_guard lock(mutex_);
    std::vector<bool> done(settlements.size());
    const DomainStore* walked = nullptr;
    Walk walk;
    for (std::size_t i = 0; i < settlements.size(); ++i) {
      Settlement& each = settlements[i];
      const DomainStore* store = find_row(each.key);
      if (store == nullptr || store->states[each.key.row] == State::kClaimed || is_final(store->states[each.key.row]))
        continue;
      if (each.state != State::kHeld) {
        each.position = store->chunk_of(each.key.row) << 32;
        settle(each);
      } else {
        if (store != std::exchange(walked, store)) walk = {};
        if (!hold(each, *store, walk)) continue;
      }
      done[i] = true;
    }
    return done;
  }

  std::size_t make_due(std::span<const RowKey> rows, TimePoint due) override {
    const std::lock_guard lock(mutex_);
    std::size_t made = 0;
    for (const RowKey& key : rows) {
      const auto found = waiting_.find(key);
      if (found == waiting_.end() && is_held(key) && taken_.contains(key)) {
        move(key, State::kQueued);
        ++made;
      }
      if (found == waiting_.end() || found->second->first <= due) continue;
      const DueRow row = found->second->second;
      due_.erase(found->second);
      move(key, State::kDeferred);
      wait(due, row);
      ++made;
    }
    return made;
  }

  std::optional<State> state(const RowKey& key) const override {
    const std::lock_guard lock(mutex_);
    const DomainStore* store = find_row(key);
    if (store == nullptr) return std::nullopt;
    return store->states[key.row];
  }

  std::optional<State> look(const RowKey& key) override {
    const std::lock_guard lock(mutex_);
    const DomainStore* store = find_row(key);
    if (store == nullptr) return std::nullopt;
    if (store->states[key.row] == State::kHeld) let_go(key);
    return store->states[key.row];
  }

  Result<void> take_unsettled(std::size_t max, std::vector<Row>& out) override {
    const std::lock_guard lock(mutex_);
    const std::size_t limit = out.size() + max;
    for (auto& [number, job] : jobs_) {
      if (count(job, State::kClaimed) == 0) continue;
      for (const auto& [domain, store] : job.domains) take_claimed({number, domain}, store, limit, out);
    }
    return {};
  }

  TimePoint next_due() const override {
    const std::lock_guard lock(mutex_);
    return due_.empty() ? TimePoint::max() : due_.begin()->first;
  }

  void commit(Batch batch, Task durable) override {
    {
      const std::lock_guard lock(mutex_);
      for (Settlement& settlement : batch.settlements) {
        if (!is_held(settlement.key) || is_final(settlement.state))
          settle(settlement);
        else if (settlement.state != State::kQueued)
          let_go(settlement.key);
      }
      for (const RowKey& key : batch.claims) {
        if (!is_held(key)) move(key, State::kClaimed);
      }
      for (Note& each : batch.notes) note(each);
      for (NewSuppression& each : batch.suppressions) add_suppression(each);
      for (const Tally& each : batch.tallies) set_tally(each);
      for (Snapshot& each : batch.snapshots) snapshots_.set(std::move(each));
      for (std::string& event : batch.events) outbox_.push_back(std::move(event));
    }
    if (durable) durable();
  }

  Result<void> sync() override { return {}; }
  void close() override {}
  Pressure pressure() const override { return {}; }
  std::vector<Defect> defects() const override { return {}; }

  Counts counts(JobNumber number) const override {
    const std::lock_guard lock(mutex_);
    const Job* job = find(number);
    return job == nullptr ? Counts{} : job->counts;
  }

  NoteCounts note_counts(JobNumber number) const override {
    const std::lock_guard lock(mutex_);
    const Job* job = find(number);
    return job == nullptr ? NoteCounts{} : job->notes;
  }

  std::optional<RowRecord> row(const RowKey& key) const override {
    const std::lock_guard lock(mutex_);
    const Job* job = find(key.job);
    if (job == nullptr) return std::nullopt;
    const auto found = job->domains.find(key.domain);
    if (found == job->domains.end() || key.row >= found->second.states.size()) return std::nullopt;
    const DomainStore& store = found->second;
    Walk walk;
    return RowRecord{.local = std::string(store.local_of(key.row, walk)),
                     .domain = names_[key.domain],
                     .state = store.states[key.row],
                     .notes = key.row < store.notes.size() ? store.notes[key.row] : std::uint8_t{0}};
  }

  std::uint64_t open_rows() const override {
    const std::lock_guard lock(mutex_);
    return open_rows_;
  }

  std::string domain_name(DomainNumber domain) const override {
    const std::lock_guard lock(mutex_);
    return names_[domain];
  }

  Result<void> visit_open(
      JobNumber number,
      const std::function<bool(std::string_view, std::string_view, std::string_view, State)>& visit) const override {
    const std::lock_guard lock(mutex_);
    const Job* job = find(number);
    if (job == nullptr) return {};
    for (const auto& [domain, store] : job->domains) {
      for (const Chunk& chunk : store.chunks) {
        std::size_t at = 0;
        for (std::uint32_t row = 0; row < chunk.rows && chunk.open > 0; ++row) {
          const std::string_view local = known(get_string(chunk.bytes, at));
          const std::string_view fields = known(get_string(chunk.bytes, at));
          const State state = store.states[chunk.first_row + row];
          if (!is_final(state) && !visit(local, names_[domain], fields, state)) return {};
        }
      }
    }
    return {};
  }

  std::vector<std::string> peek_events(std::uint64_t skip, std::size_t max) const override {
    const std::lock_guard lock(mutex_);
    const std::size_t from = std::min<std::size_t>(skip, outbox_.size());
    const auto first = outbox_.begin() + static_cast<std::ptrdiff_t>(from);
    return {first, first + static_cast<std::ptrdiff_t>(std::min(max, outbox_.size() - from))};
  }

  void remove_events(std::size_t count) override {
    const std::lock_guard lock(mutex_);
    count = std::min(count, outbox_.size());
    outbox_.erase(outbox_.begin(), outbox_.begin() + static_cast<std::ptrdiff_t>(count));
  }

  std::uint64_t event_count() const override {
    const std::lock_guard lock(mutex_);
    return outbox_.size();
  }

  std::optional<std::string> snapshot(std::string_view name) const override {
    const std::lock_guard lock(mutex_);
    return snapshots_.find(name);
  }

  std::optional<std::string> next_snapshot(std::string_view after) const override {
    const std::lock_guard lock(mutex_);
    return snapshots_.next(after);
  }

  bool list(const ListQuery& query, ListCursor& cursor, std::size_t max, std::vector<ListedRow>& out) const override {
    const std::lock_guard lock(mutex_);
    std::vector<JobNumber> numbers;
    if (query.job) {
      if (*query.job >= cursor.job && find(*query.job) != nullptr) numbers.push_back(*query.job);
    } else {
      for (const auto& [number, job] : jobs_) {
        if (number >= cursor.job) numbers.push_back(number);
      }
      std::sort(numbers.begin(), numbers.end());
    }
    for (const JobNumber number : numbers) {
      if (number != cursor.job) cursor = {.job = number, .domain = 0, .row = 0};
      if (list_job(query, cursor, max, out)) return true;
    }
    return false;
  }

  // In memory there are no more than can be gone through at once.
  bool count(JobNumber number, std::optional<std::string_view> only, ListCursor&,
             std::vector<DomainCounts>& out) const override {
    const std::lock_guard lock(mutex_);
    const Job* job = find(number);
    if (job == nullptr) return false;
    const auto wanted = only ? numbers_.find(std::string(*only)) : numbers_.end();
    if (only && wanted == numbers_.end()) return false;
    for (const auto& [domain, store] : job->domains) {
      if (only && domain != wanted->second) continue;
      DomainCounts& counted = out.emplace_back();
      counted.domain = domain;
      for (const State state : store.states) ++counted.counts[static_cast<std::size_t>(state)];
    }
    return false;
  }

  Result<void> suppress(NewSuppression suppression) override {
    if (auto refused = refuses_hashed(suppression_key_, suppression.who)) return *std::move(refused);
    const std::lock_guard lock(mutex_);
    add_suppression(suppression);
    return {};
  }

  std::optional<Suppression> suppressed(std::string_view account, std::string_view address) const override {
    const std::lock_guard lock(mutex_);
    if (suppressed_.empty()) return std::nullopt;
    const std::string hashed = suppression_key_.empty() ? std::string() : hashed_address(suppression_key_, address);
    for (const std::string_view who : {account, kEveryAccount}) {
      for (const std::string_view form : {address, std::string_view(hashed)}) {
        const Suppression* found = form.empty() ? nullptr : suppressed_.find(address_key(who, form));
        if (found != nullptr) return *found;
      }
    }
    return std::nullopt;
  }

  Result<bool> unsuppress(std::string_view account, std::string_view address) override {
    const std::lock_guard lock(mutex_);
    const bool plain = suppressed_.erase(address_key(account, address));
    return suppressed_.erase(stored_key({std::string(account), std::string(address)})) || plain;
  }

  Result<std::uint64_t> import_suppressions(const std::function<std::optional<NewSuppression>()>& next) override {
    std::uint64_t count = 0;
    for (auto each = next(); each; each = next(), ++count) {
      if (auto refused = refuses_hashed(suppression_key_, each->who)) return *std::move(refused);
      const std::lock_guard lock(mutex_);
      add_suppression(*each);
    }
    return count;
  }

  Result<void> visit_suppressions(const std::function<bool(const NewSuppression&)>& visit) const override {
    std::string cursor;
    std::vector<NewSuppression> page;
    for (bool more = true; more; page.clear()) {
      more = list_suppressions(cursor, kExportRows, page).value();
      for (const NewSuppression& each : page) {
        if (!visit(each)) return {};
      }
    }
    return {};
  }

  // The cursor is the last key.
  Result<bool> list_suppressions(std::string& cursor, std::size_t max,
                                 std::vector<NewSuppression>& out) const override {
    const std::lock_guard lock(mutex_);
    return suppressed_.page(cursor, max, [&out](std::string_view key, const Suppression& suppression) {
      const std::size_t end = key.find('\0');
      out.push_back({{std::string(key.substr(0, end)), std::string(key.substr(end + 1))}, suppression});
    });
  }

  Result<std::uint64_t> rewrite_events(const std::function<bool(std::string&)>& rewrite) override {
    const std::lock_guard lock(mutex_);
    return static_cast<std::uint64_t>(std::count_if(outbox_.begin(), outbox_.end(), rewrite));
  }

  Result<AddressErased> erase_address(const AddressErasure& erasure) override {
    if (erasure.local.empty()) return Error{ErrorCode::kInvalidArgument, "erase_address: the local part is empty"};
    const std::lock_guard lock(mutex_);
    AddressErased erased;
    const auto domain = numbers_.find(erasure.domain);
    for (auto& [number, job] : jobs_) {
      if (domain == numbers_.end() || !erase_rows(number, job, domain->second, erasure.local, erased)) continue;
      StoredJob stored{number, job.record};
      if (!erasure.rewrite_job || !erasure.rewrite_job(stored.record)) continue;
      job.record.content = std::move(stored.record.content);
      job.record.control = std::move(stored.record.control);
      ++erased.jobs;
    }
    if (erasure.rewrite_event) {
      for (std::string& event : outbox_) erased.events += erasure.rewrite_event(event) ? 1 : 0;
    }
    const std::string address = ascii::to_lower(erasure.local) + '@' + erasure.domain;
    const auto is_of = [](std::string_view key, std::string_view form) {
      return key.substr(key.find('\0') + 1) == form;
    };
    if (erasure.suppressions) {
      const std::string hashed = suppression_key_.empty() ? address : hashed_address(suppression_key_, address);
      erased.suppressions =
          suppressed_.erase_if([&](std::string_view key) { return is_of(key, address) || is_of(key, hashed); });
    }
    if (erasure.tallies) {
      erased.tallies = std::erase_if(tallies_, [&](const auto& entry) { return is_of(entry.first, address); });
    }
    any_tally_.store(!tallies_.empty(), std::memory_order_relaxed);
    return erased;
  }

  Result<void> scrub() override { return {}; }

  bool any_tally() const noexcept override { return any_tally_.load(std::memory_order_relaxed); }

  std::uint64_t tally(std::string_view account, std::string_view address) const override {
    const std::lock_guard lock(mutex_);
    const auto found = tallies_.find(address_key(account, address));
    return found == tallies_.end() ? 0 : found->second.value;
  }

 private:
  static Error no_such_job(JobNumber number) { return Error{ErrorCode::kNotFound, "no job " + std::to_string(number)}; }

  static bool is_open(State state) noexcept { return !is_final(state) && state != State::kHeld; }

  static std::uint64_t& count(Job& job, State state) noexcept { return job.counts[static_cast<std::size_t>(state)]; }

  // An address holds no NUL, so the pair is told apart.
  static std::string address_key(std::string_view account, std::string_view address) {
    std::string key(account);
    key.push_back('\0');
    key += address;
    return key;
  }

  Job* find(JobNumber number) {
    const auto found = jobs_.find(number);
    return found == jobs_.end() ? nullptr : &found->second;
  }
  const Job* find(JobNumber number) const {
    const auto found = jobs_.find(number);
    return found == jobs_.end() ? nullptr : &found->second;
  }

  const DomainStore* find_row(const RowKey& key) const {
    const Job* job = find(key.job);
    if (job == nullptr) return nullptr;
    const auto found = job->domains.find(key.domain);
    return found == job->domains.end() || key.row >= found->second.states.size() ? nullptr : &found->second;
  }

  void wait(TimePoint due, const DueRow& row) { waiting_.insert_or_assign(row.key, due_.emplace(due, row)); }

  DomainNumber intern(std::string_view name) {
    const auto [entry, added] = numbers_.try_emplace(std::string(name), static_cast<DomainNumber>(names_.size()));
    if (added) names_.push_back(entry->first);
    return entry->second;
  }

  std::multimap<TimePoint, DueRow>::iterator take(std::multimap<TimePoint, DueRow>::iterator entry,
                                                  std::vector<Row>& out) {
    out.push_back(due_row(entry->second));
    taken_.insert_or_assign(entry->second.key, *entry);
    waiting_.erase(entry->second.key);
    return due_.erase(entry);
  }

  Row due_row(const DueRow& entry) const {
    Row row;
    std::uint64_t position = entry.position;
    jobs_.at(entry.key.job).domains.at(entry.key.domain).read_row(position, row);
    row.key = entry.key;
    row.attempts = entry.attempts;
    row.mark = entry.mark;
    return row;
  }

  void take_claimed(RowKey key, const DomainStore& store, std::size_t limit, std::vector<Row>& out) {
    Cursor cursor;
    while (cursor.row < store.states.size() && out.size() < limit) {
      if (store.skip_finished(cursor)) continue;
      key.row = cursor.row++;
      Row read;
      store.read_row(cursor.position, read);
      if (store.states[key.row] != State::kClaimed || !unsettled_.insert(key).second) continue;
      read.key = key;
      if (const auto tried = tried_.find(key); tried != tried_.end()) {
        read.attempts = tried->second.attempts;
        read.mark = tried->second.mark;
      }
      out.push_back(std::move(read));
    }
  }

  // Null when the job was erased meanwhile, or the row is final already: a second settlement changes nothing.
  DomainStore* move(const RowKey& key, State to) {
    Job* job = find(key.job);
    if (job == nullptr) return nullptr;
    DomainStore& store = job->domains.at(key.domain);
    State& state = store.states[key.row];
    if (is_final(state)) return nullptr;
    open_rows_ += std::uint64_t{is_open(to)} - std::uint64_t{is_open(state)};
    --count(*job, state);
    ++count(*job, to);
    state = to;
    return &store;
  }

  void settle(Settlement& settlement) {
    DomainStore* store = move(settlement.key, settlement.state);
    if (store == nullptr) return;
    if (!unsettled_.empty()) unsettled_.erase(settlement.key);
    if (const auto found = taken_.find(settlement.key); found != taken_.end()) {
      found->second.second.attempts = settlement.attempts;
      if (settlement.state != State::kQueued) taken_.erase(found);  // Given back: the caller has it.
    }
    if (const auto found = waiting_.find(settlement.key); found != waiting_.end()) {
      due_.erase(found->second);
      waiting_.erase(found);
    }
    if (!tried_.empty()) tried_.erase(settlement.key);
    if (settlement.state == State::kDeferred || settlement.state == State::kHeld) {
      const TimePoint due = settlement.state == State::kHeld ? TimePoint::max() : settlement.due;
      wait(due, DueRow{settlement.key, settlement.position, settlement.attempts, settlement.mark});
    }
    if (is_final(settlement.state)) store->finish(settlement.position);
    if (!settlement.event.empty()) outbox_.push_back(std::move(settlement.event));
  }

  bool is_held(const RowKey& key) const {
    const DomainStore* store = find_row(key);
    return store != nullptr && store->states[key.row] == State::kHeld;
  }

  // False: it is.
  bool hold(Settlement& settlement, const DomainStore& store, Walk& walk) {
    const RowKey& key = settlement.key;
    const State before = store.states[key.row];
    if (before == State::kHeld) return false;
    const auto taken = taken_.find(key);
    const auto waiting = waiting_.find(key);
    const auto tried = tried_.find(key);
    const bool handed_out = taken != taken_.end() || (before == State::kQueued && key.row < store.read_to);
    const DueRow known = taken != taken_.end()       ? taken->second.second
                         : waiting != waiting_.end() ? waiting->second->second
                         : tried != tried_.end()     ? tried->second
                                                     : DueRow{.key = key, .position = store.position_of(key.row, walk)};
    settlement.position = known.position;
    settlement.attempts = known.attempts;
    settlement.mark = known.mark;
    settle(settlement);
    if (!handed_out) return true;
    const auto held = waiting_.find(key);
    taken_.insert_or_assign(key, *held->second);
    due_.erase(held->second);
    waiting_.erase(held);
    return true;
  }

  // A held row: who was handed it has it no more.
  void let_go(const RowKey& key) {
    const auto taken = taken_.find(key);
    if (taken == taken_.end()) return;
    wait(TimePoint::max(), taken->second.second);
    taken_.erase(taken);
  }

  void note(Note& note) {
    Job* job = find(note.key.job);
    if (job == nullptr) return;
    const auto found = job->domains.find(note.key.domain);
    if (found == job->domains.end() || note.key.row >= found->second.states.size()) return;
    DomainStore& store = found->second;
    if (store.notes.size() <= note.key.row) store.notes.resize(store.states.size());
    std::uint8_t& notes = store.notes[note.key.row];
    const auto bit = static_cast<std::uint8_t>(1U << note.kind);
    if ((notes & bit) != 0) return;
    notes = static_cast<std::uint8_t>(notes | bit);
    ++job->notes[note.kind];
    if (!note.event.empty()) outbox_.push_back(std::move(note.event));
  }

  // As it is kept: hashed, if there is a key for it.
  std::string stored_key(const AccountAddress& who) const {
    if (suppression_key_.empty() || who.address.starts_with(kHashedPrefix))
      return address_key(who.account, who.address);
    return address_key(who.account, hashed_address(suppression_key_, who.address));
  }

  void add_suppression(const NewSuppression& added) {
    suppressed_.add(stored_key(added.who), added.suppression);
  }

  // One job's rows from the cursor on. True: `max` were found, and there may be more.
  bool list_job(const ListQuery& query, ListCursor& cursor, std::size_t& max, std::vector<ListedRow>& out) const {
    const auto& domains = jobs_.at(cursor.job).domains;
    std::vector<DomainNumber> numbers;
    for (const auto& [domain, store] : domains) {
      if (domain >= cursor.domain && (!query.domain || names_[domain] == *query.domain)) numbers.push_back(domain);
    }
    std::sort(numbers.begin(), numbers.end());
    for (const DomainNumber domain : numbers) {
      if (domain != cursor.domain) cursor = {.job = cursor.job, .domain = domain, .row = 0};
      const DomainStore& store = domains.at(domain);
      Walk walk;
      for (; cursor.row < store.states.size(); ++cursor.row) {
        if (max == 0) return true;
        const State state = store.states[cursor.row];
        if ((query.states >> static_cast<unsigned>(state) & 1U) == 0) continue;
        const std::string_view local = store.local_of(cursor.row, walk);
        if (query.local && !ascii::iequals(local, *query.local)) continue;
        ListedRow& row = out.emplace_back();
        row.key = {cursor.job, domain, cursor.row};
        row.local = local;
        row.domain = names_[domain];
        row.state = state;
        row.notes = cursor.row < store.notes.size() ? store.notes[cursor.row] : std::uint8_t{0};
        add_tried(row);
        --max;
      }
    }
    return false;
  }

  void add_tried(ListedRow& row) const {
    if (const auto known = tried_.find(row.key); known != tried_.end()) {
      row.attempts = known->second.attempts;
      return;
    }
    const auto waits = waiting_.find(row.key);
    const auto taken = waits == waiting_.end() ? taken_.find(row.key) : taken_.end();
    if (waits == waiting_.end() && taken == taken_.end()) return;
    const auto& [due, tried] =
        waits != waiting_.end() ? std::pair<TimePoint, DueRow>(*waits->second) : taken->second;
    row.attempts = tried.attempts;
    if (row.state == State::kDeferred) row.due = due;
  }

  // False: it had none of the local part.
  bool erase_rows(JobNumber number, Job& job, DomainNumber domain, std::string_view local, AddressErased& erased) {
    const auto found = job.domains.find(domain);
    if (found == job.domains.end()) return false;
    std::vector<std::uint32_t> rows;
    found->second.erase(local, [&rows](std::uint32_t row) { rows.push_back(row); });
    for (const std::uint32_t row : rows) {
      const State state = found->second.states[row];
      ++erased.rows;
      if (state == State::kClaimed) ++erased.claimed;
      if (is_final(state) || state == State::kClaimed) continue;
      ++erased.cancelled;
      const RowKey key{number, domain, row};
      Settlement cancelled{.key = key, .position = found->second.chunk_of(row) << 32, .state = State::kCancelled};
      settle(cancelled);
    }
    return !rows.empty();
  }

  void set_tally(const Tally& tally) {
    if (tally.as_of >= next_sweep_) {
      std::erase_if(tallies_, [&tally](const auto& entry) { return entry.second.forget <= tally.as_of; });
      next_sweep_ = tally.as_of + kSweepEvery;
    }
    const std::string key = address_key(tally.who.account, tally.who.address);
    if (tally.value == 0) {
      tallies_.erase(key);
    } else if (const auto found = tallies_.find(key); found != tallies_.end()) {
      found->second = {tally.value, tally.forget};
    } else if (tallies_.size() < kTalliesMax) {
      tallies_.emplace(key, KeptTally{tally.value, tally.forget});
    }
    any_tally_.store(!tallies_.empty(), std::memory_order_relaxed);
  }

  const SuppressionKey suppression_key_;
  mutable std::mutex mutex_;
  JobNumber last_job_ = 0;
  std::unordered_map<JobNumber, Job> jobs_;
  std::unordered_map<std::string, JobNumber> ids_;
  std::unordered_map<std::string, DomainNumber> numbers_;
  std::deque<std::string> names_;
  using Due = std::multimap<TimePoint, DueRow>;
  Due due_;
  std::unordered_map<RowKey, Due::iterator, RowKeyHash> waiting_;  // Each row of due_.
  std::deque<std::string> outbox_;
  memory::Suppressions<> suppressed_;
  std::unordered_map<std::string, KeptTally> tallies_;
  Snapshots snapshots_;
  TimePoint next_sweep_{};  // When those to be forgotten are looked for.
  std::atomic<bool> any_tally_{false};
  std::map<RowKey, std::pair<TimePoint, DueRow>> taken_;  // Of due_, and not settled since.
  std::map<RowKey, DueRow> tried_;                        // Queued or claimed, and tried; nobody has them.
  std::set<RowKey> unsettled_;                            // Handed out by take_unsettled().
  std::uint64_t open_rows_ = 0;
};

}  // namespace

std::string_view to_string(State state) noexcept {
  static constexpr std::string_view kNames[] = {"queued",  "claimed",    "deferred", "held",      "delivered",
                                                "bounced", "suppressed", "expired",  "cancelled", "failed"};
  static_assert(std::size(kNames) == kStateCount);
  return kNames[static_cast<std::size_t>(state)];
}

std::unique_ptr<Spool> make_memory_spool(SuppressionKey suppression_key) {
  return std::make_unique<MemorySpool>(std::move(suppression_key));
}

}  // namespace mailsbuddy::spool
