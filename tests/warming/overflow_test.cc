#include <boost/test/unit_test.hpp>
#include <chrono>

#include "mailsbuddy/warming.h"

namespace mailsbuddy::warming {
namespace {

using namespace std::chrono_literals;

struct Case {
  std::string_view name;
  OverflowPolicy policy{};
  OverflowFacts facts{};
  Way way;
};

const Case kCases[] = {
    {.name = "a cold IP takes its allowance",
     .facts = {.cold_permit = true, .warm_permit = true, .has_warm = true},
     .way = Way::kCold},
    {.name = "the rest goes warm", .facts = {.warm_permit = true, .has_warm = true}, .way = Way::kWarm},
    {.name = "no warm one can: wait", .facts = {.has_warm = true}, .way = Way::kWait},
    {.name = "no warm one exists: wait", .way = Way::kWait},
    {.name = "what a cold IP has tried goes warm",
     .facts = {.cold_permit = true, .warm_permit = true, .has_warm = true, .retry = true},
     .way = Way::kWarm},
    {.name = "unless only a cold one can", .facts = {.cold_permit = true, .retry = true}, .way = Way::kCold},
    {.name = "waited too long: anyway", .facts = {.waited = 24h}, .way = Way::kColdAnyway},
    {.name = "not quite too long", .facts = {.waited = 24h - 1ns}, .way = Way::kWait},
    {.name = "waited too long, then fail",
     .policy = {.then = Overflow::kFail},
     .facts = {.waited = 25h},
     .way = Way::kFail},
    {.name = "waited too long, still waits",
     .policy = {.then = Overflow::kWait},
     .facts = {.waited = 2'400h},
     .way = Way::kWait},
    {.name = "no longest hold", .policy = {.hold_max = 0h}, .facts = {.waited = 2'400h}, .way = Way::kWait},
    {.name = "a named pool",
     .policy = {.when = Overflow::kNamedPool, .pool = "warm"},
     .facts = {.warm_permit = true, .pool_permit = true},
     .way = Way::kNamedPool},
    {.name = "a named pool that can not",
     .policy = {.when = Overflow::kNamedPool, .pool = "warm"},
     .facts = {.warm_permit = true},
     .way = Way::kWait},
    {.name = "waits for a permit",
     .policy = {.when = Overflow::kWait},
     .facts = {.warm_permit = true, .has_warm = true},
     .way = Way::kWait},
    {.name = "send anyway goes warm first",
     .policy = {.when = Overflow::kSendAnyway},
     .facts = {.warm_permit = true, .has_warm = true},
     .way = Way::kWarm},
    {.name = "send anyway", .policy = {.when = Overflow::kSendAnyway}, .way = Way::kColdAnyway},
    {.name = "fail", .policy = {.when = Overflow::kFail}, .facts = {.warm_permit = true}, .way = Way::kFail},
};

BOOST_AUTO_TEST_CASE(which_way_a_recipient_goes) {
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) { BOOST_TEST(to_string(choose(c.policy, c.facts)) == to_string(c.way)); }
  }
}

// With any policy whose last word is not to wait, nothing waits for ever.
BOOST_AUTO_TEST_CASE(nothing_is_stranded) {
  for (const Overflow when :
       {Overflow::kWarmIps, Overflow::kNamedPool, Overflow::kWait, Overflow::kSendAnyway, Overflow::kFail}) {
    for (const Overflow then : {Overflow::kSendAnyway, Overflow::kFail}) {
      for (int facts = 0; facts < 32; ++facts) {
        const OverflowFacts all{.cold_permit = (facts & 1) != 0,
                                .warm_permit = (facts & 2) != 0,
                                .has_warm = (facts & 4) != 0,
                                .pool_permit = (facts & 8) != 0,
                                .retry = (facts & 16) != 0,
                                .waited = 24h};
        BOOST_TEST((choose({.when = when, .then = then}, all) != Way::kWait));
      }
    }
  }
}

struct Engaged {
  std::string_view name;
  std::uint64_t day;
  std::string_view value;
  bool admitted;
};
constexpr Engaged kEngaged[] = {
    {"first day, yesterday's reader", 0, "1", true},
    {"first day, at the limit", 0, "30", true},
    {"first day, beyond it", 0, "31", false},
    {"day 13", 13, "31", false},
    {"day 14", 14, "31", true},
    {"day 14, beyond", 14, "61", false},
    {"week 5", 28, "90", true},
    {"week 6, beyond", 41, "91", false},
    {"after week 6 anybody", 42, "5000", true},
    {"after week 6 who never did", 42, "", true},
    {"never", 0, "", false},
    {"no number", 0, "yes", false},
    {"negative", 0, "-1", false},
    {"a fraction", 0, "1.5", false},
    {"too long to be days", 0, "99999999999999999999", false},
};

BOOST_AUTO_TEST_CASE(only_engaged_recipients) {
  const EngagedOnly filter;
  for (const Engaged& c : kEngaged) {
    BOOST_TEST_CONTEXT(c.name) { BOOST_TEST(filter.admits(c.day, c.value) == c.admitted); }
  }
  BOOST_TEST(EngagedOnly{.phases = {}}.admits(0, ""));
}

}  // namespace
}  // namespace mailsbuddy::warming
