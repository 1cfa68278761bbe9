// bench_rows_mailsbuddy PORT ROWS: imports a campaign of ROWS recipients, holds it ready, then lets sending to
// 127.0.0.1:PORT begin. Prints what that took as JSON.
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>

#include "bench/support/many_rows.h"
#include "bench/support/send.h"

namespace mailsbuddy::bench {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kBeginShare = 50;  // Sending has begun when one row in so many is delivered.

void measure(std::uint16_t port, std::uint64_t count) {
  Memory memory;
  auto engine = need(Engine::open(engine_options(port, 1)));
  Campaign campaign = make_campaign();
  const std::string id = campaign.id;
  const unsigned long long before = memory.now();
  const auto started = std::chrono::steady_clock::now();
  const double cpu = cpu_seconds();
  ManyRows rows(count);
  const ImportReport report = need(engine->start(std::move(campaign), rows));
  const double start_seconds = seconds_since(started);
  const double start_cpu_seconds = cpu_seconds() - cpu;
  need(engine->pause(id));
  std::this_thread::sleep_for(1s);  // What start() set going comes to rest.
  const unsigned long long held = memory.now();
  const unsigned long long held_peak = memory.peak();

  need(engine->resume(id));
  CampaignStatus status;
  do {
    std::this_thread::sleep_for(10ms);
    status = need(engine->status(id));
  } while (status.of(spool::State::kDelivered) < count / kBeginShare && seconds_since(started) < 300);

  std::printf(
      "{\"accepted\": %llu, \"refused\": %llu, \"domains\": %llu, \"total\": %llu, \"delivered\": %llu, "
      "\"start_seconds\": %f, \"start_cpu_seconds\": %f, \"before_bytes\": %llu, \"held_bytes\": %llu, "
      "\"held_peak_bytes\": %llu, \"peak_bytes\": %llu}\n",
      static_cast<unsigned long long>(report.accepted), static_cast<unsigned long long>(report.refused),
      static_cast<unsigned long long>(report.domains), static_cast<unsigned long long>(status.total),
      static_cast<unsigned long long>(status.of(spool::State::kDelivered)), start_seconds, start_cpu_seconds, before,
      held, held_peak, memory.peak());
}

}  // namespace
}  // namespace mailsbuddy::bench

int main(int argc, char** argv) {
  using namespace mailsbuddy::bench;
  if (argc != 3) return 2;
  measure(static_cast<std::uint16_t>(to_number(argv[1])), to_number(argv[2]));
}
