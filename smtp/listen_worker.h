// listen_worker.h - one thread of a listener.
#pragma once

#include <memory>
#include <unordered_set>
#include <vector>

#include "core/net/uv_loop.h"
#include "smtp/listen_shared.h"
#include "smtp/server_socket.h"

namespace mailsbuddy::smtp {

class ListenConnection;

// Threads: adopt(), drain() and stop() from any; the rest is its loop's.
class ListenWorker {
 public:
  static Result<std::unique_ptr<ListenWorker>> make(ListenShared& shared, const Clock& clock, std::uint64_t seed);

  Result<void> start() { return loop_->start(); }
  void stop();
  void drain();                                  // ListenShared::draining is set: its connections are to look at it.
  void adopt(int socket, std::size_t endpoint);  // An accepted connection: it is served and closed here.

  ListenShared& shared() noexcept { return shared_; }
  net::UvLoop& loop() noexcept { return *loop_; }
  const std::shared_ptr<ListenHome>& home() noexcept { return home_; }
  void connection_opened(ListenConnection& connection) { connections_.insert(&connection); }
  void connection_closed(ListenConnection& connection) {
    connections_.erase(&connection);
    shared_.presence.leave();
  }
  Random& random() noexcept { return random_; }
  ReadBuffers buffers() noexcept { return {incoming_, plaintext_}; }

 private:
  ListenWorker(ListenShared& shared, std::uint64_t seed, std::unique_ptr<net::UvLoop> loop);

  ListenShared& shared_;
  Random random_;
  std::vector<char> incoming_;
  std::vector<char> plaintext_;
  std::unordered_set<ListenConnection*> connections_;
  std::unique_ptr<net::UvLoop> loop_;  // Its connections use the rest until it has stopped.
  std::shared_ptr<ListenHome> home_;
};

}  // namespace mailsbuddy::smtp
