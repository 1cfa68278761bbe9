// How fast permits are given, and what a limit costs while it waits: Throttle::try_take with every window in force, in
// one thread; then 10,000 lanes x 50 IPs of them at once; then a Pacer that sends for a million From domains, each with a limit;
// then what is kept of a million providers that are forgotten.
//   bench_limiter_mailsbuddy TAKES
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "mailsbuddy/warming.h"

namespace {

using mailsbuddy::Duration;
using mailsbuddy::TimePoint;
using mailsbuddy::warming::Curve;
using mailsbuddy::warming::Draw;
using mailsbuddy::warming::Limits;
using mailsbuddy::warming::Pacer;
using mailsbuddy::warming::Settings;
using mailsbuddy::warming::Throttle;

constexpr TimePoint kStart{std::chrono::seconds(1'790'000'000)};
constexpr std::size_t kLanes = 10'000;
constexpr std::size_t kIps = 50;
constexpr std::size_t kNamesMax = 1'000'000;

// Of this thread: on an idle machine the same as the time of the day, on a busy one what it would have been.
double thread_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t pages = 0, resident = 0;
  statm >> pages >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

Limits limits() {
  return {.messages_per_second = 1'000,
          .burst = 1,
          .messages_per_minute = 600'000,
          .messages_per_hour = 36'000'000,
          .messages_per_day = 864'000'000,
          .bytes_per_minute = 60'000'000'000};
}

struct Takes {
  double seconds = 0;
  std::uint64_t given = 0;
};

// Asks every `step`: of the permits, one a millisecond, so many are given.
Takes take(std::uint64_t takes, Duration step) {
  Throttle throttle(limits());
  TimePoint now = kStart;
  Takes result;
  const double start = thread_seconds();
  for (std::uint64_t i = 0; i < takes; ++i, now += step) result.given += throttle.try_take(now, 10'240) ? 1 : 0;
  result.seconds = thread_seconds() - start;
  return result;
}

// One message of each domain, twice over: the second time all that are remembered owe something.
struct Names {
  double seconds = 0;
  std::size_t bytes = 0;
};

Names send_for_names(std::size_t count) {
  auto settings = std::make_shared<Settings>();
  if (!settings->add("* ip messages_per_second=0\n* domain messages_per_day=100\n", "bench")) std::abort();
  const std::size_t before = resident_bytes();
  Pacer pacer({.provider = {"google"}, .ips = {{.address = "192.0.2.1"}}, .settings = settings});
  const double start = thread_seconds();
  for (std::size_t i = 0; i < 2 * count; ++i) {
    const std::string domain = "d" + std::to_string(i % count) + ".example";
    const Draw draw{.sender_domain = domain};
    static_cast<void>(pacer.next(0, draw, kStart));
    pacer.take(0, draw, kStart);
  }
  return {thread_seconds() - start, resident_bytes() - before};
}

// As a spool keeps them in memory: by name, of one warming IP that has sent a message there.
std::size_t forget_providers(std::size_t count) {
  std::map<std::string, std::string, std::less<>> kept;  // As a spool has them.
  const std::size_t before = resident_bytes();
  for (std::size_t i = 0; i < count; ++i) {
    const std::string name = "d" + std::to_string(i) + ".example";
    Pacer pacer({.provider = {name}, .ips = {{.address = "192.0.2.1", .curve = Curve{.name = "c", .daily = {500, 800}}}}});
    pacer.take(0, {}, kStart);
    pacer.learn(0, {}, kStart);
    kept["warming/" + name] = pacer.last_snapshot(kStart);
  }
  return resident_bytes() - before;
}

}  // namespace

int main(int argc, char** argv) {
  const std::uint64_t takes = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1'000'000;
  const Takes given = take(takes, std::chrono::milliseconds(1));    // Each is given.
  const Takes tenth = take(takes, std::chrono::microseconds(100));  // One in ten is.

  const std::size_t before = resident_bytes();
  std::vector<Throttle> throttles(kLanes * kIps, Throttle(limits()));
  for (Throttle& each : throttles) each.take(kStart, 10'240);
  const std::size_t after = resident_bytes();
  const double cpu_before = cpu_seconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  const double asleep = cpu_seconds() - cpu_before;
  std::uint64_t waiting = 0;
  for (const Throttle& each : throttles) waiting += each.next(kStart) > kStart ? 1 : 0;

  const std::size_t count = std::clamp<std::size_t>(takes / 100, 1, kNamesMax);  // A smoke test has few.
  const Names names = send_for_names(count);
  const std::size_t forgotten = forget_providers(count);

  std::printf(
      "{\"takes\": %llu, \"given\": %llu, \"given_seconds\": %.9f, \"given_of_ten\": %llu, \"tenth_seconds\": %.9f, "
      "\"limits\": %zu, \"waiting\": %llu, \"bytes_per_limit\": %.1f, \"asleep_cpu_seconds\": %.6f, "
      "\"names_seconds\": %.6f, \"names\": %zu, \"names_bytes\": %zu, \"forgotten_bytes\": %zu}\n",
      static_cast<unsigned long long>(takes), static_cast<unsigned long long>(given.given), given.seconds,
      static_cast<unsigned long long>(tenth.given), tenth.seconds, throttles.size(),
      static_cast<unsigned long long>(waiting),
      static_cast<double>(after - before) / static_cast<double>(throttles.size()), asleep, names.seconds,
      2 * count, names.bytes, forgotten);
}
