// Forgetting an address: it is written over wherever it is, and then all files are rewritten, so that no octets of it
// are left in them. No key of the store holds an address: keys are also in files that only grow.
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

// Rows of one job. True: there were some.
bool RocksSpool::erase_rows(JobNumber number, DomainNumber domain, const AddressErasure& erasure,
                            AddressErased& erased) {
  const std::string key = keys::chunk({number, domain, 0});
  const std::string prefix = key.substr(0, key.size() - 4);
  bool any = false;
  auto scan = store_->scan(Family::kRows, false);
  for (scan.seek(prefix); scan.valid_in(prefix); scan.next()) {
    const auto rewritten = without(scan.value(), erasure.local);
    if (!rewritten) continue;
    any = true;
    const auto first = Reader(scan.key().substr(prefix.size())).big_endian<std::uint32_t>();
    const Lock lock(mutex_);
    for (const std::uint32_t row : rewritten->rows) {
      const RowKey each{number, domain, first + row};
      const DomainLedger* ledger = ledger_.find_row(each);
      if (ledger == nullptr) return any;  // The job is gone, and its rows with it.
      ++erased.rows;
      const State state = ledger->state(each.row);
      if (state == State::kClaimed) ++erased.claimed;
      if (is_final(state) || state == State::kClaimed) continue;
      ++erased.cancelled;
      Settlement cancelled{.key = each, .state = State::kCancelled};
      settle(cancelled);
    }
    open_.changes.put(Family::kRows, scan.key(), rewritten->value);
  }
  return any;
}

void RocksSpool::erase_in_job(JobNumber number, const AddressErasure& erasure, AddressErased& erased) {
  auto job = stored_job(number);
  if (!job || !erasure.rewrite_job || !erasure.rewrite_job(job->record)) return;
  const Lock lock(mutex_);
  if (ledger_.find(number) == nullptr) return;
  ++erased.jobs;
  open_.changes.put(Family::kDefault, keys::job(number, keys::Part::kControl), job->record.control);
  open_.changes.put(Family::kRows, keys::content(number), job->record.content);
}

void RocksSpool::erase_in_events(const AddressErasure& erasure, AddressErased& erased) {
  if (!erasure.rewrite_event) return;
  auto scan = store_->scan(Family::kQueue, false);
  for (scan.seek("o"); scan.valid_in("o"); scan.next()) {
    const auto first = Reader(scan.key().substr(1)).big_endian<std::uint64_t>();
    Reader reader(scan.value());
    const std::uint64_t count = reader.varint();
    std::string record;
    put_varint(record, count);
    std::uint64_t changed = 0;
    for (std::uint64_t left = count; left > 0 && reader.good(); --left) {
      std::string event(reader.string());
      changed += erasure.rewrite_event(event) ? 1 : 0;
      put_string(record, event);
    }
    if (changed == 0 || !reader.good()) continue;
    const Lock lock(mutex_);
    if (first + count <= outbox_head_) continue;  // Removed meanwhile.
    erased.events += changed;
    open_.changes.put(Family::kQueue, scan.key(), record);
  }
}

void RocksSpool::erase_suppressions(const std::string& address, AddressErased& erased) {
  std::vector<std::string> forms{address};
  if (!options_.suppression_key.empty()) forms.push_back(hashed_address(options_.suppression_key, address));
  for (const std::string& form : forms) {
    const std::string prefix = AddressHash::of(hash_key_, {}, form).bytes().substr(0, sizeof(std::uint64_t));
    auto scan = store_->scan(Family::kSuppression, false);
    for (scan.seek(prefix); scan.valid_in(prefix); scan.next()) {
      const auto stored = decode_suppression(scan.value());
      if (!stored || stored->who.address != form) continue;
      const Lock lock(mutex_);
      ++erased.suppressions;
      remove_suppression(AddressHash::from(scan.key()));
    }
  }
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
    if (erase_rows(number, *domain, erasure, erased)) erase_in_job(number, erasure, erased);
  }
  erase_in_events(erasure, erased);
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
