// server_tls.h - TLS for servers without I/O: ciphertext in and out, plaintext in and out.
#pragma once

#include <openssl/ssl.h>

#include <span>
#include <string>
#include <string_view>

#include "core/net/tls.h"

namespace mailsbuddy::smtp {

// What a server's connections share. Both PEM texts empty: a key and a self-signed certificate for `host` are made.
// Errors: kInvalidArgument with OpenSSL's words. Threads: the context may be used from any once made.
Result<net::SslCtxPtr> make_tls_server_context(const std::string& certificate_pem, const std::string& key_pem,
                                               const std::string& host);

// One connection's TLS. Threads: one owner. Feed what comes from the peer, then read() until 0, then send output().
class TlsServer {
 public:
  enum class State { kHandshake, kOpen, kClosed, kFailed };  // kClosed: the peer's close_notify has come.

  explicit TlsServer(SSL_CTX* context);

  State state() const noexcept { return state_; }
  void feed(std::string_view ciphertext);
  std::size_t read(std::span<char> plaintext);  // 0: no more now.
  void write(std::string_view plaintext);       // Only in kOpen.
  void shut_down();                             // close_notify.
  std::string words() const;                    // "TLSv1.3 TLS_AES_256_GCM_SHA384".
  void take_output(std::string& ciphertext);    // Appends what is to be sent.

 private:
  net::SslPtr ssl_;
  BIO* in_ = nullptr;   // Owned by ssl_.
  BIO* out_ = nullptr;  // Owned by ssl_.
  State state_ = State::kHandshake;
};

}  // namespace mailsbuddy::smtp
