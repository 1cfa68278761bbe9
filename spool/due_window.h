// due_window.h - the rows that are due next, kept in memory in front of a due index that is on disk and may be long.
//
// The index holds every deferred row from the moment its write is through. The window holds all that are due before its
// horizon and not taken yet, and besides those that are later but not written yet. When it is used up, more are loaded
// and the horizon moves; when it grows too large, the latest are dropped and the horizon moves back. Threads: one at a
// time. Invariants: an entry of the index before the horizon is in the window or was taken.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "spool/keys.h"

namespace mailsbuddy::spool {

struct RowKeyHash {
  std::size_t operator()(const RowKey& key) const noexcept {
    std::uint64_t mixed = (std::uint64_t{key.job} << 32 | key.domain) * 0x9e37'79b9'7f4a'7c15;
    mixed = (mixed ^ mixed >> 29 ^ key.row) * 0xbf58'476d'1ce4'e5b9;
    return mixed ^ mixed >> 32;
  }
};

// What is known of a row that was tried: its waiting record.
struct Waiting {
  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();   // Held.
  static constexpr std::int64_t kNotDue = std::numeric_limits<std::int64_t>::min();  // Given back: not in the index.
  std::int64_t due = kNotDue;
  std::uint16_t attempts = 0;
  std::uint8_t mark = 0;
};

class DueWindow {
 public:
  static constexpr std::size_t kRowsMax = 128u << 10;  // Some 20 MB.
  static constexpr std::size_t kLoadRows = 4096;       // At a time.

  struct Known : Waiting {
    bool taken = false;  // The caller has it; it is known until it is settled for good.
    bool written = false;
  };

  // What is known of it here; null: nothing, which for a row with a waiting record means that it is on disk.
  const Known* find(const RowKey& row) const;

  void put(const RowKey& row, const Waiting& waiting);   // Deferred or held, by a write that is not through yet.
  void take(const RowKey& row, const Waiting& waiting);  // The caller has it.
  void release(const RowKey& row);  // The caller has it no more, and it is not due: what is known of it stays.
  void forget(const RowKey& row);
  void forget_job(JobNumber job);  // Cost: that of all entries.
  void written(const RowKey& row, std::int64_t due);

  // From the index, not before the horizon. False: it is known already.
  bool load(const keys::Due& due, const Waiting& waiting);
  keys::Due horizon() const noexcept { return horizon_; }
  void set_horizon(const keys::Due& horizon) noexcept { horizon_ = horizon; }  // All before it is loaded.
  bool all_loaded() const noexcept { return horizon_.at == Waiting::kNever; }

  // The earliest before the horizon; empty: load more, unless all_loaded(). A loaded one may be stale: the caller
  // checks.
  std::optional<keys::Due> earliest() const;
  std::optional<Waiting> take_earliest();

  // Rows of a job that wait here and are not taken.
  std::vector<RowKey> of_job(JobNumber job) const;
  std::vector<RowKey> taken() const;

 private:
  void trim();

  std::set<keys::Due> near_;
  std::unordered_map<RowKey, Known, RowKeyHash> known_;
  keys::Due horizon_{Waiting::kNotDue, {}};
};

}  // namespace mailsbuddy::spool
