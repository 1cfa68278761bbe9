#include "core/base/metrics.h"

#include <algorithm>
#include <cmath>

namespace mailsbuddy {

static_assert(Histogram::bucket_of(~std::uint64_t{0}) == Histogram::kBuckets - 1);
static_assert(Histogram::bucket_max(Histogram::kBuckets - 1) == ~std::uint64_t{0});
static_assert(Histogram::kBuckets + 1 <= metrics_internal::kBlockCells);

std::uint64_t metrics_internal::Cells::sum(std::size_t offset) const noexcept {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < kShards; ++i) sum += first[i * kBlockCells + offset].load(std::memory_order_relaxed);
  return sum;
}

std::uint64_t HistogramValue::quantile(double q) const noexcept {
  const auto wanted = static_cast<std::uint64_t>(std::ceil(std::clamp(q, 0.0, 1.0) * static_cast<double>(count)));
  std::uint64_t seen = 0;
  for (const Bucket& bucket : buckets) {
    seen += bucket.count;
    if (seen >= wanted) return bucket.max;
  }
  return buckets.empty() ? 0 : buckets.back().max;
}

Counter Metrics::counter(std::string_view name) { return Counter(find_or_add(Kind::kCounter, name, 1)); }

Gauge Metrics::gauge(std::string_view name) { return Gauge(find_or_add(Kind::kGauge, name, 1).first); }

Histogram Metrics::histogram(std::string_view name) {
  return Histogram(find_or_add(Kind::kHistogram, name, Histogram::kBuckets + 1));
}

std::vector<Sample> Metrics::snapshot() const {
  const auto histogram_value = [](const metrics_internal::Cells& cells) {
    HistogramValue value{.sum = cells.sum(Histogram::kBuckets)};
    for (std::size_t i = 0; i < Histogram::kBuckets; ++i) {
      const std::uint64_t count = cells.sum(i);
      if (count == 0) continue;
      value.count += count;
      value.buckets.push_back({.max = Histogram::bucket_max(i), .count = count});
    }
    return value;
  };
  std::vector<Sample> samples;
  const std::lock_guard lock(mutex_);
  for (const auto& [key, cells] : named_) {
    Sample& sample = samples.emplace_back(Sample{.name = key.first, .value = {}});
    switch (key.second) {
      case Kind::kCounter:
        sample.value = cells.sum();
        break;
      case Kind::kGauge:
        sample.value = std::bit_cast<std::int64_t>(cells.first->load(std::memory_order_relaxed));
        break;
      case Kind::kHistogram:
        sample.value = histogram_value(cells);
        break;
    }
  }
  return samples;
}

metrics_internal::Cells Metrics::find_or_add(Kind kind, std::string_view name, std::size_t cells) {
  const std::lock_guard lock(mutex_);
  const auto [found, added] = named_.try_emplace({std::string(name), kind});
  if (!added) return found->second;
  if (used_ + cells > metrics_internal::kBlockCells) {
    blocks_.push_back(std::make_unique<Block>());
    used_ = 0;
  }
  found->second.first = &blocks_.back()->cells[used_];
  used_ += cells;
  return found->second;
}

}  // namespace mailsbuddy
