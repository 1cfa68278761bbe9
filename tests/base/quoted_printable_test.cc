#include <boost/test/unit_test.hpp>

#include "core/base/encoding.h"
#include "mailsbuddy/base.h"

namespace mailsbuddy {
namespace {

using namespace std::string_view_literals;

std::string encoded(std::string_view text) {
  std::string out;
  append_quoted_printable(out, text);
  return out;
}

std::string x(std::size_t count) { return std::string(count, 'x'); }

BOOST_AUTO_TEST_CASE(encoding) {
  struct Case {
    const char* name;
    std::string text;
    std::string expected;
  };
  const Case kCases[] = {
      {.name = "nothing", .text = "", .expected = ""},
      {.name = "plain lines stay", .text = "Hello,\r\n\r\nworld\r\n", .expected = "Hello,\r\n\r\nworld\r\n"},
      {.name = "a last line without its end", .text = "a", .expected = "a"},
      {.name = "every sign of its own",
       .text = "!\"#$%&'()*+,-./:;<>?@[\\]^_`{|}~",
       .expected = "!\"#$%&'()*+,-./:;<>?@[\\]^_`{|}~"},
      {.name = "the equals sign", .text = "a=b", .expected = "a=3Db"},
      {.name = "UTF-8", .text = "gr\xc3\xbc\xc3\x9f", .expected = "gr=C3=BC=C3=9F"},
      {.name = "controls, DEL and a zero byte", .text = std::string("\x01\x1f\x7f\0", 4), .expected = "=01=1F=7F=00"},
      {.name = "white space within a line", .text = "a b\tc", .expected = "a b\tc"},
      {.name = "a space at the end of a line", .text = "a \r\nb", .expected = "a=20\r\nb"},
      {.name = "a tab at the end of a line", .text = "a\t\r\n", .expected = "a=09\r\n"},
      {.name = "two spaces at the end of a line", .text = "a  \r\n", .expected = "a =20\r\n"},
      {.name = "a line of one space", .text = " \r\n", .expected = "=20\r\n"},
      {.name = "a space at the end of the text", .text = "a ", .expected = "a=20"},
      {.name = "a signature's dashes", .text = "-- \r\nAnn\r\n", .expected = "--=20\r\nAnn\r\n"},
      {.name = "a lone CR", .text = "a\rb", .expected = "a=0Db"},
      {.name = "a lone LF", .text = "a\nb", .expected = "a=0Ab"},
      {.name = "a CR before a CRLF", .text = "a\r\r\n", .expected = "a=0D\r\n"},
      {.name = "LF before CR", .text = "a\n\rb", .expected = "a=0A=0Db"},
      {.name = "a CR at the end of the text", .text = "a\r", .expected = "a=0D"},
      {.name = "a lone dot and From stay", .text = ".\r\nFrom here\r\n", .expected = ".\r\nFrom here\r\n"},
      {.name = "76 characters fill a line", .text = x(76), .expected = x(76)},
      {.name = "76 and a line end", .text = x(76) + "\r\n", .expected = x(76) + "\r\n"},
      {.name = "77 need a soft break", .text = x(77), .expected = x(75) + "=\r\n" + x(2)},
      {.name = "77 and a line end", .text = x(77) + "\r\n", .expected = x(75) + "=\r\n" + x(2) + "\r\n"},
      {.name = "two soft breaks", .text = x(151), .expected = x(75) + "=\r\n" + x(76)},
      {.name = "an octet that just fits", .text = x(73) + "=", .expected = x(73) + "=3D"},
      {.name = "an octet that fits but for what follows", .text = x(73) + "=y", .expected = x(73) + "=\r\n=3Dy"},
      {.name = "an octet with room for a soft break", .text = x(72) + "=yy", .expected = x(72) + "=3D=\r\nyy"},
      {.name = "an octet that does not fit", .text = x(74) + "=", .expected = x(74) + "=\r\n=3D"},
      {.name = "an octet at the 76th", .text = x(75) + "=", .expected = x(75) + "=\r\n=3D"},
      {.name = "a last space that would be the 76th", .text = x(75) + " \r\n", .expected = x(75) + "=\r\n=20\r\n"},
      {.name = "a last space that would be the 75th", .text = x(74) + " \r\n", .expected = x(74) + "=\r\n=20\r\n"},
      {.name = "a last space that just fits", .text = x(73) + " \r\n", .expected = x(73) + "=20\r\n"},
      {.name = "a space before a soft break stays", .text = x(74) + " yy", .expected = x(74) + " =\r\nyy"},
      {.name = "the column starts anew after a line end",
       .text = x(40) + "\r\n" + x(76),
       .expected = x(40) + "\r\n" + x(76)},
  };
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      BOOST_TEST(encoded(c.text) == c.expected);
      BOOST_TEST(decode_quoted_printable(c.expected) == c.text);
    }
  }
}

