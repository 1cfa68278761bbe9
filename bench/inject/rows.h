// rows.h - the rows that both contenders make durable: those of the workload `rows`, half of them in 20 large domains, half
// in many small ones, in batches as large as an import writes.
#pragma once

#include <sys/resource.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "bench/support/mail.h"

namespace mailsbuddy::bench {

inline constexpr std::uint64_t kBatchRows = 4096;
inline constexpr std::uint64_t kLargeDomains = 20;

struct InjectRow {
  std::string domain;
  std::string local;
  std::string fields;
};

inline InjectRow inject_row(std::uint64_t row, std::uint64_t small_domains) {
  const Recipient recipient(row);
  const bool large = row % 2 == 0;
  const std::uint64_t domains = large ? kLargeDomains : small_domains;
  return {(large ? "large" : "small") + std::to_string(row / 2 % domains) + ".example", "recipient." + std::to_string(row),
          recipient.name + '\0' + recipient.city + '\0' + recipient.points};
}

inline std::vector<InjectRow> inject_batch(std::uint64_t from, std::uint64_t rows, std::uint64_t small_domains) {
  std::vector<InjectRow> batch;
  for (std::uint64_t row = from; row < from + kBatchRows && row < rows; ++row) {
    batch.push_back(inject_row(row, small_domains));
  }
  return batch;
}

// Wall and CPU time of parts of a run: all threads'.
class Watch {
 public:
  void start() {
    wall_from_ = std::chrono::steady_clock::now();
    cpu_from_ = cpu();
  }
  void stop() {
    wall += std::chrono::duration<double>(std::chrono::steady_clock::now() - wall_from_).count();
    cpu_seconds += cpu() - cpu_from_;
  }
  double wall = 0;
  double cpu_seconds = 0;

 private:
  static double cpu() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) {
      return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
  }
  std::chrono::steady_clock::time_point wall_from_;
  double cpu_from_ = 0;
};

}  // namespace mailsbuddy::bench
