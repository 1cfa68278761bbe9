// server_session.h - the receiver's side of one SMTP connection, without I/O: bytes in, bytes out, events pulled.
// RFC 5321 with 1870 (SIZE), 2034 (ENHANCEDSTATUSCODES), 2920 (PIPELINING), 3030 (CHUNKING), 3207 (STARTTLS),
// 3461 (DSN), 4954 (AUTH), 6152 (8BITMIME), 6531 (SMTPUTF8), and XCLIENT.
// Its parts: server_session.cc reads lines and content, server_access.cc answers EHLO, STARTTLS, AUTH and XCLIENT,
// server_transaction.cc the commands of a transaction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "smtp/proto/auth_exchange.h"
#include "smtp/proto/command_parser.h"
#include "smtp/proto/dot_reader.h"
#include "smtp/proto/envelope_parameters.h"
#include "smtp/proto/line_ends.h"
#include "smtp/proto/xclient.h"

namespace mailsbuddy::smtp {

inline constexpr std::size_t kCommandLineMax =
    2048;  // RFC 5321 4.5.3.1.4 says 512, and more for extensions' parameters.
inline constexpr std::size_t kErrorsMax =
    50;  // Refused commands on one connection; then 421. A confused peer, not mail.

enum class AuthOffer : std::uint8_t { kNever, kUnderTls, kAlways };  // kAlways: passwords in clear are taken too.

struct ServerOptions {
  std::string host;        // The name in the greeting and the reply to EHLO. Required.
  bool start_tls = false;  // Offer it.
  bool pipelining = true;
  bool chunking = false;
  bool smtputf8 = true;
  bool dsn = false;
  AuthOffer auth = AuthOffer::kNever;
  bool auth_required = false;         // For a transaction, or anything else that tells of mailboxes (RFC 6409 4.3).
  bool tls_required = false;          // For all but EHLO, NOOP, STARTTLS and QUIT (RFC 3207 4).
  bool refusals_are_errors = false;   // Answers that refuse MAIL or RCPT count: who guesses addresses is stopped.
  bool bare_line_ends = true;         // False: a message with a CR or an LF that stands alone is refused.
  std::uint64_t size_max = 0;         // Of a message; 0: no limit.
  std::size_t recipients_max = 1000;  // Of a message. RFC 5321 4.5.3.1.8 asks for 100 at least.
  std::size_t command_line_max = kCommandLineMax;
  std::size_t errors_max = kErrorsMax;
};

struct ServerEvent {
  enum class Kind : std::uint8_t {
    kMail,     // MAIL FROM `text` (empty: the null path), mail_parameters(): answer().
    kRcpt,     // RCPT TO `text`, rcpt_parameters(): answer().
    kContent,  // `text` is the next piece of the message, dots unstuffed.
    kMessage,  // The message is complete: answer().
    kReset,  // The transaction ended without kMessage: what was collected of it is void. (kStartTls, kClose: likewise.)
    kAuth,   // credentials() are to be judged: answer(). What is not 2yz leaves the client as it was.
    kXclient,   // xclient() from a trusted peer: answer(). 2yz, the greeting: all starts anew, but for TLS.
    kStartTls,  // Send output(), then do the handshake, then call tls_started().
    kClose,     // Send output(), then close. Nothing follows.
  };
  Kind kind = Kind::kClose;
  std::string_view text{};
};

// Is shown what is read, as it is read: each command before what is said to it. For transcripts.
class ServerTap {
 public:
  virtual void on_heard(std::string_view bytes) = 0;  // Must not call the session but for its output().

 protected:
  ~ServerTap() = default;
};

// Use: after feed(), answer(), greet(), refuse(): poll() until empty, then send output(). The replies to all commands
// of one feed() are in one output() (RFC 2920 3.2). The caller stops feeding while output() is not sent or an answer()
// is owed: that is what bounds the memory. Threads: one owner. Ownership: `options` outlives it. Invariants: after
// kMail, kRcpt, kMessage, kAuth and kXclient nothing is read until answer(). A message is handed on in kContent only
// between DATA or BDAT with at least one accepted recipient and kMessage or kReset. Nothing is allocated per command
// once its buffers have grown.
class ServerSession {
 public:
  explicit ServerSession(const ServerOptions& options) : options_(&options) {}

  void greet();                                               // The connection is up: 220.
  void refuse(std::string_view reply);                        // Say this and close: kClose follows. At any time.
  void tap(ServerTap* tap) noexcept { tap_ = tap; }           // Null: nobody. While at_command().
  void trust_xclient() noexcept { xclient_trusted_ = true; }  // Before greet().
  // Takes what the client sent. `bytes` must live until poll() is empty; what an owed answer() keeps from being read
  // then is copied.
  void feed(std::string_view bytes);
  std::optional<ServerEvent> poll();  // `text` is valid until the next non-const call.
  // One reply without CRLF, as "250 2.1.5 Ok". 2yz: accepted; 421: the session closes; all else: refused.
  void answer(std::string_view reply);
  bool answer_owed() const noexcept { return asked_ != Asked::kNothing; }
  void tls_started() noexcept;  // Starts anew: RFC 3207 4.2.

