// metrics.h - named counters, gauges and histograms that cost a few nanoseconds to change and are added up when read.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace mailsbuddy {

namespace metrics_internal {

using Cell = std::atomic<std::uint64_t>;
inline constexpr std::size_t kShards = 16;       // Threads rarely share a shard; each costs 8 bytes per cell.
inline constexpr std::size_t kBlockCells = 512;  // Cells of a block in one shard.

// The calling thread's shard. Thread-local storage lies at regular distances, which Fibonacci hashing spreads evenly;
// so threads need not be numbered by a global counter.
inline std::size_t shard() noexcept {
  static thread_local const char here = 0;
  return static_cast<std::size_t>(reinterpret_cast<std::uintptr_t>(&here) * 0x9e3779b97f4a7c15U >> 60);
}
static_assert(kShards == 1U << (64 - 60));

// The same cell of every shard. A shard's cells lie together, so that threads do not share cache lines.
struct Cells {
  Cell* first;
  Cell& mine(std::size_t offset = 0) const noexcept { return first[shard() * kBlockCells + offset]; }
  std::uint64_t sum(std::size_t offset = 0) const noexcept;
};

}  // namespace metrics_internal

// Only ever grows. Threads: any. Ownership: a handle to copy freely; lives no longer than its Metrics.
class Counter {
 public:
  void add(std::uint64_t n = 1) const noexcept { cells_.mine().fetch_add(n, std::memory_order_relaxed); }

 private:
  friend class Metrics;
  explicit Counter(metrics_internal::Cells cells) : cells_(cells) {}
  metrics_internal::Cells cells_;
};

// Goes up and down. One cell, because set() has to decide for all threads. Threads and ownership as Counter.
class Gauge {
 public:
  void set(std::int64_t value) const noexcept {
    cell_->store(std::bit_cast<std::uint64_t>(value), std::memory_order_relaxed);
  }
  void add(std::int64_t n) const noexcept {
    cell_->fetch_add(std::bit_cast<std::uint64_t>(n), std::memory_order_relaxed);
  }

 private:
  friend class Metrics;
  explicit Gauge(metrics_internal::Cell* cell) : cell_(cell) {}
  metrics_internal::Cell* cell_;
};

// How values (nanoseconds, bytes) are spread. Each power of two is cut into four buckets, so a quantile is at most a
// quarter too high. Threads and ownership as Counter.
class Histogram {
 public:
  static constexpr std::size_t kBuckets = 252;
  static constexpr std::size_t bucket_of(std::uint64_t value) noexcept;
  static constexpr std::uint64_t bucket_max(std::size_t bucket) noexcept;  // The largest value that belongs there.

  void record(std::uint64_t value) const noexcept {
    cells_.mine(bucket_of(value)).fetch_add(1, std::memory_order_relaxed);
    cells_.mine(kBuckets).fetch_add(value, std::memory_order_relaxed);
  }

 private:
  friend class Metrics;
  explicit Histogram(metrics_internal::Cells cells) : cells_(cells) {}
  metrics_internal::Cells cells_;  // The buckets, then the sum.
};

// What a histogram had recorded when it was read.
struct HistogramValue {
  struct Bucket {
    std::uint64_t max = 0;  // Values up to and including this, and above the bucket before.
    std::uint64_t count = 0;
    auto operator<=>(const Bucket&) const = default;
  };
  std::uint64_t count = 0;  // Of all buckets.
  std::uint64_t sum = 0;  // Modulo 2^64. Under concurrent recording it may be a few values ahead of or behind `count`.
  std::vector<Bucket> buckets{};  // Those that are not empty, ascending.

  // A value that at least the share `q` (0 to 1) of those recorded do not exceed; 0 when there are none.
  std::uint64_t quantile(double q) const noexcept;
};

struct Sample {
  std::string name;
  std::variant<std::uint64_t, std::int64_t, HistogramValue> value;  // Of a counter, a gauge, a histogram.
};

// Threads:    all methods from any thread; the lock is for naming and reading, never for counting.
// Ownership:  outlives its handles. Nothing named is ever removed, so names must not come from a peer without a cap.
// Invariants: the same name and kind gives the same metric.
class Metrics {
 public:
  Metrics() = default;
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  Counter counter(std::string_view name);
  Gauge gauge(std::string_view name);
  Histogram histogram(std::string_view name);
  std::vector<Sample> snapshot() const;  // Sorted by name. Each cell is read once, not all at one instant.

 private:
  enum class Kind : std::uint8_t { kCounter, kGauge, kHistogram };
  struct alignas(64) Block {
    std::array<metrics_internal::Cell, metrics_internal::kShards * metrics_internal::kBlockCells> cells{};
  };
  metrics_internal::Cells find_or_add(Kind kind, std::string_view name, std::size_t cells);

  mutable std::mutex mutex_;
  std::map<std::pair<std::string, Kind>, metrics_internal::Cells> named_;
  std::vector<std::unique_ptr<Block>> blocks_;
  std::size_t used_ = metrics_internal::kBlockCells;  // Cells of the last block.
};

constexpr std::size_t Histogram::bucket_of(std::uint64_t value) noexcept {
  if (value < 4) return static_cast<std::size_t>(value);
  const auto exponent = static_cast<std::size_t>(std::bit_width(value)) - 1;  // 2 or more.
  return (exponent - 1) * 4 + static_cast<std::size_t>(value >> (exponent - 2) & 3);
}

constexpr std::uint64_t Histogram::bucket_max(std::size_t bucket) noexcept {
  if (bucket < 4) return bucket;
  const std::size_t shift = bucket / 4 - 1;
  return ((std::uint64_t{bucket % 4} + 5) << shift) - 1;
}

}  // namespace mailsbuddy
