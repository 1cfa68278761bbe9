// bench_submission_mailsbuddy: a smtp::Listener in front of the durable spool: what is answered 250 is on the disk, whole, and can
// be read back. As many threads as connections wait for the spool, which syncs once for all of them.
//
// Prints "port N", serves until its standard input ends, opens the spool anew and prints what is in it as JSON.
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "bench/support/mail.h"
#include "mailsbuddy/smtp.h"
#include "mailsbuddy/spool.h"

namespace mailsbuddy::bench {
namespace {

constexpr int kWaiting = 64;  // Threads: more than the connections of the load.

std::unique_ptr<spool::Spool> open(const char* directory) {
  return need(spool::open_rocks_spool({.directory = directory}));
}

// Threads: on_message() from the listener's; its own wait for the spool and answer.
class Keeper final : public smtp::ListenHandler {
 public:
  explicit Keeper(const char* directory) : spool_(open(directory)) {
    for (int i = 0; i < kWaiting; ++i) threads_.emplace_back([this] { run(); });
  }
  ~Keeper() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& each : threads_) each.join();
  }

  void authenticate(const smtp::Credentials&, Authenticated done) override { done({}); }

  void on_message(smtp::Submission submission, Answered done) override {
    {
      const std::lock_guard lock(mutex_);
      came_.push_back({std::move(submission), std::move(done)});
    }
    wake_.notify_one();
  }

 private:
  struct Came {
    smtp::Submission submission;
    Answered done;
  };

  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return stopping_ || !came_.empty(); });
      if (came_.empty()) return;
      Came came = std::move(came_.front());
      came_.pop_front();
      lock.unlock();
      keep(came);
      lock.lock();
    }
  }

  void keep(Came& came) {
    const Address& recipient = came.submission.envelope.recipients.front().address;
    const spool::RowInput row{.domain = recipient.domain(), .local = recipient.local(), .fields = {}};
    need(spool_->create({.id = came.submission.id.str(), .content = std::move(came.submission.data)}, {&row, 1}));
    came.done({.code = 250, .enhanced = EnhancedCode{2, 0, 0}, .text = ""});
  }

  std::unique_ptr<spool::Spool> spool_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Came> came_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

void report(const char* directory) {
  std::uint64_t messages = 0, sum = 0;
  const auto spool = open(directory);
  need(spool->visit_jobs([&](const spool::Spool::StoredJob& job) {
    const auto row = spool->row({job.number, spool->domains(job.number).front().domain, 0});
    const std::string_view data = job.record.content;
    sum += digest(row.value().local + "@" + row->domain, data.substr(data.find("\r\n\r\n") + 4));
    ++messages;
    return true;
  }));
  std::printf("{\"messages\": %llu, \"digest\": \"%llu\"}\n", static_cast<unsigned long long>(messages),
              static_cast<unsigned long long>(sum));
}

void serve(const char* directory, int threads) {
  {
    smtp::ListenOptions options{
        .endpoints = {{.endpoint = need(net::Endpoint::parse("127.0.0.1", 0)), .tls = smtp::ListenTls::kNone}},
        .host = "bench.example",
        .auth_required = false,
        .threads = threads};
    options.limits.connections_per_client = {};
    options.limits.connections_per_client_max = options.limits.connections_max;
    const auto listener = need(smtp::Listener::start(std::move(options), std::make_shared<Keeper>(directory)));
    std::printf("port %d\n", int{listener->endpoints().front().port});
    std::fflush(stdout);
    while (std::getchar() != EOF) continue;
  }
  report(directory);
}

}  // namespace
}  // namespace mailsbuddy::bench

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  mailsbuddy::bench::serve(argv[1], static_cast<int>(mailsbuddy::bench::to_number(argv[2])));
}
