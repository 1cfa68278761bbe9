// The failure catalogue: every step of a session meets everything that can go wrong there.
#include <boost/test/unit_test.hpp>
#include <optional>

#include "tests/smtp/client_play.h"

using namespace mailsbuddy;
using namespace mailsbuddy::test;

namespace {

enum class Mode { kPlain, kLogin, kLmtp, kChunks, kQuit };

// How far the session is when it fails; the last command has not been sent yet.
struct Step {
  std::string_view name;
  std::string_view script;
  std::string_view command;  // What is then to be sent.
  std::string_view stage;
  std::string_view waits_for;  // As in "no ... in 300 s".
  int seconds;
  std::size_t recipients;        // That still have no outcome.
  bool survives_refusal = true;  // 4yz and 5yz leave the connection usable.
  Mode mode = Mode::kPlain;
  std::size_t first = 0;  // Of those recipients.
};

#define HELLO "S: 220 mx\nC: EHLO me\nS: 250 mx\n"
#define HELLO_TLS "S: 220 mx\nC: EHLO me\nS: 250-mx\nS: 250 STARTTLS\n"
#define HELLO_GROUP "S: 220 mx\nC: EHLO me\nS: 250-mx\nS: 250 PIPELINING\n"
#define MAIL_FROM "C: MAIL FROM:<me@a.example>\n"
#define RCPT_A "C: RCPT TO:<a@b.example>\n"
#define RCPT_B "C: RCPT TO:<b@b.example>\n"
#define OK "S: 250 Ok\n"
#define GROUP "MAIL FROM:<me@a.example>\r\nRCPT TO:<a@b.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\n"
#define GROUP_SENT HELLO_GROUP MAIL_FROM RCPT_A RCPT_B "C: DATA\n"

#define HELLO_AUTH "S: 220 mx\nC: EHLO me\nS: 250-mx\nS: 250 AUTH LOGIN\n"
#define NO "S: 550 No\n"
#define LMTP_SENT "S: 220 mx\nC: LHLO me\nS: 250-mx\nS: 250 PIPELINING\n" MAIL_FROM RCPT_A RCPT_B "C: DATA\n"
#define BDAT_SENT                                                                                  \
  "S: 220 mx\nC: EHLO me\nS: 250-mx\nS: 250-PIPELINING\nS: 250 CHUNKING\n" MAIL_FROM RCPT_A RCPT_B \
  "C: BDAT 4 LAST\nC: Hi\n"
#define SENT "C: Hi\nC: .\n"

constexpr Step kSteps[] = {
    {"greeting", "", "", "greeting", "greeting", 300, 0, false},
    {"EHLO", "S: 220 mx\n", "EHLO me\r\n", "ehlo", "reply to EHLO", 300, 0, false},
    {"HELO", "S: 220 mx\nC: EHLO me\nS: 500 What\n", "HELO me\r\n", "ehlo", "reply to HELO", 300, 0, false},
    {"STARTTLS", HELLO_TLS, "STARTTLS\r\n", "start_tls", "reply to STARTTLS", 120, 0, false},
    {"MAIL", HELLO, "MAIL FROM:<me@a.example>\r\n", "mail_from", "reply to MAIL FROM", 300, 2},
    {"RCPT", HELLO MAIL_FROM OK RCPT_A OK, "RCPT TO:<b@b.example>\r\n", "rcpt_to", "reply to RCPT TO", 300, 2},
    {"DATA", HELLO MAIL_FROM OK RCPT_A OK RCPT_B OK, "DATA\r\n", "data", "reply to DATA", 120, 2},
    {"final dot", HELLO MAIL_FROM OK RCPT_A OK RCPT_B OK "C: DATA\nS: 354 Go\n", "Hi\r\n.\r\n", "final_dot",
     "reply to the end of data", 600, 2},
    {"MAIL in a group", HELLO_GROUP, GROUP, "mail_from", "reply to MAIL FROM", 300, 2},
    {"RCPT in a group", GROUP_SENT OK OK, "", "rcpt_to", "reply to RCPT TO", 300, 2},
    {"DATA in a group", GROUP_SENT OK OK OK, "", "data", "reply to DATA", 120, 2},
    {"final dot after a group", GROUP_SENT OK OK OK "S: 354 Go\n", "Hi\r\n.\r\n", "final_dot",
     "reply to the end of data", 600, 2},
    {"LHLO", "S: 220 mx\n", "LHLO me\r\n", "ehlo", "reply to LHLO", 300, 0, false, Mode::kLmtp},
    {"AUTH", HELLO_AUTH, "AUTH LOGIN\r\n", "auth", "reply to AUTH", 300, 0, false, Mode::kLogin},
    {"AUTH, the user", HELLO_AUTH "C: AUTH LOGIN\nS: 334 VXNlcg==\n", "YW5u\r\n", "auth", "reply to AUTH", 300, 0,
     false, Mode::kLogin},
    {"AUTH, the password", HELLO_AUTH "C: AUTH LOGIN\nS: 334 VXNlcg==\nC: YW5u\nS: 334 UGFzcw==\n", "czNjcmV0\r\n",
     "auth", "reply to AUTH", 300, 0, false, Mode::kLogin},
    {"RSET", HELLO MAIL_FROM OK RCPT_A NO RCPT_B NO, "RSET\r\n", "mail_from", "reply to RSET", 300, 0, false},
    {"QUIT", HELLO, "QUIT\r\n", "mail_from", "reply to QUIT", 5, 0, false, Mode::kQuit},
    {"BDAT", BDAT_SENT OK OK OK, "", "final_dot", "reply to the end of data", 600, 2, true, Mode::kChunks},
    {"LMTP, the first reply", LMTP_SENT OK OK OK "S: 354 Go\n" SENT, "", "final_dot", "reply to the end of data", 600,
     2, true, Mode::kLmtp},
    {"LMTP, the last reply", LMTP_SENT OK OK OK "S: 354 Go\n" SENT OK, "", "final_dot", "reply to the end of data", 600,
     1, true, Mode::kLmtp, 1},
};

smtp::SessionOptions options_for(const Step& step) {
  smtp::SessionOptions options{.ehlo_name = "me"};
  if (step.stage == "start_tls") options.tls = smtp::TlsPolicy::kRequired;
  if (step.mode == Mode::kLogin) options.login = {.user = "ann", .password = "s3cret", .in_clear = true};
  if (step.mode == Mode::kLmtp) options.protocol = smtp::Protocol::kLmtp;
  if (step.mode == Mode::kChunks) options.messages_in_flight = 3;
  return options;
}

const Mail kMail{.to = {"a@b.example", "b@b.example"}};

// Plays up to the step; `send`: and lets its command go.
Play at(const Step& step, bool send) {
  Play play(options_for(step), step.mode == Mode::kQuit ? std::vector<Mail>{} : std::vector<Mail>{kMail});
  play.script(step.script, 0);
  if (step.mode == Mode::kQuit) play.session.quit(play.now);
  if (send) play.hears(step.command);
  play.events.clear();
  return play;
}

// All who were waiting get `outcome`, then the session closes for the same reason.
std::vector<std::string> all_closed(const Step& step, const std::string& outcome) {
  std::vector<std::string> events;
  for (std::size_t i = 0; i < step.recipients; ++i) events.push_back(std::to_string(step.first + i) + ": " + outcome);
  if (step.recipients > 0) events.emplace_back("done");
  events.push_back("closed: " + outcome);
  return events;
}

void expect(const Play& play, const std::vector<std::string>& events) {
  BOOST_TEST(play.events == events, boost::test_tools::per_element());
}

void expect_closed(Play& play, const Step& step, const std::string& rest) {
  expect(play, all_closed(step, std::string(step.stage) + rest));
  BOOST_TEST(play.session.output().empty());
  BOOST_TEST((play.session.deadline() == TimePoint::max()));
  play.says("250 Ok\r\n");
  play.loses_connection(Cause::kConnectionLost, "again");
  BOOST_TEST(!play.session.poll());  // Nothing follows.
}

std::string timeout(const Step& step) { return fmt::format(" timeout (no {} in {} s)", step.waits_for, step.seconds); }

}  // namespace

