#include <algorithm>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <csignal>
#include <thread>
#include <vector>

#include "tests/net/support.h"

namespace mailsbuddy::net {
namespace {

using std::chrono::milliseconds;
using test::Latch;
using test::LoopThread;

BOOST_AUTO_TEST_CASE(tasks_run_on_the_loops_thread_in_order_of_posting) {
  constexpr int kThreads = 8;
  constexpr int kEach = 5'000;
  LoopThread on;
  std::vector<std::vector<int>> seen(kThreads);
  bool always_owner = true;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i)
        on.loop->post([&, t, i] {
          always_owner = always_owner && on.loop->is_owner();
          seen[static_cast<std::size_t>(t)].push_back(i);
        });
    });
  for (std::thread& thread : threads) thread.join();
  on.run([] {});
  BOOST_TEST(always_owner);
  BOOST_TEST(!on.loop->is_owner());
  for (const auto& of_one : seen) {
    BOOST_TEST(of_one.size() == static_cast<std::size_t>(kEach));
    BOOST_TEST(std::is_sorted(of_one.begin(), of_one.end()));
  }
}

BOOST_AUTO_TEST_CASE(a_task_posted_by_a_task_runs_without_anything_else_waking_the_loop) {
  LoopThread on;
  Latch done;
  int left = 1'000;
  std::function<void()> step = [&] {
    if (--left == 0) {
      done.open();
    } else {
      on.loop->post([&] { step(); });
    }
  };
  on.loop->post([&] { step(); });
  done.wait();
}

BOOST_AUTO_TEST_CASE(a_task_posted_from_a_timer_runs) {
  Latch done;
  UvLoop* loop = nullptr;
  Timer timer([&] { loop->post([&] { done.open(); }); });
  LoopThread on;  // Last: it stops before the timer goes.
  loop = on.loop.get();
  on.run([&] { on.loop->timers().arm(timer, on.loop->now() + milliseconds(2)); });
  done.wait();
}

BOOST_AUTO_TEST_CASE(timers_fire_in_order_and_never_early) {
  LoopThread on;
  Latch done;
  std::vector<int> order;
  bool early = false;
  std::vector<std::unique_ptr<Timer>> timers;
  std::vector<TimePoint> due(20);
  for (int i = 0; i < 20; ++i)
    timers.push_back(std::make_unique<Timer>([&, i] {
      early = early || on.clock.now() < due[static_cast<std::size_t>(i)];
      order.push_back(i);
      if (order.size() == 20) done.open();
    }));
  on.run([&] {
    for (std::size_t i = 20; i-- > 0;) {
      due[i] = on.loop->now() + milliseconds(2 * i);
      on.loop->timers().arm(*timers[i], due[i]);
    }
  });
  done.wait();
  on.run([&] {
    BOOST_TEST(order.size() == 20U);
    BOOST_TEST(std::is_sorted(order.begin(), order.end()));
    BOOST_TEST(!early);
    timers.clear();
  });
}

BOOST_AUTO_TEST_CASE(an_earlier_timer_overtakes_and_a_cancelled_one_stays_silent) {
  Latch done;
  bool late_fired = false;
  Timer late([&] { late_fired = true; });
  Timer cancelled([&] { BOOST_ERROR("cancelled, yet fired"); });
  Timer soon([&] { done.open(); });
  LoopThread on;
  on.run([&] { on.loop->timers().arm(late, on.loop->now() + std::chrono::hours(1)); });
  // One task: no timer fires before it ends, however long the machine takes over it. `cancelled` is due before `soon`.
  on.run([&] {
    on.loop->timers().arm(cancelled, on.loop->now() + milliseconds(1));
    on.loop->timers().arm(soon, on.loop->now() + milliseconds(5));
    on.loop->timers().cancel(cancelled);
  });
  done.wait();
  BOOST_TEST(!late_fired);
}

BOOST_AUTO_TEST_CASE(now_stands_still_within_a_task_and_moves_between_turns) {
  LoopThread on;
  const TimePoint first = on.run([&] {
    const TimePoint before = on.loop->now();
    while (on.clock.now() < before + milliseconds(2)) std::this_thread::yield();
    BOOST_TEST((on.loop->now() == before));
    return before;
  });
  Latch done;
  Timer timer([&] {
    BOOST_TEST((on.loop->now() >= first + milliseconds(3)));
    done.open();
  });
  on.run([&] { on.loop->timers().arm(timer, first + milliseconds(3)); });
  done.wait();
  on.loop->stop();
}

BOOST_AUTO_TEST_CASE(stop_runs_what_was_posted_and_drops_what_comes_after) {
  LoopThread on;
  std::atomic<int> ran = 0;
  auto dropped = std::make_shared<int>(0);
  for (int i = 0; i < 100; ++i)
    on.loop->post([&] {
      ++ran;
      on.loop->post([&] { ran += 1'000; });  // Perhaps before stop(), perhaps after; never half-way.
    });
  on.loop->stop();
  const int after = ran;
  BOOST_TEST(after % 1'000 == 100 % 1'000);
  on.loop->post([&ran, dropped] { ran += *dropped + 1; });
  on.loop->stop();
  BOOST_TEST(ran == after);
  BOOST_TEST(dropped.use_count() == 1);  // The task is gone, with what it held.
}

BOOST_AUTO_TEST_CASE(stop_against_posting_threads) {
  for (int round = 0; round < 50; ++round) {
    LoopThread on;
    std::atomic<bool> go = true;
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t)
      threads.emplace_back([&] {
        while (go) on.loop->post([] {});
      });
    on.run([] {});
    on.loop->stop();
    go = false;
    for (std::thread& thread : threads) thread.join();
  }
}

BOOST_AUTO_TEST_CASE(a_loop_that_was_never_started_runs_its_tasks_when_stopped) {
  SystemClock clock;
  auto loop = UvLoop::make(clock).value();
  bool ran = false;
  loop->post([&] { ran = true; });
  loop->stop();
  BOOST_TEST(ran);
}

BOOST_AUTO_TEST_CASE(the_loops_thread_takes_no_signals) {
  LoopThread on;
  const bool blocked = on.run([] {
    sigset_t set;
    pthread_sigmask(SIG_BLOCK, nullptr, &set);
    return sigismember(&set, SIGPIPE) == 1 && sigismember(&set, SIGTERM) == 1 && sigismember(&set, SIGINT) == 1;
  });
  BOOST_TEST(blocked);
  struct sigaction action {};
  sigaction(SIGPIPE, nullptr, &action);
  BOOST_TEST((action.sa_handler == SIG_DFL));  // The process' own handling is as it was.
}

}  // namespace
}  // namespace mailsbuddy::net
