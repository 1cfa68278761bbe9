// Who is shown what of a listener's connections, on a fake clock.
#include "tests/smtp/listen_play.h"

namespace mailsbuddy::smtp {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;

using Kind = TraceLine::Kind;

std::unique_ptr<Tracing> follow(PlayStage& stage, ListenTraceFilter filter) {
  auto wanted = ListenWanted::make(std::move(filter));
  if (!wanted) BOOST_FAIL(wanted.error().detail);
  return std::make_unique<Following<Tracing, ListenFollowers>>(stage.shared->followers, *std::move(wanted));
}
std::unique_ptr<Tracing> follow(PlayStage& stage, std::string_view filter) {
  return follow(stage, ListenTraceFilter::parse(filter).value());
}

// "< EHLO c", one a line.
std::string take(Tracing& tracing) {
  constexpr std::string_view kArrows[] = {"* ", "> ", "< "};
  std::string lines;
  for (const TraceRecord& each : tracing.take(0ms)) {
    BOOST_TEST(each.connection > 0U);
    lines += std::string(kArrows[static_cast<std::size_t>(each.kind)]) + each.text + "\n";
  }
  return lines;
}

std::string message(std::string_view from, std::string_view subject = "Hi") {
  return "MAIL FROM:<" + std::string(from) + ">\r\nRCPT TO:<d@e.example>\r\nDATA\r\nSubject: " + std::string(subject) +
         "\r\n\r\nprivate\r\n.\r\n";
}

constexpr std::string_view kEhlo = "EHLO c\r\n";
constexpr std::string_view kLogIn = "EHLO c\r\nAUTH PLAIN AGFubgBzZWNyZXQ=\r\n";
constexpr std::string_view kOpening = R"(* connected
> 220 mx.example ESMTP
< EHLO c
> 250-mx.example
> 250-PIPELINING
> 250-SIZE 26214400
> 250-STARTTLS
> 250-AUTH PLAIN LOGIN
> 250-CHUNKING
> 250-SMTPUTF8
> 250-DSN
> 250-8BITMIME
> 250 ENHANCEDSTATUSCODES
< AUTH PLAIN (masked)
> 235 2.7.0 Authenticated
)";
std::string shown(std::string_view from, std::string_view subject = "Hi") {
  return "< MAIL FROM:<" + std::string(from) +
         ">\n> 250 2.1.0 Ok\n< RCPT TO:<d@e.example>\n> 250 2.1.5 Ok\n< DATA\n> 354 End data with <CR><LF>.<CR><LF>\n"
         "< Subject: " + std::string(subject) + "\n< (11 octets)\n< .\n> 250 2.0.0 Taken\n";
}

}  // namespace

// However the octets are cut, and however much of it is pipelined: each command, and what was said to it.
BOOST_AUTO_TEST_CASE(a_transcript_in_the_order_of_the_dialogue) {
  const std::string talk = std::string(kLogIn) + message("a@b.example") + "QUIT\r\n";
  for (const std::size_t piece : {talk.size(), std::size_t{1}, std::size_t{7}}) {
    PlayStage stage;
    const auto tracing = follow(stage, "");
    {
      Caller caller(stage);
      for (std::size_t at = 0; at < talk.size(); at += piece) caller.say(std::string_view(talk).substr(at, piece));
    }
    BOOST_TEST(take(*tracing) == std::string(kOpening) + shown("a@b.example") + "< QUIT\n> 221 2.0.0 Bye\n* closed\n");
  }
}

BOOST_AUTO_TEST_CASE(whose_it_is) {
  PlayStage stage;
  const auto tracing = follow(stage, "");
  Caller caller(stage);
  caller.log_in();
  caller.say("NOOP\r\n");
  stage.now += 1500ms;
  caller.say("RSET\r\n");
  const auto records = tracing->take(0ms);
  BOOST_REQUIRE(records.size() > 4U);
  BOOST_TEST(records.front().remote == "192.0.2.1:1234");
  BOOST_TEST(records.front().local == "127.0.0.1:0");
  BOOST_TEST(records.front().user.empty());
  BOOST_TEST(records.back().user == "ann");
  BOOST_TEST((records.back().time - records.front().time == 1500ms));
  BOOST_TEST((records.back().kind == Kind::kSent));
}

