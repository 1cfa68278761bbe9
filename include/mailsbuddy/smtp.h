// smtp.h - SMTP on the wire: the client session without I/O, connections, pools, routes, and a receiver for tests.
// RFC 5321, with 1870 (SIZE), 2034 (ENHANCEDSTATUSCODES), 2920 (PIPELINING), 3207 (STARTTLS), 6152 (8BITMIME),
// 6531 (SMTPUTF8).
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
  Duration mail_from = std::chrono::minutes(5);
  Duration rcpt_to = std::chrono::minutes(5);
  Duration data = std::chrono::minutes(2);         // For the 354.
  Duration data_block = std::chrono::minutes(3);   // For each progress in sending the message.
  Duration final_dot = std::chrono::minutes(10);
  Duration quit = std::chrono::seconds(5);
};

struct SessionOptions {
  std::string ehlo_name;  // RFC 5321 4.1.1.1: a domain or an address literal. Required.
  TlsPolicy tls = TlsPolicy::kOpportunistic;
  Timeouts timeouts{};
  bool pipelining = true;  // Use PIPELINING when offered.
  // Messages under way at once where PIPELINING is offered. From 2 on the next one's envelope goes out in the same group
  // as the end of data (RFC 2920 3.1): one round trip a message instead of two. From 3 on, where CHUNKING is offered too,
  // messages go by BDAT (RFC 3030) together with their envelopes, this many at a time. 1: one after the other.
  int messages_in_flight = 2;
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
};

// One message with its envelope, ready for the wire.
// Views: valid until the transaction's kTransactionDone, or the session's end.
struct Transaction {
  std::string_view mail_from;                // Empty: the null path "<>".
  std::span<const std::string_view> rcpt_to; // At least one.
  std::string_view data;                     // Dot-stuffed, ends in CRLF "." CRLF: what dot_stuff() gives.
  std::uint64_t message_bytes = 0;           // Before dot-stuffing, without the final dot: for SIZE.
  bool eight_bit = false;                    // Has octets above 127.
  bool smtputf8 = false;                     // An address or a header needs SMTPUTF8.
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
// After 421 the session closes. Use: after every feed(), consume(), begin(), tls_started(), on_timeout(),
// on_disconnect(): poll() until empty, then send output().
class ClientSession {
 public:
  explicit ClientSession(SessionOptions options);
  ~ClientSession();
  ClientSession(ClientSession&&) noexcept;
  ClientSession& operator=(ClientSession&&) noexcept;

  void connected(TimePoint now);                       // TCP is up: the greeting's time runs.
  void feed(std::string_view bytes, TimePoint now);    // What the server sent.
  std::string_view output() const;                     // What to send now; valid until the next non-const call.
  std::size_t outputs(std::span<std::string_view> pieces) const;  // output() and what follows it; how many there are.
  void consume(std::size_t count, TimePoint now);      // So many bytes of outputs() were sent.
  std::optional<SessionEvent> poll();

  bool room() const;                                          // One more may be begun while others are under way.
  void begin(const Transaction& transaction, TimePoint now);  // Only after kReady, or with room().
  void quit(TimePoint now);                                   // Only after kReady. kClosed follows.
  void tls_started(TimePoint now);
  void on_disconnect(Cause cause, std::string_view detail, TimePoint now);  // kConnectionLost, kTlsFailed, ...
  void on_timeout(TimePoint now);                      // Call when now >= deadline().
  TimePoint deadline() const;                          // TimePoint::max(): none.

  const Capabilities& capabilities() const noexcept;
  bool tls() const noexcept;

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

}  // namespace mailsbuddy::smtp
