#include <boost/test/unit_test.hpp>
#include <string>

#include "mailsbuddy/smtp.h"

using namespace mailsbuddy;

namespace {

struct Case {
  std::string_view name, message, wire;
};

constexpr Case kCases[] = {
    {"empty", "", ".\r\n"},
    {"one line", "a\r\n", "a\r\n.\r\n"},
    {"no final line end", "a", "a\r\n.\r\n"},
    {"bare CR at the end", "a\r", "a\r\n.\r\n"},
    {"bare LF at the end", "a\n", "a\r\n.\r\n"},
    {"bare LF", "a\nb\r\n", "a\r\nb\r\n.\r\n"},
    {"bare CR", "a\rb\r\n", "a\r\nb\r\n.\r\n"},
    {"CR before CRLF", "a\r\r\nb\r\n", "a\r\n\r\nb\r\n.\r\n"},
    {"LF CR", "a\n\rb\r\n", "a\r\n\r\nb\r\n.\r\n"},
    {"only CRLF", "\r\n", "\r\n.\r\n"},
    {"only LF", "\n", "\r\n.\r\n"},
    {"only CR", "\r", "\r\n.\r\n"},
    {"CRs", "\r\r\r", "\r\n\r\n\r\n.\r\n"},
    {"dot", ".", "..\r\n.\r\n"},
    {"dot line", ".\r\n", "..\r\n.\r\n"},
    {"two dots", "..\r\n", "...\r\n.\r\n"},
    {"dot begins a line", "a\r\n.b\r\n", "a\r\n..b\r\n.\r\n"},
    {"dot inside a line", "a.b\r\n", "a.b\r\n.\r\n"},
    {"end of data inside", "a\r\n.\r\nb\r\n", "a\r\n..\r\nb\r\n.\r\n"},
    {"smuggled with bare LF", "a\n.\nb\n", "a\r\n..\r\nb\r\n.\r\n"},
    {"smuggled with bare CR", "a\r.\rb\r", "a\r\n..\r\nb\r\n.\r\n"},
    {"smuggled with LF and CRLF", "a\n.\r\nMAIL FROM:<>\r\n", "a\r\n..\r\nMAIL FROM:<>\r\n.\r\n"},
    {"smuggled with CRLF and CR", "a\r\n.\rMAIL\r\n", "a\r\n..\r\nMAIL\r\n.\r\n"},
    {"bare CR before a clean line", "a\rbc\r\ndef\r\n", "a\r\nbc\r\ndef\r\n.\r\n"},
    {"NUL passes", std::string_view("a\0b\r\n", 5), std::string_view("a\0b\r\n.\r\n", 8)},
};

// The same, an octet at a time.
std::string plain_stuff(std::string_view message) {
  std::string out;
  bool at_start = true;
  for (std::size_t i = 0; i < message.size(); ++i) {
    const char c = message[i];
    if (c == '\r' || c == '\n') {
      if (c == '\r' && i + 1 < message.size() && message[i + 1] == '\n') ++i;
      out += "\r\n";
      at_start = true;
      continue;
    }
    if (at_start && c == '.') out += '.';
    out += c;
    at_start = false;
  }
  return out + (at_start ? ".\r\n" : "\r\n.\r\n");
}

}  // namespace

BOOST_AUTO_TEST_CASE(table) {
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      std::string out = "before";
      smtp::dot_stuff(c.message, out);
      BOOST_TEST(out == "before" + std::string(c.wire));
      BOOST_TEST(plain_stuff(c.message) == c.wire);
    }
  }
}

// All 97,656 messages of up to 7 octets out of CR, LF, dot, and two letters.
BOOST_AUTO_TEST_CASE(exhaustive) {
  constexpr std::string_view kAlphabet = "\r\n.ab";
  std::size_t wrong = 0;
  for (std::size_t length = 0, count = 1; length <= 7; ++length, count *= kAlphabet.size()) {
    for (std::size_t number = 0; number < count; ++number) {
      std::string message;
      for (std::size_t i = 0, rest = number; i < length; ++i, rest /= kAlphabet.size())
        message += kAlphabet[rest % kAlphabet.size()];
      std::string out;
      smtp::dot_stuff(message, out);
      const std::size_t end = ("\r\n" + out).find("\r\n.\r\n");
      if (out != plain_stuff(message) || end + 3 != out.size()) ++wrong;
    }
  }
  BOOST_TEST(wrong == 0U);
}
