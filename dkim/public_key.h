// public_key.h - a key record with its key ready to verify with, and the cache of them.
#pragma once

#include <array>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "dkim/openssl.h"
#include "dkim/reason.h"
#include "dkim/signature.h"
#include "mailsbuddy/dkim.h"

namespace mailsbuddy::dkim {

// The hashes, fetched once: OpenSSL looks for an implementation each time it is asked by name.
struct Digests {
  Digests();
  const EVP_MD* find(Hash hash) const noexcept { return hash == Hash::kSha1 ? sha1.get() : sha256.get(); }

  OpenSslPtr<EVP_MD> sha1;
  OpenSslPtr<EVP_MD> sha256;
};

// One running hash, for as many sums as wanted one after the other. Threads: one owner.
class Hasher {
 public:
  explicit Hasher(const Digests& digests) : digests_(digests), context_(EVP_MD_CTX_new()) {}
  void start(Hash hash);
  void update(std::string_view bytes);
  std::string_view finish();  // Until the next start(). Empty: OpenSSL refused somewhere on the way.
  // finish() as if `tail` had been given, while the sum goes on without it.
  std::string_view sum_with(std::string_view tail);

 private:
  const Digests& digests_;
  OpenSslPtr<EVP_MD_CTX> context_;
  std::array<unsigned char, EVP_MAX_MD_SIZE> sum_{};
  bool good_ = false;
};

// Threads: immutable after parse().
class PublicKey {
 public:
  // Never null. What is wrong with the record, whatever the signature, is in fault().
  static std::shared_ptr<const PublicKey> parse(std::string_view record_text);

  const Finding& fault() const noexcept { return fault_; }
  const KeyRecord& record() const noexcept { return record_; }
  int bits() const noexcept { return bits_; }
  // RFC 6376 6.1.2, steps 5 to 8, and RFC 8301 3.2: whether this key may verify `signature`.
  Finding check(const Signature& signature, const VerifyOptions& options) const;
  // Whether `signature` is this key's over what hashes to `digest`.
  bool verifies(Hash hash, std::string_view digest, std::string_view signature) const;

 private:
  Finding load(std::string_view record_text);
  Finding load_rsa();
  Finding load_ed25519();

  Finding fault_;
  KeyRecord record_;
  OpenSslPtr<EVP_PKEY> pkey_;
  OpenSslPtr<EVP_PKEY_CTX> rsa_sha256_;  // Initialised; each verification works on a duplicate.
  int bits_ = 0;
};

// Threads: any number at once. Invariant: `by_text` has one entry for each of `recent`, whose text its key views.
struct KeyCache::Impl {
  using Entry = std::pair<std::string, std::shared_ptr<const PublicKey>>;

  std::size_t keys_max;
  Digests digests;
  std::mutex mutex;
  std::list<Entry> recent;  // The last used first.
  std::unordered_map<std::string_view, std::list<Entry>::iterator> by_text;

  std::shared_ptr<const PublicKey> find(std::string_view text);
};

}  // namespace mailsbuddy::dkim
