// bounce.h - what a reply means and what to do about it; the signed return path (VERP) that bounces come back to.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "mailsbuddy/base.h"
#include "mailsbuddy/mail.h"

namespace mailsbuddy::bounce {

// What happened. The names and their meaning are in docs/bounces.md; one row a class in bounce/classes.cc.
enum class Class : std::uint8_t {
  kDelivered,
  kUserUnknown, kMailboxDisabled, kMailboxMoved, kMailboxFull, kRecipientFiltered, kRecipientRate, kSuppressed,
  kDomainUnknown, kNullMx, kDnsFailure, kRoutingError, kNoAnswer, kConnectionError, kTlsFailure, kTlsRequired,
  kProtocolError, kRemoteConfig, kRemoteSystemFull, kExpired, kRateLimited, kTooManyConnections, kTooManyRecipients,
  kGreylisted, kIpReputation, kIpBlocklisted, kDomainReputation, kPtrMissing, kAuthFailed, kSenderInvalid, kRelayDenied,
  kContentSpam, kContentPolicy, kRfcNoncompliant, kAttachmentRejected, kVirus, kTooLarge, kUndetermined,
};
std::string_view to_string(Class value) noexcept;  // "user_unknown", ...

enum class Permanence : std::uint8_t { kNone, kHard, kSoft, kBlock, kAdmin, kUndetermined };
std::string_view to_string(Permanence value) noexcept;

enum class Scope : std::uint8_t { kNone, kRecipient, kMessage, kSenderDomain, kSourceIp, kHost };
std::string_view to_string(Scope value) noexcept;

enum class Reaction : std::uint8_t { kNone, kSuppress, kRetry, kSlow, kPause, kSuspendAlert, kFailMessage, kAlert };
std::string_view to_string(Reaction value) noexcept;

struct Verdict {
  Class klass = Class::kUndetermined;
  Permanence permanence = Permanence::kUndetermined;
  Scope scope = Scope::kMessage;
  Reaction reaction = Reaction::kRetry;
  std::string_view rule;  // The id of the rule that decided; static storage.
};

// What an attempt's outcome means. Never fails: what no rule knows is judged by enhanced code, then by code, then by cause.
// Threads: any. Cost: independent of the provider; one pass over the reply's text.
Verdict classify(const Outcome& outcome, const ProviderId& provider);

// ---------------------------------------------------------------------------------------------------------------------
// VERP: a return path that says which campaign and recipient a bounce belongs to

inline constexpr std::size_t kVerpKeyBytesMin = 16;

struct VerpToken {
  std::uint64_t campaign = 0;   // The engine's number of the campaign.
  std::uint64_t recipient = 0;  // The engine's number of the row.
  std::uint32_t day = 0;        // Days since 1970-01-01, of sending.
  auto operator<=>(const VerpToken&) const = default;
};

inline constexpr std::size_t kVerpBytes = 50;        // Octets of a local part (RFC 5321 4.5.3.1.1 allows 64).
inline constexpr std::uint32_t kVerpSkewDays = 1;    // How far a token's day may be ahead: clocks of two hosts differ.

// Signs tokens and reads them back. Threads: immutable, any.
class VerpKey {
 public:
  // `secret`: at least kVerpKeyBytesMin octets. Errors: kInvalidArgument: it is shorter.
  static Result<VerpKey> make(std::string_view secret);

  // Appends the local part "b-...": lower-case base32 of the token with a truncated HMAC-SHA-256. Survives case folding.
  void encode(const VerpToken& token, std::string& out) const;
  // Takes tokens of `today` (days since 1970-01-01) and of `days_max` days before. Errors: kNotFound: not one of ours by
  // its form; kInvalidArgument: forged, or changed on the way; kResourceExhausted: older than that; kUnavailable: ours,
  // but from more than kVerpSkewDays ahead.
  Result<VerpToken> decode(std::string_view local_part, std::uint32_t today, std::uint32_t days_max) const;

 private:
  using Hash = std::array<std::uint32_t, 8>;  // SHA-256's, between two blocks.
  VerpKey() = default;
  void sign(const unsigned char* token, unsigned char* mac) const;
  Hash inner_{};
  Hash outer_{};
};

}  // namespace mailsbuddy::bounce
