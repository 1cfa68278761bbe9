// bench_rows_mailsbuddy PORT ROWS: imports a campaign of ROWS recipients, holds it ready, then lets sending to
// 127.0.0.1:PORT begin. Prints what that took as JSON.
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>

#include "bench/support/send.h"

namespace mailsbuddy::bench {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kLargeDomains = 20;      // Take half of the rows,
constexpr std::uint64_t kSmallDomains = 20'000;  // these the other half: the long tail of a consumer list.
constexpr std::uint64_t kBeginShare = 50;        // Sending has begun when one row in so many is delivered.

std::string domain(std::uint64_t row) {
  const bool large = row % 2 == 0;
  return (large ? "large" : "small") + std::to_string(row / 2 % (large ? kLargeDomains : kSmallDomains)) + ".example";
}

// Threads: one owner. Views: until next().
class ManyRows final : public RowSource {
 public:
  explicit ManyRows(std::uint64_t count) : count_(count) {}
  std::span<const std::string> columns() const override { return columns_; }
  void refused(const BadRow& row) override {
    need(Result<void>(Error{ErrorCode::kInternal, row.address + " was refused: " + row.reason}));
  }
  Result<std::optional<RowView>> next() override {
    if (row_ == count_) return std::optional<RowView>();
    const Recipient recipient(row_);
    address_ = "recipient." + std::to_string(row_) + "@" + domain(row_);
    fields_ = {recipient.name, recipient.city, recipient.points};
    values_ = {fields_[0], fields_[1], fields_[2]};
    ++row_;
    return std::optional(RowView{.number = row_, .address = address_, .values = values_});
  }

 private:
  std::uint64_t count_;
  std::uint64_t row_ = 0;
  std::string address_;
  std::array<std::string, 3> fields_;
  std::array<std::string_view, 3> values_;
  std::vector<std::string> columns_{"name", "city", "points"};
};

// This process's resident memory. The file is open from the start: later there may be no descriptor left for it.
class Memory {
 public:
  unsigned long long now() { return line("VmRSS:"); }
  unsigned long long peak() { return line("VmHWM:"); }

 private:
  unsigned long long line(std::string_view wanted) {
    status_.clear();
    status_.seekg(0);
    for (std::string name; status_ >> name; std::getline(status_, name)) {
      unsigned long long kilobytes = 0;
      if (name == wanted && status_ >> kilobytes) return kilobytes * 1024;
    }
    need(Result<void>(Error{ErrorCode::kIo, "/proc/self/status cannot be read"}));
    return 0;
  }

  std::ifstream status_{"/proc/self/status"};
};

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

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
