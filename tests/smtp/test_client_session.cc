// Whole dialogues, each fed at once and split at every octet.
#include <boost/test/unit_test.hpp>

#include "tests/smtp/client_play.h"

using namespace mailsbuddy;
using namespace mailsbuddy::test;
using smtp::TlsPolicy;

namespace {

struct Case {
  std::string_view name;
  smtp::SessionOptions options{.ehlo_name = "me"};
  std::vector<Mail> mails{};
  std::string_view script;
  std::vector<std::string_view> events;
};

smtp::SessionOptions with(TlsPolicy tls, bool pipelining = true) {
  return {.ehlo_name = "me", .tls = tls, .timeouts = {}, .pipelining = pipelining};
}

void check(const Case& c) {
  BOOST_TEST_CONTEXT(c.name) {
    Play whole(c.options, c.mails);
    whole.script(c.script, false);
    BOOST_TEST(whole.events == c.events, boost::test_tools::per_element());
    for (std::size_t piece = 1; piece < whole.longest_said; ++piece) {
      Play pieces(c.options, c.mails);
      pieces.script(c.script, piece);
      BOOST_TEST(pieces.outcomes() == whole.outcomes(), boost::test_tools::per_element());
    }
  }
}

const Mail kTwo{.to = {"a@b.example", "b@b.example"}};
const Mail kThree{.to = {"a@b.example", "b@b.example", "c@b.example"}};

const Case kDelivery[] = {
    {.name = "EHLO, nothing offered",
     .mails = {{}},
     .script = R"(
S: 220 mx
C: EHLO me
S: 250 mx
C: MAIL FROM:<me@a.example>
S: 250 2.1.0 Ok
C: RCPT TO:<you@b.example>
S: 250 2.1.5 Ok
C: DATA
S: 354 Go
C: Hi
C: .
S: 250 2.0.0 Queued
)",
     .events = {"ready", "0: final_dot reply 250 2.0.0 Queued", "done", "ready"}},
    {.name = "HELO after 502 to EHLO",
     .mails = {{}},
     .script = R"(
S: 220 mx
C: EHLO me
S: 502 What
C: HELO me
S: 250 mx
C: MAIL FROM:<me@a.example>
S: 250 Ok
C: RCPT TO:<you@b.example>
S: 251 Will forward
C: DATA
S: 354 Go
C: Hi
C: .
S: 250 Queued
)",
     .events = {"ready", "0: final_dot reply 250 Queued", "done", "ready"}},
    {.name = "pipelined, with all parameters",
     .mails = {{.from = "m\xc3\xa9@a.example", .eight_bit = true, .smtputf8 = true}},
     .script = R"(
S: 220-mx
S: 220 hello
C: EHLO me
S: 250-mx
S: 250-PIPELINING
S: 250-SIZE 1000
S: 250-8BITMIME
S: 250 SMTPUTF8
C: MAIL FROM:<mé@a.example> SIZE=4 BODY=8BITMIME SMTPUTF8
C: RCPT TO:<you@b.example>
C: DATA
S: 250 Ok
S: 250 Ok
S: 354 Go
C: Hi
C: .
S: 250 Queued
)",
     .events = {"ready", "0: final_dot reply 250 Queued", "done", "ready"}},
    {.name = "pipelining offered and not wanted",
     .options = with(TlsPolicy::kNone, false),
     .mails = {{}},
     .script = R"(
S: 220 mx
C: EHLO me
S: 250-mx
S: 250 PIPELINING
C: MAIL FROM:<me@a.example>
S: 250 Ok
C: RCPT TO:<you@b.example>
S: 250 Ok
C: DATA
S: 354 Go
C: Hi
C: .
S: 250 Queued
)",
     .events = {"ready", "0: final_dot reply 250 Queued", "done", "ready"}},
    {.name = "null path, empty message, two transactions on one connection",
     .mails = {{.from = "", .data = ".\r\n", .bytes = 0}, {}},
     .script = R"(
S: 220 mx
C: EHLO me
S: 250-mx
S: 250-SIZE
S: 250 PIPELINING
C: MAIL FROM:<> SIZE=0
C: RCPT TO:<you@b.example>
C: DATA
S: 250 Ok
S: 250 Ok
S: 354 Go
C: .
S: 250 One
C: MAIL FROM:<me@a.example> SIZE=4
C: RCPT TO:<you@b.example>
C: DATA
S: 250 Ok
S: 250 Ok
S: 354 Go
C: Hi
C: .
S: 250 Two
)",
     .events = {"ready", "0: final_dot reply 250 One", "done", "ready", "0: final_dot reply 250 Two", "done", "ready"}},
};

