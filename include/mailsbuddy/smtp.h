// smtp.h - SMTP on the wire: the client session without I/O, connections, pools, routes, a receiver for tests, and the
// submission listener. RFC 5321, with 1870 (SIZE), 2033 (LMTP), 2034 (ENHANCEDSTATUSCODES), 2920 (PIPELINING), 3030
// (CHUNKING), 3207 (STARTTLS), 3461 (DSN), 4954 (AUTH), 6152 (8BITMIME), 6531 (SMTPUTF8), 8314 (implicit TLS), 8689
// (REQUIRETLS), 9422 (LIMITS).
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
#include "mailsbuddy/mail.h"
#include "mailsbuddy/net.h"

namespace mailsbuddy::smtp {

// ---------------------------------------------------------------------------------------------------------------------
// Client session: bytes in, bytes out, events pulled

enum class TlsPolicy : std::uint8_t {
  kNone,           // Never STARTTLS.
  kOpportunistic,  // STARTTLS when offered; on a failed handshake the host is tried once more in clear.
  kRequired,       // STARTTLS or nothing is sent.
  kVerified,       // And the certificate must be the host's, by the web's trusted roots or by DANE.
};

// How long to wait for each reply (RFC 5321 4.5.3.2, the minimum values given there).
struct Timeouts {
  Duration connect = std::chrono::seconds(30);
  Duration greeting = std::chrono::minutes(5);
  Duration ehlo = std::chrono::minutes(5);
  Duration start_tls = std::chrono::minutes(2);
  Duration auth = std::chrono::minutes(5);         // For each reply of the exchange.
  Duration mail_from = std::chrono::minutes(5);
  Duration rcpt_to = std::chrono::minutes(5);
  Duration data = std::chrono::minutes(2);         // For the 354.
  Duration data_block = std::chrono::minutes(3);   // For each progress in sending the message.
  Duration final_dot = std::chrono::minutes(10);
  Duration quit = std::chrono::seconds(5);
};

enum class Protocol : std::uint8_t {
  kSmtp,
  kLmtp,  // RFC 2033: LHLO, and a reply for each recipient after the end of data. Never on port 25.
};

// Where bearer tokens come from that do not live as long as a process. Threads: called on those of connections, on
// several at once; must return at once: renew it elsewhere.
class TokenSource {
 public:
  virtual ~TokenSource() = default;
  virtual std::string token() = 0;  // At each log-in. Empty: there is none now; mail waits.
  // The server did not take it. When token() is another one then, that is tried at once, once.
  virtual void refused(std::string_view token) { static_cast<void>(token); }
};

// Who we are for a server that wants to know (RFC 4954). None of it ever stands in an Outcome. What the server offers
// decides: XOAUTH2 where there is a token; else PLAIN (RFC 4616), which is one round trip, or LOGIN. Without a
// mechanism in common the session ends with kAuthUnavailable at stage kAuth; nothing is sent unauthenticated.
struct Login {
  std::string user{};      // Empty: no AUTH.
  std::string password{};  // For PLAIN and LOGIN. Empty: neither.
  std::string token{};     // OAuth 2.0 bearer token, for XOAUTH2. Empty: not that.
  std::shared_ptr<TokenSource> tokens{};  // Instead of `token`, where it expires.
  bool in_clear = false;   // Also without TLS: who listens has the password then. For loopback and tests.
};

// Of a transaction without more: RFC 5321 4.5.3.1.8 has every server take as many.
inline constexpr std::size_t kRecipientsMax = 100;

struct SessionOptions {
  std::string ehlo_name;  // RFC 5321 4.1.1.1: a domain or an address literal. Required.
  TlsPolicy tls = TlsPolicy::kOpportunistic;
  Timeouts timeouts{};
  bool pipelining = true;  // Use PIPELINING when offered.
  // Messages under way at once where PIPELINING is offered. From 2 on the next one's envelope goes out in the same
  // group as the end of data (RFC 2920 3.1): one round trip a message instead of two. From 3 on, where CHUNKING is
  // offered too, messages go by BDAT (RFC 3030) together with their envelopes, this many at a time. 1: one after the
  // other.
  int messages_in_flight = 2;
  // The stream is TLS before the greeting (RFC 8314 3.3): connected() comes after the handshake, and `tls` plays no
  // part.
  bool implicit_tls = false;
  Protocol protocol = Protocol::kSmtp;
  Login login{};
  std::size_t recipients_max = kRecipientsMax;  // Of a transaction; the server may lower it. See Cause::kTransactionFull.
};

// What a server offered after EHLO.
struct Capabilities {
  bool esmtp = false;
  bool pipelining = false;
  bool eight_bit_mime = false;
  bool smtputf8 = false;
  bool enhanced_status_codes = false;
  bool start_tls = false;
  bool chunking = false;
  bool size = false;
  std::uint64_t size_max = 0;  // 0: no limit stated.
  bool dsn = false;
  bool require_tls = false;    // As offered; counts under TLS alone.
  bool auth_plain = false;
  bool auth_login = false;
  bool auth_xoauth2 = false;
  // RFC 9422; 0: no limit stated.
  std::uint64_t mails_max = 0;              // MAILMAX, transactions of the connection.
  std::uint64_t recipients_max = 0;         // RCPTMAX, of a transaction.
  std::uint64_t recipient_domains_max = 0;  // RCPTDOMAINMAX, likewise.
};

enum class DsnReturn : std::uint8_t { kUnspecified, kFull, kHeaders };  // RFC 3461 4.3.
// RFC 3461 4.1; 0: not said.
inline constexpr std::uint8_t kNotifyNever = 1, kNotifySuccess = 2, kNotifyFailure = 4, kNotifyDelay = 8;

// What a recipient's server is asked to report, where it offers DSN. Elsewhere it is not said, and the recipient gets
// the mail all the same (RFC 3461 5.2.2 would have the sender report "relayed" for NOTIFY=SUCCESS then: an event says
// so here).
struct RecipientDsn {
  std::uint8_t notify = 0;     // kNotify bits.
  std::string_view orcpt{};    // "rfc822;ann@example.net", not encoded. Empty: none.
};

// Errors: kInvalidArgument: what no session puts on the wire, not printable or too long.
Result<void> check_dsn(std::string_view envid, std::span<const RecipientDsn> recipients);

// One message with its envelope, ready for the wire.
// Views: valid until the transaction's kTransactionDone, or the session's end.
struct Transaction {
  std::string_view mail_from;                // Empty: the null path "<>".
  std::span<const std::string_view> rcpt_to; // At least one.
  std::string_view data;                     // Dot-stuffed, ends in CRLF "." CRLF: what dot_stuff() gives.
  std::uint64_t message_bytes = 0;           // Before dot-stuffing, without the final dot: for SIZE.
  bool eight_bit = false;                    // Has octets above 127.
  bool smtputf8 = false;                     // An address or a header needs SMTPUTF8.
  bool require_tls = false;                  // REQUIRETLS (RFC 8689): over verified TLS to a server that offers it, or not at all.
  DsnReturn ret = DsnReturn::kUnspecified;   // Where DSN is offered, as the next two.
  std::string_view envid{};                  // Printable, not encoded. Empty: none.
  std::span<const RecipientDsn> dsn{};       // One a recipient, or none.
};

// `message` with bare CR and bare LF made CRLF, lines dot-stuffed (RFC 5321 4.5.2), and the end of data appended.
// No "\n.\n"-like form can leave this function except the one at its end.
// True: an octet is above 127.
bool dot_stuff(std::string_view message, std::string& out);

struct SessionEvent {
  enum class Kind : std::uint8_t {
    kStartTls,         // Handshake now, then call tls_started(). The output before it must have been sent.
    kReady,            // begin() or quit() may be called. Comes after EHLO and after each transaction that leaves the
                       // connection usable.
    kRecipient,        // One recipient of the transaction has its outcome: `recipient`, `outcome`.
    kTransactionDone,  // Every recipient has had its kRecipient; the transaction's views are free.
    kSending,          // The server awaits the message (354). With room() the next transaction may be begun now, and
                       // its envelope goes out behind the message. Without that, nothing changes.
    kRoom,             // By BDAT: others are under way, and room() holds again.
    kClosed,           // The session is over: `outcome` says why. Close the connection. Nothing follows.
  };
  Kind kind = Kind::kClosed;
  std::size_t recipient = 0;
  Outcome outcome;
};

// The client's side of one connection. Sans-I/O: it sees bytes and times alone. Threads: one owner. Invariants: every
// recipient of a begun transaction gets exactly one kRecipient, also when the connection breaks, times out or talks
// nonsense; a recipient whose end of data was sent and not answered gets Outcome::unknown(). Transactions end in the
// order in which they were begun, and all events of one come before those of the next; when the session ends, one of
// which nothing but the envelope was sent gets an outcome of stage kMailFrom. Recipients that are more than the
// transaction may have, by our options, by LIMITS or because the server said 452 4.5.3 after others (RFC 5321
// 4.5.3.1.10), get kTransactionFull: they were not tried, and go at once in another transaction. Where they are sent
// again, they come first, so that a server that means something else says so to them. After 421 the session closes;
// where the server's MAILMAX is reached (RFC 9422), it says QUIT by itself. Use: after every feed(), consume(),
// begin(), tls_started(), on_timeout(), on_disconnect(): poll() until empty, then send output().
class ClientSession {
 public:
  explicit ClientSession(SessionOptions options);
  ~ClientSession();
  ClientSession(ClientSession&&) noexcept;
  ClientSession& operator=(ClientSession&&) noexcept;

