#include <boost/test/unit_test.hpp>

#include "smtp/transcript.h"

using namespace mailsbuddy;
using smtp::TraceBodies;
using smtp::TraceLine;
using smtp::Transcript;

namespace {

constexpr TimePoint kNow{std::chrono::seconds(1'800'000'000)};

// Lines as "C: ...", "S: ...", "*: ...".
struct Lines final : smtp::Trace {
  Lines(std::vector<std::string>& to, TraceBodies how) : lines(to), shown(how) {}
  void on_line(const TraceLine& line) override {
    constexpr std::string_view kWho[] = {"*: ", "C: ", "S: "};
    BOOST_TEST((line.time == kNow));
    lines.push_back(std::string(kWho[static_cast<std::size_t>(line.kind)]) + std::string(line.text));
  }
  TraceBodies bodies() const override { return shown; }
  std::vector<std::string>& lines;
  TraceBodies shown;
};

struct Said {
  bool client;
  std::string bytes;
};
Said c(std::string bytes) { return {true, std::move(bytes)}; }
Said s(std::string bytes) { return {false, std::move(bytes)}; }

std::string times(int count, std::string_view text) {
  std::string all;
  for (int i = 0; i < count; ++i) all += text;
  return all;
}

std::vector<std::string> transcribe(const std::vector<Said>& talk, TraceBodies bodies, std::size_t piece) {
  std::vector<std::string> lines;
  Transcript transcript(std::make_unique<Lines>(lines, bodies));
  for (const Said& said : talk) {
    for (std::size_t at = 0; at < said.bytes.size(); at += std::min(piece, said.bytes.size() - at)) {
      const std::string_view part = std::string_view(said.bytes).substr(at, piece);
      said.client ? transcript.sent(kNow, part) : transcript.received(kNow, part);
    }
  }
  return lines;
}

const std::string kMessage = "Subject: Hi\r\nTo: you@b.example\r\n\r\nHello\r\n..\r\nthere\r\n";

struct Case {
  std::string_view name;
  std::vector<Said> talk;
  std::vector<std::string> lines;
  TraceBodies bodies = TraceBodies::kHeaders;
};

const Case kCases[] = {
    {"greeting and EHLO",
     {s("220 mx ready\r\n"), c("EHLO me\r\n"), s("250-mx\r\n250 SIZE\r\n")},
     {"S: 220 mx ready", "C: EHLO me", "S: 250-mx", "S: 250 SIZE"}},
    {"a message, its header shown",
     {c("DATA\r\n"), s("354 Go\r\n"), c(kMessage + ".\r\n"), s("250 Queued\r\n"), c("QUIT\r\n")},
     {"C: DATA", "S: 354 Go", "C: Subject: Hi", "C: To: you@b.example", "C: (20 octets)", "C: .", "S: 250 Queued",
      "C: QUIT"}},
    {"nothing of it",
     {s("354 Go\r\n"), c(kMessage + ".\r\n"), c("MAIL FROM:<>\r\n")},
     {"S: 354 Go", "C: (52 octets)", "C: .", "C: MAIL FROM:<>"},
     TraceBodies::kNone},
    {"all of it",
     {s("354 Go\r\n"), c(kMessage + ".\r\n"), c("MAIL FROM:<>\r\n")},
     {"S: 354 Go", "C: Subject: Hi", "C: To: you@b.example", "C: ", "C: Hello", "C: ..", "C: there", "C: .",
      "C: MAIL FROM:<>"},
     TraceBodies::kFull},
    {"no recipient was taken: no message",
     {c("DATA\r\n"), s("354 Go\r\n"), c(".\r\n"), s("554 No recipients\r\n")},
     {"C: DATA", "S: 354 Go", "C: .", "S: 554 No recipients"}},
    {"DATA refused: what follows are commands",
     {c("DATA\r\n"), s("451 Later\r\n"), c("RSET\r\n")},
     {"C: DATA", "S: 451 Later", "C: RSET"}},
    {"the next envelope behind the message",
     {c("DATA\r\n"), s("354 Go\r\n"), c("A: b\r\n\r\nx\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n"),
      s("250 Queued\r\n250 Ok\r\n250 Ok\r\n354 Go\r\n"), c("C: d\r\n\r\n.\r\n")},
     {"C: DATA", "S: 354 Go", "C: A: b", "C: (5 octets)", "C: .", "C: MAIL FROM:<>", "C: RCPT TO:<a@b>", "C: DATA",
      "S: 250 Queued", "S: 250 Ok", "S: 250 Ok", "S: 354 Go", "C: C: d", "C: (2 octets)", "C: ."}},
    {"BDAT, one behind the other",
     {c("BDAT 14 LAST\r\nA: b\r\n\r\nx\r\n.\r\nRSET\r\nBDAT 3 LAST\r\nxyzQUIT\r\n")},
     {"C: BDAT 14 LAST", "C: A: b", "C: (8 octets)", "C: RSET", "C: BDAT 3 LAST", "C: xyz", "C: QUIT"}},
    {"a BDAT that is none: its line ends in a bare LF",
     {c("BDAT 99999999\n"), s("500 No\r\n"), c("AUTH PLAIN AGFubgBzZWNyZXQ=\r\n"), s("235 Ok\r\n"),
      c("MAIL FROM:<a@b>\r\n")},
     {"C: BDAT 99999999", "S: 500 No", "C: AUTH PLAIN (masked)", "S: 235 Ok", "C: MAIL FROM:<a@b>"}},
    {"an empty BDAT", {c("BDAT 0 LAST\r\nQUIT\r\n")}, {"C: BDAT 0 LAST", "C: QUIT"}},
    {"AUTH PLAIN at once",
     {c("AUTH PLAIN AGFubgBzZWNyZXQ=\r\n"), s("235 Welcome\r\n"), c("MAIL FROM:<>\r\n")},
     {"C: AUTH PLAIN (masked)", "S: 235 Welcome", "C: MAIL FROM:<>"}},
    {"AUTH LOGIN",
     {c("auth login\r\n"), s("334 VXNlcm5hbWU6\r\n"), c("YW5u\r\n"), s("334 UGFzc3dvcmQ6\r\n"), c("c2VjcmV0\r\n"),
      s("535 No\r\n"), c("QUIT\r\n")},
     {"C: auth login", "S: 334 VXNlcm5hbWU6", "C: (masked)", "S: 334 UGFzc3dvcmQ6", "C: (masked)", "S: 535 No",
      "C: QUIT"}},
    {"XOAUTH2 that fails",
     {c("AUTH XOAUTH2 dXNlcj1zZWNyZXQ=\r\n"), s("334 eyJzdGF0dXMiOiI0MDEifQ==\r\n"), c("\r\n"),
      s("535-No\r\n535 No\r\n"), c("QUIT\r\n")},
     {"C: AUTH XOAUTH2 (masked)", "S: 334 eyJzdGF0dXMiOiI0MDEifQ==", "C: (masked)", "S: 535-No", "S: 535 No",
      "C: QUIT"}},
    {"a password where no AUTH is taken, by a client that does not wait",
     {c("AUTH LOGIN\r\n"), s("538 Not in clear\r\n"), c("YW5u\r\n"), s("500 What?\r\n"), c("c2VjcmV0\r\n"),
      s("500 What?\r\n"), c("RSET\r\n"), c("AUTH PLAIN AGFubgBzZWNyZXQ=\r\n"), s("235 In\r\n"), c("XYZ\r\n")},
     {"C: AUTH LOGIN", "S: 538 Not in clear", "C: (masked)", "S: 500 What?", "C: (masked)", "S: 500 What?", "C: RSET",
      "C: AUTH PLAIN (masked)", "S: 235 In", "C: XYZ"}},
    {"AUTH as nobody writes it",
     {c(" AUTH PLAIN AGFubgBzZWNyZXQ=\r\n"), s("500 What?\r\n"), c("auth\tplain\tAGFubgBzZWNyZXQ=\r\n"),
      s("501 No\r\n"), c("AUTH  PLAIN  AGFubgBzZWNyZXQ=\r\n"), s("501 No\r\n"), c("AUTH AGFubgBzZWNyZXQ=\r\n")},
     {"C: AUTH PLAIN (masked)", "S: 500 What?", "C: auth plain (masked)", "S: 501 No", "C: AUTH PLAIN (masked)",
      "S: 501 No", "C: AUTH (masked)"}},
    {"forms that end no message",
     {c("DATA\r\n"), s("354 Go\r\n"),
      c("A: b\r\n\r\nx\n.\nRSET\r\n\n.\r\nRSET\n.\r\n\r.\r\n.\n.\r\n\r\n.\r\nQUIT\r\n")},
     {"C: DATA", "S: 354 Go", "C: A: b", "C: (35 octets)", "C: .", "C: QUIT"}},
    {"a message's end is its first line",
     {c("DATA\r\n"), s("354 Go\r\n"), c(".\r\nQUIT\r\n")},
     {"C: DATA", "S: 354 Go", "C: .", "C: QUIT"}},
    {"no more than the beginning of a long message",
     {s("354 Go\r\n"), c(std::string(64 << 10, 'x') + "\r\ny\r\n.\r\n")},
     {"S: 354 Go", "C: (65541 octets)", "C: ."},
     TraceBodies::kFull},
    {"BDAT with spaces", {c("bdat   3   LAST\r\nxyzQUIT\r\n")}, {"C: bdat   3   LAST", "C: xyz", "C: QUIT"}},
    {"a server that writes to the terminal",
     {s("220 \x1b[2J\x07\xc3\xbc\x7f\r\n")},
     {"S: 220 \\x1b[2J\\x07\\xc3\\xbc\\x7f"}},
    {"line ends alone", {s("220 a\nb\r\n"), c("x\n")}, {"S: 220 a", "S: b", "C: x"}},
    {"a line that never ends",
     {s(std::string(5000, 'x') + "\r\n")},
     {"S: " + std::string(1000, 'x') + "... (5002 octets)"}},
    {"a line of what is no text",
     {s(std::string(400, '\x01') + "\r\n")},
     {"S: " + times(250, "\\x01") + "... (402 octets)"}},
    {"a line that just fits", {s(std::string(1000, 'x') + "\r\n")}, {"S: " + std::string(1000, 'x')}},
};

}  // namespace

// However the octets are cut.
BOOST_AUTO_TEST_CASE(transcripts) {
  for (const Case& each : kCases) {
    for (const std::size_t piece : {std::size_t{100'000}, std::size_t{1}, std::size_t{2}, std::size_t{7}}) {
      BOOST_TEST_CONTEXT(each.name << ", in pieces of " << piece) {
        BOOST_TEST(transcribe(each.talk, each.bodies, piece) == each.lines, boost::test_tools::per_element());
      }
    }
  }
}

// Whoever joins does not know whether an AUTH has failed a moment ago, whose credentials may still come.
BOOST_AUTO_TEST_CASE(joined_later) {
  std::vector<std::string> lines;
  Transcript transcript(std::make_unique<Lines>(lines, TraceBodies::kHeaders), true);
  transcript.sent(kNow, "c2VjcmV0\r\nNOOP\r\n");
  BOOST_TEST(lines == (std::vector<std::string>{"C: (masked)", "C: NOOP"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(steps) {
  std::vector<std::string> lines;
  Transcript transcript(std::make_unique<Lines>(lines, TraceBodies::kNone));
  transcript.step(kNow, "TLSv1.3\r\n");
  BOOST_TEST(lines == std::vector<std::string>{"*: TLSv1.3\\x0d\\x0a"}, boost::test_tools::per_element());
}
