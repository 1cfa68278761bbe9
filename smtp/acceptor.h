// acceptor.h - a listening address: of a sink, of a listener.
#pragma once

#include <uv.h>

#include <functional>
#include <memory>

#include "core/net/uv_loop.h"
#include "mailsbuddy/net.h"

namespace mailsbuddy::smtp {

// Accepts on one thread and hands each connection on. One listening socket per thread (SO_REUSEPORT) would spread the
// connections by a hash, unevenly when there are few, and would let a second program listen on the same port unnoticed.
// Threads: its loop's. Ownership: the loop is stopped before the acceptor is destroyed.
class Acceptor final : private net::HandleOwner {
 public:
  using Accepted = std::function<void(int socket)>;  // The receiver closes it.

  // Errors: kIo naming the address and the reason.
  static Result<std::unique_ptr<Acceptor>> bind(const net::Endpoint& endpoint);
  ~Acceptor();

  const net::Endpoint& endpoint() const noexcept { return endpoint_; }  // As bound.
  Result<void> start(net::UvLoop& loop, Accepted accepted);             // Before the loop runs, or on its thread.
  void
  stop() noexcept;  // Takes what has connected so far, then listens no more. On its thread; once started; idempotent.

 private:
  Acceptor(int socket, const net::Endpoint& endpoint) : endpoint_(endpoint), socket_(socket) {}
  void loop_stopping() noexcept override;
  void listen() noexcept;
  void on_readable();

  net::Endpoint endpoint_;
  int socket_;  // -1: stopped.
  net::UvLoop* loop_ = nullptr;
  Accepted accepted_;
  std::unique_ptr<Timer> pause_;
  uv_poll_t poll_{};
};

}  // namespace mailsbuddy::smtp
