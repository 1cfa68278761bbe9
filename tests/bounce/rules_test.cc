#include "bounce/rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <set>

#include "bounce/classes.h"
#include "bounce/ruleset.h"

namespace mailsbuddy::bounce {
namespace {

std::vector<Rule> shipped() {
  std::vector<Rule> all;
  for (const RuleFile& file : shipped_rule_files()) {
    auto rules = parse_rules(file.tsv, file.name);
    BOOST_REQUIRE_MESSAGE(rules.has_value(), (rules ? "" : rules.error().detail));
    all.insert(all.end(), rules->begin(), rules->end());
  }
  return all;
}

// No rule is dead, none is hidden by an earlier one: each decides its sample, and each of its phrases alone.
BOOST_AUTO_TEST_CASE(every_shipped_rule_decides_what_it_is_for) {
  for (const std::string& fault : Classifier::shipped().faults()) BOOST_ERROR(fault);
  BOOST_TEST(Classifier::shipped().rule_count() >= 400);
}

BOOST_AUTO_TEST_CASE(shipped_ids_are_told_apart) {
  std::set<std::string> ids;
  for (const Rule& rule : shipped()) BOOST_TEST(ids.insert(rule.id).second, rule.id);
}

// Providers before words, words before enhanced codes, those before reply codes.
BOOST_AUTO_TEST_CASE(shipped_rules_stand_in_order) {
  int tier = 0;
  for (const Rule& rule : shipped()) {
    const bool words = !rule.alternatives.empty();
    const bool provider = !rule.fit.providers.empty();
    if (provider) continue;  // May stand before or after words.
    const int own = words ? 0 : rule.fit.subject >= 0 ? 1 : 2;
    const bool own_codes = !words && rule.fit.subject >= 0 && rule.place.find("codes.tsv") == std::string::npos;
    if (own_codes) continue;  // Enhanced codes that one provider made up.
    BOOST_TEST_CONTEXT(rule.place) { BOOST_TEST(own >= tier); }
    tier = std::max(tier, own);
  }
  BOOST_TEST(tier == 2);
}

BOOST_AUTO_TEST_CASE(no_shipped_block_suppresses) {
  for (const Rule& rule : shipped()) {
    const ClassRow& row = row_of(rule.klass);
    const bool suppresses = rule.reaction.value_or(row.reaction) == Reaction::kSuppress;
    BOOST_TEST((!suppresses || (row.permanence != Permanence::kBlock && row.scope == Scope::kRecipient)), rule.place);
  }
}

// One line: id, provider, stage, code, enhanced, pattern, class, scope, reaction, sample.
constexpr std::string_view kGood = "a\t-\t-\t-\t-\tno\tvirus\t-\t-\t550 No";

struct Case {
  std::string_view name;
  std::string_view line;
  std::string_view error;  // What the message has in it; empty: it is good.
};
constexpr Case kCases[] = {
    {.name = "good", .line = kGood, .error = ""},
    {.name = "everything given",
     .line = "A.b-c_1\tgoogle,yahoo\trcpt_to..data\t550-559\tx.7.20-24\tno|not\tvirus\tmessage\talert\t550 5.7.20 No",
     .error = ""},
    {.name = "open stages", .line = "a\t-\t..mail_from\t4yz\t-\t-\tvirus\t-\t-\t450 No", .error = ""},
    {.name = "without a code", .line = "a\t-\t-\tnone\t-\t-\tauto_reply\t-\t-\tAway", .error = ""},
    {.name = "weak", .line = "a\t-\t-\t-\t-\t? denied\tvirus\t-\t-\t550 Denied", .error = ""},
    {.name = "a note", .line = "# a", .error = ""},
    {.name = "an empty line", .line = " ", .error = ""},
    {.name = "columns missing", .line = "a\tb", .error = "2 columns, 10 needed"},
    {.name = "a column too many", .line = "a\t-\t-\t-\t-\tno\tvirus\t-\t-\t550 No\tx", .error = "11 columns"},
    {.name = "no id", .line = "\t-\t-\t-\t-\tno\tvirus\t-\t-\t550 No", .error = "id \"\""},
    {.name = "a space in the id", .line = "a b\t-\t-\t-\t-\tno\tvirus\t-\t-\t550 No", .error = "id \"a b\""},
    {.name = "an empty provider", .line = "a\tgoogle,,x\t-\t-\t-\tno\tvirus\t-\t-\t550 No", .error = "provider"},
    {.name = "no such stage", .line = "a\t-\trcpt\t-\t-\tno\tvirus\t-\t-\t550 No", .error = "stage \"rcpt\""},
    {.name = "stages backwards", .line = "a\t-\tdata..rcpt_to\t-\t-\tno\tvirus\t-\t-\t550 No", .error = "stage"},
    {.name = "a success", .line = "a\t-\t-\t250\t-\tno\tvirus\t-\t-\t250 No", .error = "code \"250\""},
    {.name = "no number", .line = "a\t-\t-\t5xx\t-\tno\tvirus\t-\t-\t550 No", .error = "code \"5xx\""},
    {.name = "a class of an enhanced code", .line = "a\t-\t-\t-\t5.7.1\tno\tvirus\t-\t-\t550 No", .error = "enhanced"},
    {.name = "no such subject", .line = "a\t-\t-\t-\tx.10.1\tno\tvirus\t-\t-\t550 No", .error = "enhanced"},
    {.name = "details backwards", .line = "a\t-\t-\t-\tx.7.9-1\tno\tvirus\t-\t-\t550 No", .error = "enhanced"},
    {.name = "a bad pattern", .line = "a\t-\t-\t-\t-\tno||not\tvirus\t-\t-\t550 No", .error = "pattern"},
    {.name = "no pattern", .line = "a\t-\t-\t-\t-\t\tvirus\t-\t-\t550 No", .error = "pattern"},
    {.name = "no such class", .line = "a\t-\t-\t-\t-\tno\tfull\t-\t-\t550 No", .error = "class \"full\""},
    {.name = "no such scope", .line = "a\t-\t-\t-\t-\tno\tvirus\tworld\t-\t550 No", .error = "scope \"world\""},
    {.name = "no such reaction", .line = "a\t-\t-\t-\t-\tno\tvirus\t-\tdrop\t550 No", .error = "reaction \"drop\""},
    {.name = "a block that suppresses",
     .line = "a\t-\t-\t-\t-\tno\tip_blocklisted\t-\tsuppress\t550 No",
     .error = "not the recipient's fault"},
    {.name = "a suppressed message",
     .line = "a\t-\t-\t-\t-\tno\tuser_unknown\tmessage\tsuppress\t550 No",
     .error = "not the recipient's fault"},
    {.name = "no sample", .line = "a\t-\t-\t-\t-\tno\tvirus\t-\t-\t-", .error = "sample"},
    {.name = "everything", .line = "a\t-\t-\t-\t-\t-\tvirus\t-\t-\t550 No", .error = "decide everything"},
};

BOOST_AUTO_TEST_CASE(lines) {
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      const auto rules = parse_rules(fmt::format("# note\n{}\n", c.line), "my.tsv");
      BOOST_TEST(rules.has_value() == c.error.empty(), (rules ? "" : rules.error().detail));
      if (rules) continue;
      BOOST_TEST(rules.error().detail.starts_with("my.tsv:2: "));
      BOOST_TEST(rules.error().detail.find(c.error) != std::string::npos, rules.error().detail);
    }
  }
}

