// What a listener does with a connection, on a fake clock: the failure catalogue (every stage and what can go wrong
// there), limits, rules of submission and of inbound mail, and answers that come late or never.
#include "tests/smtp/listen_play.h"

namespace mailsbuddy::smtp {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;

constexpr std::string_view kGreeting = "220 mx.example ESMTP\r\n";
constexpr std::string_view kLogIn = "EHLO c\r\nAUTH PLAIN AGFubgBzZWNyZXQ=\r\n";
constexpr std::string_view kMailRcpt = "MAIL FROM:<a@b.example>\r\nRCPT TO:<d@e.example>\r\n";

// ---------------------------------------------------------------------------------------------------------------------
// The catalogue

struct StageRow {
  std::string_view name;
  std::string script;   // Said to come there.
  bool silent = false;  // The handler's answer is owed.
  std::string_view silence;
  std::string_view garbage;
  std::string_view too_long;
  std::string_view wrong;  // A command out of order,
  std::string_view wrong_reply;
  std::string_view rubbish;
  std::size_t messages = 0;  // That the handler has seen by then.
};

constexpr std::string_view kIdle = "421 4.4.2 Idle for too long\r\n";
constexpr std::string_view kGarbage = "501 5.5.2 Control character\r\n";
constexpr std::string_view kTooLong = "500 5.5.2 Line too long\r\n";
constexpr std::string_view kRubbish = "500 5.5.1 Command not known\r\n500 5.5.1 Command not known\r\n250 2.0.0 Ok\r\n";
constexpr std::string_view kHttp = "421 4.7.0 This is SMTP\r\n";
constexpr std::string_view kBye = "221 2.0.0 Bye\r\n";
constexpr std::string_view kBad = "501 5.5.2 Bad response\r\n";
constexpr std::string_view kBadRubbish = "501 5.5.2 Bad response\r\n500 5.5.1 Command not known\r\n250 2.0.0 Ok\r\n";

const std::string kIn(kLogIn);
const std::string kToRcpt = kIn + std::string(kMailRcpt);
const StageRow kStages[] = {
    {.name = "greeting",
     .script = "",
     .silence = kIdle,
     .garbage = kGarbage,
     .too_long = kTooLong,
     .wrong = "DATA\r\n",
     .wrong_reply = "503 5.5.1 Send RCPT first\r\n",
     .rubbish = kRubbish},
    {.name = "EHLO",
     .script = "EHLO c\r\n",
     .silence = kIdle,
     .garbage = kGarbage,
     .too_long = kTooLong,
     .wrong = "MAIL FROM:<a@b.example>\r\n",
     .wrong_reply = "530 5.7.0 Authentication required\r\n",
     .rubbish = kRubbish},
    {.name = "AUTH challenge",
     .script = "EHLO c\r\nAUTH LOGIN\r\n",
     .silence = kIdle,
     .garbage = kBad,
     .too_long = kTooLong,
     .wrong = "MAIL FROM:<a@b.example>\r\n",
     .wrong_reply = kBad,
     .rubbish = kBadRubbish},
    {.name = "AUTH password",
     .script = "EHLO c\r\nAUTH LOGIN\r\nYW5u\r\n",
     .silence = kIdle,
     .garbage = kBad,
     .too_long = kTooLong,
     .wrong = "MAIL FROM:<a@b.example>\r\n",
     .wrong_reply = kBad,
     .rubbish = kBadRubbish},
    {.name = "AUTH done",
     .script = kIn,
     .silence = kIdle,
     .garbage = kGarbage,
     .too_long = kTooLong,
     .wrong = "RCPT TO:<d@e.example>\r\n",
     .wrong_reply = "503 5.5.1 Send MAIL first\r\n",
     .rubbish = kRubbish},
    {.name = "MAIL",
     .script = kIn + "MAIL FROM:<a@b.example>\r\n",
     .silence = kIdle,
     .garbage = kGarbage,
     .too_long = kTooLong,
     .wrong = "MAIL FROM:<a@b.example>\r\n",
     .wrong_reply = "503 5.5.1 Nested MAIL\r\n",
     .rubbish = kRubbish},
    {.name = "RCPT",
     .script = kToRcpt,
     .silence = kIdle,
     .garbage = kGarbage,
     .too_long = kTooLong,
     .wrong = "AUTH PLAIN\r\n",
     .wrong_reply = "503 5.5.1 Authenticated already\r\n",
     .rubbish = kRubbish},
    {.name = "RSET",
     .script = kToRcpt + "RSET\r\n",
     .silence = kIdle,
     .garbage = kGarbage,
     .too_long = kTooLong,
     .wrong = "RCPT TO:<d@e.example>\r\n",
     .wrong_reply = "503 5.5.1 Send MAIL first\r\n",
     .rubbish = kRubbish},
    {.name = "refused recipient",
     .script = kIn + "MAIL FROM:<a@b.example>\r\nRCPT TO:<d>\r\n",
     .silence = kIdle,
     .garbage = kGarbage,
     .too_long = kTooLong,
     .wrong = "DATA\r\n",
     .wrong_reply = "554 5.5.1 No valid recipients\r\n",
     .rubbish = kRubbish},
    {.name = "EHLO again in an envelope",
     .script = kToRcpt + "EHLO c\r\n",
     .silence = kIdle,
     .garbage = kGarbage,
     .too_long = kTooLong,
     .wrong = "DATA\r\n",
     .wrong_reply = "503 5.5.1 Send RCPT first\r\n",
     .rubbish = kRubbish},
    {.name = "DATA",
     .script = kToRcpt + "DATA\r\nSubject: x\r\n",
     .silence = kIdle,
     .garbage = "",
     .too_long = "",
     .wrong = "QUIT\r\n",
     .wrong_reply = "",
     .rubbish = ""},
    {.name = "BDAT",
     .script = kToRcpt + "BDAT 5000\r\nSubject: x\r\n",
     .silence = kIdle,
     .garbage = "",
     .too_long = "",
     .wrong = "QUIT\r\n",
     .wrong_reply = "",
     .rubbish = ""},
    {.name = "between chunks",
     .script = kToRcpt + "BDAT 3\r\nabc",
     .silence = kIdle,
     .garbage = kGarbage,
     .too_long = kTooLong,
     .wrong = "DATA\r\n",
     .wrong_reply = "503 5.5.1 Send RCPT first\r\n",
     .rubbish = kRubbish},
    {.name = "end of data",
     .script = kToRcpt + "DATA\r\nx: y\r\n.\r\n",
     .silent = true,
     .silence = "451 4.3.0 No answer in time, try again later\r\n",
     .garbage = "",
     .too_long = "",
     .wrong = "DATA\r\n",
     .wrong_reply = "",
     .rubbish = "",
     .messages = 1},
    {.name = "message taken",
     .script = kToRcpt + "DATA\r\nx: y\r\n.\r\n",
     .silence = kIdle,
     .garbage = kGarbage,
     .too_long = kTooLong,
     .wrong = "DATA\r\n",
     .wrong_reply = "503 5.5.1 Send RCPT first\r\n",
     .rubbish = kRubbish,
     .messages = 1},
    {.name = "second envelope",
     .script = kToRcpt + "DATA\r\nx: y\r\n.\r\n" + std::string(kMailRcpt),
     .silence = kIdle,
     .garbage = kGarbage,
     .too_long = kTooLong,
     .wrong = "MAIL FROM:<a@b.example>\r\n",
     .wrong_reply = "503 5.5.1 Nested MAIL\r\n",
     .rubbish = kRubbish,
     .messages = 1},
    {.name = "second message",
     .script = kToRcpt + "DATA\r\nx: y\r\n.\r\n" + std::string(kMailRcpt) + "DATA\r\nx: y\r\n",
     .silence = kIdle,
     .garbage = "",
     .too_long = "",
     .wrong = "QUIT\r\n",
     .wrong_reply = "",
     .rubbish = "",
     .messages = 1},
};

// Comes to the stage, line by line, as a client does that waits for each reply.
std::string come_to(Caller& caller, PlayStage& stage, const StageRow& row) {
  std::string heard = caller.heard();
  for (std::string_view rest = row.script; !rest.empty();) {
    const std::size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end == std::string_view::npos ? end : end + 1);
    rest.remove_prefix(line.size());
    stage.handler->silent = row.silent && rest.empty();
    heard += caller.say(line);
  }
  return heard;
}

