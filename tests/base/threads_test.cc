// What several threads use at once: the queue, the CPU pool, the metrics. Meant above all for the thread sanitizer.
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <semaphore>
#include <thread>
#include <vector>

#include "core/base/cpu_pool.h"
#include "core/base/metrics.h"
#include "core/base/mpsc_queue.h"

namespace mailsbuddy {
namespace {

constexpr int kThreads = 4;

template <class Body>
void on_threads(int count, Body body) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back(body, i);
  for (std::thread& thread : threads) thread.join();
}

// Queue

BOOST_AUTO_TEST_CASE(queue_gives_items_in_order_and_says_when_it_was_empty) {
  MpscQueue<std::unique_ptr<int>> queue;
  std::vector<int> taken;
  const auto take = [&](std::unique_ptr<int> item) { taken.push_back(*item); };
  BOOST_TEST(queue.empty());
  BOOST_TEST(queue.drain(take) == 0U);
  BOOST_TEST(queue.push(std::make_unique<int>(1)));
  BOOST_TEST(!queue.push(std::make_unique<int>(2)));
  BOOST_TEST(!queue.push(std::make_unique<int>(3)));
  BOOST_TEST(!queue.empty());
  BOOST_TEST(queue.drain(take) == 3U);
  BOOST_TEST(queue.empty());
  BOOST_TEST(taken == (std::vector<int>{1, 2, 3}), boost::test_tools::per_element());
  BOOST_TEST(queue.push(std::make_unique<int>(4)));  // Empty again.
}

BOOST_AUTO_TEST_CASE(what_is_pushed_while_draining_waits) {
  MpscQueue<int> queue;
  queue.push(1);
  bool was_empty = false;
  BOOST_TEST(queue.drain([&](int item) { was_empty = queue.push(item + 1); }) == 1U);
  BOOST_TEST(was_empty);  // So the consumer is told again.
  BOOST_TEST(queue.drain([](int item) { BOOST_TEST(item == 2); }) == 1U);
}

BOOST_AUTO_TEST_CASE(destroying_a_queue_destroys_its_items) {
  const auto item = std::make_shared<int>(1);
  {
    MpscQueue<std::shared_ptr<int>> queue;
    for (int i = 0; i < 3; ++i) queue.push(item);
    BOOST_TEST(item.use_count() == 4);
  }
  BOOST_TEST(item.use_count() == 1);
}

// The consumer sleeps unless push() said true, as an event loop does. A lost wake-up would leave it asleep for ever.
BOOST_AUTO_TEST_CASE(producers_lose_nothing_and_keep_their_order) {
  constexpr int kItems = 20'000;
  struct Item {
    int producer;
    int number;
  };
  MpscQueue<Item> queue;
  std::counting_semaphore wake(0);
  std::array<int, kThreads> expected{};
  std::thread consumer([&] {
    for (int seen = 0; seen < kThreads * kItems;) {
      wake.acquire();
      seen += static_cast<int>(queue.drain([&](Item item) {
        int& next = expected[static_cast<std::size_t>(item.producer)];
        if (item.number == next) ++next;
      }));
    }
  });
  on_threads(kThreads, [&](int producer) {
    for (int number = 0; number < kItems; ++number) {
      if (queue.push({producer, number})) wake.release();
    }
  });
  consumer.join();
  for (const int count : expected) BOOST_TEST(count == kItems);
}

// CPU pool

std::unique_ptr<CpuPool> make_pool(int threads) {
  Result<std::unique_ptr<CpuPool>> pool = CpuPool::make(threads);
  BOOST_REQUIRE(pool.has_value());
  return *std::move(pool);
}

BOOST_AUTO_TEST_CASE(pool_sizes) {
  BOOST_TEST(make_pool(3)->threads() == 3);
  BOOST_TEST(make_pool(0)->threads() >= 1);
  const Result<std::unique_ptr<CpuPool>> refused = CpuPool::make(-1);
  BOOST_REQUIRE(!refused);
  BOOST_TEST((refused.error().code == ErrorCode::kInvalidArgument));
  BOOST_TEST(refused.error().detail == "-1 CPU threads");
}

BOOST_AUTO_TEST_CASE(one_thread_runs_tasks_in_order_of_posting) {
  const auto pool = make_pool(1);
  std::vector<int> ran;
  for (int i = 0; i < 1000; ++i) pool->post([&ran, i] { ran.push_back(i); });
  pool->stop();
  BOOST_REQUIRE(ran.size() == 1000U);
  for (int i = 0; i < 1000; ++i) BOOST_REQUIRE(ran[static_cast<std::size_t>(i)] == i);
}

BOOST_AUTO_TEST_CASE(tasks_run_at_the_same_time) {
  const auto pool = make_pool(kThreads);
  std::mutex mutex;
  std::condition_variable changed;
  int inside = 0;
  // Each waits for all the others: this ends only if all run at once.
  for (int i = 0; i < kThreads; ++i) {
    pool->post([&] {
      std::unique_lock lock(mutex);
      ++inside;
      changed.notify_all();
      changed.wait(lock, [&] { return inside == kThreads; });
    });
  }
  pool->stop();
  BOOST_TEST(inside == kThreads);
}

BOOST_AUTO_TEST_CASE(stop_runs_what_was_posted_and_drops_what_comes_later) {
  const auto pool = make_pool(2);
  std::atomic<int> ran = 0;
  const auto held = std::make_shared<int>(0);
  for (int i = 0; i < 500; ++i) pool->post([&ran, held] { ++ran; });
  pool->stop();
  BOOST_TEST(ran == 500);
  pool->post([&ran, held] { ++ran; });
  pool->stop();  // Again: nothing happens.
  BOOST_TEST(ran == 500);
  BOOST_TEST(held.use_count() == 1);  // All destroyed, the dropped one too.
}

BOOST_AUTO_TEST_CASE(a_task_posts_and_the_destructor_stops) {
  std::atomic<int> ran = 0;
  std::binary_semaphore second(0);
  {
    const auto pool = make_pool(2);
    pool->post([&] {
      pool->post([&] {
        ++ran;
        second.release();
      });
    });
    second.acquire();
    pool->post([&] { ++ran; });
  }
  BOOST_TEST(ran == 2);
}

BOOST_AUTO_TEST_CASE(a_pool_wakes_for_every_task) {
  const auto pool = make_pool(2);
  // One at a time, so that the threads are asleep, or on their way there, at each post.
  std::binary_semaphore done(0);
  for (int i = 0; i < 5000; ++i) {
    pool->post([&] { done.release(); });
    done.acquire();
  }
}

BOOST_AUTO_TEST_CASE(posting_from_many_threads_while_others_stop) {
  for (int round = 0; round < 50; ++round) {
    const auto pool = make_pool(2);
    std::atomic<int> posted = 0;
    std::atomic<int> ran = 0;
    std::atomic<bool> ran_late = false;
    const auto held = std::make_shared<int>(0);
    on_threads(kThreads, [&](int thread) {
      for (int i = 0; i < 100; ++i) {
        ++posted;
        pool->post([&ran, held] { ++ran; });
      }
      if (thread % 2 != 0) return;
      pool->stop();
      const int before = ran;  // Nothing runs any more once any stop() has returned.
      pool->post([&ran, held] { ++ran; });
      if (ran != before) ran_late = true;
    });
    BOOST_REQUIRE(!ran_late);
    BOOST_REQUIRE(ran <= posted);
    BOOST_REQUIRE(ran >= 100);  // The first to stop had posted all of its own.
    BOOST_REQUIRE(held.use_count() == 1);
  }
}

// Metrics

BOOST_AUTO_TEST_CASE(metrics_from_many_threads_add_up) {
  constexpr int kRounds = 20'000;
  Metrics metrics;
  const Gauge gauge = metrics.gauge("g");
  std::atomic<bool> done = false;
  std::thread reader([&] {
    std::uint64_t last = 0;
    while (!done) {
      for (const Sample& sample : metrics.snapshot()) {
        if (sample.name != "c") continue;
        const std::uint64_t count = std::get<std::uint64_t>(sample.value);
        if (count < last) std::abort();  // A counter only ever grows.
        last = count;
      }
    }
  });
  on_threads(kThreads, [&](int thread) {
    const Counter counter = metrics.counter("c");
    const Histogram histogram = metrics.histogram("h");
    metrics.counter("of " + std::to_string(thread)).add(static_cast<std::uint64_t>(thread));
    for (int i = 0; i < kRounds; ++i) {
      counter.add();
      gauge.add(i % 2 == 0 ? 1 : -1);
      histogram.record(3);
    }
  });
  done = true;
  reader.join();
  constexpr std::uint64_t kTotal = std::uint64_t{kThreads} * kRounds;
  for (const Sample& sample : metrics.snapshot()) {
    if (sample.name == "c") BOOST_TEST(std::get<std::uint64_t>(sample.value) == kTotal);
    if (sample.name == "g") BOOST_TEST(std::get<std::int64_t>(sample.value) == 0);
    if (sample.name == "h") {
      BOOST_TEST(std::get<HistogramValue>(sample.value).count == kTotal);
      BOOST_TEST(std::get<HistogramValue>(sample.value).sum == 3 * kTotal);
    }
  }
  BOOST_TEST(metrics.snapshot().size() == 3U + kThreads);
}

}  // namespace
}  // namespace mailsbuddy
