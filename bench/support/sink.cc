// bench_sink [chunking]: mailsbuddy's sink in a process of its own, so that a sender's CPU time is the sender's alone.
// Prints "port N", serves until its standard input ends, then prints what it took as JSON.
#include <chrono>
#include <cstdio>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_set>

#include "bench/support/mail.h"
#include "mailsbuddy/smtp.h"

namespace mailsbuddy::bench {
namespace {

// Threads: take() from the sink's.
class Taken {
 public:
  void take(std::string_view recipient, std::string_view message) {
    const std::size_t end = message.find("\r\n\r\n");
    const std::string_view body = end == std::string_view::npos ? std::string_view() : message.substr(end + 4);
    const std::uint64_t each = digest(recipient, body);
    const std::size_t id = std::hash<std::string_view>()(message_id(message.substr(0, end)));
    const bool has_signature = message.starts_with("DKIM-Signature:") ||
                               message.substr(0, end).find("\r\nDKIM-Signature:") != std::string_view::npos;
    const auto now = std::chrono::steady_clock::now();
    const std::lock_guard lock(mutex_);
    if (messages_ == 0) first_ = now;
    last_ = now;
    ++messages_;
    digest_ += each;
    ids_.insert(id);
    signed_ += has_signature ? 1 : 0;
  }

  void print() {
    const std::lock_guard lock(mutex_);
    std::printf("{\"messages\": %llu, \"digest\": \"%llu\", \"distinct\": %llu, \"signed\": %llu, \"seconds\": %.6f}\n",
                static_cast<unsigned long long>(messages_), static_cast<unsigned long long>(digest_),
                static_cast<unsigned long long>(ids_.size()), static_cast<unsigned long long>(signed_),
                std::chrono::duration<double>(last_ - first_).count());
  }

 private:
  static std::string_view message_id(std::string_view head) {
    for (const std::string_view name : {"\r\nMessage-ID: ", "\r\nMessage-Id: "}) {
      const std::size_t at = head.find(name);
      if (at != std::string_view::npos)
        return head.substr(at + name.size(), head.find("\r\n", at + 2) - at - name.size());
    }
    return {};
  }

  std::mutex mutex_;
  std::uint64_t messages_ = 0;
  std::uint64_t digest_ = 0;
  std::uint64_t signed_ = 0;
  std::chrono::steady_clock::time_point first_, last_;  // When a message was complete.
  std::unordered_set<std::size_t> ids_;                 // Hashes: a collision would fail the run, never pass it.
};

void serve(bool chunking) {
  Taken taken;
  auto sink =
      need(smtp::Sink::start({.listeners = {{.endpoint = need(net::Endpoint::parse("127.0.0.1", 0))}},
                              .profiles = {{.name = "default", .chunking = chunking}},
                              .on_message = [&taken](std::string_view, std::string_view, std::string_view recipient,
                                                     std::string_view message) { taken.take(recipient, message); }}));
  std::printf("port %d\n", int{sink->endpoints().front().port});
  std::fflush(stdout);
  while (std::getchar() != EOF) continue;
  sink.reset();
  taken.print();
}

}  // namespace
}  // namespace mailsbuddy::bench

int main(int argc, char** argv) {
  const bool chunking = argc == 2 && std::string_view(argv[1]) == "chunking";
  if (argc > 2 || (argc == 2 && !chunking)) return 2;
  mailsbuddy::bench::serve(chunking);
}
