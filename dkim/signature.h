// signature.h - a DKIM-Signature, ARC-Message-Signature or ARC-Seal field taken apart and found to be in itself sound.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dkim/message.h"
#include "dkim/reason.h"
#include "mailsbuddy/dkim.h"

namespace mailsbuddy::dkim {

enum class Hash : std::uint8_t { kSha1, kSha256 };

// RFC 6376 3.3, RFC 8463 3. `text` is what stands in a=.
struct SignatureAlgorithm {
  std::string_view text;
  std::string_view key_type;   // As k= of key records.
  std::string_view hash_name;  // As h= of key records.
  Hash hash;
};

enum class SignatureKind : std::uint8_t { kDkim, kArcMessage, kArcSeal };

// Views into the field it was parsed from, which outlives it.
struct Signature {
  Field field;
  std::string_view domain;    // d=
  std::string_view selector;  // s=
  std::string_view algorithm_text;
  std::string_view chain_status;  // cv= of kArcSeal.
  int instance = 0;               // i= of ARC.
  std::string identity;           // i= of DKIM, decoded; empty: none.
  const SignatureAlgorithm* algorithm = nullptr;
  Canonicalisation header_form = Canonicalisation::kSimple;
  Canonicalisation body_form = Canonicalisation::kSimple;
  std::vector<std::string_view> names;       // h=
  std::string body_hash;                     // bh=, decoded.
  std::string signature;                     // b=, decoded.
  std::string_view signature_text;           // b=, as it stands.
  std::optional<std::uint64_t> body_length;  // l=, of which what exceeds 64 bits stands as the most of them.
  std::optional<std::uint64_t> signed_at;    // t=
  std::optional<std::uint64_t> expires_at;   // x=

  // RFC 6376 3.7: the field "with the value of the b= tag (including all surrounding whitespace) deleted", in its
  // canonical form, "without a trailing CRLF".
  void append_unsigned_field(std::string& out, Canonicalisation form) const;
  // The domain of `identity`, or d=.
  std::string_view identity_domain() const noexcept;
};

// RFC 6376 6.1.1 as far as the field alone can tell. What could be read stands in `signature` also when a fault is
// returned.
Finding parse_signature(const Field& field, SignatureKind kind, Signature& signature);

// RFC 6376 3.5, t= and x=, and RFC 8301 3.1.
Finding check_times(std::optional<std::uint64_t> signed_at, std::optional<std::uint64_t> expires_at,
                    const VerifyOptions& options);
Finding check_times_and_hash(const Signature& signature, const VerifyOptions& options);

}  // namespace mailsbuddy::dkim
