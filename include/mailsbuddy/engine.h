// engine.h - accepts messages and campaigns, delivers them from many IP addresses, reports every outcome.
// Threads:   all methods from any thread; none waits for the network (drain excepted).
// Ownership: the engine copies what it keeps; views given to a sink die when on_events returns.
// Errors:    a remote refusal is an Event, never an Error. Nothing here throws.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mailsbuddy/base.h"
#include "mailsbuddy/bounce.h"
#include "mailsbuddy/dkim.h"
#include "mailsbuddy/mail.h"
#include "mailsbuddy/net.h"
#include "mailsbuddy/smtp.h"
#include "mailsbuddy/spool.h"
#include "mailsbuddy/warming.h"

namespace mailsbuddy {

class EventSink;

// ---------------------------------------------------------------------------------------------------------------------
// Options

struct EgressIp {
  std::string address;    // IPv4/IPv6 literal to bind. Required.
  std::string ehlo_name;  // EHLO argument (RFC 5321 4.1.1.1); should match the PTR. Required.
  std::string pool = "default";
  std::optional<warming::Curve> curve{};  // Empty: fully warm.
  std::optional<smtp::EgressProxy> proxy{};  // The address lives behind it. Empty: on this host.
};

// What becomes of mail that the cold IPs of a pool do not take. Its warm IPs, if it has any, take what they can in any
// case; the policy is asked for what is left: while every IP that may carry a recipient has used up its cap, or is
// suspended.
struct PoolOptions {
  // Here there is no longest hold unless one is set: mail waits for its IPs until it expires.
  warming::OverflowPolicy overflow{.hold_max = Duration(0)};
  std::optional<warming::EngagedOnly> engaged_only{};  // Cold IPs are for these recipients alone; empty: for all.
};

// TLS reports (RFC 8460) that the engine sends by itself: of each day in UTC, in the four hours after it, as mail that
// is submitted like any other (Message::campaign "tls-report") to the mailto: addresses of the domain's TXT record at
// _smtp._tls, and by POST to its https: ones. With a spool that lasts, a restart repeats nothing and loses only a POST
// under way. docs/tls.md.
struct TlsReportingOptions {
  smtp::TlsReporter reporter;  // Required, all of it.
  Address from;                // Sender of the mail, whose domain signs it: unsigned reports are ignored (RFC 8460 3). Required.
  std::string account{};
  std::string pool = "default";
};

struct EngineOptions {
  std::vector<EgressIp> egress;                 // At least one. Required.
  std::shared_ptr<const dkim::KeyRing> keys{};  // Null: send unsigned. See Engine::set_keys().
  std::chrono::seconds max_age{5 * 86'400};     // Then kExpired (RFC 5321 4.5.4.1).
  std::chrono::seconds first_retry{600};        // The wait after a first deferral; it doubles up to twelve times this.
  int attempts_max = 0;                         // Then kExpired, with the last reply. 0: max_age alone ends it.
  std::size_t max_message_bytes = 25u << 20;    // Larger: kInvalidArgument.
  smtp::TlsPolicy tls = smtp::TlsPolicy::kOpportunistic;  // What every domain gets, at least. kNone: and nothing more.
  smtp::TlsPolicies tls_policies{};             // What domains publish, and what is said of single ones here. docs/tls.md.
  bool tls_reports = false;                     // Count sessions for Engine::take_tls_reports().
  std::optional<TlsReportingOptions> tls_reporting{};  // Count them, and send the reports.
  smtp::Timeouts timeouts{};
  int connections_max = 1000;                   // Open at once, to all providers; each takes a descriptor and some 50 KB.
  std::uint16_t port = 25;                      // Of every MX host; other ports are for tests.
  std::vector<smtp::RelayRule> relays{};        // Domains whose mail goes elsewhere than to their MX hosts.
  // Ranges, "127.0.0.0/8", that MX hosts may be in although no mail host on the Internet is (see smtp::TargetRules): a
  // domain that leads there fails with kProhibitedAddress. Relays may be anywhere. For tests, and for inner networks.
  std::vector<std::string> allowed_targets{};
  // A domain whose best MX host is ourselves fails with kMailLoop (RFC 5321 5.1): one with the EHLO name or the address
  // of an egress IP, or one of these. Where a server for a domain of yours listens on an egress IP, name it as a relay.
  bool refuse_loops = true;
  std::vector<std::string> own_names{};
  std::vector<net::IpAddress> own_addresses{};  // Where we listen, say.
  std::shared_ptr<const warming::Settings> settings{};  // Limits and thresholds (docs/limits.md). Null: the shipped ones.
  std::map<std::string, PoolOptions> pools{};   // By name. A pool without has the defaults.
  Zone zone{};                                  // Where days of warm-up begin.
  bool adaptive = true;                         // False: limits and curves alone, whatever comes back.
  bounce::SuppressionPolicy suppression{};      // When bounces suppress an address.
  std::chrono::days report_age{60};             // Bounces of and complaints about older mail suppress nobody.
  std::string verp_key{};                       // Signs return paths; at least bounce::kVerpKeyBytesMin octets.
                                                // Empty: random, kept in the spool: bounces are known as long as it is.
  net::RuntimeOptions runtime_options{};        // Threads and DNS; unused when `runtime` is given.
  std::shared_ptr<net::Runtime> runtime{};      // Null: real threads, sockets, DNS and time. One engine each.
  std::shared_ptr<spool::Spool> spool{};        // Null: in memory, lost with the process.
  // False: nothing is begun, and what is in the spool stays as it is: to look at it and to command it while no other
  // engine has it. Needs no egress IP; submit() and start() refuse.
  bool deliver = true;
  // Zones by name ("Europe/Berlin"), for Schedule and rows. Empty: offsets alone ("+02:00") and UTC are known.
  std::function<Result<Zone>(std::string_view name)> find_zone{};
  std::uint64_t due_rows_max = 500'000;         // Rows in memory whose retry is due, some 200 octets each. Others wait in the
                                                // spool, and those that cannot go just now make room for them.
  // Caps: with more, submit() and start() refuse (kResourceExhausted) until it is less; what was taken goes on.
  std::uint64_t outbox_events_max = 10'000'000; // Events that the sinks have not taken. 0: no cap.
  std::uint64_t memory_max_bytes = 0;           // What the allocator has given out to the whole process. 0: no cap.
  // As by subscribe(), before anything goes: they also have the events that the engine before did not hand over. What
  // comes while there is no sink at all is dropped.
  std::vector<std::shared_ptr<EventSink>> sinks{};
  std::shared_ptr<LogSink> log{};               // Null: silent.
};

// ---------------------------------------------------------------------------------------------------------------------
// What is sent

enum class Priority : std::uint8_t { kTransactional, kBulk };  // Transactional goes first wherever both wait.

// What to do with a recipient when the end of data was sent and no reply came: the server may have the message or not.
enum class OnUnknown : std::uint8_t {
  kResend,  // Try again: no mail is lost, one may come twice (RFC 5321 6.1 prefers this).
  kHold,    // Leave it for a person: counted as held.
  kDrop,    // Never twice: counted as failed.
};

// What a campaign says about its list (RFC 2919, RFC 2369, RFC 8058). Template text: merge fields may stand in all of
// them; besides the row's own the engine gives {{ mb_address }}, {{ mb_campaign }}, {{ mb_account }}, and
// {{ mb_token }}, a signed word that names campaign and recipient.
struct ListHeaders {
  std::string unsubscribe_url;      // https (RFC 8058 3.1): List-Unsubscribe with List-Unsubscribe-Post.
  std::string unsubscribe_mailto{}; // "unsubscribe+{{ mb_token }}@brand.example": a second List-Unsubscribe URI.
  std::string list_id;              // "spring.news.brand.example" or "Spring news <spring.news.brand.example>".
  std::string feedback_id{};        // Google's Feedback-ID; empty: "campaign:account:bulk:mailsbuddy".
};

// A part of the week in which mail goes out.
struct DeliveryWindow {
  std::uint8_t weekdays = 0b111'1111;    // Bit 0: Monday, to bit 6: Sunday. Of the day on which it begins.
  std::chrono::minutes from{0};          // Since midnight, on the clock on the wall: 9 h is 540.
  std::chrono::minutes to{24 * 60};      // Not in it. Not after `from`: on the next day.
};

// When a campaign's mail goes out. What waits for its time is in the spool and costs no memory.
struct Schedule {
  TimePoint start_at{};                  // Not earlier. max_age counts from then.
  TimePoint not_after{};                 // Then kExpired. 0: max_age alone.
  std::vector<DeliveryWindow> windows{}; // None: at any time. Up to kWindowsMax.
  Zone zone{};                           // Of the clock on the wall.
  // The recipient's clock instead: a column that says "+02:00", or a name that EngineOptions::find_zone knows; empty in
  // a row: `zone`. A row that says anything else is a bad one.
  std::string zone_field{};

