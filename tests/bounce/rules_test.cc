#include "bounce/rules.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <set>

#include "bounce/phrases.h"
#include "tests/bounce/reply_text.h"

namespace mailsbuddy::bounce {
namespace {

Stage stage_for(const Rule& rule) { return std::clamp(Stage::kRcptTo, rule.fit.from, rule.fit.to); }
ProviderId provider_for(const Rule& rule) { return {std::string(rule.fit.provider)}; }

// A reply that has nothing but what the rule asks for.
Reply barest_reply(const Rule& rule, std::string_view text) {
  const int code = rule.fit.code;
  Reply reply{.code = code == 0 ? 550 : code < 10 ? code * 100 + 50 : code, .enhanced = {}, .text = std::string(text)};
  if (rule.fit.status.subject >= 0) {
    reply.enhanced =
        EnhancedCode{static_cast<std::uint8_t>(reply.code / 100), static_cast<std::uint16_t>(rule.fit.status.subject),
                     static_cast<std::uint16_t>(rule.fit.status.first)};
  }
  return reply;
}

BOOST_AUTO_TEST_CASE(every_rule_is_reached_by_its_sample) {
  for (const Rule& rule : rules()) {
    BOOST_TEST_CONTEXT(rule.id << ": " << rule.sample) {
      const Rule& found = rule_for(reply_of(rule.sample), stage_for(rule), provider_for(rule));
      BOOST_TEST(found.id == rule.id);
    }
  }
}

BOOST_AUTO_TEST_CASE(no_phrase_is_hidden_by_an_earlier_rule) {
  for (const Rule& rule : rules()) {
    for (std::string_view text = rule.fit.text; !text.empty();) {
      const std::string_view phrase = text.substr(0, text.find('|'));
      text.remove_prefix(std::min(text.size(), phrase.size() + 1));
      BOOST_TEST_CONTEXT(rule.id << ": " << phrase) {
        BOOST_TEST(rule_for(barest_reply(rule, phrase), stage_for(rule), provider_for(rule)).id == rule.id);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(the_table_is_well_formed) {
  std::set<std::string_view> ids;
  std::set<char> characters;
  for (const Rule& rule : rules()) {
    BOOST_TEST_CONTEXT(rule.id) {
      BOOST_TEST(ids.insert(rule.id).second);
      BOOST_TEST((rule.fit.from <= rule.fit.to));
      BOOST_TEST(rule.fit.status.first <= rule.fit.status.last);
      BOOST_TEST(rule.fit.text.find("||") == std::string_view::npos);
      BOOST_TEST((rule.fit.text.empty() || (rule.fit.text.front() != '|' && rule.fit.text.back() != '|')));
      BOOST_TEST(rule.fit.text == ascii::to_lower(rule.fit.text));
      characters.insert(rule.fit.text.begin(), rule.fit.text.end());
    }
  }
  BOOST_TEST(characters.size() < 64U);  // What Phrases has room for.
  BOOST_TEST(rules().size() <= kPhraseIdsMax);
}

}  // namespace
}  // namespace mailsbuddy::bounce
