#include "dkim/key.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <algorithm>

#include "core/base/encoding.h"

namespace mailsbuddy::dkim {
namespace {

constexpr std::size_t kPemBytesMax = 64 * 1024;  // An RSA-4096 key with its text takes 13 KB.

// What OpenSSL adds to its thread's list of errors while this lives is taken off it again.
class ErrorMark {
 public:
  ErrorMark() noexcept { ERR_set_mark(); }
  ~ErrorMark() { ERR_pop_to_mark(); }
};

Error invalid(std::string detail) { return {ErrorCode::kInvalidArgument, std::move(detail)}; }
Error openssl_refused(std::string_view what) { return {ErrorCode::kInternal, fmt::format("OpenSSL: {} failed", what)}; }

// Encrypted keys are not asked a password for: OpenSSL's own callback would read the terminal.
int no_password(char*, int, int, void* asked) noexcept {
  *static_cast<bool*>(asked) = true;
  return -1;
}

}  // namespace

Result<PrivateKey> PrivateKey::Key::make(OpenSslPtr<EVP_PKEY> pkey) {
  const ErrorMark mark;
  if (!EVP_PKEY_is_a(pkey.get(), "RSA")) {
    const char* name = EVP_PKEY_get0_type_name(pkey.get());
    return invalid(fmt::format("not an RSA key but {}: only RSA keys can sign in this version",
                               name == nullptr ? "of an unknown type" : name));
  }
  const int bits = EVP_PKEY_get_bits(pkey.get());
  if (bits < kRsaBitsMin || bits > kRsaBitsMax) {
    return invalid(
        fmt::format("RSA key of {} bits: from {} to {} are usable (RFC 8301 3.2)", bits, kRsaBitsMin, kRsaBitsMax));
  }
  auto key = std::make_shared<Key>();
  key->pkey = std::move(pkey);
  key->bits = bits;
  if (auto prepared = key->prepare(); !prepared) return std::move(prepared).error();
  PrivateKey made;
  made.key_ = std::move(key);
  return made;
}

// One signature is made and verified: a damaged digit in a PEM file still parses, and every message would fail.
Result<void> PrivateKey::Key::prepare() {
  sha256.reset(EVP_MD_fetch(nullptr, "SHA256", nullptr));
  const auto context = [this](int (*init)(EVP_PKEY_CTX*)) {
    OpenSslPtr<EVP_PKEY_CTX> made(EVP_PKEY_CTX_new_from_pkey(nullptr, pkey.get(), nullptr));
    const bool ready = made && init(made.get()) > 0 &&
                       EVP_PKEY_CTX_set_rsa_padding(made.get(), RSA_PKCS1_PADDING) > 0 &&
                       EVP_PKEY_CTX_set_signature_md(made.get(), sha256.get()) > 0;
    return ready ? std::move(made) : nullptr;
  };
  if (sha256) signing = context(EVP_PKEY_sign_init);
  const auto verifying = sha256 ? context(EVP_PKEY_verify_init) : nullptr;
  if (!signing || !verifying) return openssl_refused("setting up RSA-SHA256");

  const Sha256 digest{};
  const auto signature = decode_base64(sign(digest));
  if (!signature || signature->empty() ||
      EVP_PKEY_verify(verifying.get(), reinterpret_cast<const unsigned char*>(signature->data()), signature->size(),
                      digest.data(), digest.size()) != 1) {
    return invalid("damaged RSA key: its signatures do not verify");
  }
  return {};
}

std::string PrivateKey::Key::sign(const Sha256& digest) const {
  const ErrorMark mark;
  std::array<unsigned char, kRsaBitsMax / 8> signature;
  std::size_t size = signature.size();
  const OpenSslPtr<EVP_PKEY_CTX> context(EVP_PKEY_CTX_dup(signing.get()));
  std::string text;
  if (context && EVP_PKEY_sign(context.get(), signature.data(), &size, digest.data(), digest.size()) > 0) {
    append_base64(text, {reinterpret_cast<const char*>(signature.data()), size});
  }
  return text;
}

OpenSslPtr<EVP_MD_CTX> PrivateKey::Key::new_hash() const {
  OpenSslPtr<EVP_MD_CTX> context(EVP_MD_CTX_new());
  if (context && EVP_DigestInit_ex2(context.get(), sha256.get(), nullptr) <= 0) context.reset();
  return context;
}

Result<PrivateKey> PrivateKey::from_pem(std::string_view pem) {
  const ErrorMark mark;
  if (pem.empty() || pem.size() > kPemBytesMax) return invalid("not a PEM private key");
  // The BIO reads `pem` where it stands, and OpenSSL clears what it decodes on the way.
  const OpenSslPtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (!bio) return openssl_refused("BIO_new_mem_buf");
  bool encrypted = false;
  OpenSslPtr<EVP_PKEY> pkey(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, &encrypted));
  if (encrypted) return invalid("the PEM private key is encrypted: decrypt it first");
  if (!pkey) return invalid("not a PEM private key");
  return Key::make(std::move(pkey));
}

Result<PrivateKey> PrivateKey::generate(int bits) {
  const ErrorMark mark;
  if (bits < kRsaBitsMin || bits > kRsaBitsMax) {
    return invalid(fmt::format("{} bits: an RSA key has from {} to {}", bits, kRsaBitsMin, kRsaBitsMax));
  }
  OpenSslPtr<EVP_PKEY> pkey(EVP_RSA_gen(static_cast<unsigned>(bits)));
  if (!pkey) return openssl_refused("generating an RSA key");
  return Key::make(std::move(pkey));
}

int PrivateKey::bits() const noexcept { return key_->bits; }

std::string PrivateKey::pem() const {
  const ErrorMark mark;
  const OpenSslPtr<BIO> bio(BIO_new(BIO_s_secmem()));  // Cleared when freed.
  char* data = nullptr;
  if (!bio || PEM_write_bio_PKCS8PrivateKey(bio.get(), key_->pkey.get(), nullptr, nullptr, 0, nullptr, nullptr) <= 0) {
    return {};
  }
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

std::string PrivateKey::record() const {
  const ErrorMark mark;
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key_->pkey.get(), &der);
  std::string text = "v=DKIM1; k=rsa; p=";
  if (size > 0) append_base64(text, {reinterpret_cast<const char*>(der), static_cast<std::size_t>(size)});
  OPENSSL_free(der);
  return text;
}

std::string zone_file_strings(std::string_view text) {
  constexpr std::size_t kCharacterStringMax = 255;  // RFC 1035 3.3
  std::string out;
  do {
    out += out.empty() ? "\"" : " \"";
    for (const char c : text.substr(0, kCharacterStringMax)) {
      if (c == '"' || c == '\\') out += '\\';
      if (c >= ' ' && c < 0x7f) {
        out += c;
      } else {
        out += fmt::format("\\{:03}", static_cast<unsigned char>(c));  // RFC 1035 5.1
      }
    }
    out += '"';
    text.remove_prefix(std::min(text.size(), kCharacterStringMax));
  } while (!text.empty());
  return out;
}

}  // namespace mailsbuddy::dkim
