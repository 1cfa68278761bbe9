// tls.cc - OpenSSL between two memory BIOs.
#include "core/net/tls.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <climits>
#include <optional>

namespace mailsbuddy::net {
namespace {

int to_int(std::size_t bytes) { return static_cast<int>(std::min<std::size_t>(bytes, INT_MAX)); }

// "mx.example.net." and "mx.example.net" are one host; certificates and SNI are without the dot (RFC 6066 3).
std::string_view without_dot(std::string_view name) {
  return name.ends_with('.') ? name.substr(0, name.size() - 1) : name;
}

}  // namespace

SSL_CTX* TlsContext::get() {
  if (context_) return context_.get();
  SslCtxPtr context(SSL_CTX_new(TLS_client_method()));
  if (!context) return nullptr;
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
  // Not SSL_CTX_set_default_verify_paths(): it reads the environment. Roots that cannot be read verify nothing, and the
  // handshakes that need them say so.
  if (ca_file_.empty()) {
    SSL_CTX_load_verify_dir(context.get(), X509_get_default_cert_dir());
    SSL_CTX_load_verify_file(context.get(), X509_get_default_cert_file());
  } else {
    SSL_CTX_load_verify_file(context.get(), ca_file_.c_str());
  }
  ERR_clear_error();
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context.get(), &TlsClient::on_new_session);
  context_ = std::move(context);
  return context_.get();
}

SSL_SESSION* TlsContext::session(std::string_view key) {
  SslSessionPtr* found = sessions_.find(key);
  return found != nullptr && SSL_SESSION_is_resumable(found->get()) == 1 ? found->get() : nullptr;
}

TlsClient::TlsClient(TlsContext& context, const TlsOptions& options, const Endpoint& remote)
    : context_(context), options_(options) {
  options_.server_name = without_dot(options.server_name);
  peer_ = options_.server_name.empty() ? remote.str() : fmt::format("{} ({})", options_.server_name, remote.str());
  // A session keeps the verdict on the certificate it began with: sessions of opportunistic handshakes, made under a
  // lower security level, do not stand in for verified ones.
  session_key_ = fmt::format("{} {} {}", options_.verify_peer ? 'v' : 'o', remote.str(), options_.server_name);
  ERR_clear_error();
  SSL_CTX* shared = context.get();
  if (shared != nullptr && prepare(shared)) {
    step_handshake();
  } else {
    fail(last_openssl_words());
  }
}

