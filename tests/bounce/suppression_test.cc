// When an address is suppressed, and above all when it is not.
#include <boost/test/unit_test.hpp>
#include <vector>

#include "bounce/classes.h"
#include "mailsbuddy/bounce.h"

using namespace mailsbuddy;
using namespace mailsbuddy::bounce;

namespace {

template <class Enum>
std::vector<Enum> all(Enum last) {
  std::vector<Enum> values;
  for (int i = 0; i <= static_cast<int>(last); ++i) values.push_back(static_cast<Enum>(i));
  return values;
}

Verdict verdict_of(Class klass) {
  const ClassRow& row = row_of(klass);
  return {.klass = klass, .permanence = row.permanence, .scope = row.scope, .reaction = row.reaction, .rule = {}};
}

const Verdict kFull = verdict_of(Class::kMailboxFull);

// Days of one address, written down: "b" a soft bounce on the wire, "d" delivered, "l" a late bounce of that day's
// delivery, "L" one of the day before, "." nothing. The day (from 1) on which it is suppressed; 0: never.
int suppressed_on(std::string_view days, SuppressionPolicy policy = {}) {
  constexpr Day kStart = 20'000;
  SoftRun run;
  for (std::size_t i = 0; i < days.size(); ++i) {
    const auto today = static_cast<Day>(kStart + i);
    const auto bounce = [&](std::optional<Day> sent) {
      const Decision decision = after_bounce(kFull, run, today, sent, policy);
      run = decision.run;
      return decision.suppress;
    };
    bool suppress = false;
    switch (days[i]) {
      case 'b':
        suppress = bounce(std::nullopt);
        break;
      case 'd':
        run = after_delivery(run, today);
        break;
      case 'l':
        run = after_delivery(run, today), suppress = bounce(today);
        break;
      case 'L':
        suppress = bounce(static_cast<Day>(today - 1));
        break;
      default:
        break;
    }
    if (suppress) return static_cast<int>(i) + 1;
  }
  return 0;
}

}  // namespace

