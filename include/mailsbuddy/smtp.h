// smtp.h - SMTP on the wire: the client session without I/O, connections, pools, routes, a receiver for tests, and the
// submission listener.
// RFC 5321, with 1870 (SIZE), 2033 (LMTP), 2034 (ENHANCEDSTATUSCODES), 2920 (PIPELINING), 3030 (CHUNKING), 3207 (STARTTLS),
// 3461 (DSN), 4954 (AUTH), 6152 (8BITMIME), 6531 (SMTPUTF8), 8314 (implicit TLS), 8689 (REQUIRETLS), 9422 (LIMITS).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
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

// Who we are for a server that wants to know (RFC 4954). None of it ever stands in an Outcome.
// What the server offers decides: XOAUTH2 where there is a token; else PLAIN (RFC 4616), which is one round trip, or LOGIN.
// Without a mechanism in common the session ends with kAuthUnavailable at stage kAuth; nothing is sent unauthenticated.
struct Login {
  std::string user{};      // Empty: no AUTH.
  std::string password{};  // For PLAIN and LOGIN. Empty: neither.
  std::string token{};     // OAuth 2.0 bearer token, for XOAUTH2. Empty: not that.
  bool in_clear = false;   // Also without TLS: who listens has the password then. For loopback and tests.
};

// Of a transaction without more: RFC 5321 4.5.3.1.8 has every server take as many.
inline constexpr std::size_t kRecipientsMax = 100;

struct SessionOptions {
  std::string ehlo_name;  // RFC 5321 4.1.1.1: a domain or an address literal. Required.
  TlsPolicy tls = TlsPolicy::kOpportunistic;
  Timeouts timeouts{};
  bool pipelining = true;  // Use PIPELINING when offered.
  // Messages under way at once where PIPELINING is offered. From 2 on the next one's envelope goes out in the same group
  // as the end of data (RFC 2920 3.1): one round trip a message instead of two. From 3 on, where CHUNKING is offered too,
  // messages go by BDAT (RFC 3030) together with their envelopes, this many at a time. 1: one after the other.
  int messages_in_flight = 2;
  // The stream is TLS before the greeting (RFC 8314 3.3): connected() comes after the handshake, and `tls` plays no part.
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

// What a recipient's server is asked to report, where it offers DSN. Elsewhere it is not said, and the recipient gets the mail
// all the same (RFC 3461 5.2.2 would have the sender report "relayed" for NOTIFY=SUCCESS then: an event says so here).
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
    kSending,          // The server awaits the message (354), and room() holds: the next transaction may be begun now, and
                       // its envelope goes out behind the message. Without that, nothing changes.
    kRoom,             // By BDAT: others are under way, and room() holds again.
    kClosed,           // The session is over: `outcome` says why. Close the connection. Nothing follows.
  };
  Kind kind = Kind::kClosed;
  std::size_t recipient = 0;
  Outcome outcome;
};

// The client's side of one connection. Sans-I/O: it sees bytes and times alone.
// Threads: one owner. Invariants: every recipient of a begun transaction gets exactly one kRecipient, also when the
// connection breaks, times out or talks nonsense; a recipient whose end of data was sent and not answered gets
// Outcome::unknown(). Transactions end in the order in which they were begun, and all events of one come before those of
// the next; when the session ends, one of which nothing but the envelope was sent gets an outcome of stage kMailFrom.
// Recipients that are more than the transaction may have, by our options, by LIMITS or because the server said 452 4.5.3
// after others (RFC 5321 4.5.3.1.10), get kTransactionFull: they were not tried, and go at once in another transaction. Where
// they are sent again, they come first, so that a server that means something else says so to them.
// After 421 the session closes; where the server's MAILMAX is reached (RFC 9422), it says QUIT by itself. Use: after every feed(), consume(), begin(), tls_started(), on_timeout(),
// on_disconnect(): poll() until empty, then send output().
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
// Routes

struct RouteHost {
  std::uint16_t preference = 0;
  std::string host;
  auto operator<=>(const RouteHost&) const = default;
};

// Where a domain's mail goes.
struct Route {
  std::string site;               // Injective key of the host list: equal exactly when the lists are equal.
  ProviderId provider;            // Of the most preferred host.
  std::vector<RouteHost> hosts;   // By preference, then name. An address literal is one host in brackets.
};

struct RouteAnswer {
  std::optional<Route> route;
  Outcome failure;  // Without a route: stage kRoute; kNoSuchDomain and kNullMx are final, kDnsFailure is not.
};

