// Transactions that overlap: the next envelope behind the end of data (RFC 2920 3.1), and BDAT (RFC 3030). Whole
// dialogues, each fed at once and split at every octet; then the failure catalogue of what is under way on a connection
// that ends.
#include <boost/test/unit_test.hpp>

#include "tests/smtp/client_play.h"

using namespace mailsbuddy;
using namespace mailsbuddy::test;

namespace {

#define HELLO "S: 220 mx\nC: EHLO me\nS: 250-mx\nS: 250 PIPELINING\n"
#define HELLO_CHUNKING "S: 220 mx\nC: EHLO me\nS: 250-mx\nS: 250-PIPELINING\nS: 250 CHUNKING\n"
#define GROUP(n) "C: MAIL FROM:<me@a.example>\nC: RCPT TO:<" #n "@b.example>\nC: DATA\n"
#define GROUP_OK "S: 250 Ok\nS: 250 Ok\nS: 354 Go\n"
#define MESSAGE "C: Hi\nC: .\n"
#define CHUNK(n) "C: MAIL FROM:<me@a.example>\nC: RCPT TO:<" #n "@b.example>\nC: BDAT 4 LAST\nC: Hi\n"
#define CHUNK_NEXT(n) "C: RSET\n" CHUNK(n)
#define CHUNK_OK "S: 250 Ok\nS: 250 Ok\nS: 250 Queued\n"

const Mail kOne{.to = {"1@b.example"}};
const Mail kTwo{.to = {"2@b.example"}};
const Mail kThree{.to = {"3@b.example"}};
const std::string kDelivered = "0: final_dot reply 250 Queued";

struct Case {
  std::string_view name;
  int in_flight = 2;
  std::vector<Mail> mails{kOne, kTwo};
  std::string_view script;
  std::vector<std::string_view> events;
};

smtp::SessionOptions options(int in_flight) {
  return {.ehlo_name = "me", .tls = smtp::TlsPolicy::kNone, .timeouts = {}, .messages_in_flight = in_flight};
}

void check(const Case& c) {
  BOOST_TEST_CONTEXT(c.name) {
    Play whole(options(c.in_flight), c.mails, true);
    whole.script(c.script, false);
    BOOST_TEST(whole.events == c.events, boost::test_tools::per_element());
    for (std::size_t piece = 1; piece < whole.longest_said; ++piece) {
      Play pieces(options(c.in_flight), c.mails, true);
      pieces.script(c.script, piece);
      BOOST_TEST(pieces.events == c.events, boost::test_tools::per_element());
    }
  }
}

const Case kCases[] = {
    {.name = "the envelope behind the end of data",
     .mails = {kOne, kTwo, kThree},
     .script = HELLO GROUP(1) GROUP_OK MESSAGE GROUP(2) "S: 250 Queued\n" GROUP_OK MESSAGE GROUP(
         3) "S: 250 Queued\n" GROUP_OK MESSAGE "S: 250 Queued\n",
     .events = {"ready", kDelivered, "done", kDelivered, "done", kDelivered, "done", "ready"}},
    {.name = "a window of one",
     .in_flight = 1,
     .script = HELLO GROUP(1) GROUP_OK MESSAGE "S: 250 Queued\n" GROUP(2) GROUP_OK MESSAGE "S: 250 Queued\n",
     .events = {"ready", kDelivered, "done", "ready", kDelivered, "done", "ready"}},
    {.name = "without PIPELINING",
     .script = "S: 220 mx\nC: EHLO me\nS: 250 mx\nC: MAIL FROM:<me@a.example>\nS: 250 Ok\n"
               "C: RCPT TO:<1@b.example>\nS: 250 Ok\nC: DATA\nS: 354 Go\n" MESSAGE "S: 250 Queued\n"
               "C: MAIL FROM:<me@a.example>\n",
     .events = {"ready", kDelivered, "done", "ready"}},
    {.name = "CHUNKING with a window of two is not used",
     .script = HELLO_CHUNKING GROUP(1) GROUP_OK MESSAGE GROUP(2),
     .events = {"ready"}},
    {.name = "no more than MAILMAX, and each is looked at before it is sent",
     .script = "S: 220 mx\nC: EHLO me\nS: 250-mx\nS: 250-PIPELINING\nS: 250 LIMITS MAILMAX=2\n" GROUP(1) GROUP_OK MESSAGE GROUP(2) "S: 250 Queued\n" GROUP_OK MESSAGE "S: 250 Queued\nC: QUIT\n",
     .events = {"ready", kDelivered, "done", "sending", kDelivered, "done"}},
    {.name = "the message refused, the next taken",
     .script = HELLO GROUP(1) GROUP_OK MESSAGE GROUP(2) "S: 554 5.7.1 Spam\n" GROUP_OK MESSAGE "S: 250 Queued\n",
     .events = {"ready", "0: final_dot reply 554 5.7.1 Spam", "done", kDelivered, "done", "ready"}},
    {.name = "the next one's sender refused",
     .script = HELLO GROUP(1) GROUP_OK MESSAGE GROUP(2) "S: 250 Queued\nS: 550 No\nS: 503 No\nS: 503 No\n",
     .events = {"ready", kDelivered, "done", "0: mail_from reply 550 No", "done", "ready"}},
    {.name = "the next one's recipient refused: the one after it begins with RSET",
     .mails = {kOne, kTwo, kThree},
     .script =
         HELLO GROUP(1) GROUP_OK MESSAGE GROUP(2) "S: 250 Queued\nS: 250 Ok\nS: 550 No\nS: 554 No\n"
                                                  "C: RSET\n" GROUP(3) "S: 250 Ok\n" GROUP_OK MESSAGE "S: 250 Queued\n",
     .events = {"ready", kDelivered, "done", "0: rcpt_to reply 550 No", "done", "ready", kDelivered, "done", "ready"}},
    {.name = "DATA taken without a recipient: the lone dot has nothing behind it",
     .mails = {kOne, kTwo, kThree},
     .script = HELLO GROUP(1) GROUP_OK MESSAGE GROUP(2) "S: 250 Queued\nS: 250 Ok\nS: 550 No\nS: 354 Go\n"
                                                        "C: .\nS: 554 No\n" GROUP(3),
     .events = {"ready", kDelivered, "done", "0: rcpt_to reply 550 No", "done", "ready"}},
    {.name = "what cannot be sent here has its outcome in its turn",
     .mails = {kOne, {.to = {"bad\r\n@b"}}, kThree},
     .script = HELLO GROUP(1) GROUP_OK MESSAGE "S: 250 Queued\n" GROUP(3) GROUP_OK MESSAGE "S: 250 Queued\n",
     .events = {"ready", kDelivered, "done", "0: rcpt_to protocol_error (control character in the address)", "done",
                "ready", kDelivered, "done", "ready"}},
    {.name = "one of two recipients cannot be named: begun when it is its turn",
     .mails = {kOne, {.to = {"bad\r\n@b", "2@b.example"}}},
     .script = HELLO GROUP(1) GROUP_OK MESSAGE "S: 250 Queued\n" GROUP(2) GROUP_OK MESSAGE "S: 250 Queued\n",
     .events = {"ready", kDelivered, "done", "0: rcpt_to protocol_error (control character in the address)",
                "1: final_dot reply 250 Queued", "done", "ready"}},
    {.name = "BDAT: three at once, and the fourth as soon as one is answered",
     .in_flight = 3,
     .mails = {kOne, kTwo, kThree, kOne},
     .script = HELLO_CHUNKING CHUNK(1) CHUNK_NEXT(2) CHUNK_NEXT(3)
         CHUNK_OK CHUNK_NEXT(1) "S: 250 Ok\n" CHUNK_OK "S: 250 Ok\n" CHUNK_OK "S: 250 Ok\n" CHUNK_OK,
     .events = {"ready", kDelivered, "done", kDelivered, "done", kDelivered, "done", kDelivered, "done", "ready"}},
    {.name = "BDAT: refused at each stage, the others taken",
     .in_flight = 5,
     .mails = {kOne, kTwo, kThree, kOne},
     .script = HELLO_CHUNKING CHUNK(1) CHUNK_NEXT(2) CHUNK_NEXT(3)
         CHUNK_NEXT(1) "S: 550 M\nS: 503 No\nS: 503 No\n"
                       "S: 250 Ok\nS: 250 Ok\nS: 550 R\nS: 503 No\nS: 250 Ok\nS: 250 Ok\nS: 250 Ok\nS: 452 Full\nS: "
                       "250 Ok\n" CHUNK_OK,
     .events = {"ready", "0: mail_from reply 550 M", "done", "0: rcpt_to reply 550 R", "done",
                "0: final_dot reply 452 Full", "done", kDelivered, "done", "ready"}},
    {.name = "BDAT: a message with a stuffed dot goes by DATA, and what follows waits for its 354",
     .in_flight = 3,
     .mails = {kOne, {.to = {"2@b.example"}, .data = "..\r\n.\r\n", .bytes = 3}, kThree},
     .script = HELLO_CHUNKING CHUNK(1) "C: RSET\n" GROUP(2) CHUNK_OK
     "S: 250 Ok\n" GROUP_OK "C: ..\nC: .\n" CHUNK_NEXT(3) "S: 250 Queued\nS: 250 Ok\n" CHUNK_OK,
     .events = {"ready", kDelivered, "done", kDelivered, "done", kDelivered, "done", "ready"}},
};

// ---------------------------------------------------------------------------------------------------------------------
// The connection ends with two messages under way

// Up to where it ends. `lost`: what the two are then said to be, beside their common cause; empty: answered before.
struct Step {
  std::string_view name;
  int in_flight;
  std::string_view script;
  std::size_t unsent;  // Octets that are still to be sent, of all that is.
  std::string_view first, second;
};

#define DATA_ENVELOPE 55  // Octets of GROUP(2).

constexpr Step kSteps[] = {
    {"inside the message", 2, HELLO GROUP(1) GROUP_OK, 5 + DATA_ENVELOPE, "data", "mail_from"},
    {"message sent, none of the envelope", 2, HELLO GROUP(1) GROUP_OK, DATA_ENVELOPE, "final_dot", "mail_from"},
    {"message sent, half of the envelope", 2, HELLO GROUP(1) GROUP_OK, 30, "final_dot", "mail_from"},
    {"all sent", 2, HELLO GROUP(1) GROUP_OK, 0, "final_dot", "mail_from"},
    {"the first answered", 2, HELLO GROUP(1) GROUP_OK MESSAGE GROUP(2) "S: 250 Queued\n", 0, "", "mail_from"},
    {"its sender taken", 2, HELLO GROUP(1) GROUP_OK MESSAGE GROUP(2) "S: 250 Queued\nS: 250 Ok\n", 0, "", "rcpt_to"},
    {"BDAT, the second not complete", 3, HELLO_CHUNKING, 1, "final_dot", "mail_from"},
    {"BDAT, both complete", 3, HELLO_CHUNKING, 0, "final_dot", "final_dot"},
    {"BDAT, the first answered", 3, HELLO_CHUNKING CHUNK(1) CHUNK_NEXT(2) CHUNK_OK, 0, "", "final_dot"},
};

Play at(const Step& step) {
  Play play(options(step.in_flight), {kOne, kTwo}, true);
  play.script(step.script, false);
  std::size_t waiting = 0;
  std::array<std::string_view, 8> pieces;
  for (std::size_t i = 0, count = play.session.outputs(pieces); i < count; ++i) waiting += pieces[i].size();
  if (waiting > 0) play.session.consume(waiting - step.unsent, play.now);
  play.events.clear();
  return play;
}

std::vector<std::string> ends(const Step& step, const std::string& cause, std::string_view closed) {
  std::vector<std::string> events;
  for (const std::string_view stage : {step.first, step.second}) {
    if (!stage.empty()) events.insert(events.end(), {"0: " + std::string(stage) + cause, "done"});
  }
  events.push_back("closed: " + std::string(closed) + cause);
  return events;
}

// Where the session itself stood: with the first one's reply, but BDAT waits for that of the envelope at first.
std::string_view session_stage(const Step& step) {
  if (step.in_flight == 2) return step.first.empty() ? step.second : step.first;
  return "mail_from";
}

}  // namespace

