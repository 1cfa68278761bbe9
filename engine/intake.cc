#include "engine/intake.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/ascii.h"
#include "core/base/encoding.h"
#include "core/base/hash.h"
#include "engine/fields.h"

namespace mailsbuddy::engine {
namespace {

constexpr std::size_t kAppendRows = 4096;        // Rows per write to the spool.
constexpr std::size_t kRowBytesMax = 32u << 10;  // Merge fields of one row: a row is packed within one spool chunk.

// Rows gathered for one append().
class Pending {
 public:
  void add(const Address& address, std::string fields, bool suppressed) {
    if (suppressed) suppressed_.push_back(addresses_.size());
    addresses_.push_back(address);
    fields_.push_back(std::move(fields));
  }
  std::size_t size() const noexcept { return addresses_.size(); }

  Result<void> append_to(spool::Spool& spool, spool::JobNumber job, std::vector<SuppressedRow>& suppressed) {
    std::vector<spool::RowInput> rows;
    rows.reserve(addresses_.size());
    for (std::size_t i = 0; i < addresses_.size(); ++i) {
      rows.push_back({.domain = addresses_[i].domain(), .local = addresses_[i].local(), .fields = fields_[i]});
    }
    const auto appended = spool.append(job, rows);
    if (!appended) return Error{ErrorCode::kResourceExhausted, "the spool takes no more rows: " + appended.error().detail};
    for (const std::size_t i : suppressed_) {
      if (suppressed.size() < kSuppressedMax) suppressed.push_back({(*appended)[i], addresses_[i].str()});
    }
    addresses_.clear();
    fields_.clear();
    suppressed_.clear();
    return {};
  }

 private:
  std::vector<Address> addresses_;
  std::vector<std::string> fields_;
  std::vector<std::size_t> suppressed_;  // Places among them.
};

// The addresses that `job` has rows of.
Result<SeenAddresses> stored_addresses(const spool::Spool& spool, spool::JobNumber job, std::uint64_t seed) {
  SeenAddresses stored(seed);
  const auto visited =
      spool.visit_open(job, [&stored](std::string_view local, std::string_view domain, std::string_view, spool::State) {
        stored.insert(ascii::to_lower(fmt::format("{}@{}", local, domain)));
        return true;
      });
  if (visited) return stored;
  // Who is not seen would be stored, and mailed, twice.
  return Error{ErrorCode::kResourceExhausted, "what the interrupted import stored: " + visited.error().detail};
}

Result<std::string> pack(const RowView& row, std::span<const std::string> columns) {
  if (row.values.size() != columns.size()) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("{} values, expected {}", row.values.size(), columns.size())};
  }
  std::string fields;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (!is_valid_utf8(row.values[i])) {
      return Error{ErrorCode::kInvalidArgument, fmt::format("field '{}' is not UTF-8", columns[i])};
    }
    append_field(fields, row.values[i]);
  }
  if (fields.size() > kRowBytesMax) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("{} octets of merge fields, the limit is {}", fields.size(), kRowBytesMax)};
  }
  return fields;
}

}  // namespace

bool SeenAddresses::place(std::vector<Hash>& slots, Hash hash) const {
  std::size_t at = hash.low & (slots.size() - 1);
  while (!slots[at].empty()) {
    if (slots[at] == hash) return false;
    at = (at + 1) & (slots.size() - 1);
  }
  slots[at] = hash;
  return true;
}

bool SeenAddresses::insert(std::string_view normalised) {
  if ((used_ + 1) * 4 > slots_.size() * 3) {
    std::vector<Hash> grown(std::max<std::size_t>(1024, slots_.size() * 2));
    for (const Hash& hash : slots_) {
      if (!hash.empty()) place(grown, hash);
    }
    slots_ = std::move(grown);
  }
  const auto hash = siphash128({seed_, ~seed_}, normalised);
  const bool added = place(slots_, {hash[0], hash[1]});
  used_ += added ? 1 : 0;
  return added;
}

bool SeenAddresses::contains(std::string_view normalised) const {
  if (slots_.empty()) return false;
  const auto wanted = siphash128({seed_, ~seed_}, normalised);
  const Hash hash{wanted[0], wanted[1]};
  std::size_t at = hash.low & (slots_.size() - 1);
  while (!slots_[at].empty()) {
    if (slots_[at] == hash) return true;
    at = (at + 1) & (slots_.size() - 1);
  }
  return false;
}

Result<Imported> import_rows(RowSource& rows, spool::Spool& spool, spool::JobNumber job, std::uint64_t seed,
                             const ImportChecks& checks) {
  const auto stored = stored_addresses(spool, job, seed);
  if (!stored) return stored.error();
  Imported imported;
  ImportReport& report = imported.report;
  SeenAddresses seen(seed);
  Pending pending;
  const std::span<const std::string> columns = rows.columns();
  const auto refuse = [&](const RowView& row, std::string reason) {
    ++report.refused;
    rows.refused({.number = row.number, .address = std::string(row.address), .reason = std::move(reason)});
  };
  for (;;) {
    auto next = rows.next();
    if (!next) return std::move(next).error();
    if (!next->has_value()) break;
    const RowView& row = **next;
    if (!row.defect.empty()) {
      refuse(row, std::string(row.defect));
      continue;
    }
    auto address = Address::parse(row.address);
    if (!address) {
      refuse(row, address.error().detail);
      continue;
    }
    auto fields = pack(row, columns);
    if (!fields) {
      refuse(row, fields.error().detail);
      continue;
    }
    if (auto checked = checks.row ? checks.row(row) : Result<void>(); !checked) {
      refuse(row, checked.error().detail);
      continue;
    }
    const std::string normalised = ascii::to_lower(address->str());
    if (!seen.insert(normalised)) {
      refuse(row, "the address was there before");
      continue;
    }
    const bool suppressed = checks.suppressed && checks.suppressed(normalised);
    ++report.accepted;
    report.suppressed += suppressed ? 1 : 0;
    if (stored->contains(normalised)) {
      ++report.resumed;
      continue;
    }
    pending.add(*address, *std::move(fields), suppressed);
    if (pending.size() < kAppendRows) continue;
    if (auto appended = pending.append_to(spool, job, imported.suppressed); !appended) return std::move(appended).error();
  }
  if (auto appended = pending.append_to(spool, job, imported.suppressed); !appended) return std::move(appended).error();
  report.domains = spool.domains(job).size();
  return imported;
}

}  // namespace mailsbuddy::engine
