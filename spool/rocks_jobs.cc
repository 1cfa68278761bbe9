// Taking jobs and rows. Rows are grouped by domain within each append(); numbered where the domain's rows so far end;
// packed into chunks; and what was appended is one extent record, from which an opening process knows the rows without
// reading them.
#include <fmt/format.h>

#include <algorithm>

#include "spool/chunk.h"
#include "spool/rocks_spool.h"

namespace mailsbuddy::spool {
namespace {

constexpr std::size_t kMergedEntries = 16u << 10;  // In one extent.
constexpr std::size_t kNamesMax = 10'000;  // Octets of an error that names jobs.
constexpr std::size_t kSmallRows = 64;  // A job of so few is erased key by key: ranges erased slow reading down.

Error no_such_job(JobNumber number) { return Error{ErrorCode::kNotFound, "no job " + std::to_string(number)}; }

// Head: small (octet, 1: JobLedger::small) created (varint of ns) id (string), then its first extent, if it was created
// with rows.
std::string head_of(std::string_view id, TimePoint created, bool small, std::string_view extent) {
  std::string head;
  head.push_back(small ? 1 : 0);
  put_varint(head, static_cast<std::uint64_t>(created.time_since_epoch().count()));
  put_string(head, id);
  head += extent;
  return head;
}

}  // namespace

// Empty: they are taken. Asked before anything is built; the disk may still refuse.
std::optional<Error> RocksSpool::refuses_rows() const {
  if (stopping_) return Error{ErrorCode::kClosed, "the spool is closed"};
  if (refused_) return refused_;
  const std::uint64_t free = store_->free_bytes();
  if (free >= options_.reserve_bytes) return std::nullopt;
  return Error{ErrorCode::kResourceExhausted,
               fmt::format("spool {}: {} MB are free on its disk, and {} MB are kept for what was accepted already",
                           store_->directory(), free >> 20, options_.reserve_bytes >> 20)};
}

RocksSpool::Grouped RocksSpool::by_domain(const JobLedger& job, std::span<const RowInput> rows) {
  std::vector<std::pair<DomainNumber, std::uint32_t>> order;
  order.reserve(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    order.emplace_back(names_.intern(rows[i].domain), static_cast<std::uint32_t>(i));
  }
  std::sort(order.begin(), order.end());
  Grouped grouped;
  grouped.inputs.reserve(rows.size());
  for (const auto& [domain, input] : order) {
    grouped.inputs.push_back(input);
    if (grouped.parts.empty() || grouped.parts.back().domain != domain) {
      const DomainLedger* ledger = job.find(domain);
      grouped.parts.push_back({.domain = domain, .first_row = ledger == nullptr ? 0 : ledger->rows()});
    }
    ++grouped.parts.back().rows;
  }
  return grouped;
}

// Names are written by whoever needs them first and, as long as no write with them is through, by all others too.
void RocksSpool::put_new_names(Changes& changes) const {
  for (DomainNumber number = names_saved_; number < names_.size(); ++number) {
    changes.put(Family::kDefault, keys::domain(number), names_.name(number));
  }
}

// Extent: for each domain, in their order: domain (varint, less the one before), rows (varint). The extent is returned.
std::string RocksSpool::put_rows(Changes& changes, JobNumber number, std::span<const RowInput> rows,
                                 const Grouped& grouped) {
  std::string extent;
  ChunkWriter chunk;
  DomainNumber before = 0;
  auto input = grouped.inputs.begin();
  for (const Grouped::Part& part : grouped.parts) {
    RowKey first{number, part.domain, part.first_row};
    for (std::uint32_t i = 0; i < part.rows; ++i) {
      const RowInput& row = rows[*input++];
      chunk.add(row.local, row.fields);
      if (!chunk.full() && i + 1 < part.rows) continue;
      const std::uint32_t packed = chunk.rows();
      changes.put(Family::kRows, keys::chunk(first), chunk.finish());
      first.row += packed;
    }
    put_varint(extent, part.domain - before);
    put_varint(extent, part.rows);
    before = part.domain;
  }
  return extent;
}

// The writer takes `op` and answers.
Result<void> RocksSpool::write(Lock& lock, Op& op) {
  if (stopping_) return Error{ErrorCode::kClosed, "the spool is closed"};
  ops_.push_back(&op);
  work_.notify_one();
  done_.wait(lock, [&op] { return op.done; });
  return op.result;
}

Result<JobNumber> RocksSpool::create(JobRecord record, std::span<const RowInput> rows,
                                     std::vector<Snapshot> snapshots) {
  Lock lock(mutex_);
  if (auto refused = refuses_rows()) return *std::move(refused);
  const JobNumber number = last_job_ + 1;
  if (!ids_.try_emplace(record.id, number).second) {
    return Error{ErrorCode::kAlreadyExists, "job '" + record.id + "' exists"};
  }
  last_job_ = number;
  JobLedger job;
  job.id = record.id;
  job.created = record.created;
  const Grouped grouped = by_domain(job, rows);
  Op op;
  put_new_names(op.changes);
  const std::uint32_t names = names_.size();
  lock.unlock();

  Changes packed;
  const std::string extent = put_rows(packed, number, rows, grouped);
  job.small = rows.size() <= kSmallRows && packed.bytes() <= kChunkBytesMax;  // One chunk a domain, then.
  op.changes.put(Family::kDefault, keys::job(number, keys::Part::kHead),
                 head_of(record.id, record.created, job.small, extent));
  if (!record.control.empty())
    op.changes.put(Family::kDefault, keys::job(number, keys::Part::kControl), record.control);
  if (!record.content.empty()) op.changes.put(Family::kRows, keys::content(number), record.content);
  op.changes.add(packed);
  for (const Snapshot& each : snapshots) put_snapshot(op.changes, each);

  lock.lock();
  if (auto written = write(lock, op); !written) {
    ids_.erase(record.id);
    return std::move(written).error();
  }
  for (Snapshot& each : snapshots) snapshots_.set(std::move(each));
  names_saved_ = std::max(names_saved_, names);
  JobLedger& kept = ledger_.jobs().emplace(number, std::move(job)).first->second;
  for (const Grouped::Part& part : grouped.parts) ledger_.append(kept, part.domain, part.rows);
  return number;
}

Result<std::vector<RowKey>> RocksSpool::append(JobNumber number, std::span<const RowInput> rows) {
  Lock lock(mutex_);
  append_done_.wait(lock, [&] {
    const JobLedger* job = ledger_.find(number);
    return job == nullptr || !job->appending;
  });
  JobLedger* job = ledger_.find(number);
  if (job == nullptr) return no_such_job(number);
  if (rows.empty()) return std::vector<RowKey>();
  if (auto refused = refuses_rows()) return *std::move(refused);
  const Grouped grouped = by_domain(*job, rows);
  Op op;
  put_new_names(op.changes);
  const std::uint32_t names = names_.size();
  const std::uint32_t sequence = job->extents;
  job->appending = true;
  job->small = false;
  lock.unlock();
  const std::string extent = put_rows(op.changes, number, rows, grouped);
  op.changes.put(Family::kDefault, keys::extent(number, sequence), extent);
  lock.lock();
  auto written = write(lock, op);
  job = ledger_.find(number);
  if (job != nullptr) job->appending = false;
  append_done_.notify_all();
  if (!written) return std::move(written).error();
  names_saved_ = std::max(names_saved_, names);
  if (job == nullptr) {  // Erased meanwhile: what was written after that goes too.
    erase_stored(number, nullptr, open_.changes);
    work_.notify_one();
    return no_such_job(number);
  }
  ++job->extents;
  for (const Grouped::Part& part : grouped.parts) ledger_.append(*job, part.domain, part.rows);
  job->extent_entries += grouped.parts.size();
  if (job->extent_entries >= 2 * job->domains().size() + merge_after_) merge_extents(number, *job);
  lock.unlock();
  return keys_of(number, grouped);
}

std::vector<RowKey> RocksSpool::keys_of(JobNumber job, const Grouped& grouped) {
  std::vector<RowKey> keys(grouped.inputs.size());
  auto input = grouped.inputs.begin();
  for (const Grouped::Part& part : grouped.parts) {
    for (std::uint32_t i = 0; i < part.rows; ++i) keys[*input++] = {job, part.domain, part.first_row + i};
  }
  return keys;
}

// Writes all extents of a job anew as few: an opening process reads about as many entries as there are domains, not as
// many as there were in all appends. The numbers of later ones go on, because an append may be written before this is.
void RocksSpool::merge_extents(JobNumber number, JobLedger& job) {
  std::vector<std::pair<DomainNumber, std::uint32_t>> rows;
  rows.reserve(job.domains().size());
  for (const DomainLedger& domain : job.domains()) rows.emplace_back(domain.domain, domain.rows());
  std::sort(rows.begin(), rows.end());
  std::uint32_t sequence = 0;
  std::string extent;
  DomainNumber before = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    put_varint(extent, rows[i].first - before);
    put_varint(extent, rows[i].second);
    before = rows[i].first;
    if ((i + 1) % kMergedEntries != 0 && i + 1 < rows.size()) continue;
    open_.changes.put(Family::kDefault, keys::extent(number, sequence++), extent);
    extent.clear();
    before = 0;
  }
  job.extents = std::max(job.extents, sequence);
  for (; sequence < job.extents; ++sequence) open_.changes.erase(Family::kDefault, keys::extent(number, sequence));
  open_.changes.put(Family::kDefault, keys::job(number, keys::Part::kHead), head_of(job.id, job.created, false, {}));
  job.extent_entries = rows.size();
  open_.must_sync = true;
  work_.notify_one();
}

