// bounce.h - what a reply means and what to do about it; the signed return path (VERP) that bounces come back to.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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
  kContentSpam, kContentPolicy, kRfcNoncompliant, kAttachmentRejected, kVirus, kTooLarge, kAdminDeleted, kAutoReply,
  kChallenge, kUnsubscribe, kSubscribe, kComplaint, kUndetermined,
};
std::string_view to_string(Class value) noexcept;  // "user_unknown", ...

enum class Permanence : std::uint8_t { kNone, kHard, kSoft, kBlock, kAdmin, kUndetermined };
std::string_view to_string(Permanence value) noexcept;

enum class Scope : std::uint8_t { kNone, kRecipient, kMessage, kSenderDomain, kSourceIp, kHost };
std::string_view to_string(Scope value) noexcept;

enum class Reaction : std::uint8_t { kNone, kSuppress, kRetry, kSplit, kSlow, kPause, kSuspendAlert, kFailMessage, kAlert };
std::string_view to_string(Reaction value) noexcept;

// What other senders call a class, for dashboards that were made for theirs. Our reading of their names.
struct SesType {
  std::string_view type;     // "Permanent", "Transient", "Undetermined", "Complaint"; empty: SES reports no such thing.
  std::string_view subtype;
};
std::string_view powermta_category(Class value) noexcept;  // "bad-mailbox", ...; empty: none.
int sparkpost_class(Class value) noexcept;                 // SparkPost and Momentum: 10, 22, ...; 0: none.
SesType ses_type(Class value) noexcept;

struct Verdict {
  Class klass = Class::kUndetermined;
  Permanence permanence = Permanence::kUndetermined;
  Scope scope = Scope::kMessage;
  Reaction reaction = Reaction::kRetry;
  std::string_view rule;       // The id of the rule that decided. Lives as long as the Classifier; shipped rules': static.
  std::string_view matched{};  // The words it was decided by: a view into the outcome's reply.text; empty: by codes alone.
};

// Knows what replies mean: the rules of bounce/rules/, which the library carries, and a user's before them.
// Threads: immutable, any number at once. Ownership: a cheap value (shared). Invariants: no verdict that says `block`
// suppresses, whatever the rules; no 4yz ends a recipient.
class Classifier {
 public:
  // Our rules alone. Compiled once in a process, at the first call: some 20 ms.
  static const Classifier& shipped();

  // A user's rules (docs/bounces.md has the format), which go before ours; one with the id of one of ours takes its
  // place. `name`: of the file, for messages. Errors: kInvalidArgument: "NAME:LINE: what is wrong".
  static Result<Classifier> make(std::string_view rules_tsv, std::string_view name);

  // What an attempt's outcome means. Never fails: what no rule knows is judged by enhanced code, then by code, then by
  // cause. A reply without a code (a report's words) is judged by its words and enhanced code.
  // Cost: one pass over the first 8 KB of the text, whatever the number of rules; allocates nothing.
  Verdict classify(const Outcome& outcome, const ProviderId& provider) const noexcept;

  std::size_t rule_count() const noexcept;

  // The user's rules, or all where there are none, whose sample or one of whose phrases is decided by another rule:
  // "NAME:LINE: ID: what". Empty: each rule does what it says.
  std::vector<std::string> faults() const;

 private:
  struct Compiled;
  explicit Classifier(std::shared_ptr<const Compiled> compiled) : compiled_(std::move(compiled)) {}
  std::shared_ptr<const Compiled> compiled_;
};

// By the shipped rules.
Verdict classify(const Outcome& outcome, const ProviderId& provider) noexcept;

// A reply as people write it down, on one line: "550 5.1.1 No such user"; "550-5.1.1 No 550 5.1.1 such user" is its two
// lines; "smtp; 550 ..." (RFC 3464 2.3.6) and words without a code are taken as well. The enhanced code may stand
// anywhere.
Reply parse_reply_line(std::string_view line);

// The stage of a reply that comes without one (a log, a report): the one its words name
// ("in reply to end of DATA command", as Postfix adds); MAIL FROM for x.1.7 and x.1.8, which are about the sender; else
// RCPT TO, where most refusals come.
Stage likely_stage(const Reply& reply) noexcept;

// ---------------------------------------------------------------------------------------------------------------------
// Suppression: when an address is sent nothing more

// What a verdict says about its recipient's address, alone.
enum class Advice : std::uint8_t {
  kNone,      // Nothing: it is about us, the message, or a host; or it was delivered.
  kCount,     // The mailbox took nothing this time.
  kSuppress,  // Nothing more, at once: it does not exist, or its owner wants nothing from us.
};

// One rule for replies on the wire and for reports. A block never suppresses and never counts, whatever else the
// verdict says, and neither does what concerns our speed or a policy.
Advice advise(const Verdict& verdict) noexcept;

using Day = std::uint16_t;  // Since 1970-01-01; until 2149.

// An address's soft bounces in a row.
struct SoftRun {
  std::uint16_t bounces = 0;  // Days on which it bounced. 0: there is no run.
  Day first_day = 0;
  Day last_day = 0;
  Day delivered_day = 0;  // A delivery since the last bounce: it ends the run, unless it bounces late. 0: none.
  auto operator<=>(const SoftRun&) const = default;
};

