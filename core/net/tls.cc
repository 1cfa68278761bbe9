// tls.cc - OpenSSL between two memory BIOs.
#include "core/net/tls.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <climits>
#include <filesystem>
#include <optional>

namespace mailsbuddy::net {
namespace {

int to_int(std::size_t bytes) { return static_cast<int>(std::min<std::size_t>(bytes, INT_MAX)); }

// "mx.example.net." and "mx.example.net" are one host; certificates and SNI are without the dot (RFC 6066 3).
std::string_view without_dot(std::string_view name) {
  return name.ends_with('.') ? name.substr(0, name.size() - 1) : name;
}

// Everything that a verdict depends on: a session keeps the one on the certificate that it began with, so that what was
// made under less must not stand in for more. Lengths make it unambiguous.
std::string session_key(const TlsOptions& options, const Endpoint& remote) {
  std::string key = fmt::format("{} {} {}", static_cast<int>(options.verify), remote.str(), options.server_name);
  for (const std::string& name : options.names) key += fmt::format(" n{}:{}", name.size(), name);
  for (const TlsaRecord& record : options.tlsa)
    key +=
        fmt::format(" {}.{}.{}.{}:{}", record.usage, record.selector, record.matching, record.data.size(), record.data);
  return key;
}

// SSL_set_tlsext_host_name(), which is a macro with a C cast.
bool set_sni(SSL* ssl, const std::string& name) {
  return name.empty() ||
         SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, const_cast<char*>(name.c_str())) == 1;
}

TlsFailure failure_of(long verdict) noexcept {
  switch (verdict) {
    case X509_V_OK:
      return TlsFailure::kNone;
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return TlsFailure::kExpired;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return TlsFailure::kNameMismatch;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      return TlsFailure::kSelfSigned;
    case X509_V_ERR_DANE_NO_MATCH:
      return TlsFailure::kTlsaMismatch;
    default:
      return TlsFailure::kUntrusted;
  }
}

// When the first certificate of a chain expires. What was not verified has no chain, and no verdict that could grow
// old.
std::time_t end_of(const STACK_OF(X509) * chain) noexcept {
  std::time_t end = std::numeric_limits<std::time_t>::max();
  for (int i = 0; chain != nullptr && i < sk_X509_num(chain); ++i) {
    std::tm time{};
    if (ASN1_TIME_to_tm(X509_get0_notAfter(sk_X509_value(chain, i)), &time) != 1) return 0;
    end = std::min(end, timegm(&time));
  }
  return end;
}

constexpr int kSecurityBits = 112;  // Of OpenSSL's level 2, Debian's default: RSA of 2048 bits, no SHA-1.

}  // namespace

std::string_view to_string(TlsFailure failure) noexcept {
  static constexpr std::array<std::string_view, 7> kNames = {
      "none", "handshake", "expired", "name_mismatch", "self_signed", "untrusted", "tlsa_mismatch"};
  static_assert(kNames.size() == static_cast<std::size_t>(TlsFailure::kTlsaMismatch) + 1);
  return kNames[static_cast<std::size_t>(failure)];
}

SSL_CTX* TlsContext::get() {
  if (context_) return context_.get();
  SslCtxPtr context(SSL_CTX_new(TLS_client_method()));
  if (!context) return nullptr;
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
  // Not SSL_CTX_set_default_verify_paths(): it reads the environment. Roots that cannot be read verify nothing, and the
  // handshakes that need them say so.
  if (ca_.empty()) {
    SSL_CTX_load_verify_dir(context.get(), X509_get_default_cert_dir());
    SSL_CTX_load_verify_file(context.get(), X509_get_default_cert_file());
  } else if (std::error_code none; std::filesystem::is_directory(ca_, none)) {
    SSL_CTX_load_verify_dir(context.get(), ca_.c_str());
  } else {
    SSL_CTX_load_verify_file(context.get(), ca_.c_str());
  }
  SSL_CTX_dane_enable(context.get());
  SSL_CTX_dane_set_flags(context.get(), DANE_FLAG_NO_DANE_EE_NAMECHECKS);  // RFC 7672 3.1.1.
  ERR_clear_error();
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context.get(), &TlsClient::on_new_session);
  context_ = std::move(context);
  return context_.get();
}