template <class Test>
void at_each_stage(const Test& test) {
  for (const StageRow& row : kStages) {
    BOOST_TEST_CONTEXT(row.name) {
      PlayStage stage;
      Caller caller(stage);
      come_to(caller, stage, row);
      BOOST_TEST(stage.handler->submissions.size() == row.messages);
      test(row, stage, caller);
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(closed_or_reset_at_each_stage) {
  at_each_stage([](const StageRow& row, PlayStage& stage, Caller& caller) {
    caller.leave();
    BOOST_TEST(stage.shared->clients.open() == 0U);
    BOOST_TEST((stage.shared->held->used() == 0U) == !row.silent);  // The handler has what it has not answered.
    while (!stage.handler->answers.empty()) {                       // Nobody is there any more.
      stage.handler->answers.front()({.code = 250});
      stage.handler->answers.pop_front();
    }
    stage.loop.run();
    BOOST_TEST(stage.shared->held->used() == 0U);
    BOOST_TEST(stage.handler->submissions.size() == row.messages);
    BOOST_TEST(stage.shared->counters.messages == (row.silent ? 0U : row.messages));
  });
}

BOOST_AUTO_TEST_CASE(silence_at_each_stage) {
  at_each_stage([](const StageRow& row, PlayStage& stage, Caller& caller) {
    BOOST_TEST(caller.wait() == row.silence);
    BOOST_TEST(caller.session().over() == !row.silent);
    BOOST_TEST(stage.shared->counters.timeouts == 1U);
    BOOST_TEST(stage.handler->submissions.size() == row.messages);
    if (!row.silent) return;
    stage.handler->answers.front()({.code = 250});  // Too late: the client was told.
    BOOST_TEST(caller.say("NOOP\r\n") == "250 2.0.0 Ok\r\n");
    BOOST_TEST(stage.shared->counters.messages == 0U);
  });
}

BOOST_AUTO_TEST_CASE(garbage_at_each_stage) {
  at_each_stage([](const StageRow& row, PlayStage& stage, Caller& caller) {
    if (caller.session().waiting()) return;  // Nothing is read there.
    BOOST_TEST(caller.say("\xff\xfe\x01\r\n") == row.garbage);
    BOOST_TEST(!caller.session().over());
    BOOST_TEST(stage.handler->submissions.size() == row.messages);
  });
}

BOOST_AUTO_TEST_CASE(a_line_too_long_at_each_stage) {
  at_each_stage([](const StageRow& row, PlayStage& stage, Caller& caller) {
    if (caller.session().waiting()) return;
    std::string heard;
    for (int i = 0; i < 300; ++i) heard += caller.say("AAAAAAAAAA");
    BOOST_TEST(heard == "");
    BOOST_TEST(caller.say("\r\n") == row.too_long);
    BOOST_TEST(stage.handler->submissions.size() == row.messages);
  });
}

BOOST_AUTO_TEST_CASE(wrong_order_at_each_stage) {
  at_each_stage([](const StageRow& row, PlayStage& stage, Caller& caller) {
    if (caller.session().waiting()) return;
    BOOST_TEST(caller.say(row.wrong) == row.wrong_reply);
    BOOST_TEST(stage.handler->submissions.size() == row.messages);
  });
}

BOOST_AUTO_TEST_CASE(rubbish_pipelined_at_each_stage) {
  at_each_stage([](const StageRow& row, PlayStage& stage, Caller& caller) {
    if (caller.session().waiting()) return;
    BOOST_TEST(caller.say("FOO\r\nBAR\r\nNOOP\r\n") == row.rubbish);
    BOOST_TEST(stage.handler->submissions.size() == row.messages);
  });
}

// A browser that was made to post here gets no further than its first line; in content and in an AUTH exchange it is
// none.
BOOST_AUTO_TEST_CASE(http_at_each_stage) {
  at_each_stage([](const StageRow& row, PlayStage& stage, Caller& caller) {
    if (caller.session().waiting()) return;
    const std::string heard = caller.say("POST / HTTP/1.1\r\n");
    const bool content = row.garbage.empty();
    const bool exchange = row.garbage == kBad;
    BOOST_TEST(heard == (content ? "" : exchange ? kBad : kHttp));
    BOOST_TEST(caller.session().over() == (!content && !exchange));
    BOOST_TEST(stage.handler->submissions.size() == row.messages);
  });
}

// The client hangs up in the middle of the line, or its content, that would have come next.
BOOST_AUTO_TEST_CASE(cut_off_in_a_line_at_each_stage) {
  at_each_stage([](const StageRow& row, PlayStage& stage, Caller& caller) {
    if (caller.session().waiting()) return;
    BOOST_TEST(caller.say("QUI") == "");
    caller.leave();
    stage.loop.run();
    BOOST_TEST(stage.shared->clients.open() == 0U);
    BOOST_TEST(stage.shared->held->used() == 0U);
    BOOST_TEST(stage.handler->submissions.size() == row.messages);
  });
}

// QUIT is the client's right everywhere but in content, and in an exchange: there it is a bad response, or, being
// base64, a password, whose refusal comes later.
BOOST_AUTO_TEST_CASE(quit_at_each_stage) {
  at_each_stage([](const StageRow& row, PlayStage& stage, Caller& caller) {
    if (caller.session().waiting()) return;
    const bool content = row.garbage.empty();
    const bool exchange = row.garbage == kBad;
    const bool password = row.name == "AUTH password";
    BOOST_TEST(caller.say("QUIT\r\n") == (content || password ? "" : exchange ? kBad : kBye));
    BOOST_TEST(caller.session().over() == (!content && !exchange));
    BOOST_TEST(stage.handler->submissions.size() == row.messages);
  });
}

// Whoever talks before the greeting is served in order: it gains nothing by it.
BOOST_AUTO_TEST_CASE(early_talk_to_each_stage) {
  for (const StageRow& row : kStages) {
    BOOST_TEST_CONTEXT(row.name) {
      PlayStage patient, hasty;
      Caller first(patient), second(hasty);
      const std::string heard = come_to(first, patient, row);
      hasty.handler->silent = false;
      const std::string at_once = second.say(row.script);
      BOOST_TEST(at_once == heard + (row.silent ? "250 2.0.0 Taken\r\n" : ""));
      BOOST_TEST(hasty.handler->submissions.size() == row.messages);
    }
  }
}

BOOST_AUTO_TEST_CASE(everything_cut_at_every_octet) {
  const std::string script =
      kIn +
      "MAIL FROM:<a@b.example> RET=FULL ENVID=e1 BODY=8BITMIME\r\nRCPT TO:<d@e.example> NOTIFY=DELAY\r\n"
      "RCPT TO:<nobody@e.example>\r\nDATA\r\nx: y\r\n\r\n..dot\r\n.\r\n"
      "MAIL FROM:<>\r\nRCPT TO:<f@g.example>\r\nBDAT 3\r\nx: BDAT 2 LAST\r\nyzQUIT\r\n";
  std::string expected;
  for (std::size_t cut = 0; cut <= script.size(); ++cut) {
    BOOST_TEST_CONTEXT("cut at " << cut) {
      PlayStage stage;
      Caller caller(stage);
      std::string heard = caller.say(script.substr(0, cut));
      heard += caller.say(script.substr(cut));
      if (cut == 0) expected = heard;
      BOOST_TEST(heard == expected);
      BOOST_TEST(caller.session().over());
      BOOST_REQUIRE_EQUAL(stage.handler->submissions.size(), 2U);
      const Submission& first = stage.handler->submissions[0];
      BOOST_TEST(first.data == "x: y\r\n\r\n.dot\r\n");
      BOOST_REQUIRE_EQUAL(first.envelope.recipients.size(), 1U);
      BOOST_TEST(first.envelope.recipients[0].address.str() == "d@e.example");
      BOOST_TEST(int{first.envelope.recipients[0].notify} == int{kNotifyDelay});
      BOOST_TEST(first.envelope.envid == "e1");
      BOOST_TEST((first.envelope.ret == DsnReturn::kFull));
      BOOST_TEST(first.envelope.eight_bit);
      BOOST_TEST(first.identity.user == "ann");
      const Submission& second = stage.handler->submissions[1];
      BOOST_TEST(second.data == "x: yz\r\n");
      BOOST_TEST(!second.envelope.sender.has_value());
      BOOST_TEST(second.envelope.envid == "");
    }
  }
  BOOST_TEST(
      expected.ends_with("250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n550 5.1.1 No such user\r\n354 End data with "
                         "<CR><LF>.<CR><LF>\r\n250 2.0.0 Taken\r\n250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n"
                         "250 2.0.0 Chunk taken\r\n250 2.0.0 Taken\r\n221 2.0.0 Bye\r\n"));
}

// ---------------------------------------------------------------------------------------------------------------------
// The connection's beginning

BOOST_AUTO_TEST_CASE(proxy_header_then_greeting) {
  PlayStage stage;
  Caller caller(stage, kProxyPort, "198.51.100.1:9");
  BOOST_TEST(caller.heard() == "");
  const std::string header = "PROXY TCP4 203.0.113.5 192.0.2.9 1 25\r\n";
  for (const char c : header.substr(0, header.size() - 1)) BOOST_TEST(caller.say(std::string(1, c)) == "");
  BOOST_TEST(caller.say("\nEHLO c\r\n").starts_with(kGreeting));
  BOOST_TEST(caller.session().client().str() == "203.0.113.5");
  BOOST_TEST(caller.say("XCLIENT ADDR=192.0.2.77\r\n") == "550 5.7.1 XCLIENT not allowed\r\n");
}

BOOST_AUTO_TEST_CASE(proxy_header_that_is_none_or_comes_from_elsewhere) {
  struct Case {
    std::string_view name, peer, said;
  };
  constexpr Case kCases[] = {{"from elsewhere", "192.0.2.1:9", "PROXY TCP4 203.0.113.5 192.0.2.9 1 25\r\n"},
                             {"SMTP at once", "198.51.100.1:9", "EHLO c\r\n"},
                             {"bad", "198.51.100.1:9", "PROXY TCP4 203.0.113.5\r\n"}};
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      PlayStage stage;
      Caller caller(stage, kProxyPort, c.peer);
      BOOST_TEST(caller.say(c.said) == "");
      BOOST_TEST(caller.session().over());
      BOOST_TEST(stage.shared->counters.connections_refused == 1U);
    }
  }
  PlayStage stage;
  Caller silent(stage, kProxyPort, "198.51.100.1:9");
  BOOST_TEST(silent.wait() == "");
  BOOST_TEST(silent.session().over());
}

BOOST_AUTO_TEST_CASE(the_client_behind_a_proxy_is_the_one_with_limits) {
  ListenOptions options = play_options();
  options.limits.connections_per_client_max = 1;
  PlayStage stage(std::move(options));
  Caller first(stage, kProxyPort, "198.51.100.1:9"), second(stage, kProxyPort, "198.51.100.1:9");
  BOOST_TEST(first.say("PROXY TCP4 203.0.113.5 192.0.2.9 1 25\r\n") == kGreeting);
  BOOST_TEST(second.say("PROXY TCP4 203.0.113.5 192.0.2.9 1 25\r\n") ==
             "421 4.7.0 Too many connections, try again later\r\n");
  BOOST_TEST(second.session().over());
  second.leave();
  first.leave();
  BOOST_TEST(stage.shared->clients.open() == 0U);
}

BOOST_AUTO_TEST_CASE(implicit_tls_begins_at_once_or_behind_the_header) {
  PlayStage stage;
  Caller direct(stage, kTlsPort);
  BOOST_TEST((direct.session().take_tls() == ""));
  BOOST_TEST((direct.session().take_tls() == std::nullopt));
  direct.session().tls_started(stage.now);
  BOOST_TEST(direct.heard() == kGreeting);
  Caller behind(stage, kTlsProxyPort, "198.51.100.1:9");
  BOOST_TEST((behind.session().take_tls() == std::nullopt));
  BOOST_TEST(behind.say("PROXY TCP4 203.0.113.5 192.0.2.9 1 465\r\n\x16\x03\x01") == "");
  BOOST_TEST((behind.session().take_tls() == "\x16\x03\x01"));
  BOOST_TEST(behind.wait() == "");  // No handshake in time.
  BOOST_TEST(behind.session().over());
}

BOOST_AUTO_TEST_CASE(what_was_said_before_tls_is_forgotten) {
  PlayStage stage;
  Caller caller(stage);
  caller.log_in();
  BOOST_TEST(caller.say("MAIL FROM:<a@b.example>\r\nSTARTTLS\r\nRCPT TO:<d@e.example>\r\n") ==
             "250 2.1.0 Ok\r\n220 2.0.0 Ready to start TLS\r\n");
  BOOST_TEST((caller.session().take_tls() == ""));
  caller.session().tls_started(stage.now);
  BOOST_TEST(caller.say("MAIL FROM:<a@b.example>\r\n") == "530 5.7.0 Authentication required\r\n");
  BOOST_TEST(caller.say("EHLO c\r\nRCPT TO:<d@e.example>\r\n").ends_with("503 5.5.1 Send MAIL first\r\n"));
}

BOOST_AUTO_TEST_CASE(xclient_from_a_trusted_range) {
  PlayStage stage;
  Caller caller(stage, kInboundPort, "198.51.100.1:9");
  BOOST_TEST(caller.say("EHLO proxy\r\nXCLIENT ADDR=IPV6:2001:db8::7 HELO=client.example\r\n")
                 .ends_with("250 ENHANCEDSTATUSCODES\r\n220 mx.example ESMTP\r\n"));
  BOOST_TEST(caller.session().client().str() == "2001:db8::7");
  BOOST_TEST(caller.say("EHLO proxy\r\nXCLIENT ADDR=192.0.2.9\r\n").ends_with("550 5.7.1 XCLIENT not allowed\r\n"));
  caller.say("MAIL FROM:<>\r\nRCPT TO:<x@bounce.example>\r\nDATA\r\nx: y\r\n.\r\n");
  BOOST_REQUIRE_EQUAL(stage.handler->submissions.size(), 1U);
  BOOST_TEST(stage.handler->submissions[0].client.str() == "2001:db8::7");
  BOOST_TEST(stage.handler->submissions[0].hello == "client.example");
  Caller other(stage, kInboundPort, "192.0.2.1:9");
  BOOST_TEST(other.say("EHLO c\r\nXCLIENT ADDR=192.0.2.9\r\n").ends_with("550 5.7.1 XCLIENT not allowed\r\n"));
  Caller bad(stage, kInboundPort, "198.51.100.1:9");
  BOOST_TEST(bad.say("EHLO c\r\nXCLIENT ADDR=nowhere\r\n").ends_with("501 5.5.4 Bad ADDR\r\n"));
}

// ---------------------------------------------------------------------------------------------------------------------
// Who may send what

BOOST_AUTO_TEST_CASE(failed_authentications_are_delayed_counted_and_limited) {
  ListenOptions options = play_options();
  options.limits.auth_failures_per_client = {.count = 4, .per = 10min};
  PlayStage stage(std::move(options));
  const std::string wrong = "AUTH PLAIN AGFubgB3cm9uZw==\r\n";
  Caller caller(stage);
  caller.say("EHLO c\r\n");
  for (int i = 0; i < 2; ++i) {
    const TimePoint asked = stage.now;
    BOOST_TEST(caller.say(wrong) == "");
    BOOST_TEST(caller.session().waiting());
    BOOST_TEST(caller.wait() == "535 5.7.8 Credentials not valid\r\n");
    BOOST_TEST((stage.now - asked == 2s));
  }
  BOOST_TEST(caller.say(wrong) == "");
  BOOST_TEST(caller.wait() == "421 4.7.0 Too many failures\r\n");
  BOOST_TEST(caller.session().over());
  Caller again(stage);
  again.say("EHLO c\r\n" + wrong);
  BOOST_TEST(again.wait() == "535 5.7.8 Credentials not valid\r\n");
  stage.handler->log.clear();
  BOOST_TEST(again.say("AUTH PLAIN AGFubgBzZWNyZXQ=\r\n") == "454 4.7.0 Too many failures, try again later\r\n");
  BOOST_TEST(stage.handler->log == "");  // Not even looked at.
  stage.now += 10min;
  BOOST_TEST(again.say("AUTH PLAIN AGFubgBzZWNyZXQ=\r\n") == "235 2.7.0 Authenticated\r\n");
  BOOST_TEST(stage.shared->counters.auth_failures == 4U);
}

BOOST_AUTO_TEST_CASE(a_judgement_that_never_comes) {
  PlayStage stage;
  stage.handler->silent = true;
  Caller caller(stage);
  caller.say("EHLO c\r\nAUTH PLAIN AGFubgBzZWNyZXQ=\r\n");
  BOOST_REQUIRE_EQUAL(stage.handler->authentications.size(), 1U);
  stage.handler->authentications.clear();  // Destroyed without an answer.
  BOOST_TEST(caller.heard() == "454 4.7.0 Cannot judge now, try again later\r\n");
  BOOST_TEST(caller.say("MAIL FROM:<a@b.example>\r\n") == "530 5.7.0 Authentication required\r\n");
  caller.say("AUTH PLAIN AGFubgBzZWNyZXQ=\r\n");
  BOOST_TEST(caller.wait() == "454 4.7.0 Cannot judge now, try again later\r\n");
  stage.handler->authentications.front()(Identity{.user = "ann"});  // Too late.
  BOOST_TEST(caller.say("MAIL FROM:<a@b.example>\r\n") == "530 5.7.0 Authentication required\r\n");
}

BOOST_AUTO_TEST_CASE(addresses_on_the_submission_port) {
  PlayStage stage;
  stage.handler->senders = {"b.example", "only@other.example"};
  Caller caller(stage);
  caller.log_in();
  struct Case {
    std::string_view command, reply;
  };
  constexpr Case kCases[] = {
      {"MAIL FROM:<x@B.example>", "250 2.1.0 Ok\r\n"},
      {"MAIL FROM:<Only@other.example>", "250 2.1.0 Ok\r\n"},
      {"MAIL FROM:<>", "250 2.1.0 Ok\r\n"},
      {"MAIL FROM:<x@other.example>", "550 5.7.1 Not allowed to send as this address\r\n"},
      {"MAIL FROM:<x@sub.b.example>", "550 5.7.1 Not allowed to send as this address\r\n"},
      {"MAIL FROM:<x@desk>", "550 5.1.8 Sender's domain is not fully qualified\r\n"},
      {"MAIL FROM:<x..y@b.example>", "501 5.1.7 Bad sender address\r\n"},
      {"MAIL FROM:<x@-.example>", "501 5.1.7 Bad sender address\r\n"},
  };
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.command) {
      BOOST_TEST(caller.say(std::string(c.command) + "\r\n") == c.reply);
      caller.say("RSET\r\n");
    }
  }
  caller.say("MAIL FROM:<>\r\n");
  constexpr Case kRcpt[] = {
      {"RCPT TO:<x@y.example>", "250 2.1.5 Ok\r\n"},
      {"RCPT TO:<x@[192.0.2.1]>", "250 2.1.5 Ok\r\n"},
      {"RCPT TO:<Postmaster>", "250 2.1.5 Ok\r\n"},
      {"RCPT TO:<x@host>", "550 5.1.2 Recipient's domain is not fully qualified\r\n"},
      {"RCPT TO:<x>", "501 5.1.3 Bad recipient address\r\n"},
      {"RCPT TO:<x@y..example>", "501 5.1.3 Bad recipient address\r\n"},
      {"RCPT TO:<nobody@y.example>", "550 5.1.1 No such user\r\n"},
  };
  for (const Case& c : kRcpt) {
    BOOST_TEST_CONTEXT(c.command) { BOOST_TEST(caller.say(std::string(c.command) + "\r\n") == c.reply); }
  }
}

