// contender.h - who verifies in this workload, and what: one signed message at a time, in one thread.
#pragma once

#include <memory>
#include <string>

#include "mailsbuddy/dkim.h"

namespace mailsbuddy::bench {

inline constexpr std::string_view kDomain = "brand.example";
inline constexpr std::string_view kSelector = "s1";
inline constexpr TimePoint kTime{
    std::chrono::seconds(1'790'000'000)};  // Past, so that no verifier finds it in the future.

class Contender {
 public:
  virtual ~Contender() = default;
  virtual bool verify(const std::string& message) = 0;
};

// `cached`: with a KeyCache, as whoever verifies many messages has it. Otherwise each message's key is parsed anew.
std::unique_ptr<Contender> make_mailsbuddy(const std::string& record, bool cached);
// The floor of a verifier, EVP_DigestVerify with a context prepared once. RSA: of the whole message. Ed25519: of a
// digest of 32 octets, which is what DKIM signs (RFC 8463 3). It verifies a signature made beforehand of just that.
std::unique_ptr<Contender> make_raw_digest_verify(const dkim::PrivateKey& key, const std::string& message);
// libopendkim called directly, as its manual has it: one library handle, the record given by a callback.
std::unique_ptr<Contender> make_libopendkim(const std::string& record);

}  // namespace mailsbuddy::bench
