#include "bounce/phrases.h"

#include <boost/test/unit_test.hpp>
#include <random>
#include <string>

namespace mailsbuddy::bounce {
namespace {

constexpr Phrase kPhrases[] = {{"he", 0}, {"she", 1}, {"his", 2}, {"hers", 3}, {"user unknown", 4}, {" rbl ", 5}};

struct Case {
  std::string_view name;
  std::string_view text;
  std::string_view hits;  // The ids in order.
};
constexpr Case kCases[] = {
    {.name = "nothing", .text = "", .hits = ""},
    {.name = "no phrase", .text = "quick brown fox", .hits = ""},
    {.name = "overlapping phrases", .text = "ushers", .hits = "013"},
    {.name = "a phrase within another", .text = "she", .hits = "01"},
    {.name = "letter case", .text = "USER Unknown", .hits = "4"},
    {.name = "over a line's end", .text = "5.1.1 user\n  unknown", .hits = "4"},
    {.name = "not over other characters", .text = "user-unknown", .hits = ""},
    {.name = "white space at the beginning", .text = "rbl says", .hits = "5"},
    {.name = "white space at the end", .text = "listed in rbl", .hits = "5"},
    {.name = "not within a word", .text = "verbleib", .hits = ""},
    {.name = "octets above 127", .text = "\xff\xc3\xa9his\x80", .hits = "2"},
    {.name = "begun again after a near miss", .text = "user unuser unknown", .hits = "4"},
};

std::string ids(const PhraseHits& hits) {
  std::string text;
  for (std::size_t i = 0; i < 10; ++i) {
    if (hits[i]) text += static_cast<char>('0' + i);
  }
  return text;
}

BOOST_AUTO_TEST_CASE(finds_what_stands_there) {
  const Phrases phrases(kPhrases);
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) { BOOST_TEST(ids(phrases.find(c.text)) == c.hits); }
  }
}

// Against a plain search, over texts of few letters, where beginnings of phrases are everywhere.
BOOST_AUTO_TEST_CASE(agrees_with_a_plain_search) {
  std::mt19937 random(7);
  const auto word = [&](std::size_t length) {
    std::string text;
    while (text.size() < length) text += static_cast<char>('a' + random() % 3);
    return text;
  };
  for (int round = 0; round < 200; ++round) {
    std::vector<std::string> words;
    std::vector<Phrase> phrases;
    for (std::uint16_t id = 0; id < 12; ++id) words.push_back(word(1 + random() % 5));
    for (std::uint16_t id = 0; id < 12; ++id) phrases.push_back({words[id], id});
    const Phrases matcher(phrases);
    const std::string text = word(random() % 40);
    const PhraseHits hits = matcher.find(text);
    BOOST_TEST_CONTEXT(text) {
      for (std::size_t id = 0; id < 12; ++id) BOOST_TEST(hits[id] == (text.find(words[id]) != std::string::npos));
    }
  }
}

}  // namespace
}  // namespace mailsbuddy::bounce