BOOST_AUTO_TEST_CASE(the_inbound_port_takes_its_domains_mail_and_relays_nothing) {
  PlayStage stage;
  Caller caller(stage, kInboundPort);
  BOOST_TEST(caller.say("EHLO c\r\n").find("AUTH") == std::string::npos);
  BOOST_TEST(caller.say("AUTH PLAIN AGFubgBzZWNyZXQ=\r\n") == "502 5.5.1 AUTH not offered\r\n");
  BOOST_TEST(caller.say("MAIL FROM:<x@anywhere.example>\r\n") == "250 2.1.0 Ok\r\n");
  struct Case {
    std::string_view recipient, reply;
  };
  constexpr Case kCases[] = {
      {"x@bounce.example", "250 2.1.5 Ok\r\n"},
      {"x@BOUNCE.example", "250 2.1.5 Ok\r\n"},
      {"postmaster", "250 2.1.5 Ok\r\n"},
      {"x@other.example", "550 5.7.1 Relaying denied\r\n"},
      {"x@sub.bounce.example", "550 5.7.1 Relaying denied\r\n"},
      {"x@mx.example", "550 5.7.1 Relaying denied\r\n"},
      {"x%other.example@bounce.example", "250 2.1.5 Ok\r\n"},  // A local part like any other.
      {"@bounce.example:x@other.example", "550 5.7.1 Relaying denied\r\n"},
      {"\"x@other.example\"@bounce.example", "250 2.1.5 Ok\r\n"},
      {"x@other.example@bounce.example", "501 5.1.3 Bad recipient address\r\n"},
      {"nobody@bounce.example", "550 5.1.1 No such user\r\n"},
  };
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.recipient) {
      BOOST_TEST(caller.say("RCPT TO:<" + std::string(c.recipient) + ">\r\n") == c.reply);
    }
  }
  BOOST_TEST(caller.say("DATA\r\nx: y\r\n.\r\n").ends_with("250 2.0.0 Taken\r\n"));
  BOOST_REQUIRE_EQUAL(stage.handler->submissions.size(), 1U);
  BOOST_TEST(stage.handler->submissions[0].inbound);
  BOOST_TEST(stage.handler->submissions[0].envelope.recipients.size() == 5U);
  BOOST_TEST(stage.handler->submissions[0].envelope.recipients[2].address.str() == "postmaster@mx.example");
}

