// tcp.cc - one connection: uv_tcp below, perhaps TlsClient in between, a StreamHandler above.
#include "core/net/tcp.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>
#include <utility>

#include "core/net/sockaddr.h"

namespace mailsbuddy::net {
namespace {

std::string bind_words(const IpAddress& local, int status) {
  return fmt::format("binding to {}: {}", local.str(), uv_strerror(status));
}

constexpr std::size_t kWriteMax = 1 << 30;  // Of one system call; libuv counts in 32 bits.
constexpr std::size_t kPiecesMax = 16;      // Of one system call; what is behind waits for the next.

std::size_t size_of(std::span<const std::string_view> pieces) noexcept {
  std::size_t size = 0;
  for (const std::string_view piece : pieces) size += piece.size();
  return size;
}

// Lives until both its Stream is destroyed and libuv has closed its handle.
// Invariants: the handler is called from libuv's callbacks and posted tasks alone, never from a call into the Stream,
// and not after report_closed() or release(). Every handler call may destroy the Stream: look at state_ after it.
class Connection final : public HandleOwner, public std::enable_shared_from_this<Connection> {
 public:
  Connection(UvTransport::Shared& shared, const Endpoint& remote, StreamHandler& handler)
      : shared_(shared), remote_(remote), handler_(&handler) {}

  void connect(const IpAddress& local);
  std::size_t write(std::span<const std::string_view> pieces);
  void start_tls(const TlsOptions& options);
  void release() noexcept;  // The Stream goes.
  void loop_stopping() noexcept override;
  const Endpoint& remote() const noexcept { return remote_; }

 private:
  enum class State { kConnecting, kOpen, kClosed };

  static Connection& of(void* data) noexcept { return *static_cast<Connection*>(static_cast<HandleOwner*>(data)); }
  uv_stream_t* stream() noexcept { return reinterpret_cast<uv_stream_t*>(&tcp_); }
  Error io_error(std::string_view doing, int status) const;

  Result<void> open(const IpAddress& local);
  Result<void> bind(const IpAddress& local);
  void on_connected(int status);
  void on_read(ssize_t count);
  void on_sent(int status);
  void on_ciphertext(std::string_view bytes);
  void deliver_plaintext();

  std::size_t send(std::span<const std::string_view> pieces);
  std::size_t send_encrypted(std::span<const std::string_view> pieces);
  void flush_tls();
  void send_failed(int status);
  void offer_writable();

  void close_handle() noexcept;
  void report_closed(const Error& reason);
  void fail(const Error& reason);  // From a callback.
  void fail_later(Error reason);   // From a call into the Stream.

