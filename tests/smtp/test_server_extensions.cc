// AUTH, DSN, XCLIENT and the refusal of lone CRs and LFs, in the receiver session, and their parsers alone.
#include <boost/test/unit_test.hpp>

#include <string>
#include <string_view>

#include "smtp/proto/line_ends.h"
#include "smtp/proto/xtext.h"
#include "tests/smtp/server_play.h"

namespace mailsbuddy::smtp {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

const ServerOptions kAuth{.host = "mx.example", .auth = AuthOffer::kAlways, .auth_required = true};
const ServerOptions kAuthUnderTls{.host = "mx.example", .start_tls = true, .auth = AuthOffer::kUnderTls};
const ServerOptions kTlsRequired{.host = "mx.example", .start_tls = true, .tls_required = true};
const ServerOptions kDsn{.host = "mx.example", .dsn = true};
const ServerOptions kNoAuth{.host = "mx.example"};
const ServerOptions kStrict{.host = "mx.example", .chunking = true, .bare_line_ends = false};

#define EHLO "EHLO me\r\n"
#define EHLO_AUTH                                                                                            \
  "250-mx.example\r\n250-PIPELINING\r\n250-SIZE\r\n250-AUTH PLAIN LOGIN\r\n250-SMTPUTF8\r\n250-8BITMIME\r\n" \
  "250 ENHANCEDSTATUSCODES\r\n"
#define EHLO_NO_AUTH                                                                 \
  "250-mx.example\r\n250-PIPELINING\r\n250-SIZE\r\n250-SMTPUTF8\r\n250-8BITMIME\r\n" \
  "250 ENHANCEDSTATUSCODES\r\n"
#define EHLO_XCLIENT                                                                                          \
  "250-mx.example\r\n250-PIPELINING\r\n250-SIZE\r\n250-SMTPUTF8\r\n250-XCLIENT NAME ADDR PORT PROTO HELO\r\n" \
  "250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n"

const Case kAuthSessions[] = {
    {.name = "PLAIN with an initial response",  // "\0ann\0secret"
     .options = &kAuth,
     .input = EHLO "AUTH PLAIN AGFubgBzZWNyZXQ=\r\nMAIL FROM:<a@b.c> AUTH=<>\r\nEHLO me\r\n",
     .output = EHLO_AUTH "235 2.7.0 Ok\r\n250 2.1.0 Ok\r\n" EHLO_NO_AUTH,
     .log = "auth |ann|secret\nmail <a@b.c>\nreset\n"},
    {.name = "PLAIN after a challenge, with whom to act as",  // "bob\0ann\0secret"
     .options = &kAuth,
     .input = EHLO "auth plain\r\nYm9iAGFubgBzZWNyZXQ=\r\n",
     .output = EHLO_AUTH "334 \r\n235 2.7.0 Ok\r\n",
     .log = "auth bob|ann|secret\n"},
    {.name = "LOGIN",
     .options = &kAuth,
     .input = EHLO "AUTH LOGIN\r\nYW5u\r\nc2VjcmV0\r\n",
     .output = EHLO_AUTH "334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n235 2.7.0 Ok\r\n",
     .log = "auth |ann|secret\n"},
    {.name = "LOGIN with the name in the command",
     .options = &kAuth,
     .input = EHLO "AUTH LOGIN YW5u\r\nc2VjcmV0\r\n",
     .output = EHLO_AUTH "334 UGFzc3dvcmQ6\r\n235 2.7.0 Ok\r\n",
     .log = "auth |ann|secret\n"},
    {.name = "a password that is wrong, then one that is right",
     .options = &kAuth,
     .input = EHLO "AUTH LOGIN YW5u\r\nd3Jvbmc=\r\nMAIL FROM:<a@b.c>\r\nAUTH LOGIN YW5u\r\nc2VjcmV0\r\nAUTH PLAIN\r\n",
     .output = EHLO_AUTH "334 UGFzc3dvcmQ6\r\n535 5.7.8 No\r\n530 5.7.0 Authentication required\r\n"
                         "334 UGFzc3dvcmQ6\r\n235 2.7.0 Ok\r\n503 5.5.1 Authenticated already\r\n",
     .log = "auth |ann|wrong\nauth |ann|secret\n"},
    {.name = "cancelled, also where it stands for an empty response",
     .options = &kAuth,
     .input = EHLO "AUTH PLAIN\r\n*\r\nAUTH LOGIN\r\nYW5u\r\n*\r\nAUTH PLAIN =\r\nNOOP\r\n",
     .output = EHLO_AUTH "334 \r\n501 5.7.0 Cancelled\r\n334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n"
                         "501 5.7.0 Cancelled\r\n501 5.5.2 Bad response\r\n250 2.0.0 Ok\r\n"},
    {.name = "what is no command is a response: it must not be run",
     .options = &kAuth,
     .input = EHLO "AUTH PLAIN\r\nMAIL FROM:<a@b.c>\r\nAUTH LOGIN\r\nQUIT\r\n*\r\nNOOP\r\n",
     .output = EHLO_AUTH "334 \r\n501 5.5.2 Bad response\r\n334 VXNlcm5hbWU6\r\n501 5.5.2 Bad response\r\n"
                         "500 5.5.1 Command not known\r\n250 2.0.0 Ok\r\n"},
    {.name = "421 as the answer",  // "\0hangup\0x"
     .options = &kAuth,
     .input = EHLO "AUTH PLAIN AGhhbmd1cAB4\r\nNOOP\r\n",
     .output = EHLO_AUTH "421 4.7.0 Enough\r\n",
     .log = "auth |hangup|x\nclose\n"},
    {.name = "out of order",
     .options = &kAuth,
     .input = "AUTH PLAIN AGFubgBzZWNyZXQ=\r\nHELO me\r\nAUTH PLAIN AGFubgBzZWNyZXQ=\r\n" EHLO
              "AUTH\r\nAUTH CRAM-MD5\r\nMAIL FROM:<a@b.c>\r\nVRFY ann\r\nRCPT TO:<a@b.c>\r\nDATA\r\n",
     .output = "503 5.5.1 Send EHLO first\r\n250 mx.example\r\n503 5.5.1 Send EHLO first\r\n" EHLO_AUTH
               "504 5.5.4 Mechanism not known\r\n504 5.5.4 Mechanism not known\r\n"
               "530 5.7.0 Authentication required\r\n530 5.7.0 Authentication required\r\n"
               "503 5.5.1 Send MAIL first\r\n503 5.5.1 Send RCPT first\r\n"},
    {.name = "within a transaction",
     .options = &kAuthUnderTls,
     .input = "EHLO me\r\nMAIL FROM:<a@b.c>\r\nAUTH PLAIN\r\n",
     .output = "250-mx.example\r\n250-PIPELINING\r\n250-SIZE\r\n250-STARTTLS\r\n250-SMTPUTF8\r\n250-8BITMIME\r\n"
               "250 ENHANCEDSTATUSCODES\r\n250 2.1.0 Ok\r\n538 5.7.11 Encryption required\r\n",
     .log = "mail <a@b.c>\n"},
    {.name = "not offered",
     .options = &kNoAuth,
     .input = EHLO "AUTH PLAIN AGFubgBzZWNyZXQ=\r\nMAIL FROM:<a@b.c> AUTH=<>\r\n",
     .output = EHLO_NO_AUTH "502 5.5.1 AUTH not offered\r\n555 5.5.4 MAIL parameter not known\r\n"},
    {.name = "TLS first",
     .options = &kTlsRequired,
     .input = "HELO me\r\nMAIL FROM:<a@b.c>\r\nRSET\r\nHELP\r\nNOOP\r\nQUIT\r\n",
     .output = "250 mx.example\r\n530 5.7.0 Must issue a STARTTLS command first\r\n"
               "530 5.7.0 Must issue a STARTTLS command first\r\n530 5.7.0 Must issue a STARTTLS command first\r\n"
               "250 2.0.0 Ok\r\n221 2.0.0 Bye\r\n",
     .log = "close\n"},
    {.name = "BDAT before AUTH is read and thrown away",
     .options = &kStrict,
     .input = "HELO me\r\nBDAT 8 LAST\r\nEHLO x\r\nNOOP\r\n",
     .output = "250 mx.example\r\n503 5.5.1 No valid recipients\r\n250 2.0.0 Ok\r\n"},
    {.name = "XCLIENT from anybody",
     .options = &kNoAuth,
     .input = EHLO "XCLIENT ADDR=192.0.2.1\r\n",
     .output = EHLO_NO_AUTH "550 5.7.1 XCLIENT not allowed\r\n"},
    {.name = "XCLIENT: all starts anew, and once only",
     .options = &kNoAuth,
     .input = EHLO "XCLIENT NAME=[UNAVAILABLE] addr=IPV6:2001:db8::1 HELO=a+2Bb PORT=25\r\nMAIL FROM:<a@b.c>\r\n" EHLO
                   "XCLIENT ADDR=192.0.2.2\r\n",
     .output = EHLO_XCLIENT "220 mx.example ESMTP\r\n503 5.5.1 Send EHLO first\r\n" EHLO_NO_AUTH
                            "550 5.7.1 XCLIENT not allowed\r\n",
     .log = "xclient 2001:db8::1 a+b\n",
     .trusted = true},
    {.name = "XCLIENT that cannot be taken",
     .options = &kNoAuth,
     .input = EHLO "XCLIENT\r\nXCLIENT LOGIN=ann\r\nXCLIENT ADDR=1 ADDR=2\r\nXCLIENT NAME=a+0D+0Ab\r\nXCLIENT NAME=\r\n"
                   "XCLIENT NAME=+2\r\nXCLIENT ADDR=::1\r\nMAIL FROM:<a@b.c>\r\nXCLIENT ADDR=192.0.2.1\r\n",
     .output = EHLO_XCLIENT
     "501 5.5.4 Bad XCLIENT\r\n501 5.5.4 Bad XCLIENT\r\n501 5.5.4 Bad XCLIENT\r\n501 5.5.4 Bad XCLIENT\r\n"
     "501 5.5.4 Bad XCLIENT\r\n501 5.5.4 Bad XCLIENT\r\n550 5.7.1 No\r\n250 2.1.0 Ok\r\n"
     "503 5.5.1 XCLIENT within a transaction\r\n",
     .log = "xclient ::1 \nmail <a@b.c>\n",
     .trusted = true},
    {.name = "DSN parameters",
     .options = &kDsn,
     .input = "HELO me\r\nMAIL FROM:<a@b.c> RET=HDRS ENVID=QQ+2B1\r\n"
              "RCPT TO:<d@e.f> NOTIFY=SUCCESS,delay ORCPT=rfc822;D+2Bx@e.f\r\nRCPT TO:<g@e.f> NOTIFY=NEVER\r\n"
              "RCPT TO:<h@e.f> NOTIFY=NEVER,DELAY\r\nRCPT TO:<i@e.f>\r\n",
     .output = "250 mx.example\r\n250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n250 2.1.5 Ok\r\n501 5.5.4 Bad NOTIFY\r\n"
               "250 2.1.5 Ok\r\n",
     .log = "mail <a@b.c> ret=hdrs envid=QQ+1\nrcpt <d@e.f> notify=10 orcpt=rfc822;D+x@e.f\nrcpt <g@e.f> notify=1\n"
            "rcpt <i@e.f>\n"},
    {.name = "a browser",
     .options = &kNoAuth,
     .input = "POST / HTTP/1.1\r\nHost: mx.example\r\n\r\nEHLO me\r\nMAIL FROM:<a@b.c>\r\n",
     .output = "421 4.7.0 This is SMTP\r\n",
     .log = "close\n"},
    {.name = "a browser that was told to put something before it",
     .options = &kNoAuth,
     .input = "NOOP\r\nHost: mx.example\r\nEHLO me\r\n",
     .output = "250 2.0.0 Ok\r\n421 4.7.0 This is SMTP\r\n",
     .log = "close\n"},
    {.name = "control characters",
     .options = &kNoAuth,
     .input = "HELO a\rMAIL FROM:<a@b.c>\r\nNOOP \t\r\nNOOP \x7f\r\n",
     .output = "501 5.5.2 Control character\r\n501 5.5.2 Control character\r\n501 5.5.2 Control character\r\n"},
};

// After "MAIL FROM:<a@b.c>", where DSN and AUTH are offered.
struct Parameters {
  std::string_view name;
  std::string_view text;
  std::string_view reply;  // Of the refusal; empty: taken.
};
const std::string kLongXtext(kEnvidMax, 'x');
const std::string kLongestEnvid = "ENVID=" + kLongXtext;
const std::string kTooLongEnvid = kLongestEnvid + "x";
const Parameters kMail[] = {
    {"nothing", "", ""},
    {"all", "SIZE=1 BODY=8BITMIME SMTPUTF8 RET=full ENVID=a+20b AUTH=a+40b", ""},
    {"the longest ENVID", kLongestEnvid, ""},
    {"ENVID too long", kTooLongEnvid, "501 5.5.4 Bad ENVID"},
    {"no ENVID", "ENVID=", "501 5.5.4 Bad ENVID"},
    {"ENVID with a line end", "ENVID=a+0D+0Ab", "501 5.5.4 Bad ENVID"},
    {"ENVID with half an octet", "ENVID=a+4", "501 5.5.4 Bad ENVID"},
    {"ENVID in lower-case hex", "ENVID=a+2b", "501 5.5.4 Bad ENVID"},
    {"ENVID with an equals sign", "ENVID=a=b", "501 5.5.4 Bad ENVID"},
    {"ENVID twice", "ENVID=a ENVID=a", "501 5.5.4 A parameter stands twice"},
    {"other RET", "RET=SOME", "501 5.5.4 Bad RET"},
    {"no RET", "RET", "501 5.5.4 Bad RET"},
    {"RET twice", "RET=FULL RET=HDRS", "501 5.5.4 A parameter stands twice"},
    {"SIZE twice", "SIZE=1 SIZE=2", "501 5.5.4 A parameter stands twice"},
    {"BODY twice", "BODY=7BIT BODY=7BIT", "501 5.5.4 A parameter stands twice"},
    {"no AUTH", "AUTH=", "501 5.5.4 Bad AUTH"},
    {"AUTH that is no xtext", "AUTH=a+b", "501 5.5.4 Bad AUTH"},
    {"NOTIFY at MAIL", "NOTIFY=NEVER", "555 5.5.4 MAIL parameter not known"},
    {"SMTPUTF8 with a value", "SMTPUTF8=1", "555 5.5.4 MAIL parameter not known"},
};

const std::string kLongOrcpt = "ORCPT=rfc822;" + std::string(kOrcptMax, 'a');
const Parameters kRcpt[] = {
    {"nothing", "", ""},
    {"all three", "NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;ann+40x@b.c", ""},
    {"UTF-8 in ORCPT", "ORCPT=utf-8;\xc3\xa4@b.c", ""},
    {"UTF-8 in ORCPT of another type", "ORCPT=rfc822;\xc3\xa4@b.c", "501 5.5.4 Bad ORCPT"},
    {"not UTF-8", "ORCPT=utf-8;\xc3@b.c", "501 5.5.4 Bad ORCPT"},
    {"an empty element", "NOTIFY=SUCCESS,", "501 5.5.4 Bad NOTIFY"},
    {"an empty list", "NOTIFY=", "501 5.5.4 Bad NOTIFY"},
    {"NEVER and more", "NOTIFY=FAILURE,NEVER", "501 5.5.4 Bad NOTIFY"},
    {"another word", "NOTIFY=ALWAYS", "501 5.5.4 Bad NOTIFY"},
    {"NOTIFY twice", "NOTIFY=NEVER NOTIFY=NEVER", "501 5.5.4 A parameter stands twice"},
    {"no type", "ORCPT=ann@b.c", "501 5.5.4 Bad ORCPT"},
    {"an empty type", "ORCPT=;ann@b.c", "501 5.5.4 Bad ORCPT"},
    {"an empty address", "ORCPT=rfc822;", "501 5.5.4 Bad ORCPT"},
    {"a line end in it", "ORCPT=rfc822;a+0Ab", "501 5.5.4 Bad ORCPT"},
    {"too long", kLongOrcpt, "501 5.5.4 Bad ORCPT"},
    {"ORCPT twice", "ORCPT=rfc822;a ORCPT=rfc822;a", "501 5.5.4 A parameter stands twice"},
    {"RET at RCPT", "RET=FULL", "555 5.5.4 RCPT parameter not known"},
};

// The public smuggling forms: what some server has taken, or takes, for the end of a message (SEC Consult, "SMTP
// Smuggling", 2023, and what was found after it), and its kin. Behind each stands a transaction that must not be run.
const std::string_view kEnds[] = {
    "\n.\n"sv,
    "\n.\r\n"sv,
    "\r\n.\n"sv,
    "\r.\r"sv,
    "\r.\r\n"sv,
    "\r\n.\r"sv,
    "\r.\n"sv,
    "\n.\r"sv,
    "\r\n.\r\r\n"sv,
    "\r\r\n.\r\r\n"sv,
    "\r\n\0.\r\n"sv,
    "\r\n.\0\r\n"sv,
    "\0\r\n.\0\r\n"sv,
    "\n\n.\r\n"sv,
    "\r\n\r.\r\n"sv,
    "\r\n.\r\0\n"sv,
    "\r\n .\r\n"sv,
    "\r\n. \r\n"sv,
    "\r\n.\t\r\n"sv,
    "\x85.\x85"sv,
    "\r\n.\x0b\r\n"sv,
    "\r\n.\x0c\r\n"sv,
    "\r\n\xe3\x80\x82\r\n"sv,
    "\n.\n\r"sv,
    "\r\n.\n\n"sv,
};
constexpr std::string_view kSmuggled = "MAIL FROM:<evil@b.c>\r\nRCPT TO:<victim@e.f>\r\nDATA\r\nevil\r\n.\r\nNOOP\r\n";

bool is_bare(std::string_view bytes) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] == '\n' && (i == 0 || bytes[i - 1] != '\r')) return true;
    if (bytes[i] == '\r' && (i + 1 == bytes.size() || bytes[i + 1] != '\n')) return true;
  }
  return false;
}

}  // namespace

