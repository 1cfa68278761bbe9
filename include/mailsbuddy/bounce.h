// bounce.h - what a reply means and what to do about it; the signed return path (VERP) that bounces come back to.
#pragma once

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

// The local part "b-..." : lower-case base32 of the token with a truncated HMAC-SHA-256 by `key`. At most 64 octets
// (RFC 5321 4.5.3.1.1), survives case folding. `key`: at least kVerpKeyBytesMin octets.
Result<std::string> verp_encode(const VerpToken& token, std::string_view key);
// Errors: kInvalidArgument: not one of ours, or forged, or changed on the way.
Result<VerpToken> verp_decode(std::string_view local_part, std::string_view key);

}  // namespace mailsbuddy::bounce