  static constexpr std::size_t kWindowsMax = 64;
  // "mon-fri 09:00-17:30, sat 10:00-12:00": windows. Errors: kInvalidArgument.
  static Result<std::vector<DeliveryWindow>> parse_windows(std::string_view text);
};

struct Campaign {
  std::string id;                       // Chosen by the caller, unique. Required.
  std::string account;                  // Fairness and suppression are per account.
  Template content;                     // Headers and bodies, compiled once. Required. See make_campaign_content().
  NamedAddress from;                    // RFC 5322 From. Required.
  std::string return_path_domain;       // VERP domain. Required.
  std::string pool = "default";
  Priority priority = Priority::kBulk;
  OnUnknown on_unknown = OnUnknown::kResend;
  std::string address_field{};          // A further name under which templates read the row's address: "email".
  int attempts_max = 0;                 // Of a recipient, instead of EngineOptions::attempts_max; 0: that.
  Schedule schedule{};
};

// A campaign's Template from its content and its list headers, which are added to it.
// Errors: kInvalidArgument: those of Template::compile, an unsubscribe_url that is not https, no list_id.
Result<Template> make_campaign_content(Content content, const ListHeaders& list);

// What a recipient's server is asked to report to the return path (RFC 3461 4.1 and 4.2), where it offers DSN. The
// engine sends no reports of its own: its events say what happened, whatever was asked for here. See docs/smtp.md.
struct RecipientReport {
  std::uint8_t notify = 0;  // smtp::kNotify bits; 0: not said.
  std::string orcpt{};      // "rfc822;ann@example.net", not encoded. Empty: none.
};

// One complete message (RFC 5322), sent as it is but for DKIM, line ends, and for servers without 8BITMIME its
// encoding.
struct Message {
  Address sender;                       // MAIL FROM.
  std::vector<Address> recipients;      // Of one domain, or at one relay, they share transactions. At least one.
  std::string data;                     // Headers and body. Bare CR and LF become CRLF.
  std::string account{};
  std::string pool = "default";
  Priority priority = Priority::kTransactional;
  OnUnknown on_unknown = OnUnknown::kResend;
  std::string campaign{};               // What it belongs to: a word for its events, nothing else.
  TimePoint not_before{};               // Not sent earlier. max_age counts from then.
  int attempts_max = 0;                 // Of a recipient, instead of EngineOptions::attempts_max; 0: that.
  bool require_tls = false;             // REQUIRETLS (RFC 8689): over verified TLS to servers that offer it, or not at all.
  smtp::DsnReturn ret = smtp::DsnReturn::kUnspecified;  // RFC 3461 4.3, where DSN is offered.
  std::string envid{};                  // RFC 3461 4.4, likewise. Printable, up to 100 octets as xtext. Empty: none.
  std::vector<RecipientReport> reports{};  // One a recipient, or none.
};

// A recipient as its source has it. Views: until the source's next().
struct RowView {
  std::uint64_t number = 0;                   // Of the line or record, for reports.
  std::string_view address;
  std::span<const std::string_view> values;   // One per column.
  std::string_view defect{};                  // Not empty: the source knows the row to be bad ("3 fields, expected 5").
};

struct BadRow {
  std::uint64_t number = 0;
  std::string address;
  std::string reason;
};

class RowSource {  // Pulled by start(); one row at a time, never all in memory.
 public:
  virtual ~RowSource() = default;
  virtual std::span<const std::string> columns() const = 0;  // Names of the values, fixed from the start.
  virtual Result<std::optional<RowView>> next() = 0;         // Empty: the end. An Error ends the import; nothing is sent.
  virtual void refused(const BadRow&) {}                     // Told of each bad row.
};

struct ImportReport {
  std::uint64_t accepted = 0;
  std::uint64_t resumed = 0;          // Of the accepted: an import that was interrupted had stored them already.
  std::uint64_t suppressed = 0;       // Of the accepted: they are not mailed. Their events may have come already.
  std::uint64_t refused = 0;          // Bad addresses, duplicates, defects.
  std::uint64_t domains = 0;
};

// ---------------------------------------------------------------------------------------------------------------------
// What is reported

enum class EventKind : std::uint8_t {
  kDelivered, kDeferred, kBounced, kSuppressed, kExpired, kCancelled, kFailed, kHeld,
  // What came back by mail (Engine::inbound), usually after the final event.
  kLateBounce,    // The receiver took the message and then said that it was not delivered.
  kComplaint,     // Of abuse or fraud, through a feedback loop.
  kUnsubscribed,  // By mail.
  kAutoReply,
};
inline constexpr std::size_t kEventKinds = static_cast<std::size_t>(EventKind::kAutoReply) + 1;
// A recipient has exactly one final event. Before it come any number of kDeferred and kHeld; what comes back by mail is
// apart, at most once of each kind, and changes neither the final event nor the counts by state.
constexpr bool is_final(EventKind kind) noexcept {
  return kind != EventKind::kDeferred && kind < EventKind::kHeld;
}
std::string_view to_string(EventKind kind) noexcept;  // "delivered", ...

// What happened to one recipient. Of what came back by mail, `job` is empty if no token of ours says which row it is
// about: then anybody may have written it, and nothing else was done.
struct Event {
  EventKind kind = EventKind::kDelivered;
  TimePoint time{};
  std::string job;              // The campaign's id, or the message's id as text.
  std::string campaign;         // The campaign's id, or Message::campaign.
  std::string account;
  std::string recipient;
  std::uint64_t row = 0;        // With `job`, names the recipient: as in the VERP token.
  std::uint32_t attempt = 0;    // From 1; 0: never tried.
  Outcome outcome;
  bounce::Verdict verdict;      // Of the outcome; its rule is in `rule`.
  std::string rule;
  std::string provider;         // Empty: not known yet.
  std::string egress;           // IP address; empty: no connection.
  std::string mx_host;
  bool tls = false;
  net::TlsVerify tls_verified = net::TlsVerify::kNone;  // What the host's certificate had to be, and was, verified by.
  TimePoint due{};              // When kDeferred.
};

class EventSink {
 public:
  virtual ~EventSink() = default;
  // On one thread, one call at a time. An Error, whose detail goes to the log: not taken. The same events come again a
  // second later, and none after them before; meanwhile they stay in the outbox, and other sinks go on.
  virtual Result<void> on_events(std::span<const Event> events) = 0;
  // What the controller and operators decided about the pace of an IP or a sending domain: likewise, on the same
  // thread.
  virtual Result<void> on_decisions(std::span<const warming::Decision>) { return {}; }
};

struct CampaignStatus {
  spool::Counts counts{};            // Rows by state.
  std::uint64_t total = 0;           // All of them.
  bool paused = false;
  bool cancelled = false;
  std::uint64_t late_bounces = 0;    // Rows of which that came back by mail.
  std::uint64_t complaints = 0;
  std::uint64_t unsubscribed = 0;
  std::uint64_t auto_replies = 0;
  double settled_per_second = 0;     // Over the last ten seconds.
  // When it will be settled: at that rate or, while IPs are warming, by warming::plan() with the rows that wait at each
  // provider, its windows, pauses and overflow. What the controller decides from now on is not foreseen. Empty: nothing
  // moves, it is paused, or all is settled.
  std::optional<TimePoint> finish{};
  std::string finish_bound{};        // What limits it: "google: curve sparkpost". Empty: the rate.

