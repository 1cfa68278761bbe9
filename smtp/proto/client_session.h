// client_session.h - the inside of ClientSession. client_session.cc has the door, octets, events and endings,
// client_replies.cc the way from the greeting to the first message, client_transaction.cc one message's way.
//
// How it works: what is to be sent is a queue of pieces, commands of ours and messages of the caller's. Whatever will
// be answered leaves an Awaited in another queue; a reply is the answer to the front of that. Pipelining is then
// nothing but more than one in the queue, and transactions that overlap are nothing but more than one's. Their replies
// come in order, so that all but the front transaction only wait. Invariant: while replies are awaited, step_ is the
// front's step.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mailsbuddy/smtp.h"
#include "smtp/proto/client_auth.h"
#include "smtp/proto/reply_parser.h"
#include "smtp/proto/stages.h"

namespace mailsbuddy::smtp {

// Of SessionOptions::messages_in_flight: what a lost connection leaves unknown at most.
inline constexpr int kInFlightMax = 100;

// A queue that keeps its memory: nothing is allocated per message once it has grown.
template <class T>
class Fifo {
 public:
  bool empty() const noexcept { return head_ == items_.size(); }
  std::size_t size() const noexcept { return items_.size() - head_; }
  void push(T item) { items_.push_back(std::move(item)); }
  void push_front(T item) {
    if (head_ > 0) {
      items_[--head_] = std::move(item);
    } else {
      items_.insert(items_.begin(), std::move(item));
    }
  }
  T& front() noexcept { return items_[head_]; }
  T& back() noexcept { return items_.back(); }
  const T& operator[](std::size_t i) const noexcept { return items_[head_ + i]; }
  T pop() {
    T item = std::move(items_[head_++]);
    if (empty()) {
      clear();
    } else if (head_ >= kSpareMax) {  // With transactions that overlap it may never be empty.
      items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(std::exchange(head_, 0)));
    }
    return item;
  }
  void clear() noexcept {
    items_.clear();
    head_ = 0;
  }

 private:
  static constexpr std::size_t kSpareMax = 64;
  std::vector<T> items_;
  std::size_t head_ = 0;
};

// An Outcome that is not copied yet.
struct OutcomeView {
  OutcomeView(Stage its_stage, const Reply& its_reply) noexcept : stage(its_stage), reply(its_reply) {}
  OutcomeView(const Outcome& outcome) noexcept  // NOLINT: implicit by design
      : stage(outcome.stage), cause(outcome.cause), reply(outcome.reply), detail(outcome.detail) {}
  Stage stage;
  Cause cause = Cause::kReply;
  const Reply& reply;
  std::string_view detail{};
};

// Events that poll() has not given yet. A ring whose elements keep their strings: an event is written over an old one,
// and the caller's comes back in exchange, so that a reply's text is copied and nothing is allocated.
class EventRing {
 public:
  bool empty() const noexcept { return count_ == 0; }
  void push(SessionEvent::Kind kind, std::size_t recipient, const OutcomeView& outcome);
  void pop_into(SessionEvent& event);

 private:
  void grow();
  std::vector<SessionEvent> events_;
  std::size_t first_ = 0;
  std::size_t count_ = 0;
};

void assign(SessionEvent& event, SessionEvent::Kind kind, std::size_t recipient, const OutcomeView& outcome);

struct ClientSession::State {
  explicit State(SessionOptions options)
      : options_(std::move(options)),
        mailings_(static_cast<std::size_t>(std::clamp(options_.messages_in_flight, 1, kInFlightMax))) {}

  // The door's functions.
  ~State();
  void connected(TimePoint now, bool verified);
  void feed(std::string_view bytes, TimePoint now);
  std::string_view output() const noexcept;
  std::size_t outputs(std::span<std::string_view> pieces) const noexcept;
  void consume(std::size_t count, TimePoint now);
  bool poll(SessionEvent& event);
  bool room() const noexcept;
  void begin(const Transaction& transaction, TimePoint now);
  void quit(TimePoint now);
  void tls_started(TimePoint now, bool verified);
  void on_timeout(TimePoint now);
  std::size_t recipients_max() const noexcept;
  void fail(Cause cause, std::string_view detail, const Reply& last_words = {});

  SessionOptions options_;
  Capabilities capabilities_;
  TimePoint deadline_ = TimePoint::max();
  bool tls_ = false;
  bool secret_ = false;  // There is a secret among commands_.

 private:
  struct Awaited {
    Step step;
    std::size_t recipient;  // Of a kRcptTo.
    std::uint64_t end;      // Where what it answers ends, in octets since the beginning. An answer before is early.
  };
  struct Piece {
    const char* message;  // Null: the next octets of commands_.
    std::size_t size;
  };
  enum class Mark : std::uint8_t { kPending, kAccepted, kSettled };
  struct Mailing {  // One transaction.
    Transaction transaction;
    bool smtputf8 = false;      // It needs SMTPUTF8.
    bool waits = false;         // Begun, but nothing of it is to be sent before those in front have ended.
    bool message_put = false;   // Its message is among what is to be sent, or sent.
    std::uint64_t end = 0;      // Where its message then ends.
    std::vector<Mark> marks{};  // One a recipient.
    std::size_t accepted = 0;   // Marks that are kAccepted.
    std::size_t next_rcpt = 0;  // The next recipient to name.
  };
  // What poll() gives after the transaction's events. Being in one of these states is one thing at a time: a close
  // before kReady was seen replaces it.
  enum class Notice : std::uint8_t { kNone, kStartTls, kReady, kSending, kRoom, kClosed };