// What comes of RCPT for an address that takes a look-up, behind one that is known and before all that was pipelined.
BOOST_AUTO_TEST_CASE(a_recipient_may_be_looked_up) {
  struct Case {
    std::string_view name;
    void (*then)(Caller&, ListenHandler::Answered&);
    std::string_view reply;
    bool found = false;
  };
  const Case kCases[] = {
      {"there", [](Caller&, auto& done) { done({.code = 250}); }, "250 2.1.5 Ok\r\n", true},
      {"not there", [](Caller&, auto& done) { done({.code = 550, .enhanced = EnhancedCode{5, 1, 1}, .text = "None"}); },
       "550 5.1.1 None\r\n"},
      {"no sensible answer", [](Caller&, auto& done) { done({}); }, "451 4.3.0 Try again later\r\n"},
      {"thrown away", [](Caller&, auto& done) { done = nullptr; },
       "451 4.3.0 Cannot look the address up now, try again later\r\n"},
      {"out of time", [](Caller& caller, auto&) { caller.session().on_timeout(caller.session().deadline()); },
       "451 4.3.0 No answer in time, try again later\r\n"},
  };
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      PlayStage stage;
      Caller caller(stage, kInboundPort);
      caller.say("EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<ann@bounce.example>\r\n");
      BOOST_TEST(caller.say("RCPT TO:<somebody@bounce.example> NOTIFY=NEVER\r\nDATA\r\nx: y\r\n.\r\n") == "");
      BOOST_TEST(caller.session().waiting());
      BOOST_TEST(stage.handler->log == "find somebody@bounce.example\n");
      BOOST_REQUIRE_EQUAL(stage.handler->answers.size(), 1U);
      c.then(caller, stage.handler->answers.front());
      BOOST_TEST(caller.heard() == std::string(c.reply) + "354 End data with <CR><LF>.<CR><LF>\r\n250 2.0.0 Taken\r\n");
      stage.handler->answers.clear();  // Comes too late, if it has not come.
      BOOST_TEST(caller.say("NOOP\r\n") == "250 2.0.0 Ok\r\n");
      BOOST_REQUIRE_EQUAL(stage.handler->submissions.size(), 1U);
      const auto& recipients = stage.handler->submissions[0].envelope.recipients;
      BOOST_REQUIRE_EQUAL(recipients.size(), c.found ? 2U : 1U);
      BOOST_TEST(recipients.front().address.str() == "ann@bounce.example");
      if (c.found) BOOST_TEST(int{recipients.back().notify} == int{kNotifyNever});
      BOOST_TEST(stage.shared->held->used() == 0U);
    }
  }
}

