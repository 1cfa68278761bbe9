// openssl.h - OpenSSL's objects as C++ has them, and SHA-256.
#pragma once

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include <array>
#include <memory>
#include <string_view>

namespace mailsbuddy::dkim {

// EVP_PKEY_free clears the private numbers of a key before it gives their memory back.
struct OpenSslDelete {
  void operator()(EVP_PKEY* pkey) const noexcept { EVP_PKEY_free(pkey); }
  void operator()(EVP_PKEY_CTX* context) const noexcept { EVP_PKEY_CTX_free(context); }
  void operator()(EVP_MD* md) const noexcept { EVP_MD_free(md); }
  void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
  void operator()(BIO* bio) const noexcept { BIO_free(bio); }
};
template <class T>
using OpenSslPtr = std::unique_ptr<T, OpenSslDelete>;

// What OpenSSL adds to its thread's list of errors while this lives is taken off it again.
class ErrorMark {
 public:
  ErrorMark() noexcept { ERR_set_mark(); }
  ~ErrorMark() { ERR_pop_to_mark(); }
};

using Sha256 = std::array<unsigned char, 32>;

// One SHA-256 after another. OpenSSL 3.0 takes one small block from the heap for each, at begin().
class Sha256Hash {
 public:
  Sha256Hash() : md_(EVP_MD_fetch(nullptr, "SHA256", nullptr)), context_(EVP_MD_CTX_new()) {}

  void begin() noexcept { good_ = md_ && context_ && EVP_DigestInit_ex2(context_.get(), md_.get(), nullptr) > 0; }
  void update(std::string_view bytes) noexcept {
    good_ = good_ && EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) > 0;
  }
  // False: OpenSSL refused, here or before.
  bool finish(Sha256& digest) noexcept {
    return good_ && EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr) > 0;
  }

 private:
  OpenSslPtr<EVP_MD> md_;
  OpenSslPtr<EVP_MD_CTX> context_;
  bool good_ = false;
};

}  // namespace mailsbuddy::dkim