  // TCP is up: the greeting's time runs. With implicit TLS: so is TLS, `verified` as in tls_started().
  void connected(TimePoint now, bool verified = false);
  void feed(std::string_view bytes, TimePoint now);    // What the server sent.
  std::string_view output() const;                     // What to send now; valid until the next non-const call.
  std::size_t outputs(std::span<std::string_view> pieces) const;  // output() and what follows it; how many there are.
  void consume(std::size_t count, TimePoint now);      // So many bytes of outputs() were sent.
  std::optional<SessionEvent> poll();
  // The same into `event`, whose memory is used again: with one and the same event nothing is allocated per message.
  // False: there is none, and `event` is as it was.
  bool poll(SessionEvent& event);

  bool room() const;                                          // One more may be begun while others are under way.
  void begin(const Transaction& transaction, TimePoint now);  // Only after kReady, or with room().
  void quit(TimePoint now);                                   // Only after kReady. kClosed follows.
  void tls_started(TimePoint now, bool verified = false);     // `verified`: chain and name are good. REQUIRETLS wants it.
  void on_disconnect(Cause cause, std::string_view detail, TimePoint now);  // kConnectionLost, kTlsFailed, ...
  void on_timeout(TimePoint now);                      // Call when now >= deadline().
  TimePoint deadline() const;                          // TimePoint::max(): none.