BOOST_AUTO_TEST_CASE(looked_up_for_nobody) {
  PlayStage stage;
  Caller gone(stage, kInboundPort);
  const std::string asked = "EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<somebody@bounce.example>\r\n";
  gone.say(asked);
  gone.leave();
  stage.handler->answers.front()({.code = 250});
  stage.loop.run();
  Caller draining(stage, kInboundPort);  // It is in the middle of a message.
  draining.say(asked);
  stage.shared->draining = true;
  draining.session().drain(stage.now);
  BOOST_TEST(draining.heard() == "");
  stage.handler->answers.back()({.code = 250});
  BOOST_TEST(draining.heard() == "250 2.1.5 Ok\r\n");
  BOOST_TEST(draining.say("DATA\r\nx: y\r\n.\r\n").ends_with("421 4.3.2 Shutting down, try again later\r\n"));
  BOOST_TEST(stage.handler->submissions.size() == 1U);
}

// ---------------------------------------------------------------------------------------------------------------------
// Messages and their answers

BOOST_AUTO_TEST_CASE(the_handlers_answer_is_the_clients) {
  struct Case {
    std::string_view name;
    Reply reply;
    std::string_view line;
    bool over = false;
  };
  const Case kCases[] = {
      {"taken", {250, EnhancedCode{2, 6, 0}, "Durable"}, "250 2.6.0 Durable\r\n"},
      {"refused", {554, EnhancedCode{5, 6, 0}, "No From"}, "554 5.6.0 No From\r\n"},
      {"later", {452, EnhancedCode{4, 3, 1}, "Disk is full"}, "452 4.3.1 Disk is full\r\n"},
      {"going down", {421, EnhancedCode{4, 3, 2}, "Going down"}, "421 4.3.2 Going down\r\n", true},
      {"nonsense", {0, {}, "?"}, "451 4.3.0 Try again later\r\n"},
  };
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      PlayStage stage;
      Caller caller(stage);
      stage.handler->silent = false;
      caller.log_in();
      stage.handler->silent = true;
      BOOST_TEST(caller.say(std::string(kMailRcpt) + "DATA\r\nx: y\r\n.\r\nNOOP\r\n")
                     .ends_with("354 End data with <CR><LF>.<CR><LF>\r\n"));  // Nothing is promised yet.
      BOOST_TEST(caller.session().waiting());
      BOOST_REQUIRE_EQUAL(stage.handler->answers.size(), 1U);
      stage.handler->answers.front()(c.reply);
      stage.handler->answers.front()({.code = 250});  // Once is once.
      BOOST_TEST(caller.heard() == std::string(c.line) + (c.over ? "" : "250 2.0.0 Ok\r\n"));
      BOOST_TEST(caller.session().over() == c.over);
      BOOST_TEST(stage.shared->held->used() == 0U);
    }
  }
}

BOOST_AUTO_TEST_CASE(an_answer_thrown_away_is_451) {
  PlayStage stage;
  Caller caller(stage);
  caller.log_in();
  stage.handler->silent = true;
  caller.say(std::string(kMailRcpt) + "DATA\r\nx: y\r\n.\r\n");
  stage.handler->answers.clear();
  BOOST_TEST(caller.heard() == "451 4.3.0 Not handled, try again later\r\n");
}

