#include "core/mail/header.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <string>

#include "core/base/encoding.h"
#include "core/mail/mime.h"

namespace mailsbuddy {
namespace {

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  for (std::size_t end; (end = text.find("\r\n")) != std::string_view::npos; text.remove_prefix(end + 2)) {
    lines.emplace_back(text.substr(0, end));
  }
  BOOST_TEST(text.empty());  // A field ends in CRLF.
  return lines;
}

std::size_t longest_line(std::string_view text) {
  std::size_t longest = 0;
  for (const std::string& line : lines_of(text)) longest = std::max(longest, line.size());
  return longest;
}

std::string read_back(std::string_view field, std::string_view name) {
  const auto value = find_header(field, name);
  BOOST_REQUIRE(value);
  return decode_header(*value);
}

std::string repeat(std::string_view text, int times) {
  std::string all;
  while (times-- > 0) all += text;
  return all;
}

// ---------------------------------------------------------------------------------------------------------------------
// Written

struct Written {
  const char* name;
  std::string_view field, value, out;
};
constexpr Written kWritten[] = {
    {"short", "Subject", "Hello", "Subject: Hello\r\n"},
    {"empty", "Subject", "", "Subject:\r\n"},
    {"white space at the ends", "Subject", "  Hello \r\n", "Subject: Hello\r\n"},
    {"white space within stays", "Subject", "a  b\tc", "Subject: a  b\tc\r\n"},
    {"line end", "Subject", "a\r\nBcc: v@w.x", "Subject: a  Bcc: v@w.x\r\n"},
    {"lone CR, LF and NUL", "Subject", std::string_view("a\rb\nc\0d", 7), "Subject: a b c d\r\n"},
    {"one word not ASCII, Q the shorter", "Subject", "Hello W\u00f6rldwide friends",
     "Subject: Hello =?utf-8?Q?W=C3=B6rldwide?= friends\r\n"},
    {"one word not ASCII, B the shorter", "Subject", "\u4f60\u597d", "Subject: =?utf-8?B?5L2g5aW9?=\r\n"},
    {"two such words keep their space", "Subject", "\u00e4bcdefgh \u00f6bcdefgh",
     "Subject: =?utf-8?Q?=C3=A4bcdefgh_=C3=B6bcdefgh?=\r\n"},
    {"a control character", "Subject", "a \x1b[31mred", "Subject: a =?utf-8?Q?=1B=5B31mred?=\r\n"},
    {"not UTF-8", "Subject", "a\xff", "Subject: =?utf-8?B?Ye+/vQ==?=\r\n"},
    {"address, name not ASCII", "Reply-To", "J\u00f6rg Smithson <j@b.c>",
     "Reply-To: =?utf-8?Q?J=C3=B6rg_Smithson?= <j@b.c>\r\n"},
    {"addresses, one of them not ASCII", "Cc", "\"See, Ann\" <a@b.c>, J\u00f6rg <j@b.c>,k@b.c",
     "Cc: \"See, Ann\" <a@b.c>, =?utf-8?B?SsO2cmc=?= <j@b.c>, k@b.c\r\n"},
    {"address, domain not ASCII", "To", "a@b\u00fccher.example", "To: a@xn--bcher-kva.example\r\n"},
    {"no address where one should be", "To", "J\u00f6rg", "To: =?utf-8?B?SsO2cmc=?=\r\n"},
    {"encoded already", "From", "=?utf-8?B?SsO2cmc=?= <j@b.c>", "From: =?utf-8?B?SsO2cmc=?= <j@b.c>\r\n"},
    {"text that looks like an encoded word", "Subject", "a =?utf-8?Q?x?= b",
     "Subject: a =?utf-8?B?PT91dGYtOD9RP3g/PQ==?= b\r\n"},
    {"a URL with =?", "List-Unsubscribe", "<https://b.c/?d=?e>", "List-Unsubscribe: <https://b.c/?d=?e>\r\n"},
    {"structured, not ASCII", "List-Id", "Caf\u00e9neuigkeiten <n.b.c>",
     "List-Id: =?utf-8?Q?Caf=C3=A9neuigkeiten?= <n.b.c>\r\n"},
};

BOOST_AUTO_TEST_CASE(fields_are_written) {
  for (const Written& c : kWritten) BOOST_TEST_CONTEXT(c.name) BOOST_TEST(format_header(c.field, c.value) == c.out);
}

BOOST_AUTO_TEST_CASE(long_values_are_folded_and_read_back) {
  struct Case {
    const char* name;
    std::string value;
    std::size_t line_max;
  };
  const Case kCases[] = {
      {"words", repeat("word ", 100) + "end", 78},
      {"words with odd spaces", repeat("a\t b  c ", 40) + "end", 78},
      {"a URL", "<https://b.c/" + repeat("x", 300) + ">, <mailto:u@b.c>", 400},
      {"a word longer than a line may be", repeat("x", 5000), 78},
      {"letters", repeat("\u00e4\u00f6 ", 100) + "\u00fc", 76},
      {"ideographs", repeat("\u4f60\u597d", 200), 76},
      {"emoji", repeat("\U0001f600", 100), 76},
      {"ASCII and others in turn", repeat("plain w\u00f6rd ", 60) + "end", 76},
  };
  for (const Case& c : kCases) BOOST_TEST_CONTEXT(c.name) {
      const std::string field = format_header("Subject", c.value);
      BOOST_TEST(longest_line(field) <= c.line_max);
      for (const std::string& line : lines_of(field)) {
        BOOST_TEST(is_ascii(line));
        BOOST_TEST(line.find_first_not_of(" \t") != std::string::npos);
      }
      BOOST_TEST(read_back(field, "Subject") == c.value);
    }
}

// Every encoded word alone is whole UTF-8 and at most 75 characters long, wherever the value is cut.
BOOST_AUTO_TEST_CASE(encoded_words_stand_alone) {
  const std::string text = repeat("\u00e4\u4f60\U0001f600x ?=_\"", 30);
  for (std::size_t start = 0; start < 40; ++start) {
    const std::string given = *to_utf8("utf-8", std::string_view(text).substr(start));
    std::string words;
    append_encoded_words(words, given);
    BOOST_TEST(decode_header(words) == given);
    words += ' ';
    for (std::size_t end; (end = words.find(' ')) != std::string::npos; words.erase(0, end + 1)) {
      BOOST_TEST(end <= 75U);
      const std::string alone = decode_header(words.substr(0, end));
      BOOST_TEST(alone.find("=?") == std::string::npos);
      if (given.find("\ufffd") == std::string::npos) BOOST_TEST(alone.find("\ufffd") == std::string::npos);
    }
  }
}

BOOST_AUTO_TEST_CASE(white_space_alone_makes_no_line) {
  const std::string field = format_header("Subject", "a" + std::string(3000, ' ') + "b" + std::string(3000, '\t'));
  BOOST_TEST(field == "Subject: a b\r\n");
}

BOOST_AUTO_TEST_CASE(names_are_checked) {
  BOOST_TEST(is_header_name("X-Campaign_1"));
  BOOST_TEST(is_header_name(std::string(76, 'x')));
  for (const std::string_view name : {"", "a b", "a:", "a\n", "\u00e4", "a\x7f"}) BOOST_TEST(!is_header_name(name));
  BOOST_TEST(!is_header_name(std::string(77, 'x')));
}

// ---------------------------------------------------------------------------------------------------------------------
// Read

struct Decoded {
  const char* name;
  std::string_view in, out;
};
constexpr Decoded kDecoded[] = {
    {"no encoded word", "Hello = ? world", "Hello = ? world"},
    {"Q", "=?ISO-8859-1?Q?a=F6_b?=", "a\u00f6 b"},
    {"B", "=?UTF-8?b?w7Y=?=", "\u00f6"},
    {"charset with a language", "=?US-ASCII*EN?Q?Keith?=", "Keith"},
    {"between plain words", "(=?ISO-8859-1?Q?a?= b)", "(a b)"},
    {"white space between two goes", "=?utf-8?Q?a?=  \r\n =?utf-8?Q?b?=", "ab"},
    {"white space beside plain words stays", "=?utf-8?Q?a?= b =?utf-8?Q?c?=", "a b c"},
    {"a character split over two words", "=?utf-8?B?w7?= =?utf-8?Q?=B6?=", "\u00f6"},
    {"two charsets", "=?utf-8?Q?=C3=B6?= =?iso-8859-1?Q?=F6?=", "\u00f6\u00f6"},
    {"Windows-1252 that calls itself Latin-1", "=?iso-8859-1?Q?=80?=", "\u20ac"},
    {"Japanese", "=?ISO-2022-JP?B?GyRCNEE7ehsoQg==?=", "\u6f22\u5b57"},
    {"GB18030", "=?gb18030?B?xOO6ww==?=", "\u4f60\u597d"},
    {"nothing in it",
     "a =?utf-8?Q?"
     "?= b",
     "a  b"},
    {"unknown charset", "=?x-unknown?Q?a?=", "=?x-unknown?Q?a?="},
    {"charset that asks iconv for more", "=?utf-8//TRANSLIT?Q?a?=", "=?utf-8//TRANSLIT?Q?a?="},
    {"no charset",
     "=?"
     "?Q?a?=",
     "=?"
     "?Q?a?="},
    {"a language without charset", "=?*en?Q?a?= b", "=?*en?Q?a?= b"},
    {"unknown encoding", "=?utf-8?X?a?=", "=?utf-8?X?a?="},
    {"no end", "=?utf-8?Q?abc", "=?utf-8?Q?abc"},
    {"a question mark inside", "=?utf-8?Q?a?b?=", "=?utf-8?Q?a?b?="},
    {"the start alone", "=?", "=?"},
    {"two starts", "=?=?utf-8?Q?a?=", "=?a"},
    {"escape cut short", "=?utf-8?Q?a=4?=", "a=4"},
    {"escape that is none", "=?utf-8?Q?a=XX?=", "a=XX"},
    {"line ends", "=?utf-8?Q?a=0D=0Ab=00?=", "a  b "},
    {"bytes that are not UTF-8", "=?utf-8?Q?=FF?= \xfe", "\ufffd \ufffd"},
};

BOOST_AUTO_TEST_CASE(encoded_words_are_read) {
  for (const Decoded& c : kDecoded) BOOST_TEST_CONTEXT(c.name) BOOST_TEST(decode_header(c.in) == c.out);
}

BOOST_AUTO_TEST_CASE(every_prefix_is_read_without_harm) {
  const std::string_view whole = "a =?ISO-2022-JP*ja?B?GyRCNEE7ehsoQg==?= =?utf-8?Q?=C3=B6_?= b";
  for (std::size_t i = 0; i <= whole.size(); ++i) BOOST_TEST(is_valid_utf8(decode_header(whole.substr(0, i))));
}

BOOST_AUTO_TEST_CASE(fields_are_found) {
  struct Case {
    const char* name;
    std::string_view message, wanted, value;
  };
  constexpr Case kCases[] = {
      {"first", "From: a@b.c\r\nTo: d\r\n\r\n", "from", "a@b.c"},
      {"folded", "A: x\r\nSubject: one\r\n two\r\n\tthree\r\nB: y\r\n\r\n", "Subject", "one two\tthree"},
      {"folded after the colon", "Subject:\r\n one\r\n", "Subject", "one"},
      {"lines of LF", "A: x\nSubject: y\n z\n\nbody", "SUBJECT", "y z"},
      {"white space before the colon", "Subject : y\r\n", "Subject", "y"},
      {"no line end", "Subject: y", "Subject", "y"},
      {"the first of two", "A: 1\r\nA: 2\r\n", "A", "1"},
      {"empty", "A:\r\nB: 1\r\n", "A", ""},
      {"a body that starts with white space", "A: 1\r\n\r\n b", "A", "1"},
      {"a name within a value", "A: B: 1\r\nB: 2\r\n", "B", "2"},
      {"after a line that is no field", "rubbish\r\nB: 2\r\n", "B", "2"},
  };
  for (const Case& c : kCases) BOOST_TEST_CONTEXT(c.name) {
      const auto value = find_header(c.message, c.wanted);
      BOOST_REQUIRE(value);
      BOOST_TEST(*value == c.value);
    }
  BOOST_TEST(!find_header("A: 1\r\n\r\nB: 2\r\n", "B"));
  BOOST_TEST(!find_header("", "B"));
  BOOST_TEST(!find_header("\r\n", "B"));
}

// ---------------------------------------------------------------------------------------------------------------------
// Parameters

BOOST_AUTO_TEST_CASE(parameters_are_read) {
  struct Case {
    const char* name;
    std::string_view in, value, parameter, content;
  };
  constexpr Case kCases[] = {
      {"token", "Text/Plain; charset=utf-8", "text/plain", "charset", "utf-8"},
      {"no parameters", "text/plain", "text/plain", "charset", ""},
      {"quoted", R"(attachment; filename="a;b\"c.pdf"; x=y)", "attachment", "filename", "a;b\"c.pdf"},
      {"after a quoted one", R"(attachment; a="1"; filename=b)", "attachment", "filename", "b"},
      {"white space and folds", "text/plain ;\r\n\tCHARSET =\r\n \"utf-8\" ", "text/plain", "charset", "utf-8"},
      {"extended", "a; filename*=iso-8859-1'de'%F6.pdf", "a", "filename", "\u00f6.pdf"},
      {"continued", "a; filename*0=abc; filename*1=\"d e\"", "a", "filename", "abcd e"},
      {"continued, out of order", "a; f*2=c; f*0=a; f*1=b", "a", "f", "abc"},
      {"more than ten sections", "a; f*10=k; f*0=a; f*2=c; f*1=b", "a", "f", "abck"},
      {"continued and extended in part", "a; f*0*=utf-8''%E4%BD; f*1*=%A0; f*2=%20x", "a", "f", "\u4f60%20x"},
      {"extended before plain", "a; filename=\"?.pdf\"; filename*=utf-8''%C3%B6.pdf", "a", "filename", "\u00f6.pdf"},
      {"encoded words where none belong", "a; filename=\"=?utf-8?Q?=C3=B6?=.pdf\"", "a", "filename", "\u00f6.pdf"},
      {"extended without charset", "a; f*=b%20c", "a", "f", "b c"},
      {"unknown charset", "a; f*=x-unknown''b%FF", "a", "f", "b\ufffd"},
      {"open quote", "a; f=\"bc", "a", "f", "bc"},
      {"backslash at the end", "a; f=\"b\\", "a", "f", "b\\"},
      {"semicolons alone", "a;;; f=b", "a", "f", "b"},
      {"no value", "a; f; g=h", "a", "f", ""},
      {"nothing", "", "", "f", ""},
  };
  for (const Case& c : kCases) BOOST_TEST_CONTEXT(c.name) {
      const ParameterizedValue parsed = parse_parameters(c.in);
      BOOST_TEST(parsed.value == c.value);
      BOOST_TEST(parsed.parameter(c.parameter) == c.content);
    }
}

