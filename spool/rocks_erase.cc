// Forgetting an address: it is written over wherever it is, and then all files are rewritten, so that no octets of it
// are left in them. No key of the store holds an address: keys are also in files that only grow.
#include <fmt/format.h>

#include "core/base/ascii.h"
#include "spool/chunk.h"
#include "spool/rocks_spool.h"

namespace mailsbuddy::spool {
namespace {

// The chunk without the rows that `is_it` says; their numbers, counted from its first. Empty: it has none.
struct Rewritten {
  std::string value;
  std::vector<std::uint32_t> rows;
};
std::optional<Rewritten> without(std::string_view value, std::string_view local) {
  ChunkReader chunk(value);
  ChunkWriter writer;
  Rewritten out;
  for (std::uint32_t row = 0; row < chunk.rows(); ++row) {
    const auto text = chunk.next();
    if (!text) return std::nullopt;  // Reported when it is to be handed out.
    const bool is_it = ascii::iequals(text->local, local);
    if (is_it) out.rows.push_back(row);
    writer.add(is_it ? std::string_view() : text->local, is_it ? std::string_view() : text->fields);
  }
  if (out.rows.empty()) return std::nullopt;
  out.value = writer.finish();
  return out;
}

}  // namespace

// Rows of one job. True: there were some. What cannot be read may be of the address: then none of it is said to be
// gone. What is found is changed once the scan is over: no scan is held under the lock's wait, so that the store can be
// opened again meanwhile.
Result<bool> RocksSpool::erase_rows(JobNumber number, DomainNumber domain, const AddressErasure& erasure,
                                    AddressErased& erased) {
  const std::string prefix = keys::chunk({number, domain, 0}).substr(0, keys::chunk({}).size() - sizeof(std::uint32_t));
  std::vector<std::pair<std::string, Rewritten>> chunks;
  {
    auto scan = store_->scan(Family::kRows, false);
    for (scan.seek(prefix); scan.valid_in(prefix); scan.next()) {
      if (auto rewritten = without(scan.value(), erasure.local)) chunks.emplace_back(scan.key(), *std::move(rewritten));
    }
    if (!scan.valid() && scan.state() == Found::kError) {
      return Error{ErrorCode::kIo, fmt::format("rows of {} in job {} cannot be read now: {}", erasure.domain, number, scan.reason())};
    }
  }
  const Lock lock(mutex_);
  if (ledger_.find(number) == nullptr) return false;  // It is gone, and its rows with it.
  for (const auto& [key, rewritten] : chunks) {
    const auto first = Reader(std::string_view(key).substr(prefix.size())).big_endian<std::uint32_t>();
    for (const std::uint32_t row : rewritten.rows) erase_row({number, domain, first + row}, erased);
    open_.changes.put(Family::kRows, key, rewritten.value);
  }
  return !chunks.empty();
}

void RocksSpool::erase_row(const RowKey& key, AddressErased& erased) {
  const DomainLedger* domain = ledger_.find_row(key);
  if (domain == nullptr) return;
  ++erased.rows;
  const State state = domain->state(key.row);
  if (state == State::kClaimed) ++erased.claimed;
  if (is_final(state) || state == State::kClaimed) return;
  ++erased.cancelled;
  Settlement cancelled{.key = key, .state = State::kCancelled};
  settle(cancelled);
}

Result<void> RocksSpool::erase_in_job(JobNumber number, const AddressErasure& erasure, AddressErased& erased) {
  std::string unreadable;
  auto job = stored_job(number, unreadable);
  if (!unreadable.empty()) return Error{ErrorCode::kIo, std::move(unreadable)};
  if (!job || !erasure.rewrite_job || !erasure.rewrite_job(job->record)) return {};
  const Lock lock(mutex_);
  if (ledger_.find(number) == nullptr) return {};
  ++erased.jobs;
  open_.changes.put(Family::kDefault, keys::job(number, keys::Part::kControl), job->record.control);
  open_.changes.put(Family::kRows, keys::content(number), job->record.content);
  return {};
}

std::uint64_t RocksSpool::rewrite_outbox(const std::function<bool(std::string&)>& rewrite) {
  struct Changed {
    std::string key;
    std::string record;
    std::uint64_t end = 0;  // Behind its last event.
    std::uint64_t events = 0;
  };
  std::vector<Changed> records;
  {
    auto scan = store_->scan(Family::kQueue, false);
    for (scan.seek("o"); scan.valid_in("o"); scan.next()) {
      Reader reader(scan.value());
      const std::uint64_t count = reader.varint();
      Changed changed{.key = std::string(scan.key())};
      changed.end = Reader(scan.key().substr(1)).big_endian<std::uint64_t>() + count;
      put_varint(changed.record, count);
      for (std::uint64_t left = count; left > 0 && reader.good(); --left) {
        std::string event(reader.string());
        changed.events += rewrite(event) ? 1 : 0;
        put_string(changed.record, event);
      }
      if (changed.events > 0 && reader.good()) records.push_back(std::move(changed));
    }
  }
  std::uint64_t events = 0;
  const Lock lock(mutex_);
  for (const Changed& changed : records) {
    if (changed.end <= outbox_head_) continue;  // Removed meanwhile.
    events += changed.events;
    open_.changes.put(Family::kQueue, changed.key, changed.record);
  }
  return events;
}

Result<std::uint64_t> RocksSpool::rewrite_events(const std::function<bool(std::string&)>& rewrite) {
  const std::lock_guard alone(rewrite_mutex_);
  if (auto synced = sync(); !synced) return std::move(synced).error();  // What is in memory alone is in no scan.
  const std::uint64_t events = rewrite_outbox(rewrite);
  if (auto synced = sync(); !synced) return std::move(synced).error();
  return events;
}

void RocksSpool::erase_suppressions(const std::string& address, AddressErased& erased) {
  std::vector<std::string> forms{address};
  if (!options_.suppression_key.empty()) forms.push_back(hashed_address(options_.suppression_key, address));
  std::vector<AddressHash> found;
  for (const std::string& form : forms) {
    const std::string prefix = AddressHash::of(hash_key_, {}, form).bytes().substr(0, sizeof(std::uint64_t));
    auto scan = store_->scan(Family::kSuppression, false);
    for (scan.seek(prefix); scan.valid_in(prefix); scan.next()) {
      const auto stored = decode_suppression(scan.value());
      if (stored && stored->who.address == form) found.push_back(AddressHash::from(scan.key()));
    }
  }
  const Lock lock(mutex_);
  for (const AddressHash& hash : found) remove_suppression(hash);
  erased.suppressions += found.size();
}

Result<AddressErased> RocksSpool::erase_address(const AddressErasure& erasure) {
  if (erasure.local.empty()) return Error{ErrorCode::kInvalidArgument, "erase_address: the local part is empty"};
  const std::lock_guard alone(rewrite_mutex_);
  if (auto synced = sync(); !synced) return std::move(synced).error();  // What is in memory alone is in no scan.
  AddressErased erased;
  std::vector<JobNumber> jobs;
  std::optional<DomainNumber> domain;
  {
    const Lock lock(mutex_);
    domain = names_.find(erasure.domain);
    for (const auto& [number, job] : ledger_.jobs()) {
      if (domain && job.find(*domain) != nullptr) jobs.push_back(number);
    }
  }
  for (const JobNumber number : jobs) {
    const auto there = erase_rows(number, *domain, erasure, erased);
    if (!there) return there.error();
    if (!*there) continue;
    if (auto done = erase_in_job(number, erasure, erased); !done) return std::move(done).error();
  }
  if (erasure.rewrite_event) erased.events = rewrite_outbox(erasure.rewrite_event);
  const std::string address = ascii::to_lower(erasure.local) + '@' + erasure.domain;
  if (erasure.suppressions) erase_suppressions(address, erased);
  if (erasure.tallies) {
    const Lock lock(mutex_);
    const std::uint64_t hash = AddressHash::of(hash_key_, {}, address).address;
    erased.tallies = std::erase_if(tallies_, [&](const auto& entry) {
      if (entry.first.address != hash) return false;
      open_.changes.erase(Family::kDefault, keys::tally(entry.first.bytes()));
      return true;
    });
    any_tally_.store(!tallies_.empty(), std::memory_order_relaxed);
  }
  if (auto done = rewrite_files(); !done) return std::move(done).error();
  return erased;
}

Result<void> RocksSpool::rewrite_files() {
  if (auto synced = sync(); !synced) return synced;
  return store_->rewrite();
}

Result<void> RocksSpool::scrub() {
  const std::lock_guard alone(rewrite_mutex_);
  return rewrite_files();
}

}  // namespace mailsbuddy::spool