struct FilterCase {
  std::string_view filter;
  bool first, second;  // Of the messages of a@b.example and of x@Y.example.
};
BOOST_AUTO_TEST_CASE(filters) {
  constexpr FilterCase kCases[] = {
      {"", true, true},
      {"client=192.0.2.1", true, true},
      {"client=192.0.2.0/24,user=ann", true, true},
      {"client=192.0.2.2", false, false},
      {"user=ann", true, true},
      {"user=bob", false, false},
      {"sender=b.example", true, false},
      {"sender=y.EXAMPLE", false, true},
      {"user=ann,sender=y.example", false, true},
      {"user=bob,sender=y.example", false, false},
  };
  for (const FilterCase& each : kCases) {
    BOOST_TEST_CONTEXT(each.filter) {
      PlayStage stage;
      const auto tracing = follow(stage, each.filter);
      Caller caller(stage);
      caller.log_in();
      caller.say(message("a@b.example", "One"));
      caller.say(message("x@Y.example", "Two") + "NOOP\r\n");
      std::string expected = each.first || each.second ? std::string(kOpening) : "";
      if (each.first) expected += shown("a@b.example", "One");
      if (each.second) expected += shown("x@Y.example", "Two");
      const std::string noop = "< NOOP\n> 250 2.0.0 Ok\n";
      if (each.first && each.second) expected += noop;
      BOOST_TEST(take(*tracing) == expected);
    }
  }
}

// Of one whose message is refused at MAIL too.
BOOST_AUTO_TEST_CASE(a_sender_who_is_refused) {
  PlayStage stage;
  stage.handler->senders = {"b.example"};
  const auto tracing = follow(stage, "sender=y.example");
  Caller caller(stage);
  caller.log_in();
  caller.say(message("a@b.example"));
  caller.say("MAIL FROM:<x@y.example>\r\nNOOP\r\n");
  BOOST_TEST(take(*tracing) == std::string(kOpening) + "< MAIL FROM:<x@y.example>\n> 550 5.7.1 Not allowed to send as this address\n");
}

BOOST_AUTO_TEST_CASE(one_who_begins_to_follow_joins_between_messages) {
  PlayStage stage;
  Caller caller(stage);
  caller.log_in();
  caller.say("MAIL FROM:<a@b.example>\r\nRCPT TO:<d@e.example>\r\n");
  const auto tracing = follow(stage, "user=ann");
  caller.say("DATA\r\nSubject: Hi\r\n\r\nprivate\r\n.\r\n");
  BOOST_TEST(take(*tracing) == "");
  caller.say(message("a@b.example"));
  BOOST_TEST(take(*tracing) == shown("a@b.example"));
}

// A response to a challenge is a password, also when the trace begins just before it.
BOOST_AUTO_TEST_CASE(one_who_begins_to_follow_within_auth_sees_no_password) {
  PlayStage stage;
  Caller caller(stage);
  caller.say("EHLO c\r\nAUTH LOGIN\r\n");
  const auto tracing = follow(stage, "");
  caller.say("YW5u\r\n");
  caller.say("c2VjcmV0\r\nNOOP\r\n");
  caller.say("NOOP\r\n");
  BOOST_TEST(take(*tracing) == "< NOOP\n> 250 2.0.0 Ok\n");
}

BOOST_AUTO_TEST_CASE(one_who_goes_is_given_no_more) {
  PlayStage stage;
  auto first = follow(stage, "");
  const auto second = follow(stage, "");
  Caller caller(stage);
  caller.say(kEhlo);
  first.reset();
  take(*second);
  caller.say("NOOP\r\n");
  BOOST_TEST(take(*second) == "< NOOP\n> 250 2.0.0 Ok\n");
  BOOST_TEST(caller.session().traced());
}

BOOST_AUTO_TEST_CASE(nobody_follows) {
  PlayStage stage;
  auto tracing = follow(stage, "");
  Caller caller(stage);
  BOOST_TEST(caller.session().traced());
  tracing.reset();
  caller.say(kEhlo);
  BOOST_TEST(!caller.session().traced());
}

BOOST_AUTO_TEST_CASE(bodies_as_wished_and_never_all_of_a_long_one) {
  PlayStage stage;
  const auto tracing = follow(stage, {.bodies = TraceBodies::kFull});
  Caller caller(stage);
  caller.log_in();
  take(*tracing);
  std::string body = "Subject: Hi\r\n\r\n";
  while (body.size() < kTraceMessageMax + 1000) body += "0123456789012345678901234567890123456789\r\n";
  caller.say("MAIL FROM:<a@b.example>\r\nRCPT TO:<d@e.example>\r\nDATA\r\n" + body + ".\r\n");
  const std::string lines = take(*tracing);
  BOOST_TEST(lines.size() > kTraceMessageMax);
  BOOST_TEST(lines.size() < kTraceMessageMax * 5 / 4);
  BOOST_TEST(lines.ends_with(" octets)\n< .\n> 250 2.0.0 Taken\n"));
}