  std::uint64_t of(spool::State state) const noexcept { return counts[static_cast<std::size_t>(state)]; }
  bool settled() const noexcept;     // Every row is final.
};

// Why a recipient must not be mailed.
enum class SuppressionReason : std::uint8_t { kManual, kUnsubscribe, kComplaint, kHardBounce, kSoftBounces };
std::string_view to_string(SuppressionReason reason) noexcept;  // "manual", "unsubscribe", ...

std::optional<SuppressionReason> parse_suppression_reason(std::string_view name) noexcept;

struct Suppressed {
  SuppressionReason reason = SuppressionReason::kManual;
  TimePoint since{};
};

struct SuppressionEntry {
  std::string account;  // "*": every one.
  std::string address;  // Or spool::kHashedPrefix and the hash.
  Suppressed suppressed{};
};

// ---------------------------------------------------------------------------------------------------------------------
// What comes back

// How a message arrived. Views: until inbound() returns.
struct InboundEnvelope {
  std::string_view recipient{};  // RCPT TO, where our token is most often. Empty: not known.
  // The caller vouches for the sender: a feedback loop whose DKIM signature was verified, say. Without a token of ours,
  // what such a message names is then suppressed for `account` as the policy says.
  bool trust_unsigned = false;
  std::string_view account{};
};

enum class Attribution : std::uint8_t {
  kNone,         // No token of ours, or a forged one: anybody may have written it. Suppresses nobody.
  kTrusted,      // No token, but InboundEnvelope::trust_unsigned.
  kUnknownJob,   // A token of ours whose campaign is forgotten. Suppresses nobody: its row's address is not known.
  kExpired,      // The row is known, its mail is older than EngineOptions::report_age: only unsubscribes still suppress.
  kRow,
};
std::string_view to_string(Attribution value) noexcept;  // "none", "trusted", ...

struct InboundReport {
  bounce::Report report;                // What the message says. kNone: a person wrote it, perhaps; keep it for one.
  Attribution attribution = Attribution::kNone;
  std::string campaign;                 // These three when the row is known.
  std::string account;
  std::string recipient;
  std::optional<EventKind> event{};     // What was reported; empty: nothing is to be.
  bool repeated = false;                // The row has had such an event: not reported again.
  std::vector<std::string> suppressed{};  // Addresses that are suppressed since, and were not before.
};

// A row that is not settled yet.
struct OpenRecipient {
  std::string address;
  spool::State state = spool::State::kQueued;
};

// ---------------------------------------------------------------------------------------------------------------------
// The queue

// Which recipients a question or a command is about: those to which all of it applies. Empty fields: any.
struct QueueFilter {
  static constexpr std::uint32_t kOpen = 0b1111;  // Queued, claimed, deferred, held.

