#include "core/base/metrics.h"

#include <boost/test/unit_test.hpp>
#include <limits>
#include <string>

namespace mailsbuddy {
namespace {

BOOST_AUTO_TEST_CASE(counters_and_gauges) {
  Metrics metrics;
  const Counter sent = metrics.counter("sent");
  const Gauge open = metrics.gauge("open");
  sent.add();
  sent.add(41);
  open.add(5);
  open.add(-7);
  const std::vector<Sample> samples = metrics.snapshot();
  BOOST_REQUIRE(samples.size() == 2U);
  BOOST_TEST(samples[0].name == "open");
  BOOST_TEST(std::get<std::int64_t>(samples[0].value) == -2);
  BOOST_TEST(samples[1].name == "sent");
  BOOST_TEST(std::get<std::uint64_t>(samples[1].value) == 42U);
  open.set(std::numeric_limits<std::int64_t>::min());
  BOOST_TEST(std::get<std::int64_t>(metrics.snapshot()[0].value) == std::numeric_limits<std::int64_t>::min());
}

BOOST_AUTO_TEST_CASE(a_name_and_kind_is_one_metric) {
  Metrics metrics;
  metrics.counter("a").add(1);
  metrics.counter("a").add(2);
  metrics.gauge("a").set(9);  // Another kind: another metric.
  const std::vector<Sample> samples = metrics.snapshot();
  BOOST_REQUIRE(samples.size() == 2U);
  BOOST_TEST(std::get<std::uint64_t>(samples[0].value) == 3U);
  BOOST_TEST(std::get<std::int64_t>(samples[1].value) == 9);
}

BOOST_AUTO_TEST_CASE(a_snapshot_is_sorted_and_complete_over_many_blocks) {
  Metrics metrics;
  BOOST_TEST(metrics.snapshot().empty());
  for (int i = 1500; i > 0; --i) metrics.counter("c" + std::to_string(10'000 + i)).add(static_cast<std::uint64_t>(i));
  const std::vector<Sample> samples = metrics.snapshot();
  BOOST_REQUIRE(samples.size() == 1500U);
  for (std::size_t i = 0; i < samples.size(); ++i) {
    BOOST_REQUIRE(samples[i].name == "c" + std::to_string(10'001 + i));
    BOOST_REQUIRE(std::get<std::uint64_t>(samples[i].value) == i + 1);
  }
}

BOOST_AUTO_TEST_CASE(buckets_cover_all_values_without_gap_or_overlap) {
  std::uint64_t lowest = 0;
  for (std::size_t bucket = 0; bucket < Histogram::kBuckets; ++bucket) {
    const std::uint64_t highest = Histogram::bucket_max(bucket);
    BOOST_REQUIRE(highest >= lowest);
    BOOST_REQUIRE(Histogram::bucket_of(lowest) == bucket);
    BOOST_REQUIRE(Histogram::bucket_of(highest) == bucket);
    BOOST_REQUIRE(highest - lowest <= lowest / 4);  // What quantile() promises.
    lowest = highest + 1;
  }
  BOOST_TEST(lowest == 0U);  // Past the largest number there is.
}

HistogramValue recorded(std::initializer_list<std::uint64_t> values) {
  Metrics metrics;
  const Histogram histogram = metrics.histogram("h");
  for (const std::uint64_t value : values) histogram.record(value);
  return std::get<HistogramValue>(metrics.snapshot()[0].value);
}

BOOST_AUTO_TEST_CASE(histograms_count_add_and_rank) {
  const HistogramValue none = recorded({});
  BOOST_TEST(none.count == 0U);
  BOOST_TEST(none.quantile(0.5) == 0U);

  const HistogramValue some = recorded({0, 1, 1, 2, 3, 1000, 1023});
  BOOST_TEST(some.count == 7U);
  BOOST_TEST(some.sum == 2030U);
  BOOST_TEST(some.buckets.size() == 5U);
  BOOST_TEST((some.buckets[1] == HistogramValue::Bucket{.max = 1, .count = 2}));
  BOOST_TEST((some.buckets[4] == HistogramValue::Bucket{.max = 1023, .count = 2}));
  BOOST_TEST(some.quantile(0) == 0U);
  BOOST_TEST(some.quantile(0.4) == 1U);  // The third of seven.
  BOOST_TEST(some.quantile(0.5) == 2U);
  BOOST_TEST(some.quantile(1) == 1023U);
  BOOST_TEST(some.quantile(7) == 1023U);  // Beyond 1 counts as 1.

  BOOST_TEST(recorded({~std::uint64_t{0}}).quantile(1) == ~std::uint64_t{0});
}

BOOST_AUTO_TEST_CASE(histograms_stand_beside_counters) {
  Metrics metrics;
  for (int i = 0; i < 5; ++i) {
    metrics.histogram("h" + std::to_string(i)).record(100);
    metrics.counter("c" + std::to_string(i)).add(7);
  }
  for (const Sample& sample : metrics.snapshot()) {
    if (sample.name[0] == 'h') {
      BOOST_TEST(std::get<HistogramValue>(sample.value).count == 1U);
      BOOST_TEST(std::get<HistogramValue>(sample.value).sum == 100U);
    } else {
      BOOST_TEST(std::get<std::uint64_t>(sample.value) == 7U);
    }
  }
}

}  // namespace
}  // namespace mailsbuddy
