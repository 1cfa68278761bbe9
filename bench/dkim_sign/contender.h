// contender.h - who signs in this workload, and what: one message at a time, in one thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "mailsbuddy/dkim.h"

namespace mailsbuddy::bench {

// The identity that all sign for, and when. Past, so that no verifier finds it in the future.
inline constexpr std::string_view kDomain = "brand.example";
inline constexpr std::string_view kSelector = "s1";
inline constexpr TimePoint kTime{std::chrono::seconds(1'790'000'000)};

class Contender {
 public:
  virtual ~Contender() = default;
  // The DKIM-Signature field of `message`; of a floor, whatever it makes. Ends the program when it cannot.
  virtual std::string_view sign(const std::string& message) = 0;
  // How often each call does it.
  virtual std::uint64_t times() const { return 1; }
};

std::unique_ptr<Contender> make_mailsbuddy(const dkim::PrivateKey& key, dkim::Backend backend);
// dkim::sign_batch() of as many messages as it signs at once.
std::unique_ptr<Contender> make_mailsbuddy_batch(const dkim::PrivateKey& key);
// The floor of a signer, EVP_DigestSign with a context prepared once. RSA: of the whole message. Ed25519: of a digest
// of 32 octets, which is what DKIM signs (RFC 8463 3).
std::unique_ptr<Contender> make_raw_digest_sign(const dkim::PrivateKey& key);
// The body canonicalised (relaxed) and hashed, by us; and hashed alone, by EVP_Digest functions: its floor.
std::unique_ptr<Contender> make_mailsbuddy_hash(const dkim::PrivateKey& key);
std::unique_ptr<Contender> make_raw_sha256();
// libopendkim called directly, as its manual has it.
std::unique_ptr<Contender> make_libopendkim(const dkim::PrivateKey& key);

}  // namespace mailsbuddy::bench