// What the handler has is memory, whether or not somebody waits for its answer.
BOOST_AUTO_TEST_CASE(held_octets_count_until_the_handler_lets_go) {
  struct Case {
    std::string_view name;
    bool in_time;  // The client waits for longer than answer_time,
    bool leaves;   // and hangs up.
    void (*then)(ListenHandler::Answered& done);
  };
  const auto give = [](ListenHandler::Answered& done) { done({.code = 250}); };
  const auto drop = [](ListenHandler::Answered& done) { done = nullptr; };
  const Case kCases[] = {
      {"answered", true, false, give},          {"thrown away", true, false, drop},
      {"answered late", false, false, give},    {"thrown away late", false, false, drop},
      {"answered to nobody", true, true, give}, {"thrown away, to nobody", false, true, drop},
  };
  const std::uint64_t each = sizeof(EnvelopeRecipient) + std::string_view("d@e.example").size() + 6;
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      ListenOptions options = play_options();
      options.limits.held_bytes_max = each + 5;
      PlayStage stage(std::move(options));
      Caller caller(stage);
      caller.log_in();
      stage.handler->silent = true;
      caller.say(std::string(kMailRcpt) + "DATA\r\nx: y\r\n.\r\n");
      BOOST_TEST(stage.shared->held->used() == each);
      if (!c.in_time) caller.wait();
      if (c.leaves) caller.leave();
      BOOST_TEST(stage.shared->held->used() == each);
      stage.handler->silent = false;
      Caller other(stage);
      other.log_in();
      const std::string again = std::string(kMailRcpt) + "DATA\r\nx: y\r\n.\r\n";
      BOOST_TEST(other.say("MAIL FROM:<a@b.example>\r\nRCPT TO:<d@e.example>\r\nRSET\r\n")
                     .find("452 4.3.1 Insufficient memory") != std::string::npos);
      BOOST_REQUIRE_EQUAL(stage.handler->answers.size(), 1U);
      c.then(stage.handler->answers.front());
      BOOST_TEST(stage.shared->held->used() == 0U);
      BOOST_TEST(other.say(again).ends_with("250 2.0.0 Taken\r\n"));
      BOOST_TEST(stage.shared->held->used() == 0U);
    }
  }
}

BOOST_AUTO_TEST_CASE(passwords_are_judged_so_many_at_once) {
  ListenOptions options = play_options();
  options.limits.auth_checks_max = 2;
  PlayStage stage(std::move(options));
  stage.handler->silent = true;
  constexpr std::string_view kLog = "AUTH PLAIN AGFubgBzZWNyZXQ=\r\n";
  constexpr std::string_view kBusy = "454 4.7.0 Too many log-ins at once, try again later\r\n";
  Caller first(stage), second(stage), third(stage);
  for (Caller* caller : {&first, &second, &third}) caller->say("EHLO c\r\n");
  BOOST_TEST(first.say(kLog) == "");
  BOOST_TEST(second.say(kLog) == "");
  BOOST_TEST(third.say(kLog) == kBusy);
  first.leave();  // The check goes on.
  BOOST_TEST(third.say(kLog) == kBusy);
  second.wait();
  BOOST_TEST(third.say(kLog) == kBusy);
  stage.handler->authentications.front() = nullptr;  // Thrown away.
  BOOST_TEST(third.say(kLog) == "");
  BOOST_REQUIRE_EQUAL(stage.handler->authentications.size(), 3U);
  BOOST_TEST(stage.shared->checks->used() == 2U);
  stage.handler->authentications[1](std::nullopt);  // Too late for the second, which may try again at once:
  BOOST_TEST(second.say(kLog) == "");               // it was no failure of its own.
  stage.handler->authentications[2](Identity{.user = "ann"});
  BOOST_TEST(third.heard() == "235 2.7.0 Authenticated\r\n");
  stage.handler->authentications[3](Identity{.user = "ann"});
  BOOST_TEST(second.heard() == "235 2.7.0 Authenticated\r\n");
  BOOST_TEST(stage.shared->checks->used() == 0U);
  BOOST_TEST(stage.shared->counters.auth_failures == 0U);
}

BOOST_AUTO_TEST_CASE(answers_after_the_listener_is_gone) {
  std::deque<ListenHandler::Answered> late;
  {
    PlayStage stage;
    Caller caller(stage);
    caller.log_in();
    stage.handler->silent = true;
    caller.say(std::string(kMailRcpt) + "DATA\r\nx: y\r\n.\r\n");
    late.swap(stage.handler->answers);
  }
  BOOST_REQUIRE_EQUAL(late.size(), 1U);
  late.front()({.code = 250});  // Under a sanitizer this would show.
}

BOOST_AUTO_TEST_CASE(back_pressure) {
  PlayStage stage;
  Caller caller(stage);
  caller.log_in();
  stage.handler->pressing = Pressure::kFull;
  BOOST_TEST(caller.say("MAIL FROM:<a@b.example>\r\n") == "452 4.3.1 Insufficient system storage\r\n");
  stage.handler->pressing = Pressure::kNone;
  caller.say(std::string(kMailRcpt) + "DATA\r\nx: y\r\n");
  stage.handler->pressing = Pressure::kFull;
  BOOST_TEST(caller.say(".\r\n") == "452 4.3.1 Insufficient system storage\r\n");
  BOOST_TEST(stage.handler->submissions.empty());
  stage.handler->pressing = Pressure::kShutdown;
  BOOST_TEST(caller.say("NOOP\r\nMAIL FROM:<a@b.example>\r\n") ==
             "250 2.0.0 Ok\r\n421 4.3.2 Shutting down, try again later\r\n");
  BOOST_TEST(caller.session().over());
  Caller next(stage);
  BOOST_TEST(next.heard() == "421 4.3.2 Shutting down, try again later\r\n");
}

// Between messages at once, else behind the reply to the message in hand; what was sent behind that gets it for an
// answer.
BOOST_AUTO_TEST_CASE(draining_at_each_stage) {
  constexpr std::string_view kDown = "421 4.3.2 Shutting down, try again later\r\n";
  constexpr std::string_view kTaken = "250 2.0.0 Taken\r\n421 4.3.2 Shutting down, try again later\r\n";
  struct Case {
    std::string_view name;
    std::string said;
    bool over;                // At once.
    std::string_view then{};  // Else what is said next,
    std::string_view last{};  // and the last of what it is told.
  };
  const std::string to_rcpt = std::string(kLogIn) + std::string(kMailRcpt);
  const Case kCases[] = {
      {"greeting", "", true},
      {"EHLO", "EHLO c\r\n", true},
      {"half a line", "EHLO c\r\nMAIL FR", true},
      {"AUTH challenge", "EHLO c\r\nAUTH LOGIN\r\n", true},
      {"logged in", std::string(kLogIn), true},
      {"behind a message", to_rcpt + "DATA\r\nx: y\r\n.\r\n", true},
      {"behind RSET", to_rcpt + "RSET\r\n", true},
      {"MAIL", std::string(kLogIn) + "MAIL FROM:<a@b.example>\r\n", false,
       "RCPT TO:<d@e.example>\r\nBDAT 6 LAST\r\nx: y\r\n", kTaken},
      {"RCPT", to_rcpt, false, "DATA\r\nx: y\r\n.\r\n", kTaken},
      {"RCPT, then given up", to_rcpt, false, "RSET\r\n",
       "250 2.0.0 Ok\r\n421 4.3.2 Shutting down, try again later\r\n"},
      {"RCPT, then the end", to_rcpt, false, "QUIT\r\n", "221 2.0.0 Bye\r\n"},
      {"DATA", to_rcpt + "DATA\r\nhalf", false, "\r\n.\r\n", kTaken},
      {"DATA, and one more behind", to_rcpt + "DATA\r\nhalf", false,
       "\r\n.\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<d@e.example>\r\nDATA\r\n", kTaken},
      {"BDAT", to_rcpt + "BDAT 3\r\nabc", false, "BDAT 5 LAST\r\nabc\r\n", kTaken},
      {"BDAT, half a chunk", to_rcpt + "BDAT 3\r\na", false, "bcBDAT 2 LAST\r\n\r\n", kTaken},
  };
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      PlayStage stage;
      Caller caller(stage);
      caller.say(c.said);
      const std::size_t before = stage.handler->submissions.size();
      stage.shared->draining = true;
      caller.session().drain(stage.now);
      BOOST_TEST(caller.heard() == (c.over ? kDown : ""));
      BOOST_TEST(caller.session().over() == c.over);
      if (c.over) continue;
      BOOST_TEST(caller.say(c.then).ends_with(c.last));
      BOOST_TEST(caller.session().over());
      BOOST_TEST(stage.handler->submissions.size() == before + (c.last == kTaken ? 1U : 0U));
    }
  }
}

