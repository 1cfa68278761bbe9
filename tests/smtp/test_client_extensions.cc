// What a server may offer beyond the plain way: AUTH, implicit TLS, LMTP, DSN, REQUIRETLS, 8BITMIME, limits of
// recipients. Whole dialogues, each fed at once and split at every octet.
#include <boost/test/unit_test.hpp>

#include "core/base/encoding.h"
#include "tests/smtp/client_play.h"

using namespace mailsbuddy;
using namespace mailsbuddy::test;
using smtp::Login;
using smtp::Protocol;
using smtp::TlsPolicy;

namespace {

struct Case {
  std::string_view name;
  smtp::SessionOptions options{.ehlo_name = "me"};
  std::vector<Mail> mails{};
  bool ahead = false;
  bool verified = false;
  std::string script{};
  std::vector<std::string_view> events;
};

void check(const Case& c) {
  BOOST_TEST_CONTEXT(c.name) {
    Play whole(c.options, c.mails, c.ahead, c.verified);
    whole.script(c.script, 0);
    BOOST_TEST(whole.events == c.events, boost::test_tools::per_element());
    for (std::size_t piece = 1; piece < whole.longest_said; ++piece) {
      Play pieces(c.options, c.mails, c.ahead, c.verified);
      pieces.script(c.script, piece);
      BOOST_TEST(pieces.outcomes() == whole.outcomes(), boost::test_tools::per_element());
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// AUTH

const Login kPassword{.user = "ann", .password = "s3cret"};
const Login kToken{.user = "ann@b.example", .password = "s3cret", .token = "ya29.token"};

smtp::SessionOptions secure(const Login& login) { return {.ehlo_name = "me", .implicit_tls = true, .login = login}; }
smtp::SessionOptions clear(Login login, bool allowed = true) {
  login.in_clear = allowed;
  return {.ehlo_name = "me", .tls = TlsPolicy::kNone, .login = std::move(login)};
}

std::string base64(std::string_view text) {
  std::string out;
  append_base64(out, text);
  return out;
}

#define OFFERS(what) "S: 220 mx\nC: EHLO me\nS: 250-mx\nS: 250 " what "\n"
#define MAIL_ONE \
  "C: MAIL FROM:<me@a.example>\nS: 250 Ok\nC: RCPT TO:<you@b.example>\nS: 250 Ok\nC: DATA\nS: 354 Go\nC: Hi\nC: .\n"

const std::string kLongToken(500, 't');
const std::string kLongPlain(250, 'p');

const Case kAuth[] = {
    {.name = "PLAIN, with its response at once",
     .options = secure(kPassword),
     .mails = {{}},
     .script = OFFERS("AUTH LOGIN PLAIN") "C: AUTH PLAIN " + base64(std::string_view("\0ann\0s3cret", 11)) +
               "\nS: 235 2.7.0 Welcome\n" MAIL_ONE "S: 250 Queued\n",
     .events = {"ready", "0: final_dot reply 250 Queued", "done", "ready"}},
    {.name = "LOGIN, where there is nothing else",
     .options = secure(kPassword),
     .script = OFFERS("AUTH CRAM-MD5 LOGIN") "C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: YW5u\nS: 334 UGFzc3dvcmQ6\nC: "
                                             "czNjcmV0\nS: 235 Ok\n",
     .events = {"ready"}},
    {.name = "the old form of the offer",
     .options = secure(kPassword),
     .script = OFFERS("AUTH=LOGIN") "C: AUTH LOGIN\n",
     .events = {}},
    {.name = "XOAUTH2 where there is a token",
     .options = secure(kToken),
     .script = OFFERS("AUTH PLAIN XOAUTH2") "C: AUTH XOAUTH2 " +
               base64("user=ann@b.example\x01"
                      "auth=Bearer ya29.token\x01\x01") +
               "\nS: 235 Ok\n",
     .events = {"ready"}},
    {.name = "a token, and a server that has only PLAIN",
     .options = secure(kToken),
     .script = OFFERS("AUTH PLAIN") "C: AUTH PLAIN " + base64(std::string_view("\0ann@b.example\0s3cret", 21)) +
               "\nS: 235 Ok\n",
     .events = {"ready"}},
    {.name = "XOAUTH2 refused: the reasons are answered by an empty line",
     .options = secure(kToken),
     .script = OFFERS("AUTH XOAUTH2") "C: AUTH XOAUTH2 " +
               base64("user=ann@b.example\x01"
                      "auth=Bearer ya29.token\x01\x01") +
               "\nS: 334 eyJzdGF0dXMiOiI0MDEifQ==\nC: \nS: 535 5.7.8 Bad token\n",
     .events = {"closed: auth reply 535 5.7.8 Bad token"}},
    {.name = "too long for one command: after the challenge",
     .options = secure({.user = "ann", .token = kLongToken}),
     .script = OFFERS("AUTH XOAUTH2") "C: AUTH XOAUTH2\nS: 334 \nC: " +
               base64("user=ann\x01"
                      "auth=Bearer " +
                      kLongToken + "\x01\x01") +
               "\nS: 334 eyJ9\nC: \nS: 535 No\n",
     .events = {"closed: auth reply 535 No"}},
    {.name = "PLAIN too long for one command",
     .options = secure({.user = kLongPlain, .password = kLongPlain}),
     .script = OFFERS("AUTH PLAIN") "C: AUTH PLAIN\nS: 334 \nC: " +
               base64(std::string(1, '\0') + kLongPlain + std::string(1, '\0') + kLongPlain) + "\nS: 235 Ok\n",
     .events = {"ready"}},
    {.name = "after STARTTLS, by what is offered there",
     .options = {.ehlo_name = "me", .login = kPassword},
     .script = "S: 220 mx\nC: EHLO me\nS: 250-mx\nS: 250-AUTH LOGIN\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 Go\nC: EHLO "
               "me\nS: 250-mx\nS: 250 AUTH PLAIN\nC: AUTH PLAIN AGFubgBzM2NyZXQ=\nS: 235 Ok\n",
     .events = {"tls", "ready"}},
    {.name = "refused",
     .options = secure(kPassword),
     .script = OFFERS("AUTH PLAIN") "C: AUTH PLAIN AGFubgBzM2NyZXQ=\nS: 535 5.7.8 No\n",
     .events = {"closed: auth reply 535 5.7.8 No"}},
    {.name = "refused for now",
     .options = secure(kPassword),
     .script = OFFERS("AUTH PLAIN") "C: AUTH PLAIN AGFubgBzM2NyZXQ=\nS: 454 4.7.0 Later\n",
     .events = {"closed: auth reply 454 4.7.0 Later"}},
    {.name = "in clear, allowed",
     .options = clear(kPassword),
     .script = OFFERS("AUTH PLAIN") "C: AUTH PLAIN AGFubgBzM2NyZXQ=\nS: 235 Ok\n",
     .events = {"ready"}},
    {.name = "in clear, not allowed: not a word",
     .options = clear(kPassword, false),
     .script = OFFERS("AUTH PLAIN"),
     .events = {"closed: auth tls_unavailable (no TLS, and a login is not sent in clear)"}},
    {.name = "STARTTLS refused: not a word in clear",
     .options = {.ehlo_name = "me", .login = kPassword},
     .script = "S: 220 mx\nC: EHLO me\nS: 250-mx\nS: 250-AUTH PLAIN\nS: 250 STARTTLS\nC: STARTTLS\nS: 454 No\n",
     .events = {"closed: auth tls_unavailable (no TLS, and a login is not sent in clear)"}},
    {.name = "not offered",
     .options = secure(kPassword),
     .script = OFFERS("PIPELINING"),
     .events = {"closed: auth auth_unavailable (no AUTH mechanism in common)"}},
    {.name = "no mechanism in common",
     .options = secure(kPassword),
     .script = OFFERS("AUTH GSSAPI XOAUTH2"),
     .events = {"closed: auth auth_unavailable (no AUTH mechanism in common)"}},
    {.name = "HELO has no AUTH",
     .options = secure(kPassword),
     .script = "S: 220 mx\nC: EHLO me\nS: 500 What\nC: HELO me\nS: 250 mx\n",
     .events = {"closed: auth auth_unavailable (no AUTH mechanism in common)"}},
    {.name = "a challenge too many, PLAIN",
     .options = secure(kPassword),
     .script = OFFERS("AUTH PLAIN") "C: AUTH PLAIN AGFubgBzM2NyZXQ=\nS: 334 \n",
     .events = {"closed: auth protocol_error (a challenge that AUTH PLAIN has not)"}},
    {.name = "a challenge too many, LOGIN",
     .options = secure(kPassword),
     .script = OFFERS("AUTH LOGIN") "C: AUTH LOGIN\nS: 334 \nC: YW5u\nS: 334 \nC: czNjcmV0\nS: 334 czNjcmV0\n",
     .events = {"closed: auth protocol_error (a challenge that AUTH LOGIN has not)"}},
    {.name = "an answer that is none",
     .options = secure(kPassword),
     .script = OFFERS("AUTH PLAIN") "C: AUTH PLAIN AGFubgBzM2NyZXQ=\nS: 354 Go\n",
     .events = {"closed: auth protocol_error 354 Go (354 is no reply to AUTH)"}},
    {.name = "a NUL in the password would end it",
     .options = secure({.user = "ann", .password = std::string("a\0b", 3)}),
     .script = OFFERS("AUTH PLAIN"),
     .events = {"closed: auth protocol_error (the password cannot be sent)"}},
    {.name = "a user that would bring a token",
     .options = secure({.user = "ann\x01"
                                "auth=Bearer x",
                        .token = "t"}),
     .script = OFFERS("AUTH XOAUTH2"),
     .events = {"closed: auth protocol_error (the user's name cannot be sent)"}},
    {.name = "a token that would bring a field",
     .options = secure({.user = "ann", .token = "t\x01host=x"}),
     .script = OFFERS("AUTH XOAUTH2"),
     .events = {"closed: auth protocol_error (the token cannot be sent)"}},
};

// ---------------------------------------------------------------------------------------------------------------------
// Implicit TLS and LMTP

smtp::SessionOptions lmtp(bool pipelining = true) {
  return {.ehlo_name = "me",
          .tls = TlsPolicy::kNone,
          .pipelining = pipelining,
          .messages_in_flight = 3,
          .protocol = Protocol::kLmtp};
}

const Mail kThree{.to = {"a@b.example", "b@b.example", "c@b.example"}};

#define LHLO "S: 220 mx\nC: LHLO me\nS: 250-mx\nS: 250-CHUNKING\nS: 250 PIPELINING\n"
#define THREE                                                                                                      \
  "C: MAIL FROM:<me@a.example>\nC: RCPT TO:<a@b.example>\nC: RCPT TO:<b@b.example>\nC: RCPT TO:<c@b.example>\nC: " \
  "DATA\n"

const Case kOther[] = {
    {.name = "implicit TLS: no STARTTLS, though it is required and offered",
     .options = {.ehlo_name = "me", .tls = TlsPolicy::kRequired, .implicit_tls = true},
     .mails = {{}},
     .script = OFFERS("STARTTLS") "C: MAIL FROM:<me@a.example>\n",
     .events = {"ready"}},
    {.name = "LMTP: a reply for each recipient that was accepted, in their order",
     .options = lmtp(),
     .mails = {kThree, {}},
     .script = LHLO THREE
     "S: 250 Ok\nS: 250 Ok\nS: 550 5.1.1 No\nS: 250 Ok\nS: 354 Go\nC: Hi\nC: .\n"
     "S: 250 2.0.0 Stored\nS: 452 4.2.2 Full\nC: MAIL FROM:<me@a.example>\nC: RCPT TO:<you@b.example>\nC: DATA\n",
     .events = {"ready", "1: rcpt_to reply 550 5.1.1 No", "0: final_dot reply 250 2.0.0 Stored",
                "2: final_dot reply 452 4.2.2 Full", "done", "ready"}},
    {.name = "LMTP: the next envelope behind the message, and all the replies before its own",
     .options = lmtp(),
     .mails = {kThree, {}},
     .ahead = true,
     .script = LHLO THREE "S: 250 Ok\nS: 250 Ok\nS: 250 Ok\nS: 250 Ok\nS: 354 Go\nC: Hi\nC: .\n"
                          "C: MAIL FROM:<me@a.example>\nC: RCPT TO:<you@b.example>\nC: DATA\n"
                          "S: 250 A\nS: 550 B\nS: 250 C\nS: 250 Ok\nS: 250 Ok\nS: 354 Go\nC: Hi\nC: .\nS: 250 D\n",
     .events = {"ready", "0: final_dot reply 250 A", "1: final_dot reply 550 B", "2: final_dot reply 250 C", "done",
                "0: final_dot reply 250 D", "done", "ready"}},
    {.name = "LMTP, one command at a time",
     .options = lmtp(false),
     .mails = {{.to = {"a@b.example", "b@b.example"}}},
     .script = LHLO "C: MAIL FROM:<me@a.example>\nS: 250 Ok\nC: RCPT TO:<a@b.example>\nS: 250 Ok\n"
                    "C: RCPT TO:<b@b.example>\nS: 250 Ok\nC: DATA\nS: 354 Go\nC: Hi\nC: .\nS: 550 A\nS: 250 B\n",
     .events = {"ready", "0: final_dot reply 550 A", "1: final_dot reply 250 B", "done", "ready"}},
    {.name = "LMTP: all recipients refused, and so DATA",
     .options = lmtp(),
     .mails = {{}, {}},
     .script = LHLO
     "C: MAIL FROM:<me@a.example>\nC: RCPT TO:<you@b.example>\nC: DATA\n"
     "S: 250 Ok\nS: 550 No\nS: 503 No\nC: RSET\nC: MAIL FROM:<me@a.example>\nC: RCPT TO:<you@b.example>\nC: DATA\n",
     .events = {"ready", "0: rcpt_to reply 550 No", "done", "ready"}},
    {.name = "LMTP: 354 for nobody leaves no way to know what answers what",
     .options = lmtp(),
     .mails = {{}},
     .script =
         LHLO "C: MAIL FROM:<me@a.example>\nC: RCPT TO:<you@b.example>\nC: DATA\nS: 250 Ok\nS: 550 No\nS: 354 Go\n",
     .events = {"ready", "0: rcpt_to reply 550 No", "done",
                "closed: data protocol_error 354 Go (354 without a recipient)"}},
    {.name = "LMTP: LHLO is all there is",
     .options = lmtp(),
     .script = "S: 220 mx\nC: LHLO me\nS: 500 What\n",
     .events = {"closed: ehlo reply 500 What"}},
    {.name = "LMTP: 421 among the replies",
     .options = lmtp(),
     .mails = {kThree},
     .script =
         LHLO THREE "S: 250 Ok\nS: 250 Ok\nS: 250 Ok\nS: 250 Ok\nS: 354 Go\nC: Hi\nC: .\nS: 250 A\nS: 421 4.3.2 Down\n",
     .events = {"ready", "0: final_dot reply 250 A", "1: final_dot reply 421 4.3.2 Down",
                "2: final_dot reply 421 4.3.2 Down", "done", "closed: final_dot reply 421 4.3.2 Down"}},
};

// ---------------------------------------------------------------------------------------------------------------------
// Parameters

using smtp::kNotifyDelay;
using smtp::kNotifyFailure;
using smtp::kNotifyNever;
using smtp::kNotifySuccess;

smtp::SessionOptions in_clear() { return {.ehlo_name = "me", .tls = TlsPolicy::kNone}; }

Mail reported() {
  return {
      .to = {"a@b.example", "b@b.example"},
      .ret = smtp::DsnReturn::kHeaders,
      .envid = "job 7+=",
      .dsn = {{.notify = kNotifySuccess | kNotifyDelay, .orcpt = "rfc822;ann+x@b.example"}, {.notify = kNotifyNever}}};
}

Mail utf8_report(bool smtputf8) {
  return {.smtputf8 = smtputf8, .dsn = {{.notify = kNotifyFailure, .orcpt = "utf-8;\xc3\xa9+\\@b.example"}}};
}

Mail with_dsn(std::string_view envid, std::string_view orcpt) { return {.envid = envid, .dsn = {{.orcpt = orcpt}}}; }

const std::string kLongWord(101, 'x');
const std::string kLongOrcpt = "rfc822;" + std::string(170, '+');
const std::string kWidest = "rfc822;" + std::string(493, 'x');
const std::string kWidestParameters = "C: RCPT TO:<you@b.example> ORCPT=" + kWidest + "\n";

const Case kParameters[] = {
    {.name = "DSN, all of it",
     .options = in_clear(),
     .mails = {reported()},
     .script = OFFERS("DSN") "C: MAIL FROM:<me@a.example> RET=HDRS ENVID=job+207+2B+3D\nS: 250 Ok\n"
                             "C: RCPT TO:<a@b.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;ann+2Bx@b.example\nS: 250 Ok\n"
                             "C: RCPT TO:<b@b.example> NOTIFY=NEVER\n",
     .events = {"ready"}},
    {.name = "DSN not offered: nothing of it",
     .options = in_clear(),
     .mails = {reported()},
     .script = OFFERS("SIZE") "C: MAIL FROM:<me@a.example> SIZE=4\nS: 250 Ok\nC: RCPT TO:<a@b.example>\n",
     .events = {"ready"}},
    {.name = "an address of type utf-8, escaped",
     .options = in_clear(),
     .mails = {utf8_report(false)},
     .script = OFFERS("DSN") "C: MAIL FROM:<me@a.example>\nS: 250 Ok\n"
                             "C: RCPT TO:<you@b.example> NOTIFY=FAILURE ORCPT=utf-8;\\x{E9}\\x{2B}\\x{5C}@b.example\n",
     .events = {"ready"}},
    {.name = "an address of type utf-8, as it is in a transaction with SMTPUTF8",
     .options = in_clear(),
     .mails = {utf8_report(true)},
     .script = "S: 220 mx\nC: EHLO me\nS: 250-mx\nS: 250-SMTPUTF8\nS: 250 DSN\nC: MAIL FROM:<me@a.example> "
               "SMTPUTF8\nS: 250 Ok\n"
               "C: RCPT TO:<you@b.example> NOTIFY=FAILURE ORCPT=utf-8;\xc3\xa9\\x{2B}\\x{5C}@b.example\n",
     .events = {"ready"}},
    {.name = "an ENVID that would bring a command",
     .options = in_clear(),
     .mails = {with_dsn("x\r\nRCPT TO:<y@z>", "")},
     .script = OFFERS("DSN"),
     .events = {"ready", "0: mail_from protocol_error (ENVID is not printable)", "done", "ready"}},
    {.name = "an ENVID too long",
     .options = in_clear(),
     .mails = {with_dsn(kLongWord, "")},
     .script = OFFERS("DSN"),
     .events = {"ready", "0: mail_from protocol_error (ENVID too long)", "done", "ready"}},
    {.name = "an ORCPT that would bring a command",
     .options = in_clear(),
     .mails = {with_dsn("", "rfc822;x\r\nDATA")},
     .script = OFFERS("DSN"),
     .events = {"ready", "0: rcpt_to protocol_error (ORCPT is not printable)", "done", "ready"}},
    {.name = "an ORCPT type that would bring a parameter",
     .options = in_clear(),
     .mails = {with_dsn("", "rfc822 NOTIFY=NEVER;x")},
     .script = OFFERS("DSN"),
     .events = {"ready", "0: rcpt_to protocol_error (ORCPT has no type or no address)", "done", "ready"}},
    {.name = "an ORCPT without an address",
     .options = in_clear(),
     .mails = {with_dsn("", "rfc822;")},
     .script = OFFERS("DSN"),
     .events = {"ready", "0: rcpt_to protocol_error (ORCPT has no type or no address)", "done", "ready"}},
    {.name = "an ORCPT too long",
     .options = in_clear(),
     .mails = {with_dsn("", kLongOrcpt)},
     .script = OFFERS("DSN"),
     .events = {"ready", "0: rcpt_to protocol_error (ORCPT too long)", "done", "ready"}},
    {.name = "as long as it may be",
     .options = in_clear(),
     .mails = {with_dsn("", kWidest)},
     .script = OFFERS("DSN") "C: MAIL FROM:<me@a.example>\nS: 250 Ok\n" + kWidestParameters,
     .events = {"ready"}},
    {.name = "an address of type utf-8 that came escaped, and a word that only looks so",
     .options = in_clear(),
     .mails = {with_dsn("", "utf-8;\\x{E9}\\x{e9}\\x{1}\\x{1234567}@b.example")},
     .script = OFFERS(
         "DSN") "C: MAIL FROM:<me@a.example>\nS: 250 Ok\n"
                "C: RCPT TO:<you@b.example> ORCPT=utf-8;\\x{E9}\\x{5C}x{e9}\\x{5C}x{1}\\x{5C}x{1234567}@b.example\n",
     .events = {"ready"}},
    {.name = "an ORCPT that is no UTF-8",
     .options = in_clear(),
     .mails = {with_dsn("", "utf-8;\xc3")},
     .script = OFFERS("DSN"),
     .events = {"ready", "0: rcpt_to protocol_error (ORCPT is not printable)", "done", "ready"}},
    {.name = "REQUIRETLS",
     .options = secure({}),
     .mails = {{.require_tls = true}},
     .verified = true,
     .script = OFFERS("REQUIRETLS") "C: MAIL FROM:<me@a.example> REQUIRETLS\n",
     .events = {"ready"}},
    {.name = "REQUIRETLS after STARTTLS",
     .mails = {{.require_tls = true}},
     .verified = true,
     .script =
         "S: 220 mx\nC: EHLO me\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 Go\nC: EHLO me\nS: 250-mx\nS: 250 "
         "REQUIRETLS\nC: MAIL FROM:<me@a.example> REQUIRETLS\n",
     .events = {"tls", "ready"}},
    {.name = "REQUIRETLS, a certificate that is not verified",
     .options = secure({}),
     .mails = {{.require_tls = true}, {}},
     .script = OFFERS("REQUIRETLS") "C: MAIL FROM:<me@a.example>\n",
     .events = {"ready", "0: mail_from require_tls_unavailable (the server is not verified)", "done", "ready"}},
    {.name = "REQUIRETLS, not offered",
     .options = secure({}),
     .mails = {{.require_tls = true}},
     .verified = true,
     .script = OFFERS("SIZE"),
     .events = {"ready", "0: mail_from require_tls_unavailable (REQUIRETLS is not offered)", "done", "ready"}},
    {.name = "REQUIRETLS, in clear",
     .options = in_clear(),
     .mails = {{.require_tls = true}},
     .script = OFFERS("REQUIRETLS"),
     .events = {"ready", "0: mail_from require_tls_unavailable (there is no TLS)", "done", "ready"}},
    {.name = "octets above 127 and no 8BITMIME: not a word",
     .options = in_clear(),
     .mails = {{.eight_bit = true}, {}},
     .script = OFFERS("SIZE") "C: MAIL FROM:<me@a.example> SIZE=4\n",
     .events = {"ready", "0: mail_from eight_bit_unavailable (8BITMIME is not offered)", "done", "ready"}},
    {.name = "SMTPUTF8 brings 8BITMIME along",
     .options = in_clear(),
     .mails = {{.eight_bit = true, .smtputf8 = true}},
     .script = OFFERS("SMTPUTF8") "C: MAIL FROM:<me@a.example> SMTPUTF8\n",
     .events = {"ready"}},
};

// ---------------------------------------------------------------------------------------------------------------------
// Limits

smtp::SessionOptions at_most(std::size_t recipients) {
  return {.ehlo_name = "me", .tls = TlsPolicy::kNone, .recipients_max = recipients};
}

#define GROUP(to) "C: MAIL FROM:<me@a.example>\nC: RCPT TO:<" to ">\nC: DATA\n"

const Case kLimits[] = {
    {.name = "452 4.5.3 after others: not tried, and known from then on",
     .options = in_clear(),
     .mails = {kThree, kThree},
     .script = OFFERS("PIPELINING") THREE
     "S: 250 Ok\nS: 250 Ok\nS: 250 Ok\nS: 452 4.5.3 Too many\nS: 354 Go\nC: Hi\nC: .\nS: 250 Queued\n"
     "C: MAIL FROM:<me@a.example>\nC: RCPT TO:<a@b.example>\nC: RCPT TO:<b@b.example>\nC: DATA\n",
     .events = {"ready", "2: rcpt_to transaction_full 452 4.5.3 Too many (the server takes no more of them)",
                "0: final_dot reply 250 Queued", "1: final_dot reply 250 Queued", "done", "ready",
                "2: rcpt_to transaction_full (2 recipients are in it)"}},
    {.name = "552 of older servers, one command at a time",
     .options = in_clear(),
     .mails = {{.to = {"a@b.example", "b@b.example"}}},
     .script = OFFERS("SIZE") "C: MAIL FROM:<me@a.example> SIZE=4\nS: 250 Ok\nC: RCPT TO:<a@b.example>\nS: 250 Ok\n"
                              "C: RCPT TO:<b@b.example>\nS: 552 Too many\nC: DATA\n",
     .events = {"ready", "1: rcpt_to transaction_full 552 Too many (the server takes no more of them)"}},
    {.name = "452 to the first one is its own",
     .options = in_clear(),
     .mails = {kThree},
     .script = OFFERS("PIPELINING") THREE
     "S: 250 Ok\nS: 452 4.5.3 Too many\nS: 452 4.5.3 Too many\nS: 452 4.5.3 Too many\nS: 554 No\n",
     .events = {"ready", "0: rcpt_to reply 452 4.5.3 Too many", "1: rcpt_to reply 452 4.5.3 Too many",
                "2: rcpt_to reply 452 4.5.3 Too many", "done", "ready"}},
    {.name = "452 that says something else",
     .options = in_clear(),
     .mails = {kThree},
     .script = OFFERS("PIPELINING") THREE
     "S: 250 Ok\nS: 250 Ok\nS: 452 4.2.2 Full\nS: 552 5.2.2 Full\nS: 354 Go\nC: Hi\nC: .\n",
     .events = {"ready", "1: rcpt_to reply 452 4.2.2 Full", "2: rcpt_to reply 552 5.2.2 Full"}},
    {.name = "our own limit, who cannot be named aside",
     .options = at_most(1),
     .mails = {{.to = {"", "a@b.example", "b@b.example"}}},
     .script = OFFERS("PIPELINING") GROUP("a@b.example"),
     .events = {"ready", "0: rcpt_to protocol_error (no address)",
                "2: rcpt_to transaction_full (1 recipients are in it)"}},
    {.name = "RCPTMAX",
     .options = in_clear(),
     .mails = {kThree},
     .script = OFFERS("LIMITS RCPTMAX=2 FUTURE=7") "C: MAIL FROM:<me@a.example>\n",
     .events = {"ready", "2: rcpt_to transaction_full (2 recipients are in it)"}},
    {.name = "RCPTDOMAINMAX",
     .options = in_clear(),
     .mails = {{.to = {"a@b.example", "a@c.example", "b@b.example", "b@c.example"}}},
     .script = "S: 220 mx\nC: EHLO me\nS: 250-mx\nS: 250-PIPELINING\nS: 250 LIMITS rcptdomainmax=1\n"
               "C: MAIL FROM:<me@a.example>\nC: RCPT TO:<a@b.example>\nC: RCPT TO:<b@b.example>\nC: DATA\n",
     .events = {"ready", "1: rcpt_to transaction_full (1 recipients are in it)",
                "3: rcpt_to transaction_full (2 recipients are in it)"}},
    {.name = "RCPTMAX behind another message: when its turn comes",
     .options = in_clear(),
     .mails = {{.to = {"1@b.example"}}, kThree},
     .ahead = true,
     .script = "S: 220 mx\nC: EHLO me\nS: 250-mx\nS: 250-PIPELINING\nS: 250 LIMITS RCPTMAX=1\n" GROUP(
         "1@b.example") "S: 250 Ok\nS: 250 Ok\nS: 354 Go\nC: Hi\nC: .\nS: 250 Queued\n" GROUP("a@b.example"),
     .events = {"ready", "0: final_dot reply 250 Queued", "done",
                "1: rcpt_to transaction_full (1 recipients are in it)",
                "2: rcpt_to transaction_full (1 recipients are in it)"}},
    {.name = "MAILMAX: QUIT, and nothing is begun ahead",
     .options = in_clear(),
     .mails = {{.to = {"1@b.example"}}, {.to = {"2@b.example"}}, {.to = {"3@b.example"}}},
     .ahead = true,
     .script = "S: 220 mx\nC: EHLO me\nS: 250-mx\nS: 250-PIPELINING\nS: 250 LIMITS MAILMAX=2\n" GROUP(
         "1@b.example") "S: 250 Ok\nS: 250 Ok\nS: 354 Go\nC: Hi\nC: .\n" GROUP("2@b.example") "S: 250 A\nS: 250 Ok\nS: "
                                                                                              "250 Ok\nS: 354 Go\nC: "
                                                                                              "Hi\nC: .\nS: 250 B\nC: "
                                                                                              "QUIT\nS: 221 Bye\n",
     .events = {"ready", "0: final_dot reply 250 A", "done", "sending", "0: final_dot reply 250 B", "done",
                "closed: mail_from reply 221 Bye"}},
    {.name = "limits that are none",
     .options = in_clear(),
     .mails = {kThree},
     .script = OFFERS(
         "LIMITS RCPTMAX=0 MAILMAX= RCPTDOMAINMAX=x RCPTMAX=99999999999999999999999") "C: MAIL FROM:<me@a.example>\n",
     .events = {"ready"}},
};

}  // namespace

BOOST_AUTO_TEST_CASE(auth) {
  for (const Case& c : kAuth) check(c);
}

// Gives the next one once that before was refused, as who renews it would.
struct Tokens final : smtp::TokenSource {
  explicit Tokens(std::vector<std::string> all) : left(std::move(all)) {}
  std::string token() override { return left.empty() ? "" : left.front(); }
  void refused(std::string_view token) override {
    BOOST_TEST(token == left.front());
    ++refusals;
    left.erase(left.begin());
  }
  std::vector<std::string> left;
  int refusals = 0;
};

BOOST_AUTO_TEST_CASE(tokens_that_are_renewed) {
  const auto says = [](std::string_view token) {
    return "C: AUTH XOAUTH2 " + base64("user=ann\x01" "auth=Bearer " + std::string(token) + "\x01\x01") + "\n";
  };
  const std::string kNo = "S: 334 eyJzdGF0dXMiOiI0MDEifQ==\nC: \nS: 535 Expired\n";
  struct TokenCase {
    std::string_view name;
    std::vector<std::string> tokens;
    std::string script;
    std::string_view event;
    int refusals;
  };
  const TokenCase cases[] = {
      {"good", {"one"}, says("one") + "S: 235 Ok\n", "ready", 0},
      {"expired", {"one", "two"}, says("one") + kNo + says("two") + "S: 235 Ok\n", "ready", 1},
      {"expired, said at once", {"one", "two"}, says("one") + "S: 535 Expired\n" + says("two") + "S: 235 Ok\n", "ready", 1},
      {"no better", {"one", "two", "three"}, says("one") + kNo + says("two") + kNo, "closed: auth reply 535 Expired", 1},
      {"the same again", {"one", "one"}, says("one") + kNo, "closed: auth reply 535 Expired", 1},
      {"no other", {"one"}, says("one") + kNo, "closed: auth reply 535 Expired", 1},
      {"sent away", {"one", "two"}, says("one") + "S: 421 Later\n", "closed: auth reply 421 Later", 0},
      {"none", {}, "", "closed: auth auth_unavailable (no AUTH mechanism in common)", 0},
  };
  for (const TokenCase& c : cases) {
    BOOST_TEST_CONTEXT(c.name) {
      const auto tokens = std::make_shared<Tokens>(c.tokens);
      Play play(secure({.user = "ann", .tokens = tokens}), {});
      play.script(OFFERS("AUTH XOAUTH2") + c.script, 0);
      BOOST_TEST(play.events == std::vector<std::string>{std::string(c.event)}, boost::test_tools::per_element());
      BOOST_TEST(tokens->refusals == c.refusals);
    }
  }
}

BOOST_AUTO_TEST_CASE(implicit_tls_and_lmtp) {
  for (const Case& c : kOther) check(c);
}

BOOST_AUTO_TEST_CASE(parameters) {
  for (const Case& c : kParameters) check(c);
}

BOOST_AUTO_TEST_CASE(limits) {
  for (const Case& c : kLimits) check(c);
}

// Who shows a session's octets to people asks secret() first. It holds exactly while there is one among them.
BOOST_AUTO_TEST_CASE(secrets_are_marked) {
  Play play(secure(kPassword), {});
  const auto quiet = [&play] { return !play.session.secret(); };
  BOOST_TEST(quiet());
  play.says("220 mx\r\n");
  BOOST_TEST(quiet());
  play.hears("EHLO me\r\n");
  play.says("250-mx\r\n250 AUTH LOGIN\r\n");
  BOOST_TEST(quiet());
  play.hears("AUTH LOGIN\r\n");
  play.says("334 \r\n");
  BOOST_TEST(!quiet());
  play.session.consume(2, play.now);
  BOOST_TEST(!quiet());
  play.hears("5u\r\n");
  BOOST_TEST(quiet());
  play.says("334 \r\n");
  BOOST_TEST(!quiet());
  play.loses_connection(Cause::kConnectionLost, "gone");
  BOOST_TEST(quiet());
  BOOST_TEST(play.session.output().empty());
  BOOST_TEST(play.events.back() == "closed: auth connection_lost (gone)");
}
