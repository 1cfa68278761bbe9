// ledger.h - who is in which state: the part of the durable spool that is in memory. An octet a row, some 60 octets a
// (job, domain). It knows nothing of files: what changed is written out by journal entries and pages, which it encodes
// and reads back. Threads: one at a time. Invariants: counts agree with the octets; changed() names each row that
// differs from its page.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mailsbuddy/spool.h"

namespace mailsbuddy::spool {

inline constexpr std::uint32_t kRowsPerExtentMax =
    1u << 28;                                     // More in one append() is no extent: memory is reserved for it.
inline constexpr std::uint32_t kPageRows = 4096;  // States of so many rows are one value.

// A row's octet: its state, and what else is known.
namespace row_octet {
inline constexpr std::uint8_t kStateMask = 0x0f;
inline constexpr std::uint8_t kTried = 0x10;  // It has a waiting record: attempts, due, mark.
inline constexpr std::uint8_t kStoredMask = kStateMask | kTried;
inline constexpr std::uint8_t kChanged = 0x80;  // Since its page was written. In memory only.
}  // namespace row_octet

// One job's rows of one domain. The string keeps up to 15 octets in itself: the long tail of small domains allocates
// nothing.
struct DomainLedger {
  DomainNumber domain = 0;
  std::uint32_t read_to = 0;  // Rows before it were handed out.
  std::string octets{};
  std::unique_ptr<std::string> notes{};  // Null: none has one.

  std::uint32_t rows() const noexcept { return static_cast<std::uint32_t>(octets.size()); }
  std::uint8_t octet(std::uint32_t row) const noexcept { return static_cast<std::uint8_t>(octets[row]); }
  State state(std::uint32_t row) const noexcept { return static_cast<State>(octet(row) & row_octet::kStateMask); }
  bool tried(std::uint32_t row) const noexcept { return (octet(row) & row_octet::kTried) != 0; }
  void count(std::uint32_t from, std::uint32_t rows, Counts& counts) const noexcept {
    for (const char octet : std::string_view(octets).substr(from, rows)) {
      ++counts[static_cast<std::uint8_t>(octet) & row_octet::kStateMask];
    }
  }
  std::uint8_t notes_of(std::uint32_t row) const noexcept {
    return notes != nullptr && row < notes->size() ? static_cast<std::uint8_t>((*notes)[row]) : std::uint8_t{0};
  }
};

class JobLedger {
 public:
  std::string id;
  TimePoint created{};
  std::uint32_t extents = 0;         // The next extent record's number.
  std::uint64_t extent_entries = 0;  // In all of them.
  std::uint64_t tried = 0;           // Rows with a waiting record.
  bool paged = false;                // It may have pages.
  bool small = false;                // Each of its few domains has one chunk: erased key by key.
  bool appending = false;            // One append() at a time: row numbers follow each other.
  RowKey waiting_from{};             // take_waiting(): before it all that waits on disk was taken.
  Counts counts{};
  NoteCounts note_counts{};

  const std::vector<DomainLedger>& domains() const noexcept { return domains_; }
  std::vector<DomainLedger>& domains() noexcept { return domains_; }
  DomainLedger* find(DomainNumber domain) noexcept;
  const DomainLedger* find(DomainNumber domain) const noexcept { return const_cast<JobLedger*>(this)->find(domain); }
  std::size_t place(DomainNumber domain) const noexcept;  // In domains(); their number: not there.
  DomainLedger& add(DomainNumber domain);                 // Or what is there.
  void append(DomainNumber domain, std::uint32_t rows);   // kQueued.
  std::uint64_t open_rows() const noexcept;
  std::uint64_t rows() const noexcept;

 private:
  std::size_t slot_of(DomainNumber domain) const noexcept;

  std::vector<DomainLedger> domains_;
  std::vector<std::uint32_t> slots_;  // Place + 1; 0: free. Empty while there are few.
};

constexpr bool is_open(State state) noexcept { return !is_final(state) && state != State::kHeld; }
constexpr bool waits(State state) noexcept { return state == State::kDeferred || state == State::kHeld; }

class Ledger {
 public:
  JobLedger* find(JobNumber number) noexcept;
  const JobLedger* find(JobNumber number) const noexcept { return const_cast<Ledger*>(this)->find(number); }
  // Null: there is no such row.
  DomainLedger* find_row(const RowKey& key) noexcept;
  const DomainLedger* find_row(const RowKey& key) const noexcept { return const_cast<Ledger*>(this)->find_row(key); }
  std::map<JobNumber, JobLedger>& jobs() noexcept { return jobs_; }
  const std::map<JobNumber, JobLedger>& jobs() const noexcept { return jobs_; }
  std::vector<JobNumber> numbers() const;

  void append(JobLedger& job, DomainNumber domain, std::uint32_t rows);
  void erase(JobNumber number);
  std::uint64_t open_rows() const noexcept { return open_rows_; }

  // Changes a row that is there, and appends the journal entry that says so. False: it is final already, nothing
  // changed.
  bool move(const RowKey& key, State to, bool tried, std::string& journal);
  // False: it had one, or there is no such row.
  bool note(const RowKey& key, std::uint8_t kind, std::string& journal);

  // Applies the entries of a journal record. False: some of it could not be read.
  bool replay(std::string_view journal);
  // Applies a page. False: it fits no rows.
  bool load_page(JobLedger& job, DomainNumber domain, std::uint32_t first_row, std::string_view page);
  void recount();  // After all was loaded.

  std::size_t changed() const noexcept { return changed_.size(); }
  // The pages that changed since the last call, each once.
  template <class Put>
  void write_pages(Put put) {
    for (const RowKey& first : changed_pages()) {
      const DomainLedger* domain = find_row(first);
      if (domain == nullptr) continue;
      jobs_.at(first.job).paged = true;
      put(first, page_of(*domain, first.row));
    }
  }

 private:
  static std::string page_of(const DomainLedger& domain, std::uint32_t first_row);
  std::vector<RowKey> changed_pages();
  void put_entry(std::uint8_t what, const RowKey& key, std::string& journal);
  void mark_changed(DomainLedger& domain, const RowKey& key);

  std::map<JobNumber, JobLedger> jobs_;
  std::vector<RowKey> changed_;
  std::uint64_t open_rows_ = 0;
};

}  // namespace mailsbuddy::spool
