#include "dkim/canonicalise.h"

#include <boost/test/unit_test.hpp>
#include <optional>
#include <random>

#include "tests/dkim/reference.h"

namespace mailsbuddy::dkim {
namespace {

std::optional<std::string> canonical(std::string_view body, Canonicalisation form = Canonicalisation::kRelaxed) {
  std::string out;
  if (!canonical_body(form, body, [&](std::string_view piece) { out += piece; })) return std::nullopt;
  return out;
}

struct BodyCase {
  std::string_view name;
  std::string_view body;
  std::string_view canonical;
};
constexpr BodyCase kBodies[] = {
    {.name = "RFC 6376 3.4.5", .body = " C \r\nD \t E\r\n\r\n\r\n", .canonical = " C\r\nD E\r\n"},
    {.name = "empty", .body = "", .canonical = ""},
    {.name = "an empty line", .body = "\r\n", .canonical = ""},
    {.name = "empty lines", .body = "\r\n\r\n\r\n", .canonical = ""},
    {.name = "lines of white space", .body = " \r\n\t\r\n \t ", .canonical = ""},
    {.name = "canonical already", .body = "a b\r\nc\r\n", .canonical = "a b\r\nc\r\n"},
    {.name = "no CRLF at the end", .body = "a", .canonical = "a\r\n"},
    {.name = "white space at the end, no CRLF", .body = "a \t", .canonical = "a\r\n"},
    {.name = "empty lines at the beginning stay", .body = "\r\n\r\na\r\n", .canonical = "\r\n\r\na\r\n"},
    {.name = "empty lines between stay", .body = "a\r\n \r\n\r\nb\r\n", .canonical = "a\r\n\r\n\r\nb\r\n"},
    {.name = "a tab alone becomes a space", .body = "a\tb\r\n", .canonical = "a b\r\n"},
    {.name = "white space at a line's beginning is reduced, not dropped", .body = " \t a\r\n", .canonical = " a\r\n"},
    {.name = "control characters stay", .body = "a\x01\x0b\x0c\r\n", .canonical = "a\x01\x0b\x0c\r\n"},
    {.name = "octets above 127 stay", .body = "\xc3\xa9\xff \xa0\r\n", .canonical = "\xc3\xa9\xff \xa0\r\n"},
};

BOOST_AUTO_TEST_CASE(bodies) {
  for (const BodyCase& c : kBodies) {
    BOOST_TEST_CONTEXT(c.name) {
      BOOST_TEST(canonical(c.body).value() == c.canonical);
      BOOST_TEST(reference_relaxed_body(c.body) == c.canonical);
      BOOST_TEST(canonical(c.canonical).value() == c.canonical);
    }
  }
}

constexpr BodyCase kSimpleBodies[] = {
    {.name = "RFC 6376 3.4.5", .body = " C \r\nD \t E\r\n\r\n\r\n", .canonical = " C \r\nD \t E\r\n"},
    {.name = "empty", .body = "", .canonical = "\r\n"},
    {.name = "an empty line", .body = "\r\n", .canonical = "\r\n"},
    {.name = "empty lines", .body = "\r\n\r\n\r\n", .canonical = "\r\n"},
    {.name = "a line of white space is not empty", .body = "a\r\n \r\n\r\n", .canonical = "a\r\n \r\n"},
    {.name = "no CRLF at the end", .body = "a\t b ", .canonical = "a\t b \r\n"},
};

BOOST_AUTO_TEST_CASE(simple_bodies) {
  for (const BodyCase& c : kSimpleBodies) {
    BOOST_TEST_CONTEXT(c.name) { BOOST_TEST(canonical(c.body, Canonicalisation::kSimple).value() == c.canonical); }
  }
}

BOOST_AUTO_TEST_CASE(nul_stays) {
  const std::string body("a\0 \0\r\n", 6);
  BOOST_TEST((canonical(body) == body));
}

constexpr std::string_view kBareLineEnds[] = {"\r",       "\n",      "a\r",          "a\n",       "a\rb\r\n",
                                              "a\nb\r\n", "a\r\r\n", "a\r\n\n",      "a\r\n\r",   "\n\r",
                                              "a \rb",    "a \nb",   "a\r\n \n\r\n", "a\t\r \r\n"};

BOOST_AUTO_TEST_CASE(bare_line_ends_are_refused) {
  for (const std::string_view body : kBareLineEnds) {
    BOOST_TEST_CONTEXT(&body - kBareLineEnds) {
      BOOST_TEST(!canonical(body));
      BOOST_TEST(!canonical(body, Canonicalisation::kSimple));
      BOOST_TEST(!only_crlf(body));
    }
  }
}

BOOST_AUTO_TEST_CASE(a_canonical_body_is_not_cut_up) {
  std::string body;
  for (int i = 0; i < 1000; ++i) body += "The quick brown fox.\r\n";
  int pieces = 0;
  BOOST_TEST(relaxed_body(body, [&](std::string_view) { ++pieces; }));
  BOOST_TEST(pieces == 2);
}

// All bodies of up to seven of the characters that matter.
BOOST_AUTO_TEST_CASE(agrees_with_the_reference_on_all_short_bodies) {
  constexpr std::string_view kParts[] = {"a", " ", "\t", "\r\n", "\x80"};
  std::size_t total = 1;
  for (int length = 0; length <= 7; ++length, total *= std::size(kParts)) {
    for (std::size_t number = 0; number < total; ++number) {
      std::string body;
      for (std::size_t i = 0, rest = number; i < static_cast<std::size_t>(length); ++i, rest /= std::size(kParts)) {
        body += kParts[rest % std::size(kParts)];
      }
      if (canonical(body) != reference_relaxed_body(body)) BOOST_ERROR("differs: " << number << " of " << length);
    }
  }
}

// Steps of sixteen octets begin and end anywhere: each odd thing at each place of a long line, at each place of a short
// and a long body.
BOOST_AUTO_TEST_CASE(agrees_with_the_reference_wherever_a_step_ends) {
  constexpr std::string_view kOdd[] = {"  ", "\t", " \r\n", "\t\t\r\n", "\r\n", "\r\n\r\n", " \t ", "a\r\n  "};
  for (std::size_t size = 0; size < 70; ++size) {
    for (std::size_t at = 0; at <= size; ++at) {
      for (const std::string_view odd : kOdd) {
        std::string body(size, 'x');
        body.insert(at, odd);
        if (canonical(body) != reference_relaxed_body(body)) BOOST_ERROR("differs: " << size << " at " << at);
      }
      for (const std::string_view bare : {"\r", "\n", " \n", "\t\r", "\r\r\n"}) {
        std::string body(size, 'x');
        body.insert(at, bare);
        for (const auto form : {Canonicalisation::kRelaxed, Canonicalisation::kSimple}) {
          if (canonical(body, form)) BOOST_ERROR("not refused: " << size << " at " << at);
        }
      }
    }
  }
}

struct HeaderCase {
  std::string_view name;
  std::string_view field;
  std::string_view value;
  std::string_view canonical;
};
constexpr HeaderCase kHeaders[] = {
    {.name = "RFC 6376 3.4.5, A", .field = "A", .value = " X", .canonical = "a:X"},
    {.name = "RFC 6376 3.4.5, B", .field = "B ", .value = " Y\t\r\n\tZ  ", .canonical = "b:Y Z"},
    {.name = "empty", .field = "Subject", .value = "", .canonical = "subject:"},
    {.name = "white space only", .field = "Subject", .value = " \t\r\n ", .canonical = "subject:"},
    {.name = "letter case of the value stays", .field = "SUBJECT", .value = "aBC", .canonical = "subject:aBC"},
    {.name = "folded at an empty line", .field = "To", .value = " a\r\n \r\n b", .canonical = "to:a b"},
    {.name = "fold without other white space", .field = "To", .value = "a,\r\n b", .canonical = "to:a, b"},
    {.name = "octets above 127 stay", .field = "To", .value = "\xc3\x89 \xff", .canonical = "to:\xc3\x89 \xff"},
};

BOOST_AUTO_TEST_CASE(headers_agree_with_the_reference_wherever_a_step_ends) {
  for (std::size_t size = 0; size < 50; ++size) {
    for (std::size_t at = 0; at <= size; ++at) {
      for (const std::string_view odd : {" ", "  ", "\t", "\r\n ", " \r\n\t ", "\t \r\n  "}) {
        std::string value(size, 'x');
        value.insert(at, odd);
        std::string out;
        append_relaxed_header(out, "A", value);
        if (out != "a:" + reference_relaxed_value(value)) BOOST_ERROR("differs: " << size << " at " << at);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(headers) {
  for (const HeaderCase& c : kHeaders) {
    BOOST_TEST_CONTEXT(c.name) {
      std::string out = "x";
      append_relaxed_header(out, c.field, c.value);
      BOOST_TEST(out == "x" + std::string(c.canonical));
    }
  }
}

}  // namespace
}  // namespace mailsbuddy::dkim