BOOST_AUTO_TEST_CASE(parameters_are_written_and_read_back) {
  const std::string values[] = {"a.pdf",
                                "a \"b\" \\c.pdf",
                                "a;b=c",
                                "",
                                "\u00f6.pdf",
                                repeat("long name ", 30) + ".pdf",
                                repeat("\u4f60\u597d%'\"", 50),
                                repeat("\U0001f600", 40)};
  for (const std::string& value : values) BOOST_TEST_CONTEXT(value) {
      std::string field = "Content-Disposition: attachment";
      append_parameter(field, "filename", value);
      field += "\r\n";
      BOOST_TEST(longest_line(field) <= 76U);
      BOOST_TEST(is_ascii(field));
      BOOST_TEST(parse_parameters(find_header(field, "Content-Disposition").value()).parameter("filename") == value);
    }
  std::string field;
  append_parameter(field, "filename", "a\r\nBcc: x\x01");
  BOOST_TEST(field == ";\r\n filename=\"a__Bcc: x_\"");
}

BOOST_AUTO_TEST_CASE(charsets_become_utf8) {
  BOOST_TEST(to_utf8("windows-1251", "\xcf\xf0").value() == "\u041f\u0440");
  BOOST_TEST(to_utf8("UTF-16LE", std::string_view("a\0\xf6\0", 4)).value() == "a\u00f6");
  BOOST_TEST(to_utf8("utf-8", "a\xf0\x9f").value() == "a\ufffd\ufffd");
  BOOST_TEST(to_utf8("us-ascii", "\u00f6").value() == "\u00f6");
  BOOST_TEST(to_utf8("shift_jis", std::string(10'000, 'a')).value() == std::string(10'000, 'a'));
  BOOST_TEST(is_valid_utf8(to_utf8("euc-jp", "\x8f\xff\xa4").value()));
  for (const std::string_view charset : {"", "x-unknown", "../../etc/passwd", "utf-8//IGNORE"}) {
    BOOST_TEST(!to_utf8(charset, "a"));
  }
}

}  // namespace
}  // namespace mailsbuddy
