// Bringing back what was there. Rows themselves are not read: extents say how many each domain has, pages and the
// journal behind them in which state.
#include <fmt/format.h>

#include <random>

#include "spool/chunk.h"
#include "spool/rocks_spool.h"

namespace mailsbuddy::spool {
namespace {

std::string random_octets(std::size_t count) {
  std::string out;
  while (out.size() < count) {
    const std::uint64_t word = system_seed();
    out.append(reinterpret_cast<const char*>(&word), sizeof word);
  }
  out.resize(count);
  return out;
}

// The key of the spool's hashes: made once, and stored.
Result<SipKey> hash_key(Store& store) {
  std::string octets;
  std::string reason;
  const std::string key = keys::meta("hash_key");
  const Found found = store.get(Family::kDefault, key, octets, &reason);
  if (found == Found::kNo) {
    octets = random_octets(16);
    Changes changes;
    changes.put(Family::kDefault, key, octets);
    const Changes* const all = &changes;
    if (auto written = store.write({&all, 1}, true); !written) return std::move(written).error();
  } else if (found != Found::kYes || octets.size() != 16) {
    return Error{ErrorCode::kIo,
                 fmt::format("spool {}: the key of its hashes cannot be read: {}", store.directory(), reason)};
  }
  return SipKey::from_bytes(
      std::span<const std::uint8_t, 16>(reinterpret_cast<const std::uint8_t*>(octets.data()), 16));
}

}  // namespace

RocksSpool::RocksSpool(std::unique_ptr<Store> store, RocksSpoolOptions options, const StoreSettings& settings,
                       SipKey key)
    : store_(std::move(store)),
      options_(std::move(options)),
      hash_key_(key),
      power_loss_(options_.durability == Durability::kPowerLoss),
      pages_after_(settings.pages_after),
      merge_after_(settings.merge_after),
      names_(key) {}

RocksSpool::~RocksSpool() { close(); }

Result<std::unique_ptr<RocksSpool>> RocksSpool::open(RocksSpoolOptions options, const StoreSettings& settings) {
  constexpr std::size_t kKeyOctetsMin = 16;
  if (!options.suppression_key.empty() && options.suppression_key.size() < kKeyOctetsMin) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("suppression_key: {} octets, at least {} are needed",
                                                          options.suppression_key.size(), kKeyOctetsMin)};
  }
  auto store = Store::open(options, settings);
  if (!store) return std::move(store).error();
  auto key = hash_key(**store);
  if (!key) return std::move(key).error();
  std::unique_ptr<RocksSpool> spool(new RocksSpool(*std::move(store), std::move(options), settings, *key));
  if (auto loaded = spool->load(); !loaded) return std::move(loaded).error();
  spool->writer_ = std::thread([raw = spool.get()] { raw->run(); });
  return spool;
}

Result<void> RocksSpool::load() {
  for (const auto part : {&RocksSpool::load_meta, &RocksSpool::check_suppression_key, &RocksSpool::load_small, &RocksSpool::load_jobs,
                          &RocksSpool::load_journal, &RocksSpool::load_outbox}) {
    if (auto loaded = (this->*part)(); !loaded) return loaded;
  }
  ledger_.recount();
  any_tally_.store(!tallies_.empty(), std::memory_order_relaxed);
  return {};
}

Result<void> RocksSpool::load_meta() {
  Result<void> loaded;
  const auto number = [this, &loaded](std::string_view name) -> std::uint64_t {
    std::string value, reason;
    const Found found = store_->get(Family::kDefault, keys::meta(name), value, &reason);
    if (found == Found::kYes) return Reader(value).varint();
    if (found != Found::kNo) {
      loaded = Error{ErrorCode::kIo, fmt::format("spool {}: {} cannot be read: {}", store_->directory(), name, reason)};
    }
    return 0;
  };
  last_job_ = static_cast<JobNumber>(number("last_job"));
  journal_from_ = number("journal_from");
  outbox_head_ = number("outbox_head");
  suppression_kinds_ = static_cast<std::uint8_t>(number("suppression_kinds"));
  return loaded;
}

// Names, snapshots, tallies.
Result<void> RocksSpool::load_small() {
  auto scan = store_->scan(Family::kDefault, false);
  for (scan.seek("D"); scan.valid_in("D"); scan.next()) {
    names_.set(Reader(scan.key().substr(1)).big_endian<DomainNumber>(), scan.value());
  }
  names_.index();
  if (scan.valid()) scan.seek("S");
  for (; scan.valid_in("S"); scan.next())
    snapshots_.set({.name = std::string(scan.key().substr(1)), .bytes = std::string(scan.value())});
  if (scan.valid()) scan.seek("T");
  for (; scan.valid_in("T"); scan.next()) {
    Reader reader(scan.value());
    const std::uint64_t value = reader.varint();
    const TimePoint forget{Duration(static_cast<std::int64_t>(reader.varint()))};
    if (reader.good() && value > 0) tallies_[AddressHash::from(scan.key().substr(1))] = {value, forget};
  }
  names_saved_ = names_.size();
  if (scan.state() == Found::kNo || scan.valid()) return {};
  return Error{ErrorCode::kIo, fmt::format("spool {}: {}", store_->directory(), scan.reason())};
}