  std::string job{};        // A campaign's id, or a message's as text.
  std::string account{};
  std::string pool{};       // Of egress IPs, as the campaign or message has it now.
  std::string domain{};     // Lower case, A-label form.
  std::string address{};    // Whole.
  std::string provider{};   // As Event::provider. Domains that were not sent to since the engine opened are looked up.
  std::uint32_t states = kOpen;  // Bits by spool::State: 1 << kQueued | 1 << kDeferred, ...
  std::chrono::seconds age_min{0};  // Since their campaign was started, or their message submitted.
  // The longest that a call waits at its beginning for the DNS to tell domains' providers; 0: it goes by what is known.
  std::chrono::milliseconds provider_wait{30'000};

  // "domain=example.net,state=deferred,age=2h": names job, account, pool, domain, address, provider, state (which may
  // be given again; "final" and "any" are words for several), age. Empty: all that is open. Errors: kInvalidArgument.
  static Result<QueueFilter> parse(std::string_view text);
  // Says the same of whole campaigns and messages, and of nothing less.
  bool whole_jobs() const noexcept { return domain.empty() && address.empty() && provider.empty() && states == kOpen; }
};

struct QueuedRecipient {
  std::string job;
  std::string campaign;     // As Event::campaign.
  std::string account;
  std::string address;
  std::uint64_t row = 0;    // As Event::row.
  spool::State state = spool::State::kQueued;
  std::uint32_t attempts = 0;
  TimePoint due{};          // When kDeferred.
  std::string provider{};   // Empty: not known yet.
  std::string unreadable{}; // Why the spool cannot read its address, which is empty then. Other such are those that were erased.
};

// What a summary is by.
enum class QueueGrouping : std::uint8_t { kCampaign, kAccount, kDomain, kProvider, kState };
// "campaign", "account", "domain", "provider", "state". Errors: kInvalidArgument.
Result<QueueGrouping> parse_queue_grouping(std::string_view name);

// Recipients that have something in common.
struct QueueGroup {
  std::string name{};      // Empty: messages of no campaign, domains whose provider is not known yet.
  spool::Counts counts{};  // By spool::State, of those that the filter has.
  std::uint64_t rows() const noexcept;
};

struct QueueSummary {
  std::vector<QueueGroup> groups{};  // The largest first.
  spool::Counts others{};            // Of all other groups together.
  std::uint64_t other_groups = 0;
  std::uint64_t unknown = 0;  // As QueueChange::unknown; in no group.
  std::uint64_t unknown_domains = 0;
};

// What a command came to.
struct QueueChange {
  std::uint64_t rows = 0;       // Changed.
  std::uint64_t under_way = 0;  // Fitted, and are on a connection or about to be: they end as they end.
  std::uint64_t unknown = 0;    // By QueueFilter::provider: of domains whose provider the DNS did not tell in time. Left as they are.
  std::uint64_t unknown_domains = 0;  // How many domains these are.
  std::uint64_t unreadable = 0; // The spool cannot read whose they are. Left as they are, and named in the log.
};

struct EgressStatus {
  std::string address;
  std::string pool;
  bool draining = false;
  int connections = 0;  // Open or opening. Draining, and 0: nothing of the engine's uses the address any more.
};

// Whether what is submitted can be taken (EngineOptions::outbox_events_max, memory_max_bytes; spool::Pressure).
struct IntakePressure {
  bool refuses = false;
  std::string detail{};  // Why, one line for a person.
};

// An address that is forgotten: what went.
using AddressErased = spool::AddressErased;

// ---------------------------------------------------------------------------------------------------------------------
// Trace

// What to follow; empty fields: any. All that are not must fit.
struct TraceFilter {
  std::string domain{};    // Of recipients, in lower case.
  std::string job{};       // A campaign's or a message's id, or Message::campaign.
  std::string egress{};    // An IP address, as Event has it; likewise the next two.
  std::string provider{};
  std::string mx_host{};
  // Connections that somebody wants more of are shown with more to all who follow them.
  smtp::TraceBodies bodies = smtp::TraceBodies::kHeaders;

