// What a trace costs the threads that do the work, a line of it: dialogues of one message of 10 KB, of which 13 lines are shown.
//   listener/alone     a listener's session, nobody follows: what it all costs
//   listener/followed   somebody does, and takes: the difference, by 13, is a line's cost
//   listener/elsewhere  somebody follows another client
//   engine_line/followed the lines of one engine's connection alone; lines a second are "items"
//   engine_line/elsewhere of a connection that a filter by domain lets nobody see, between messages
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "engine/trace.h"
#include "smtp/listen_session.h"
#include "smtp/transcript.h"

namespace mailsbuddy {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kNow{std::chrono::seconds(1'800'000'000)};
constexpr int kLinesOfAMessage = 13;

std::string content() {
  std::string text = "From: news@sender.example\r\nTo: ann@example.net\r\nSubject: News\r\nMessage-ID: <1@sender.example>\r\n\r\n";
  while (text.size() < 10'240) text += "A line of text as it stands in a newsletter, of some length.\r\n";
  return text + ".\r\n";
}
const std::string kEnvelope = "MAIL FROM:<news@sender.example>\r\nRCPT TO:<ann@example.net>\r\nDATA\r\n";

// ---------------------------------------------------------------------------------------------------------------------
// A listener

class Taker final : public smtp::ListenHandler {
 public:
  void authenticate(const smtp::Credentials&, Authenticated done) override { done(smtp::Identity{.user = "app"}); }
  void on_message(smtp::Submission, Answered done) override {
    done({.code = 250, .enhanced = EnhancedCode{2, 0, 0}, .text = "Taken"});
  }
};

class AtOnce final : public Executor {
 public:
  void post(Task task) override { tasks.push_back(std::move(task)); }
  void run() {
    for (Task& task : std::exchange(tasks, {})) task();
  }
  std::vector<Task> tasks;
};

void listener(benchmark::State& state, const char* filter) {
  auto shared = smtp::ListenShared::make({.endpoints = {{.endpoint = *net::Endpoint::parse("127.0.0.1:25", 25)}},
                                          .host = "mx.example",
                                          .auth_required = false},
                                         std::make_shared<Taker>(), 1)
                    .value();
  std::unique_ptr<Tracing> tracing;
  if (filter != nullptr)
    tracing = std::make_unique<Following<Tracing, smtp::ListenFollowers>>(
        shared->followers, smtp::ListenWanted::make(smtp::ListenTraceFilter::parse(filter).value()).value());
  AtOnce loop;
  Random random{1};
  smtp::ListenSession session(*shared, {0, *net::Endpoint::parse("192.0.2.1:1", 1), std::make_shared<smtp::ListenHome>(loop), [] {}, [] { return kNow; }}, random);
  session.begin(kNow);
  const std::string message = content();
  const auto say = [&](std::string_view bytes) {
    session.feed(bytes, kNow);
    loop.run();
    session.consume(session.output().size());
  };
  say("EHLO c\r\n");
  std::uint64_t lines = 0;
  if (tracing) tracing->take(0ms);
  for (auto _ : state) {
    say(kEnvelope);
    say(message);
    if (tracing) lines += tracing->take(0ms).size();
  }
  const bool seen = filter != nullptr && *filter == '\0';
  if (lines != (seen ? state.iterations() * kLinesOfAMessage : 0)) std::abort();
  state.counters["lines"] = seen ? kLinesOfAMessage : 0;
}
BENCHMARK_CAPTURE(listener, alone, nullptr);
BENCHMARK_CAPTURE(listener, followed, "");
BENCHMARK_CAPTURE(listener, elsewhere, "client=192.0.2.9");

// ---------------------------------------------------------------------------------------------------------------------
// An engine

void engine_line(benchmark::State& state, const char* filter) {
  auto traces = std::make_shared<engine::Traces>();
  const auto tracing = engine::follow(traces, TraceFilter::parse(filter).value());
  engine::LaneTracer lane(*traces, "example", "192.0.2.1");
  auto trace = lane.trace({.id = 1, .remote = *net::Endpoint::parse("198.51.100.1:25", 25), .mx_host = "mx1.example.net"});
  if (trace == nullptr) std::abort();
  smtp::Transcript transcript(std::move(trace));
  const std::string message = content();
  for (auto _ : state) {
    transcript.sent(kNow, kEnvelope);
    transcript.received(kNow, "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 Go ahead\r\n");
    transcript.sent(kNow, message);
    transcript.received(kNow, "250 2.0.0 Queued as 4F2B1\r\n");
    benchmark::DoNotOptimize(tracing->take(0ms));
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * kLinesOfAMessage);
}
BENCHMARK_CAPTURE(engine_line, followed, "");
BENCHMARK_CAPTURE(engine_line, elsewhere, "domain=example.org");

}  // namespace
}  // namespace mailsbuddy

BENCHMARK_MAIN();