BOOST_AUTO_TEST_CASE(transcripts_of_extensions) {
  for (const Case& c : kAuthSessions) {
    BOOST_TEST_CONTEXT(c.name) { check_every_cut(c); }
  }
}

BOOST_AUTO_TEST_CASE(under_tls_alone) {
  Receiver receiver(kAuthUnderTls);
  receiver.feed("EHLO me\r\nSTARTTLS\r\nAUTH PLAIN AGFubgBzZWNyZXQ=\r\n");  // The last one is thrown away.
  receiver.session.tls_started();
  receiver.output.clear();
  receiver.feed("AUTH PLAIN AGFubgBzZWNyZXQ=\r\n" EHLO "AUTH PLAIN AGFubgBzZWNyZXQ=\r\n");
  BOOST_TEST(receiver.output == "503 5.5.1 Send EHLO first\r\n" EHLO_AUTH "235 2.7.0 Ok\r\n");
  BOOST_TEST(receiver.log == "tls\nauth |ann|secret\n");
  BOOST_TEST(receiver.session.credentials().password().empty());  // It is not kept.
}

BOOST_AUTO_TEST_CASE(plain_messages) {
  struct Message {
    std::string_view name;
    std::string message;
    bool taken;
  };
  const std::string longest(kAuthNameMax, 'x');
  const Message kCases[] = {
      {"plain", "\0ann\0secret"s, true},
      {"acting as another", "bob\0ann\0secret"s, true},
      {"UTF-8", "\0\xc3\xa4\0\xc3\xa4"s, true},
      {"password that is no UTF-8", "\0ann\0\xff"s, true},
      {"the longest", longest + "\0"s + longest + "\0"s + longest, true},
      {"a NUL too few", "ann\0secret"s, false},
      {"a NUL too many", "\0ann\0sec\0ret"s, false},
      {"no user", "\0\0secret"s, false},
      {"no password", "\0ann\0"s, false},
      {"user with a line end", "\0a\r\nb\0secret"s, false},
      {"user that is no UTF-8", "\0\xff\0secret"s, false},
      {"authzid with a control character", "\x01\0ann\0secret"s, false},
      {"user too long", "\0"s + longest + "x\0secret"s, false},
      {"password too long", "\0ann\0x"s + longest, false},
      {"nothing", "", false},
  };
  for (const Message& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      std::string base64;
      append_base64(base64, c.message);
      AuthExchange exchange;
      BOOST_TEST((exchange.start(AuthMechanism::kPlain, base64) == AuthExchange::Step::kDone) == c.taken);
      BOOST_TEST((exchange.start(AuthMechanism::kPlain, std::nullopt) == AuthExchange::Step::kChallenge));
      BOOST_TEST((exchange.respond(base64) == AuthExchange::Step::kDone) == c.taken);
      BOOST_TEST((exchange.respond("AGFubgBzZWNyZXQ") == AuthExchange::Step::kBad));    // Padding is missing.
      BOOST_TEST((exchange.respond("AGFubgBzZWNyZXQ= ") == AuthExchange::Step::kBad));  // Something behind it.
    }
  }
}

