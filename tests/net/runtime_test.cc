#include <atomic>
#include <boost/test/unit_test.hpp>
#include <set>

#include "tests/net/support.h"

namespace mailsbuddy::net {
namespace {

using test::Fd;
using test::kHang;
using test::Latch;
using test::Recorder;
using test::Server;

RuntimeOptions small() {
  return {.workers = 2,
          .cpu_threads = 2,
          .resolver = {.servers = {Endpoint::parse("127.0.0.1:53", 53).value()}},
          .seed = 7};
}

BOOST_AUTO_TEST_CASE(each_worker_has_its_own_thread_and_what_lives_on_it) {
  const auto runtime = make_runtime(small()).value();
  BOOST_TEST(runtime->workers() == 2);
  BOOST_TEST(runtime->seed() == 7U);
  std::set<std::thread::id> threads;
  for (int worker = 0; worker < runtime->workers(); ++worker) {
    Latch done;
    runtime->loop(worker).post([&] {
      BOOST_TEST(runtime->loop(worker).is_owner());
      BOOST_TEST(!runtime->loop(1 - worker).is_owner());
      threads.insert(std::this_thread::get_id());
      done.open();
    });
    done.wait();
  }
  BOOST_TEST(threads.size() == 2U);
}

BOOST_AUTO_TEST_CASE(events_keep_their_order) {
  const auto runtime = make_runtime(small()).value();
  std::vector<int> seen;
  for (int i = 0; i < 1'000; ++i) runtime->events().post([&seen, i] { seen.push_back(i); });
  runtime->stop();
  BOOST_TEST(seen.size() == 1'000U);
  BOOST_TEST(std::is_sorted(seen.begin(), seen.end()));
}

BOOST_AUTO_TEST_CASE(what_is_computed_before_stop_still_reaches_loops_and_sinks) {
  const auto runtime = make_runtime(small()).value();
  std::atomic<int> reported = 0;
  for (int i = 0; i < 100; ++i)
    runtime->cpu().post([&, i] { runtime->loop(i % 2).post([&] { runtime->events().post([&] { ++reported; }); }); });
  runtime->stop();
  BOOST_TEST(reported == 100);
  runtime->stop();
  runtime->cpu().post([] { BOOST_ERROR("ran after stop()"); });
  runtime->loop(0).post([] { BOOST_ERROR("ran after stop()"); });
  runtime->events().post([] { BOOST_ERROR("ran after stop()"); });
}

BOOST_AUTO_TEST_CASE(connects_and_may_be_stopped_while_connected) {
  Server server([](Fd peer) {
    peer.send("220 hello\r\n");
    peer.receive(1);
  });
  Recorder client;
  const auto runtime = make_runtime(small()).value();
  runtime->loop(1).post([&] { client.stream = runtime->transport(1).connect({}, server.endpoint(), client); });
  client.wait_for_data("220 hello\r\n");
  runtime->stop();
  client.stream.reset();
  BOOST_TEST(client.events() == "connected data");
}

BOOST_AUTO_TEST_CASE(seeds_differ_when_none_is_given) {
  RuntimeOptions options = small();
  options.seed = 0;
  BOOST_TEST(make_runtime(options).value()->seed() != make_runtime(options).value()->seed());
}

struct Bad {
  const char* name;
  RuntimeOptions options;
  const char* detail;
};

const std::vector<Bad> kBad = {
    {"workers below 0", {.workers = -1}, "-1 threads: not from 0 to 1024"},
    {"too many CPU threads", {.cpu_threads = 5'000}, "5000 threads: not from 0 to 1024"},
    {"resolver", {.workers = 1, .resolver = {.tries = 0}}, "resolver tries: not from 1 to 100"},
};

BOOST_AUTO_TEST_CASE(options_that_cannot_be) {
  for (const Bad& c : kBad) BOOST_TEST_CONTEXT(c.name) {
      const auto made = make_runtime(c.options);
      BOOST_REQUIRE(!made);
      BOOST_TEST((made.error().code == ErrorCode::kInvalidArgument));
      BOOST_TEST(made.error().detail == c.detail);
    }
}

}  // namespace
}  // namespace mailsbuddy::net
