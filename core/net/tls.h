// tls.h - TLS for clients without I/O: ciphertext in and out, plaintext in and out, sessions kept for resumption.
#pragma once

#include <openssl/ssl.h>

#include <ctime>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/net/lru.h"
#include "mailsbuddy/net.h"

namespace mailsbuddy::net {

// Sessions kept per transport. About 5 KB each with the peer's chain: 5 MB, and more than the sites a worker talks to.
inline constexpr std::size_t kTlsSessionsMax = 1024;

template <auto Free>
struct OpenSslDeleter {
  template <class T>
  void operator()(T* object) const noexcept {
    Free(object);
  }
};
using SslCtxPtr = std::unique_ptr<SSL_CTX, OpenSslDeleter<SSL_CTX_free>>;
using SslPtr = std::unique_ptr<SSL, OpenSslDeleter<SSL_free>>;
using SslSessionPtr = std::unique_ptr<SSL_SESSION, OpenSslDeleter<SSL_SESSION_free>>;

// What connections share: settings, trusted roots, sessions. TLS 1.2 at least.
// Threads: its loop's. Ownership: outlives the TlsClients made with it.
class TlsContext {
 public:
  // A PEM file, or a folder of them by hash (openssl rehash); empty: the system's store.
  explicit TlsContext(std::string ca) : ca_(std::move(ca)) {}
  SSL_CTX* get();  // Made on first use: a process that never meets TLS reads no roots. Null: out of memory.

  // A session that may be resumed: it ends with the first certificate of the chain that it was verified by, which
  // nobody looks at again when it is resumed.
  struct Kept {
    SslSessionPtr session;
    std::time_t until;
  };
  const Kept* session(std::string_view key);  // Null: none.
  void keep(std::string_view key, Kept kept) { sessions_.put(key, std::move(kept)); }
  void forget(std::string_view key) { sessions_.erase(key); }

 private:
  std::string ca_;
  SslCtxPtr context_;
  Lru<Kept> sessions_{kTlsSessionsMax};
};

// One connection's TLS. Threads: its loop's. Feed what comes from the peer, send what output() gives, look at state().
class TlsClient {
 public:
  enum class State {
    kHandshake,
    kOpen,
    kClosed,  // The peer's close_notify has come.
    kFailed,  // See error(). output() may hold an alert for the peer.
  };

  // The ClientHello waits in output().
  TlsClient(TlsContext& context, const TlsOptions& options, const Endpoint& remote);

  State state() const noexcept { return state_; }
  const Error& error() const noexcept { return error_; }
  TlsFailure failure() const noexcept { return failure_; }  // When kFailed in the handshake.
  TlsInfo info() const;                                     // From kOpen on.

  void feed(std::string_view ciphertext);
  std::size_t read(std::span<char> plaintext);     // 0: no more now, or not kOpen any longer.
  std::size_t write(std::string_view plaintext);   // All of it, or 0 and kFailed. Only in kOpen.
  std::size_t output(std::span<char> ciphertext);  // 0: nothing to send.
  void shut_down();                                // close_notify into output(), when kOpen or kClosed.

 private:
  static int on_new_session(SSL* ssl, SSL_SESSION* session) noexcept;
  bool strong() const;
  friend class TlsContext;
  bool prepare(SSL_CTX* context);
  void step_handshake();
  bool prepare_names();
  bool prepare_dane();
  bool verified() const;
  TlsFailure verdict() const;  // On the peer's certificate.
  void fail(std::string why);
  std::string last_openssl_words() const;

  TlsContext& context_;
  TlsOptions options_;
  std::string peer_;  // For error texts: "mx.example.net (192.0.2.1:25)".
  std::string session_key_;
  State state_ = State::kHandshake;
  Error error_;
  bool dane_usable_ = false;  // A TLSA record was taken.
  TlsFailure failure_ = TlsFailure::kNone;
  SslPtr ssl_;
  std::time_t resumed_until_ = 0;  // Of the session that is resumed, if it is.
  BIO* in_ = nullptr;   // Owned by ssl_.
  BIO* out_ = nullptr;  // Owned by ssl_.
};

}  // namespace mailsbuddy::net
