// Journal entry:  what job domain row
//   what   octet: 0x00 to 0x1f: the row's octet from now on; 0x20 + kind: it has a note of that kind
//   job domain row   varints
// Page:  count octet* notes*
//   count  varint: rows; octet: one a row, without kChanged; notes: one octet a row, or nothing: none has one
#include "spool/ledger.h"

#include <algorithm>
#include <utility>

#include "spool/bytes.h"

namespace mailsbuddy::spool {
namespace {

constexpr std::uint8_t kNote = 0x20;
constexpr std::size_t kFewDomains = 8;  // Looked through one by one.

std::size_t index_of(State state) noexcept { return static_cast<std::size_t>(state); }

}  // namespace

// ---------------------------------------------------------------------------------------------------------------------
// One job

std::size_t JobLedger::slot_of(DomainNumber domain) const noexcept {
  std::size_t at = (domain * std::uint64_t{0x9e37'79b9'7f4a'7c15} >> 20) & (slots_.size() - 1);
  while (slots_[at] != 0 && domains_[slots_[at] - 1].domain != domain) at = (at + 1) & (slots_.size() - 1);
  return at;
}

std::size_t JobLedger::place(DomainNumber domain) const noexcept {
  if (!slots_.empty()) {
    const std::uint32_t slot = slots_[slot_of(domain)];
    return slot == 0 ? domains_.size() : slot - 1;
  }
  std::size_t at = 0;
  while (at < domains_.size() && domains_[at].domain != domain) ++at;
  return at;
}

DomainLedger* JobLedger::find(DomainNumber domain) noexcept {
  const std::size_t at = place(domain);
  return at == domains_.size() ? nullptr : &domains_[at];
}

DomainLedger& JobLedger::add(DomainNumber domain) {
  if (DomainLedger* found = find(domain)) return *found;
  domains_.push_back({.domain = domain});
  if (domains_.size() > kFewDomains) {
    if (domains_.size() * 4 > slots_.size() * 3) {
      slots_.assign(std::max<std::size_t>(32, slots_.size() * 2), 0);
      for (std::size_t i = 0; i < domains_.size(); ++i) {
        slots_[slot_of(domains_[i].domain)] = static_cast<std::uint32_t>(i + 1);
      }
    } else {
      slots_[slot_of(domain)] = static_cast<std::uint32_t>(domains_.size());
    }
  }
  return domains_.back();
}

void JobLedger::append(DomainNumber domain, std::uint32_t rows) {
  add(domain).octets.append(rows, static_cast<char>(State::kQueued));
}

std::uint64_t JobLedger::open_rows() const noexcept {
  std::uint64_t open = 0;
  for (std::size_t state = 0; state < kStateCount; ++state) {
    if (is_open(static_cast<State>(state))) open += counts[state];
  }
  return open;
}

std::uint64_t JobLedger::rows() const noexcept {
  std::uint64_t rows = 0;
  for (const std::uint64_t count : counts) rows += count;
  return rows;
}

// ---------------------------------------------------------------------------------------------------------------------
// All jobs

JobLedger* Ledger::find(JobNumber number) noexcept {
  const auto found = jobs_.find(number);
  return found == jobs_.end() ? nullptr : &found->second;
}

DomainLedger* Ledger::find_row(const RowKey& key) noexcept {
  JobLedger* job = find(key.job);
  DomainLedger* domain = job == nullptr ? nullptr : job->find(key.domain);
  return domain == nullptr || key.row >= domain->rows() ? nullptr : domain;
}

std::vector<JobNumber> Ledger::numbers() const {
  std::vector<JobNumber> numbers;
  numbers.reserve(jobs_.size());
  for (const auto& [number, job] : jobs_) numbers.push_back(number);
  return numbers;
}

void Ledger::append(JobLedger& job, DomainNumber domain, std::uint32_t rows) {
  job.append(domain, rows);
  job.counts[index_of(State::kQueued)] += rows;
  open_rows_ += rows;
}

void Ledger::erase(JobNumber number) {
  const JobLedger* job = find(number);
  if (job == nullptr) return;
  open_rows_ -= job->open_rows();
  jobs_.erase(number);
}

void Ledger::put_entry(std::uint8_t what, const RowKey& key, std::string& journal) {
  journal.push_back(static_cast<char>(what));
  put_varint(journal, key.job);
  put_varint(journal, key.domain);
  put_varint(journal, key.row);
}

void Ledger::mark_changed(DomainLedger& domain, const RowKey& key) {
  if ((domain.octet(key.row) & row_octet::kChanged) != 0) return;
  domain.octets[key.row] = static_cast<char>(domain.octet(key.row) | row_octet::kChanged);
  changed_.push_back(key);
}

bool Ledger::move(const RowKey& key, State to, bool tried, std::string& journal) {
  DomainLedger& domain = *find_row(key);
  JobLedger& job = jobs_.at(key.job);
  const State from = domain.state(key.row);
  if (is_final(from)) return false;
  open_rows_ += std::uint64_t{is_open(to)} - std::uint64_t{is_open(from)};
  --job.counts[index_of(from)];
  ++job.counts[index_of(to)];
  job.tried += std::uint64_t{tried} - std::uint64_t{domain.tried(key.row)};
  const auto octet = static_cast<std::uint8_t>(static_cast<std::uint8_t>(to) | (tried ? row_octet::kTried : 0));
  domain.octets[key.row] = static_cast<char>((domain.octet(key.row) & row_octet::kChanged) | octet);
  mark_changed(domain, key);
  put_entry(octet, key, journal);
  return true;
}

bool Ledger::note(const RowKey& key, std::uint8_t kind, std::string& journal) {
  DomainLedger* domain = find_row(key);
  if (domain == nullptr || kind >= kNoteKinds) return false;
  if (domain->notes == nullptr) domain->notes = std::make_unique<std::string>();
  if (domain->notes->size() < domain->octets.size()) domain->notes->resize(domain->octets.size());
  char& notes = (*domain->notes)[key.row];
  const auto bit = static_cast<std::uint8_t>(1U << kind);
  if ((static_cast<std::uint8_t>(notes) & bit) != 0) return false;
  notes = static_cast<char>(static_cast<std::uint8_t>(notes) | bit);
  ++jobs_.at(key.job).note_counts[kind];
  mark_changed(*domain, key);
  put_entry(static_cast<std::uint8_t>(kNote + kind), key, journal);
  return true;
}

// ---------------------------------------------------------------------------------------------------------------------
// Reading back

// Entries about what is not there (the job was erased later) are passed over. They come in order, so that a row may go
// through any states; counts follow in recount().
bool Ledger::replay(std::string_view journal) {
  Reader reader(journal);
  while (!reader.at_end()) {
    const std::uint8_t what = reader.byte();
    RowKey key;
    key.job = reader.varint32();
    key.domain = reader.varint32();
    key.row = reader.varint32();
    const bool is_note = what >= kNote;
    if (!reader.good() || (is_note ? what >= kNote + kNoteKinds : (what & row_octet::kStateMask) >= kStateCount)) {
      return false;
    }
    DomainLedger* domain = find_row(key);
    if (domain == nullptr) continue;
    if (is_note) {
      std::string unused;
      note(key, static_cast<std::uint8_t>(what - kNote), unused);
    } else {
      domain->octets[key.row] = static_cast<char>((domain->octet(key.row) & row_octet::kChanged) | what);
      mark_changed(*domain, key);
    }
  }
  return true;
}

bool Ledger::load_page(JobLedger& job, DomainNumber number, std::uint32_t first_row, std::string_view page) {
  Reader reader(page);
  const std::uint32_t rows = reader.varint32();
  const std::string_view octets = reader.bytes(rows);
  const std::string_view notes = reader.bytes(reader.at_end() ? 0 : rows);
  DomainLedger* domain = job.find(number);
  if (!reader.good() || !reader.at_end() || domain == nullptr || first_row > domain->rows() ||
      rows > domain->rows() - first_row) {
    return false;
  }
  for (const char octet : octets) {
    const auto value = static_cast<std::uint8_t>(octet);
    if ((value & ~row_octet::kStoredMask) != 0 || (value & row_octet::kStateMask) >= kStateCount) return false;
  }
  domain->octets.replace(first_row, rows, octets);
  job.paged = true;
  if (notes.empty()) return true;
  if (domain->notes == nullptr) domain->notes = std::make_unique<std::string>();
  if (domain->notes->size() < domain->octets.size()) domain->notes->resize(domain->octets.size());
  domain->notes->replace(first_row, rows, notes);
  return true;
}

void Ledger::recount() {
  open_rows_ = 0;
  for (auto& [number, job] : jobs_) {
    job.counts = {};
    job.note_counts = {};
    job.tried = 0;
    std::array<std::uint64_t, 256> octets{};
    for (const DomainLedger& domain : job.domains()) {
      for (const char octet : domain.octets) ++octets[static_cast<std::uint8_t>(octet)];
      if (domain.notes == nullptr) continue;
      for (const char notes : *domain.notes) {
        for (std::size_t kind = 0; kind < kNoteKinds; ++kind) {
          job.note_counts[kind] += static_cast<std::uint8_t>(notes) >> kind & 1U;
        }
      }
    }
    for (std::size_t octet = 0; octet < octets.size(); ++octet) {
      if (octets[octet] == 0) continue;  // Most are no octet of a row: there is no such state.
      job.counts[octet & row_octet::kStateMask] += octets[octet];
      if ((octet & row_octet::kTried) != 0) job.tried += octets[octet];
    }
    open_rows_ += job.open_rows();
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Pages

std::string Ledger::page_of(const DomainLedger& domain, std::uint32_t first_row) {
  const std::uint32_t rows = std::min(kPageRows, domain.rows() - first_row);
  std::string page;
  page.reserve(rows + 4);
  put_varint(page, rows);
  for (std::uint32_t row = first_row; row < first_row + rows; ++row) {
    page.push_back(static_cast<char>(domain.octet(row) & row_octet::kStoredMask));
  }
  std::string notes;
  for (std::uint32_t row = first_row; row < first_row + rows; ++row) {
    notes.push_back(static_cast<char>(domain.notes_of(row)));
  }
  if (notes.find_first_not_of('\0') != std::string::npos) page += notes;
  return page;
}

std::vector<RowKey> Ledger::changed_pages() {
  std::vector<RowKey> pages = std::exchange(changed_, {});
  for (RowKey& key : pages) {
    if (DomainLedger* domain = find_row(key)) {
      domain->octets[key.row] = static_cast<char>(domain->octet(key.row) & ~row_octet::kChanged);
    }
    key.row -= key.row % kPageRows;
  }
  std::sort(pages.begin(), pages.end());
  pages.erase(std::unique(pages.begin(), pages.end()), pages.end());
  return pages;
}

}  // namespace mailsbuddy::spool
