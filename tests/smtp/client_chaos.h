// client_chaos.h - a server that says anything at any time, played against a ClientSession, with what must hold all the
// same. The choices come from the caller: a seeded generator in the test, the fuzzer's bytes in the fuzz target.
#pragma once

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mailsbuddy/smtp.h"

namespace mailsbuddy::test {

class Chaos {
 public:
  using Choose = std::function<std::size_t(std::size_t below)>;

  explicit Chaos(Choose choose) : choose_(std::move(choose)), session_(options()) { tls_ = implicit_; }

  // Throws std::runtime_error for a promise of ClientSession that is broken.
  void play() {
    session_.connected(now_, one_in(2));
    for (int turn = 0; turn < 400 && !closed_; ++turn) {
      events();
      if (closed_) break;
      act();
      require(session_.deadline() > now_ || session_.deadline() == TimePoint::max(), "a deadline in the past");
    }
    session_.on_disconnect(Cause::kConnectionLost, "end", now_);
    events();
    require(closed_ && begun_.empty(), "not closed after the connection was lost");
    session_.feed("250 Ok\r\n", now_);
    session_.on_timeout(now_ + std::chrono::hours(24));
    require(!session_.poll() && session_.output().empty(), "something follows kClosed");
  }

  int delivered = 0;
  int refused = 0;
  int transactions = 0;
  int overlapping = 0;
  int full = 0;     // Recipients that were too many.
  int by_lmtp = 0;  // Delivered by it.

 private:
  struct Begun {
    std::vector<std::string> recipients;
    std::vector<std::string_view> views;
    std::vector<int> settled;
    std::vector<smtp::RecipientDsn> dsn;
  };

  static void require(bool holds, const char* promise) {
    if (!holds) throw std::runtime_error(promise);
  }
  bool one_in(std::size_t n) { return choose_(n) == 0; }

  smtp::SessionOptions options() {
    smtp::SessionOptions options{.ehlo_name = "me",
                                 .tls = static_cast<smtp::TlsPolicy>(choose_(3)),
                                 .timeouts = {},
                                 .pipelining = !one_in(4),
                                 .messages_in_flight = 1 + static_cast<int>(choose_(4))};
    implicit_ = options.implicit_tls = one_in(4);
    lmtp_ = one_in(4);
    if (lmtp_) options.protocol = smtp::Protocol::kLmtp;
    if (one_in(4)) options.login = {.user = "ann", .password = "s3cret", .in_clear = one_in(2)};
    if (one_in(8)) options.login = {.user = "ann", .token = std::string(one_in(2) ? 10 : 500, 't'), .in_clear = true};
    clear_ = options.login.in_clear;
    options.recipients_max = 1 + choose_(4);
    return options;
  }

  void act() {
    if (in_handshake_) {
      in_handshake_ = false;
      if (one_in(8)) return session_.on_disconnect(Cause::kTlsFailed, "no", now_);
      return session_.tls_started(now_, one_in(2));
    }
    if (ready_ && !session_.output().empty()) require(false, "output without work");
    if (ready_) return one_in(12) ? quit() : begin();
    const std::size_t choice = choose_(300);
    if (choice == 0) return session_.on_disconnect(Cause::kConnectionLost, "lost", now_);
    if (choice == 1) return silence();
    if (choice == 2) {  // Whatever is awaited: from now on the server's words are not the answers they look like.
      lies_ = true;
      return feed(reply());
    }
    if (!session_.output().empty()) return take_output();
    if (!says_.empty()) return say();
    greeted_ ? silence() : greet();
  }

  void silence() {
    if (session_.deadline() == TimePoint::max()) return;
    now_ = session_.deadline();
    session_.on_timeout(now_);
  }

  void greet() {
    greeted_ = true;
    says_ += one_in(20) ? reply() : "220 mx\r\n";
  }

  void quit() {
    ready_ = false;
    session_.quit(now_);
  }