  // client_session.cc
  void put(std::initializer_list<std::string_view> line, Step step, std::size_t recipient = 0);
  void end_line(std::size_t before, Step step, std::size_t recipient = 0);
  void put_message(std::string_view message);
  std::uint64_t put_end() const noexcept { return sent_ + unsent_; }  // Where what is to be sent ends.
  void enter(Step step, TimePoint now);
  void enter_awaited(TimePoint now);
  void ready(TimePoint now);
  void close(Outcome reason);
  void forget_commands() noexcept;
  void refuse(const Reply& reply);
  bool pipelines() const noexcept { return options_.pipelining && capabilities_.pipelining; }
  bool lmtp() const noexcept { return options_.protocol == Protocol::kLmtp; }

  // client_replies.cc
  void on_reply(const Reply& reply, TimePoint now);
  void on_unexpected(const Reply& reply);
  void dispatch(const Awaited& awaited, const Reply& reply, TimePoint now);
  void on_greeting(const Reply& reply);
  void on_ehlo(const Reply& reply, TimePoint now);
  void on_helo(const Reply& reply, TimePoint now);
  void on_start_tls(const Reply& reply, TimePoint now);
  void greet();
  void after_ehlo(TimePoint now);
  void log_in(TimePoint now);
  void say_auth();
  bool renew_token();
  void on_auth(const Reply& reply, TimePoint now);

  // client_transaction.cc; all but begin() about the front transaction.
  Mailing& front() noexcept { return mailings_[first_]; }
  Mailing& last() noexcept { return mailings_[(first_ + under_way_ - 1) % mailings_.size()]; }
  const Mailing& last() const noexcept { return mailings_[(first_ + under_way_ - 1) % mailings_.size()]; }
  std::optional<Outcome> fault_of(const Mailing& mailing) const;
  bool clean(const Mailing& mailing) const;
  static std::string_view fault_of_recipient(const Transaction& transaction, std::size_t recipient);
  void settle_surplus(const Mailing& mailing);
  bool used_up() const noexcept;  // The server takes no more transactions on this connection.
  // LMTP's BDAT for no recipient has no reply that could be told from one for a recipient.
  bool chunking() const noexcept { return mailings_.size() > 2 && capabilities_.chunking && pipelines() && !lmtp(); }
  bool chunks(const Transaction& transaction) const noexcept;
  void start(TimePoint now);
  void put_group(Mailing& mailing, bool reset);
  void put_mail_from(const Mailing& mailing);
  bool put_next_rcpt_to(Mailing& mailing);
  void on_rset(const Reply& reply, TimePoint now);
  void on_mail_from(const Reply& reply, TimePoint now);
  void on_rcpt_to(std::size_t recipient, const Reply& reply, TimePoint now);
  void on_data(const Reply& reply, TimePoint now);
  void on_final_dot(const Reply& reply, TimePoint now);
  void after_rcpt_to(TimePoint now);
  void on_each_final_dot(const Reply& reply, TimePoint now);
  void settle(std::size_t recipient, const OutcomeView& outcome);
  void settle_all(const OutcomeView& outcome);
  void done();
  void finish(TimePoint now);
  void end_all(const Outcome& reason);

  Step step_ = Step::kConnecting;
  ReplyParser parser_;
  Fifo<Awaited> awaited_;
  Fifo<Piece> pieces_;    // What is to be sent.
  std::string commands_;  // Those of pieces_, from commands_at_ on.
  std::size_t commands_at_ = 0;
  std::uint64_t unsent_ = 0;  // Octets of pieces_.
  std::uint64_t sent_ = 0;    // Octets sent since the beginning.
  EventRing events_;
  Notice notice_ = Notice::kNone;
  Outcome closed_;  // Why, in kClosed.

  // The transactions under way: a ring that keeps its memory.
  std::vector<Mailing> mailings_;
  std::size_t first_ = 0;
  std::size_t under_way_ = 0;

  bool needs_rset_ = false;                    // The server holds a mail transaction that was not ended by its data.
  bool verified_ = false;                      // TLS, with a certificate that is good for the server's name.
  std::uint64_t mails_ = 0;                    // MAIL commands so far.
  std::size_t recipients_learned_ = SIZE_MAX;  // As many it took in a transaction, and then no more.

  ClientMechanism mechanism_ = ClientMechanism::kNone;
  std::size_t auth_turn_ = 0;  // Challenges answered.
  bool renewed_ = false;       // The token was, once.
};

}  // namespace mailsbuddy::smtp
