// many_rows.h - what the benches of large campaigns share: the rows of a consumer list, and what a process takes.
#pragma once

#include <sys/resource.h>

#include <array>
#include <chrono>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "bench/support/mail.h"

namespace mailsbuddy::bench {

inline constexpr std::uint64_t kLargeDomains = 20;      // Take half of the rows,
inline constexpr std::uint64_t kSmallDomains = 20'000;  // these the other half: the long tail of a consumer list.

// Threads: one owner. Views: until next().
class ManyRows final : public RowSource {
 public:
  explicit ManyRows(std::uint64_t count, std::uint64_t small_domains = kSmallDomains)
      : count_(count), small_domains_(small_domains) {}
  std::span<const std::string> columns() const override { return columns_; }
  void refused(const BadRow& row) override {
    need(Result<void>(Error{ErrorCode::kInternal, row.address + " was refused: " + row.reason}));
  }
  Result<std::optional<RowView>> next() override {
    if (row_ == count_) return std::optional<RowView>();
    const Recipient recipient(row_);
    address_ = "recipient." + std::to_string(row_) + "@" + domain();
    fields_ = {recipient.name, recipient.city, recipient.points};
    values_ = {fields_[0], fields_[1], fields_[2]};
    ++row_;
    return std::optional(RowView{.number = row_, .address = address_, .values = values_});
  }

 private:
  std::string domain() const {
    const bool large = row_ % 2 == 0;
    return (large ? "large" : "small") + std::to_string(row_ / 2 % (large ? kLargeDomains : small_domains_)) + ".example";
  }

  std::uint64_t count_;
  std::uint64_t small_domains_;
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

inline double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace mailsbuddy::bench