BOOST_AUTO_TEST_CASE(mail_parameters) {
  const ServerOptions options{.host = "mx.example", .dsn = true, .auth = AuthOffer::kAlways};
  for (const Parameters& c : kMail) {
    BOOST_TEST_CONTEXT(c.name) {
      MailParameters out;
      BOOST_TEST(parse_mail_parameters(c.text, options, out) == c.reply);
    }
  }
}

BOOST_AUTO_TEST_CASE(rcpt_parameters) {
  const ServerOptions options{.host = "mx.example", .dsn = true};
  for (const Parameters& c : kRcpt) {
    BOOST_TEST_CONTEXT(c.name) {
      RcptParameters out;
      BOOST_TEST(parse_rcpt_parameters(c.text, options, true, out) == c.reply);
    }
  }
}

BOOST_AUTO_TEST_CASE(xtext_there_and_back) {
  std::string octets;
  for (int i = 0; i < 256; ++i) octets.push_back(static_cast<char>(i));
  std::string xtext, decoded;
  append_xtext(xtext, octets);
  BOOST_TEST(decode_xtext(xtext, decoded));
  BOOST_TEST(decoded == octets);
  for (const std::string_view bad : {"+", "+4", "+4g", "+4a", "a=b", "a b", "\x7f", "\xc3\xa4"}) {
    BOOST_TEST_CONTEXT(bad) { BOOST_TEST(!decode_xtext(bad, decoded)); }
  }
}