Result<void> RocksSpool::set_control(JobNumber number, std::string control) {
  Lock lock(mutex_);
  if (ledger_.find(number) == nullptr) return no_such_job(number);
  if (stopping_) return Error{ErrorCode::kClosed, "the spool is closed"};
  if (refused_) return *refused_;  // Not now, and not later behind the caller's back.
  const std::string key = keys::job(number, keys::Part::kControl);
  std::string before;
  if (store_->get(Family::kDefault, key, before) == Found::kError) {
    return Error{ErrorCode::kIo, "spool " + store_->directory() + ": the job's control cannot be read now"};
  }
  open_.changes.put(Family::kDefault, key, control);
  auto written = wait_for_group(lock);
  // The group is written once the disk takes it, and what the caller was told has failed with it: what was before,
  // then.
  if (!written && ledger_.find(number) != nullptr) open_.changes.put(Family::kDefault, key, before);
  return written;
}

// ---------------------------------------------------------------------------------------------------------------------

// What is unreadable is named there and as a defect, and empty.
std::optional<Spool::StoredJob> RocksSpool::stored_job(JobNumber number, std::string& unreadable) const {
  StoredJob job{.number = number, .record = {}};
  {
    const Lock lock(mutex_);
    const JobLedger* ledger = ledger_.find(number);
    if (ledger == nullptr) return std::nullopt;
    job.record.id = ledger->id;
    job.record.created = ledger->created;
  }
  std::string reason;
  for (const auto& [family, key, into] :
       {std::tuple(Family::kDefault, keys::job(number, keys::Part::kControl), &job.record.control),
        std::tuple(Family::kRows, keys::content(number), &job.record.content)}) {
    const Found found = store_->get(family, key, *into, &reason);
    if (found == Found::kYes || found == Found::kNo) continue;
    std::string what = fmt::format("job {} ('{}'): {}", number, job.record.id, reason);
    if (found == Found::kError) unreadable = what;
    report({.what = std::move(what), .job = number});
    into->clear();
  }
  return job;
}

