// key.h - a private key with everything that signing needs fetched beforehand.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "dkim/openssl.h"
#include "dkim/rsa_lanes.h"
#include "mailsbuddy/dkim.h"

namespace mailsbuddy::dkim {

constexpr std::size_t kSignatureBytesMax = kRsaBitsMax / 8;

// Contexts of one key that are ready to sign: as many as threads ever signed at once. They lie with the key and not
// with the threads, so that nothing holds its numbers when the last PrivateKey is gone. Threads: any; the lock is held
// for a few instructions, where the signature takes tens or hundreds of microseconds.
class SigningContexts {
 public:
  explicit SigningContexts(Algorithm algorithm) : algorithm_(algorithm) {}

  // The signature of `digest` into `out`; how many octets it has; 0: OpenSSL refused.
  std::size_t sign(EVP_PKEY& pkey, const Sha256& digest, std::span<unsigned char, kSignatureBytesMax> out);
  // Whether it is one, by an RSA key.
  bool verifies(EVP_PKEY& pkey, const Sha256& digest, std::span<const unsigned char> signature);

 private:
  struct Context {
    OpenSslPtr<EVP_PKEY_CTX> rsa;         // RSASSA-PKCS1-v1_5 with SHA-256 (RFC 6376 3.3.2).
    OpenSslPtr<EVP_PKEY_CTX> rsa_verify;  // Made when it is first needed.
    OpenSslPtr<EVP_MD_CTX> ed25519;       // PureEdDSA (RFC 8463 3).
  };
  Context take(EVP_PKEY& pkey);
  void give_back(Context context);

  const Algorithm algorithm_;
  std::mutex mutex_;
  std::vector<Context> idle_;
};

// Threads: any; signing is all that is done with it.
struct PrivateKey::Key {
  Key(OpenSslPtr<EVP_PKEY> given, Algorithm type, int size)
      : pkey(std::move(given)), lanes(RsaLanesKey::make(*pkey)), algorithm(type), bits(size), contexts(type) {}

  OpenSslPtr<EVP_PKEY> pkey;
  std::unique_ptr<const RsaLanesKey> lanes;  // Null: OpenSSL alone signs with it,
  mutable std::atomic<bool> lanes_failed{false};  // as it does since this is so: a signature of theirs was none.
  Algorithm algorithm;
  int bits;
  mutable SigningContexts contexts;

  // Takes `pkey` if DKIM can sign with it and its signatures are good.
  static Result<PrivateKey> make(OpenSslPtr<EVP_PKEY> pkey, KeyOptions options);
  std::size_t sign(const Sha256& digest, std::span<unsigned char, kSignatureBytesMax> out) const;
  std::string public_key() const;  // As p= has it.
};

struct DigestToSign {
  const PrivateKey::Key* key = nullptr;
  Sha256 digest{};
  std::array<unsigned char, kSignatureBytesMax> signature;
  std::size_t size = 0;  // Of the signature; 0: OpenSSL refused.
};

// Signs all of them, several at once where that takes less time than one after the other (rsa_lanes.h).
void sign_digests(std::span<DigestToSign> digests);

}  // namespace mailsbuddy::dkim
