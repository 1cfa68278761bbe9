// dkim.h - DKIM signatures (RFC 6376, RFC 8301): keys parsed once, signing, key records.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mailsbuddy/base.h"

namespace mailsbuddy::dkim {

inline constexpr int kRsaBitsMin = 1024;      // RFC 8301 3.2: verifiers need not take less.
inline constexpr int kRsaBitsDefault = 2048;  // RFC 8301 3.2: signers SHOULD use at least this.
inline constexpr int kRsaBitsMax = 4096;      // RFC 8301 3.2: verifiers need not take more.

enum class Algorithm : std::uint8_t { kRsaSha256, kEd25519Sha256 };  // RFC 6376 3.3.2, RFC 8463
std::string_view to_string(Algorithm algorithm) noexcept;            // "rsa-sha256", ...
enum class Canonicalisation : std::uint8_t { kSimple, kRelaxed };    // RFC 6376 3.4
std::string_view to_string(Canonicalisation form) noexcept;          // "simple", ...

// Which implementation does the work. Both take the same options and give the same verdicts.
enum class Backend : std::uint8_t { kNative, kLibopendkim };
std::string_view to_string(Backend backend) noexcept;                // "native", "opendkim"
bool available(Backend backend) noexcept;                            // libopendkim: only where it was built in.

// What stands in the DNS for a selector (RFC 6376 3.6.1). Tags that 3.6.1 does not know are ignored, as it asks.
struct KeyRecord {
  std::string key_type = "rsa";            // k=: "rsa" or "ed25519" (RFC 8463 4); others parse, no signature uses them.
  std::string public_key{};                // p= decoded: for rsa DER, SubjectPublicKeyInfo or RSAPublicKey; for ed25519 the
                                           // 32 octets of RFC 8032. Empty: the key is revoked.
  std::vector<std::string> hashes{};       // h=, as they stand; empty: all.
  std::vector<std::string> services{"*"};  // s=
  std::vector<std::string> flags{};        // t=: "y": the domain tests DKIM; "s": i= must have the domain of d= itself.
  std::string notes{};                     // n=, decoded: for people.

  // Errors: kInvalidArgument: not a tag list; v= that is not first or not DKIM1; no p=, or p= that is not base 64.
  static Result<KeyRecord> parse(std::string_view txt);
  std::string str() const;                 // The TXT record's text, "v=DKIM1; k=rsa; p=...". Default values are left out.

  bool revoked() const noexcept { return public_key.empty(); }
  bool allows_hash(std::string_view hash) const noexcept;  // "sha256"
  bool serves_email() const noexcept;                      // s= has "*" or "email".
  bool has_flag(std::string_view flag) const noexcept;     // "y", "s"
};

// A private key, parsed once. Threads: immutable, signing from any number at once. Ownership: a cheap value (shared); the
// last one wipes the key.
class PrivateKey {
 public:
  // PEM, PKCS#8 or PKCS#1. Errors: kInvalidArgument: not a key, not RSA, under kRsaBitsMin or over kRsaBitsMax.
  static Result<PrivateKey> from_pem(std::string_view pem);
  static Result<PrivateKey> generate(int bits = kRsaBitsDefault);

  int bits() const noexcept;
  std::string pem() const;     // PKCS#8, unencrypted.
  std::string record() const;  // The TXT record's text (RFC 6376 3.6.1): "v=DKIM1; k=rsa; p=...".

 private:
  friend class Signer;
  struct Key;
  std::shared_ptr<const Key> key_;
};

// `text` as quoted character-strings of at most 255 octets for a zone file (RFC 6376 3.6.2.2, RFC 1035 3.3.14).
std::string zone_file_strings(std::string_view text);

struct SignOptions {
  // Signed when present, each once more than it occurs when in `oversigned`, so that none can be added (RFC 6376 8.15).
  std::vector<std::string> headers{"From", "To", "Cc", "Subject", "Date", "Message-ID", "Reply-To", "MIME-Version",
                                   "Content-Type", "Content-Transfer-Encoding", "In-Reply-To", "References", "List-Id",
                                   "List-Unsubscribe", "List-Unsubscribe-Post", "Feedback-ID"};
  std::vector<std::string> oversigned{"From", "Subject", "List-Unsubscribe", "List-Unsubscribe-Post"};
  std::optional<std::chrono::seconds> expires_after{};  // x= (RFC 6376 3.5); empty: none.
};

// Signs for one (domain, selector). Threads: immutable, sign() from any number at once. A cheap value (shared).
class Signer {
 public:
  // Errors: kInvalidArgument: domain or selector is not a DNS name; From not among the signed headers (RFC 6376 5.4).
  static Result<Signer> make(std::string_view domain, std::string_view selector, PrivateKey key, SignOptions options = {});

  // The complete header field "DKIM-Signature: ...CRLF", folded, to stand before `message`, whose lines end in CRLF.
  // Errors: kInvalidArgument: no From, more than one From, or a bare CR or LF; kInternal: OpenSSL refused.
  Result<std::string> sign(std::string_view message, TimePoint now) const;

  const std::string& domain() const noexcept;
  const std::string& selector() const noexcept;

 private:
  struct Identity;
  std::shared_ptr<const Identity> identity_;
};

// Which key signs for which domain. Threads: immutable once shared. Built by add(), then given to the engine.
class KeyRing {
 public:
  Result<void> add(Signer signer);  // Errors: kAlreadyExists: the domain has a signer.
  // The signer for `from_domain` or its nearest parent domain (relaxed alignment, RFC 7489 3.1.1); null: none. The view
  // lives as long as the ring.
  const Signer* find(std::string_view from_domain) const noexcept;
  bool empty() const noexcept { return signers_.empty(); }

 private:
  std::vector<Signer> signers_;  // Sorted by domain.
};

}  // namespace mailsbuddy::dkim
