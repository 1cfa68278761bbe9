// key.h - a private key with everything that signing needs fetched beforehand.
#pragma once

#include <openssl/evp.h>

#include <array>
#include <memory>
#include <string_view>

#include "mailsbuddy/dkim.h"

namespace mailsbuddy::dkim {

// Deletes OpenSSL's objects. EVP_PKEY_free clears the private numbers of an RSA key before it gives their memory back.
struct OpenSslDelete {
  void operator()(EVP_PKEY* pkey) const noexcept { EVP_PKEY_free(pkey); }
  void operator()(EVP_PKEY_CTX* context) const noexcept { EVP_PKEY_CTX_free(context); }
  void operator()(EVP_MD* md) const noexcept { EVP_MD_free(md); }
  void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
  void operator()(BIO* bio) const noexcept { BIO_free(bio); }
};
template <class T>
using OpenSslPtr = std::unique_ptr<T, OpenSslDelete>;

using Sha256 = std::array<unsigned char, 32>;

// Threads: immutable after make(); each signature works on a duplicate of `signing`, which looks nothing up and takes
// no lock of ours.
struct PrivateKey::Key {
  OpenSslPtr<EVP_PKEY> pkey;
  OpenSslPtr<EVP_MD> sha256;
  OpenSslPtr<EVP_PKEY_CTX> signing;  // RSASSA-PKCS1-v1_5 with SHA-256 (RFC 6376 3.3.2), initialised.
  int bits = 0;

  // Takes `pkey` if it is RSA of a permitted size that makes good signatures.
  static Result<PrivateKey> make(OpenSslPtr<EVP_PKEY> pkey);
  // The signature of `digest` in base 64; empty: OpenSSL refused.
  std::string sign(const Sha256& digest) const;
  // SHA-256 of nothing yet; null: out of memory.
  OpenSslPtr<EVP_MD_CTX> new_hash() const;

 private:
  Result<void> prepare();
};

}  // namespace mailsbuddy::dkim