BOOST_AUTO_TEST_CASE(overlapping_dialogues) {
  for (const Case& c : kCases) check(c);
}

BOOST_AUTO_TEST_CASE(lost_with_two_under_way) {
  for (const Step& step : kSteps) {
    BOOST_TEST_CONTEXT(step.name) {
      Play play = at(step);
      play.loses_connection(Cause::kConnectionLost, "gone");
      BOOST_TEST(play.events == ends(step, " connection_lost (gone)", session_stage(step)),
                 boost::test_tools::per_element());
      BOOST_TEST(play.session.output().empty());
      BOOST_TEST(!play.session.room());
    }
  }
}

BOOST_AUTO_TEST_CASE(garbage_with_two_under_way) {
  for (const Step& step : kSteps) {
    BOOST_TEST_CONTEXT(step.name) {
      Play play = at(step);
      play.says("SSH-2.0-OpenSSH\r\n");
      BOOST_TEST(play.events == ends(step, " protocol_error (not an SMTP reply)", session_stage(step)),
                 boost::test_tools::per_element());
    }
  }
}

// A server that says 421 does no more: what was not answered before was not taken, however much of it was sent.
BOOST_AUTO_TEST_CASE(shutting_down_with_two_under_way) {
  for (const Step& step : kSteps) {
    BOOST_TEST_CONTEXT(step.name) {
      Play play = at(step);
      play.says("421 4.3.2 Down\r\n");
      Step said = step;
      if (step.in_flight == 3 && !step.first.empty()) said.first = "mail_from";
      if (step.in_flight == 3) said.second = "mail_from";
      BOOST_TEST(play.events == ends(said, " reply 421 4.3.2 Down", session_stage(step)),
                 boost::test_tools::per_element());
    }
  }
}

