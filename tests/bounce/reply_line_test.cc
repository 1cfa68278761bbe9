#include <boost/test/unit_test.hpp>

#include "mailsbuddy/bounce.h"

namespace mailsbuddy::bounce {
namespace {

struct Case {
  std::string_view name;
  std::string_view line;
  int code;
  std::string_view enhanced;
  std::string_view text;
  Stage stage = Stage::kRcptTo;
};

constexpr Case kCases[] = {
    {.name = "all of it", .line = "550 5.1.1 No such user", .code = 550, .enhanced = "5.1.1", .text = "No such user"},
    {.name = "no enhanced code", .line = "550 No", .code = 550, .enhanced = "", .text = "No"},
    {.name = "a code alone", .line = "550", .code = 550, .enhanced = "", .text = ""},
    {.name = "several lines",
     .line = "550-5.7.26 Not 550 5.7.26 now",
     .code = 550,
     .enhanced = "5.7.26",
     .text = "Not 550 5.7.26 now"},
    {.name = "an enhanced code at the end",
     .line = "553 no (#5.7.1)",
     .code = 553,
     .enhanced = "5.7.1",
     .text = "no (#5.7.1)"},
    {.name = "a semicolon", .line = "550; 5.7.515 No", .code = 550, .enhanced = "5.7.515", .text = "No"},
    {.name = "of another class", .line = "450 5.1.1 No", .code = 450, .enhanced = "5.1.1", .text = "No"},
    {.name = "a report's type", .line = "smtp;550 5.1.1 No", .code = 550, .enhanced = "5.1.1", .text = "No"},
    {.name = "a type and words", .line = "smtp; No such user", .code = 0, .enhanced = "", .text = "No such user"},
    {.name = "words", .line = "Out of the office", .code = 0, .enhanced = "", .text = "Out of the office"},
    {.name = "words with a code", .line = "Gone (5.1.1)", .code = 0, .enhanced = "5.1.1", .text = "Gone (5.1.1)"},
    {.name = "words with a 4", .line = "Later (4.1.1)", .code = 0, .enhanced = "4.1.1", .text = "Later (4.1.1)"},
    {.name = "quoted by Postfix",
     .line = "X-Postfix; host mx.example.net[192.0.2.1] said: 554 No (in reply to end of DATA command)",
     .code = 554,
     .enhanced = "",
     .text = "No (in reply to end of DATA command)",
     .stage = Stage::kFinalDot},
    {.name = "quoted by Cisco",
     .line = "smtp; 5.1.0 - Unknown address error 550-'5.7.1 Access denied'",
     .code = 550,
     .enhanced = "5.7.1",
     .text = "'5.7.1 Access denied'"},
    {.name = "Exchange's mark", .line = "#550 5.1.1 No ##", .code = 550, .enhanced = "5.1.1", .text = "No ##"},
    {.name = "a greeting before the refusal",
     .line = "220-mx 421 4.2.1 Later",
     .code = 421,
     .enhanced = "4.2.1",
     .text = "Later"},
    {.name = "a success", .line = "250 2.0.0 ok", .code = 250, .enhanced = "2.0.0", .text = "ok"},
    {.name = "four digits", .line = "5501 No", .code = 0, .enhanced = "", .text = "5501 No"},
    {.name = "no such code", .line = "650 No", .code = 0, .enhanced = "", .text = "650 No"},
    {.name = "nothing", .line = "", .code = 0, .enhanced = "", .text = ""},
    {.name = "about the sender",
     .line = "553 5.1.8 No",
     .code = 553,
     .enhanced = "5.1.8",
     .text = "No",
     .stage = Stage::kMailFrom},
    {.name = "to RCPT",
     .line = "550 5.1.8 No (in reply to RCPT TO command)",
     .code = 550,
     .enhanced = "5.1.8",
     .text = "No (in reply to RCPT TO command)"},
    {.name = "to MAIL",
     .line = "550 No (in reply to MAIL FROM command)",
     .code = 550,
     .enhanced = "",
     .text = "No (in reply to MAIL FROM command)",
     .stage = Stage::kMailFrom},
};

BOOST_AUTO_TEST_CASE(lines_become_replies) {
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      const Reply reply = parse_reply_line(c.line);
      BOOST_TEST(reply.code == c.code);
      BOOST_TEST((reply.enhanced ? reply.enhanced->str() : "") == c.enhanced);
      BOOST_TEST(reply.text == c.text);
      BOOST_TEST(to_string(likely_stage(reply)) == to_string(c.stage));
    }
  }
}

}  // namespace
}  // namespace mailsbuddy::bounce
