// Suppression is on disk, found through Bloom filters: ten million entries cost some 12 MB of memory. Tallies are in
// memory and on disk, under a hash alone.
#include <fmt/format.h>

#include <algorithm>

#include "core/base/log.h"
#include "spool/rocks_spool.h"

namespace mailsbuddy::spool {
namespace {

// Bits of suppression_kinds_: what has been there ever. What was not need not be looked up.
constexpr std::uint8_t kAccountPlain = 1;
constexpr std::uint8_t kAccountHashed = 2;
constexpr std::uint8_t kEveryPlain = 4;
constexpr std::uint8_t kEveryHashed = 8;

constexpr std::string_view kKeyCheck = "suppression_key_check";  // Stored: what the key hashes this to.

constexpr Duration kSweepEvery = std::chrono::hours(24);
constexpr std::size_t kExportRows = 4096;       // Read at a time.
constexpr std::size_t kImportRows = 64u << 10;  // For one write: the look-ups before it cost most, and less in order.

std::uint8_t kind_of(const AccountAddress& who) noexcept {
  const bool hashed = who.address.starts_with(kHashedPrefix);
  if (who.account == kEveryAccount) return hashed ? kEveryHashed : kEveryPlain;
  return hashed ? kAccountHashed : kAccountPlain;
}

}  // namespace

// A spool that has none stored believes any key.
Result<void> RocksSpool::check_suppression_key() {
  if ((suppression_kinds_ & (kAccountHashed | kEveryHashed)) == 0) return {};
  if (options_.suppression_key.empty()) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("spool {}: addresses are suppressed by their hashes, which are not found without suppression_key",
                             store_->directory())};
  }
  std::string stored, reason;
  const Found found = store_->get(Family::kDefault, keys::meta(kKeyCheck), stored, &reason);
  if (found != Found::kYes && found != Found::kNo) {
    return Error{ErrorCode::kIo, fmt::format("spool {}: what tells suppression_key from another one cannot be read: {}",
                                             store_->directory(), reason)};
  }
  suppression_key_stored_ = found == Found::kYes;
  if (!suppression_key_stored_ || stored == hashed_address(options_.suppression_key, kKeyCheck)) return {};
  return Error{
      ErrorCode::kInvalidArgument,
      fmt::format("spool {}: suppression_key is not the one that addresses were hashed with: open it with that",
                  store_->directory())};
}

std::optional<Suppression> RocksSpool::stored_suppression(std::string_view account, std::string_view address) const {
  const AddressHash hash = AddressHash::of(hash_key_, account, address);
  if (const auto pending = pending_suppressions_.find(hash)) return pending->now;
  std::string value;
  if (store_->get(Family::kSuppression, hash.bytes(), value) != Found::kYes) return std::nullopt;
  const auto stored = decode_suppression(value);
  if (!stored || stored->who.account != account || stored->who.address != address) return std::nullopt;
  return stored->suppression;
}

std::optional<Suppression> RocksSpool::suppressed(std::string_view account, std::string_view address) const {
  const std::uint8_t kinds = suppression_kinds_.load(std::memory_order_acquire);
  if (kinds == 0) return std::nullopt;
  std::optional<Suppression> found;
  if ((kinds & kAccountPlain) != 0) found = stored_suppression(account, address);
  if (!found && (kinds & kEveryPlain) != 0) found = stored_suppression(kEveryAccount, address);
  if (found || (kinds & (kAccountHashed | kEveryHashed)) == 0 || options_.suppression_key.empty()) return found;
  const std::string hashed = hashed_address(options_.suppression_key, address);
  if ((kinds & kAccountHashed) != 0) found = stored_suppression(account, hashed);
  if (!found && (kinds & kEveryHashed) != 0) found = stored_suppression(kEveryAccount, hashed);
  return found;
}

// As it is stored: hashed, if there is a key for it.
AccountAddress RocksSpool::suppression_name(const AccountAddress& who) const {
  if (options_.suppression_key.empty() || who.address.starts_with(kHashedPrefix)) return who;
  return {who.account, hashed_address(options_.suppression_key, who.address)};
}

// The first reason stays. Under mutex_, so that two of one address do not both find none.
void RocksSpool::add_suppression(const NewSuppression& added) {
  const NewSuppression stored{suppression_name(added.who), added.suppression};
  if (stored_suppression(stored.who.account, stored.who.address)) return;
  const AddressHash hash = AddressHash::of(hash_key_, stored.who.account, stored.who.address);
  pending_suppressions_.put(hash, stored.suppression);
  open_.suppressions.push_back(hash);
  open_.changes.put(Family::kSuppression, hash.bytes(), encode_suppression(stored));
  if (!suppression_key_stored_ && stored.who.address.starts_with(kHashedPrefix)) {
    open_.changes.put(Family::kDefault, keys::meta(kKeyCheck), hashed_address(options_.suppression_key, kKeyCheck));
    suppression_key_stored_ = true;
  }
  const auto kinds = static_cast<std::uint8_t>(suppression_kinds_.load() | kind_of(stored.who));
  if (kinds == suppression_kinds_.load()) return;
  const char octet = static_cast<char>(kinds);
  open_.changes.put(Family::kDefault, keys::meta("suppression_kinds"), {&octet, 1});
  suppression_kinds_.store(kinds, std::memory_order_release);
}