  UvTransport::Shared& shared_;
  Endpoint remote_;
  StreamHandler* handler_;
  State state_ = State::kConnecting;
  bool sending_ = false;  // chunk_ is libuv's until on_sent().
  bool wants_writable_ = false;
  int send_error_ = 0;  // The socket takes no more; what the peer said before that may still be unread.
  std::string chunk_;
  std::unique_ptr<TlsClient> tls_;
  std::shared_ptr<Connection> self_;  // While the handle is not closed.
  uv_tcp_t tcp_{};
  uv_connect_t connect_request_{};
  uv_write_t write_request_{};
};

Error Connection::io_error(std::string_view doing, int status) const {
  return {ErrorCode::kIo, fmt::format("{} {}: {}", doing, remote_.str(), uv_strerror(status))};
}

// --------------------------------------------------------------------------------------------------------------------
// Opening

void Connection::connect(const IpAddress& local) {
  if (const auto opened = open(local); !opened) fail_later(opened.error());
}

Result<void> Connection::open(const IpAddress& local) {
  const SockAddr to = to_sockaddr(remote_);
  if (to.size == 0) return Error{ErrorCode::kIo, "connecting: no remote address"};
  if (shared_.loop.closed()) return Error{ErrorCode::kIo, "connecting: the loop is closed"};
  if (const int status = uv_tcp_init_ex(shared_.loop.uv(), &tcp_, to.storage.ss_family); status < 0)
    return io_error("connecting to", status);
  tcp_.data = static_cast<HandleOwner*>(this);
  connect_request_.data = write_request_.data = tcp_.data;
  self_ = shared_from_this();
  uv_tcp_nodelay(&tcp_, 1);  // Commands are complete when written; Nagle would add a round trip to each group.
  if (!local.unspecified())
    if (const auto bound = bind(local); !bound) return bound.error();
  const int status = uv_tcp_connect(&connect_request_, &tcp_, to.get(), [](uv_connect_t* request, int result) noexcept {
    of(request->data).on_connected(result);
  });
  if (status < 0) return io_error("connecting to", status);
  return {};
}

Result<void> Connection::bind(const IpAddress& local) {
  const SockAddr from = to_sockaddr({local, 0});
  if (from.storage.ss_family != to_sockaddr(remote_).storage.ss_family)
    return Error{ErrorCode::kIo,
                 fmt::format("connecting from {} to {}: one is IPv4, the other IPv6", local.str(), remote_.str())};
#ifdef IP_BIND_ADDRESS_NO_PORT
  // The port is chosen by connect(), which knows the remote end: one local port then serves many remote ends, and an
  // address does not run out of ports at 28,000 connections. A kernel without it only loses that.
  uv_os_fd_t fd = -1;
  const int on = 1;
  if (uv_fileno(reinterpret_cast<uv_handle_t*>(&tcp_), &fd) == 0)
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
#endif
  if (const int status = uv_tcp_bind(&tcp_, from.get(), 0); status < 0)
    return Error{ErrorCode::kIo, bind_words(local, status)};
  return {};
}

void Connection::on_connected(int status) {
  if (state_ == State::kClosed) return;
  if (status < 0) return fail(io_error("connecting to", status));
  state_ = State::kOpen;
  uv_read_start(
      stream(),
      [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) noexcept {
        auto& incoming = of(handle->data).shared_.incoming;
        *buffer = uv_buf_init(incoming.data(), static_cast<unsigned>(incoming.size()));
      },
      [](uv_stream_t* handle, ssize_t count, const uv_buf_t*) noexcept { of(handle->data).on_read(count); });
  handler_->on_connected();
  offer_writable();
}

// --------------------------------------------------------------------------------------------------------------------
// Reading

void Connection::on_read(ssize_t count) {
  if (count == 0 || state_ == State::kClosed) return;  // 0: libuv's EAGAIN.
  if (count > 0) {
    const std::string_view bytes(shared_.incoming.data(), static_cast<std::size_t>(count));
    return tls_ ? on_ciphertext(bytes) : handler_->on_data(bytes);
  }
  if (count != UV_EOF) return fail(io_error("reading from", static_cast<int>(count)));
  if (send_error_ != 0) return fail(io_error("writing to", send_error_));
  if (tls_) {  // Without a close_notify, or in the handshake: anybody on the way could have cut it here (RFC 8446 6.1).
    const bool open = tls_->state() == TlsClient::State::kOpen;
    return fail({ErrorCode::kIo, fmt::format("{} closed the connection {}", remote_.str(),
                                             open ? "without a TLS close_notify" : "during the TLS handshake")});
  }
  fail({ErrorCode::kClosed, fmt::format("{} closed the connection", remote_.str())});
}

void Connection::on_ciphertext(std::string_view bytes) {
  const bool handshaking = tls_->state() == TlsClient::State::kHandshake;
  tls_->feed(bytes);
  flush_tls();
  if (state_ == State::kClosed) return;
  if (handshaking && tls_->state() == TlsClient::State::kOpen) {
    handler_->on_tls(tls_->info());
    offer_writable();
  }
  deliver_plaintext();
}

void Connection::deliver_plaintext() {
  while (state_ == State::kOpen) {
    const std::size_t count = tls_->read(shared_.plaintext);
    if (count == 0) break;
    handler_->on_data({shared_.plaintext.data(), count});
  }
  if (state_ == State::kClosed) return;
  if (tls_->state() == TlsClient::State::kClosed) tls_->shut_down();
  flush_tls();  // Alerts, key updates, our close_notify.
  if (state_ == State::kClosed) return;
  if (tls_->state() == TlsClient::State::kFailed) return fail(tls_->error());
  if (tls_->state() == TlsClient::State::kClosed)
    fail({ErrorCode::kClosed, fmt::format("{} closed the connection", remote_.str())});
}

// --------------------------------------------------------------------------------------------------------------------
// Writing

std::size_t Connection::write(std::span<const std::string_view> pieces) {
  const std::size_t size = size_of(pieces);
  if (size == 0 || state_ == State::kClosed) return 0;
  const std::size_t taken = tls_ ? send_encrypted(pieces) : send(pieces);
  wants_writable_ = taken < size;
  return taken;
}

void Connection::offer_writable() {
  const bool ready =
      state_ == State::kOpen && !sending_ && send_error_ == 0 && (!tls_ || tls_->state() == TlsClient::State::kOpen);
  if (ready && std::exchange(wants_writable_, false)) handler_->on_writable();
}

// To the socket, and of what it does not take at most kChunkBytes to a buffer of ours.
std::size_t Connection::send(std::span<const std::string_view> pieces) {
  if (sending_ || send_error_ != 0 || state_ != State::kOpen) return 0;
  std::array<uv_buf_t, kPiecesMax> buffers;
  unsigned count = 0;
  for (const std::string_view piece : pieces.first(std::min(pieces.size(), kPiecesMax))) {
    buffers[count++] =
        uv_buf_init(const_cast<char*>(piece.data()), static_cast<unsigned>(std::min(piece.size(), kWriteMax)));
    if (piece.size() > kWriteMax) break;
  }
  const int status = uv_try_write(stream(), buffers.data(), count);
  if (status < 0 && status != UV_EAGAIN) return send_failed(status), 0;
  const std::size_t taken = status > 0 ? static_cast<std::size_t>(status) : 0;
  chunk_.clear();
  for (std::size_t skip = taken; const std::string_view piece : pieces) {
    const std::size_t skipped = std::min(skip, piece.size());
    skip -= skipped;
    chunk_.append(piece.substr(skipped, kChunkBytes - chunk_.size()));
    if (chunk_.size() == kChunkBytes) break;
  }
  if (chunk_.empty()) return taken;
  uv_buf_t buffer = uv_buf_init(chunk_.data(), static_cast<unsigned>(chunk_.size()));
  const int queued = uv_write(&write_request_, stream(), &buffer, 1,
                              [](uv_write_t* request, int result) noexcept { of(request->data).on_sent(result); });
  if (queued < 0) return send_failed(queued), taken;
  sending_ = true;
  return taken + chunk_.size();
}

// Flushed where three records are full and at the end: a message and the envelope behind it are one system call.
std::size_t Connection::send_encrypted(std::span<const std::string_view> pieces) {
  constexpr std::size_t kFlushBytes = 3 * kTlsRecordBytes;  // With its framing still within one chunk.
  std::size_t taken = 0;
  std::size_t unflushed = 0;
  const auto blocked = [this] {
    return sending_ || send_error_ != 0 || tls_->state() != TlsClient::State::kOpen || state_ != State::kOpen;
  };
  for (std::string_view piece : pieces) {
    while (!piece.empty() && !blocked()) {
      const std::size_t count = tls_->write(piece.substr(0, kFlushBytes - unflushed));
      piece.remove_prefix(count);
      taken += count;
      unflushed += count;
      if (unflushed < kFlushBytes && count > 0) continue;
      flush_tls();
      unflushed = 0;
    }
    if (!piece.empty()) break;
  }
  flush_tls();
  if (tls_->state() == TlsClient::State::kFailed && state_ == State::kOpen) fail_later(tls_->error());
  return taken;
}

// What is left in tls_ when this returns waits for on_sent().
void Connection::flush_tls() {
  while (!sending_ && state_ == State::kOpen) {
    const std::size_t count = tls_->output(shared_.ciphertext);
    if (count == 0) return;
    const std::string_view records(shared_.ciphertext.data(), count);
    send({&records, 1});
  }
}

void Connection::on_sent(int status) {
  sending_ = false;
  chunk_ = {};  // Not clear(): 64 KB for each connection that once met a slow peer would stay.
  if (state_ == State::kClosed) return;
  if (status < 0) return send_failed(status);
  if (tls_) flush_tls();
  offer_writable();
}

// A peer that refuses ("554 go away") and closes may reset what we write before we have read its words. After these two
// the read side ends by itself, and reports; nothing is lost by waiting for it.
void Connection::send_failed(int status) {
  send_error_ = status;
  if (status != UV_EPIPE && status != UV_ECONNRESET) fail_later(io_error("writing to", status));
}

// --------------------------------------------------------------------------------------------------------------------
// TLS

void Connection::start_tls(const TlsOptions& options) {
  if (state_ == State::kClosed) return;
  uv_os_fd_t fd = -1;
  int unread = 0;
  if (state_ != State::kOpen || tls_)
    return fail_later({ErrorCode::kIo, fmt::format("TLS with {}: not a clear-text connection", remote_.str())});
  if (uv_fileno(reinterpret_cast<uv_handle_t*>(&tcp_), &fd) == 0 && ioctl(fd, FIONREAD, &unread) == 0 && unread > 0)
    return fail_later(
        {ErrorCode::kIo,
         fmt::format("{} clear-text bytes from {} came ahead of the TLS handshake: injected", unread, remote_.str())});
  tls_ = std::make_unique<TlsClient>(shared_.tls, options, remote_);
  if (tls_->state() == TlsClient::State::kFailed) return fail_later(tls_->error());
  flush_tls();
}

// --------------------------------------------------------------------------------------------------------------------
// Closing

void Connection::release() noexcept {
  handler_ = nullptr;
  if (tls_ && tls_->state() == TlsClient::State::kOpen && state_ == State::kOpen) {
    tls_->shut_down();
    flush_tls();
  }
  close_handle();
}

void Connection::loop_stopping() noexcept {
  handler_ = nullptr;
  close_handle();
}

void Connection::close_handle() noexcept {
  if (std::exchange(state_, State::kClosed) == State::kClosed || !self_) return;
  uv_close(reinterpret_cast<uv_handle_t*>(&tcp_),
           [](uv_handle_t* handle) noexcept { const auto last = std::move(of(handle->data).self_); });
}

void Connection::report_closed(const Error& reason) {
  StreamHandler* handler = std::exchange(handler_, nullptr);
  if (handler == nullptr) return;
  if (tls_ && tls_->state() == TlsClient::State::kHandshake)  // Cut off in the middle of it.
    handler->on_tls_failed(TlsFailure::kHandshake);
  else if (tls_ && tls_->failure() != TlsFailure::kNone)
    handler->on_tls_failed(tls_->failure());
  handler->on_closed(reason);
}

void Connection::fail(const Error& reason) {
  close_handle();
  report_closed(reason);
}

void Connection::fail_later(Error reason) {
  close_handle();
  shared_.loop.post([self = shared_from_this(), why = std::move(reason)] { self->report_closed(why); });
}

// --------------------------------------------------------------------------------------------------------------------

class UvStream final : public Stream {
 public:
  explicit UvStream(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}
  ~UvStream() override { connection_->release(); }
  std::size_t write(std::string_view bytes) override { return connection_->write({&bytes, 1}); }
  std::size_t write_pieces(std::span<const std::string_view> pieces) override { return connection_->write(pieces); }
  void start_tls(const TlsOptions& options) override { connection_->start_tls(options); }
  Endpoint remote() const override { return connection_->remote(); }

 private:
  std::shared_ptr<Connection> connection_;
};

}  // namespace

std::unique_ptr<Stream> UvTransport::connect(const IpAddress& local, const Endpoint& remote, StreamHandler& handler) {
  auto connection = std::make_shared<Connection>(shared_, remote, handler);
  connection->connect(local);
  return std::make_unique<UvStream>(std::move(connection));
}

Result<void> UvTransport::check_local(const IpAddress& local) const {
  if (local.unspecified()) return {};
  const SockAddr from = to_sockaddr({local, 0});
  const int fd = socket(from.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int error = fd < 0 || ::bind(fd, from.get(), from.size) != 0 ? errno : 0;
  if (fd >= 0) ::close(fd);
  if (error == 0) return {};
  return Error{ErrorCode::kUnavailable, bind_words(local, -error)};  // libuv's codes are errno's, negative.
}

}  // namespace mailsbuddy::net
