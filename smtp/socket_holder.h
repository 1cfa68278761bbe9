// socket_holder.h - a socket on its way to another thread: closed if the task that carries it never runs.
#pragma once

#include <unistd.h>

#include <utility>

namespace mailsbuddy::smtp {

class SocketHolder {
 public:
  explicit SocketHolder(int socket) noexcept : socket_(socket) {}
  SocketHolder(SocketHolder&& other) noexcept : socket_(other.take()) {}
  SocketHolder& operator=(SocketHolder&&) = delete;
  ~SocketHolder() {
    if (socket_ >= 0) ::close(socket_);
  }
  int take() noexcept { return std::exchange(socket_, -1); }

 private:
  int socket_;
};

}  // namespace mailsbuddy::smtp
