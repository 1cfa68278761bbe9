// client_play.h - a ClientSession played against a script of what each side says.
#pragma once

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mailsbuddy/smtp.h"
#include "tests/smtp/client_words.h"

namespace mailsbuddy::test {

struct Mail {
  std::string_view from = "me@a.example";
  std::vector<std::string_view> to = {"you@b.example"};
  std::string_view data = "Hi\r\n.\r\n";
  std::uint64_t bytes = 4;
  bool eight_bit = false;
  bool smtputf8 = false;
  bool require_tls = false;
  smtp::DsnReturn ret = smtp::DsnReturn::kUnspecified;
  std::string_view envid{};
  std::vector<smtp::RecipientDsn> dsn{};
};

// Begins the next mail at each kReady, and `ahead` at each kSending too; shakes hands at kStartTls.
class Play {
 public:
  // `verified`: TLS, when there is any, is with a certificate that is good.
  Play(smtp::SessionOptions options, std::vector<Mail> mails, bool ahead = false, bool verified = false)
      : session(std::move(options)), mails_(std::move(mails)), ahead_(ahead), verified_(verified) {
    session.connected(now, verified_);
  }

  // Lines "S: ..." come from the server; "C: ..." lines in a row are all that the client has to say. What the server
  // has to say until then comes in pieces of so many octets, 0: as one.
  void script(std::string_view text, std::size_t piece) {
    std::string client, server;
    while (!text.empty()) {
      const std::string_view line = text.substr(0, text.find('\n'));
      text.remove_prefix(std::min(line.size() + 1, text.size()));
      if (line.starts_with("C: ")) {
        if (!server.empty()) says(std::exchange(server, {}), piece);
        client += std::string(line.substr(3)) + "\r\n";
      } else if (line.starts_with("S: ")) {
        if (!client.empty()) hears(std::exchange(client, {}));
        server += std::string(line.substr(3)) + "\r\n";
      } else {
        BOOST_REQUIRE(line.empty());
      }
    }
    if (!client.empty()) hears(client);
    if (!server.empty()) says(server, piece);
  }

  void hears(std::string_view expected) {
    std::string heard;
    while (!session.output().empty()) {
      heard += session.output();
      session.consume(session.output().size(), now);
    }
    BOOST_TEST(heard == expected);
  }

  void says(std::string_view bytes, std::size_t piece = 0) {
    longest_said = std::max(longest_said, bytes.size());
    const std::size_t step = piece == 0 ? bytes.size() : piece;
    for (std::size_t i = 0; i < bytes.size(); i += step) {
      session.feed(bytes.substr(i, step), now);
      drain();
    }
  }

  void loses_connection(Cause cause, std::string_view detail) {
    session.on_disconnect(cause, detail, now);
    drain();
  }

  void waits_until_deadline() {
    BOOST_REQUIRE((session.deadline() != TimePoint::max()));
    now = session.deadline() - Duration(1);
    session.on_timeout(now);
    drain();
    BOOST_TEST((session.deadline() == now + Duration(1)));  // Not yet.
    now = session.deadline();
    session.on_timeout(now);
    drain();
  }

  // Without what depends on how the bytes were cut: a close replaces a kReady or kStartTls that nobody has seen yet.
  std::vector<std::string> outcomes() const {
    std::vector<std::string> found;
    for (const std::string& event : events) {
      if (event != "ready" && event != "tls") found.push_back(event);
    }
    return found;
  }

  TimePoint now{std::chrono::hours(24)};
  smtp::ClientSession session;
  std::vector<std::string> events;
  std::size_t longest_said = 0;

 private:
  void drain() {
    using Kind = smtp::SessionEvent::Kind;
    while (const auto event = session.poll()) {
      const bool offer = event->kind == Kind::kSending || event->kind == Kind::kRoom;
      const bool last = event->kind == Kind::kSending && !session.room();  // None may follow.
      if (!offer || last) events.push_back(words(*event));
      if (event->kind == Kind::kStartTls) session.tls_started(now, verified_);
      if (event->kind == Kind::kRoom) BOOST_TEST(session.room());
      if (event->kind == Kind::kReady && next_ < mails_.size()) begin(mails_[next_++]);
      const bool more = ahead_ && (offer || event->kind == Kind::kReady);
      while (more && session.room() && next_ < mails_.size()) begin(mails_[next_++]);
    }
  }

  void begin(const Mail& mail) {
    session.begin({.mail_from = mail.from,
                   .rcpt_to = mail.to,
                   .data = mail.data,
                   .message_bytes = mail.bytes,
                   .eight_bit = mail.eight_bit,
                   .smtputf8 = mail.smtputf8,
                   .require_tls = mail.require_tls,
                   .ret = mail.ret,
                   .envid = mail.envid,
                   .dsn = mail.dsn},
                  now);
  }

  std::vector<Mail> mails_;
  std::size_t next_ = 0;
  bool ahead_;
  bool verified_;
};

}  // namespace mailsbuddy::test
