// How fast permits are given, and what a limit costs while it waits: Throttle::try_take with every window in force, in
// one thread; then 10,000 lanes x 50 IPs of them at once.
//   bench_limiter_mailsbuddy TAKES
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <thread>
#include <vector>

#include "mailsbuddy/warming.h"

namespace {

using mailsbuddy::Duration;
using mailsbuddy::TimePoint;
using mailsbuddy::warming::Limits;
using mailsbuddy::warming::Throttle;

constexpr TimePoint kStart{std::chrono::seconds(1'790'000'000)};
constexpr std::size_t kLanes = 10'000;
constexpr std::size_t kIps = 50;

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

  std::printf(
      "{\"takes\": %llu, \"given\": %llu, \"given_seconds\": %.9f, \"given_of_ten\": %llu, \"tenth_seconds\": %.9f, "
      "\"limits\": %zu, \"waiting\": %llu, \"bytes_per_limit\": %.1f, \"asleep_cpu_seconds\": %.6f}\n",
      static_cast<unsigned long long>(takes), static_cast<unsigned long long>(given.given), given.seconds,
      static_cast<unsigned long long>(tenth.given), tenth.seconds, throttles.size(),
      static_cast<unsigned long long>(waiting),
      static_cast<double>(after - before) / static_cast<double>(throttles.size()), asleep);
}
