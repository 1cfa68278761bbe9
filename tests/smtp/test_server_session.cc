// The receiver session without its extensions, which test_server_extensions.cc has.
#include <boost/test/unit_test.hpp>

#include <string>
#include <string_view>

#include "tests/smtp/server_play.h"

namespace mailsbuddy::smtp {
namespace {

const ServerOptions kPlain{.host = "mx.example"};
const ServerOptions kFull{
    .host = "mx.example", .start_tls = true, .chunking = true, .size_max = 100, .recipients_max = 2};
const ServerOptions kBare{.host = "mx.example", .pipelining = false, .smtputf8 = false};

#define HELLO "HELO me\r\n"
#define HELLO_OK "250 mx.example\r\n"
#define TO_DATA HELLO "MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n"
#define TO_DATA_OK HELLO_OK "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n"
#define TO_DATA_LOG "mail <a@b.c>\nrcpt <d@e.f>\n"
#define TO_RCPT HELLO "MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\n"
#define TO_RCPT_OK HELLO_OK "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n"

const Case kSessions[] = {
    {.name = "EHLO offers what the options say",
     .options = &kFull,
     .input = "EHLO me\r\n",
     .output = "250-mx.example\r\n250-PIPELINING\r\n250-SIZE 100\r\n250-STARTTLS\r\n250-CHUNKING\r\n250-SMTPUTF8\r\n"
               "250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n"},
    {.name = "EHLO offers nothing else",
     .options = &kBare,
     .input = "ehlo me\r\n",
     .output = "250-mx.example\r\n250-SIZE\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n"},
    {.name = "one message",
     .options = &kPlain,
     .input = TO_DATA "hello\r\n.\r\nQUIT\r\n",
     .output = TO_DATA_OK "250 2.0.0 Taken\r\n221 2.0.0 Bye\r\n",
     .log = TO_DATA_LOG "message to 1 [hello\r\n]\nclose\n"},
    {.name = "an empty message",
     .options = &kPlain,
     .input = TO_DATA ".\r\n",
     .output = TO_DATA_OK "250 2.0.0 Taken\r\n",
     .log = TO_DATA_LOG "message to 1 []\n"},
    {.name = "the next transaction in the same group",
     .options = &kPlain,
     .input = TO_DATA "1\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<x@y.z>\r\nRCPT TO:<Postmaster>\r\nDATA\r\n2\r\n.\r\n",
     .output = TO_DATA_OK "250 2.0.0 Taken\r\n250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n250 2.1.5 Ok\r\n"
                          "354 End data with <CR><LF>.<CR><LF>\r\n250 2.0.0 Taken\r\n",
     .log = TO_DATA_LOG "message to 1 [1\r\n]\nmail <>\nrcpt <x@y.z>\nrcpt <Postmaster>\nmessage to 2 [2\r\n]\n"},
    {.name = "a message is refused",
     .options = &kPlain,
     .input = TO_DATA "SPAM\r\n.\r\nNOOP\r\n",
     .output = TO_DATA_OK "554 5.7.1 Spam\r\n250 2.0.0 Ok\r\n",
     .log = TO_DATA_LOG "message to 1 [SPAM\r\n]\n"},
    {.name = "some recipients are refused",
     .options = &kPlain,
     .input = HELLO "MAIL FROM:<a@b.c>\r\nRCPT TO:<refused@e.f>\r\nRCPT TO:<d@e.f>\r\nDATA\r\nx\r\n.\r\n",
     .output = HELLO_OK "250 2.1.0 Ok\r\n550 5.7.1 Refused\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n"
                        "250 2.0.0 Taken\r\n",
     .log = "mail <a@b.c>\nrcpt <refused@e.f>\nrcpt <d@e.f>\nmessage to 1 [x\r\n]\n"},
    {.name = "all recipients are refused, DATA pipelined",
     .options = &kPlain,
     .input = HELLO "MAIL FROM:<a@b.c>\r\nRCPT TO:<refused@e.f>\r\nDATA\r\nRSET\r\n",
     .output = HELLO_OK "250 2.1.0 Ok\r\n550 5.7.1 Refused\r\n554 5.5.1 No valid recipients\r\n250 2.0.0 Ok\r\n",
     .log = "mail <a@b.c>\nrcpt <refused@e.f>\nreset\n"},
    {.name = "the sender is refused, the rest pipelined",
     .options = &kPlain,
     .input = HELLO "MAIL FROM:<refused@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\nMAIL FROM:<a@b.c>\r\n",
     .output =
         HELLO_OK "550 5.7.1 Refused\r\n503 5.5.1 Send MAIL first\r\n503 5.5.1 Send RCPT first\r\n250 2.1.0 Ok\r\n",
     .log = "mail <refused@b.c>\nmail <a@b.c>\n"},
    {.name = "421 as an answer ends it, what follows is not read",
     .options = &kPlain,
     .input = HELLO "MAIL FROM:<hangup@b.c>\r\nRCPT TO:<d@e.f>\r\nQUIT\r\n",
     .output = HELLO_OK "421 4.3.2 Going down\r\n",
     .log = "mail <hangup@b.c>\nclose\n"},
    {.name = "RSET pipelined between transactions",
     .options = &kPlain,
     .input = TO_RCPT "RSET\r\nRSET\r\nDATA\r\nMAIL FROM:<g@h.i>\r\nDATA\r\n",
     .output = TO_RCPT_OK "250 2.0.0 Ok\r\n250 2.0.0 Ok\r\n503 5.5.1 Send RCPT first\r\n250 2.1.0 Ok\r\n"
                          "503 5.5.1 Send RCPT first\r\n",
     .log = TO_DATA_LOG "reset\nmail <g@h.i>\n"},
    {.name = "EHLO resets as RSET does",
     .options = &kPlain,
     .input = TO_RCPT "HELO again\r\nDATA\r\n",
     .output = TO_RCPT_OK HELLO_OK "503 5.5.1 Send RCPT first\r\n",
     .log = TO_DATA_LOG "reset\n"},
    {.name = "commands that do nothing here",
     .options = &kPlain,
     .input =
         "noop anything\r\nVRFY ann\r\nEXPN list\r\nHELP\r\nFOO\r\n\r\nSTARTTLS\r\nBDAT 3\r\nQUIT now\r\nQUIT  \r\n",
     .output = "250 2.0.0 Ok\r\n252 2.0.0 Cannot verify, send and see\r\n502 5.5.1 Command not implemented\r\n"
               "214 2.0.0 See RFC 5321\r\n500 5.5.1 Command not known\r\n500 5.5.1 Command not known\r\n"
               "502 5.5.1 STARTTLS not offered\r\n500 5.5.1 Command not known\r\n501 5.5.4 No argument allowed\r\n"
               "221 2.0.0 Bye\r\n",
     .log = "close\n"},
    {.name = "out of sequence",
     .options = &kPlain,
     .input = "MAIL FROM:<a@b.c>\r\nRCPT TO:<a@b.c>\r\nDATA\r\nEHLO\r\n" HELLO
              "MAIL FROM:<a@b.c>\r\nMAIL FROM:<d@b.c>\r\nDATA x\r\n",
     .output = "503 5.5.1 Send EHLO first\r\n503 5.5.1 Send MAIL first\r\n503 5.5.1 Send RCPT first\r\n"
               "501 5.5.4 Name missing\r\n" HELLO_OK
               "250 2.1.0 Ok\r\n503 5.5.1 Nested MAIL\r\n501 5.5.4 No argument allowed\r\n",
     .log = "mail <a@b.c>\n"},
    {.name = "SIZE: announced and enforced, by word and by deed",
     .options = &kFull,
     .input =
         HELLO "MAIL FROM:<a@b.c> SIZE=101\r\nMAIL FROM:<a@b.c> size=100 body=8bitmime\r\nRCPT TO:<d@e.f>\r\nDATA\r\n"
               "....................................................................................................."
               "\r\n.\r\nNOOP\r\n",
     .output = HELLO_OK "552 5.3.4 Message too big\r\n250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n"
                        "354 End data with <CR><LF>.<CR><LF>\r\n552 5.3.4 Message too big\r\n250 2.0.0 Ok\r\n",
     .log = TO_DATA_LOG "reset\n"},
    {.name = "too many recipients",
     .options = &kFull,
     .input = TO_RCPT "RCPT TO:<2@e.f>\r\nRCPT TO:<3@e.f>\r\nDATA\r\n.\r\n",
     .output = TO_RCPT_OK "250 2.1.5 Ok\r\n452 4.5.3 Too many recipients\r\n354 End data with <CR><LF>.<CR><LF>\r\n"
                          "250 2.0.0 Taken\r\n",
     .log = TO_DATA_LOG "rcpt <2@e.f>\nmessage to 2 []\n"},
    {.name = "SMTPUTF8",
     .options = &kPlain,
     .input =
         HELLO "MAIL FROM:<\xc3\xa4@b.c>\r\nMAIL FROM:<\xc3\xa4@b.c> SMTPUTF8\r\nRCPT TO:<\xc3\xb6@e.f>\r\nRSET\r\n"
               "MAIL FROM:<a@b.c>\r\nRCPT TO:<\xc3\xb6@e.f>\r\n",
     .output = HELLO_OK "553 5.6.7 Address needs SMTPUTF8\r\n250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n250 2.0.0 Ok\r\n"
                        "250 2.1.0 Ok\r\n553 5.6.7 Address needs SMTPUTF8\r\n",
     .log = "mail <\xc3\xa4@b.c>\nrcpt <\xc3\xb6@e.f>\nreset\nmail <a@b.c>\n"},
    {.name = "SMTPUTF8 not offered",
     .options = &kBare,
     .input = HELLO "MAIL FROM:<a@b.c> SMTPUTF8\r\n",
     .output = HELLO_OK "555 5.5.4 MAIL parameter not known\r\n"},
    {.name = "BDAT in chunks",
     .options = &kFull,
     .input = TO_RCPT "BDAT 4\r\n.\r\nXBDAT 3 last\r\nabcNOOP\r\n",
     .output = TO_RCPT_OK "250 2.0.0 Chunk taken\r\n250 2.0.0 Taken\r\n250 2.0.0 Ok\r\n",
     .log = TO_DATA_LOG "message to 1 [.\r\nXabc]\n"},
    {.name = "BDAT 0 LAST",
     .options = &kFull,
     .input = TO_RCPT "BDAT 2\r\nhiBDAT 0 LAST\r\n",
     .output = TO_RCPT_OK "250 2.0.0 Chunk taken\r\n250 2.0.0 Taken\r\n",
     .log = TO_DATA_LOG "message to 1 [hi]\n"},
    {.name = "BDAT beyond the size: chunks pipelined behind it are refused too",
     .options = &kFull,
     .input =
         TO_RCPT "BDAT 101\r\n"
                 "-----------------------------------------------------------------------------------------------------"
                 "BDAT 2 LAST\r\nhiNOOP\r\n",
     .output = TO_RCPT_OK "552 5.3.4 Message too big\r\n503 5.5.1 No valid recipients\r\n250 2.0.0 Ok\r\n",
     .log = TO_DATA_LOG "reset\n"},
    {.name = "BDAT without a recipient is read and thrown away",
     .options = &kFull,
     .input = HELLO "BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
     .output = HELLO_OK "503 5.5.1 No valid recipients\r\n250 2.0.0 Ok\r\n"},
    {.name = "RSET, RCPT and DATA between chunks",
     .options = &kFull,
     .input = TO_RCPT "BDAT 1\r\nxRCPT TO:<2@e.f>\r\nDATA\r\nRSET\r\nBDAT 1 LAST\r\ny",
     .output = TO_RCPT_OK "250 2.0.0 Chunk taken\r\n503 5.5.1 Send MAIL first\r\n503 5.5.1 Send RCPT first\r\n"
                          "250 2.0.0 Ok\r\n503 5.5.1 No valid recipients\r\n",
     .log = TO_DATA_LOG "reset\n"},
    {.name = "BDAT that cannot be read closes: its bytes must not become commands",
     .options = &kFull,
     .input = TO_RCPT "BDAT 99999999999999999999\r\nMAIL FROM:<evil@b.c>\r\n",
     .output = TO_RCPT_OK "501 5.5.4 Bad BDAT\r\n",
     .log = TO_DATA_LOG "close\n"},
    {.name = "BDAT with a word that is not LAST",
     .options = &kFull,
     .input = TO_RCPT "BDAT 1 FIRST\r\nx",
     .output = TO_RCPT_OK "501 5.5.4 Bad BDAT\r\n",
     .log = TO_DATA_LOG "close\n"},
    {.name = "a line feed alone ends no command",
     .options = &kPlain,
     .input = "NOOP\nNOOP\r\n",
     .output = "500 5.5.2 Lines end in CRLF\r\n250 2.0.0 Ok\r\n"},
    {.name = "STARTTLS: what follows in clear is thrown away",
     .options = &kFull,
     .input = TO_RCPT "STARTTLS\r\nRSET\r\nMAIL FROM:<evil@b.c>\r\n",
     .output = TO_RCPT_OK "220 2.0.0 Ready to start TLS\r\n",
     .log = TO_DATA_LOG "tls\n"},
};

// Nothing but CRLF "." CRLF ends a message: with each of these in it, it ends where it should.
const Case kContents[] = {
    {.name = "LF . LF", .input = "a\n.\nb\r\n", .log = "a\n.\nb\r\n"},
    {.name = "LF . CRLF", .input = "a\n.\r\nb\r\n", .log = "a\n.\r\nb\r\n"},
    {.name = "CRLF . LF", .input = "a\r\n.\nb\r\n", .log = "a\r\n\nb\r\n"},
    {.name = "CR . CR", .input = "a\r.\rb\r\n", .log = "a\r.\rb\r\n"},
    {.name = "CR . CRLF", .input = "a\r.\r\nb\r\n", .log = "a\r.\r\nb\r\n"},
    {.name = "CRLF . CR", .input = "a\r\n.\rb\r\n", .log = "a\r\n\rb\r\n"},
    {.name = "CRLF . CR CRLF", .input = "a\r\n.\r\r\nb\r\n", .log = "a\r\n\r\r\nb\r\n"},
    {.name = "LF . LF at the beginning", .input = "\n.\nb\r\n", .log = "\n.\nb\r\n"},
    {.name = "LF . CRLF at the beginning", .input = "\n.\r\nb\r\n", .log = "\n.\r\nb\r\n"},
    {.name = "CR CRLF . CR", .input = "a\r\r\n.\r.\r\n", .log = "a\r\r\n\r.\r\n"},
    {.name = "NUL . NUL",
     .input = std::string_view("a\r\n\0.\r\nb\r\n", 10),
     .log = std::string_view("a\r\n\0.\r\nb\r\n", 10)},
    {.name = "stuffed dots", .input = "..\r\n...\r\n.x\r\n..", .log = ".\r\n..\r\nx\r\n."},
    {.name = "no end of line", .input = "a", .log = "a"},
    {.name = "smuggled transaction",
     .input = "a\n.\r\nMAIL FROM:<evil@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\nb\r\n",
     .log = "a\n.\r\nMAIL FROM:<evil@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\nb\r\n"},
};

struct Line {
  std::string_view name;
  std::string_view line;  // Without CRLF.
  std::string_view code;  // Of the reply.
  std::string_view path{};
};

const Line kMailLines[] = {
    {"plain", "MAIL FROM:<a@b.c>", "250", "a@b.c"},
    {"lower case, spaces after the colon", "mail from:  <a@b.c>", "250", "a@b.c"},
    {"null path", "MAIL FROM:<>", "250", ""},
    {"source route", "MAIL FROM:<@x,@y:a@b.c>", "250", "a@b.c"},
    {"quoted", R"(MAIL FROM:<"a >b\"@"@b.c>)", "250", R"("a >b\"@"@b.c)"},
    {"address literal", "MAIL FROM:<a@[192.0.2.1]>", "250", "a@[192.0.2.1]"},
    {"all parameters", "MAIL FROM:<a@b.c> SIZE=5 BODY=7BIT  SMTPUTF8", "250", "a@b.c"},
    {"no brackets", "MAIL FROM:a@b.c", "501"},
    {"not closed", "MAIL FROM:<a@b.c", "501"},
    {"quotation not closed", "MAIL FROM:<\"a@b.c>", "501"},
    {"no domain", "MAIL FROM:<a>", "501"},
    {"empty domain", "MAIL FROM:<a@>", "501"},
    {"empty local part", "MAIL FROM:<@b.c>", "501"},
    {"route to nobody", "MAIL FROM:<@x:>", "501"},
    {"space inside", "MAIL FROM:<a b@c.d>", "501"},
    {"control character", "MAIL FROM:<a\t@b.c>", "501"},
    {"CR inside", "MAIL FROM:<a\r@b.c>", "501"},
    {"joined parameter", "MAIL FROM:<a@b.c>SIZE=1", "501"},
    {"no path", "MAIL", "501"},
    {"other keyword", "MAIL TO:<a@b.c>", "501"},
    {"negative size", "MAIL FROM:<a@b.c> SIZE=-1", "501"},
    {"no size", "MAIL FROM:<a@b.c> SIZE", "501"},
    {"size beyond 64 bits", "MAIL FROM:<a@b.c> SIZE=18446744073709551616", "501"},
    {"binary body", "MAIL FROM:<a@b.c> BODY=BINARYMIME", "501"},
    {"unknown parameter", "MAIL FROM:<a@b.c> RET=HDRS", "555"},
};

}  // namespace

BOOST_AUTO_TEST_CASE(transcripts) {
  for (const Case& c : kSessions) {
    BOOST_TEST_CONTEXT(c.name) { check_every_cut(c); }
  }
}

BOOST_AUTO_TEST_CASE(only_crlf_dot_crlf_ends_a_message) {
  for (const Case& c : kContents) {
    BOOST_TEST_CONTEXT(c.name) {
      const bool line_ended = c.input.ends_with("\r\n");
      const std::string end = line_ended ? "" : "\r\n";
      const std::string input = TO_DATA + std::string(c.input) + end + ".\r\nNOOP\r\n";
      const std::string log = TO_DATA_LOG "message to 1 [" + std::string(c.log) + end + "]\n";
      check_every_cut({.name = c.name,
                       .options = &kPlain,
                       .input = input,
                       .output = TO_DATA_OK "250 2.0.0 Taken\r\n250 2.0.0 Ok\r\n",
                       .log = log});
    }
  }
}

BOOST_AUTO_TEST_CASE(mail_lines) {
  for (const Line& c : kMailLines) {
    BOOST_TEST_CONTEXT(c.name) {
      Receiver receiver(kPlain);
      receiver.feed(HELLO);
      receiver.output.clear();
      receiver.feed(std::string(c.line) + "\r\n");
      BOOST_TEST(receiver.output.substr(0, 3) == c.code);
      BOOST_TEST(receiver.log == (c.code == "250" ? "mail <" + std::string(c.path) + ">\n" : ""));
      BOOST_TEST(receiver.session.protocol_errors() == (c.code == "250" ? 0U : 1U));
    }
  }
}

BOOST_AUTO_TEST_CASE(rcpt_lines) {
  const Line kLines[] = {
      {"plain", "RCPT TO:<d@e.f>", "250"},
      {"postmaster", "rcpt to:<postmaster>", "250"},
      {"null path", "RCPT TO:<>", "501"},
      {"no domain", "RCPT TO:<a>", "501"},
      {"parameter", "RCPT TO:<d@e.f> NOTIFY=NEVER", "555"},
      {"path too long", {}, "501"},
  };
  for (const Line& c : kLines) {
    BOOST_TEST_CONTEXT(c.name) {
      Receiver receiver(kPlain);
      receiver.feed(HELLO "MAIL FROM:<>\r\n");
      receiver.output.clear();
      const std::string too_long = "RCPT TO:<" + std::string(kPathMax, 'a') + "@b.c>";
      receiver.feed((c.line.empty() ? too_long : std::string(c.line)) + "\r\n");
      BOOST_TEST(receiver.output.substr(0, 3) == c.code);
    }
  }
}

BOOST_AUTO_TEST_CASE(replies_to_one_group_are_one_output) {
  ServerSession session(kPlain);
  session.feed(TO_RCPT "DATA\r\n");
  while (const auto event = session.poll()) session.answer("250 Ok");
  BOOST_TEST(session.output() == HELLO_OK "250 Ok\r\n250 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n");
}

BOOST_AUTO_TEST_CASE(nothing_is_read_while_an_answer_is_owed) {
  ServerSession session(kPlain);
  {
    const std::string first = HELLO "MAIL FROM:<a@b.c>\r\nRCPT TO:<d@";
    session.feed(first);
    const auto event = session.poll();
    BOOST_REQUIRE(event.has_value());
    BOOST_TEST(event->text == "a@b.c");
    BOOST_TEST(session.answer_owed());
    BOOST_TEST(!session.poll().has_value());
  }  // What was fed is gone: the session keeps the rest.
  session.feed("e.f>\r\n");
  BOOST_TEST(!session.poll().has_value());
  session.answer("250 Ok");
  const auto event = session.poll();
  BOOST_REQUIRE(event.has_value());
  BOOST_TEST(event->text == "d@e.f");
}

BOOST_AUTO_TEST_CASE(tls_starts_anew) {
  Receiver receiver(kFull);
  receiver.feed(TO_RCPT "STARTTLS\r\nQUIT\r\n");
  BOOST_TEST(receiver.session.protocol_errors() == 1U);  // QUIT in clear behind it.
  receiver.session.tls_started();
  receiver.output.clear();
  receiver.log.clear();
  receiver.feed("DATA\r\nMAIL FROM:<a@b.c>\r\nEHLO me\r\nSTARTTLS\r\nNOOP\r\n");
  BOOST_TEST(receiver.output ==
             "503 5.5.1 Send RCPT first\r\n503 5.5.1 Send EHLO first\r\n"
             "250-mx.example\r\n250-PIPELINING\r\n250-SIZE 100\r\n250-CHUNKING\r\n250-SMTPUTF8\r\n250-8BITMIME\r\n"
             "250 ENHANCEDSTATUSCODES\r\n503 5.5.1 TLS is on\r\n250 2.0.0 Ok\r\n");
  BOOST_TEST(receiver.log.empty());
}

BOOST_AUTO_TEST_CASE(pipelining_that_was_not_offered_is_counted_and_answered) {
  Receiver receiver(kBare);
  receiver.feed(HELLO "NOOP\r\nNOOP\r\n");
  BOOST_TEST(receiver.output == HELLO_OK "250 2.0.0 Ok\r\n250 2.0.0 Ok\r\n");
  BOOST_TEST(receiver.session.protocol_errors() == 2U);
}

BOOST_AUTO_TEST_CASE(refuse_at_the_greeting) {
  Receiver receiver(kPlain);
  receiver.session.refuse("421 4.3.2 Full");
  receiver.session.refuse("421 4.3.2 Again");
  receiver.run();
  receiver.feed("QUIT\r\n");
  BOOST_TEST(receiver.output == "421 4.3.2 Full\r\n");
  BOOST_TEST(receiver.log == "close\n");
}

// ---------------------------------------------------------------------------------------------------------------------
// Hostile peers

BOOST_AUTO_TEST_CASE(a_line_without_end_is_refused_once_and_not_kept) {
  for (const std::size_t piece : {std::size_t{1}, std::size_t{1000}, std::size_t{1} << 20}) {
    Receiver receiver(kPlain);
    const std::string junk(piece, 'A');
    for (std::size_t fed = 0; fed < 4 * kCommandLineMax; fed += piece) receiver.feed(junk);
    BOOST_TEST(receiver.output.empty());
    receiver.feed("\r\nNOOP\r\n");
    BOOST_TEST(receiver.output == "500 5.5.2 Line too long\r\n250 2.0.0 Ok\r\n");
  }
}

BOOST_AUTO_TEST_CASE(the_longest_line_is_taken) {
  Receiver receiver(kPlain);
  receiver.feed("NOOP " + std::string(kCommandLineMax - 7, 'x') + "\r\n");
  receiver.feed("NOOP " + std::string(kCommandLineMax - 6, 'x') + "\r\n");
  BOOST_TEST(receiver.output == "250 2.0.0 Ok\r\n500 5.5.2 Line too long\r\n");
}

BOOST_AUTO_TEST_CASE(data_without_end_is_counted_and_not_kept) {
  Receiver receiver(kFull);
  receiver.feed(TO_DATA);
  const std::string block(64 << 10, '\n');
  for (int i = 0; i < 1000; ++i) receiver.feed(block);
  BOOST_TEST(receiver.session.message_bytes() == 1000U * block.size());
  BOOST_TEST(receiver.content.size() <= kFull.size_max);
  receiver.output.clear();
  receiver.feed("\r\n.\r\n");
  BOOST_TEST(receiver.output == "552 5.3.4 Message too big\r\n");
}

BOOST_AUTO_TEST_CASE(too_many_errors_close) {
  Receiver receiver(kPlain);
  std::string input;
  for (std::size_t i = 0; i < 2 * kErrorsMax; ++i) input += "FOO\r\n";
  receiver.feed(input);
  BOOST_TEST(receiver.session.protocol_errors() == kErrorsMax);
  BOOST_TEST(receiver.output.ends_with("500 5.5.1 Command not known\r\n421 4.7.0 Too many errors\r\n"));
  BOOST_TEST(receiver.log == "close\n");
}

}  // namespace mailsbuddy::smtp