  void begin() {
    ready_ = false;
    overlapping += begun_.empty() ? 0 : 1;
    ++transactions;
    Begun& begun = begun_.emplace_back();
    for (std::size_t i = choose_(5); i > 0; --i) {
      begun.recipients.push_back(one_in(20) ? "bad\r\n@b" : "r" + std::to_string(++addresses_) + "@b");
    }
    begun.views.assign(begun.recipients.begin(), begun.recipients.end());
    begun.settled.assign(begun.recipients.size(), 0);
    const std::string_view orcpt = one_in(8)   ? "rfc822;x\r\nDATA"
                                   : one_in(2) ? "utf-8;\xc3\xa9+=\\@b"
                                               : "rfc822;a +=\\@b";
    begun.dsn.assign(one_in(2) ? begun.recipients.size() : 0,
                     {.notify = static_cast<std::uint8_t>(choose_(17)), .orcpt = orcpt});
    const bool empty = one_in(10);
    const bool stuffed = one_in(2);  // Then it is longer than the message, and no BDAT has it.
    session_.begin({.mail_from = "me@a",
                    .rcpt_to = begun.views,
                    .data = empty     ? ".\r\n"
                            : stuffed ? "Subject: x\r\n\r\n..\r\n.\r\n"
                                      : "Subject: x\r\n\r\nMAIL\r\n.\r\n",
                    .message_bytes = one_in(20) ? 2000U
                                     : empty    ? 0U
                                     : stuffed  ? 17U
                                                : 20U,
                    .eight_bit = one_in(3),
                    .smtputf8 = one_in(20),
                    .require_tls = one_in(20),
                    .ret = static_cast<smtp::DsnReturn>(choose_(3)),
                    .envid = one_in(20)  ? std::string_view("x\r\nMAIL FROM:<>")
                             : one_in(4) ? std::string_view("a b+c=")
                                         : std::string_view(),
                    .dsn = begun.dsn},
                   now_);
  }

  void take_output() {
    const std::string_view output = session_.output();
    const std::size_t count = one_in(3) ? 1 + choose_(output.size()) : output.size();
    heard_ += output.substr(0, count);
    session_.consume(count, now_);
    answer();
  }

  // Answers every line it has, and the message.
  void answer() {
    while (!shut_) {
      if (chunk_ > 0) {
        const std::size_t count = std::min(chunk_, heard_.size());
        heard_.erase(0, count);
        chunk_ -= count;
        if (chunk_ > 0) return;
        says_ += accepted_.empty() ? "503 For nobody\r\n" : final_reply();
        shut_ = shut_ || says_.find("421 ") != std::string::npos;
        continue;
      }
      const std::size_t end = heard_.find("\r\n");
      if (end == std::string::npos) return;
      const std::string line = heard_.substr(0, end);
      heard_.erase(0, end + 2);
      on_line(line);
      shut_ = shut_ || says_.find("421 ") != std::string::npos;  // It means it.
    }
  }

  void on_line(const std::string& line) {
    require(!line.starts_with("AUTH ") || tls_ || clear_, "a login in clear");
    require(line.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos, "a control character on the wire");
    if (line.starts_with("BDAT ") && !in_data_) {
      chunk_ = std::stoul(line.substr(5));
    } else if (!in_data_) {
      says_ += command_reply(line);
    } else if (line == ".") {
      in_data_ = false;
      says_ += final_replies();
    } else {
      require(lies_ || !accepted_.empty(), "a message for nobody");
    }
  }

  std::string command_reply(std::string_view line) {
    const bool odd = one_in(12);
    if (line.starts_with(lmtp_ ? "LHLO" : "EHLO") && !odd) {
      static constexpr std::array<std::string_view, 6> kOffers = {
          "250-mx\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250 8BITMIME\r\n",
          "250-mx\r\n250 STARTTLS\r\n",
          "250-mx\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 SMTPUTF8\r\n",
          "250-mx\r\n250-AUTH LOGIN XOAUTH2\r\n250-DSN\r\n250 8BITMIME\r\n",
          "250-mx\r\n250-AUTH PLAIN\r\n250-PIPELINING\r\n250-LIMITS MAILMAX=2 RCPTMAX=2\r\n250-REQUIRETLS\r\n250 "
          "8BITMIME\r\n",
          "250-mx\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-DSN\r\n250-LIMITS RCPTDOMAINMAX=1\r\n250 8BITMIME\r\n"};
      return std::string(kOffers[choose_(kOffers.size())]);
    }
    if (line == "STARTTLS" && !odd) return "220 Go\r\n";
    if (in_auth_ || line.starts_with("AUTH ")) {
      in_auth_ = one_in(3);
      return in_auth_ ? "334 eA==\r\n" : odd ? reply() : "235 Ok\r\n";
    }
    if (line == "DATA" && !(accepted_.empty() ? one_in(2) : odd)) {
      in_data_ = true;
      return "354 Go\r\n";
    }
    const bool envelope = line == "RSET" || line.starts_with("MAIL");
    if (envelope) accepted_.clear();
    const std::string said = line.starts_with("RCPT") && !in_mail_ ? "503 MAIL first\r\n"
                             : odd                                 ? reply()
                                                                   : "250 Ok\r\n";
    if (envelope) in_mail_ = line != "RSET" && said.starts_with('2');
    if (line == "DATA" && said.starts_with("354")) in_data_ = true;
    if (line.starts_with("RCPT TO:<") && said.starts_with('2'))
      accepted_.emplace_back(line.substr(9, line.find('>') - 9));
    return said;
  }