// All parts of all jobs but what waits. After a block that cannot be read it goes on at the next job.
Result<void> RocksSpool::load_jobs() {
  constexpr std::size_t kKeyBytes = 6;  // J, number, part.
  JobNumber number = 0;
  auto scan = store_->scan(Family::kDefault, false);
  for (scan.seek(keys::job(0)); number != UINT32_MAX;) {
    if (!scan.valid_in("J")) {
      if (scan.valid() || scan.state() == Found::kNo) break;
      if (scan.state() == Found::kError)
        return Error{ErrorCode::kIo, fmt::format("spool {}: {}", store_->directory(), scan.reason())};
      report({.what = fmt::format("jobs from {} on: {}", number, scan.reason()), .job = number});
      scan.seek(keys::job(++number));
      continue;
    }
    Reader reader(scan.key().substr(1));
    number = reader.big_endian<JobNumber>();
    if (scan.key().size() < kKeyBytes || scan.key()[kKeyBytes - 1] >= static_cast<char>(keys::Part::kWaiting)) {
      scan.seek(keys::job(number + 1));
      continue;
    }
    load_job_part(number, scan.key().substr(kKeyBytes - 1), scan.value());
    scan.next();
  }
  if (!ledger_.jobs().empty()) last_job_ = std::max(last_job_, ledger_.jobs().rbegin()->first);
  return {};
}

void RocksSpool::load_job_part(JobNumber number, std::string_view key, std::string_view value) {
  JobLedger* job = ledger_.find(number);
  Reader reader(value);
  const auto load_extent = [&] {
    for (DomainNumber domain = 0; !reader.at_end() && reader.good();) {
      domain += reader.varint32();
      const std::uint32_t rows = reader.varint32();
      if (domain >= names_.size() || rows > kRowsPerExtentMax) return false;
      job->append(domain, rows);
      ++job->extent_entries;
    }
    return reader.good();
  };
  bool good = job != nullptr;
  switch (static_cast<keys::Part>(key[0])) {
    case keys::Part::kHead: {
      const bool small = reader.byte() == 1;
      const auto created = static_cast<std::int64_t>(reader.varint());
      std::string id(reader.string());
      good = reader.good() && ids_.try_emplace(id, number).second;
      if (!good) break;
      job = &ledger_.jobs()[number];
      job->id = std::move(id);
      job->created = TimePoint(Duration(created));
      job->small = small;
      good = load_extent();
      break;
    }
    case keys::Part::kExtent:
      if (!good) break;
      good = load_extent();
      job->extents = std::max(job->extents, Reader(key.substr(1)).big_endian<std::uint32_t>() + 1);
      job->small = false;
      break;
    case keys::Part::kPage: {
      if (!good) break;
      Reader place(key.substr(1));
      const auto domain = place.big_endian<DomainNumber>();
      const auto first_row = place.big_endian<std::uint32_t>();
      good = place.good() && ledger_.load_page(*job, domain, first_row, value);
      break;
    }
    default:
      break;
  }
  if (!good) report({.what = fmt::format("job {}: its record '{}' is none", number, key[0]), .job = number});
}

Result<void> RocksSpool::load_journal() {
  journal_next_ = journal_from_;
  auto scan = store_->scan(Family::kQueue, false);
  for (scan.seek(keys::journal(journal_from_)); scan.valid_in("j"); scan.next()) {
    journal_next_ = Reader(scan.key().substr(1)).big_endian<std::uint64_t>() + 1;
    if (!ledger_.replay(scan.value())) report({.what = fmt::format("journal record {} is none", journal_next_ - 1)});
  }
  if (scan.valid() || scan.state() == Found::kNo) return {};
  return Error{ErrorCode::kIo, fmt::format("spool {}: journal: {}", store_->directory(), scan.reason())};
}

// Only the last record is read.
Result<void> RocksSpool::load_outbox() {
  auto scan = store_->scan(Family::kQueue, false);
  outbox_tail_ = outbox_head_;
  scan.seek_back(keys::outbox(UINT64_MAX));
  if (scan.valid_in("o")) {
    outbox_tail_ = std::max(outbox_tail_,
                            Reader(scan.key().substr(1)).big_endian<std::uint64_t>() + Reader(scan.value()).varint());
  } else if (!scan.valid() && scan.state() != Found::kNo) {
    return Error{ErrorCode::kIo, fmt::format("spool {}: outbox: {}", store_->directory(), scan.reason())};
  }
  outbox_durable_ = outbox_tail_;
  return {};
}

Result<std::unique_ptr<Spool>> open_rocks_spool(RocksSpoolOptions options, StoreSettings settings) {
  auto spool = RocksSpool::open(std::move(options), std::move(settings));
  if (!spool) return std::move(spool).error();
  return std::unique_ptr<Spool>(*std::move(spool));
}

Result<std::unique_ptr<Spool>> open_rocks_spool(RocksSpoolOptions options) {
  return open_rocks_spool(std::move(options), StoreSettings{});
}

}  // namespace mailsbuddy::spool