  const Capabilities& capabilities() const noexcept;
  bool tls() const noexcept;
  bool secret() const noexcept;                // output() has a password or token in it: nothing to show in a log.
  std::size_t recipients_max() const noexcept; // Of a transaction, as learned so far.

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// ---------------------------------------------------------------------------------------------------------------------
// Transport security: what a domain asks of the TLS of its mail hosts (docs/tls.md)

enum class StsMode : std::uint8_t { kNone, kTesting, kEnforce };
std::string_view to_string(StsMode mode) noexcept;  // "none", "testing", "enforce"

// An MTA-STS policy (RFC 8461 3.2).
struct StsPolicy {
  StsMode mode = StsMode::kNone;
  std::vector<std::string> mx{};    // "mx.example.net", "*.example.net": in lower case, A-labels. Only kNone may have none.
  std::chrono::seconds max_age{0};  // At most a year, as the RFC has it.
  // Errors: kInvalidArgument with the line. Fields that are not known are passed over, of repeated ones the first
  // counts.
  static Result<StsPolicy> parse(std::string_view text);
  bool matches(std::string_view host) const noexcept;  // 4.1: a wildcard stands for one label, the leftmost.
  std::vector<std::string> lines() const;              // As it was published, field by field: "version: STSv1", ...
  bool operator==(const StsPolicy&) const = default;
};

// The id in the one TXT record of _mta-sts.DOMAIN that is about STS (RFC 8461 3.1). Empty: none, several, or malformed.
std::optional<std::string> parse_sts_record(std::span<const std::string> texts);

enum class TlsSource : std::uint8_t { kDefault, kOverride, kSts, kDane };  // Whose word it is that TLS is demanded.
std::string_view to_string(TlsSource source) noexcept;                     // "default", "override", "sts", "dane"

// What is asked of the hosts of one route.
struct RouteTls {
  TlsPolicy policy = TlsPolicy::kOpportunistic;
  TlsSource source = TlsSource::kDefault;      // kDane: hosts without TLSA records fall back on `policy` and on `sts`.
  bool dane = false;                           // The MX records are secure: each host's TLSA records count (RFC 7672 2.2).
  std::vector<std::string> names{};            // For kVerified: instead of the host's name.
  std::shared_ptr<const StsPolicy> sts{};      // The domain's, if it has one in force: for reports. Not part of the site key.
  std::string sts_failure{};                   // Why there is none although there should be: for reports, likewise.
};

// An operator's word on one domain. It beats what the domain publishes: neither DANE nor MTA-STS is looked at.
struct TlsOverride {
  TlsPolicy policy = TlsPolicy::kOpportunistic;
  std::vector<std::string> names{};  // With kVerified: the certificate's must be one of these. Empty: the MX host's.
};

// How domains' policies are found.
struct TlsPolicies {
  bool dane = true;     // RFC 7672, where DNSSEC validation is to be had.
  bool mta_sts = true;  // RFC 8461.
  // By domain in A-labels and lower case; ".example.net" is for all below it. The longest counts.
  std::map<std::string, TlsOverride, std::less<>> overrides{};
  const TlsOverride* find(std::string_view domain) const;  // Null: none.
};

// What came of one host's TLS, for reports. Views: none.
struct TlsResult {
  std::string mx_host;
  net::IpAddress local;
  net::IpAddress remote;           // Unspecified: it did not come to a connection.
  bool usable = false;             // Mail may go this way, also in clear.
  bool tls = false;
  bool verified = false;
  bool dane = false;               // It was TLSA records that it was verified by, or failed.
  net::TlsFailure failure = net::TlsFailure::kNone;
  enum class Trouble : std::uint8_t { kNone, kNotOffered, kHandshake, kDnssec, kTlsa } trouble = Trouble::kNone;
  std::string detail{};            // In our words, when something is wrong.
  std::vector<net::TlsaRecord> tlsa{};
};

// Finds and keeps MTA-STS policies (RFC 8461 3.3, 5.1): the TXT record says whether the one that is kept is still the
// one; if not, or if it is a day old, it is fetched anew; while that fails the old one stays until its max_age is over.
// Threads: the resolver's loop. Ownership: what it is made with outlives it.
class StsFinder {
 public:
  struct Found {
    std::shared_ptr<const StsPolicy> policy{};  // Null: none.
    std::string failure{};                      // Why not, or why it is an old one: "sts-policy-fetch-error: ..." (RFC 8460 4.3).
  };
  using Done = UniqueFunction<void(const Found&)>;

  StsFinder(net::Loop& loop, net::Resolver& resolver, net::HttpsClient& https);
  ~StsFinder();
  void find(std::string_view domain, Done done);  // As Router::route(). `done` waits for a fetch kStsWait at most.

  // What is kept, as opaque octets: saved and loaded, policies outlive the process, and with them what an attacker on
  // the first connection could otherwise hide. load() adds what is good in it; what is kept already stays.
  std::string save() const;
  void load(std::string_view saved);
  bool changed() noexcept;  // Since the last save().

 private:
  struct State;
  std::unique_ptr<State> state_;
};

inline constexpr Duration kStsWait = std::chrono::seconds(10);  // A policy host that hangs holds up its domain this long.

// `secure`, once it has shown that anything validates; until then, and behind servers that leave signatures out, what
// `plain` says, as insecure. It is tried again every few minutes: once it has, it stays, and signatures that are
// missing then are an attack. Ownership: both outlive it.
std::unique_ptr<net::SecureResolver> make_probing_resolver(net::Loop& loop, net::SecureResolver& secure,
                                                           net::Resolver& plain);

// Where a Router finds what domains ask of TLS. Ownership: all outlives it.
struct TlsSources {
  TlsPolicy policy = TlsPolicy::kOpportunistic;  // All domains get this at least. kNone: nothing else is looked at.
  const TlsPolicies* policies = nullptr;         // Null: no overrides. Its switches are the caller's to heed.
  net::SecureResolver* secure = nullptr;         // Null: no DANE.
  StsFinder* sts = nullptr;                      // Null: no MTA-STS.
};

// ---------------------------------------------------------------------------------------------------------------------
// TLS reports (RFC 8460)

// RFC 8460 4.3.
enum class TlsResultType : std::uint8_t {
  kSuccess,
  kStartTlsNotSupported,
  kValidationFailure,
  kCertificateNotTrusted,
  kCertificateHostMismatch,
  kCertificateExpired,
  kTlsaInvalid,
  kDnssecInvalid,
  kStsPolicyFetchError,
  kStsPolicyInvalid,
  kStsWebpkiInvalid,
};
std::string_view to_string(TlsResultType type) noexcept;  // As in a report: "starttls-not-supported", ...

struct TlsFailureDetail {
  TlsResultType type = TlsResultType::kValidationFailure;
  std::string sending_ip{};
  std::string mx_host{};
  std::string receiving_ip{};
  std::string reason{};
  std::uint64_t sessions = 0;
};

struct TlsReportPolicy {
  std::string type;                     // "tlsa", "sts", "no-policy-found"
  std::vector<std::string> text{};      // "version: STSv1", ... or TLSA records.
  std::vector<std::string> mx_hosts{};  // STS: its patterns. TLSA: the host.
  std::uint64_t successful = 0;
  std::uint64_t failed = 0;
  std::vector<TlsFailureDetail> details{};
};

// What a domain's hosts did in a time.
struct TlsReport {
  std::string domain;
  TimePoint begin{};
  TimePoint end{};
  std::vector<TlsReportPolicy> policies{};
};

// Counts sessions by domain. Threads: one owner; those of several are merged. Caps: kReportDomainsMax domains, the
// details of kReportDetailsMax kinds of failure each, and kReportEntriesMax policies and details in all; beyond them
// sessions are counted without details, or not at all.
class TlsReports {
 public:
  TlsReports();
  ~TlsReports();
  TlsReports(TlsReports&&) noexcept;
  TlsReports& operator=(TlsReports&&) noexcept;