BOOST_AUTO_TEST_CASE(no_smuggled_transaction_is_run) {
  const std::string head = "HELO me\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n";
  const std::string said = "250 mx.example\r\n250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n";
  for (const std::string_view end : kEnds) {
    BOOST_TEST_CONTEXT(testing::escaped(end)) {
      const std::string input = head + "a" + std::string(end) + std::string(kSmuggled);
      // The message ends where the smuggled one would: its CRLF.CRLF. Then NOOP.
      const std::string refused = said + "550 5.6.11 CR or LF alone in the message\r\n250 2.0.0 Ok\r\n";
      const std::string taken = said + "250 2.0.0 Taken\r\n250 2.0.0 Ok\r\n";
      Receiver receiver(kStrict);
      receiver.feed(input);
      BOOST_TEST(receiver.output == (is_bare(end) ? refused : taken));
      BOOST_TEST(receiver.log.find("evil@b.c>\nrcpt") == std::string::npos);
      for (std::size_t i = 1; i < input.size(); ++i) {
        Receiver cut(kStrict);
        cut.feed(input.substr(0, i));
        cut.feed(input.substr(i));
        BOOST_TEST(cut.output == receiver.output);
        BOOST_TEST(cut.log == receiver.log);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(lone_line_ends_in_chunks_are_refused_too) {
  Receiver receiver(kStrict);
  receiver.feed("HELO me\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nBDAT 2\r\na\rBDAT 3 LAST\r\n\nb\nNOOP\r\n");
  BOOST_TEST(receiver.output ==
             "250 mx.example\r\n250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n250 2.0.0 Chunk taken\r\n"
             "550 5.6.11 CR or LF alone in the message\r\n250 2.0.0 Ok\r\n");
  receiver.output.clear();
  receiver.feed("MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nBDAT 2\r\na\rBDAT 2 LAST\r\n\nb");  // A CRLF in two chunks.
  BOOST_TEST(receiver.output == "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n250 2.0.0 Chunk taken\r\n250 2.0.0 Taken\r\n");
  receiver.output.clear();
  receiver.feed("MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nBDAT 2 LAST\r\na\r");
  BOOST_TEST(receiver.output == "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n550 5.6.11 CR or LF alone in the message\r\n");
}

BOOST_AUTO_TEST_CASE(line_ends_cut_anywhere) {
  for (const std::string_view text : {"a\r\nb\r\n"sv, "\r\n"sv, ""sv, "a"sv, "\n"sv, "\r"sv, "a\nb"sv, "a\rb\r\n"sv,
                                      "\r\r\n"sv, "\r\n\n"sv, "a\r\n\r"sv, "\r\n\r\n"sv, "\n\r"sv}) {
    BOOST_TEST_CONTEXT(testing::escaped(text)) {
      for (std::size_t i = 0; i <= text.size(); ++i) {
        LineEnds ends;
        ends.read(text.substr(0, i));
        ends.read(text.substr(i));
        BOOST_TEST(ends.bare() == is_bare(text));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(an_auth_line_too_long_ends_the_exchange) {
  Receiver receiver(kAuth);
  receiver.feed(EHLO "AUTH PLAIN\r\n" + std::string(kCommandLineMax, 'A') + "\r\nAGFubgBzZWNyZXQ=\r\nNOOP\r\n");
  BOOST_TEST(receiver.output == EHLO_AUTH
             "334 \r\n500 5.5.2 Line too long\r\n500 5.5.1 Command not known\r\n250 2.0.0 Ok\r\n");
  BOOST_TEST(receiver.log.empty());
}

}  // namespace mailsbuddy::smtp
