// bench_inject_mailsbuddy inject DIR ROWS SMALL_DOMAINS: makes the rows of a campaign durable in a new spool.
// bench_inject_mailsbuddy open DIR: opens it in a process of its own, reads first rows, and sends some: claims, settles.
// bench_inject_mailsbuddy suppress DIR ENTRIES: imports suppressions, and looks up some.
// Each prints what that took as JSON.
#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "bench/inject/rows.h"
#include "bench/support/runtime.h"
#include "bench/support/send.h"
#include "mailsbuddy/spool.h"

namespace mailsbuddy::bench {
namespace {

constexpr std::size_t kSendRows = 100'000;
constexpr std::size_t kSendBatch = 256;  // Rows of one commit, as the engine's workers make them.
constexpr std::uint64_t kLookUps = 200'000;

std::unique_ptr<spool::Spool> open(const std::string& directory) {
  return need(spool::open_rocks_spool({.directory = directory}));
}

std::uint64_t bytes_in(const std::string& directory) {
  std::uint64_t bytes = 0;
  for (const auto& file : std::filesystem::directory_iterator(directory)) bytes += file.is_regular_file() ? file.file_size() : 0;
  return bytes;
}

unsigned long long resident(std::string_view wanted) {
  std::ifstream status("/proc/self/status");
  for (std::string name; status >> name; std::getline(status, name)) {
    unsigned long long kilobytes = 0;
    if (name == wanted && status >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

void inject(const std::string& directory, std::uint64_t rows, std::uint64_t small_domains) {
  auto spool = open(directory);
  const spool::JobNumber job = need(spool->create({.id = "campaign", .content = "template"}));
  Watch watch;
  std::uint64_t own = 0;
  for (std::uint64_t from = 0; from < rows; from += kBatchRows) {
    const auto batch = inject_batch(from, rows, small_domains);
    std::vector<spool::RowInput> inputs;
    for (const InjectRow& row : batch) {
      inputs.push_back({row.domain, row.local, row.fields});
      own += row.domain.size() + row.local.size() + row.fields.size();
    }
    watch.start();
    need(spool->append(job, inputs));
    watch.stop();
  }
  const std::uint64_t right_after = bytes_in(directory);
  const unsigned long long peak = resident("VmHWM:");
  spool.reset();
  std::printf("{\"rows\": %llu, \"seconds\": %f, \"cpu_seconds\": %f, \"own_bytes\": %llu, \"disk_bytes\": %llu, \"peak_bytes\": %llu}\n",
              static_cast<unsigned long long>(rows), watch.wall, watch.cpu_seconds, static_cast<unsigned long long>(own),
              static_cast<unsigned long long>(right_after), peak);
}

// A few batches under way at once, as there are workers.
class Sending {
 public:
  explicit Sending(spool::Spool& spool) : spool_(spool) {}
  void send(const std::vector<spool::Row>& rows) {
    spool::Batch claims;
    for (const auto& row : rows) claims.claims.push_back(row.key);
    commit(std::move(claims));
    spool::Batch settled;
    for (const auto& row : rows) {
      settled.settlements.push_back({.key = row.key, .position = row.position, .state = spool::State::kDelivered, .attempts = 1,
                                     .event = std::string(250, 'e')});
    }
    commit(std::move(settled));
  }
  void finish() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return under_way_ == 0; });
  }

 private:
  void commit(spool::Batch batch) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return under_way_ < 16; });
    ++under_way_;
    lock.unlock();
    spool_.commit(std::move(batch), [this] {
      const std::lock_guard done(mutex_);
      --under_way_;
      changed_.notify_all();
    });
  }
  spool::Spool& spool_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int under_way_ = 0;
};