BOOST_AUTO_TEST_CASE(draining_waits_for_answers_and_handshakes) {
  constexpr std::string_view kDown = "421 4.3.2 Shutting down, try again later\r\n";
  PlayStage stage;
  Caller asking(stage), judged(stage), wrong(stage), shaking(stage), proxied(stage, kProxyPort, "198.51.100.1:1");
  asking.log_in();
  wrong.say("EHLO c\r\nAUTH PLAIN AGFubgBub3Q=\r\n");
  stage.handler->silent = true;
  asking.say(std::string(kMailRcpt) + "DATA\r\nx: y\r\n.\r\nNOOP\r\n");
  judged.say("EHLO c\r\nAUTH PLAIN AGFubgBzZWNyZXQ=\r\n");
  shaking.say("EHLO c\r\nSTARTTLS\r\n");
  BOOST_TEST(shaking.session().take_tls().has_value());
  stage.shared->draining = true;
  for (Caller* caller : {&asking, &judged, &wrong, &shaking, &proxied}) {
    caller->session().drain(stage.now);
    BOOST_TEST(caller->heard() == "");
    BOOST_TEST(!caller->session().over());
  }
  stage.handler->answers.front()({.code = 250, .enhanced = EnhancedCode{2, 0, 0}, .text = "Taken"});
  BOOST_TEST(asking.heard() == "250 2.0.0 Taken\r\n250 2.0.0 Ok\r\n" + std::string(kDown));
  stage.handler->authentications.front()(Identity{.user = "ann"});
  BOOST_TEST(judged.heard() == "235 2.7.0 Authenticated\r\n" + std::string(kDown));
  BOOST_TEST(wrong.wait() == "535 5.7.8 Credentials not valid\r\n" + std::string(kDown));
  shaking.session().tls_started(stage.now);
  BOOST_TEST(shaking.heard() == kDown);
  BOOST_TEST(proxied.say("PROXY TCP4 203.0.113.5 198.51.100.1 1 25\r\n") == kDown);
  for (Caller* caller : {&asking, &judged, &wrong, &shaking, &proxied}) BOOST_TEST(caller->session().over());
  Caller late(stage);
  BOOST_TEST(late.heard() == kDown);
}

BOOST_AUTO_TEST_CASE(memory_is_bounded_over_all_connections) {
  ListenOptions options = play_options();
  constexpr std::uint64_t kRecipient = sizeof(EnvelopeRecipient) + std::string_view("d@e.example").size();
  options.limits.held_bytes_max = 2 * kRecipient + 100;
  PlayStage stage(std::move(options));
  Caller first(stage), second(stage);
  const std::string sixty(58, 'x');
  for (Caller* caller : {&first, &second}) {
    caller->log_in();
    caller->say(std::string(kMailRcpt) + "DATA\r\n" + sixty + "\r\n");
  }
  BOOST_TEST(stage.shared->held->used() == 2 * kRecipient + 60);
  BOOST_TEST(second.say(".\r\n") == "452 4.3.1 Insufficient memory\r\n");
  BOOST_TEST(first.say(".\r\n") == "250 2.0.0 Taken\r\n");
  BOOST_TEST(stage.shared->held->used() == 0U);
  const std::string size = std::to_string(2 * kRecipient + 101);
  BOOST_TEST(first.say("MAIL FROM:<a@b.example> SIZE=" + size + "\r\n") == "452 4.3.1 Insufficient memory\r\n");
  first.say("MAIL FROM:<a@b.example>\r\n");
  for (std::uint64_t i = 0; i < (2 * kRecipient + 100) / kRecipient; ++i)
    BOOST_TEST(first.say("RCPT TO:<d@e.example>\r\n") == "250 2.1.5 Ok\r\n");
  BOOST_TEST(first.say("RCPT TO:<d@e.example>\r\n") == "452 4.3.1 Insufficient memory\r\n");
  BOOST_TEST(stage.handler->submissions.size() == 1U);
  BOOST_TEST(stage.shared->counters.bytes == 60U);
}

BOOST_AUTO_TEST_CASE(mail_that_goes_in_circles) {
  PlayStage stage;
  Caller caller(stage, kInboundPort);
  std::string message;
  for (int i = 0; i < kReceivedMax; ++i) message += "Received: x\r\n";
  caller.say("EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<x@bounce.example>\r\nDATA\r\n");
  BOOST_TEST(caller.say(message + "\r\n.\r\n") == "554 5.4.6 Too many Received fields: a loop\r\n");
  BOOST_TEST(stage.handler->submissions.empty());
}

BOOST_AUTO_TEST_CASE(lone_line_ends_are_refused_or_made_whole) {
  const std::string message = "x: y\n\r\na\rb\n.\nc";
  const auto sent = [&](BareLineEnds bare, std::string& heard) {
    ListenOptions options = play_options();
    options.bare_line_ends = bare;
    PlayStage stage(std::move(options));
    Caller caller(stage);
    caller.log_in();
    caller.say(std::string(kMailRcpt) + "DATA\r\n");
    heard = caller.say(message + "\r\n.\r\n");
    return stage.handler->submissions.empty() ? "" : stage.handler->submissions[0].data;
  };
  std::string heard;
  BOOST_TEST(sent(BareLineEnds::kRefuse, heard) == "");
  BOOST_TEST(heard == "550 5.6.11 CR or LF alone in the message\r\n");
  BOOST_TEST(sent(BareLineEnds::kNormalise, heard) == "x: y\r\n\r\na\r\nb\r\n.\r\nc\r\n");
  BOOST_TEST(heard == "250 2.0.0 Taken\r\n");
}

// ---------------------------------------------------------------------------------------------------------------------
// Floods and slow clients

BOOST_AUTO_TEST_CASE(too_many_connections) {
  ListenOptions options = play_options();
  options.limits.connections_max = 3;
  options.limits.connections_per_client_max = 2;
  PlayStage stage(std::move(options));
  std::vector<std::unique_ptr<Caller>> callers;
  const auto call = [&](std::string_view peer, std::size_t port = kSubmissionPort) {
    return callers.emplace_back(std::make_unique<Caller>(stage, port, peer))->heard();
  };
  constexpr std::string_view kRefused = "421 4.7.0 Too many connections, try again later\r\n";
  BOOST_TEST(call("192.0.2.1:1") == kGreeting);
  BOOST_TEST(call("192.0.2.1:2") == kGreeting);
  BOOST_TEST(call("192.0.2.1:3") == kRefused);
  BOOST_TEST(call("192.0.2.2:1") == kGreeting);
  BOOST_TEST(call("192.0.2.3:1") == kRefused);
  BOOST_TEST(call("192.0.2.3:1", kTlsPort) == "");  // It could not read a word in clear.
  BOOST_TEST(callers.back()->session().over());
  callers.clear();
  BOOST_TEST(call("192.0.2.3:1") == kGreeting);
}