  // A session for mail to `domain`, whose policy is `tls`.
  void record(std::string_view domain, const RouteTls& tls, const TlsResult& result);
  void merge(TlsReports other);
  void add(const TlsReport& report);                                  // What it counted, whatever its time.
  std::vector<TlsReport> reports(TimePoint begin, TimePoint end) const;  // All of them, by name.
  std::vector<TlsReport> take(TimePoint begin, TimePoint end);           // The same; then it is empty.
  bool empty() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};
inline constexpr std::size_t kReportDomainsMax = 100'000;
inline constexpr std::size_t kReportDetailsMax = 100;
inline constexpr std::size_t kReportEntriesMax = 200'000;  // Some 500 octets each: receivers decide how many there are.

// Where a domain wants its reports: the TXT record of _smtp._tls.DOMAIN (RFC 8460 3).
struct TlsRptRecord {
  std::vector<Address> mailto{};
  std::vector<std::string> https{};  // "https://reports.example.net/v1", complete.
};
std::optional<TlsRptRecord> parse_tlsrpt_record(std::span<const std::string> texts);  // Empty: none, several, or malformed.

// Who reports.
struct TlsReporter {
  std::string organization;   // "Brand Inc."
  std::string contact;        // "tlsrpt@brand.example" (RFC 8460 4.4: contact-info).
  std::string domain;         // "brand.example": TLS-Report-Submitter. Mail must be signed by it (RFC 8460 3).
};

std::string tls_report_id(const TlsReport& report, const TlsReporter& reporter, Random& random);
std::string tls_report_json(const TlsReport& report, const TlsReporter& reporter, std::string_view id);
// For a POST of type application/tlsrpt+gzip (RFC 8460 5.4), and as the mail's attachment. Errors: kResourceExhausted.
Result<std::string> gzip(std::string_view text);
// A complete message that carries it (RFC 8460 5.3), to be signed and submitted; "TLS-Required: No" (RFC 8689 5) lets
// it through where TLS is what fails.
Result<std::string> tls_report_mail(const TlsReport& report, const TlsReporter& reporter, const Address& from,
                                    const Address& to, std::string_view id, TimePoint now, Random& random);

// The packed report as a POST to one of TlsRptRecord::https. Errors: kInvalidArgument: a URL with a port or a user in
// it.
Result<net::HttpsRequest> tls_report_post(std::string_view url, std::string packed);

// ---------------------------------------------------------------------------------------------------------------------
// Routes

struct RouteHost {
  std::uint16_t preference = 0;
  std::string host;
  std::uint16_t port = 0;  // 0: PoolOptions::port.
  auto operator<=>(const RouteHost&) const = default;
};

// Where an operator sends mail instead of to its domain's MX hosts: a smarthost, an inner server, a mailbox server by
// LMTP. What it says of TLS holds for its hosts alone.
struct Relay {
  std::vector<RouteHost> hosts;      // Names, whose addresses count and not their MX, or addresses. At least one. Required.
  std::optional<TlsPolicy> tls{};    // Empty: as for MX hosts; with a login that is not `in_clear`, kVerified.
  bool implicit_tls = false;         // TLS before the greeting (RFC 8314 3.3), port 465. Never falls back to clear text.
  Protocol protocol = Protocol::kSmtp;
  Login login{};

  // "smtp://mail.example.net", "smtps://user:password@mail.example.net" (implicit TLS, port 465 unless there is
  // another), "lmtp://192.0.2.7:24"; octets of user and password may be %41. A password goes over verified TLS alone.
  // Errors: kInvalidArgument, without the password.
  static Result<Relay> parse(std::string_view text);
};

struct RelayRule {
  std::string domain;  // "example.com": that domain; ".example.com": all below it; "*": all. The longest match counts.
  Relay relay;
};

// Where a domain's mail goes.
struct Route {
  std::string site;               // Injective key of all that follows but the ttl and what is for reports alone: equal
                                  // exactly when that is equal.
  ProviderId provider;            // Of the most preferred host.
  std::vector<RouteHost> hosts;   // By preference, then name. An address literal is one host in brackets.
  RouteTls tls{};
  std::shared_ptr<const Relay> relay{};  // Null: by DNS.
  std::chrono::seconds ttl{0};    // How long it is good for: that of the DNS answers it is made of. A relay's is a day.
};

struct RouteAnswer {
  std::optional<Route> route;
  Outcome failure;  // Without a route: stage kRoute; kNoSuchDomain, kNullMx and kMailLoop are final, kDnsFailure is not,
                    // nor is kTlsFailed: no MX host fits the domain's MTA-STS policy.
  RouteTls tls{};   // Then: what was asked, for reports.
};

struct RouterOptions {
  std::vector<RelayRule> relays{};
  // Our own host names, whatever their letter case. An MX host of such a name is dropped, with all at its preference
  // and worse (RFC 5321 5.1); if that leaves none, the route fails with kMailLoop.
  std::vector<std::string> own_names{};
};

// Finds routes: relays, MX (RFC 5321 5.1), implicit MX, null MX (RFC 7505), address literals. Caching is the
// resolver's. Threads: the resolver's loop.
class Router {
 public:
  using Found = UniqueFunction<void(const RouteAnswer&)>;

  explicit Router(net::Resolver& resolver, TlsSources tls = {});
  // Errors: kInvalidArgument naming the relay: no host, no domain, two for one domain.
  static Result<Router> make(net::Resolver& resolver, RouterOptions options, TlsSources tls = {});
  // `found` is called exactly once and never from inside route(), unless the resolver goes first: then never.
  void route(std::string_view domain, Found found);

 private:
  struct Table;
  struct Routing;
  Router(net::Resolver& resolver, TlsSources tls, std::shared_ptr<const Table> table);
  net::Resolver* resolver_;
  TlsSources tls_;
  std::shared_ptr<const Table> table_;
};

// Which addresses mail is sent to. DNS is the recipient's to write: an MX host at 127.0.0.1 or 10.0.0.1 would make a
// sender talk to what stands behind its own firewall. Refused are loopback, private (RFC 1918, RFC 4193), shared (RFC
// 6598), link-local, multicast, unspecified, reserved and benchmarking addresses, and IPv6 addresses that stand for an
// IPv4 one (mapped, NAT64, 6to4, Teredo); not the ranges for documentation, where nobody is. Threads: immutable.
// Ownership: a cheap value (shared).
class TargetRules {
 public:
  struct Options {
    std::vector<std::string> allowed{};   // Ranges, "127.0.0.0/8", that are allowed all the same.
    std::vector<net::IpAddress> own{};    // Where we are ourselves: an MX host there is a loop. Loopback is nobody's own.
  };

  TargetRules() = default;  // Nothing is allowed all the same, nothing is ours.
  static Result<TargetRules> make(const Options& options);  // Errors: kInvalidArgument naming the range.

