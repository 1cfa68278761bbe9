#include "smtp/server_socket.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "core/net/sockaddr.h"

namespace mailsbuddy::smtp {
namespace {

constexpr Duration kLingerMax = std::chrono::seconds(2);      // For the peer's end after ours.
constexpr Duration kLastWordsMax = std::chrono::seconds(10);  // For a peer that does not read them.

constexpr std::size_t kOutputKept = 16 << 10;  // Of a buffer that has done its work.

uv_buf_t buffer_of(std::string& bytes) noexcept {
  return uv_buf_init(bytes.data(), static_cast<unsigned>(bytes.size()));
}

}  // namespace

// ---------------------------------------------------------------------------------------------------------------------
// Life

bool ServerSocket::open(int socket) noexcept {
  uv_tcp_init(loop_.uv(), &tcp_);
  tcp_.data = write_request_.data = static_cast<HandleOwner*>(this);
  if (uv_tcp_open(&tcp_, socket) == 0) return true;
  ::close(socket);
  close();
  return false;
}

net::Endpoint ServerSocket::peer() const noexcept {
  sockaddr_storage address{};
  int size = sizeof address;
  if (uv_tcp_getpeername(&tcp_, reinterpret_cast<sockaddr*>(&address), &size) != 0) return {};
  return net::from_sockaddr(address);
}

void ServerSocket::close() noexcept {
  if (std::exchange(closing_, true)) return;
  timer_.reset();
  uv_close(reinterpret_cast<uv_handle_t*>(&tcp_),
           [](uv_handle_t* handle) noexcept { of(handle->data).user_.on_closed(); });
}

void ServerSocket::finish() {
  if (closing_ || std::exchange(finishing_, true)) return;
  if (tls_) tls_->shut_down();
  seal();
  close_at(loop_.now() + kLastWordsMax);  // Perhaps it has not read what was said before, and will not.
}

void ServerSocket::close_at(TimePoint time) {
  if (!timer_) timer_ = std::make_unique<Timer>([this] { close(); });
  loop_.timers().arm(*timer_, time);
}

// ---------------------------------------------------------------------------------------------------------------------
// In

void ServerSocket::read() {
  if (closing_ || std::exchange(reading_, true)) return;
  uv_read_start(
      stream(),
      [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) noexcept {
        const std::span<char> wire = of(handle->data).buffers_.wire;
        *buffer = uv_buf_init(wire.data(), static_cast<unsigned>(wire.size()));
      },
      [](uv_stream_t* handle, ssize_t count, const uv_buf_t*) noexcept { of(handle->data).on_read(count); });
}

void ServerSocket::pause() noexcept {
  if (std::exchange(reading_, false)) uv_read_stop(stream());
}

void ServerSocket::on_read(ssize_t count) {
  if (count == 0) return;  // libuv's EAGAIN.
  if (count < 0) return close();
  if (finishing_) return;
  const std::string_view bytes(buffers_.wire.data(), static_cast<std::size_t>(count));
  if (tls_)
    on_ciphertext(bytes);
  else
    user_.on_input(bytes);
  if (!closing_) user_.on_input_end();
}

void ServerSocket::on_ciphertext(std::string_view bytes) {
  const bool handshaking = tls_->state() == TlsServer::State::kHandshake;
  tls_->feed(bytes);
  if (handshaking && tls_->state() == TlsServer::State::kOpen) user_.on_tls_started();
  while (!finishing_ && !closing_) {
    const std::size_t count = tls_->read(buffers_.plaintext);
    if (count == 0) break;
    user_.on_input({buffers_.plaintext.data(), count});
  }
  seal();  // The handshake's own words.
  if (tls_->state() == TlsServer::State::kFailed && !finishing_) {
    finish();
    user_.on_tls_failed();
  } else if (tls_->state() == TlsServer::State::kClosed) {
    finish();
  }
}

void ServerSocket::start_tls(SSL_CTX* context, std::string_view early) {
  tls_ = std::make_unique<TlsServer>(context);
  if (!early.empty()) on_ciphertext(early);
}

// ---------------------------------------------------------------------------------------------------------------------
// Out

void ServerSocket::say(std::string_view bytes) {
  if (!tls_)
    wire_.append(bytes);
  else if (!bytes.empty() && tls_->state() == TlsServer::State::kOpen)
    tls_->write(bytes);
  seal();
}

void ServerSocket::seal() {
  if (tls_) tls_->take_output(wire_);
}

// Straight into the socket; only what it does not take waits.
void ServerSocket::flush() {
  if (closing_ || !writing_.empty()) return;  // on_written() goes on.
  if (!wire_.empty()) {
    const uv_buf_t all = buffer_of(wire_);
    const int written = uv_try_write(stream(), &all, 1);
    if (written < 0 && written != UV_EAGAIN) return close();
    wire_.erase(0, static_cast<std::size_t>(std::max(written, 0)));
  }
  if (wire_.empty()) {
    if (wire_.capacity() > kOutputKept) std::string().swap(wire_);
    return sent();
  }
  write_rest();
}

void ServerSocket::write_rest() {
  writing_.swap(wire_);
  const uv_buf_t rest = buffer_of(writing_);
  const int status = uv_write(&write_request_, stream(), &rest, 1,
                              [](uv_write_t* request, int result) noexcept { of(request->data).on_written(result); });
  if (status < 0) close();
}

void ServerSocket::on_written(int status) {
  if (closing_) return;
  if (status < 0) return close();
  std::string().swap(writing_);
  flush();
}

void ServerSocket::sent() {
  if (!finishing_) return user_.on_sent();
  if (std::exchange(shut_, true)) return;
  uv_os_fd_t socket = -1;
  if (uv_fileno(reinterpret_cast<uv_handle_t*>(&tcp_), &socket) == 0) ::shutdown(socket, SHUT_WR);
  close_at(loop_.now() + kLingerMax);
  read();
}

}  // namespace mailsbuddy::smtp