const Case kRefusals[] = {
    {.name = "some recipients refused, pipelined",
     .mails = {kThree},
     .script = R"(
S: 220 mx
C: EHLO me
S: 250-mx
S: 250 PIPELINING
C: MAIL FROM:<me@a.example>
C: RCPT TO:<a@b.example>
C: RCPT TO:<b@b.example>
C: RCPT TO:<c@b.example>
C: DATA
S: 250 Ok
S: 250 Ok
S: 550 5.1.1 Unknown
S: 452 4.5.3 Too many
S: 354 Go
C: Hi
C: .
S: 451 4.3.0 Later
)",
     .events = {"ready", "1: rcpt_to reply 550 5.1.1 Unknown",
                "2: rcpt_to transaction_full 452 4.5.3 Too many (the server takes no more of them)",
                "0: final_dot reply 451 4.3.0 Later", "done", "ready"}},
    {.name = "some recipients refused, one command at a time",
     .mails = {kThree},
     .script = R"(
S: 220 mx
C: EHLO me
S: 250 mx
C: MAIL FROM:<me@a.example>
S: 250 Ok
C: RCPT TO:<a@b.example>
S: 550 Unknown
C: RCPT TO:<b@b.example>
S: 250 Ok
C: RCPT TO:<c@b.example>
S: 450 Later
C: DATA
S: 354 Go
C: Hi
C: .
S: 250 Queued
)",
     .events = {"ready", "0: rcpt_to reply 550 Unknown", "2: rcpt_to reply 450 Later", "1: final_dot reply 250 Queued",
                "done", "ready"}},
    {.name = "all recipients refused, one command at a time: RSET is waited for",
     .mails = {kTwo, {}},
     .script = R"(
S: 220 mx
C: EHLO me
S: 250 mx
C: MAIL FROM:<me@a.example>
S: 250 Ok
C: RCPT TO:<a@b.example>
S: 550 Unknown
C: RCPT TO:<b@b.example>
S: 551 Moved
C: RSET
S: 250 Ok
C: MAIL FROM:<me@a.example>
S: 250 Ok
C: RCPT TO:<you@b.example>
S: 250 Ok
C: DATA
S: 354 Go
C: Hi
C: .
S: 250 Queued
)",
     .events = {"ready", "0: rcpt_to reply 550 Unknown", "1: rcpt_to reply 551 Moved", "done", "ready",
                "0: final_dot reply 250 Queued", "done", "ready"}},
    {.name = "all recipients refused, pipelined: RSET leads the next group",
     .mails = {{}, {}},
     .script = R"(
S: 220 mx
C: EHLO me
S: 250-mx
S: 250 PIPELINING
C: MAIL FROM:<me@a.example>
C: RCPT TO:<you@b.example>
C: DATA
S: 250 Ok
S: 550 5.1.1 Unknown
S: 554 5.5.1 No valid recipients
C: RSET
C: MAIL FROM:<me@a.example>
C: RCPT TO:<you@b.example>
C: DATA
S: 250 Ok
S: 250 Ok
S: 250 Ok
S: 354 Go
C: Hi
C: .
S: 250 Queued
)",
     .events = {"ready", "0: rcpt_to reply 550 5.1.1 Unknown", "done", "ready", "0: final_dot reply 250 Queued", "done",
                "ready"}},
    {.name = "354 although all recipients were refused: a lone dot, no message, no RSET",
     .mails = {{}, {}},
     .script = R"(
S: 220 mx
C: EHLO me
S: 250-mx
S: 250 PIPELINING
C: MAIL FROM:<me@a.example>
C: RCPT TO:<you@b.example>
C: DATA
S: 250 Ok
S: 550 5.1.1 Unknown
S: 354 Go
C: .
S: 554 No valid recipients
C: MAIL FROM:<me@a.example>
C: RCPT TO:<you@b.example>
C: DATA
S: 250 Ok
S: 250 Ok
S: 354 Go
C: Hi
C: .
S: 250 Queued
)",
     .events = {"ready", "0: rcpt_to reply 550 5.1.1 Unknown", "done", "ready", "0: final_dot reply 250 Queued", "done",
                "ready"}},
    {.name = "sender refused, pipelined: the group's other replies change nothing",
     .mails = {kTwo, {}},
     .script = R"(
S: 220 mx
C: EHLO me
S: 250-mx
S: 250 PIPELINING
C: MAIL FROM:<me@a.example>
C: RCPT TO:<a@b.example>
C: RCPT TO:<b@b.example>
C: DATA
S: 550 5.7.1 Go away
S: 503 No MAIL
S: 250 Odd
S: 354 Odder
C: .
S: 250 Odd
C: MAIL FROM:<me@a.example>
C: RCPT TO:<you@b.example>
C: DATA
)",
     .events = {"ready", "0: mail_from reply 550 5.7.1 Go away", "1: mail_from reply 550 5.7.1 Go away", "done",
                "ready"}},
    {.name = "sender refused, one command at a time: no RSET",
     .mails = {{}, {}},
     .script = R"(
S: 220 mx
C: EHLO me
S: 250 mx
C: MAIL FROM:<me@a.example>
S: 451 4.7.1 Later
C: MAIL FROM:<me@a.example>
)",
     .events = {"ready", "0: mail_from reply 451 4.7.1 Later", "done", "ready"}},
    {.name = "DATA refused: RSET",
     .mails = {{}, {}},
     .script = R"(
S: 220 mx
C: EHLO me
S: 250 mx
C: MAIL FROM:<me@a.example>
S: 250 Ok
C: RCPT TO:<you@b.example>
S: 250 Ok
C: DATA
S: 452 4.3.1 Full
C: RSET
S: 250 Ok
)",
     .events = {"ready", "0: data reply 452 4.3.1 Full", "done", "ready"}},
    {.name = "RSET refused",
     .mails = {{}, {}},
     .script = R"(
S: 220 mx
C: EHLO me
S: 250 mx
C: MAIL FROM:<me@a.example>
S: 250 Ok
C: RCPT TO:<you@b.example>
S: 550 Unknown
C: RSET
S: 500 What
)",
     .events = {"ready", "0: rcpt_to reply 550 Unknown", "done",
                "closed: mail_from protocol_error 500 What (RSET refused)"}},
    {.name = "421 after the reply to the message",
     .mails = {{}},
     .script = R"(
S: 220 mx
C: EHLO me
S: 250 mx
C: MAIL FROM:<me@a.example>
S: 250 Ok
C: RCPT TO:<you@b.example>
S: 250 Ok
C: DATA
S: 354 Go
C: Hi
C: .
S: 250 Queued
S: 421 4.4.2 Enough
)",
     .events = {"ready", "0: final_dot reply 250 Queued", "done", "closed: mail_from reply 421 4.4.2 Enough"}},
    {.name = "a reply to nothing between transactions",
     .script = R"(
S: 220 mx
C: EHLO me
S: 250 mx
S: 250 Ok
)",
     .events = {"closed: mail_from protocol_error 250 Ok (a reply to nothing)"}},
    {.name = "a positive reply that is no 354",
     .mails = {{}},
     .script = R"(
S: 220 mx
C: EHLO me
S: 250 mx
C: MAIL FROM:<me@a.example>
S: 250 Ok
C: RCPT TO:<you@b.example>
S: 250 Ok
C: DATA
S: 250 Ok
)",
     .events = {"ready", "0: data protocol_error 250 Ok (250 is no reply to DATA)", "done",
                "closed: data protocol_error 250 Ok (250 is no reply to DATA)"}},
    {.name = "greeting that is no 220",
     .script = "S: 250 mx\n",
     .events = {"closed: greeting protocol_error 250 mx (250 is no greeting)"}},
    {.name = "421 before anything else",
     .script = "S: 421 4.7.0 Too many connections\n",
     .events = {"closed: greeting reply 421 4.7.0 Too many connections"}},
};

