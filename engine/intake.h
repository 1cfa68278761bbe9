// intake.h - rows from a source into the spool: checked, each address once, grouped by domain.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "mailsbuddy/engine.h"

namespace mailsbuddy::engine {

// The addresses of one campaign that were seen, as 128-bit keyed hashes in an open table: 32 octets an address and less
// than 1e-24 chance that two of ten million fall together. Threads: one owner.
class SeenAddresses {
 public:
  explicit SeenAddresses(std::uint64_t seed) : seed_(seed) {}
  bool insert(std::string_view normalised);  // False: it was there.
  bool contains(std::string_view normalised) const;

 private:
  struct Hash {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
    bool empty() const noexcept { return high == 0 && low == 0; }
    bool operator==(const Hash&) const = default;
  };
  bool place(std::vector<Hash>& slots, Hash hash) const;

  std::uint64_t seed_;
  std::size_t used_ = 0;
  std::vector<Hash> slots_;
};

// What else is said of a row.
struct ImportChecks {
  std::function<Result<void>(const RowView&)> row{};            // What is wrong with it.
  std::function<bool(std::string_view address)> suppressed{};   // By its normalised address. Empty: nobody is.
};

struct SuppressedRow {
  spool::RowKey key;
  std::string address;
};

struct Imported {
  ImportReport report;
  std::vector<SuppressedRow> suppressed;  // Of those that it stored, the first kSuppressedMax.
};
inline constexpr std::size_t kSuppressedMax = 100'000;  // Some 10 MB.

// Reads `rows` to the end into `job`, which may have some of them already: an interrupted import stored them. Errors:
// the source's, the spool's, or kResourceExhausted: what is stored cannot be read now; the job then holds some of the
// rows.
Result<Imported> import_rows(RowSource& rows, spool::Spool& spool, spool::JobNumber job, std::uint64_t seed,
                             const ImportChecks& checks);

}  // namespace mailsbuddy::engine