  // "domain=example.net,egress=192.0.2.1": names domain, job, egress, provider, mx. Empty: everything.
  // Errors: kInvalidArgument.
  static Result<TraceFilter> parse(std::string_view text);
};

using smtp::TraceRecord;
using smtp::Tracing;
using smtp::kTraceRecordsMax;

// ---------------------------------------------------------------------------------------------------------------------
// Engine

class Engine {
 public:
  // What a durable spool holds goes on from where it was: rows that may have been on the wire when the process before
  // ended are unknown, and their campaign's OnUnknown decides. Errors: kInvalidArgument naming the option;
  // kUnavailable: an egress IP cannot be bound on this host.
  static Result<std::unique_ptr<Engine>> open(EngineOptions options);
  ~Engine();  // Stops at once; what is on the wire and unanswered is unknown.

  Result<MessageId> submit(Message message);
  // Reads all rows, then starts. Errors: kInvalidArgument, kAlreadyExists, or the source's own: nothing is sent then,
  // and nothing stays. What the end of the process, or a full spool (kResourceExhausted), interrupted is resumed by
  // starting the same campaign again: its rows that are stored are not stored twice, and none goes before all are.
  Result<ImportReport> start(Campaign campaign, RowSource& rows);
  // A campaign's id, or a message's as text until it is settled. Errors: kNotFound.
  Result<CampaignStatus> status(std::string_view job) const;
  // Ids of all campaigns, by name. Those whose import was interrupted have no status().
  std::vector<std::string> campaigns() const;
  Result<void> pause(std::string_view campaign);               // Nothing more goes on the wire; what is on it finishes.
  Result<void> resume(std::string_view campaign);
  Result<void> cancel(std::string_view campaign);              // Its open recipients become kCancelled.
  // Frees what a settled campaign takes, or one whose import was interrupted. Errors: kUnavailable.
  Result<void> forget(std::string_view campaign);
  // After the return no transaction for `address` begins; one that has begun may end.
  Result<void> suppress(std::string_view account, const Address& address, SuppressionReason reason);
  // Takes a message that came to a return path or an unsubscribe address: bounce, complaint, auto-reply, unsubscribe.
  // On return its event and what it suppresses are durable; the same report again changes nothing. Cost: that of
  // parsing it. Errors: the spool's (kIo, kResourceExhausted, kClosed): it may not last; to be handed in again.
  Result<InboundReport> inbound(std::string_view message, const InboundEnvelope& envelope);
  // Whether its local part ends with a token that this engine has signed, of any age: a campaign's return path or
  // unsubscribe address.
  bool carries_token(const Address& address) const;
  std::optional<Suppressed> suppressed(std::string_view account, const Address& address) const;  // Empty: it is not.
  // False: it was not, by this account itself. "*" is every account (spool::kEveryAccount).
  Result<bool> unsuppress(std::string_view account, const Address& address);
  // Takes entries until `next` gives none, in batches; how many. SuppressionEntry::address may be plain, or hashed
  // under the spool's key (spool::hashed_address()). Errors: kInvalidArgument naming the entry, the spool's; those
  // before stay.
  Result<std::uint64_t> import_suppressions(const std::function<std::optional<SuppressionEntry>()>& next);
  // All of them in no order, until `visit` returns false. `visit` must not call the engine.
  Result<void> export_suppressions(const std::function<bool(const SuppressionEntry&)>& visit) const;
  // The same a page at a time: up to `max` from `cursor` on, appended to `out`. The cursor is text, opaque, and empty
  // at first. False: the end. What stays suppressed comes once, what is added or removed meanwhile may come or not.
  // Errors: kInvalidArgument: no cursor of a page before; the spool's.
  Result<bool> export_suppressions(std::string& cursor, std::size_t max, std::vector<SuppressionEntry>& out) const;
  Result<std::vector<OpenRecipient>> open_recipients(std::string_view job, std::size_t max) const;