// The one that must hold whatever the rules say: nobody is suppressed for what is about us.
BOOST_AUTO_TEST_CASE(no_block_suppresses_whatever_the_axes) {
  for (const Class klass : all(Class::kUndetermined)) {
    for (const Permanence permanence : all(Permanence::kUndetermined)) {
      for (const Scope scope : all(Scope::kHost)) {
        for (const Reaction reaction : all(Reaction::kAlert)) {
          const Verdict verdict{
              .klass = klass, .permanence = permanence, .scope = scope, .reaction = reaction, .rule = {}};
          const bool about_us = permanence == Permanence::kBlock || row_of(klass).permanence == Permanence::kBlock;
          const bool recipients = scope == Scope::kRecipient;
          BOOST_TEST_CONTEXT(to_string(klass)
                             << ' ' << to_string(permanence) << ' ' << to_string(scope) << ' ' << to_string(reaction)) {
            if (!about_us && recipients) continue;
            BOOST_REQUIRE(advise(verdict) == Advice::kNone);
            SoftRun run{.bounces = 100, .first_day = 1, .last_day = 99};
            for (Day day = 100; day < 130; ++day) {
              const Decision decision = after_bounce(verdict, run, day, day, {});
              BOOST_REQUIRE(!decision.suppress);
              BOOST_REQUIRE((decision.run == run));
            }
          }
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(no_code_alone_suppresses_for_what_is_about_us) {
  for (const int code : {421, 450, 451, 452, 500, 521, 550, 551, 552, 553, 554, 556}) {
    for (const std::uint16_t subject : {0, 1, 2, 3, 4, 5, 6, 7}) {
      for (std::uint16_t detail = 0; detail < 80; ++detail) {
        const EnhancedCode enhanced{static_cast<std::uint8_t>(code / 100), subject, detail};
        for (const Stage stage : {Stage::kMailFrom, Stage::kRcptTo, Stage::kFinalDot}) {
          const Outcome outcome{.stage = stage,
                                .cause = Cause::kReply,
                                .reply = {.code = code, .enhanced = enhanced, .text = {}},
                                .detail = {}};
          const Verdict verdict = classify(outcome, {});
          BOOST_TEST_CONTEXT(outcome.str()) {
            if (advise(verdict) == Advice::kNone) continue;
            BOOST_REQUIRE(verdict.scope == Scope::kRecipient);
            // X.7.Z is security and policy, of which every block is; but for a disabled account and for addresses with
            // a new owner (RFC 7293).
            BOOST_REQUIRE((subject != 7U || detail == 13 || (detail >= 17 && detail <= 19)));
            const bool counted = advise(verdict) == Advice::kCount;
            BOOST_REQUIRE((counted || code / 100 == 5));
          }
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(what_each_class_advises) {
  for (const Class klass : all(Class::kUndetermined)) {
    Advice expected = Advice::kNone;
    switch (klass) {
      case Class::kUserUnknown:
      case Class::kMailboxMoved:
      case Class::kDomainUnknown:
      case Class::kNullMx:
        expected = Advice::kSuppress;
        break;
      case Class::kMailboxFull:
      case Class::kMailboxDisabled:
        expected = Advice::kCount;
        break;
      default:
        expected =
            verdict_of(klass).permanence == Permanence::kNone && verdict_of(klass).reaction == Reaction::kSuppress
                ? Advice::kSuppress  // Complaints and unsubscribes.
                : Advice::kNone;
    }
    BOOST_TEST_CONTEXT(to_string(klass)) { BOOST_TEST((advise(verdict_of(klass)) == expected)); }
  }
}

BOOST_AUTO_TEST_CASE(a_4yz_about_the_mailbox_counts) {
  Verdict verdict = verdict_of(Class::kUserUnknown);
  verdict.permanence = Permanence::kSoft;
  verdict.reaction = Reaction::kRetry;
  BOOST_TEST((advise(verdict) == Advice::kCount));
  verdict.klass = Class::kGreylisted;
  BOOST_TEST((advise(verdict) == Advice::kNone));
}

BOOST_AUTO_TEST_CASE(soft_bounces_suppress_by_number_and_span) {
  struct Case {
    const char* name;
    std::string_view days;
    int on;
  };
  constexpr Case kCases[] = {
      {"five days in a row are too short", "bbbbb", 0},
      {"a daily one is suppressed when the span is full", "bbbbbbbbbb", 8},
      {"four in a month are too few", "b........b.........b.........b", 0},
      {"the fifth", "b........b.........b.........b.b", 32},
      {"a delivery resets", "bbbb....d....b..bbb", 0},
      {"and what follows it counts anew", "bbbbdbbbbbbbb", 13},
      {"late bounces count though each was delivered first", "llllllll", 8},
      {"also when they come the day after", "dLdLdLdLdL", 10},
      {"a delivery that stays one resets among late bounces too", "lllldllll", 0},
      {"a delivery only", "dddddddddd", 0},
      {"long ago is forgotten", "bbbb.............................................................b....bb", 0},
  };
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) { BOOST_TEST(suppressed_on(c.days) == c.on); }
  }
}

BOOST_AUTO_TEST_CASE(a_late_bounce_of_an_earlier_message_does_not_undo_a_delivery) {
  const SoftRun run{.bounces = 7, .first_day = 100, .last_day = 106, .delivered_day = 107};
  BOOST_TEST(after_bounce(kFull, run, 108, Day{105}, {}).run.bounces == 1);
  BOOST_TEST(after_bounce(kFull, run, 108, Day{106}, {}).suppress);  // Made on the 106th, delivered after midnight.
  BOOST_TEST(after_bounce(kFull, run, 108, Day{108}, {}).run.bounces == 1);
}

BOOST_AUTO_TEST_CASE(the_numbers_are_the_callers) {
  BOOST_TEST(suppressed_on("bbb", {.soft_bounces = 3, .soft_span = std::chrono::days(2)}) == 3);
  BOOST_TEST(suppressed_on("b", {.soft_bounces = 1, .soft_span = std::chrono::days(0)}) == 1);
  BOOST_TEST(suppressed_on("bbbbbbbbbbbbbbbbbbbb", {.soft_bounces = 0}) == 0);
  BOOST_TEST(suppressed_on("b..b..b..b..b", {.soft_memory = std::chrono::days(2)}) == 0);
}

BOOST_AUTO_TEST_CASE(one_bounce_a_day_counts) {
  SoftRun run;
  for (int i = 0; i < 50; ++i) run = after_bounce(kFull, run, 20'000, std::nullopt, {}).run;
  BOOST_TEST(run.bounces == 1);
}
