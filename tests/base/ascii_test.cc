#include "core/base/ascii.h"

#include <boost/test/unit_test.hpp>
#include <cctype>

namespace mailsbuddy::ascii {
namespace {

BOOST_AUTO_TEST_CASE(classes_are_those_of_the_c_locale) {
  for (int i = 0; i < 256; ++i) {
    const char c = static_cast<char>(i);
    BOOST_TEST_CONTEXT("byte " << i) {
      // <cctype> in the "C" locale is the oracle; the program never leaves that locale.
      BOOST_TEST(is_upper(c) == (std::isupper(i) != 0));
      BOOST_TEST(is_lower(c) == (std::islower(i) != 0));
      BOOST_TEST(is_alpha(c) == (std::isalpha(i) != 0));
      BOOST_TEST(is_digit(c) == (std::isdigit(i) != 0));
      BOOST_TEST(is_alnum(c) == (std::isalnum(i) != 0));
      BOOST_TEST(is_wsp(c) == (std::isblank(i) != 0));
      BOOST_TEST(is_visible(c) == (std::isgraph(i) != 0));
      BOOST_TEST(is_control(c) == (std::iscntrl(i) != 0));
      BOOST_TEST(to_lower(c) == static_cast<char>(std::tolower(i)));
      BOOST_TEST(to_upper(c) == static_cast<char>(std::toupper(i)));
      BOOST_TEST((hex_value(c) >= 0) == (std::isxdigit(i) != 0));
      BOOST_TEST(is_space(c) == (c == ' ' || c == '\t' || c == '\r' || c == '\n'));
    }
  }
}

BOOST_AUTO_TEST_CASE(hex_digits_have_their_values) {
  constexpr std::string_view kLower = "0123456789abcdef";
  constexpr std::string_view kUpper = "0123456789ABCDEF";
  for (int i = 0; i < 16; ++i) {
    BOOST_TEST(hex_value(kLower[static_cast<std::size_t>(i)]) == i);
    BOOST_TEST(hex_value(kUpper[static_cast<std::size_t>(i)]) == i);
  }
}

BOOST_AUTO_TEST_CASE(equal_but_for_letter_case) {
  struct Case {
    const char* name;
    std::string_view a, b;
    bool equal;
  };
  constexpr Case kCases[] = {
      {.name = "nothing", .a = "", .b = "", .equal = true},
      {.name = "letters", .a = "StartTLS", .b = "STARTTLS", .equal = true},
      {.name = "a prefix", .a = "START", .b = "STARTTLS", .equal = false},
      {.name = "32 apart but no letters: @ and `", .a = "@", .b = "`", .equal = false},
      {.name = "32 apart but no letters: [ and {", .a = "[", .b = "{", .equal = false},
      {.name = "UTF-8 letters are compared as bytes", .a = "\xc3\x89", .b = "\xc3\xa9", .equal = false},
      {.name = "zero bytes count", .a = std::string_view("a\0b", 3), .b = std::string_view("a\0c", 3), .equal = false},
  };
  for (const Case& c : kCases) BOOST_TEST_CONTEXT(c.name) {
      BOOST_TEST(iequals(c.a, c.b) == c.equal);
    }
  BOOST_TEST(istarts_with("MAIL FROM:<a@b>", "mail from:"));
  BOOST_TEST(istarts_with("x", ""));
  BOOST_TEST(!istarts_with("MAIL", "mail from:"));
  BOOST_TEST(to_lower(std::string_view("EXAMPLE.\xc3\x89T")) == "example.\xc3\x89t");
}

BOOST_AUTO_TEST_CASE(trim_takes_white_space_from_both_ends) {
  struct Case {
    const char* name;
    std::string_view text, trimmed;
  };
  constexpr Case kCases[] = {
      {.name = "nothing", .text = "", .trimmed = ""},
      {.name = "only white space", .text = " \t\r\n ", .trimmed = ""},
      {.name = "both ends", .text = " \t a b \r\n", .trimmed = "a b"},
      {.name = "none", .text = "a", .trimmed = "a"},
      {.name = "a vertical tab stays", .text = "\va\f", .trimmed = "\va\f"},
      {.name = "a no-break space stays", .text = "\xc2\xa0", .trimmed = "\xc2\xa0"},
  };
  for (const Case& c : kCases) BOOST_TEST_CONTEXT(c.name) {
      BOOST_TEST(trim(c.text) == c.trimmed);
    }
}

}  // namespace
}  // namespace mailsbuddy::ascii
