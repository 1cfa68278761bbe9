// verifier.h - one message under examination: what verifying DKIM-Signatures and ARC sets have in common (RFC
// 6376 6.1.2 and 6.1.3). Bodies are hashed and keys asked for once, however many signatures want them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dkim/header_index.h"
#include "dkim/message.h"
#include "dkim/public_key.h"
#include "dkim/reason.h"
#include "dkim/signature.h"
#include "mailsbuddy/dkim.h"

namespace mailsbuddy::dkim {

// "s1._domainkey.brand.example" (RFC 6376 3.6.2.1).
std::string key_name(const Signature& signature);

struct FoundKeys {
  Finding finding;                                       // kOk if and only if there is a key.
  std::vector<std::shared_ptr<const PublicKey>> usable;  // Of several records, each that may verify the signature.
  std::shared_ptr<const PublicKey> shown;                // What to report of: the first usable, or the one refused.
};

// Threads: one owner. Ownership: `message`, `lookup` and `options` outlive it.
class Examination {
 public:
  Examination(const CutMessage& message, const KeyLookup& lookup, const VerifyOptions& options);

  const HeaderIndex& index() const noexcept { return index_; }
  Hasher& hasher() noexcept { return hasher_; }
  FoundKeys find_keys(const Signature& signature);                          // RFC 6376 6.1.2
  Finding check_body(const Signature& signature);                           // bh= and l=
  Finding check_fields(const Signature& signature, const FoundKeys& keys);  // b= over the fields of h=
  Finding check_digest(std::string_view digest, const Signature& signature, const FoundKeys& keys) const;  // b=

 private:
  struct Body {
    Canonicalisation form;
    Hash hash;
    std::optional<std::uint64_t> length;
    std::string digest;        // Empty: OpenSSL refused.
    std::uint64_t size_bytes;  // Of the canonical form, all of it.
  };
  struct Answer {
    std::string name;
    KeyAnswer answer;
  };

  const Body& body_of(const Signature& signature);
  const KeyAnswer& look_up(std::string name);

  const CutMessage& message_;
  const KeyLookup& lookup_;
  const VerifyOptions& options_;
  std::optional<KeyCache> own_cache_;  // Where the caller has none.
  KeyCache::Impl& cache_;
  HeaderIndex index_;
  Hasher hasher_;
  std::string canonical_;  // Kept for its memory.
  std::vector<Body> bodies_;
  std::vector<Answer> answers_;
};

bool is_signature(const Field& field) noexcept;  // A DKIM-Signature.

// What both engines have in common. A verdict on the message as a whole, with one result that says why or, where it is
// not signed, none; empty: its signatures, from 1 to any number, are to be judged, and `cut` has it.
std::optional<Verification> settled_by_header(std::string_view message, CutMessage& cut);
Verification refused(Finding found);
void add_too_many(const CutMessage& cut, const VerifyOptions& options, Verification& verification);
Verification settled(Verification verification);  // With the status that its signatures give it.

// The second engine; Status::kTempError with kUnavailable where it was not built in.
Verification verify_with_libopendkim(std::string_view message, const KeyLookup& lookup, const VerifyOptions& options);

}  // namespace mailsbuddy::dkim
