#include "dkim/tag_list.h"

#include <boost/test/unit_test.hpp>

namespace mailsbuddy::dkim {
namespace {

// "name=value|..." of what was parsed, or "! reason".
std::string parsed(std::string_view text) {
  const auto list = TagList::parse(text);
  if (!list) return "! " + list.error().detail;
  std::string out;
  for (const Tag& tag : list->tags()) {
    if (!out.empty()) out += '|';
    out += std::string(tag.name) + "=" + std::string(tag.value);
  }
  return out;
}

struct Case {
  std::string_view name;
  std::string_view text;
  std::string_view parsed;
};
constexpr Case kCases[] = {
    {.name = "one", .text = "v=1", .parsed = "v=1"},
    {.name = "several", .text = "v=1;a=b;c_9=d", .parsed = "v=1|a=b|c_9=d"},
    {.name = "a semicolon at the end", .text = "v=1;", .parsed = "v=1"},
    {.name = "white space after it", .text = "v=1; ", .parsed = "v=1"},
    {.name = "white space everywhere", .text = " v \t=\r\n 1 ; a = b c ", .parsed = "v=1|a=b c"},
    {.name = "a fold inside a value", .text = "b=ab\r\n cd", .parsed = "b=ab\r\n cd"},
    {.name = "empty value", .text = "p=", .parsed = "p="},
    {.name = "equals signs in a value", .text = "b=a==", .parsed = "b=a=="},
    {.name = "letter case counts", .text = "a=1;A=2", .parsed = "a=1|A=2"},
    {.name = "UTF-8 (RFC 8616)", .text = "i=@b\xc3\xbc.example", .parsed = "i=@b\xc3\xbc.example"},
    {.name = "empty", .text = "", .parsed = "! tag 1 has no \"=\""},
    {.name = "white space alone", .text = " \r\n ", .parsed = "! tag 1 has no \"=\""},
    {.name = "a semicolon alone", .text = ";", .parsed = "! tag 1 has no \"=\""},
    {.name = "two semicolons", .text = "a=1;;b=2", .parsed = "! tag 2 has no \"=\""},
    {.name = "no equals sign", .text = "v=1; a", .parsed = "! tag 2 has no \"=\""},
    {.name = "no name", .text = "=1", .parsed = "! tag 1 has no name"},
    {.name = "a name that begins with a digit", .text = "1a=1", .parsed = "! tag 1 has no name"},
    {.name = "a name with a hyphen", .text = "a-b=1", .parsed = "! tag 1 has no name"},
    {.name = "a name with a space", .text = "a b=1", .parsed = "! tag 1 has no name"},
    {.name = "twice", .text = "a=1; b=2; a=1", .parsed = "! a= stands twice"},
    {.name = "a control character", .text = "a=1\x01", .parsed = "! a= has a character that no value may have"},
    {.name = "a bare LF", .text = "a=1\n2", .parsed = "! a= has a character that no value may have"},
    {.name = "a CRLF that does not fold", .text = "a=1\r\n2", .parsed = "! a= has a character that no value may have"},
};

BOOST_AUTO_TEST_CASE(lists) {
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) { BOOST_TEST(parsed(c.text) == c.parsed); }
  }
}

BOOST_AUTO_TEST_CASE(as_many_tags_as_are_allowed) {
  std::string text;
  for (std::size_t i = 0; i < kTagsMax; ++i) text += "t" + std::to_string(i) + "=1;";
  BOOST_TEST(TagList::parse(text).value().tags().size() == kTagsMax);
  BOOST_TEST(TagList::parse(text + "more=1").error().detail == "more than 64 tags");
}

BOOST_AUTO_TEST_CASE(finds_by_name) {
  const auto list = TagList::parse("a=1; b=").value();
  BOOST_TEST(list.find("a").value() == "1");
  BOOST_TEST(list.find("b").value() == "");
  BOOST_TEST(!list.find("A"));
  BOOST_TEST(!list.find(""));
}

BOOST_AUTO_TEST_CASE(base_64) {
  BOOST_TEST(decode_tag_base64("").value() == "");
  BOOST_TEST(decode_tag_base64("Zm9v").value() == "foo");
  BOOST_TEST(decode_tag_base64("Zm 9\r\n\tvYg==").value() == "foob");
  BOOST_TEST(decode_tag_base64("Zm9vYg").value() == "foob");
  for (const std::string_view bad :
       {"Zm9v!", "Zm9vY", "Zm9vYg=", "Zm9v=", "=", "====", "Z=m9", "Zm9vYg==Zm9v", "Zm-_"}) {
    BOOST_TEST_CONTEXT(bad) { BOOST_TEST(!decode_tag_base64(bad)); }
  }
}

BOOST_AUTO_TEST_CASE(quoted) {
  const std::string bytes("a b;c=d|e\0\xff\x7f", 12);
  std::string text;
  append_tag_quoted(text, bytes, "|");
  BOOST_TEST(text == "a=20b=3Bc=3Dd=7Ce=00=FF=7F");
  BOOST_TEST((decode_tag_quoted(text) == bytes));
  BOOST_TEST(decode_tag_quoted("a \r\n b=3d").value() == "ab=");
  for (const std::string_view bad : {"=", "=3", "=3g", "a;b", "\x01", "==3D"}) {
    BOOST_TEST_CONTEXT(bad) { BOOST_TEST(!decode_tag_quoted(bad)); }
  }
}

BOOST_AUTO_TEST_CASE(parts_between_colons) {
  std::optional<std::string_view> list = " sha1 : sha256::x ";
  for (const std::string_view part : {"sha1", "sha256", "", "x"}) BOOST_TEST(take_colon_part(list).value() == part);
  BOOST_TEST(!take_colon_part(list));
}

}  // namespace
}  // namespace mailsbuddy::dkim