  bool prohibits(const net::IpAddress& address) const noexcept;
  bool ours(const net::IpAddress& address) const noexcept;
  bool any_ours() const noexcept;

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

// ---------------------------------------------------------------------------------------------------------------------
// Egress through a proxy: IP addresses that live on other hosts

struct EgressProxy {
  enum class Protocol : std::uint8_t {
    // haproxy.org's proxy-protocol.txt, version 2, in front of the session: it names the egress IP as the source and
    // the MX host as the destination, and the proxy (HAProxy, KumoProxy) binds and connects so. Such a proxy says
    // nothing when it cannot: the connection ends without a greeting.
    kProxyV2,
    kSocks5,  // RFC 1928 CONNECT, with RFC 1929 when there is a user. The source is the proxy's choice: one port for each IP.
  };
  Protocol protocol = Protocol::kSocks5;
  net::Endpoint endpoint;    // Required.
  std::string user{};        // SOCKS5; at most 255 octets each, and sent in clear: keep the proxy near.
  std::string password{};

  // "socks5://user:password@192.0.2.7:1080", "proxy://[2001:db8::7]:2525"; octets of user and password may be %41.
  // Errors: kInvalidArgument, without the password.
  static Result<EgressProxy> parse(std::string_view text);
  std::string str() const;  // Without user and password: for logs.
};

// A transport whose connections go through `proxy`. What the proxy says to a connection is on_closed()'s, naming it.
// Ownership: `direct` outlives it.
std::unique_ptr<net::Transport> make_proxied_transport(net::Transport& direct, EgressProxy proxy);

// ---------------------------------------------------------------------------------------------------------------------
// Trace: one connection's transcript while it happens

struct TraceLine {
  enum class Kind : std::uint8_t {
    kStep,      // No line on the wire: connecting, connected, TLS, closed, a time-out.
    kSent,
    kReceived,
  };
  TimePoint time{};
  Kind kind = Kind::kStep;
  // One line without its end. Octets that are not printable ASCII are written \x1b, so that a server cannot write to a
  // terminal. Of what is longer than kTraceLineMax then: its beginning, and "... (1234 octets)". Credentials are
  // masked. Dies on return.
  std::string_view text;
};
inline constexpr std::size_t kTraceLineMax = 1000;  // RFC 5321 4.5.3.1.6: a text line.

enum class TraceBodies : std::uint8_t {
  kNone,     // "(12034 octets)" stands for a message.
  kHeaders,  // Its header, then that.
  kFull,
};
// Octets of one message that are shown; the rest is counted, whatever TraceBodies says.
inline constexpr std::size_t kTraceMessageMax = 64 << 10;

// Gets one connection's lines. Threads: its loop's. It must not call back into the Pool.
class Trace {
 public:
  virtual ~Trace() = default;
  virtual void on_line(const TraceLine& line) = 0;
  virtual TraceBodies bodies() const { return TraceBodies::kHeaders; }  // Asked at each message.
};

struct TraceConnection {
  std::uint64_t id = 0;  // ConnectionId.
  net::IpAddress local;
  net::Endpoint remote;
  std::string_view mx_host;  // Dies on return.
};

// Asked for each connection before it is made, once more when it is tried in clear after a failed handshake, and by
// Pool::trace().
class Tracer {
 public:
  virtual ~Tracer() = default;
  virtual std::unique_ptr<Trace> trace(const TraceConnection& connection) = 0;  // Null: nobody wants this one.
};

// One line of some connection: a TraceLine, and whose it is.
struct TraceRecord {
  TimePoint time{};
  TraceLine::Kind kind = TraceLine::Kind::kStep;
  std::string text{};
  std::uint64_t connection = 0;  // Unique in an engine, and in a Listener: lines of several are mixed.
  std::string remote{};          // "192.0.2.1:25". Behind a proxy that a Listener trusts: the client's.
  std::string egress{};          // Of an engine's connections, as are the next two.
  std::string provider{};
  std::string mx_host{};
  std::string local{};           // Of a Listener's: where it came in,
  std::string user{};            // and who has logged in.
};

// Of one trace, not taken yet: some 5 MB, 15 MB of the longest lines. Beyond: dropped, and counted.
inline constexpr std::size_t kTraceRecordsMax = 10'000;

// A trace while it is taken; destroying it ends it. Nothing waits for who takes it: mail goes on, and what is too much
// is dropped. Threads: any. Ownership: the engine, or the Listener, may go first; then nothing more comes.
class Tracing {
 public:
  virtual ~Tracing() = default;
  // What has come since the last call; when there is nothing, it waits for it so long.
  virtual std::vector<TraceRecord> take(std::chrono::milliseconds wait) = 0;
  virtual std::uint64_t dropped() = 0;  // Lines that were dropped since the last call.
};

// ---------------------------------------------------------------------------------------------------------------------
// Pool: the connections of one lane

struct BadHostOptions {
  Duration first = std::chrono::minutes(1);      // Set aside so long after a first failure, then twice as long each time,
  Duration longest = std::chrono::minutes(32);   // up to this.
  Duration probe = std::chrono::seconds(30);     // So long one opening has to itself what comes back; others wait for it.
  std::size_t entries_max = 10'000;              // The longest unused leave first. Some 150 octets each.
};

// What failed lately: addresses that refused, were silent or sent us away, and host names that DNS fails for. While its
// time runs a host is tried after all others, whatever its preference; when it is over, by one opening first. Shared by
// all pools of a thread, so that each need not find out for itself. Threads: one owner. Ownership: outlives the pools
// that use it.
class BadHosts {
 public:
  explicit BadHosts(BadHostOptions options = {});
  ~BadHosts();
  BadHosts(const BadHosts&) = delete;
  BadHosts& operator=(const BadHosts&) = delete;