BOOST_AUTO_TEST_CASE(too_many_messages) {
  ListenOptions options = play_options();
  options.limits.messages_per_client = {.count = 2, .per = 1min};
  PlayStage stage(std::move(options));
  Caller caller(stage, kInboundPort);
  caller.say("EHLO c\r\n");
  for (const char* reply : {"250 2.1.0 Ok\r\n250 2.0.0 Ok\r\n", "250 2.1.0 Ok\r\n250 2.0.0 Ok\r\n",
                            "450 4.7.1 Too many messages, slow down\r\n250 2.0.0 Ok\r\n"})
    BOOST_TEST(caller.say("MAIL FROM:<>\r\nRSET\r\n") == reply);
  stage.now += 1min;
  BOOST_TEST(caller.say("MAIL FROM:<>\r\n") == "250 2.1.0 Ok\r\n");
}

BOOST_AUTO_TEST_CASE(too_many_errors) {
  ListenOptions options = play_options();
  options.limits.errors_max = 3;
  PlayStage stage(std::move(options));
  Caller caller(stage);
  caller.heard();
  BOOST_TEST(caller.say("FOO\r\nFOO\r\nFOO\r\nFOO\r\n") ==
             "500 5.5.1 Command not known\r\n500 5.5.1 Command not known\r\n421 4.7.0 Too many errors\r\n");
  BOOST_TEST(caller.session().over());
}

BOOST_AUTO_TEST_CASE(guessing_addresses_ends_the_connection) {
  ListenOptions options = play_options();
  options.limits.errors_max = 3;
  PlayStage stage(std::move(options));
  const std::string guess = "RCPT TO:<nobody@bounce.example>\r\n";
  Caller guesser(stage, kInboundPort);
  guesser.say("EHLO c\r\nMAIL FROM:<>\r\n");
  BOOST_TEST(guesser.say(guess + guess + guess + guess) ==
             "550 5.1.1 No such user\r\n550 5.1.1 No such user\r\n421 4.7.0 Too many errors\r\n");
  BOOST_TEST(guesser.session().over());
  Caller customer(stage);  // Its lists have such addresses, too.
  customer.log_in();
  customer.say("MAIL FROM:<a@b.example>\r\n");
  for (int i = 0; i < 5; ++i) BOOST_TEST(customer.say(guess) == "550 5.1.1 No such user\r\n");
}

// One octet before each idle time is over: a command line and a message have a time of their own.
BOOST_AUTO_TEST_CASE(slow_loris) {
  struct Case {
    std::string_view name, script;
    Duration limit;
  };
  const ListenLimits limits;
  const std::string to_data = kToRcpt + "DATA\r\n";
  const std::string to_chunk = kToRcpt + "BDAT 100000\r\n";
  const Case kCases[] = {
      {"a command", "", limits.command_time},
      {"a command behind another", "NOOP\r\n", limits.command_time},
      {"a response to a challenge", "EHLO c\r\nAUTH LOGIN\r\n", limits.command_time},
      {"a message", to_data, limits.message_time},
      {"a chunk", to_chunk, limits.message_time},
  };
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      PlayStage stage;
      Caller caller(stage);
      caller.say(c.script);
      const TimePoint start = stage.now;
      std::string heard;
      for (int i = 0; heard.empty() && i < 10'000; ++i) {
        heard = caller.say("x");
        stage.now += 1min;
        if (stage.now < caller.session().deadline()) continue;
        caller.session().on_timeout(stage.now);
        heard += caller.heard();
      }
      BOOST_TEST(heard == "421 4.4.2 Took too long\r\n");
      BOOST_TEST((stage.now - start >= c.limit && stage.now - start <= c.limit + 1min));
      BOOST_TEST(stage.handler->submissions.empty());
    }
  }
}

BOOST_AUTO_TEST_CASE(a_chunk_after_the_other_gains_no_time) {
  PlayStage stage;
  Caller caller(stage);
  caller.say(kToRcpt);
  const TimePoint start = stage.now;
  std::string heard;
  while (heard.find("421") == std::string::npos) {
    heard = caller.say("BDAT 1\r\nx");
    stage.now += 1min;
    caller.session().on_timeout(stage.now);
    heard += caller.heard();
    BOOST_REQUIRE((stage.now - start <= ListenLimits{}.message_time + 1min));
  }
  BOOST_TEST(heard.ends_with("421 4.4.2 Took too long\r\n"));
}

BOOST_AUTO_TEST_CASE(a_connection_does_not_last_for_ever) {
  PlayStage stage;
  Caller caller(stage);
  const TimePoint start = stage.now;
  std::string heard;
  while (heard.find("421") == std::string::npos) {
    heard = caller.say("NOOP\r\n");
    stage.now += 1min;
    caller.session().on_timeout(stage.now);
    heard += caller.heard();
  }
  BOOST_TEST((stage.now - start == ListenLimits{}.connection_time));
}

// ---------------------------------------------------------------------------------------------------------------------
// What start() refuses

BOOST_AUTO_TEST_CASE(options_that_cannot_be) {
  struct Case {
    std::string_view name, detail;
    void (*spoil)(ListenOptions&);
  };
  const Case kCases[] = {
      {"no endpoints", "listener: no endpoints", [](ListenOptions& o) { o.endpoints.clear(); }},
      {"no host", "listener: host \"\" is not a host name", [](ListenOptions& o) { o.host.clear(); }},
      {"a host that is none", "listener: host \"a b\" is not a host name", [](ListenOptions& o) { o.host = "a b"; }},
      {"a range that is none", "listener: trusted: \"x\" is not a range of IP addresses",
       [](ListenOptions& o) { o.trusted = {"x"}; }},
      {"PROXY, and nobody is trusted", "listener: 127.0.0.1:0: PROXY headers are expected, but no range is trusted",
       [](ListenOptions& o) { o.trusted.clear(); }},
      {"no threads", "listener: threads must be at least 1", [](ListenOptions& o) { o.threads = 0; }},
      {"lines too short for AUTH", "listener: limits: command_line_bytes_max is not between 1100 and 65536",
       [](ListenOptions& o) { o.limits.command_line_bytes_max = 512; }},
      {"no recipients", "listener: limits: each number must be at least 1",
       [](ListenOptions& o) { o.limits.recipients_max = 0; }},
      {"no time", "listener: limits: each time must be above zero",
       [](ListenOptions& o) { o.limits.idle_time = Duration{0}; }},
  };
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      ListenOptions options = play_options();
      c.spoil(options);
      const auto made = ListenShared::make(std::move(options), std::make_shared<PlayedHandler>(), 1);
      BOOST_REQUIRE(!made.has_value());
      BOOST_TEST(made.error().detail == c.detail);
    }
  }
  BOOST_TEST(!ListenShared::make(play_options(), nullptr, 1).has_value());
}

}  // namespace mailsbuddy::smtp
