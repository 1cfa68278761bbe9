// bench_dsn_mailsbuddy MESSAGES FILE...: reads MESSAGES reports, the files in turn, in one thread. Prints what that
// took, how many of the files are reports, and how many recipients they name, as JSON.
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "mailsbuddy/bounce.h"

namespace {

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Found {
  std::size_t reports = 0;
  std::size_t recipients = 0;
};

}  // namespace

int main(int argc, char** argv) {
  using namespace mailsbuddy;
  if (argc < 3) return std::fputs("usage: bench_dsn_mailsbuddy MESSAGES FILE...\n", stderr), 2;
  const std::size_t count = std::strtoull(argv[1], nullptr, 10);
  std::vector<std::string> messages;
  std::size_t bytes = 0;
  for (int i = 2; i < argc; ++i) {
    std::ifstream file(argv[i], std::ios::binary);
    messages.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    bytes += messages.back().size();
    if (messages.back().empty()) return std::fprintf(stderr, "%s: cannot be read\n", argv[i]), 2;
  }
  Found all;
  Found once;  // In each file once: what does not depend on the count.
  const double cpu_before = cpu_seconds();
  const auto before = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < count; ++i) {
    const bounce::Report report = bounce::parse(messages[i % messages.size()]);
    all.reports += report.kind != bounce::ReportKind::kNone ? 1 : 0;
    all.recipients += report.recipients.size();
    if (i + 1 == messages.size()) once = all;
  }
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - before;
  std::printf(
      "{\"messages\": %zu, \"files\": %zu, \"bytes\": %zu, \"reports\": %zu, \"recipients\": %zu, \"seconds\": %f, "
      "\"cpu_seconds\": %f}\n",
      count, messages.size(), bytes, once.reports, once.recipients, wall.count(), cpu_seconds() - cpu_before);
}
