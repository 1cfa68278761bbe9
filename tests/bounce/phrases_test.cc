#include "bounce/phrases.h"

#include <boost/test/unit_test.hpp>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace mailsbuddy::bounce {
namespace {

// The numbers of the phrases that end anywhere in `text`, in order.
std::string found(const Phrases& phrases, std::string_view text) {
  std::set<std::uint32_t> numbers;
  Phrases::State state = Phrases::kRoot;
  for (const char c : text) {
    state = phrases.step(state, c);
    if (Phrases::ends(state)) numbers.insert(phrases.ending(state).begin(), phrases.ending(state).end());
  }
  std::string text_of;
  for (const std::uint32_t number : numbers) text_of += static_cast<char>('0' + number);
  return text_of;
}

const std::string kPhrases[] = {"he", "she", "his", "hers", " user unknown ", "\xd1\x8f"};

struct Case {
  std::string_view name;
  std::string_view text;
  std::string_view hits;
};
constexpr Case kCases[] = {
    {.name = "nothing", .text = "", .hits = ""},
    {.name = "no phrase", .text = "quick brown fox", .hits = ""},
    {.name = "overlapping phrases", .text = "ushers", .hits = "013"},
    {.name = "a phrase within another", .text = "she", .hits = "01"},
    {.name = "spaces are octets as others", .text = " user unknown ", .hits = "4"},
    {.name = "not without them", .text = "user unknown", .hits = ""},
    {.name = "not over other characters", .text = " user-unknown ", .hits = ""},
    {.name = "octets above 127", .text = "\xff\xd1\x8fhis\x80", .hits = "25"},
    {.name = "begun again after a near miss", .text = " user unuser user unknown ", .hits = "4"},
};

BOOST_AUTO_TEST_CASE(finds_what_stands_there) {
  const Phrases phrases(kPhrases);
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) { BOOST_TEST(found(phrases, c.text) == c.hits); }
  }
}

BOOST_AUTO_TEST_CASE(none_finds_nothing) { BOOST_TEST(found(Phrases(), "anything").empty()); }

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
    while (words.size() < 10) words.push_back(word(1 + random() % 5));
    const Phrases phrases(words);
    const std::string text = word(random() % 40);
    std::string expected;
    for (std::size_t i = 0; i < words.size(); ++i) {
      if (text.find(words[i]) != std::string::npos) expected += static_cast<char>('0' + i);
    }
    BOOST_TEST_CONTEXT(text) { BOOST_TEST(found(phrases, text) == expected); }
  }
}

}  // namespace
}  // namespace mailsbuddy::bounce