// What looks like the end of a message to others is shown as little as the rest of it, and nothing behind it as a
// command.
BOOST_AUTO_TEST_CASE(smuggled_commands_are_content) {
  for (const std::string& end : {"\n.\n"s, "\n.\r\n"s, "\r.\r"s, "\r\n.\n"s, "\r\n.\r"s}) {
    PlayStage stage;
    const auto tracing = follow(stage, "");
    Caller caller(stage);
    caller.log_in();
    take(*tracing);
    caller.say("MAIL FROM:<a@b.example>\r\nRCPT TO:<d@e.example>\r\nDATA\r\nA: b\r\n\r\nx" + end +
               "MAIL FROM:<smuggled@b.example>\r\n\r\n.\r\n");
    BOOST_TEST(take(*tracing).find("smuggled") == std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(many_lines_before_the_first_message_are_not_all_kept) {
  PlayStage stage;
  const auto tracing = follow(stage, "user=ann");
  Caller caller(stage);
  std::string talk(kEhlo);
  for (int i = 0; i < 200; ++i) talk += "NOOP\r\n";
  caller.say(talk + "AUTH PLAIN AGFubgBzZWNyZXQ=\r\n");
  BOOST_TEST(tracing->take(0ms).size() == 65U);
}

BOOST_AUTO_TEST_CASE(a_long_line_is_kept_in_part) {
  PlayStage stage;
  const auto tracing = follow(stage, "user=ann");
  Caller caller(stage);
  caller.say(std::string(kEhlo) + "NOOP " + std::string(300, 'x') + "\r\nAUTH PLAIN AGFubgBzZWNyZXQ=\r\n");
  BOOST_TEST(take(*tracing).find("\n< NOOP " + std::string(251, 'x') + "...\n") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(beyond_the_cap_lines_are_dropped_and_counted) {
  PlayStage stage;
  const auto tracing = follow(stage, "");
  Caller caller(stage);
  caller.log_in();
  std::string noops;
  for (int i = 0; i < 6000; ++i) noops += "NOOP\r\n";
  caller.say(noops);
  BOOST_TEST(tracing->take(0ms).size() == kTraceRecordsMax);
  BOOST_TEST(tracing->dropped() == 12'000U + 15U - kTraceRecordsMax);
  BOOST_TEST(tracing->dropped() == 0U);
}

BOOST_AUTO_TEST_CASE(the_client_behind_a_proxy) {
  PlayStage stage;
  const auto tracing = follow(stage, "client=203.0.113.9");
  Caller caller(stage, kProxyPort, "198.51.100.1:77");
  caller.say("PROXY TCP4 203.0.113.9 192.0.2.1 4711 25\r\nNOOP\r\n");
  const auto records = tracing->take(0ms);
  BOOST_REQUIRE(!records.empty());
  BOOST_TEST(records.back().remote == "203.0.113.9:4711");
  const auto other = follow(stage, "client=198.51.100.1");
  caller.say("NOOP\r\n");
  BOOST_TEST(take(*other) == "");
}

BOOST_AUTO_TEST_CASE(the_client_that_xclient_names) {
  PlayStage stage;
  const auto tracing = follow(stage, "client=203.0.113.9");
  Caller caller(stage, kSubmissionPort, "198.51.100.1:77");
  caller.say("EHLO c\r\nXCLIENT ADDR=203.0.113.9 HELO=h\r\n");
  const std::string lines = take(*tracing);
  BOOST_TEST(lines.starts_with("* connected\n> 220 mx.example ESMTP\n< EHLO c\n"));
  BOOST_TEST(lines.ends_with("* client 203.0.113.9 by XCLIENT\n> 220 mx.example ESMTP\n"));
}

BOOST_AUTO_TEST_CASE(how_connections_end) {
  const auto trace_of = [](auto play, std::size_t port = kSubmissionPort) {
    PlayStage stage;
    const auto tracing = follow(stage, "");
    {
      Caller caller(stage, port);
      play(caller);
    }
    const std::string lines = take(*tracing);
    return lines.substr(lines.find('\n') + 1);  // Without "connected".
  };
  BOOST_TEST(trace_of([](Caller&) {}) == "> 220 mx.example ESMTP\n* closed by the client\n");
  BOOST_TEST(trace_of([](Caller& caller) { caller.heard(), caller.wait(); }) ==
             "> 220 mx.example ESMTP\n* time-out\n> 421 4.4.2 Idle for too long\n* closed\n");
  BOOST_TEST(trace_of([](Caller& caller) { caller.session().tls_failed(); }, kTlsPort) == "* TLS failed\n* closed\n");
  BOOST_TEST(trace_of([](Caller& caller) { caller.session().tls_started({}, "TLSv1.3"); }, kTlsPort) ==
             "* TLSv1.3\n> 220 mx.example ESMTP\n* closed by the client\n");
}

BOOST_AUTO_TEST_CASE(filters_that_are_none) {
  for (const std::string_view bad : {"client=nobody", "client=192.0.2.1/24", "user", "user=", "who=ann", "user=a,user=b", "domain=b.example"}) {
    const auto filter = ListenTraceFilter::parse(bad);
    BOOST_TEST_CONTEXT(bad) {
      BOOST_REQUIRE(!filter);
      BOOST_TEST((filter.error().code == ErrorCode::kInvalidArgument));
    }
  }
  BOOST_TEST(ListenTraceFilter::parse("who=ann").error().detail == "\"who=ann\": each of client=, user= and sender= once, or none");
}

}  // namespace mailsbuddy::smtp
