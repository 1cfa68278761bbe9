// Settling, and the thread that writes. A batch changes memory and is added to the open group at once; the writer makes
// it durable. Only append()s can be refused: a group is written as soon as the disk lets it.
#include <fmt/format.h>

#include <algorithm>

#include "core/base/log.h"
#include "spool/rocks_spool.h"

namespace mailsbuddy::spool {
namespace {

constexpr std::size_t kSettledAtOnce = 256;  // By a command, under one lock: those who deliver wait for it.
constexpr auto kFirstRetry = std::chrono::milliseconds(10);
constexpr auto kLastRetry = std::chrono::milliseconds(1000);

std::int64_t count_of(TimePoint time) { return time.time_since_epoch().count(); }

}  // namespace

// ---------------------------------------------------------------------------------------------------------------------
// A batch

void RocksSpool::commit(Batch batch, Task durable) {
  const Lock lock(mutex_);
  if (stopping_) return;
  for (Settlement& settlement : batch.settlements) settle_by_caller(settlement);
  for (const RowKey& key : batch.claims) claim(key);
  for (const Note& note : batch.notes) {
    if (ledger_.note(note.key, note.kind, open_.journal) && !note.event.empty()) add_event(note.event);
  }
  for (const NewSuppression& each : batch.suppressions) add_suppression(each);
  for (const Tally& each : batch.tallies) set_tally(each);
  for (Snapshot& each : batch.snapshots) {
    put_snapshot(open_.changes, each);
    snapshots_.set(std::move(each));
  }
  for (const std::string& event : batch.events) add_event(event);
  if (durable) open_.tasks.push_back(std::move(durable));
  open_.must_sync = true;
  ++open_.batches;
  ++waiting_batches_;
  work_.notify_one();
}

void RocksSpool::put_snapshot(Changes& changes, const Snapshot& snapshot) {
  if (snapshot.bytes.empty())
    changes.erase(Family::kDefault, keys::snapshot(snapshot.name));
  else
    changes.put(Family::kDefault, keys::snapshot(snapshot.name), snapshot.bytes);
}

void RocksSpool::add_event(std::string_view event) {
  put_string(open_.events, event);
  ++open_.event_count;
  ++outbox_tail_;
}

// From memory, or from disk if it is long since it was tried, or was by the process before.
std::optional<Waiting> RocksSpool::waiting_of(const RowKey& key, const DomainLedger& domain) const {
  if (const auto* known = due_.find(key)) return *known;
  if (!domain.tried(key.row)) return std::nullopt;
  return stored_waiting(key);
}

std::optional<Waiting> RocksSpool::stored_waiting(const RowKey& key) const {
  std::string value;
  if (store_->get(Family::kDefault, keys::waiting(key), value) != Found::kYes) return std::nullopt;
  Reader reader(value);
  Waiting waiting;
  waiting.due = static_cast<std::int64_t>(reader.big_endian<std::uint64_t>());
  waiting.attempts = reader.big_endian<std::uint16_t>();
  waiting.mark = reader.byte();
  if (!reader.good()) return std::nullopt;
  return waiting;
}

// Waiting record: due (8, ns) attempts (2) mark (1), big-endian. The due index has attempts and mark too, so that what
// is due is read from one place.
void RocksSpool::put_waiting(const RowKey& key, const Waiting& waiting, Group& group) {
  std::string tried;
  put_big_endian(tried, waiting.attempts);
  tried.push_back(static_cast<char>(waiting.mark));
  std::string value;
  put_big_endian(value, static_cast<std::uint64_t>(waiting.due));
  group.changes.put(Family::kDefault, keys::waiting(key), value + tried);
  if (waiting.due == Waiting::kNotDue) return;
  group.changes.put(Family::kQueue, keys::due({waiting.due, key}), tried);
  group.waiting.emplace_back(key, waiting.due);
}

void RocksSpool::settle(Settlement& settlement) {
  const RowKey& key = settlement.key;
  DomainLedger* domain = ledger_.find_row(key);
  if (domain == nullptr || is_final(domain->state(key.row))) return;
  if (!unsettled_.empty()) unsettled_.erase(key);
  const std::optional<Waiting> before = waiting_of(key, *domain);
  const bool wait = waits(settlement.state);
  const bool keep = !is_final(settlement.state) && (before || settlement.attempts > 0);
  ledger_.move(key, settlement.state, wait || keep, open_.journal);
  if (before && before->due != Waiting::kNotDue && (wait || !keep)) {
    open_.changes.erase(Family::kQueue, keys::due({before->due, key}));
  }
  if (wait) {
    const std::int64_t due = settlement.state == State::kHeld
                                 ? Waiting::kNever
                                 : std::clamp(count_of(settlement.due), Waiting::kNotDue + 1, Waiting::kNever - 1);
    const Waiting waiting{.due = due, .attempts = settlement.attempts, .mark = settlement.mark};
    put_waiting(key, waiting, open_);
    due_.put(key, waiting);
    JobLedger& job = *ledger_.find(key.job);
    job.waiting_from = std::min(job.waiting_from, key);
  } else if (keep) {  // Given back: it keeps what is known of it, and its place in the index, until it is settled for
                      // good.
    Waiting waiting = before.value_or(Waiting{});
    if (waiting.attempts != settlement.attempts) {
      waiting.attempts = settlement.attempts;
      put_waiting(key, waiting, open_);
    }
    due_.take(key, waiting);
  } else if (before) {
    open_.changes.erase(Family::kDefault, keys::waiting(key));
    due_.forget(key);
  }
  if (!settlement.event.empty()) add_event(settlement.event);
}

void RocksSpool::settle_by_caller(Settlement& settlement) {
  const DomainLedger* domain = ledger_.find_row(settlement.key);
  const bool held = domain != nullptr && domain->state(settlement.key.row) == State::kHeld;
  if (!held || is_final(settlement.state)) return settle(settlement);
  if (settlement.state != State::kQueued) put_back(settlement.key);
}

// False: it is.
bool RocksSpool::hold(Settlement& settlement, const DomainLedger& domain) {
  const RowKey& key = settlement.key;
  const State state = domain.state(key.row);
  if (state == State::kHeld) return false;
  const auto* known = due_.find(key);
  const bool handed_out = known != nullptr ? known->taken : state == State::kQueued && key.row < domain.read_to;
  const Waiting before = waiting_of(key, domain).value_or(Waiting{});
  settlement.attempts = before.attempts;
  settlement.mark = before.mark;
  settle(settlement);
  if (handed_out) due_.take(key, {.due = Waiting::kNever, .attempts = before.attempts, .mark = before.mark});
  return true;
}

// Reads what waits on disk of these rows, and keeps none of it: settle() then finds it in the cache, and the lock is
// not held while the disk takes its time. (A compaction that ends in between costs a read under the lock.)
void RocksSpool::read_ahead(std::span<const RowKey> rows) const {
  std::vector<RowKey> on_disk;
  {
    const Lock lock(mutex_);
    for (const RowKey& key : rows) {
      const DomainLedger* domain = ledger_.find_row(key);
      if (domain != nullptr && domain->tried(key.row) && due_.find(key) == nullptr) on_disk.push_back(key);
    }
  }
  for (const RowKey& key : on_disk) static_cast<void>(stored_waiting(key));
}

std::vector<bool> RocksSpool::withdraw(std::vector<Settlement> settlements) {
  std::vector<bool> done(settlements.size());
  for (std::size_t from = 0, to = 0; from < settlements.size(); from = to) {
    to = std::min(from + kSettledAtOnce, settlements.size());
    std::vector<RowKey> keys;
    for (std::size_t i = from; i < to; ++i) keys.push_back(settlements[i].key);
    read_ahead(keys);
    const Lock lock(mutex_);
    if (stopping_) return done;
    for (std::size_t i = from; i < to; ++i) {
      const RowKey& key = settlements[i].key;
      const DomainLedger* domain = ledger_.find_row(key);
      if (domain == nullptr || domain->state(key.row) == State::kClaimed || is_final(domain->state(key.row))) continue;
      if (settlements[i].state != State::kHeld)
        settle(settlements[i]);
      else if (!hold(settlements[i], *domain))
        continue;
      done[i] = true;
    }
    open_.must_sync = true;
    work_.notify_one();
  }
  return done;
}

std::size_t RocksSpool::make_due(std::span<const RowKey> rows, TimePoint due) {
  std::size_t made = 0;
  for (; !rows.empty(); rows = rows.subspan(std::min(kSettledAtOnce, rows.size()))) {
    const auto some = rows.first(std::min(kSettledAtOnce, rows.size()));
    read_ahead(some);
    made += make_some_due(some, due);
  }
  return made;
}

std::size_t RocksSpool::make_some_due(std::span<const RowKey> rows, TimePoint due) {
  std::size_t made = 0;
  const Lock lock(mutex_);
  if (stopping_) return 0;
  for (const RowKey& key : rows) {
    const DomainLedger* domain = ledger_.find_row(key);
    if (domain == nullptr || !waits(domain->state(key.row))) continue;
    const auto* known = due_.find(key);
    if (known != nullptr && known->taken) {  // The caller has it.
      if (domain->state(key.row) != State::kHeld) continue;
      Settlement again{.key = key, .state = State::kQueued, .attempts = known->attempts};
      settle(again);
      ++made;
      continue;
    }
    const auto waiting = waiting_of(key, *domain);
    if (!waiting || waiting->due <= count_of(due)) continue;
    Settlement again{.key = key,
                     .state = State::kDeferred,
                     .attempts = waiting->attempts,
                     .due = due,
                     .mark = waiting->mark};
    settle(again);
    ++made;
  }
  open_.must_sync = true;
  work_.notify_one();
  return made;
}

void RocksSpool::claim(const RowKey& key) {
  DomainLedger* domain = ledger_.find_row(key);
  if (domain == nullptr || domain->state(key.row) == State::kHeld) return;
  const bool tried = domain->tried(key.row);
  if (!ledger_.move(key, State::kClaimed, tried, open_.journal) || !tried) return;
  if (const auto* known = due_.find(key); known != nullptr && !known->taken) due_.take(key, *known);
}

// ---------------------------------------------------------------------------------------------------------------------
// Waiting for the writer

Result<void> RocksSpool::wait_for_group(Lock& lock) {
  if (stopping_) return Error{ErrorCode::kClosed, "the spool is closed"};
  if (refused_) return *refused_;
  auto waiter = std::make_shared<Waiter>();
  open_.waiters.push_back(waiter);
  open_.must_sync = true;
  work_.notify_one();
  done_.wait(lock, [&waiter] { return waiter->done; });
  return waiter->result;
}

Result<void> RocksSpool::sync() {
  Lock lock(mutex_);
  return wait_for_group(lock);
}

void RocksSpool::close() {
  {
    const Lock lock(mutex_);
    stopping_ = true;
    work_.notify_all();
    append_done_.notify_all();
  }
  if (writer_.joinable()) writer_.join();
}

Pressure RocksSpool::pressure() const {
  const Lock lock(mutex_);
  if (refused_) {
    return {.kind = Pressure::Kind::kFailed, .detail = refused_->detail, .waiting_batches = waiting_batches_};
  }
  if (auto full = refuses_rows(); full && full->code == ErrorCode::kResourceExhausted) {
    return {.kind = Pressure::Kind::kFull, .detail = std::move(full->detail), .waiting_batches = waiting_batches_};
  }
  return {.waiting_batches = waiting_batches_};
}

// ---------------------------------------------------------------------------------------------------------------------
// The writer

void RocksSpool::run() {
  Lock lock(mutex_);
  for (;;) {
    work_.wait(lock, [this] { return stopping_ || !ops_.empty() || !open_.empty(); });
    if (ops_.empty() && open_.empty()) return;
    std::vector<Op*> ops = std::exchange(ops_, {});
    Group group = std::exchange(open_, {});
    finish(group);
    lock.unlock();
    const bool durable = write_until_done(ops, group);
    if (std::string damaged = store_->leave_damaged(); !damaged.empty()) report({.what = std::move(damaged)});
    lock.lock();
    written(ops, group, durable);
    if (durable) {
      lock.unlock();
      for (Task& task : group.tasks) task();
      group.tasks.clear();
      lock.lock();
    }
    for (const auto& waiter : group.waiters) waiter->done = true;
    if (!durable) return leave();
    done_.notify_all();
  }
}

// Adds the records of the group, and now and then the pages of all that changed. Memory is here what it is after the
// group: pages of another moment would say what the journal does not know.
void RocksSpool::finish(Group& group) {
  if (group.event_count > 0) {
    std::string record;
    put_varint(record, group.event_count);
    group.changes.put(Family::kQueue, keys::outbox(outbox_tail_ - group.event_count), record + group.events);
  }
  if (ledger_.changed() < pages_after_) {
    if (!group.journal.empty()) group.changes.put(Family::kQueue, keys::journal(journal_next_++), group.journal);
    return;
  }
  ledger_.write_pages([&group](const RowKey& first, const std::string& page) {
    group.changes.put(Family::kDefault, keys::page(first.job, first.domain, first.row), page);
  });
  for (; journal_from_ < journal_next_; ++journal_from_)
    group.changes.erase(Family::kQueue, keys::journal(journal_from_));
  std::string from;
  put_varint(from, journal_from_);
  group.changes.put(Family::kDefault, keys::meta("journal_from"), from);
}

// Each append by itself, the group whole, and one sync for all of them.
Result<void> RocksSpool::try_write(const std::vector<Op*>& ops, const Group& group) {
  const bool sync = power_loss_ && (group.must_sync || !ops.empty());
  if (!undo_.empty()) {
    const Changes* const undo = &undo_;
    if (auto written = store_->write({&undo, 1}, false); !written) return written;
    undo_.clear();
  }
  const bool group_last = !group.changes.empty();
  for (const Op* op : ops) {
    const Changes* const changes = &op->changes;
    const bool last = !group_last && op == ops.back();
    if (auto written = store_->write({&changes, 1}, sync && last); !written) return written;
  }
  if (group_last) {
    const Changes* const changes = &group.changes;
    return store_->write({&changes, 1}, sync);
  }
  return sync && ops.empty() ? store_->sync_log() : Result<void>();
}

// Tells those who can be told, and takes back what they had in the log.
void RocksSpool::refuse(std::vector<Op*>& ops, Group& group, const Error& error) {
  const Lock lock(mutex_);
  ops.insert(ops.end(), ops_.begin(), ops_.end());
  ops_.clear();
  for (Op* op : ops) {
    op->changes.each([this](Changes::Kind, Family family, std::string_view key, std::string_view) {
      // Not names: another append may have stored the same ones. Snapshots are as they were.
      if (family == Family::kDefault && keys::is_domain(key)) return;
      const bool is_snapshot = family == Family::kDefault && keys::is_snapshot(key);
      const auto kept = is_snapshot ? snapshots_.find(key.substr(1)) : std::nullopt;
      if (kept)
        undo_.put(family, key, *kept);
      else
        undo_.erase(family, key);
    });
    op->result = error;
    op->done = true;
  }
  ops.clear();
  for (const auto* waiters : {&group.waiters, &open_.waiters}) {
    for (const auto& waiter : *waiters) {
      waiter->result = error;
      waiter->done = true;
    }
  }
  if (!refused_) log(options_.log.get(), LogLevel::kError, "spool", "{}", error.detail);
  refused_ = error;
  done_.notify_all();
}

// False: the spool is closed before the disk took it.
bool RocksSpool::write_until_done(std::vector<Op*>& ops, Group& group) {
  auto result = try_write(ops, group);
  auto delay = kFirstRetry;
  while (!result) {
    refuse(ops, group, result.error());
    {
      Lock lock(mutex_);
      work_.wait_for(lock, delay, [this] { return stopping_; });
      if (stopping_) return false;
    }
    delay = std::min(delay * 2, kLastRetry);
    result = store_->recover();
    if (result) result = try_write(ops, group);
  }
  return true;
}

// Closed while the disk refused: nobody is left waiting.
void RocksSpool::leave() {
  for (Op* op : std::exchange(ops_, {})) {
    op->result = *refused_;
    op->done = true;
  }
  for (const auto& waiter : open_.waiters) {
    waiter->result = *refused_;
    waiter->done = true;
  }
  done_.notify_all();
}

void RocksSpool::written(std::vector<Op*>& ops, Group& group, bool durable) {
  for (Op* op : ops) {
    if (!durable) op->result = Error{ErrorCode::kClosed, "the spool is closed"};
    op->done = true;
  }
  waiting_batches_ -= group.batches;
  done_.notify_all();
  if (!durable) return;
  if (refused_) {
    refused_.reset();
    log(options_.log.get(), LogLevel::kInfo, "spool", "{}: the disk takes writes again", store_->directory());
  }
  outbox_durable_ += group.event_count;
  for (const auto& [key, due] : group.waiting) due_.written(key, due);
  for (const SuppressionHash& hash : group.suppressions) pending_suppressions_.written(hash);
}

}  // namespace mailsbuddy::spool