const Case kTls[] = {
    {.name = "STARTTLS, EHLO again, what was known before is forgotten",
     .options = with(TlsPolicy::kRequired),
     .mails = {{}},
     .script = R"(
S: 220 mx
C: EHLO me
S: 250-mx
S: 250-PIPELINING
S: 250 STARTTLS
C: STARTTLS
S: 220 2.0.0 Go
C: EHLO me
S: 250-mx
S: 250 SIZE 100
C: MAIL FROM:<me@a.example> SIZE=4
)",
     .events = {"tls", "ready"}},
    {.name = "not wanted",
     .options = with(TlsPolicy::kNone),
     .script = "S: 220 mx\nC: EHLO me\nS: 250-mx\nS: 250 STARTTLS\n",
     .events = {"ready"}},
    {.name = "opportunistic, not offered", .script = "S: 220 mx\nC: EHLO me\nS: 250 mx\n", .events = {"ready"}},
    {.name = "opportunistic, refused",
     .script = "S: 220 mx\nC: EHLO me\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 454 4.7.0 No\n",
     .events = {"ready"}},
    {.name = "required, not offered",
     .options = with(TlsPolicy::kRequired),
     .script = "S: 220 mx\nC: EHLO me\nS: 250 mx\n",
     .events = {"closed: start_tls tls_unavailable (STARTTLS is not offered)"}},
    {.name = "required, only HELO",
     .options = with(TlsPolicy::kRequired),
     .script = "S: 220 mx\nC: EHLO me\nS: 500 What\nC: HELO me\nS: 250 mx\n",
     .events = {"closed: start_tls tls_unavailable (STARTTLS is not offered)"}},
    {.name = "required, refused",
     .options = with(TlsPolicy::kRequired),
     .script = "S: 220 mx\nC: EHLO me\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 454 4.7.0 No\n",
     .events = {"closed: start_tls reply 454 4.7.0 No"}},
    {.name = "required, answered 250",
     .options = with(TlsPolicy::kRequired),
     .script = "S: 220 mx\nC: EHLO me\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 250 Ok\n",
     .events = {"closed: start_tls protocol_error 250 Ok (250 is no reply to STARTTLS)"}},
};

}  // namespace