BOOST_AUTO_TEST_CASE(an_id_stands_once) {
  const auto rules = parse_rules(fmt::format("{0}\r\n{0}\r\n", kGood), "my.tsv");
  BOOST_REQUIRE(!rules);
  BOOST_TEST(rules.error().detail == "my.tsv:2: id \"a\" stands twice");
}

Verdict judged(const Classifier& classifier, std::string_view line) {
  static Reply reply;  // Verdicts have views into it.
  reply = parse_reply_line(line);
  return classifier.classify({.stage = likely_stage(reply), .cause = Cause::kReply, .reply = reply, .detail = {}}, {});
}

BOOST_AUTO_TEST_CASE(own_rules_go_before_the_shipped) {
  const auto own = Classifier::make("mine\t-\t-\t-\t-\tuser unknown\tgreylisted\t-\t-\t550 User unknown\n", "my.tsv");
  BOOST_REQUIRE(own.has_value());
  BOOST_TEST(judged(*own, "550 5.1.1 User unknown").rule == "mine");
  BOOST_TEST(judged(*own, "550 5.1.1 No such user").rule == "mailbox.unknown");
  BOOST_TEST(own->rule_count() == Classifier::shipped().rule_count() + 1);
  BOOST_TEST(own->faults().empty());
}

BOOST_AUTO_TEST_CASE(a_shipped_rule_is_replaced_by_its_id) {
  const auto own =
      Classifier::make("status.1.1\t-\t-\t-\tx.1.1\t-\tundetermined\t-\t-\t550 5.1.1 Rejected\n", "my.tsv");
  BOOST_REQUIRE(own.has_value());
  BOOST_TEST((judged(*own, "550 5.1.1 No").klass == Class::kUndetermined));
  BOOST_TEST(own->rule_count() == Classifier::shipped().rule_count());
}

BOOST_AUTO_TEST_CASE(faults_name_rule_and_culprit) {
  const auto own = Classifier::make(
      "first\t-\t-\t-\t-\tno such*\tvirus\t-\t-\t550 No such thing\n"
      "second\t-\t-\t-\t-\tno such user|gone\tuser_unknown\t-\t-\t550 No such user\n"
      "third\t-\t-\t4yz\t-\tlater\tgreylisted\t-\t-\t550 Later\n",
      "my.tsv");
  BOOST_REQUIRE(own.has_value());
  const auto faults = own->faults();
  BOOST_REQUIRE(faults.size() == 3);
  BOOST_TEST(faults[0] == "my.tsv:2: second: the sample is decided by first (my.tsv:1)");
  BOOST_TEST(faults[1] == "my.tsv:2: second: \"no such user\" alone is decided by first (my.tsv:1)");
  BOOST_TEST(faults[2].starts_with("my.tsv:3: third: the sample is decided by "));
}

BOOST_AUTO_TEST_CASE(phrases_joined_by_and_have_a_cap) {
  std::string tsv;
  for (std::size_t i = 0; i <= kPartsMax / 2; ++i)
    tsv += fmt::format("r{0}\t-\t-\t-\t-\ta{0}&b{0}\tvirus\t-\t-\t550 a{0} b{0}\n", i);
  BOOST_TEST(!Classifier::make(tsv, "my.tsv").has_value());
}

}  // namespace
}  // namespace mailsbuddy::bounce