  // A key is any text that names one thing: a host name, an endpoint, "from>endpoint".
  void failed(std::string_view key, TimePoint now);  // Several that fail together count as once.
  void worked(std::string_view key);                 // It is forgotten.
  // Until when it is set aside; not later than now: it is not. When its time is over the first who asks is told so, and
  // has it to itself for BadHostOptions::probe.
  TimePoint ask(std::string_view key, TimePoint now);
  std::size_t size() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

struct PoolOptions {
  net::IpAddress local;                // Egress IP; unspecified: the system chooses.
  SessionOptions session;
  std::uint16_t port = 25;
  int connections_max = 10;            // Open or opening at once. May be changed with set_connections_max().
  int messages_per_connection = 100;   // Then QUIT and a new one. May be changed with set_messages_per_connection().
  Duration idle_timeout = std::chrono::seconds(5);  // A connection without work is quit after this.
  int addresses_per_open_max = 5;      // RFC 5321 5.1: "at least two addresses"; a cap on one opening's tries.
  std::optional<RouteTls> tls{};       // Instead of session.tls. Empty: that alone.
  net::SecureResolver* secure = nullptr;  // For tls->dane; null: hosts' TLSA records are not asked for.
  std::function<void(const TlsResult&)> on_tls{};  // Told of each host that was tried; must not touch the pool.
  TargetRules targets{};               // Not for a relay's hosts: see `relay`.
  bool relay = false;                  // The hosts are an operator's choice: they may have any address.
  Tracer* tracer = nullptr;            // Null: nothing is traced. Outlives the pool.
  BadHosts* bad_hosts = nullptr;       // Null: nothing is remembered from one opening to the next.
};

class Pool;

// What carried a message: for events and logs. Views: until the handler call returns.
struct ConnectionInfo {
  std::string_view mx_host;
  net::Endpoint remote;
  bool tls = false;
  net::TlsVerify verified = net::TlsVerify::kNone;  // What the certificate was verified by, when that was demanded.
};

using ConnectionId = std::uint64_t;  // Unique within a pool; 0: none.

// What a Pool reports, on its loop's thread, never from inside a call into the Pool.
class PoolHandler {
 public:
  virtual ~PoolHandler() = default;
  // A connection can carry a message: call Pool::send() for it, now or later (it idles, then quits).
  virtual void on_ready(Pool& pool, ConnectionId connection) = 0;
  virtual void on_recipient(Pool& pool, ConnectionId connection, std::size_t recipient, const Outcome& outcome) = 0;
  virtual void on_transaction_done(Pool& pool, ConnectionId connection) = 0;
  // The message is about to be sent. With Pool::room(), send() now puts the next one's envelope behind it; Pool::drop()
  // keeps it from being sent.
  virtual void on_sending(Pool& pool, ConnectionId connection) { static_cast<void>(pool), static_cast<void>(connection); }
  virtual void on_room(Pool& pool, ConnectionId connection) { static_cast<void>(pool), static_cast<void>(connection); }
  // A connection ended that had been ready. Its recipients have had their outcomes. Cause::kCancelled: by our QUIT,
  // which was not answered.
  virtual void on_closed(Pool& pool, ConnectionId connection, const Outcome& reason) = 0;
  // An open() failed on every host that could be tried; the outcome is that of the last host that answered.
  virtual void on_open_failed(Pool& pool, ConnectionId connection, const Outcome& reason) = 0;
};

// The connections from one egress IP to one site. Opening walks the hosts by preference, at random among equals (RFC
// 5321 5.1), resolving addresses as it goes, IPv6 and IPv4 in turns; a host that refuses, is silent or answers 4yz/5yz
// before EHLO is done makes it try the next, and is set aside in BadHosts for a while. After a failed opportunistic
// handshake the same address is tried once in clear. Threads: its loop's. Ownership: destroying it closes every
// connection at once, without handler calls; allowed from inside a handler call.
class Pool {
 public:
  Pool(net::Loop& loop, net::Transport& transport, net::Resolver& resolver, PoolOptions options,
       std::vector<RouteHost> hosts, PoolHandler& handler, Random& random);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  bool can_open() const noexcept;            // open() would not exceed connections_max.
  ConnectionId open();                       // on_ready() or on_open_failed() follows. Only when can_open().
  ConnectionId idle() const noexcept;        // A ready connection without work, most recently used first; 0: none.
  void send(ConnectionId connection, const Transaction& transaction);  // Only to a ready connection, or with room().
  bool room(ConnectionId connection) const;  // Busy, and one more transaction may follow at once.
  std::size_t recipients_max(ConnectionId connection) const;  // As ClientSession has it; 0: no such connection.
  void finish(ConnectionId connection);                       // What it carries is its last: then QUIT.
  void drop(ConnectionId connection);        // Closes it at once; no handler call follows for it.
  ConnectionInfo info(ConnectionId connection) const;
  void trace(ConnectionId connection);       // Asks PoolOptions::tracer again; not while a message is under way.
  int open_connections() const noexcept;     // Ready, busy or opening.
  int busy_connections() const noexcept;     // With a transaction.
  void set_connections_max(int count) noexcept;
  void set_messages_per_connection(int count) noexcept;
  void set_messages_in_flight(int count) noexcept;  // Of connections that are opened from now on.
  void quit_idle();                          // QUIT on every connection without work.

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// ---------------------------------------------------------------------------------------------------------------------
// Sink: a receiver for tests, demos and benches

// How a sink's listening addresses behave. Chances are 0 to 1 and drawn per message from the sink's seed.
struct SinkProfile {
  std::string name = "default";
  std::string banner_host = "sink.invalid";
  Duration latency{0};                  // Before every reply; replies to commands that came together go out together.
  double defer_chance = 0;              // `defer_reply` at RCPT.
  std::string defer_reply = "451 4.7.1 Greylisted, try again later";
  double reject_chance = 0;             // `reject_reply` at RCPT.
  std::string reject_reply = "550 5.1.1 No such user here";
  double data_reject_chance = 0;        // `data_reject_reply` at the final dot.
  std::string data_reject_reply = "554 5.7.1 Message refused as spam";
  bool sticky = true;                   // The chance is drawn once per recipient address: a rejected one stays rejected;
                                        // a deferred one is taken at its second attempt.
  int messages_per_connection = 0;      // Then 421 and close; 0: no limit.
  int connections_max = 0;              // Per profile; beyond it 421 at the greeting; 0: no limit.
  bool start_tls = false;
  bool pipelining = true;
  bool chunking = false;                // RFC 3030 BDAT.
  bool smtputf8 = true;
  std::uint64_t size_max = 0;           // SIZE announced and enforced; 0: announced without limit.
};

struct SinkListener {
  net::Endpoint endpoint;       // Port 0: a free one.
  std::string profile = "default";
};

struct SinkOptions {
  std::vector<SinkListener> listeners;
  std::vector<SinkProfile> profiles;
  std::string maildir{};                // Not empty: accepted messages are written there (tmp/, new/).
  double maildir_sample = 1.0;          // Share of the messages written; with `sticky` drawn per first recipient.
  std::string tls_certificate_pem{};    // With start_tls; empty: a self-signed certificate made at start.
  std::string tls_key_pem{};
  int threads = 1;
  std::uint64_t seed = 1;
  // Called for each accepted recipient when set, on a sink thread: envelope and message bytes (dot-unstuffed), before
  // the reply goes out. Views die on return.
  std::function<void(std::string_view profile, std::string_view mail_from, std::string_view rcpt_to,
                     std::string_view message)> on_message{};
};

struct SinkCounts {
  std::string profile;
  std::uint64_t connections = 0;          // Served.
  std::uint64_t connections_refused = 0;  // For connections_max.
  std::uint64_t accepted = 0;           // Recipients whose message was taken.
  std::uint64_t deferred = 0;
  std::uint64_t rejected = 0;           // At RCPT.
  std::uint64_t data_rejected = 0;      // Recipients of messages refused at the final dot.
  std::uint64_t tls_handshakes = 0;
  std::uint64_t bytes = 0;              // Message bytes taken.
  std::uint64_t protocol_errors = 0;
};

// Threads: the methods from any thread. Ownership: destroying it stops it.
class Sink {
 public:
  // Errors: kIo naming the address that cannot be listened on or the directory that cannot be written to;
  // kInvalidArgument for a profile that is not there and for fields out of range.
  static Result<std::unique_ptr<Sink>> start(SinkOptions options);
  ~Sink();
  std::vector<net::Endpoint> endpoints() const;   // As bound, in the order of SinkOptions::listeners.
  std::vector<SinkCounts> counts() const;         // One per profile, in their order.

