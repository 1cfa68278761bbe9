// Events on their way from the outbox to sinks that take them, or not now.
#include "engine/events.h"

#include <fmt/format.h>

#include <boost/test/unit_test.hpp>

#include "tests/sim/sim.h"

using namespace mailsbuddy;
using namespace std::chrono_literals;

namespace {

struct Sink final : EventSink {
  bool takes_events = true;
  bool takes_decisions = true;
  std::vector<std::vector<std::string>> refused;  // Whose, by batch.
  std::vector<std::string> events;
  std::vector<std::string> decisions;
  int decisions_refused = 0;

  Result<void> on_events(std::span<const Event> batch) override {
    std::vector<std::string> recipients;
    for (const Event& event : batch) recipients.push_back(event.recipient);
    if (!takes_events) {
      refused.push_back(std::move(recipients));
      return Error{ErrorCode::kIo, "no room"};
    }
    events.insert(events.end(), recipients.begin(), recipients.end());
    return {};
  }
  Result<void> on_decisions(std::span<const warming::Decision> batch) override {
    if (!takes_decisions) {
      ++decisions_refused;
      return Error{ErrorCode::kIo, "no room"};
    }
    for (const warming::Decision& decision : batch) decisions.push_back(decision.rule);
    return {};
  }
};

struct Log final : LogSink {
  std::vector<std::string> lines;
  void write(LogLevel, std::string_view, std::string_view line) noexcept override { lines.emplace_back(line); }
};

struct Office {
  sim::SimLoop loop;
  std::unique_ptr<spool::Spool> spool = spool::make_memory_spool();
  Log log;
  engine::EventDispatcher dispatcher{*spool, loop, loop, &log, true};
  std::vector<std::string> happened;

  std::shared_ptr<Sink> subscribe() {
    auto sink = std::make_shared<Sink>();
    dispatcher.subscribe(sink);
    return sink;
  }
  void happen(int count) {
    spool::Batch batch;
    for (int i = 0; i < count; ++i) {
      happened.push_back(fmt::format("u{}@x.test", happened.size()));
      batch.events.push_back(engine::encode_event({.recipient = happened.back()}));
    }
    spool->commit(std::move(batch), nullptr);
    dispatcher.notify();
  }
  void decide(const std::string& rule) {
    spool->commit({.events = {engine::encode_decision({.rule = rule})}}, nullptr);
    dispatcher.notify();
  }
  void run(Duration time) { loop.run_until(loop.now() + time); }
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(what_a_sink_refuses_comes_again_the_same_and_leaves_nothing_behind, Office) {
  const auto sink = subscribe();
  sink->takes_events = false;
  happen(3);
  run(100ms);
  happen(2);  // Is not in the batch that comes again.
  run(5s);
  BOOST_TEST(sink->refused.size() == 6U);
  for (const auto& batch : sink->refused) BOOST_TEST(batch.size() == 3U);
  BOOST_TEST(spool->event_count() == 5U);
  sink->takes_events = true;
  run(2s);
  BOOST_TEST(sink->events == happened, boost::test_tools::per_element());
  BOOST_TEST(spool->event_count() == 0U);
  BOOST_REQUIRE(log.lines.size() == 2U);  // When it begins, and when it ends.
  BOOST_TEST(log.lines[0].find("no room") != std::string::npos, log.lines[0]);
}

BOOST_FIXTURE_TEST_CASE(other_sinks_go_on_and_nothing_leaves_the_outbox, Office) {
  const auto good = subscribe();
  const auto bad = subscribe();
  bad->takes_events = false;
  happen(3000);  // Some batches.
  run(100ms);
  BOOST_TEST(good->events == happened, boost::test_tools::per_element());
  BOOST_TEST(bad->refused.size() == 1U);
  BOOST_TEST(spool->event_count() == 3000U);
  happen(1);
  const auto late = subscribe();  // Has what is still there.
  run(3s);
  BOOST_TEST(good->events == happened, boost::test_tools::per_element());
  BOOST_TEST(late->events == happened, boost::test_tools::per_element());
  BOOST_TEST(spool->event_count() == 3001U);
  bad->takes_events = true;
  run(2s);
  BOOST_TEST(bad->events == happened, boost::test_tools::per_element());
  BOOST_TEST(good->events.size() == 3001U);
  BOOST_TEST(spool->event_count() == 0U);
}

BOOST_FIXTURE_TEST_CASE(events_do_not_come_twice_when_decisions_are_refused, Office) {
  const auto sink = subscribe();
  sink->takes_decisions = false;
  happen(2);
  decide("step_back");
  run(3500ms);
  BOOST_TEST(sink->events == happened, boost::test_tools::per_element());
  BOOST_TEST(sink->decisions_refused == 4);
  BOOST_TEST(spool->event_count() == 3U);
  happen(1);
  sink->takes_decisions = true;
  run(2s);
  BOOST_TEST(sink->decisions.size() == 1U);
  BOOST_TEST(sink->events == happened, boost::test_tools::per_element());
  BOOST_TEST(spool->event_count() == 0U);
}

BOOST_FIXTURE_TEST_CASE(a_dispatcher_that_goes_takes_its_second_tries_with_it, Office) {
  {
    engine::EventDispatcher other{*spool, loop, loop, nullptr, true};
    const auto sink = std::make_shared<Sink>();
    sink->takes_events = false;
    other.subscribe(sink);
    happen(1);
    other.notify();
    loop.run_tasks();
    BOOST_TEST(sink->refused.size() == 1U);
  }
  run(5s);
  BOOST_TEST(loop.timers().size() == 0U);
}
