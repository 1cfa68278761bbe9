// client_session.h - the inside of ClientSession. client_session.cc has the session from greeting to close,
// client_transaction.cc one message's way through it.
//
// How it works: commands are appended to one buffer, each leaving an Awaited in a queue; a reply is the answer to the
// front of that queue. Pipelining is then nothing but more than one command in the queue. Invariant: while replies are
// awaited, step_ is the front's step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mailsbuddy/smtp.h"
#include "smtp/proto/reply_parser.h"
#include "smtp/proto/stages.h"

namespace mailsbuddy::smtp {

// A queue that keeps its memory: nothing is allocated per message once it has grown.
template <class T>
class Fifo {
 public:
  bool empty() const noexcept { return head_ == items_.size(); }
  void push(T item) { items_.push_back(std::move(item)); }
  const T& front() const noexcept { return items_[head_]; }
  T pop() {
    T item = std::move(items_[head_++]);
    if (empty()) clear();
    return item;
  }
  void clear() noexcept {
    items_.clear();
    head_ = 0;
  }

 private:
  std::vector<T> items_;
  std::size_t head_ = 0;
};

struct ClientSession::State {
  explicit State(SessionOptions options) : options_(std::move(options)) {}

  // The door's functions.
  void connected(TimePoint now);
  void feed(std::string_view bytes, TimePoint now);
  std::string_view output() const noexcept;
  void consume(std::size_t count, TimePoint now);
  std::optional<SessionEvent> poll();
  void begin(const Transaction& transaction, TimePoint now);
  void quit(TimePoint now);
  void tls_started(TimePoint now);
  void on_timeout(TimePoint now);
  void fail(Cause cause, std::string_view detail, const Reply& last_words = {});

  SessionOptions options_;
  Capabilities capabilities_;
  TimePoint deadline_ = TimePoint::max();
  bool tls_ = false;

 private:
  struct Awaited {
    Step step;
    std::size_t recipient;  // Of a kRcptTo.
    std::uint64_t end;  // Where its command ends, in octets of commands since the beginning. An answer before is early.
  };
  enum class Mark : std::uint8_t { kPending, kAccepted, kSettled };
  // What poll() gives after the transaction's events. Being in one of these states is one thing at a time: a close
  // before kReady was seen replaces it.
  enum class Notice : std::uint8_t { kNone, kStartTls, kReady, kClosed };

  // client_session.cc
  void put(std::initializer_list<std::string_view> line, Step step, std::size_t recipient = 0);
  void enter(Step step, TimePoint now);
  void ready(TimePoint now);
  void close(Outcome reason);
  void on_reply(const Reply& reply, TimePoint now);
  void on_unexpected(const Reply& reply);
  void dispatch(const Awaited& awaited, const Reply& reply, TimePoint now);
  void on_greeting(const Reply& reply);
  void on_ehlo(const Reply& reply, TimePoint now);
  void on_helo(const Reply& reply, TimePoint now);
  void on_start_tls(const Reply& reply, TimePoint now);
  void after_ehlo(TimePoint now);
  void refuse(const Reply& reply);
  bool pipelines() const noexcept { return options_.pipelining && capabilities_.pipelining; }

  // client_transaction.cc
  std::optional<Outcome> fault_of(const Transaction& transaction) const;
  void put_mail_from();
  bool put_next_rcpt_to();
  void on_rset(const Reply& reply, TimePoint now);
  void on_mail_from(const Reply& reply, TimePoint now);
  void on_rcpt_to(std::size_t recipient, const Reply& reply, TimePoint now);
  void on_data(const Reply& reply, TimePoint now);
  void on_final_dot(const Reply& reply, TimePoint now);
  void after_rcpt_to(TimePoint now);
  void settle(std::size_t recipient, const Outcome& outcome);
  void settle_all(const Outcome& outcome);
  void finish(TimePoint now);

  Step step_ = Step::kConnecting;
  ReplyParser parser_;
  Fifo<Awaited> awaited_;
  std::string out_;  // Commands from out_at_ on are still to be sent.
  std::size_t out_at_ = 0;
  std::uint64_t sent_ = 0;  // Octets of commands sent since the beginning.
  Fifo<SessionEvent> events_;
  Notice notice_ = Notice::kNone;
  Outcome closed_;  // Why, in kClosed.

  // The transaction, while in_transaction_.
  bool in_transaction_ = false;
  Transaction transaction_;
  bool smtputf8_ = false;       // It needs SMTPUTF8.
  std::vector<Mark> marks_;     // One a recipient.
  std::size_t accepted_ = 0;    // Marks that are kAccepted.
  std::size_t next_rcpt_ = 0;   // The next recipient to name.
  std::size_t message_at_ = 0;  // Octets of the message sent.

  bool needs_rset_ = false;  // The server holds a mail transaction that was not ended by its data.
};

}  // namespace mailsbuddy::smtp
