// server_socket.h - one accepted connection as bytes: the socket, TLS on it, and a bounded amount of output.
#pragma once

#include <uv.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/base/timer_wheel.h"
#include "core/net/uv_loop.h"
#include "smtp/server_tls.h"

namespace mailsbuddy::smtp {

// Of one read. A message of 10 KB and the commands around it arrive in one; the memory is a thread's, not a
// connection's.
inline constexpr std::size_t kServerReadBytes = 128 << 10;

// What a thread's connections read into: scratch of the one that is being read.
struct ReadBuffers {
  std::span<char> wire;
  std::span<char> plaintext;
};

// Threads: its loop's. Ownership: its user's, who destroys it in on_closed() and not before, once open() was called.
// Invariants: a peer that does not read its replies is not waited for longer than finish() says, and holds what was
// said since its last read.
class ServerSocket final : private net::HandleOwner {
 public:
  class User {
   public:
    virtual void on_input(std::string_view bytes) = 0;  // In clear text. Views die on return.
    virtual void on_input_end() = 0;                    // That was all of one read: answer now.
    virtual void on_tls_started() = 0;
    virtual void on_tls_failed() = 0;  // The handshake or a record. finish() has been called.
    virtual void on_sent() {}          // All that was said is with the kernel.
    virtual void on_closed() = 0;      // By whomever. Last call; `this` may go.

   protected:
    ~User() = default;
  };

  ServerSocket(net::UvLoop& loop, User& user, ReadBuffers buffers) : loop_(loop), user_(user), buffers_(buffers) {}
  ~ServerSocket() = default;
  ServerSocket(const ServerSocket&) = delete;
  ServerSocket& operator=(const ServerSocket&) = delete;

  bool open(int socket) noexcept;  // Takes the socket. False: it could not be used; on_closed() follows.
  net::Endpoint peer() const noexcept;
  void read();
  void pause() noexcept;
  // What was said before goes out in clear. `early`: what has come already of the client's handshake.
  void start_tls(SSL_CTX* context, std::string_view early = {});

  std::string tls_words() const { return tls_ ? tls_->words() : std::string(); }

  void say(std::string_view bytes);  // Goes out with flush().
  void flush();
  bool unsent() const noexcept { return !wire_.empty() || !writing_.empty(); }
  // No input is looked at any longer. After the next flush(): when all is sent our side is shut, and soon after, or
  // when the peer has shut its own, the socket closed. Closing at once would be a reset while the peer is still
  // sending, and a reset can take our last reply with it.
  void finish();
  bool finishing() const noexcept { return finishing_; }
  void close() noexcept;  // At once.

 private:
  static ServerSocket& of(void* data) noexcept { return *static_cast<ServerSocket*>(static_cast<HandleOwner*>(data)); }
  void loop_stopping() noexcept override { close(); }
  uv_stream_t* stream() noexcept { return reinterpret_cast<uv_stream_t*>(&tcp_); }
  void on_read(ssize_t count);
  void on_ciphertext(std::string_view bytes);
  void seal();
  void write_rest();
  void on_written(int status);
  void sent();
  void close_at(TimePoint time);

  net::UvLoop& loop_;
  User& user_;
  ReadBuffers buffers_;
  std::unique_ptr<TlsServer> tls_;
  std::unique_ptr<Timer> timer_;  // Of finish().
  std::string wire_;              // What the socket is to be given.
  std::string writing_;           // What libuv has of it.
  bool reading_ = false;
  bool finishing_ = false;
  bool shut_ = false;  // Our side of the connection is.
  bool closing_ = false;
  uv_tcp_t tcp_{};
  uv_write_t write_request_{};
};

}  // namespace mailsbuddy::smtp