const TlsContext::Kept* TlsContext::session(std::string_view key) {
  const Kept* found = sessions_.find(key);
  const bool good = found != nullptr && SSL_SESSION_is_resumable(found->session.get()) == 1 && found->until > std::time(nullptr);
  return good ? found : nullptr;
}

TlsClient::TlsClient(TlsContext& context, const TlsOptions& options, const Endpoint& remote)
    : context_(context), options_(options) {
  options_.server_name = without_dot(options.server_name);
  peer_ = options_.server_name.empty() ? remote.str() : fmt::format("{} ({})", options_.server_name, remote.str());
  if (options_.names.empty() && !options_.server_name.empty()) options_.names = {options_.server_name};
  for (std::string& name : options_.names) name = without_dot(name);
  session_key_ = session_key(options_, remote);
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
  const bool demanded = options_.verify != TlsVerify::kNone;
  SSL_set_verify(ssl_.get(), demanded ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  // Opportunistic: a weak key or cipher still beats clear text, which is the alternative (RFC 7435 3).
  if (!demanded) SSL_set_security_level(ssl_.get(), 0);
  if (options_.verify == TlsVerify::kDane ? !prepare_dane() : !prepare_names()) return false;
  if (const TlsContext::Kept* kept = context_.session(session_key_)) {
    SSL_set_session(ssl_.get(), kept->session.get());
    resumed_until_ = kept->until;
  }
  return true;
}

// No SNI for literals (RFC 6066 3).
bool TlsClient::prepare_names() {
  X509_VERIFY_PARAM* param = SSL_get0_param(ssl_.get());
  X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (!IpAddress::parse(options_.server_name) && !set_sni(ssl_.get(), options_.server_name)) return false;
  for (const std::string& name : options_.names) {
    const bool address = IpAddress::parse(name).has_value();
    const int set = address ? X509_VERIFY_PARAM_set1_ip_asc(param, name.c_str())
                            : X509_VERIFY_PARAM_add1_host(param, name.data(), name.size());
    if (set != 1) return false;
  }
  return true;
}

// RFC 7672 3.1: the records decide, the names count for DANE-TA alone. Records that OpenSSL cannot use, and it knows
// more about them than usable() does, it passes over by itself.
bool TlsClient::prepare_dane() {
  const std::string& base = options_.names.empty() ? options_.server_name : options_.names.front();
  if (SSL_dane_enable(ssl_.get(), base.c_str()) <= 0) return false;
  if (!set_sni(ssl_.get(), options_.server_name)) return false;
  SSL_set_hostflags(ssl_.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  for (std::size_t i = 1; i < options_.names.size(); ++i)
    if (SSL_add1_host(ssl_.get(), options_.names[i].c_str()) != 1) return false;
  bool any = false;
  for (const TlsaRecord& record : options_.tlsa) {
    if (!record.usable()) continue;
    const auto* data = reinterpret_cast<const unsigned char*>(record.data.data());
    any |= SSL_dane_tlsa_add(ssl_.get(), record.usage, record.selector, record.matching, data, record.data.size()) == 1;
    ERR_clear_error();
  }
  dane_usable_ = any;
  return any;
}

// TLS 1.3 tickets arrive after the handshake, in a later read; the newest one is kept. It is used again until a newer
// one comes: to be linkable (RFC 8446 C.4) is nothing to a sender that connects from known addresses, and a pool that
// opens ten connections at once resumes ten times.
int TlsClient::on_new_session(SSL* ssl, SSL_SESSION* session) noexcept {
  auto* client = static_cast<TlsClient*>(SSL_get_app_data(ssl));
  const std::time_t until = SSL_session_reused(ssl) == 1 ? client->resumed_until_ : end_of(SSL_get0_verified_chain(ssl));
  client->context_.keep(client->session_key_, {SslSessionPtr(session), until});
  return 1;  // The reference is ours.
}

void TlsClient::step_handshake() {
  ERR_clear_error();
  const int done = SSL_do_handshake(ssl_.get());
  if (done == 1) {
    if (options_.verify != TlsVerify::kNone && !verified()) {
      failure_ = verdict();
      return fail(options_.names.empty() ? "there is no name to check the certificate for"
                                         : "certificate not verified");
    }
    state_ = State::kOpen;
  } else if (const int why = SSL_get_error(ssl_.get(), done);
             why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
    context_.forget(session_key_);  // Should the session be what the peer choked on.
    const long found = options_.verify != TlsVerify::kNone ? SSL_get_verify_result(ssl_.get()) : X509_V_OK;
    failure_ = found == X509_V_OK ? TlsFailure::kHandshake : failure_of(found);
    fail(last_openssl_words());
  }
}

bool TlsClient::verified() const { return verdict() == TlsFailure::kNone; }

TlsFailure TlsClient::verdict() const {
  if (SSL_get0_peer_certificate(ssl_.get()) == nullptr) return TlsFailure::kUntrusted;
  if (const long found = SSL_get_verify_result(ssl_.get()); found != X509_V_OK) return failure_of(found);
  return options_.names.empty() ? TlsFailure::kNameMismatch : TlsFailure::kNone;
}

void TlsClient::fail(std::string why) {
  if (state_ == State::kHandshake && failure_ == TlsFailure::kNone) failure_ = TlsFailure::kHandshake;
  error_ = {ErrorCode::kIo,
            fmt::format("{} with {}: {}", state_ == State::kHandshake ? "TLS handshake" : "TLS", peer_, why)};
  state_ = State::kFailed;
}

std::string TlsClient::last_openssl_words() const {
  if (options_.verify == TlsVerify::kDane && !dane_usable_) return "no TLSA record can be used";
  const unsigned long code = ERR_peek_error();
  const char* words = ERR_reason_error_string(code);
  if (const long found = ssl_ ? SSL_get_verify_result(ssl_.get()) : X509_V_OK;
      options_.verify != TlsVerify::kNone && found != X509_V_OK)
    return fmt::format("certificate verify failed: {}", X509_verify_cert_error_string(found));
  if (words != nullptr) return words;
  return code == 0 ? "closed by the peer" : fmt::format("OpenSSL error {:#x}", code);
}

// Without a demand anything goes for encryption. To say who is there, keys and signatures must be what a demand would
// ask for.
bool TlsClient::strong() const {
  if (options_.verify != TlsVerify::kNone) return true;  // OpenSSL has seen to it.
  const STACK_OF(X509)* chain = SSL_get_peer_cert_chain(ssl_.get());
  for (int i = 0; chain != nullptr && i < sk_X509_num(chain); ++i) {
    X509* const certificate = sk_X509_value(chain, i);
    const EVP_PKEY* key = X509_get0_pubkey(certificate);
    int bits = 0;
    if (key == nullptr || EVP_PKEY_get_security_bits(key) < kSecurityBits) return false;
    if (X509_check_issued(certificate, certificate) == X509_V_OK) continue;  // A root: nobody trusts it for its signature.
    const bool known = X509_get_signature_info(certificate, nullptr, nullptr, &bits, nullptr) == 1;
    if (!known || bits < kSecurityBits) return false;
  }
  return chain != nullptr && SSL_get_cipher_bits(ssl_.get(), nullptr) >= kSecurityBits;
}

TlsInfo TlsClient::info() const {
  const TlsFailure found = verdict();
  return {.version = SSL_get_version(ssl_.get()),
          .cipher = SSL_CIPHER_get_name(SSL_get_current_cipher(ssl_.get())),
          .resumed = SSL_session_reused(ssl_.get()) == 1,
          .verified = found == TlsFailure::kNone && strong(),
          .failure = found == TlsFailure::kNone && !strong() ? TlsFailure::kUntrusted : found};
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