 private:
  struct State;
  explicit Sink(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// ---------------------------------------------------------------------------------------------------------------------
// Submission listener: takes mail from applications (RFC 6409), and bounces, complaints and the like from outside

// Who a client is, as the handler said when it took the credentials.
struct Identity {
  std::string user;               // For logs and the Received field. Empty: nobody, mail for an inbound domain.
  std::string account;            // Whose mail it is.
  bool may_route = false;         // May choose campaign, pool and schedule in the message's headers.
  std::vector<std::string> senders{};  // Addresses and domains this user may send as (RFC 6409 6.1), in lower case; empty:
                                       // any. The null path is for all.
  bool may_send_as(const Address& address) const noexcept;
};

struct Credentials {
  std::string_view mechanism;  // "PLAIN", "LOGIN".
  std::string_view user;       // UTF-8 without control characters, up to 255 octets.
  std::string_view password;
  std::string_view authzid;    // PLAIN: whom to act as; empty: the user. Refuse what you do not know.
  net::IpAddress client;
  bool tls = false;
};

struct EnvelopeRecipient {
  Address address;
  std::uint8_t notify = 0;  // kNotify bits.
  std::string orcpt{};      // "rfc822;ann@example.net", decoded. Empty: none.
};

struct Envelope {
  std::optional<Address> sender;  // Empty: the null path.
  std::vector<EnvelopeRecipient> recipients;
  DsnReturn ret = DsnReturn::kUnspecified;
  std::string envid{};      // Decoded. Empty: none.
  bool eight_bit = false;   // BODY=8BITMIME.
  bool smtputf8 = false;
};

// One message as taken, not answered yet.
struct Submission {
  MessageId id;            // Also in the Received field and in a 250 that has no text of its own.
  Envelope envelope;
  std::string data;        // Dots unstuffed, fix-ups done; lines end in CRLF.
  Identity identity;
  bool inbound = false;    // For the inbound domains, from anybody.
  net::IpAddress client;   // Behind a trusted proxy: the proxy's client.
  std::string hello{};     // EHLO or HELO argument.
  bool tls = false;
};

enum class Pressure : std::uint8_t {
  kNone,
  kFull,      // Memory or disk is short: 452 4.3.1 to MAIL and to the end of a message; connections stay.
  kShutdown,  // 421 4.3.2 to new connections and between messages.
};

// What a listener asks. Threads: called on the listener's threads, on several at once; must return soon, the work can
// be done elsewhere. The answers are given by `done`, once, on any thread, from inside the call or later, also after
// the client is gone or the listener is destroyed: then nothing happens. A `done` destroyed without a call answers 451
// (AUTH: 454).
class ListenHandler {
 public:
  using Authenticated = UniqueFunction<void(std::optional<Identity>)>;  // Empty: 535.
  using Answered = UniqueFunction<void(Reply)>;

  virtual ~ListenHandler() = default;
  // Views die on return. Compare secrets with secrets_equal() and take as long for a user that is not there.
  virtual void authenticate(const Credentials& credentials, Authenticated done) = 0;
  // A complete message. Answer 2yz only when it is durable: from then on the client forgets it. 4yz and 5yz are passed
  // on, 421 closes the connection; any other code becomes 451.
  virtual void on_message(Submission submission, Answered done) = 0;
  // At each RCPT, before the message: a reply that is not 2yz refuses the recipient. On the spot; code 0:
  // find_recipient() is asked.
  virtual Reply on_recipient(const Identity&, const Address&, bool inbound) {
    static_cast<void>(inbound);
    return {.code = 250, .enhanced = EnhancedCode{2, 1, 5}, .text = "Ok"};
  }
  // Whether there is this recipient, where that takes a look-up. Its connection is not read from meanwhile.
  virtual void find_recipient(const Address&, Answered done) { static_cast<void>(done); }
  virtual Pressure pressure() { return Pressure::kNone; }  // At each connection, MAIL and end of message. On the spot.
};

// True when they are equal, in a time that does not depend on where they differ.
bool secrets_equal(std::string_view a, std::string_view b) noexcept;

enum class ListenTls : std::uint8_t { kNone, kStartTls, kImplicit };  // kImplicit: RFC 8314 3.3, port 465.

struct ListenEndpoint {
  net::Endpoint endpoint;  // Port 0: a free one.
  ListenTls tls = ListenTls::kStartTls;
  bool inbound = false;    // For outside senders: no AUTH, recipients of the inbound domains alone.
  bool proxy = false;      // Each connection begins with a PROXY header, version 1 or 2; it must come from a trusted range.
};

struct ListenRate {
  std::uint64_t count = 0;  // 0: no limit.
  Duration per = std::chrono::minutes(1);
};

// A client is an IPv4 address or an IPv6 /64: whoever has one IPv6 address has as many as that.
struct ListenLimits {
  int connections_max = 10'000;           // Beyond it: 421 at once. Each takes a descriptor and some 10 KB, 50 with TLS, and up
                                          // to 128 KB of what it pipelined while an answer is owed.
  int connections_per_client_max = 200;   // At once; trusted ranges are exempt, the clients behind them are not.
  ListenRate connections_per_client{.count = 3'000};  // New ones. Beyond: 421.
  ListenRate messages_per_client{};       // Beyond: 450 4.7.1 to MAIL.
  ListenRate auth_failures_per_client{.count = 30, .per = std::chrono::minutes(10)};  // Beyond: 454 without a look.
  int auth_failures_max = 3;              // On one connection; then 421.
  int auth_checks_max = 100;              // Being judged by the handler at once, of all connections; then 454. A hash made to be slow
                                          // takes milliseconds of a core: so long a queue of them is some tenths of a
                                          // second.
  Duration auth_failure_delay = std::chrono::seconds(2);  // Before each 535: what guessing costs.
  std::size_t command_line_bytes_max = 2048;  // RFC 5321 4.5.3.1.4: 512 and what extensions add. At least 1100, for AUTH.
  std::size_t recipients_max = 1000;      // Beyond: 452 4.5.3. RFC 5321 4.5.3.1.8: 100 at least.
  std::uint64_t message_bytes_max = 25u << 20;     // As announced by SIZE.
  std::uint64_t held_bytes_max = 512u << 20;       // Of all messages coming in or with the handler, with their envelopes; then 452 4.3.1. The
                                                   // handler has one until it answers, also when its client is long
                                                   // gone.
  std::size_t errors_max = 20;            // Of one connection; then 421. On inbound endpoints refused addresses count too.
  Duration header_time = std::chrono::seconds(10);     // For a PROXY header.
  Duration handshake_time = std::chrono::seconds(30);  // For TLS.
  Duration idle_time = std::chrono::minutes(5);        // Without an octet (RFC 5321 4.5.3.2.7). Then 421.
  Duration command_time = std::chrono::minutes(5);     // For one command line, however it trickles in.
  Duration message_time = std::chrono::minutes(20);    // For one message, likewise: 25 MB at 20 KB/s.
  Duration answer_time = std::chrono::minutes(5);      // For the handler's; then 451, though it may have the message.
  Duration connection_time = std::chrono::hours(2);    // In all; then 421 between messages.
};

enum class BareLineEnds : std::uint8_t {
  kRefuse,     // A message with a CR or an LF alone is answered 550 5.6.11: no smuggling, here or behind.
  kNormalise,  // Each becomes CRLF, as in what the engine sends. For applications that know no better; their signatures break.
};

struct ListenFixUps {         // RFC 6409 8. For submissions; mail for inbound domains gets Received alone.
  bool add_received = true;   // RFC 5321 4.4; names the client's address, and the user's only by "with ESMTPSA".
  bool add_date = true;       // Where there is none.
  bool add_message_id = true; // Likewise.
};

struct ListenOptions {
  std::vector<ListenEndpoint> endpoints;  // At least one. Required.
  std::string host;                       // Our name, in the greeting and in Received. Required.
  std::string tls_certificate_pem{};      // With its chain. Both empty: self-signed, made at start.
  std::string tls_key_pem{};
  bool auth_in_clear = false;             // Offer AUTH without TLS: for loopback and tests.
  bool auth_required = true;              // On endpoints that are not inbound. False: anyone who can connect may submit.
  std::vector<std::string> trusted{};     // Ranges, "192.0.2.0/24", that may say XCLIENT and send PROXY headers.
  std::vector<std::string> inbound_domains{};
  BareLineEnds bare_line_ends = BareLineEnds::kRefuse;
  ListenFixUps fix_ups{};
  ListenLimits limits{};
  int threads = 1;
  std::shared_ptr<LogSink> log{};         // Null: silent. Never gets a password.
};

struct ListenCounts {
  std::uint64_t connections = 0;          // Served.
  std::uint64_t connections_refused = 0;  // For a limit, pressure or a bad PROXY header.
  std::uint64_t messages = 0;             // Answered 2yz.
  std::uint64_t messages_refused = 0;     // Complete ones answered otherwise.
  std::uint64_t bytes = 0;                // Of `messages`.
  std::uint64_t authenticated = 0;
  std::uint64_t auth_failures = 0;
  std::uint64_t tls_handshakes = 0;
  std::uint64_t timeouts = 0;
  std::uint64_t protocol_errors = 0;
  std::uint64_t open = 0;                 // Now.
};

// Which of a Listener's connections to follow; empty fields: any. All that are not must fit.
struct ListenTraceFilter {
  std::string client{};  // An address, or a range: "192.0.2.0/24".
  std::string user{};    // Who has logged in. From then on, with what was said before.
  std::string sender{};  // The domain of MAIL FROM. Its transactions alone, each connection's first with what was said before.
  // Connections that somebody wants more of are shown with more to all who follow them.
  TraceBodies bodies = TraceBodies::kHeaders;

  // "client=192.0.2.1,user=app": names client, user, sender. Empty: everything. Errors: kInvalidArgument.
  static Result<ListenTraceFilter> parse(std::string_view text);
};

// Threads: the methods from any thread. Ownership: destroying it closes every connection at once; what the handler was
// given and did not answer is unknown to its client. `handler` is kept until the last call into it has returned.
class Listener {
 public:
  // Errors: kIo naming the address that cannot be listened on; kInvalidArgument naming the option.
  static Result<std::unique_ptr<Listener>> start(ListenOptions options, std::shared_ptr<ListenHandler> handler);
  ~Listener();
  std::vector<net::Endpoint> endpoints() const;  // As bound, in the order of ListenOptions::endpoints.
  ListenCounts counts() const;
  // Ends it without cutting anybody off: no new connections from now on; whoever is between messages is told 421 4.3.2,
  // at once, all others finish their message, get its reply and are told then. True: all connections are gone. False:
  // some were left after `limit`; call it again, or let the destructor close them. Waits; not on a thread of the
  // listener or from a handler's call.
  bool drain(std::chrono::milliseconds limit);
  // Follows connections from now on, open ones from their next command between messages. Passwords are masked, messages
  // shortened. Costs a look at an atomic number for each read when nobody does it, or no connection's client fits; else
  // some 0.4 microseconds a line on the listener's threads (docs/trace.md). Errors: kInvalidArgument: `client` is no
  // address and no range.
  Result<std::unique_ptr<Tracing>> trace(ListenTraceFilter filter);

 private:
  struct State;
  explicit Listener(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace mailsbuddy::smtp