bool TlsClient::prepare(SSL_CTX* context) {
  ssl_.reset(SSL_new(context));
  in_ = BIO_new(BIO_s_mem());
  out_ = BIO_new(BIO_s_mem());
  if (!ssl_ || in_ == nullptr || out_ == nullptr) {
    BIO_free(in_);
    BIO_free(out_);
    in_ = out_ = nullptr;
    return false;
  }
  SSL_set_bio(ssl_.get(), in_, out_);
  SSL_set_app_data(ssl_.get(), this);
  SSL_set_connect_state(ssl_.get());
  SSL_set_verify(ssl_.get(), options_.verify_peer ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  // Opportunistic: a weak key or cipher still beats clear text, which is the alternative (RFC 7435 3).
  if (!options_.verify_peer) SSL_set_security_level(ssl_.get(), 0);
  if (const std::string& name = options_.server_name; !name.empty()) {
    X509_VERIFY_PARAM* param = SSL_get0_param(ssl_.get());
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (IpAddress::parse(name)) {  // No SNI for literals (RFC 6066 3).
      if (X509_VERIFY_PARAM_set1_ip_asc(param, name.c_str()) != 1) return false;
    } else if (X509_VERIFY_PARAM_set1_host(param, name.data(), name.size()) != 1 ||
               SSL_ctrl(ssl_.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                        const_cast<char*>(name.c_str())) != 1) {
      return false;
    }
  }
  if (SSL_SESSION* session = context_.session(session_key_)) SSL_set_session(ssl_.get(), session);
  return true;
}

// TLS 1.3 tickets arrive after the handshake, in a later read; the newest one is kept. It is used again until a newer
// one comes: to be linkable (RFC 8446 C.4) is nothing to a sender that connects from known addresses, and a pool that
// opens ten connections at once resumes ten times.
int TlsClient::on_new_session(SSL* ssl, SSL_SESSION* session) noexcept {
  auto* client = static_cast<TlsClient*>(SSL_get_app_data(ssl));
  client->context_.keep(client->session_key_, SslSessionPtr(session));
  return 1;  // The reference is ours.
}

void TlsClient::step_handshake() {
  ERR_clear_error();
  const int done = SSL_do_handshake(ssl_.get());
  if (done == 1) {
    if (options_.verify_peer && !verified())
      return fail(options_.server_name.empty() ? "there is no name to check the certificate for"
                                               : "certificate not verified");
    state_ = State::kOpen;
  } else if (const int why = SSL_get_error(ssl_.get(), done);
             why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
    context_.forget(session_key_);  // Should the session be what the peer choked on.
    fail(last_openssl_words());
  }
}

bool TlsClient::verified() const {
  return !options_.server_name.empty() && SSL_get0_peer_certificate(ssl_.get()) != nullptr &&
         SSL_get_verify_result(ssl_.get()) == X509_V_OK;
}

void TlsClient::fail(std::string why) {
  error_ = {ErrorCode::kIo,
            fmt::format("{} with {}: {}", state_ == State::kHandshake ? "TLS handshake" : "TLS", peer_, why)};
  state_ = State::kFailed;
}

std::string TlsClient::last_openssl_words() const {
  const unsigned long code = ERR_peek_error();
  const char* words = ERR_reason_error_string(code);
  if (const long verdict = ssl_ ? SSL_get_verify_result(ssl_.get()) : X509_V_OK;
      options_.verify_peer && verdict != X509_V_OK)
    return fmt::format("certificate verify failed: {}", X509_verify_cert_error_string(verdict));
  if (words != nullptr) return words;
  return code == 0 ? "closed by the peer" : fmt::format("OpenSSL error {:#x}", code);
}

TlsInfo TlsClient::info() const {
  return {.version = SSL_get_version(ssl_.get()),
          .cipher = SSL_CIPHER_get_name(SSL_get_current_cipher(ssl_.get())),
          .resumed = SSL_session_reused(ssl_.get()) == 1,
          .verified = verified()};
}

void TlsClient::feed(std::string_view ciphertext) {
  if (state_ == State::kFailed) return;
  if (BIO_write(in_, ciphertext.data(), to_int(ciphertext.size())) != to_int(ciphertext.size()))
    return fail("out of memory");
  if (state_ == State::kHandshake) step_handshake();
}

std::size_t TlsClient::read(std::span<char> plaintext) {
  if (state_ != State::kOpen) return 0;
  ERR_clear_error();
  const int got = SSL_read(ssl_.get(), plaintext.data(), to_int(plaintext.size()));
  if (got > 0) return static_cast<std::size_t>(got);
  switch (SSL_get_error(ssl_.get(), got)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      break;
    case SSL_ERROR_ZERO_RETURN:
      state_ = State::kClosed;
      break;
    default:
      fail(last_openssl_words());
  }
  return 0;
}

std::size_t TlsClient::write(std::string_view plaintext) {
  if (plaintext.empty()) return 0;  // SSL_write() of nothing is undefined.
  ERR_clear_error();
  const int took = SSL_write(ssl_.get(), plaintext.data(), to_int(plaintext.size()));
  if (took > 0) return static_cast<std::size_t>(took);
  fail(last_openssl_words());  // The BIO never asks to wait, and renegotiation is off.
  return 0;
}

std::size_t TlsClient::output(std::span<char> ciphertext) {
  if (out_ == nullptr) return 0;
  const int got = BIO_read(out_, ciphertext.data(), to_int(ciphertext.size()));
  return got > 0 ? static_cast<std::size_t>(got) : 0;
}

void TlsClient::shut_down() {
  if (state_ != State::kOpen && state_ != State::kClosed) return;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
}

}  // namespace mailsbuddy::net