BOOST_AUTO_TEST_CASE(delivery) {
  for (const Case& c : kDelivery) check(c);
}

BOOST_AUTO_TEST_CASE(refusals) {
  for (const Case& c : kRefusals) check(c);
}

BOOST_AUTO_TEST_CASE(tls) {
  for (const Case& c : kTls) check(c);
}

// Commands that someone put into the stream behind the 220 must not be taken for the server's words after the
// handshake.
BOOST_AUTO_TEST_CASE(clear_text_behind_starttls) {
  Play play(with(TlsPolicy::kOpportunistic), {{}});
  play.script("S: 220 mx\nC: EHLO me\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 Go\nS: 250-mx\n", false);
  BOOST_TEST(play.events ==
                 std::vector<std::string>{"closed: start_tls protocol_error (clear text after the reply to STARTTLS)"},
             boost::test_tools::per_element());
  BOOST_TEST(!play.session.tls());
  BOOST_TEST(play.session.output().empty());
}

BOOST_AUTO_TEST_CASE(failed_handshake) {
  smtp::ClientSession session(with(TlsPolicy::kOpportunistic));
  const TimePoint now{};
  session.connected(now);
  session.feed("220 mx\r\n", now);
  session.consume(session.output().size(), now);
  session.feed("250-mx\r\n250 STARTTLS\r\n", now);
  session.consume(session.output().size(), now);
  session.feed("220 Go\r\n", now);
  BOOST_TEST(words(*session.poll()) == "tls");
  session.on_disconnect(Cause::kTlsFailed, "wrong version", now);
  BOOST_TEST(words(*session.poll()) == "closed: start_tls tls_failed (wrong version)");
  BOOST_TEST(!session.poll());
}