Result<void> RocksSpool::suppress(NewSuppression suppression) {
  Lock lock(mutex_);
  if (stopping_) return Error{ErrorCode::kClosed, "the spool is closed"};
  if (auto refused = refuses_hashed(options_.suppression_key, suppression.who)) return *std::move(refused);
  add_suppression(suppression);
  return wait_for_group(lock);
}

Result<bool> RocksSpool::unsuppress(std::string_view account, std::string_view address) {
  Lock lock(mutex_);
  if (stopping_) return Error{ErrorCode::kClosed, "the spool is closed"};
  const AccountAddress given{std::string(account), std::string(address)};
  const AccountAddress hashed = suppression_name(given);
  bool found = false;
  for (const AccountAddress* who : {&given, &hashed}) {
    if (!stored_suppression(who->account, who->address)) continue;
    found = true;
    remove_suppression(AddressHash::of(hash_key_, who->account, who->address));
  }
  if (!found) return false;
  if (auto done = wait_for_group(lock); !done) return std::move(done).error();
  return true;
}

void RocksSpool::remove_suppression(const AddressHash& hash) {
  pending_suppressions_.put(hash, std::nullopt);
  open_.suppressions.push_back(hash);
  open_.changes.erase(Family::kSuppression, hash.bytes());
}

Result<std::uint64_t> RocksSpool::import_suppressions(const std::function<std::optional<NewSuppression>()>& next) {
  std::uint64_t count = 0;
  std::optional<Error> hashed;  // What is before it stays.
  for (bool more = true; more;) {
    std::vector<NewSuppression> batch;
    while (batch.size() < kImportRows && more) {
      auto each = next();
      more = each.has_value();
      if (more) hashed = refuses_hashed(options_.suppression_key, each->who);
      if (hashed) hashed->detail = fmt::format("entry {}: {}", count + batch.size() + 1, hashed->detail);
      more = more && !hashed;
      if (more) batch.push_back(*std::move(each));
    }
    // In the order of their keys, in which they lie in the files.
    std::vector<std::pair<std::string, std::size_t>> order;
    order.reserve(batch.size());
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const AccountAddress who = suppression_name(batch[i].who);
      order.emplace_back(AddressHash::of(hash_key_, who.account, who.address).bytes(), i);
    }
    std::sort(order.begin(), order.end());
    Lock lock(mutex_);
    if (auto refused = refuses_rows()) return *std::move(refused);
    for (const auto& [key, place] : order) add_suppression(batch[place]);
    if (auto done = wait_for_group(lock); !done) return std::move(done).error();
    count += batch.size();
  }
  if (hashed) return *std::move(hashed);
  return count;
}

// In pages, so that no scan is held while the caller takes its time.
Result<void> RocksSpool::visit_suppressions(const std::function<bool(const NewSuppression&)>& visit) const {
  std::string cursor;
  std::vector<NewSuppression> page;
  for (bool more = true; more; page.clear()) {
    const auto listed = list_suppressions(cursor, kExportRows, page);
    for (const NewSuppression& each : page) {
      if (!visit(each)) return {};
    }
    if (!listed) return listed.error();
    more = *listed;
  }
  return {};
}

// The cursor is the last key.
Result<bool> RocksSpool::list_suppressions(std::string& cursor, std::size_t max,
                                           std::vector<NewSuppression>& out) const {
  auto scan = store_->scan(Family::kSuppression, false);
  for (scan.seek(cursor.empty() ? cursor : cursor + '\0'); scan.valid() && max > 0; scan.next()) {
    cursor = scan.key();
    auto stored = decode_suppression(scan.value());
    if (!stored) {
      report({.what = "suppression: a record is none"});
      continue;
    }
    out.push_back(*std::move(stored));
    --max;
  }
  if (scan.valid()) return true;
  if (scan.state() == Found::kNo) return false;
  return Error{ErrorCode::kIo, "spool " + store_->directory() + ": suppression: " + scan.reason()};
}

// ---------------------------------------------------------------------------------------------------------------------
// Tallies. Stored: value, forget (varints).

std::uint64_t RocksSpool::tally(std::string_view account, std::string_view address) const {
  const Lock lock(mutex_);
  const auto found = tallies_.find(AddressHash::of(hash_key_, account, address));
  return found == tallies_.end() ? 0 : found->second.value;
}

void RocksSpool::sweep_tallies(TimePoint as_of) {
  if (as_of < next_sweep_) return;
  std::erase_if(tallies_, [&](const auto& entry) {
    if (entry.second.forget > as_of) return false;
    open_.changes.erase(Family::kDefault, keys::tally(entry.first.bytes()));
    return true;
  });
  next_sweep_ = as_of + kSweepEvery;
}

void RocksSpool::set_tally(const Tally& tally) {
  sweep_tallies(tally.as_of);
  const AddressHash hash = AddressHash::of(hash_key_, tally.who.account, tally.who.address);
  const auto found = tallies_.find(hash);
  if (tally.value == 0) {
    if (found != tallies_.end()) open_.changes.erase(Family::kDefault, keys::tally(hash.bytes()));
    tallies_.erase(hash);
  } else if (found != tallies_.end() || tallies_.size() < kTalliesMax) {
    tallies_[hash] = {tally.value, tally.forget};
    std::string value;
    put_varint(value, tally.value);
    put_varint(value, static_cast<std::uint64_t>(tally.forget.time_since_epoch().count()));
    open_.changes.put(Family::kDefault, keys::tally(hash.bytes()), value);
  }
  any_tally_.store(!tallies_.empty(), std::memory_order_relaxed);
}

}  // namespace mailsbuddy::spool
