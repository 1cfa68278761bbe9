#include "bounce/pattern.h"

#include <boost/test/unit_test.hpp>

namespace mailsbuddy::bounce {
namespace {

struct Case {
  std::string_view name;
  std::string_view pattern;
  std::string_view folded;  // Alternatives with "|", their phrases with "&"; empty: refused.
};

constexpr Case kCases[] = {
    {.name = "whole words", .pattern = "User unknown", .folded = " user unknown "},
    {.name = "alternatives", .pattern = "over quota|mailbox full", .folded = " over quota | mailbox full "},
    {.name = "all of several", .pattern = "user & unknown", .folded = " unknown & user "},
    {.name = "the same twice", .pattern = "user&user", .folded = " user "},
    {.name = "a word that goes on", .pattern = "greylist*", .folded = " greylist"},
    {.name = "punctuation is a space", .pattern = "user-unknown!", .folded = " user unknown "},
    {.name = "a name", .pattern = "@Spamhaus.ORG/query", .folded = "^spamhaus^org^query^"},
    {.name = "a name that goes on", .pattern = "@dnsbl*", .folded = "^dnsbl"},
    {.name = "accents", .pattern = "bo\xc3\xaete pleine", .folded = " boite pleine "},
    {.name = "Japanese needs no spaces", .pattern = "\xe5\xae\x9b\xe5\x85\x88", .folded = "\xe5\xae\x9b\xe5\x85\x88"},
    {.name = "Cyrillic does", .pattern = "\xd1\x8f\xd1\x89", .folded = " \xd1\x8f\xd1\x89 "},
    {.name = "empty phrase", .pattern = "a b||c d", .folded = ""},
    {.name = "ends in |", .pattern = "user|", .folded = ""},
    {.name = "begins with |", .pattern = "|user", .folded = ""},
    {.name = "ends in &", .pattern = "user&", .folded = ""},
    {.name = "& before |", .pattern = "user&|other", .folded = ""},
    {.name = "one letter", .pattern = "x", .folded = ""},
    {.name = "punctuation alone", .pattern = "...", .folded = ""},
    {.name = "what texts lose", .pattern = "5.7.1", .folded = ""},
    {.name = "an address", .pattern = "ann@example.net", .folded = ""},
    {.name = "a host name among words", .pattern = "see spamhaus.org", .folded = ""},
    {.name = "* before the end", .pattern = "grey* list", .folded = ""},
    {.name = "* alone", .pattern = "*", .folded = ""},
    {.name = "@ alone", .pattern = "@", .folded = ""},
};

BOOST_AUTO_TEST_CASE(patterns) {
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      const auto alternatives = parse_pattern(c.pattern);
      std::string folded;
      if (alternatives) {
        for (const Alternative& alternative : *alternatives) {
          folded += folded.empty() ? "" : "|";
          for (const std::string& phrase : alternative) folded += (&phrase == &alternative[0] ? "" : "&") + phrase;
        }
      } else {
        BOOST_TEST(!alternatives.error().detail.empty());
      }
      BOOST_TEST(folded == c.folded);
    }
  }
}

BOOST_AUTO_TEST_CASE(long_phrases_are_refused) {
  std::string words;
  for (std::size_t i = 0; i < kPhraseWordsMax; ++i) words += "aa ";
  BOOST_TEST(parse_pattern(words).has_value());
  BOOST_TEST(!parse_pattern(words + "aa").has_value());
  BOOST_TEST(!parse_pattern(std::string(300, 'a')).has_value());
}

}  // namespace
}  // namespace mailsbuddy::bounce
