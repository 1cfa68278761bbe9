// sink_worker.h - one thread of a sink, and what all its threads share.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/net/uv_loop.h"
#include "mailsbuddy/smtp.h"
#include "smtp/server_socket.h"
#include "smtp/sink_maildir.h"
#include "smtp/sink_policy.h"

namespace mailsbuddy::smtp {

// Threads: any, as its parts say. Ownership: outlives the workers.
struct SinkShared {
  SinkOptions options;
  SystemClock clock{};
  std::vector<std::unique_ptr<SinkPolicy>> policies{};  // In the order of SinkOptions::profiles.
  net::SslCtxPtr tls{};                                 // Null: no profile offers STARTTLS.
  std::unique_ptr<SinkMaildir> maildir{};               // Null: none.
};

// Threads: adopt() and stop() from any; counters are read from any; the rest is its loop's.
class SinkWorker {
 public:
  static Result<std::unique_ptr<SinkWorker>> make(SinkShared& shared, std::uint64_t seed);

  Result<void> start() { return loop_->start(); }
  void stop() { loop_->stop(); }
  void adopt(int socket, std::size_t profile);  // An accepted connection: it is served and closed here.

  SinkShared& shared() noexcept { return shared_; }
  net::UvLoop& loop() noexcept { return *loop_; }
  Random& random() noexcept { return random_; }
  SinkCounters& counters(std::size_t profile) noexcept { return counters_[profile]; }
  ReadBuffers buffers() noexcept { return {incoming_, plaintext_}; }

 private:
  SinkWorker(SinkShared& shared, std::uint64_t seed, std::unique_ptr<net::UvLoop> loop);

  SinkShared& shared_;
  Random random_;
  std::vector<SinkCounters> counters_;  // One per profile.
  std::vector<char> incoming_;          // Scratch of the connection being read.
  std::vector<char> plaintext_;         // Likewise, under TLS.
  std::unique_ptr<net::UvLoop> loop_;   // Last: its connections use the rest until it has stopped.
};

}  // namespace mailsbuddy::smtp
