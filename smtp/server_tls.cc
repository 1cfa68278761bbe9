#include "smtp/server_tls.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

namespace mailsbuddy::smtp {
namespace {

using BioPtr = std::unique_ptr<BIO, net::OpenSslDeleter<BIO_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, net::OpenSslDeleter<EVP_PKEY_free>>;
using CertificatePtr = std::unique_ptr<X509, net::OpenSslDeleter<X509_free>>;

constexpr long kSelfSignedSeconds = 10L * 365 * 86'400;  // A test receiver must not fail one day for its age.

Error tls_error(std::string_view what) {
  std::array<char, 256> words{};
  ERR_error_string_n(ERR_get_error(), words.data(), words.size());
  ERR_clear_error();
  return {ErrorCode::kInvalidArgument, fmt::format("{}: {}", what, words.data())};
}

BioPtr bio_of(const std::string& text) { return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

// RFC 5280; version 3 is the number 2.
CertificatePtr self_signed(EVP_PKEY* key, const std::string& host) {
  CertificatePtr certificate(X509_new());
  X509* const x509 = certificate.get();
  if (x509 == nullptr) return nullptr;
  X509_NAME* const name = X509_get_subject_name(x509);
  const auto* const cn = reinterpret_cast<const unsigned char*>(host.c_str());
  const bool made = X509_set_version(x509, 2) == 1 && ASN1_INTEGER_set(X509_get_serialNumber(x509), 1) == 1 &&
                    X509_gmtime_adj(X509_getm_notBefore(x509), -86'400) != nullptr &&
                    X509_gmtime_adj(X509_getm_notAfter(x509), kSelfSignedSeconds) != nullptr &&
                    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, cn, -1, -1, 0) == 1 &&
                    X509_set_issuer_name(x509, name) == 1 && X509_set_pubkey(x509, key) == 1 &&
                    X509_sign(x509, key, EVP_sha256()) != 0;
  return made ? std::move(certificate) : nullptr;
}

Result<void> use_self_signed(SSL_CTX* context, const std::string& host) {
  const KeyPtr key(EVP_EC_gen("P-256"));
  const CertificatePtr certificate = key ? self_signed(key.get(), host) : nullptr;
  if (!certificate || SSL_CTX_use_certificate(context, certificate.get()) != 1 ||
      SSL_CTX_use_PrivateKey(context, key.get()) != 1)
    return tls_error("cannot make a self-signed certificate");
  return {};
}

Result<void> use_pem(SSL_CTX* context, const std::string& certificate_pem, const std::string& key_pem) {
  const BioPtr certificates = bio_of(certificate_pem);
  const CertificatePtr leaf(PEM_read_bio_X509(certificates.get(), nullptr, nullptr, nullptr));
  if (!leaf || SSL_CTX_use_certificate(context, leaf.get()) != 1) return tls_error("cannot read the TLS certificate");
  while (X509* const issuer = PEM_read_bio_X509(certificates.get(), nullptr, nullptr, nullptr))
    SSL_CTX_add0_chain_cert(context, issuer);
  ERR_clear_error();  // The loop ends with "no start line".
  const KeyPtr key(PEM_read_bio_PrivateKey(bio_of(key_pem).get(), nullptr, nullptr, nullptr));
  if (!key || SSL_CTX_use_PrivateKey(context, key.get()) != 1) return tls_error("cannot read the TLS key");
  if (SSL_CTX_check_private_key(context) != 1) return tls_error("the TLS key is not the certificate's");
  return {};
}

}  // namespace

Result<net::SslCtxPtr> make_tls_server_context(const std::string& certificate_pem, const std::string& key_pem,
                                               const std::string& host) {
  net::SslCtxPtr context(SSL_CTX_new(TLS_server_method()));
  if (!context) return tls_error("cannot make a TLS context");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  // A client that renegotiates again and again costs a signature each time, and asks for next to nothing itself.
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
  const auto used = certificate_pem.empty() && key_pem.empty() ? use_self_signed(context.get(), host)
                                                               : use_pem(context.get(), certificate_pem, key_pem);
  if (!used) return used.error();
  return context;
}

TlsServer::TlsServer(SSL_CTX* context) : ssl_(SSL_new(context)) {
  BioPtr in(BIO_new(BIO_s_mem()));
  BioPtr out(BIO_new(BIO_s_mem()));
  if (!ssl_ || !in || !out) {
    state_ = State::kFailed;
    return;
  }
  BIO_set_mem_eof_return(in.get(), -1);  // Empty means: more will come.
  BIO_set_mem_eof_return(out.get(), -1);
  in_ = in.release();
  out_ = out.release();
  SSL_set_bio(ssl_.get(), in_, out_);
  SSL_set_accept_state(ssl_.get());
}

void TlsServer::feed(std::string_view ciphertext) {
  if (state_ != State::kHandshake && state_ != State::kOpen) return;
  ERR_clear_error();
  if (BIO_write(in_, ciphertext.data(), static_cast<int>(ciphertext.size())) != static_cast<int>(ciphertext.size())) {
    state_ = State::kFailed;
    return;
  }
  if (state_ == State::kOpen) return;
  const int done = SSL_do_handshake(ssl_.get());
  if (done == 1)
    state_ = State::kOpen;
  else if (SSL_get_error(ssl_.get(), done) != SSL_ERROR_WANT_READ)
    state_ = State::kFailed;
}

std::size_t TlsServer::read(std::span<char> plaintext) {
  if (state_ != State::kOpen) return 0;
  ERR_clear_error();
  const int count = SSL_read(ssl_.get(), plaintext.data(), static_cast<int>(plaintext.size()));
  if (count > 0) return static_cast<std::size_t>(count);
  const int error = SSL_get_error(ssl_.get(), count);
  if (error == SSL_ERROR_ZERO_RETURN)
    state_ = State::kClosed;
  else if (error != SSL_ERROR_WANT_READ)
    state_ = State::kFailed;
  return 0;
}

void TlsServer::write(std::string_view plaintext) {
  ERR_clear_error();
  if (SSL_write(ssl_.get(), plaintext.data(), static_cast<int>(plaintext.size())) <= 0) state_ = State::kFailed;
}

void TlsServer::shut_down() {
  if (state_ != State::kOpen && state_ != State::kClosed) return;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());  // 0: the peer's is not there yet. It is not waited for.
}

std::string TlsServer::words() const {
  return std::string(SSL_get_version(ssl_.get())) + " " + SSL_get_cipher_name(ssl_.get());
}

void TlsServer::take_output(std::string& ciphertext) {
  char* data = nullptr;
  const long size = out_ == nullptr ? 0 : BIO_get_mem_data(out_, &data);
  if (size <= 0) return;
  ciphertext.append(data, static_cast<std::size_t>(size));
  static_cast<void>(BIO_reset(out_));
}

}  // namespace mailsbuddy::smtp
