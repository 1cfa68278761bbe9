#include "bounce/classes.h"

#include <array>
#include <utility>

namespace mailsbuddy::bounce {
namespace {

using P = Permanence;
using S = Scope;
using R = Reaction;

// docs/bounces.md says what each class means. A block is about us, not about the recipient: none suppresses.
constexpr ClassRow kClasses[] = {
    {Class::kDelivered, "delivered", P::kNone, S::kNone, R::kNone},
    {Class::kUserUnknown, "user_unknown", P::kHard, S::kRecipient, R::kSuppress},
    // Soft, to be suppressed when it happens again and again: whoever counts makes it hard.
    {Class::kMailboxDisabled, "mailbox_disabled", P::kSoft, S::kRecipient, R::kSuppress},
    {Class::kMailboxMoved, "mailbox_moved", P::kHard, S::kRecipient, R::kSuppress},
    {Class::kMailboxFull, "mailbox_full", P::kSoft, S::kRecipient, R::kRetry},
    {Class::kRecipientFiltered, "recipient_filtered", P::kSoft, S::kRecipient, R::kFailMessage},
    {Class::kRecipientRate, "recipient_rate", P::kSoft, S::kRecipient, R::kRetry},
    {Class::kSuppressed, "suppressed", P::kAdmin, S::kRecipient, R::kSuppress},
    {Class::kDomainUnknown, "domain_unknown", P::kHard, S::kRecipient, R::kSuppress},
    {Class::kNullMx, "null_mx", P::kHard, S::kRecipient, R::kSuppress},
    {Class::kDnsFailure, "dns_failure", P::kSoft, S::kHost, R::kRetry},
    {Class::kRoutingError, "routing_error", P::kSoft, S::kHost, R::kRetry},
    {Class::kNoAnswer, "no_answer", P::kSoft, S::kHost, R::kRetry},
    {Class::kConnectionError, "connection_error", P::kSoft, S::kHost, R::kRetry},
    {Class::kTlsFailure, "tls_failure", P::kSoft, S::kHost, R::kRetry},
    {Class::kTlsRequired, "tls_required", P::kSoft, S::kHost, R::kRetry},
    {Class::kProtocolError, "protocol_error", P::kSoft, S::kHost, R::kRetry},
    {Class::kRemoteConfig, "remote_config", P::kSoft, S::kHost, R::kRetry},
    {Class::kRemoteSystemFull, "remote_system_full", P::kSoft, S::kHost, R::kRetry},
    {Class::kExpired, "expired", P::kSoft, S::kMessage, R::kFailMessage},
    {Class::kRateLimited, "rate_limited", P::kBlock, S::kSourceIp, R::kSlow},
    {Class::kTooManyConnections, "too_many_connections", P::kBlock, S::kSourceIp, R::kSlow},
    // "Split": each of our transactions has one recipient already, so another try is all there is to do.
    {Class::kTooManyRecipients, "too_many_recipients", P::kSoft, S::kMessage, R::kRetry},
    {Class::kGreylisted, "greylisted", P::kSoft, S::kRecipient, R::kRetry},
    {Class::kIpReputation, "ip_reputation", P::kBlock, S::kSourceIp, R::kSlow},
    {Class::kIpBlocklisted, "ip_blocklisted", P::kBlock, S::kSourceIp, R::kSuspendAlert},
    {Class::kDomainReputation, "domain_reputation", P::kBlock, S::kSenderDomain, R::kPause},
    {Class::kPtrMissing, "ptr_missing", P::kBlock, S::kSourceIp, R::kSuspendAlert},
    {Class::kAuthFailed, "auth_failed", P::kBlock, S::kSenderDomain, R::kPause},
    {Class::kSenderInvalid, "sender_invalid", P::kAdmin, S::kSenderDomain, R::kAlert},
    {Class::kRelayDenied, "relay_denied", P::kAdmin, S::kHost, R::kAlert},
    {Class::kContentSpam, "content_spam", P::kBlock, S::kMessage, R::kFailMessage},
    {Class::kContentPolicy, "content_policy", P::kBlock, S::kMessage, R::kFailMessage},
    {Class::kRfcNoncompliant, "rfc_noncompliant", P::kHard, S::kMessage, R::kFailMessage},
    {Class::kAttachmentRejected, "attachment_rejected", P::kBlock, S::kMessage, R::kFailMessage},
    {Class::kVirus, "virus", P::kBlock, S::kMessage, R::kFailMessage},
    {Class::kTooLarge, "too_large", P::kHard, S::kMessage, R::kFailMessage},
    {Class::kUndetermined, "undetermined", P::kUndetermined, S::kMessage, R::kRetry},
};

template <class Enum>
struct NameRow {
  Enum value;
  std::string_view name;
};

constexpr NameRow<P> kPermanences[] = {{P::kNone, "none"},   {P::kHard, "hard"},   {P::kSoft, "soft"},
                                       {P::kBlock, "block"}, {P::kAdmin, "admin"}, {P::kUndetermined, "undetermined"}};
constexpr NameRow<S> kScopes[] = {{S::kNone, "none"},          {S::kRecipient, "recipient"},
                                  {S::kMessage, "message"},    {S::kSenderDomain, "sender_domain"},
                                  {S::kSourceIp, "source_ip"}, {S::kHost, "host"}};
constexpr NameRow<R> kReactions[] = {{R::kNone, "none"},
                                     {R::kSuppress, "suppress"},
                                     {R::kRetry, "retry"},
                                     {R::kSlow, "slow"},
                                     {R::kPause, "pause"},
                                     {R::kSuspendAlert, "suspend_alert"},
                                     {R::kFailMessage, "fail_message"},
                                     {R::kAlert, "alert"}};

// A table's rows stand in the order of its enum, from the first value to `last`.
template <class Enum, class Row, std::size_t N>
constexpr bool complete(const Row (&rows)[N], Enum Row::*value, Enum last) {
  for (std::size_t i = 0; i < N; ++i) {
    if (static_cast<std::size_t>(rows[i].*value) != i) return false;
  }
  return N == static_cast<std::size_t>(last) + 1;
}
static_assert(complete(kClasses, &ClassRow::klass, Class::kUndetermined));
static_assert(complete(kPermanences, &NameRow<P>::value, P::kUndetermined));
static_assert(complete(kScopes, &NameRow<S>::value, S::kHost));
static_assert(complete(kReactions, &NameRow<R>::value, R::kAlert));

template <class Row, std::size_t N, class Enum>
constexpr const Row& at(const Row (&rows)[N], Enum value) noexcept {
  return rows[static_cast<std::size_t>(value)];
}

}  // namespace

const ClassRow& row_of(Class klass) noexcept { return at(kClasses, klass); }

std::string_view to_string(Class value) noexcept { return at(kClasses, value).name; }
std::string_view to_string(Permanence value) noexcept { return at(kPermanences, value).name; }
std::string_view to_string(Scope value) noexcept { return at(kScopes, value).name; }
std::string_view to_string(Reaction value) noexcept { return at(kReactions, value).name; }

}  // namespace mailsbuddy::bounce