BOOST_AUTO_TEST_CASE(connection_closed_or_reset) {
  for (const Step& step : kSteps) {
    for (const std::string detail : {"closed by the peer", "connection reset by peer"}) {
      BOOST_TEST_CONTEXT(step.name << ", " << detail) {
        Play play = at(step, true);
        play.loses_connection(Cause::kConnectionLost, detail);
        expect_closed(play, step, " connection_lost (" + detail + ")");
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(silence) {
  for (const Step& step : kSteps) {
    BOOST_TEST_CONTEXT(step.name) {
      Play play = at(step, true);
      play.waits_until_deadline();
      expect_closed(play, step, timeout(step));
    }
  }
}

BOOST_AUTO_TEST_CASE(partial_reply_then_close_or_silence) {
  for (const Step& step : kSteps) {
    for (const std::string_view part : {"2", "250", "250-Ok\r\n", "250 Ok\r"}) {
      BOOST_TEST_CONTEXT(step.name << ", '" << part << "'") {
        Play closed = at(step, true);
        closed.says(part);
        expect(closed, {});
        closed.loses_connection(Cause::kConnectionLost, "gone");
        expect_closed(closed, step, " connection_lost (gone)");
        Play silent = at(step, true);
        silent.now += std::chrono::seconds(1);  // A drip of octets buys no time.
        silent.says(part);
        silent.waits_until_deadline();
        expect_closed(silent, step, timeout(step));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(garbage) {
  for (const Step& step : kSteps) {
    BOOST_TEST_CONTEXT(step.name) {
      Play play = at(step, true);
      play.says("SSH-2.0-OpenSSH\r\n");
      expect_closed(play, step, " protocol_error (not an SMTP reply)");
    }
  }
}

// Replies that no server may give, or that are larger than any should be.
BOOST_AUTO_TEST_CASE(impossible_replies) {
  struct Kind {
    std::string_view name;
    std::string reply;
    std::string_view detail;
  };
  std::string many;
  for (int i = 0; i < 101; ++i) many += "250-x\r\n";
  std::string much;
  for (int i = 0; i < 17; ++i) much += "250-" + std::string(1000, 'x') + "\r\n";
  const Kind kKinds[] = {
      {"a line too long", "250 " + std::string(3000, 'x') + "\r\n", "reply line too long"},
      {"a line that never ends", std::string(3000, '2'), "reply line too long"},
      {"too many lines", many, "reply with too many lines"},
      {"too many octets", much, "reply too long"},
      {"another code on the second line", "250-a\r\n251 b\r\n", "reply lines with different codes"},
      {"a refusal that begins as consent", "250-a\r\n550 b\r\n", "reply lines with different codes"},
      {"no code", " 250 Ok\r\n", "not an SMTP reply"},
      {"a code beyond all", "650 Ok\r\n", "not an SMTP reply"},
      {"an empty line", "\r\n", "not an SMTP reply"},
  };
  for (const Step& step : kSteps) {
    for (const Kind& kind : kKinds) {
      for (const std::size_t piece : {std::size_t{0}, std::size_t{1}, std::size_t{7}}) {
        BOOST_TEST_CONTEXT(step.name << ", " << kind.name << ", " << piece) {
          Play play = at(step, true);
          play.says(kind.reply, piece);
          expect_closed(play, step, " protocol_error (" + std::string(kind.detail) + ")");
        }
      }
    }
  }
}

// A code that is not among the answers to what was said.
BOOST_AUTO_TEST_CASE(wrong_code) {
  for (const Step& step : kSteps) {
    if (step.stage == "data" || step.name == "QUIT")
      continue;  // It is one; whatever QUIT is answered with, it is over.
    BOOST_TEST_CONTEXT(step.name) {
      Play play = at(step, true);
      play.says("354 Go\r\n");
      const std::string why = step.name == "RSET" ? "RSET refused" : "354 is no " + std::string(step.waits_for);
      expect_closed(play, step, " protocol_error 354 Go (" + why + ")");
    }
  }
}

// The reply comes before the command has been sent: it cannot be the answer to it.
BOOST_AUTO_TEST_CASE(early_reply) {
  for (const Step& step : kSteps) {
    if (step.command.empty()) continue;
    BOOST_TEST_CONTEXT(step.name) {
      Play play = at(step, false);
      play.says("250 Ok\r\n");
      Step early = step;
      if (early.stage == "final_dot") early.stage = "data";  // The end of data has not been sent.
      expect_closed(play, early, " protocol_error 250 Ok (a reply to nothing)");
    }
  }
}

BOOST_AUTO_TEST_CASE(shutting_down) {
  for (const Step& step : kSteps) {
    for (const bool sent : {true, false}) {
      BOOST_TEST_CONTEXT(step.name << (sent ? "" : ", before the command")) {
        Play play = at(step, sent);
        play.says("421 4.3.2 Shutting down\r\n");
        Step where = step;
        if (!sent && !step.command.empty() && where.stage == "final_dot") where.stage = "data";
        expect_closed(play, where, " reply 421 4.3.2 Shutting down");
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(refused) {
  for (const Step& step : kSteps) {
    for (const std::string reply : {"451 4.3.0 Later", "550 5.7.1 No"}) {
      BOOST_TEST_CONTEXT(step.name << ", " << reply) {
        Play play = at(step, true);
        play.says(reply + "\r\n");
        if (!step.survives_refusal) {
          if (step.name == "RSET") {
            expect_closed(play, step, " protocol_error " + reply + " (RSET refused)");
          } else if (step.name == "EHLO" && reply.starts_with('5')) {  // HELO is still to be tried.
            play.hears("HELO me\r\n");
            expect(play, {});
          } else {
            expect_closed(play, step, " reply " + reply);
          }
          continue;
        }
        // RCPT refuses the recipient asked about, the second; the others refuse all.
        std::vector<std::string> events;
        const std::string outcome = std::string(step.stage) + " reply " + reply;
        if (step.stage == "rcpt_to") {
          events = {"1: " + outcome};
        } else if (step.mode == Mode::kLmtp) {
          events = {std::to_string(step.first) + ": " + outcome};
          if (step.first == 1) events.insert(events.end(), {"done", "ready"});
        } else {
          events = {"0: " + outcome, "1: " + outcome};
          if (step.name != "MAIL in a group") events.emplace_back("done");
          if (step.name != "MAIL in a group" && step.name != "DATA") events.emplace_back("ready");
        }
        expect(play, events);
        if (step.name == "DATA") {  // The server still holds a transaction.
          play.hears("RSET\r\n");
          play.says("250 Ok\r\n");
          events.emplace_back("ready");
          expect(play, events);
        }
        // Once the group's other replies are in, the connection is as good as before.
        if (step.name == "MAIL in a group") {
          play.says("503 No\r\n503 No\r\n503 No\r\n");
          events.insert(events.end(), {"done", "ready"});
          expect(play, events);
        }
        BOOST_TEST(play.events.back().find("closed") == std::string::npos);
      }
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// While the message is being sent

namespace {

Play sending() {
  Play play = at(kSteps[7], false);
  play.session.consume(2, play.now);
  BOOST_TEST(play.session.output() == "\r\n.\r\n");
  return play;
}

constexpr Step kSending{"sending", "", "", "data", "room for more of the message", 180, 2};

}  // namespace

BOOST_AUTO_TEST_CASE(lost_while_sending) {
  Play play = sending();
  play.session.consume(4, play.now);  // All but the last LF: the server cannot have seen the end of data.
  play.loses_connection(Cause::kConnectionLost, "gone");
  expect_closed(play, kSending, " connection_lost (gone)");
}

BOOST_AUTO_TEST_CASE(lost_after_sending_is_unknown) {
  Play play = at(kSteps[7], true);
  play.session.on_disconnect(Cause::kConnectionLost, "gone", play.now);
  const auto event = play.session.poll();
  BOOST_TEST(event->outcome.unknown());
}

BOOST_AUTO_TEST_CASE(stuck_while_sending) {
  Play play = sending();
  play.now += std::chrono::seconds(100);
  play.session.consume(1, play.now);  // Progress: the time runs anew.
  BOOST_TEST((play.session.deadline() == play.now + std::chrono::minutes(3)));
  play.waits_until_deadline();
  expect_closed(play, kSending, timeout(kSending));
}

BOOST_AUTO_TEST_CASE(refused_while_sending) {
  Play play = sending();
  play.says("552 5.3.4 Too big\r\n");
  expect_closed(play, kSending, " reply 552 5.3.4 Too big");
}

BOOST_AUTO_TEST_CASE(accepted_while_sending) {
  Play play = sending();
  play.says("250 Ok\r\n");
  expect_closed(play, kSending, " protocol_error 250 Ok (a reply to nothing)");
}

// Recipients that had their outcome before keep it.
BOOST_AUTO_TEST_CASE(lost_after_some_were_refused) {
  Play play = at(kSteps[8], true);
  play.says("250 Ok\r\n550 No\r\n");
  play.loses_connection(Cause::kConnectionLost, "gone");
  expect(play, {"0: rcpt_to reply 550 No", "1: rcpt_to connection_lost (gone)", "done",
                "closed: rcpt_to connection_lost (gone)"});
}

BOOST_AUTO_TEST_CASE(shutting_down_inside_a_group) {
  Play play = at(kSteps[8], true);
  play.says("250 Ok\r\n250 Ok\r\n421 4.3.2 Down\r\n");
  expect(play, {"0: rcpt_to reply 421 4.3.2 Down", "1: rcpt_to reply 421 4.3.2 Down", "done",
                "closed: rcpt_to reply 421 4.3.2 Down"});
}

BOOST_AUTO_TEST_CASE(no_time_runs_between_transactions) {
  Play play({.ehlo_name = "me"}, {});
  BOOST_TEST((play.session.deadline() == play.now + std::chrono::minutes(5)));
  play.script(HELLO, false);
  BOOST_TEST((play.session.deadline() == TimePoint::max()));
  play.session.on_timeout(play.now + std::chrono::hours(100));
  BOOST_TEST(!play.session.poll());
}