// Finds routes: MX (RFC 5321 5.1), implicit MX, null MX (RFC 7505), address literals. Caching is the resolver's.
// Threads: the resolver's loop.
class Router {
 public:
  using Found = UniqueFunction<void(const RouteAnswer&)>;

  explicit Router(net::Resolver& resolver);
  // `found` is called exactly once and never from inside route(), unless the resolver goes first: then never.
  void route(std::string_view domain, Found found);

 private:
  net::Resolver& resolver_;
};

// ---------------------------------------------------------------------------------------------------------------------
// Pool: the connections of one lane

struct PoolOptions {
  net::IpAddress local;                // Egress IP; unspecified: the system chooses.
  SessionOptions session;
  std::uint16_t port = 25;
  int connections_max = 10;            // Open or opening at once. May be changed with set_connections_max().
  int messages_per_connection = 100;   // Then QUIT and a new one.
  Duration idle_timeout = std::chrono::seconds(5);  // A connection without work is quit after this.
  int addresses_per_open_max = 5;      // RFC 5321 5.1: "at least two addresses"; a cap on one opening's tries.
};

class Pool;

// What carried a message: for events and logs. Views: until the handler call returns.
struct ConnectionInfo {
  std::string_view mx_host;
  net::Endpoint remote;
  bool tls = false;
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
  // A connection ended that had been ready. Its recipients have had their outcomes.
  virtual void on_closed(Pool& pool, ConnectionId connection, const Outcome& reason) = 0;
  // An open() failed on every host that could be tried; the outcome is that of the last host that answered.
  virtual void on_open_failed(Pool& pool, ConnectionId connection, const Outcome& reason) = 0;
};

// The connections from one egress IP to one site. Opening walks the hosts by preference, at random among equals (RFC 5321
// 5.1), resolving addresses as it goes; a host that refuses, is silent or answers 4yz/5yz before EHLO is done makes it try
// the next. After a failed opportunistic handshake the same address is tried once in clear.
// Threads: its loop's. Ownership: destroying it closes every connection at once, without handler calls; allowed from
// inside a handler call.
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
  void drop(ConnectionId connection);        // Closes it at once; no handler call follows for it.
  ConnectionInfo info(ConnectionId connection) const;
  int open_connections() const noexcept;     // Ready, busy or opening.
  int busy_connections() const noexcept;     // With a transaction.
  void set_connections_max(int count) noexcept;
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

// What a listener asks. Threads: called on the listener's threads, on several at once; must return soon, the work can be
// done elsewhere. The answers are given by `done`, once, on any thread, from inside the call or later, also after the client
// is gone or the listener is destroyed: then nothing happens. A `done` destroyed without a call answers 451 (AUTH: 454).
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
  // At each RCPT, before the message: a reply that is not 2yz refuses the recipient. On the spot.
  virtual Reply on_recipient(const Identity&, const Address&, bool inbound) {
    static_cast<void>(inbound);
    return {.code = 250, .enhanced = EnhancedCode{2, 1, 5}, .text = "Ok"};
  }
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
  Duration auth_failure_delay = std::chrono::seconds(2);  // Before each 535: what guessing costs.
  std::size_t command_line_bytes_max = 2048;  // RFC 5321 4.5.3.1.4: 512 and what extensions add. At least 1100, for AUTH.
  std::size_t recipients_max = 1000;      // Beyond: 452 4.5.3. RFC 5321 4.5.3.1.8: 100 at least.
  std::uint64_t message_bytes_max = 25u << 20;     // As announced by SIZE.
  std::uint64_t held_bytes_max = 512u << 20;       // Of all messages coming in or waiting for the handler, with their envelopes; then 452 4.3.1.
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

// Threads: the methods from any thread. Ownership: destroying it closes every connection at once; what the handler was
// given and did not answer is unknown to its client. `handler` is kept until the last call into it has returned.
class Listener {
 public:
  // Errors: kIo naming the address that cannot be listened on; kInvalidArgument naming the option.
  static Result<std::unique_ptr<Listener>> start(ListenOptions options, std::shared_ptr<ListenHandler> handler);
  ~Listener();
  std::vector<net::Endpoint> endpoints() const;  // As bound, in the order of ListenOptions::endpoints.
  ListenCounts counts() const;

 private:
  struct State;
  explicit Listener(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace mailsbuddy::smtp
