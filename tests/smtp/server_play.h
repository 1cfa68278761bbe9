// server_play.h - the receiver session as transcripts: each is fed whole, byte by byte, and cut in two at every place.
#pragma once

#include <boost/test/unit_test.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/encoding.h"
#include "smtp/proto/server_session.h"

namespace mailsbuddy::smtp {

namespace testing {
// For messages of failed tests.
inline std::string escaped(std::string_view bytes) {
  std::string text;
  append_hex(text, bytes);
  return text;
}
}  // namespace testing

// A receiver that refuses whoever has "refused" in the address, hangs up on "hangup", and refuses messages with "SPAM".
class Receiver {
 public:
  explicit Receiver(const ServerOptions& options) : session(options) {}

  void feed(std::string_view bytes) {
    session.feed(bytes);
    run();
  }

  void run() {
    while (const auto event = session.poll()) on_event(*event);
    output += session.output();
    session.consume(session.output().size());
  }

  void on_event(const ServerEvent& event) {
    using Kind = ServerEvent::Kind;
    switch (event.kind) {
      case Kind::kMail:
        log += "mail <" + std::string(event.text) + ">" + said(session.mail_parameters()) + "\n";
        return answer(event.text, "250 2.1.0 Ok");
      case Kind::kRcpt:
        log += "rcpt <" + std::string(event.text) + ">" + said(session.rcpt_parameters()) + "\n";
        return answer(event.text, "250 2.1.5 Ok");
      case Kind::kContent:
        content += event.text;
        return;
      case Kind::kMessage:
        BOOST_TEST(session.message_bytes() == content.size());
        log += "message to " + std::to_string(session.recipients()) + " [" + content + "]\n";
        return answer(std::exchange(content, {}), "250 2.0.0 Taken");
      case Kind::kReset:
        log += "reset\n";
        content.clear();
        return;
      case Kind::kAuth:
        log += "auth " + session.credentials().authzid() + "|" + session.credentials().user() + "|" +
               session.credentials().password() + "\n";
        if (session.credentials().user() == "hangup") return session.answer("421 4.7.0 Enough");
        return session.answer(session.credentials().password() == "secret" ? "235 2.7.0 Ok" : "535 5.7.8 No");
      case Kind::kXclient:
        log += "xclient " + session.xclient().addr + " " + session.xclient().helo + "\n";
        return session.answer(session.xclient().addr == "::1" ? "550 5.7.1 No" : "220 mx.example ESMTP");
      case Kind::kStartTls:
        log += "tls\n";
        return;
      case Kind::kClose:
        log += "close\n";
        return;
    }
  }

  static std::string said(const MailParameters& mail) {
    std::string text;
    if (mail.ret != DsnReturn::kUnspecified) text += mail.ret == DsnReturn::kFull ? " ret=full" : " ret=hdrs";
    if (!mail.envid.empty()) text += " envid=" + mail.envid;
    return text;
  }
  static std::string said(const RcptParameters& rcpt) {
    std::string text;
    if (rcpt.notify != 0) text += " notify=" + std::to_string(rcpt.notify);
    if (!rcpt.orcpt.empty()) text += " orcpt=" + rcpt.orcpt;
    return text;
  }

  void answer(std::string_view text, std::string_view otherwise) {
    if (text.find("refused") != text.npos) return session.answer("550 5.7.1 Refused");
    if (text.find("hangup") != text.npos) return session.answer("421 4.3.2 Going down");
    if (text.find("SPAM") != text.npos) return session.answer("554 5.7.1 Spam");
    session.answer(otherwise);
  }

  ServerSession session;
  std::string output, log, content;
};

struct Case {
  std::string_view name;
  const ServerOptions* options;
  std::string_view input;
  std::string_view output;
  std::string_view log;
  bool trusted = false;  // May say XCLIENT.
};

inline constexpr std::string_view kGreeting = "220 mx.example ESMTP\r\n";

template <class Feed>
void check_transcript(const Case& c, const Feed& feed) {
  Receiver receiver(*c.options);
  if (c.trusted) receiver.session.trust_xclient();
  receiver.session.greet();
  receiver.run();
  feed(receiver);
  BOOST_TEST(receiver.output == std::string(kGreeting) + std::string(c.output));
  BOOST_TEST(receiver.log == c.log);
}

inline void check_every_cut(const Case& c) {
  check_transcript(c, [&](Receiver& receiver) { receiver.feed(c.input); });
  check_transcript(c, [&](Receiver& receiver) {
    for (std::size_t i = 0; i < c.input.size(); ++i) receiver.feed(std::string(c.input.substr(i, 1)));
  });
  for (std::size_t i = 1; i < c.input.size(); ++i) {
    BOOST_TEST_CONTEXT("cut at " << i) {
      check_transcript(c, [&](Receiver& receiver) {
        receiver.feed(std::string(c.input.substr(0, i)));  // Gone when the rest comes.
        receiver.feed(c.input.substr(i));
      });
    }
  }
}

}  // namespace mailsbuddy::smtp