  // The queue, of any size: time and memory are those of what is given or changed, some tens of nanoseconds for each
  // row that is passed over, and a read for each that is given. These wait for the disk, so they are not to be called
  // from a task of the runtime's loops. Up to `max` recipients from `cursor` on, appended to `out`. False: the end. A
  // call gives few or none of many that do not fit, and still says true. Errors: kNotFound: no such job.
  Result<bool> list(const QueueFilter& filter, spool::ListCursor& cursor, std::size_t max,
                    std::vector<QueuedRecipient>& out) const;
  // How many there are, of the `max` largest groups and of the rest together. Each recipient is counted once, as it is
  // when its turn comes. Nothing is read from disk but for an address: by campaign, account or state counters are asked
  // that are there, by domain, provider or with a filter that has one some nanoseconds are taken for each row of the
  // jobs that fit, and 8 octets for each domain. Errors: kNotFound: no such job.
  Result<QueueSummary> summary(const QueueFilter& filter, QueueGrouping by, std::size_t max = 1000) const;
  // Asks the DNS for the providers of domains that fit a filter by provider and are not known, and waits for `time` at
  // most. How many are to be answered yet: the calls above and below begin so, and wait for QueueFilter::provider_wait.
  // What the DNS does not tell within 30 seconds is waited for no longer, and what it could not tell is not asked again
  // for a minute.
  std::uint64_t find_providers(const QueueFilter& filter, std::chrono::milliseconds time) const;
  // They become kFailed (Cause::kCancelled, with `reason` as its detail), those under way aside. Errors: those before
  // stay failed.
  Result<QueueChange> fail(const QueueFilter& filter, std::string_view reason);
  // They wait, kHeld, until they are released, failed or cancelled, also in the next process; those under way aside,
  // and those that come later. Each has an EventKind::kHeld (Cause::kCancelled, with `reason` as its detail). Nothing
  // else ends them: they expire when they are released. Errors: those before stay held.
  Result<QueueChange> hold(const QueueFilter& filter, std::string_view reason);
  // Deferred and held ones are tried as soon as their turn comes.
  Result<QueueChange> release(const QueueFilter& filter);
  // Campaigns and messages go over the IPs of this pool from now on. Counts them. Errors: kInvalidArgument: no egress
  // IP is in it, or the filter is about less than whole campaigns and messages.
  Result<std::uint64_t> move(const QueueFilter& filter, std::string_view pool);
  // The same a page at a time, of 8192 rows or 64 campaigns and messages to move at most, from `cursor` on; added to
  // `change` or `moved` is what came of it, durable on return. False: the end.
  Result<bool> fail(const QueueFilter& filter, std::string_view reason, spool::ListCursor& cursor, QueueChange& change);
  Result<bool> hold(const QueueFilter& filter, std::string_view reason, spool::ListCursor& cursor, QueueChange& change);
  Result<bool> release(const QueueFilter& filter, spool::ListCursor& cursor, QueueChange& change);
  Result<bool> move(const QueueFilter& filter, std::string_view pool, spool::ListCursor& cursor, std::uint64_t& moved);
  // Nothing more is begun from this egress IP, and idle connections close; the others of its pool take the rest. Until
  // told otherwise, or the engine ends. Errors: kNotFound.
  Result<void> drain_egress(std::string_view address, bool draining = true);
  std::vector<EgressStatus> egress() const;
  IntakePressure pressure() const;  // What submit() and start() would say now. Cheap enough for each MAIL command.