namespace {

constexpr std::string_view kHello =
    "S: 220 mx\nC: EHLO me\nS: 250-mx\nS: 250-PIPELINING\nS: 250-SIZE 100\nS: 250 8BITMIME\n";

struct Local {
  std::string_view name;
  Mail mail;
  std::vector<std::string> events;  // Between "ready" and "done", "ready".
};

const std::string kLong = std::string(250, 'x') + "@b.example";

const Local kLocal[] = {
    {"too large", {.bytes = 101}, {"0: mail_from too_large (101 octets, the server takes 100)"}},
    {"SMTPUTF8 said to be needed", {.smtputf8 = true}, {"0: mail_from smtputf8_unavailable (SMTPUTF8 is not offered)"}},
    {"SMTPUTF8 needed by an address",
     {.to = {"\xc3\xa9@b.example"}},
     {"0: mail_from smtputf8_unavailable (SMTPUTF8 is not offered)"}},
    {"no recipients", {.to = {}}, {}},
    {"message without end", {.data = "Hi\r\n"}, {"0: mail_from protocol_error (the message has no end of data)"}},
    {"message with half an end", {.data = "Hi.\r\n"}, {"0: mail_from protocol_error (the message has no end of data)"}},
    {"command in the sender",
     {.from = "a@b>\r\nRCPT TO:<x@y"},
     {"0: mail_from protocol_error (control character in the address)"}},
    {"parameter in the sender",
     {.from = "a@b> SIZE=1"},
     {"0: mail_from protocol_error (space, quote or angle bracket in the address)"}},
    {"bare LF", {.to = {"a\n@b"}}, {"0: rcpt_to protocol_error (control character in the address)"}},
    {"bare CR", {.to = {"a\r@b"}}, {"0: rcpt_to protocol_error (control character in the address)"}},
    {"NUL", {.to = {std::string_view("a\0@b", 4)}}, {"0: rcpt_to protocol_error (control character in the address)"}},
    {"DEL", {.to = {"a\x7f@b"}}, {"0: rcpt_to protocol_error (control character in the address)"}},
    {"CRLF in quotes", {.to = {"\"a\r\n\"@b"}}, {"0: rcpt_to protocol_error (control character in the address)"}},
    {"open quotes",
     {.to = {"\"a> SIZE=1"}},
     {"0: rcpt_to protocol_error (quoted string without its end in the address)"}},
    {"escaped quote",
     {.to = {"\"a\\\"@b> X"}},
     {"0: rcpt_to protocol_error (quoted string without its end in the address)"}},
    {"quotes in the middle",
     {.to = {"a\" \"@b"}},
     {"0: rcpt_to protocol_error (space, quote or angle bracket in the address)"}},
    {"empty recipient", {.to = {""}}, {"0: rcpt_to protocol_error (no address)"}},
    {"too long", {.to = {kLong}}, {"0: rcpt_to protocol_error (address too long)"}},
    {"all recipients bad",
     {.to = {"", "a b@c"}},
     {"0: rcpt_to protocol_error (no address)",
      "1: rcpt_to protocol_error (space, quote or angle bracket in the address)"}},
};

}  // namespace

// What cannot be sent is settled without a word to the server, and the connection carries the next message.
BOOST_AUTO_TEST_CASE(settled_without_the_wire) {
  for (const Local& c : kLocal) {
    BOOST_TEST_CONTEXT(c.name) {
      Play play({.ehlo_name = "me"}, {c.mail, {}});
      play.script(kHello, false);
      std::vector<std::string> expected{"ready"};
      expected.insert(expected.end(), c.events.begin(), c.events.end());
      expected.insert(expected.end(), {"done", "ready"});
      BOOST_TEST(play.events == expected, boost::test_tools::per_element());
      play.hears("MAIL FROM:<me@a.example> SIZE=4\r\nRCPT TO:<you@b.example>\r\nDATA\r\n");
    }
  }
}