  // LMTP: one for each that was accepted.
  std::string final_replies() {
    if (!lmtp_) return final_reply();
    std::string all;
    for (const std::string& recipient : std::exchange(accepted_, {})) {
      const std::string said = one_in(6) ? reply() : "250 Stored\r\n";
      if (said.starts_with('2')) taken_.insert(recipient);
      all += said;
      if (all.find("421 ") != std::string::npos) break;
    }
    in_mail_ = false;
    return all;
  }

  std::string final_reply() {
    const std::string said = one_in(6) ? reply() : "250 Queued\r\n";
    if (said.starts_with('2')) taken_.insert(accepted_.begin(), accepted_.end());
    accepted_.clear();
    in_mail_ = false;
    return said;
  }

  std::string reply() {
    static constexpr std::array<std::string_view, 16> kReplies = {
        "452 4.5.3 x\r\n",    "552 x\r\n",
        "250 Ok\r\n",         "251 Ok\r\n",
        "354 Go\r\n",         "220 x\r\n",
        "450 4.2.0 x\r\n",    "421 4.3.2 x\r\n",
        "550 5.1.1 x\r\n",    "550-a\r\n550 b\r\n",
        "221 Bye\r\n",        "452 x\r\n",
        "250-a\r\n251 b\r\n", "\r\n",
        "garbage\r\n",        "503 x\n",
    };
    return std::string(kReplies[choose_(kReplies.size())]);
  }

  void say() {
    const std::size_t count = one_in(2) ? says_.size() : 1 + choose_(says_.size());
    const std::string bytes = says_.substr(0, count);
    says_.erase(0, count);
    feed(bytes);
  }

  void feed(const std::string& bytes) { session_.feed(bytes, now_); }

  void events() {
    while (const auto event = session_.poll()) {
      require(!closed_, "an event after kClosed");
      switch (event->kind) {
        case smtp::SessionEvent::Kind::kStartTls:
          in_handshake_ = tls_ = true;
          break;
        case smtp::SessionEvent::Kind::kReady:
          require(begun_.empty(), "ready inside a transaction");
          ready_ = true;
          break;
        case smtp::SessionEvent::Kind::kRecipient:
          on_recipient(*event);
          break;
        case smtp::SessionEvent::Kind::kTransactionDone:
          require(!begun_.empty(), "done twice");
          require(std::ranges::count(begun_.front().settled, 1) == std::ssize(begun_.front().settled),
                  "done before every recipient had its outcome");
          begun_.pop_front();
          break;
        case smtp::SessionEvent::Kind::kSending:
        case smtp::SessionEvent::Kind::kRoom:
          break;  // Below one is begun whenever there is room, offered or not.
        case smtp::SessionEvent::Kind::kClosed:
          require(begun_.empty(), "closed inside a transaction");
          closed_ = true;
      }
      if (!closed_ && session_.room() && one_in(2)) begin();
    }
  }

  void on_recipient(const smtp::SessionEvent& event) {
    require(!begun_.empty() && event.recipient < begun_.front().settled.size(), "an outcome for nobody");
    require(++begun_.front().settled[event.recipient] == 1, "two outcomes for one recipient");
    ++(event.outcome.delivered() ? delivered : refused);
    full += event.outcome.cause == Cause::kTransactionFull ? 1 : 0;
    by_lmtp += lmtp_ && event.outcome.delivered() ? 1 : 0;
    if (lies_) return;
    const bool taken = taken_.contains(begun_.front().recipients[event.recipient]);
    require(taken || !event.outcome.delivered(), "delivered, but the server did not take it");
    require(!taken || event.outcome.delivered() || event.outcome.unknown(), "taken by the server, and said not to be");
  }

  Choose choose_;
  bool implicit_ = false, lmtp_ = false, clear_ = false, tls_ = false;  // options() sets them.
  smtp::ClientSession session_;
  TimePoint now_{std::chrono::hours(24)};
  bool greeted_ = false, ready_ = false, in_handshake_ = false, closed_ = false;
  std::deque<Begun> begun_;  // In the order of their ends.
  int addresses_ = 0;
  // The server's side.
  bool in_auth_ = false, in_mail_ = false, in_data_ = false, lies_ = false, shut_ = false;
  std::string heard_, says_;
  std::size_t chunk_ = 0;  // Octets of a BDAT that are still to come.
  std::vector<std::string> accepted_;
  std::set<std::string> taken_;
};

}  // namespace mailsbuddy::test