  // Personal data. Forgets the address: in rows, sent or not, in events that no sink has had yet, and in the data of
  // single messages, where it is written over. Its recipients that were not sent to become kCancelled; of those that
  // are under way the event is still to come, without the address. On return it is in no file of the spool.
  // `suppressions` go only when asked for: without, the address stays suppressed. Long: it rewrites the spool's files.
  Result<AddressErased> erase_address(const Address& address, bool suppressions = false);
  // Ends a campaign, settled or not, or one whose import was interrupted, and takes it with its rows from the spool's
  // files, and what it was about from its events. Errors: kNotFound.
  Result<void> erase_campaign(std::string_view campaign);

  // From now on these keys sign instead of EngineOptions::keys, also for campaigns that have begun; what is being
  // signed ends with the old ones. A message whose From has no signer in the new ring fails (kSignFailed): none goes
  // out unsigned unless `keys` is null.
  void set_keys(std::shared_ptr<const dkim::KeyRing> keys);
  // Warming, at one mailbox provider: `provider` as Event::provider has it, in capitals or not. These wait for the
  // thread that owns the provider, so not to be called from a task of the runtime's loops. Errors: kNotFound: no such
  // egress IP, or the domain is not paused there; kInvalidArgument.
  Result<warming::Explanation> explain(std::string_view ip, std::string_view provider) const;
  Result<void> command(std::string_view ip, std::string_view provider, warming::Command command, std::uint64_t value = 0);
  Result<void> resume_domain(std::string_view sender_domain, std::string_view provider);  // Ends a pause of it there.
  // Every egress IP at every provider that mail is being sent to, or was lately, or where something holds it up. Of
  // others that are idle explain() knows.
  std::vector<warming::Explanation> paces() const;
  // Other limits and thresholds, at once; what is owed under the old ones stays owed. Null: the shipped ones.
  void change(std::shared_ptr<const warming::Settings> settings);
  // Follows connections and messages, from now on. A connection that is open already is followed from its next message
  // on that begins with no other under way. What never comes to a connection has no lines: its events say why. Costs
  // nothing when nobody does it, else some 0.4 microseconds a line on the sending threads (docs/trace.md).
  std::unique_ptr<Tracing> trace(TraceFilter filter);
  // The TLS reports (RFC 8460) of the time since the last call, or since open(): call it once a day. With
  // EngineOptions::tls_reporting there are none: the engine sends them. Else sending them is the caller's:
  // smtp::parse_tlsrpt_record() says where to, smtp::tls_report_mail() gives what submit() takes.
  std::vector<smtp::TlsReport> take_tls_reports();
  void subscribe(std::shared_ptr<EventSink> sink);             // At least once, in batches, ordered per recipient.
  bool drain(std::chrono::milliseconds limit);                 // False if open_rows() or unreported() is not 0 by then.
  std::uint64_t open_rows() const;                             // Recipients of all jobs that are not settled, held ones aside.
  std::uint64_t unreported() const;                            // Events that a sink has not returned from; also of before open().