struct SuppressionPolicy {
  // Days on which an address must have bounced softly, without a delivery between them, to be suppressed. One a day
  // counts, however often it is tried: so does GNU Mailman, whose threshold is 5 as well. 0: soft bounces never
  // suppress.
  int soft_bounces = 5;
  // From the first of them to the last. A week has a working day and a weekend: whoever empties a mailbox now and then
  // has had the time to.
  std::chrono::days soft_span{7};
  // A run without a bounce for so long is forgotten, or it would add up what has nothing to do with each other.
  std::chrono::days soft_memory{60};
};

struct Decision {
  bool suppress = false;
  SoftRun run;  // The address's from now on.
};

// After a message was given up with `verdict`. `before`: the address's run so far. `sent`: of a bounce that came back
// as a report, the day its message was sent: the delivery on that day was none.
Decision after_bounce(const Verdict& verdict, const SoftRun& before, Day today, std::optional<Day> sent,
                      const SuppressionPolicy& policy) noexcept;
SoftRun after_delivery(const SoftRun& before, Day today) noexcept;

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

  // Appends the local part "b-...": lower-case base32 of the token with a truncated HMAC-SHA-256. Survives case
  // folding.
  void encode(const VerpToken& token, std::string& out) const;
  // Takes tokens of `today` (days since 1970-01-01) and of `days_max` days before. Errors: kNotFound: not one of ours
  // by its form; kInvalidArgument: forged, or changed on the way; kResourceExhausted: older than that; kUnavailable:
  // ours, but from more than kVerpSkewDays ahead.
  Result<VerpToken> decode(std::string_view local_part, std::uint32_t today, std::uint32_t days_max) const;

 private:
  using Hash = std::array<std::uint32_t, 8>;  // SHA-256's, between two blocks.
  VerpKey() = default;
  void sign(const unsigned char* token, unsigned char* mac) const;
  Hash inner_{};
  Hash outer_{};
};

// ---------------------------------------------------------------------------------------------------------------------
// Reports: what a message that came back says

enum class ReportKind : std::uint8_t {
  kNone,         // A person wrote it, or nobody can tell what it is.
  kDsn,          // Something was not delivered: RFC 3464, or in a server's own words.
  kDelay,        // It is still being tried.
  kSuccess,      // It was delivered.
  kArf,          // A complaint: RFC 5965, or in a provider's own form.
  kAutoReply,    // Vacation notes (RFC 3834), challenges, receipts of reading (RFC 8098).
  kUnsubscribe,  // By mail (RFC 2369 3.2).
};
std::string_view to_string(
    ReportKind value) noexcept;  // "none", "dsn", "delay", "success", "arf", "auto_reply", "unsubscribe"

enum class Action : std::uint8_t { kNone, kFailed, kDelayed, kDelivered, kRelayed, kExpanded };  // RFC 3464 2.3.3
std::string_view to_string(Action value) noexcept;  // "none", "failed", ...

struct ReportedRecipient {
  std::string
      address;  // Original-Recipient, else Final-Recipient, else what the text says; empty: only the token tells.
  std::string final_recipient;         // Where the address led to, if a report says so and it is another.
  Action action = Action::kNone;       // kNone: no delivery status.
  std::optional<EnhancedCode> status;  // RFC 3464 2.3.4, or from the diagnostic.
  Reply diagnostic;                    // What was said, in UTF-8; code 0: it had no code.
  std::string remote_mta;              // The host that said so, if named.
  Verdict verdict;                     // Its `matched` is empty, for it would be a view:
  std::string matched;                 // the words the verdict was decided by; empty: by codes or the kind alone.
};

// What a feedback report says beside its recipients (RFC 5965 3). What is not there is empty.
struct Complaint {
  std::string feedback_type;  // In lower case: "abuse", "fraud", "not-spam", "auth-failure", ...
  std::string user_agent;
  std::string source_ip;
  std::optional<TimePoint> arrival;
  std::string original_mail_from;
  std::string feedback_id;  // Of the message complained about: what its sender put there.
};

struct Report {
  ReportKind kind = ReportKind::kNone;
  std::vector<ReportedRecipient> recipients;
  std::string original_message_id;  // Without its angle brackets.
  std::optional<VerpToken> token;   // Ours, with a good signature, not too old: what the report is about, whatever its text says.
  std::optional<Complaint> complaint;
  std::string_view sign;  // By what it was known: "dsn", "text", "x-failed-recipients", ...; static storage.
};

struct ParseOptions {
  const VerpKey* verp_key = nullptr;       // Null: no tokens are looked for.
  std::uint32_t today = 0;                 // Days since 1970-01-01, and how old a token may be: for verp_key.
  std::uint32_t verp_days_max = 90;
  std::string_view envelope_recipient{};   // RCPT TO that the report came to, if known.
  const Classifier* classifier = nullptr;  // Null: the shipped rules. Must outlive the verdicts' rule ids.
};

inline constexpr std::size_t kReportBytesMax = 2u << 20;  // What is said after so many octets decides nothing.
inline constexpr std::size_t kReportRecipientsMax = 1000;

// Reads one message, headers and body, with any line ends. Never fails: what nobody can read is kNone.
// Only kDsn, kArf (abuse and fraud) and kUnsubscribe may have verdicts that suppress.
// Threads: any. Cost: a few passes over the first kReportBytesMax octets.
Report parse(std::string_view message, const ParseOptions& options = {});

}  // namespace mailsbuddy::bounce