  std::string_view output() const noexcept { return output_; }  // Valid until the next non-const call.
  void consume(std::size_t count);

  bool tls() const noexcept { return tls_; }
  bool authenticated() const noexcept { return authenticated_; }
  bool extended() const noexcept { return extended_; }                    // EHLO, not HELO.
  const std::string& hello_name() const noexcept { return hello_name_; }  // Its argument; empty: none yet.
  bool in_transaction() const noexcept { return in_mail_; }
  bool in_content() const noexcept { return reading_ == Reading::kData || reading_ == Reading::kChunk; }
  bool message_begun() const noexcept { return in_content() || chunked_; }         // And not ended.
  bool at_command() const noexcept { return reading_ == Reading::kCommands && !line_pending() && input_.empty(); }
  bool line_pending() const noexcept { return !line_.empty() || line_too_long_; }  // A line has come in part.
  // Of the event in hand, until its answer().
  const MailParameters& mail_parameters() const noexcept { return mail_parameters_; }
  const RcptParameters& rcpt_parameters() const noexcept { return rcpt_parameters_; }
  const AuthExchange& credentials() const noexcept { return auth_; }
  const Xclient& xclient() const noexcept { return xclient_; }
  std::size_t recipients() const noexcept { return recipients_; }          // Accepted ones of the transaction.
  std::uint64_t message_bytes() const noexcept { return message_bytes_; }  // Of its content so far, dots unstuffed.
  std::uint64_t protocol_errors() const noexcept { return errors_; }       // Bad syntax and bad sequence, so far.

 private:
  enum class Reading : std::uint8_t {
    kCommands,
    kResponse,
    kData,
    kChunk,
    kNothing
  };  // kResponse: to an AUTH challenge.
  enum class Asked : std::uint8_t { kNothing, kMail, kRcpt, kMessage, kAuth, kXclient };
  using Event = std::optional<ServerEvent>;

  bool in_kept(std::string_view view) const noexcept;
  Event step();
  Event read_line();
  Event read_data();
  Event read_chunk();
  Event run_line(std::string_view line);
  Event run(const Command& command);
  Event access(const Command& command);
  Event transaction(const Command& command);
  Event foreign(std::string_view line);
  Event hello(std::string_view argument, bool extended);
  Event mail(std::string_view argument);
  Event rcpt(std::string_view argument);
  Event data(std::string_view argument);
  Event bdat(std::string_view argument);
  Event rset(std::string_view argument);
  Event quit(std::string_view argument);
  Event start_tls(std::string_view argument);
  Event auth(std::string_view argument);
  Event auth_response(std::string_view line);
  Event auth_step(AuthExchange::Step step);
  Event client_behind(std::string_view argument);
  std::string_view must_come_first(Verb verb) const noexcept;
  Event content(std::string_view piece);
  Event end_of_chunk();
  Event end_of_message();
  Event ask(Asked what, std::string_view text);
  Event end_transaction();  // kReset if there was one.
  Event say(std::string_view reply);
  Event error(std::string_view reply);  // Counts as a protocol error.
  Event refuse_rcpt(std::string_view reply);
  void close(std::string_view reply);
  void forget_peer() noexcept;  // What the client has said so far, of itself too.
  void announce();
  bool auth_open() const noexcept {
    return options_->auth == AuthOffer::kAlways || (options_->auth == AuthOffer::kUnderTls && tls_);
  }
  bool oversized() const noexcept { return options_->size_max != 0 && message_bytes_ > options_->size_max; }

  void heard(std::string_view bytes) const {
    if (tap_ != nullptr) tap_->on_heard(bytes);
  }

  const ServerOptions* options_;
  ServerTap* tap_ = nullptr;
  std::string_view input_;  // Not read yet: in the bytes of feed(), or in kept_.
  std::string kept_;        // Input that had to wait for an answer.
  std::string line_;        // The beginning of a command line whose end has not come yet.
  std::string current_;     // The command line that was completed from line_: event texts point into it.
  std::string output_;
  std::string hello_name_;
  DotReader dots_;
  LineEnds line_ends_;
  AuthExchange auth_;
  Xclient xclient_;
  MailParameters mail_parameters_;
  RcptParameters rcpt_parameters_;
  std::uint64_t message_bytes_ = 0;
  std::uint64_t chunk_left_ = 0;
  std::uint64_t errors_ = 0;
  std::size_t recipients_ = 0;
  Reading reading_ = Reading::kCommands;
  Asked asked_ = Asked::kNothing;
  bool closing_ = false;  // kClose is due.
  bool closed_ = false;   // kClose is due or was given.
  bool line_too_long_ = false;
  bool greeted_ = false;  // EHLO or HELO was taken.
  bool extended_ = false;
  bool authenticated_ = false;
  bool xclient_trusted_ = false;
  bool tls_ = false;
  bool in_mail_ = false;       // A transaction is open.
  bool rcpt_refused_ = false;  // Of the transaction: at least one.
  bool chunked_ = false;       // Likewise: BDAT was used.
  bool chunk_last_ = false;
  bool chunk_void_ = false;  // The chunk is read and thrown away.
};

}  // namespace mailsbuddy::smtp