void open_and_send(const std::string& directory) {
  const unsigned long long before = resident("VmRSS:");
  Watch opening;
  opening.start();
  auto spool = open(directory);
  const auto jobs = spool->jobs();
  std::vector<spool::Row> rows;
  const auto domains = spool->domains(jobs.front().number);
  spool::Cursor cursor;
  spool->read(jobs.front().number, domains.front().domain, cursor, kSendBatch, rows);
  opening.stop();
  const std::uint64_t queued = spool->open_rows();
  const unsigned long long held = resident("VmRSS:");

  Watch sending;
  Watch reading;
  std::uint64_t sent = 0;
  Sending batches(*spool);
  for (std::size_t i = 0; i < domains.size() && sent < kSendRows; ++i) {
    spool::Cursor each;
    for (bool more = true; more && sent < kSendRows; sent += rows.size()) {
      rows.clear();
      reading.start();
      more = spool->read(jobs.front().number, domains[i].domain, each, kSendBatch, rows);
      reading.stop();
      sending.start();
      batches.send(rows);
      sending.stop();
    }
  }
  sending.start();
  batches.finish();
  sending.stop();
  std::printf(
      "{\"queued\": %llu, \"open_seconds\": %f, \"read\": %llu, \"before_bytes\": %llu, \"held_bytes\": %llu, \"sent\": %llu, "
      "\"read_cpu_seconds\": %f, \"settle_seconds\": %f, \"settle_cpu_seconds\": %f, \"peak_bytes\": %llu}\n",
      static_cast<unsigned long long>(queued), opening.wall, static_cast<unsigned long long>(rows.size()), before, held,
      static_cast<unsigned long long>(sent), reading.cpu_seconds, sending.wall, sending.cpu_seconds, resident("VmHWM:"));
}

void suppress(const std::string& directory, std::uint64_t entries) {
  auto spool = open(directory);
  const unsigned long long before = resident("VmRSS:");
  std::uint64_t given = 0;
  Watch importing;
  importing.start();
  need(spool->import_suppressions([&]() -> std::optional<spool::NewSuppression> {
    if (given == entries) return std::nullopt;
    return spool::NewSuppression{{"brand", "suppressed." + std::to_string(given++) + "@large1.example"}, {.reason = 1}};
  }));
  importing.stop();
  std::uint64_t found = 0;
  Watch absent;
  absent.start();
  for (std::uint64_t i = 0; i < kLookUps; ++i) {
    found += spool->suppressed("brand", "recipient." + std::to_string(i) + "@large1.example") ? 1 : 0;
  }
  absent.stop();
  Watch present;
  present.start();
  for (std::uint64_t i = 0; i < kLookUps; ++i) {
    found += spool->suppressed("brand", "suppressed." + std::to_string(i * 7919 % entries) + "@large1.example") ? 1 : 0;
  }
  present.stop();
  std::printf("{\"entries\": %llu, \"import_seconds\": %f, \"import_cpu_seconds\": %f, \"absent_cpu_seconds\": %.9f, \"present_cpu_seconds\": %.9f, \"found\": %llu, "
              "\"wanted\": %llu, \"disk_bytes\": %llu, \"before_bytes\": %llu, \"held_bytes\": %llu}\n",
              static_cast<unsigned long long>(entries), importing.wall, importing.cpu_seconds, absent.cpu_seconds / kLookUps, present.cpu_seconds / kLookUps,
              static_cast<unsigned long long>(found), static_cast<unsigned long long>(kLookUps),
              static_cast<unsigned long long>(bytes_in(directory)), before, resident("VmRSS:"));
}

}  // namespace
}  // namespace mailsbuddy::bench

int main(int argc, char** argv) {
  using namespace mailsbuddy::bench;
  const std::string_view what = argc > 2 ? argv[1] : "";
  if (what == "inject" && argc == 5) {
    inject(argv[2], to_number(argv[3]), to_number(argv[4]));
  } else if (what == "open" && argc == 3) {
    open_and_send(argv[2]);
  } else if (what == "suppress" && argc == 4) {
    suppress(argv[2], to_number(argv[3]));
  } else {
    return 2;
  }
}
