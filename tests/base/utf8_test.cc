#include <boost/test/unit_test.hpp>
#include <string>

#include "core/base/encoding.h"

namespace mailsbuddy {
namespace {

using namespace std::string_view_literals;

struct Case {
  const char* name;
  std::string_view text;
};

constexpr Case kValid[] = {
    {.name = "nothing", .text = ""},
    {.name = "ASCII", .text = "plain text, longer than a word"},
    {.name = "a zero byte", .text = "\0"sv},
    {.name = "U+0080", .text = "\xc2\x80"},
    {.name = "U+07FF", .text = "\xdf\xbf"},
    {.name = "U+0800", .text = "\xe0\xa0\x80"},
    {.name = "U+D7FF, before the surrogates", .text = "\xed\x9f\xbf"},
    {.name = "U+E000, after the surrogates", .text = "\xee\x80\x80"},
    {.name = "U+FEFF", .text = "\xef\xbb\xbf"},
    {.name = "U+FFFF", .text = "\xef\xbf\xbf"},
    {.name = "U+10000", .text = "\xf0\x90\x80\x80"},
    {.name = "U+10FFFF", .text = "\xf4\x8f\xbf\xbf"},
    {.name = "all lengths mixed",
     .text = "a\xc3\xbc"
             "b\xe2\x82\xac"
             "c\xf0\x9f\x98\x80"
             "d"},
};

constexpr Case kInvalid[] = {
    {.name = "a lone tail", .text = "\x80"},
    {.name = "the highest tail", .text = "\xbf"},
    {.name = "overlong slash in two", .text = "\xc0\xaf"},
    {.name = "overlong U+007F", .text = "\xc1\xbf"},
    {.name = "overlong slash in three", .text = "\xe0\x80\xaf"},
    {.name = "overlong U+07FF", .text = "\xe0\x9f\xbf"},
    {.name = "overlong slash in four", .text = "\xf0\x80\x80\xaf"},
    {.name = "overlong U+FFFF", .text = "\xf0\x8f\xbf\xbf"},
    {.name = "the first surrogate", .text = "\xed\xa0\x80"},
    {.name = "the last surrogate", .text = "\xed\xbf\xbf"},
    {.name = "a pair of surrogates", .text = "\xed\xa0\xbd\xed\xb8\x80"},
    {.name = "U+110000", .text = "\xf4\x90\x80\x80"},
    {.name = "F5", .text = "\xf5\x80\x80\x80"},
    {.name = "five bytes", .text = "\xf8\x88\x80\x80\x80"},
    {.name = "FE", .text = "\xfe"},
    {.name = "FF", .text = "\xff"},
    {.name = "a first byte followed by ASCII",
     .text = "\xc3"
             "a"},
    {.name = "ASCII where the last tail should be",
     .text = "\xf0\x9f\x98"
             "a"},
    {.name = "a first byte where a tail should be", .text = "\xe2\x82\xc3\xbc"},
    {.name = "Latin-1",
     .text = "gr\xfc\xdf"
             "e"},
};

BOOST_AUTO_TEST_CASE(valid) {
  for (const Case& c : kValid) BOOST_TEST_CONTEXT(c.name) {
      BOOST_TEST(is_valid_utf8(c.text));
    }
}

// Also behind and before ASCII of every length that the fast path treats differently.
BOOST_AUTO_TEST_CASE(invalid) {
  for (const Case& c : kInvalid) {
    for (std::size_t around = 0; around < 20; ++around) {
      const std::string ascii(around, 'a');
      BOOST_TEST_CONTEXT(c.name << " with " << around << " around") {
        BOOST_TEST(!is_valid_utf8(ascii + std::string(c.text) + ascii));
        BOOST_TEST(!is_ascii(ascii + std::string(c.text) + ascii));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_cut_character_is_invalid) {
  for (const std::string_view whole : {"\xc3\xbc"sv, "\xe2\x82\xac"sv, "\xf0\x9f\x98\x80"sv}) {
    for (std::size_t size = 1; size < whole.size(); ++size) BOOST_TEST(!is_valid_utf8(whole.substr(0, size)));
  }
}

std::string utf8_of(std::uint32_t code) {
  const auto tail = [code](int shift) { return static_cast<char>(0x80 | (code >> shift & 0x3f)); };
  if (code < 0x80) return {static_cast<char>(code)};
  if (code < 0x800) return {static_cast<char>(0xc0 | code >> 6), tail(0)};
  if (code < 0x10000) return {static_cast<char>(0xe0 | code >> 12), tail(6), tail(0)};
  return {static_cast<char>(0xf0 | code >> 18), tail(12), tail(6), tail(0)};
}

BOOST_AUTO_TEST_CASE(exactly_the_scalar_values_are_valid) {
  for (std::uint32_t code = 0; code < 0x120000; ++code) {
    const bool scalar = (code < 0xd800 || code > 0xdfff) && code <= 0x10ffff;
    if (is_valid_utf8(utf8_of(code)) != scalar) BOOST_FAIL("U+" << std::hex << code);
  }
}

// Every string of one to three bytes: as many are valid as there are ways to write them.
BOOST_AUTO_TEST_CASE(no_other_bytes_are_valid) {
  constexpr int kOne = 0x80;
  constexpr int kTwo = 0x800 - 0x80;
  constexpr int kThree = 0x10000 - 0x800 - 0x800;
  const int expected[] = {kOne, kOne * kOne + kTwo, kOne * kOne * kOne + 2 * kOne * kTwo + kThree};
  for (std::size_t size = 1; size <= 3; ++size) {
    int valid = 0;
    for (std::uint32_t number = 0; number < 1U << (8 * size); ++number) {
      std::string text;
      for (std::size_t i = 0; i < size; ++i) text += static_cast<char>(number >> (8 * i));
      valid += is_valid_utf8(text) ? 1 : 0;
    }
    BOOST_TEST(valid == expected[size - 1]);
  }
}

BOOST_AUTO_TEST_CASE(ascii) {
  for (std::size_t size = 0; size < 40; ++size) {
    std::string text(size, '\x7f');
    BOOST_TEST(is_ascii(text));
    for (std::size_t at = 0; at < size; ++at) {
      text[at] = '\x80';
      BOOST_TEST(!is_ascii(text));
      text[at] = '\0';
    }
    BOOST_TEST(is_ascii(text));
  }
}

}  // namespace
}  // namespace mailsbuddy
