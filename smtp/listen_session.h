// listen_session.h - what a listener does with one connection, without I/O: a ServerSession with an envelope, an
// identity, limits and times around it. Octets and times in, octets out.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "smtp/listen_shared.h"
#include "smtp/listen_trace.h"
#include "smtp/proto/server_session.h"

namespace mailsbuddy::smtp {

inline constexpr std::string_view kShuttingDown = "421 4.3.2 Shutting down, try again later";

// Use: begin() once; then after each call: say output(), then look at take_tls() and over(), and be called again at
// deadline(). Feed nothing while waiting(): that is the back-pressure, and what bounds the memory.
// Threads: its loop's. Ownership: `shared`, `random` and `home`'s loop outlive it; answers that come when it is gone
// are dropped. Invariants: each message has exactly one reply; 250 only after the handler's.
class ListenSession final : private ServerTap {
 public:
  struct Connection {
    std::size_t endpoint = 0;  // Index into ListenOptions::endpoints.
    net::Endpoint peer;
    std::shared_ptr<ListenHome> home;
    std::function<void()> progress;  // An answer has come: there is output.
    std::function<TimePoint()> now;  // When it came.
  };

  ListenSession(ListenShared& shared, Connection connection, Random& random);
  ~ListenSession();
  ListenSession(const ListenSession&) = delete;
  ListenSession& operator=(const ListenSession&) = delete;

  void begin(TimePoint now);
  void feed(std::string_view bytes, TimePoint now);
  void tls_started(TimePoint now, std::string_view words = {});  // What was agreed, for a trace().
  void tls_failed();
  void drain(TimePoint now);       // ListenShared::draining is set since the last call.
  void on_timeout(TimePoint now);  // Call when now >= deadline(); too early: nothing happens.

  std::string_view output() const noexcept { return session_.output(); }  // Valid until the next non-const call.
  void consume(std::size_t count);
  // TLS begins now, behind output(): with these octets, which came already. Empty: it does not. Asked once.
  std::optional<std::string> take_tls();
  bool over() const noexcept { return phase_ == Phase::kOver; }  // Send output(), then close.
  bool waiting() const noexcept { return session_.answer_owed(); }
  TimePoint deadline() const noexcept;

  const net::IpAddress& client() const noexcept { return client_; }
  bool traced() const noexcept { return trace_ != nullptr; }

 private:
  enum class Phase : std::uint8_t { kHeader, kHandshake, kSession, kOver };
  using Verdict = ClientTable::Verdict;

  const ListenEndpoint& endpoint() const noexcept { return shared_.options.endpoints[connection_.endpoint]; }
  const ListenLimits& limits() const noexcept { return shared_.options.limits; }

  void take_header(std::string_view bytes);
  void known(const net::Endpoint& client);  // Who the client is: greet or begin TLS.
  void admit();
  void end_silently() noexcept;
  void run();
  void poll_all();
  bool between_messages() const noexcept;
  void on_event(const ServerEvent& event);
  void on_mail(std::string_view mail_from);
  void on_rcpt(std::string_view recipient);
  void on_content(std::string_view piece);
  void on_message();
  void on_auth();
  void on_xclient();

  std::string refuse_mail(std::string_view mail_from);  // The refusal; empty: it may go on.
  // Puts it into the envelope if the handler's reply is 2yz. Returns what the client is told.
  std::string take_recipient(Address address, const Reply& reply);
  std::string refuse_message();
  Submission make_submission();
  bool hold(std::uint64_t bytes) noexcept;  // False: there is no room for them.
  void drop_message() noexcept;

  ListenHandler::Answered message_answer();
  ListenHandler::Answered recipient_answer();
  ListenHandler::Authenticated auth_answer();
  void message_answered(std::uint64_t question, const Reply& reply);
  void recipient_answered(std::uint64_t question, const Reply& reply);
  struct AuthResult;
  void authenticated(std::uint64_t question, AuthResult result);
  void answer_delayed();
  void answer(std::string_view reply);
  void log(LogLevel level, std::string_view line) const;

  void look_who_follows();  // Between messages.
  void on_heard(std::string_view bytes) override;
  void show_said();
  void step(std::string_view text);

  ListenShared& shared_;
  Connection connection_;
  Random& random_;
  ServerSession session_;
  std::shared_ptr<ListenSession*> self_;  // Dies with us: what answers look at.

  Phase phase_ = Phase::kHeader;
  net::IpAddress client_;
  bool admitted_ = false;  // Counted in the table, for client_.
  bool exempt_ = false;    // Likewise, but for the number in all alone.
  bool tls_wanted_ = false;
  std::string early_;  // What has come of a PROXY header; then, of the handshake behind it.

  std::unique_ptr<ListenTrace> trace_;  // Null: nobody follows.
  std::uint64_t followers_seen_ = 0;    // Their version.
  std::size_t shown_ = 0;               // Octets of output() that it has been given.

  Identity identity_;
  std::string xclient_hello_;
  Submission message_;
  std::optional<Address> sought_;    // The recipient that find_recipient() was asked about.
  std::uint64_t held_ = 0;           // Octets taken of ListenShared::held.
  std::uint64_t message_bytes_ = 0;  // Of the message that the handler has.
  bool no_room_ = false;             // Some of the message was thrown away for want of it.
  int auth_failures_ = 0;

  std::uint64_t question_ = 0;  // The last one put to the handler.
  std::string delayed_reply_;   // Not empty: to be given at reply_at_.
  TimePoint now_{};             // Of the call in hand.
  TimePoint begun_{};
  TimePoint last_input_{};
  TimePoint asked_at_{};
  TimePoint reply_at_{};
  std::optional<TimePoint> line_begun_;  // A command line is there in part since then.
  std::optional<TimePoint> content_begun_;
  std::uint64_t errors_counted_ = 0;
};

}  // namespace mailsbuddy::smtp
