// bench_submission_mailsbuddy: a smtp::Listener in front of an append-only log that is synced once for many messages.
// The log is the smallest thing that keeps the listener's promise: what was answered 250 is on the disk, whole, and can
// be read back. The engine's durable spool takes its place once it is there.
//
//   log    = *record
//   record = size recipient NUL message     ; size: 4 octets, little-endian, of what follows it in the record
//
// Prints "port N", serves until its standard input ends, reads the log back and prints what is in it as JSON.
#include <fcntl.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "bench/support/mail.h"
#include "mailsbuddy/smtp.h"

namespace mailsbuddy::bench {
namespace {

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

// Threads: on_message() from the listener's; its own writes, syncs and answers.
class SyncedLog final : public smtp::ListenHandler {
 public:
  explicit SyncedLog(const char* path) : file_(::open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600)) {
    if (file_ < 0) fail(path);
    writer_ = std::thread([this] { run(); });
  }
  ~SyncedLog() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    writer_.join();
    ::close(file_);
  }

  void authenticate(const smtp::Credentials&, Authenticated done) override { done({}); }

  void on_message(smtp::Submission submission, Answered done) override {
    const std::string& recipient = submission.envelope.recipients.front().address.str();
    const auto size = static_cast<std::uint32_t>(recipient.size() + 1 + submission.data.size());
    bool wake = false;
    {
      const std::lock_guard lock(mutex_);
      wake = owed_.empty();
      records_.append(reinterpret_cast<const char*>(&size), sizeof size).append(recipient).push_back('\0');
      records_.append(submission.data);
      owed_.push_back(std::move(done));
    }
    if (wake) wake_.notify_one();
  }

 private:
  void run() {
    std::string records;
    std::vector<Answered> owed;
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return stopping_ || !owed_.empty(); });
      if (owed_.empty()) return;
      records.swap(records_);
      owed.swap(owed_);
      lock.unlock();
      write(records);
      if (::fdatasync(file_) != 0) fail("fdatasync");
      for (Answered& each : owed) each({.code = 250, .enhanced = EnhancedCode{2, 0, 0}, .text = ""});
      records.clear();
      owed.clear();
      lock.lock();
    }
  }

  void write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(file_, bytes.data(), bytes.size());
      if (written < 0) fail("write");
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
  }

  const int file_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::string records_;  // Not written yet.
  std::vector<Answered> owed_;
  bool stopping_ = false;
  std::thread writer_;
};

void report(const char* path) {
  std::ifstream file(path, std::ios::binary);
  const std::string log{std::istreambuf_iterator<char>(file), {}};
  std::uint64_t messages = 0, sum = 0;
  for (std::size_t at = 0; at + sizeof(std::uint32_t) <= log.size(); ++messages) {
    std::uint32_t size = 0;
    std::memcpy(&size, log.data() + at, sizeof size);
    const std::string_view record = std::string_view(log).substr(at + sizeof size, size);
    const std::size_t end = record.find('\0');
    const std::size_t body = record.find("\r\n\r\n");
    if (record.size() != size || end > body || body == std::string_view::npos) fail("a torn record");
    sum += digest(record.substr(0, end), record.substr(body + 4));
    at += sizeof size + size;
  }
  std::printf("{\"messages\": %llu, \"digest\": \"%llu\"}\n", static_cast<unsigned long long>(messages),
              static_cast<unsigned long long>(sum));
}

void serve(const char* path, int threads) {
  {
    smtp::ListenOptions options{
        .endpoints = {{.endpoint = need(net::Endpoint::parse("127.0.0.1", 0)), .tls = smtp::ListenTls::kNone}},
        .host = "bench.example",
        .auth_required = false,
        .threads = threads};
    options.limits.connections_per_client = {};
    options.limits.connections_per_client_max = options.limits.connections_max;
    const auto listener = need(smtp::Listener::start(std::move(options), std::make_shared<SyncedLog>(path)));
    std::printf("port %d\n", int{listener->endpoints().front().port});
    std::fflush(stdout);
    while (std::getchar() != EOF) continue;
  }
  report(path);
}

}  // namespace
}  // namespace mailsbuddy::bench

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  mailsbuddy::bench::serve(argv[1], static_cast<int>(mailsbuddy::bench::to_number(argv[2])));
}