BOOST_AUTO_TEST_CASE(encoding_appends) {
  std::string out = "before";
  append_quoted_printable(out, x(76));
  BOOST_TEST(out == "before" + x(76));  // Columns count from the start of the text, which starts a line.
}

BOOST_AUTO_TEST_CASE(every_byte_at_every_column_comes_back) {
  for (std::size_t before = 60; before < 90; ++before) {
    for (int byte = 0; byte < 256; ++byte) {
      for (const std::string_view after : {""sv, "\r\n"sv, "y"sv, "yyy\r\n"sv}) {
        const std::string text = x(before) + static_cast<char>(byte) + std::string(after);
        const std::string out = encoded(text);
        BOOST_REQUIRE(decode_quoted_printable(out) == text);
      }
    }
  }
}

// Lines at most 76 long, ended by CRLF alone, of printable characters, without white space at their ends.
void require_well_formed(std::string_view out) {
  std::size_t line = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (out.substr(i).starts_with("\r\n")) {
      BOOST_REQUIRE((line == 0 || (out[i - 1] != ' ' && out[i - 1] != '\t')));
      line = 0;
      ++i;
      continue;
    }
    BOOST_REQUIRE((out[i] == '\t' || (out[i] >= ' ' && out[i] < 0x7f)));
    BOOST_REQUIRE(++line <= 76U);
  }
  BOOST_REQUIRE((out.empty() || (out.back() != ' ' && out.back() != '\t')));
}

BOOST_AUTO_TEST_CASE(random_text_comes_back_and_its_encoding_is_well_formed) {
  Random random(1);
  constexpr std::string_view kPieces[] = {"\r\n", "\r",    "\n",       " ", "\t",
                                          "=",    "word ", "\xc3\xbc", ".", "longer words, "};
  for (int round = 0; round < 5000; ++round) {
    std::string text;
    for (std::uint64_t pieces = random.below(80); pieces > 0; --pieces)
      text += kPieces[random.below(std::size(kPieces))];
    const std::string out = encoded(text);
    require_well_formed(out);
    BOOST_REQUIRE(decode_quoted_printable(out) == text);
  }
}

BOOST_AUTO_TEST_CASE(decoding_what_others_write) {
  struct Case {
    const char* name;
    std::string_view text;
    std::string_view expected;
  };
  constexpr Case kCases[] = {
      {.name = "lower-case digits", .text = "=c3=bC", .expected = "\xc3\xbc"},
      {.name = "a soft break of LF alone", .text = "a=\nb", .expected = "ab"},
      {.name = "a soft break with padding", .text = "a= \t\r\nb", .expected = "ab"},
      {.name = "a soft break at the end of the text", .text = "a=", .expected = "a"},
      {.name = "a soft break of nothing", .text = "=\r\n", .expected = ""},
      {.name = "padding before a line end goes", .text = "a \t \r\nb \n", .expected = "a\r\nb\n"},
      {.name = "padding at the end of the text goes", .text = "a  ", .expected = "a"},
      {.name = "encoded white space stays", .text = "a=20\r\n", .expected = "a \r\n"},
      {.name = "no digits", .text = "a=zz", .expected = "a=zz"},
      {.name = "one digit", .text = "a=4z", .expected = "a=4z"},
      {.name = "one digit at the end", .text = "a=4", .expected = "a=4"},
      {.name = "one digit at a line end", .text = "a=4\r\n1", .expected = "a=4\r\n1"},
      {.name = "an equals sign before an octet", .text = "==41", .expected = "=A"},
      {.name = "two at a line end: the last is the soft break", .text = "a==\r\nb", .expected = "a=b"},
      {.name = "octets that are line ends", .text = "a=0D=0Ab", .expected = "a\r\nb"},
      {.name = "a lone CR stays", .text = "a\rb", .expected = "a\rb"},
      {.name = "bytes above 127 stay", .text = "\xc3\xbc", .expected = "\xc3\xbc"},
      {.name = "a zero byte stays", .text = "a\0b"sv, .expected = "a\0b"sv},
      {.name = "lines of any length",
       .text = "=41=42=43=44=45=46=47=48=49=4A=4B=4C=4D=4E=4F=50=51=52=53=54=55=56=57=58=59=5A=61",
       .expected = "ABCDEFGHIJKLMNOPQRSTUVWXYZa"},
  };
  for (const Case& c : kCases) BOOST_TEST_CONTEXT(c.name) {
      BOOST_TEST(decode_quoted_printable(c.text) == c.expected);
    }
}

}  // namespace
}  // namespace mailsbuddy