 private:
  class Core;
  explicit Engine(std::unique_ptr<Core> core);
  std::unique_ptr<Core> core_;
};

// ---------------------------------------------------------------------------------------------------------------------
// Submission over SMTP

struct SubmissionOptions {
  // Judges credentials, as ListenHandler::authenticate() does. Required.
  std::function<void(const smtp::Credentials&, smtp::ListenHandler::Authenticated)> authenticate;
  // Takes mail for the listener's inbound domains, as ListenHandler::on_message() does. Empty: such mail is answered
  // 451.
  std::function<void(smtp::Submission, smtp::ListenHandler::Answered)> inbound{};
  // Whether this is an address there: asked at each RCPT of an inbound domain, on the spot, but for those that are
  // always: postmasters (RFC 5321 4.5.1) and what Engine::carries_token(). Empty: all are.
  std::function<bool(const Address&)> inbound_address{};
  // The same where it takes a look-up: answered now or later, on any thread; a `found` destroyed without a call is 451.
  // Asked where `inbound_address` is empty.
  std::function<void(const Address&, UniqueFunction<void(bool found)>)> find_inbound_address{};
  // Where Engine::submit() runs, since a durable spool may wait for the disk. Null: on the listener's threads.
  Executor* executor = nullptr;
  const Clock* clock = nullptr;     // For X-MB-Schedule. Null: the system's.
  std::uint64_t open_rows_max = 0;  // With so many recipients not settled no more mail is taken (452 4.3.1); 0: no limit.
  std::string account = "default";  // Of an Identity that names none.
};

// Feeds what a smtp::Listener takes to `engine`: each message becomes an Engine::submit(), and is answered 250 when
// that has returned. The header fields X-MB-Campaign, X-MB-Pool, X-MB-Priority ("transactional", "bulk") and
// X-MB-Schedule (RFC 3339, or "+90m") set Message's fields of those names; they are taken out, and from who may not
// route the message is refused. Ownership: the engine, executor and clock outlive the Listener, and the tasks that were
// posted.
std::shared_ptr<smtp::ListenHandler> make_submission_handler(Engine& engine, SubmissionOptions options);

// Takes mail for a listener's inbound domains: SubmissionOptions::inbound. Each recipient's goes to Engine::inbound()
// and is answered 250 when that has returned. `keep` takes what is no report, letters of people say, durably: false is
// answered 452. Empty: those are answered 550, so that their writers know that nobody reads them. Ownership: as for
// make_submission_handler(); `executor` null: on the listener's threads.
std::function<void(smtp::Submission, smtp::ListenHandler::Answered)> make_inbound_handler(
    Engine& engine, Executor* executor, std::function<bool(const smtp::Submission&)> keep = {});
// With a `keep` that says so later, on any thread: `kept` destroyed without a call is answered 451.
std::function<void(smtp::Submission, smtp::ListenHandler::Answered)> make_inbound_handler(
    Engine& engine, Executor* executor, std::function<void(smtp::Submission, UniqueFunction<void(bool kept)>)> keep);

}  // namespace mailsbuddy
