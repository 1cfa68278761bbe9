#include "bounce/classes.h"

#include <array>
#include <utility>

namespace mailsbuddy::bounce {
namespace {

using P = Permanence;
using S = Scope;
using R = Reaction;

// docs/bounces.md says what each class means. A block is about us, not about the recipient: none suppresses.
// clang-format off
constexpr ClassRow kClasses[] = {
    {Class::kDelivered, "delivered", P::kNone, S::kNone, R::kNone,
     "", 0, {"", ""}},
    {Class::kUserUnknown, "user_unknown", P::kHard, S::kRecipient, R::kSuppress,
     "bad-mailbox", 10, {"Permanent", "NoEmail"}},
    // Soft, to be suppressed when it happens again and again: whoever counts makes it hard.
    {Class::kMailboxDisabled, "mailbox_disabled", P::kSoft, S::kRecipient, R::kSuppress,
     "inactive-mailbox", 10, {"Permanent", "General"}},
    {Class::kMailboxMoved, "mailbox_moved", P::kHard, S::kRecipient, R::kSuppress,
     "bad-mailbox", 10, {"Permanent", "General"}},
    {Class::kMailboxFull, "mailbox_full", P::kSoft, S::kRecipient, R::kRetry,
     "quota-issues", 22, {"Transient", "MailboxFull"}},
    {Class::kRecipientFiltered, "recipient_filtered", P::kSoft, S::kRecipient, R::kFailMessage,
     "policy-related", 50, {"Transient", "General"}},
    {Class::kRecipientRate, "recipient_rate", P::kSoft, S::kRecipient, R::kRetry,
     "quota-issues", 70, {"Transient", "General"}},
    {Class::kSuppressed, "suppressed", P::kAdmin, S::kRecipient, R::kSuppress,
     "other", 25, {"Permanent", "OnAccountSuppressionList"}},
    {Class::kDomainUnknown, "domain_unknown", P::kHard, S::kRecipient, R::kSuppress,
     "bad-domain", 21, {"Permanent", "General"}},
    {Class::kNullMx, "null_mx", P::kHard, S::kRecipient, R::kSuppress,
     "bad-domain", 21, {"Permanent", "General"}},
    {Class::kDnsFailure, "dns_failure", P::kSoft, S::kHost, R::kRetry,
     "routing-errors", 21, {"Transient", "General"}},
    {Class::kRoutingError, "routing_error", P::kSoft, S::kHost, R::kRetry,
     "routing-errors", 40, {"Transient", "General"}},
    {Class::kNoAnswer, "no_answer", P::kSoft, S::kHost, R::kRetry,
     "no-answer-from-host", 24, {"Transient", "General"}},
    {Class::kConnectionError, "connection_error", P::kSoft, S::kHost, R::kRetry,
     "bad-connection", 20, {"Transient", "General"}},
    {Class::kTlsFailure, "tls_failure", P::kSoft, S::kHost, R::kRetry,
     "protocol-errors", 20, {"Transient", "General"}},
    {Class::kTlsRequired, "tls_required", P::kSoft, S::kHost, R::kRetry,
     "protocol-errors", 20, {"Transient", "General"}},
    {Class::kProtocolError, "protocol_error", P::kSoft, S::kHost, R::kRetry,
     "protocol-errors", 40, {"Undetermined", "Undetermined"}},
    {Class::kRemoteConfig, "remote_config", P::kSoft, S::kHost, R::kRetry,
     "bad-configuration", 20, {"Transient", "General"}},
    {Class::kRemoteSystemFull, "remote_system_full", P::kSoft, S::kHost, R::kRetry,
     "quota-issues", 20, {"Transient", "General"}},
    {Class::kExpired, "expired", P::kSoft, S::kMessage, R::kFailMessage,
     "message-expired", 24, {"Transient", "General"}},
    {Class::kRateLimited, "rate_limited", P::kBlock, S::kSourceIp, R::kSlow,
     "policy-related", 70, {"Transient", "General"}},
    {Class::kTooManyConnections, "too_many_connections", P::kBlock, S::kSourceIp, R::kSlow,
     "bad-connection", 70, {"Transient", "General"}},
    {Class::kTooManyRecipients, "too_many_recipients", P::kSoft, S::kMessage, R::kSplit,
     "policy-related", 20, {"Transient", "General"}},
    {Class::kGreylisted, "greylisted", P::kSoft, S::kRecipient, R::kRetry,
     "other", 70, {"Transient", "General"}},
    {Class::kIpReputation, "ip_reputation", P::kBlock, S::kSourceIp, R::kSlow,
     "spam-related", 51, {"Transient", "General"}},
    {Class::kIpBlocklisted, "ip_blocklisted", P::kBlock, S::kSourceIp, R::kSuspendAlert,
     "spam-related", 51, {"Transient", "General"}},
    {Class::kDomainReputation, "domain_reputation", P::kBlock, S::kSenderDomain, R::kPause,
     "spam-related", 51, {"Transient", "General"}},
    {Class::kPtrMissing, "ptr_missing", P::kBlock, S::kSourceIp, R::kSuspendAlert,
     "policy-related", 50, {"Transient", "General"}},
    {Class::kAuthFailed, "auth_failed", P::kBlock, S::kSenderDomain, R::kPause,
     "policy-related", 50, {"Transient", "ContentRejected"}},
    {Class::kSenderInvalid, "sender_invalid", P::kAdmin, S::kSenderDomain, R::kAlert,
     "invalid-sender", 50, {"Undetermined", "Undetermined"}},
    {Class::kRelayDenied, "relay_denied", P::kAdmin, S::kHost, R::kAlert,
     "relaying-issues", 54, {"Undetermined", "Undetermined"}},
    {Class::kContentSpam, "content_spam", P::kBlock, S::kMessage, R::kFailMessage,
     "spam-related", 52, {"Transient", "ContentRejected"}},
    {Class::kContentPolicy, "content_policy", P::kBlock, S::kMessage, R::kFailMessage,
     "content-related", 50, {"Transient", "ContentRejected"}},
    {Class::kRfcNoncompliant, "rfc_noncompliant", P::kHard, S::kMessage, R::kFailMessage,
     "content-related", 50, {"Transient", "ContentRejected"}},
    {Class::kAttachmentRejected, "attachment_rejected", P::kBlock, S::kMessage, R::kFailMessage,
     "content-related", 53, {"Transient", "AttachmentRejected"}},
    {Class::kVirus, "virus", P::kBlock, S::kMessage, R::kAlert,
     "virus-related", 53, {"Transient", "ContentRejected"}},
    {Class::kTooLarge, "too_large", P::kHard, S::kMessage, R::kFailMessage,
     "content-related", 23, {"Transient", "MessageTooLarge"}},
    {Class::kAdminDeleted, "admin_deleted", P::kAdmin, S::kMessage, R::kFailMessage,
     "other", 25, {"", ""}},
    {Class::kAutoReply, "auto_reply", P::kNone, S::kRecipient, R::kNone,
     "other", 60, {"", ""}},
    {Class::kChallenge, "challenge", P::kNone, S::kRecipient, R::kNone,
     "other", 100, {"", ""}},
    {Class::kUnsubscribe, "unsubscribe", P::kNone, S::kRecipient, R::kSuppress,
     "other", 90, {"", ""}},
    {Class::kSubscribe, "subscribe", P::kNone, S::kRecipient, R::kNone,
     "other", 80, {"", ""}},
    {Class::kComplaint, "complaint", P::kNone, S::kRecipient, R::kSuppress,
     "", 0, {"Complaint", ""}},
    {Class::kUndetermined, "undetermined", P::kUndetermined, S::kMessage, R::kRetry,
     "other", 1, {"Undetermined", "Undetermined"}},
};
// clang-format on

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
                                     {R::kSplit, "split"},
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

template <class Enum, class Row, std::size_t N>
std::optional<Enum> named(const Row (&rows)[N], Enum Row::*value, std::string_view name) noexcept {
  for (const Row& row : rows) {
    if (row.name == name) return row.*value;
  }
  return std::nullopt;
}

}  // namespace

const ClassRow& row_of(Class klass) noexcept { return at(kClasses, klass); }

std::optional<Class> class_named(std::string_view name) noexcept { return named(kClasses, &ClassRow::klass, name); }
std::optional<Scope> scope_named(std::string_view name) noexcept { return named(kScopes, &NameRow<S>::value, name); }
std::optional<Reaction> reaction_named(std::string_view name) noexcept {
  return named(kReactions, &NameRow<R>::value, name);
}

std::string_view powermta_category(Class value) noexcept { return at(kClasses, value).powermta; }
int sparkpost_class(Class value) noexcept { return at(kClasses, value).sparkpost; }
SesType ses_type(Class value) noexcept { return at(kClasses, value).ses; }

std::string_view to_string(Class value) noexcept { return at(kClasses, value).name; }
std::string_view to_string(Permanence value) noexcept { return at(kPermanences, value).name; }
std::string_view to_string(Scope value) noexcept { return at(kScopes, value).name; }
std::string_view to_string(Reaction value) noexcept { return at(kReactions, value).name; }

}  // namespace mailsbuddy::bounce
