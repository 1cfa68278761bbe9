// bench_backlog_mailsbuddy fill DIR ROWS SMALL_DOMAINS PORT: imports a campaign of ROWS recipients into a new durable spool in
// DIR and pauses it. What is sent before it is paused goes to 127.0.0.1:PORT.
// bench_backlog_mailsbuddy go_on DIR MESSAGES PORT: another process goes on with it until MESSAGES more are delivered.
// bench_backlog_mailsbuddy summary DIR: what is queued by each grouping, of a process that sends nothing.
// Prints what that took as JSON.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>

#include "bench/support/many_rows.h"
#include "bench/support/send.h"

namespace mailsbuddy::bench {
namespace {

using namespace std::chrono_literals;

constexpr int kConnections = 20;  // To each site.
constexpr int kSecondsMax = 120;
constexpr std::uint64_t kBegin = 50'000;  // Messages, or a fifth of the queue: then it runs as it will.

std::unique_ptr<Engine> open(const char* directory, const char* port) {
  EngineOptions options = engine_options(static_cast<std::uint16_t>(to_number(port)), kConnections);
  options.spool = need(spool::open_rocks_spool({.directory = directory}));
  return need(Engine::open(std::move(options)));
}

std::uint64_t delivered(const Engine& engine) {
  return need(engine.status(make_campaign().id)).of(spool::State::kDelivered);
}

// Polled, so that nothing but the engine's own work is counted; a hundred times a second costs it nothing.
void wait_until(const Engine& engine, std::uint64_t count, std::chrono::steady_clock::time_point since) {
  while (delivered(engine) < count) {
    if (seconds_since(since) > kSecondsMax) {
      const CampaignStatus now = need(engine.status(make_campaign().id));
      std::string states;
      for (std::size_t i = 0; i < spool::kStateCount; ++i) {
        states += " " + std::string(spool::to_string(static_cast<spool::State>(i))) + " " + std::to_string(now.counts[i]);
      }
      need(Result<void>(Error{ErrorCode::kInternal, "it takes too long:" + states}));
    }
    std::this_thread::sleep_for(10ms);
  }
}

// Of RocksDB's own threads, which write and merge files: also those that the import left.
double background_cpu_seconds() {
  double ticks = 0;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name, stat;
    std::getline(std::ifstream(thread.path() / "comm"), name);
    if (!name.starts_with("rocksdb")) continue;
    std::getline(std::ifstream(thread.path() / "stat"), stat);
    std::size_t at = stat.rfind(')') + 2;  // What follows the name: state, then ten numbers before utime and stime.
    for (int i = 0; i < 11; ++i) at = stat.find(' ', at) + 1;
    char* after = nullptr;
    ticks += std::strtod(stat.c_str() + at, &after);
    ticks += std::strtod(after, nullptr);
  }
  return ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

void fill(const char* directory, std::uint64_t count, std::uint64_t small_domains, const char* port) {
  const auto engine = open(directory, port);
  ManyRows rows(count, small_domains);
  const auto started = std::chrono::steady_clock::now();
  need(engine->start(make_campaign(), rows));
  const double seconds = seconds_since(started);
  need(engine->pause(make_campaign().id));
  std::printf("{\"rows\": %llu, \"seconds\": %f}\n", static_cast<unsigned long long>(count), seconds);
}

void go_on(const char* directory, std::uint64_t messages, const char* port) {
  Memory memory;
  const auto started = std::chrono::steady_clock::now();
  const auto engine = open(directory, port);
  const std::uint64_t before = delivered(*engine);
  // What was on its way when the import's process ended is tried again only later.
  const std::uint64_t queued = need(engine->status(make_campaign().id)).of(spool::State::kQueued);
  need(engine->resume(make_campaign().id));
  wait_until(*engine, before + 1, started);
  const double first = seconds_since(started);
  const unsigned long long held = memory.now();
  const double first_cpu = cpu_seconds();
  // What is done once for a queue is behind it then: what follows is the cost of messages.
  wait_until(*engine, before + std::min(queued / 5, kBegin), started);
  const std::uint64_t from = delivered(*engine);
  const double cpu = cpu_seconds(), background = background_cpu_seconds();
  const auto sending = std::chrono::steady_clock::now();
  const std::uint64_t wanted = std::min(from + messages, before + queued);
  wait_until(*engine, wanted, sending);
  const std::uint64_t sent = delivered(*engine) - from;
  std::printf("{\"queued\": %llu, \"first_seconds\": %f, \"first_cpu_seconds\": %f, \"held_bytes\": %llu, \"peak_bytes\": %llu, "
              "\"sent\": %llu, \"cpu_seconds\": %f, \"background_cpu_seconds\": %f, \"seconds\": %f}\n",
              static_cast<unsigned long long>(queued), first, first_cpu, held, memory.peak(),
              static_cast<unsigned long long>(sent), cpu_seconds() - cpu,
              background_cpu_seconds() - background, seconds_since(sending));
  std::fflush(stdout);
  std::_Exit(0);  // What is still queued is nothing that this measures.
}

void summary(const char* directory) {
  Memory memory;
  auto started = std::chrono::steady_clock::now();
  const auto engine = need(Engine::open({.egress = {},
                                         .runtime_options = {.workers = 1, .cpu_threads = 1},
                                         .spool = need(spool::open_rocks_spool({.directory = directory})),
                                         .deliver = false}));
  std::printf("{\"open_seconds\": %f, \"held_bytes\": %llu}\n", seconds_since(started),
              static_cast<unsigned long long>(memory.now()));
  for (const char* by : {"campaign", "account", "state", "domain", "provider"}) {
    started = std::chrono::steady_clock::now();
    const double cpu = cpu_seconds();
    const auto found = need(engine->summary({}, need(parse_queue_grouping(by))));
    std::uint64_t rows = 0;
    for (const QueueGroup& each : found.groups) rows += each.rows();
    for (const std::uint64_t others : found.others) rows += others;
    std::printf(
        "{\"by\": \"%s\", \"rows\": %llu, \"groups\": %llu, \"seconds\": %f, \"cpu_seconds\": %f, \"peak_bytes\": "
        "%llu}\n",
        by, static_cast<unsigned long long>(rows),
        static_cast<unsigned long long>(found.groups.size() + found.other_groups), seconds_since(started),
        cpu_seconds() - cpu, static_cast<unsigned long long>(memory.peak()));
  }
}

}  // namespace
}  // namespace mailsbuddy::bench

int main(int argc, char** argv) {
  using namespace mailsbuddy::bench;
  const std::string_view what = argc > 1 ? argv[1] : "";
  if (what == "fill" && argc == 6) {
    fill(argv[2], to_number(argv[3]), to_number(argv[4]), argv[5]);
  } else if (what == "go_on" && argc == 5) {
    go_on(argv[2], to_number(argv[3]), argv[4]);
  } else if (what == "summary" && argc == 3) {
    summary(argv[2]);
  } else {
    return 2;
  }
}