BOOST_AUTO_TEST_CASE(a_bad_recipient_does_not_harm_the_others) {
  Play play({.ehlo_name = "me"}, {{.to = {"a\r\nDATA\r\n@b", "\"o k>\"@b", "\xc3\xa9 x@b"}}});
  play.script(kHello, false);
  play.hears("MAIL FROM:<me@a.example> SIZE=4\r\nRCPT TO:<\"o k>\"@b>\r\nDATA\r\n");
  play.says("250 Ok\r\n250 Ok\r\n354 Go\r\n");
  play.hears("Hi\r\n.\r\n");
  play.says("250 Queued\r\n");
  const std::vector<std::string> expected{"ready",
                                          "0: rcpt_to protocol_error (control character in the address)",
                                          "2: rcpt_to protocol_error (space, quote or angle bracket in the address)",
                                          "1: final_dot reply 250 Queued",
                                          "done",
                                          "ready"};
  BOOST_TEST(play.events == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(ehlo_name_cannot_carry_a_command) {
  for (const std::string name : {"", "me\r\nMAIL FROM:<>", "a b", "me\n", "m\xc3\xa9"}) {
    Play play({.ehlo_name = name}, {});
    play.says("220 mx\r\n");
    play.hears("");
    BOOST_TEST(
        play.events == std::vector<std::string>{"closed: ehlo protocol_error (the EHLO name is not a host name)"},
        boost::test_tools::per_element());
  }
}

BOOST_AUTO_TEST_CASE(output_is_the_message_itself) {
  const std::string data = "Hi\r\n.\r\n";
  Play play({.ehlo_name = "me"}, {{.data = data}});
  play.script(kHello, false);
  play.hears("MAIL FROM:<me@a.example> SIZE=4\r\nRCPT TO:<you@b.example>\r\nDATA\r\n");
  play.says("250 Ok\r\n250 Ok\r\n354 Go\r\n");
  BOOST_TEST(static_cast<const void*>(play.session.output().data()) == static_cast<const void*>(data.data()));
  play.session.consume(3, play.now);
  BOOST_TEST(static_cast<const void*>(play.session.output().data()) == static_cast<const void*>(data.data() + 3));
}

BOOST_AUTO_TEST_CASE(quit) {
  struct QuitCase {
    std::string_view name, reply, closed;
  };
  constexpr QuitCase kCases[] = {
      {"221", "221 2.0.0 Bye\r\n", "closed: mail_from reply 221 2.0.0 Bye"},
      {"421", "421 Bye\r\n", "closed: mail_from reply 421 Bye"},
      {"garbage", "?\r\n", "closed: mail_from protocol_error (not an SMTP reply)"},
      {"closed", "", "closed: mail_from connection_lost (gone)"},
  };
  for (const QuitCase& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      Play play({.ehlo_name = "me"}, {});
      play.script(kHello, false);
      play.session.quit(play.now);
      play.hears("QUIT\r\n");
      play.says(c.reply);
      play.loses_connection(Cause::kConnectionLost, "gone");
      BOOST_TEST(play.events.back() == c.closed);
      BOOST_TEST(play.events.size() == 2U);
    }
  }
}

// The engine may begin a message in the moment in which the connection ends.
BOOST_AUTO_TEST_CASE(begun_after_the_close) {
  smtp::ClientSession session({.ehlo_name = "me"});
  const TimePoint now{};
  session.connected(now);
  session.on_disconnect(Cause::kConnectionLost, "gone", now);
  const std::string_view to = "a@b";
  session.begin({.mail_from = "", .rcpt_to = {&to, 1}, .data = ".\r\n"}, now);
  BOOST_TEST(words(*session.poll()) == "0: greeting connection_lost (gone)");
  BOOST_TEST(words(*session.poll()) == "done");
  BOOST_TEST(words(*session.poll()) == "closed: greeting connection_lost (gone)");
  BOOST_TEST(!session.poll());
}