BOOST_AUTO_TEST_CASE(silence_with_two_under_way) {
  Play play = at(kSteps[3]);
  play.waits_until_deadline();
  BOOST_TEST(play.events == ends(kSteps[3], " timeout (no reply to the end of data in 600 s)", "final_dot"),
             boost::test_tools::per_element());
  Play answered = at(kSteps[4]);
  answered.waits_until_deadline();
  BOOST_TEST(answered.events == ends(kSteps[4], " timeout (no reply to MAIL FROM in 300 s)", "mail_from"),
             boost::test_tools::per_element());
}

// The message and the envelope behind it are two pieces, so that one system call can take them.
BOOST_AUTO_TEST_CASE(pieces_in_their_order) {
  const std::string data = "Hi\r\n.\r\n";
  Play play(options(2), {{.to = {"1@b.example"}, .data = data}, kTwo}, true);
  play.script(HELLO GROUP(1) GROUP_OK, false);
  std::array<std::string_view, 4> pieces;
  BOOST_REQUIRE(play.session.outputs(pieces) == 2U);
  BOOST_TEST(static_cast<const void*>(pieces[0].data()) == static_cast<const void*>(data.data()));
  BOOST_TEST(pieces[1].size() == DATA_ENVELOPE);
  play.session.consume(data.size() + 3, play.now);
  BOOST_TEST(play.session.output().substr(0, 5) == "L FRO");
  // Of a message that is not sent there is no answer, whatever is behind it.
  Play early(options(2), {kOne, kTwo}, true);
  early.script(HELLO GROUP(1) GROUP_OK, false);
  early.says("250 Queued\r\n");
  BOOST_TEST(early.events.back() == "closed: data protocol_error 250 Queued (a reply to nothing)");
}