std::optional<JobRecord> RocksSpool::job(JobNumber number) const {
  std::string unreadable;
  auto job = stored_job(number, unreadable);
  if (!job) return std::nullopt;
  return std::move(job->record);
}

Result<void> RocksSpool::visit_jobs(const std::function<bool(const StoredJob&)>& visit) const {
  std::vector<JobNumber> numbers;
  {
    const Lock lock(mutex_);
    numbers = ledger_.numbers();
  }
  std::string unreadable;
  for (const JobNumber number : numbers) {
    std::string why;
    const auto job = stored_job(number, why);
    if (!why.empty()) {
      if (unreadable.size() < kNamesMax) unreadable += (unreadable.empty() ? "" : "; ") + why;
    } else if (job && !visit(*job)) {
      break;
    }
  }
  if (unreadable.empty()) return {};
  return Error{ErrorCode::kIo, std::move(unreadable)};
}

std::vector<Spool::StoredJob> RocksSpool::jobs() const {
  std::vector<StoredJob> out;
  static_cast<void>(visit_jobs([&out](const StoredJob& job) {  // Those that it names are defects.
    out.push_back(job);
    return true;
  }));
  return out;
}

// ---------------------------------------------------------------------------------------------------------------------

// Due entries of an erased job stay in the index until they come up, and are erased then: numbers are never given
// again.
void RocksSpool::erase_stored(JobNumber number, const JobLedger* job, Changes& changes) const {
  if (job != nullptr && job->small && !job->paged && job->tried == 0) {
    changes.erase(Family::kDefault, keys::job(number, keys::Part::kHead));
    changes.erase(Family::kDefault, keys::job(number, keys::Part::kControl));
    changes.erase(Family::kRows, keys::content(number));
    for (const DomainLedger& domain : job->domains())
      changes.erase(Family::kRows, keys::chunk({number, domain.domain, 0}));
  } else if (job != nullptr && job->small) {
    changes.erase(Family::kDefault, keys::job(number, keys::Part::kHead));
    changes.erase(Family::kDefault, keys::job(number, keys::Part::kControl));
    changes.erase(Family::kRows, keys::content(number));
    for (const DomainLedger& domain : job->domains()) {
      changes.erase(Family::kRows, keys::chunk({number, domain.domain, 0}));
      changes.erase(Family::kDefault, keys::page(number, domain.domain, 0));
      for (std::uint32_t row = 0; row < domain.rows(); ++row) {
        if (domain.tried(row)) changes.erase(Family::kDefault, keys::waiting({number, domain.domain, row}));
      }
    }
  } else {
    changes.erase_range(Family::kDefault, keys::job(number), keys::job(number + 1));
    changes.erase_range(Family::kRows, keys::rows_of(number), keys::rows_of(number + 1));
  }
}

void RocksSpool::erase(JobNumber number) {
  const Lock lock(mutex_);
  const JobLedger* job = ledger_.find(number);
  if (job == nullptr || stopping_) return;
  erase_stored(number, job, open_.changes);
  if (number == last_job_) {  // Its number is not given again, also by the next process.
    std::string last;
    put_varint(last, last_job_);
    open_.changes.put(Family::kDefault, keys::meta("last_job"), last);
  }
  if (job->small) {
    for (const DomainLedger& domain : job->domains()) {
      for (RowKey key{number, domain.domain, 0}; key.row < domain.rows(); ++key.row) due_.forget(key);
    }
  } else if (job->tried > 0) {
    due_.forget_job(number);
  }
  std::erase_if(unsettled_, [number](const RowKey& key) { return key.job == number; });
  ids_.erase(job->id);
  ledger_.erase(number);
  append_done_.notify_all();
  work_.notify_one();
}

}  // namespace mailsbuddy::spool
