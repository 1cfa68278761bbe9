#include "smtp/acceptor.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "core/net/sockaddr.h"

namespace mailsbuddy::smtp {
namespace {

constexpr int kBacklog = 4096;                                            // The kernel cuts it at net.core.somaxconn.
constexpr int kAcceptsPerTurn = 64;                                       // Then the open connections have their turn.
constexpr Duration kNoDescriptorsPause = std::chrono::milliseconds(100);  // After EMFILE, instead of spinning.

Error listen_error(const net::Endpoint& endpoint, int code) {
  return {ErrorCode::kIo,
          fmt::format("cannot listen on {}: {}", endpoint.str(), std::generic_category().message(code))};
}

}  // namespace

Result<std::unique_ptr<Acceptor>> Acceptor::bind(const net::Endpoint& endpoint) {
  const net::SockAddr address = net::to_sockaddr(endpoint);
  if (address.size == 0) return listen_error(endpoint, EADDRNOTAVAIL);
  const int socket = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket < 0) return listen_error(endpoint, errno);
  std::unique_ptr<Acceptor> acceptor(new Acceptor(socket, endpoint));
  const int on = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);  // Connections in TIME_WAIT do not keep the port.
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // Inherited by what is accepted.
  if (::bind(socket, address.get(), address.size) != 0 || ::listen(socket, kBacklog) != 0)
    return listen_error(endpoint, errno);
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&bound), &size) != 0) return listen_error(endpoint, errno);
  acceptor->endpoint_ = net::from_sockaddr(bound);
  return acceptor;
}

Acceptor::~Acceptor() {
  if (socket_ >= 0) ::close(socket_);
}

Result<void> Acceptor::start(net::UvLoop& loop, Accepted accepted) {
  loop_ = &loop;
  accepted_ = std::move(accepted);
  if (const int status = uv_poll_init(loop.uv(), &poll_, socket_); status < 0) return listen_error(endpoint_, -status);
  poll_.data = static_cast<net::HandleOwner*>(this);
  pause_ = std::make_unique<Timer>([this] { listen(); });
  listen();
  return {};
}

void Acceptor::listen() noexcept {
  uv_poll_start(&poll_, UV_READABLE, [](uv_poll_t* handle, int status, int) noexcept {
    if (status == 0) static_cast<Acceptor*>(static_cast<net::HandleOwner*>(handle->data))->on_readable();
  });
}

void Acceptor::on_readable() {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    const int socket = ::accept4(socket_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket >= 0) {
      accepted_(socket);
      continue;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      uv_poll_stop(&poll_);
      loop_->timers().arm(*pause_, loop_->now() + kNoDescriptorsPause);
      return;
    }
    if (errno != ECONNABORTED && errno != EINTR) return;  // EAGAIN: all taken.
  }
}

// A connection that the kernel has made and nobody has accepted is reset when its listening socket is closed: its
// client would not be told why.
void Acceptor::stop() noexcept {
  if (socket_ < 0) return;
  on_readable();
  loop_stopping();
  ::close(std::exchange(socket_, -1));
}

void Acceptor::loop_stopping() noexcept {
  pause_.reset();
  auto* const handle = reinterpret_cast<uv_handle_t*>(&poll_);
  if (uv_is_closing(handle) == 0) uv_close(handle, nullptr);
}

}  // namespace mailsbuddy::smtp
