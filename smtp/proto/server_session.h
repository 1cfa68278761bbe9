// server_session.h - the receiver's side of one SMTP connection, without I/O: bytes in, bytes out, events pulled.
// RFC 5321 with 1870 (SIZE), 2034 (ENHANCEDSTATUSCODES), 2920 (PIPELINING), 3030 (CHUNKING), 3207 (STARTTLS),
// 6152 (8BITMIME), 6531 (SMTPUTF8).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "smtp/proto/command_parser.h"
#include "smtp/proto/dot_reader.h"

namespace mailsbuddy::smtp {

inline constexpr std::size_t kCommandLineMax =
    2048;  // RFC 5321 4.5.3.1.4 says 512, and more for extensions' parameters.
inline constexpr std::size_t kErrorsMax =
    50;  // Refused commands on one connection; then 421. A confused peer, not mail.

struct ServerOptions {
  std::string host;        // The name in the greeting and the reply to EHLO. Required.
  bool start_tls = false;  // Offer it.
  bool pipelining = true;
  bool chunking = false;
  bool smtputf8 = true;
  std::uint64_t size_max = 0;         // Of a message; 0: no limit.
  std::size_t recipients_max = 1000;  // Of a message. RFC 5321 4.5.3.1.8 asks for 100 at least.
};

struct ServerEvent {
  enum class Kind : std::uint8_t {
    kMail,     // MAIL FROM `text` (empty: the null path): answer().
    kRcpt,     // RCPT TO `text`: answer().
    kContent,  // `text` is the next piece of the message, dots unstuffed.
    kMessage,  // The message is complete: answer().
    kReset,  // The transaction ended without kMessage: what was collected of it is void. (kStartTls, kClose: likewise.)
    kStartTls,  // Send output(), then do the handshake, then call tls_started().
    kClose,     // Send output(), then close. Nothing follows.
  };
  Kind kind = Kind::kClose;
  std::string_view text{};
};

// Use: after feed(), answer(), greet(), refuse(): poll() until empty, then send output(). The replies to all commands
// of one feed() are in one output() (RFC 2920 3.2). The caller stops feeding while output() is not sent or an answer()
// is owed: that is what bounds the memory. Threads: one owner. Ownership: `options` outlives it. Invariants: after
// kMail, kRcpt and kMessage nothing is read until answer(). A message is handed on in kContent only between DATA or
// BDAT with at least one accepted recipient and kMessage or kReset. Nothing is allocated per command once its buffers
// have grown.
class ServerSession {
 public:
  explicit ServerSession(const ServerOptions& options) : options_(&options) {}

  void greet();                         // The connection is up: 220.
  void refuse(std::string_view reply);  // Say this and close: kClose follows. At any time.
  // Takes what the client sent. `bytes` must live until poll() is empty; what an owed answer() keeps from being read
  // then is copied.
  void feed(std::string_view bytes);
  std::optional<ServerEvent> poll();  // `text` is valid until the next non-const call.
  // One reply without CRLF, as "250 2.1.5 Ok". 2yz: accepted; 421: the session closes; all else: refused.
  void answer(std::string_view reply);
  bool answer_owed() const noexcept { return asked_ != Asked::kNothing; }
  void tls_started() noexcept;  // Starts anew: RFC 3207 4.2.

  std::string_view output() const noexcept { return output_; }  // Valid until the next non-const call.
  void consume(std::size_t count) { output_.erase(0, count); }

  bool tls() const noexcept { return tls_; }
  std::size_t recipients() const noexcept { return recipients_; }          // Accepted ones of the transaction.
  std::uint64_t message_bytes() const noexcept { return message_bytes_; }  // Of its content so far, dots unstuffed.
  std::uint64_t protocol_errors() const noexcept { return errors_; }       // Bad syntax and bad sequence, so far.

 private:
  enum class Reading : std::uint8_t { kCommands, kData, kChunk, kNothing };
  enum class Asked : std::uint8_t { kNothing, kMail, kRcpt, kMessage };
  using Event = std::optional<ServerEvent>;

  Event step();
  Event read_line();
  Event read_data();
  Event read_chunk();
  Event run(const Command& command);
  Event hello(std::string_view argument, bool extended);
  Event mail(std::string_view argument);
  Event rcpt(std::string_view argument);
  Event data(std::string_view argument);
  Event bdat(std::string_view argument);
  Event rset(std::string_view argument);
  Event quit(std::string_view argument);
  Event start_tls(std::string_view argument);
  Event content(std::string_view piece);
  Event end_of_chunk();
  Event end_of_message();
  Event ask(Asked what, std::string_view text);
  Event end_transaction();  // kReset if there was one.
  Event say(std::string_view reply);
  Event error(std::string_view reply);  // Counts as a protocol error.
  Event refuse_rcpt(std::string_view reply);
  void close(std::string_view reply);
  void announce();
  bool oversized() const noexcept { return options_->size_max != 0 && message_bytes_ > options_->size_max; }

  const ServerOptions* options_;
  std::string_view input_;  // Not read yet: in the bytes of feed(), or in kept_.
  std::string kept_;        // Input that had to wait for an answer.
  std::string line_;        // The beginning of a command line whose end has not come yet.
  std::string current_;     // The command line that was completed from line_: event texts point into it.
  std::string output_;
  DotReader dots_;
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
  bool tls_ = false;
  bool in_mail_ = false;       // A transaction is open.
  bool smtputf8_ = false;      // Of the transaction.
  bool rcpt_refused_ = false;  // Likewise: at least one.
  bool chunked_ = false;       // Likewise: BDAT was used.
  bool chunk_last_ = false;
  bool chunk_void_ = false;  // The chunk is read and thrown away.
};

}  // namespace mailsbuddy::smtp
