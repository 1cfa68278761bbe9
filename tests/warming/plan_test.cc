#include <boost/test/unit_test.hpp>
#include <chrono>
#include <map>

#include "mailsbuddy/warming.h"

namespace mailsbuddy::warming {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kStart{std::chrono::days(20'800) + 9h};
constexpr TimePoint kFirstDay{std::chrono::days(20'800)};

const Settings& none() {
  static const Settings settings;
  return settings;
}

PlanRequest request(std::uint64_t messages, std::string_view curve, int ips) {
  PlanRequest made{.audience = {{{"google"}, messages}}, .ips = {}, .start = kStart, .settings = &none()};
  for (int i = 0; i < ips; ++i) {
    made.ips.push_back({.address = "192.0.2." + std::to_string(i + 1),
                        .curve = curve.empty() ? std::nullopt : std::optional(*Curve::parse(curve))});
  }
  return made;
}

struct Case {
  std::string_view name;
  std::uint64_t messages;
  std::string_view curve;
  int ips;
  std::uint32_t days;
  std::string_view bound;
};
const Case kCases[] = {
    {"within the first day", 100, "200,400", 1, 1, "audience"},
    {"exactly the first day", 200, "200,400", 1, 1, "audience"},
    {"one more", 201, "200,400", 1, 2, "curve 200,400"},
    {"the last value persists", 200 + 400 + 400 + 1, "200,400", 1, 4, "curve 200,400"},
    {"two IPs", 1'200, "200,400", 2, 2, "curve 200,400"},
    {"warm: connections", 10 * 2 * 86'400 + 1, "", 1, 2, "connections"},
    {"nobody to send to", 0, "200", 1, 0, "audience"},
};

BOOST_AUTO_TEST_CASE(days_and_what_binds) {
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      const auto made = plan(request(c.messages, c.curve, c.ips));
      BOOST_REQUIRE(made.has_value());
      BOOST_TEST(made->days == c.days);
      BOOST_TEST(made->providers[0].bound == c.bound);
      std::uint64_t sum = 0;
      for (const Plan::Row& row : made->rows) {
        sum += row.messages;
        BOOST_TEST(row.messages <= row.cap);
      }
      BOOST_TEST(sum == c.messages);
    }
  }
}

BOOST_AUTO_TEST_CASE(finish_is_within_the_last_day) {
  const auto made = plan(request(400, "200,400", 1));
  BOOST_TEST((made->finish == kFirstDay + 24h + 12h));  // Half of the second day's cap.
}

BOOST_AUTO_TEST_CASE(providers_apart_and_the_slowest_last) {
  PlanRequest made = request(1'000, "200", 1);
  made.audience = {{{"google"}, 1'000}, {{"yahoo"}, 200}};
  const auto found = plan(made);
  BOOST_TEST(found->days == 5U);
  BOOST_TEST(found->bound == "google: curve 200");
  std::map<std::string, std::uint64_t> sums;
  for (const Plan::Row& row : found->rows) sums[row.provider] += row.messages;
  BOOST_TEST(sums["google"] == 1'000U);
  BOOST_TEST(sums["yahoo"] == 200U);
}

BOOST_AUTO_TEST_CASE(limits_and_multipliers_of_the_settings) {
  Settings settings;
  BOOST_REQUIRE(settings.add(
      "google control curve_multiplier=0.5\nyahoo ip messages_per_day=50\napple total messages_per_hour=1\n", "t"));
  PlanRequest made = request(0, "200", 2);
  made.settings = &settings;
  made.audience = {{{"google"}, 400}, {{"yahoo"}, 300}, {{"apple"}, 48}};
  const auto found = plan(made);
  BOOST_REQUIRE(found.has_value());
  BOOST_TEST(found->providers[0].days == 2U);
  BOOST_TEST(found->providers[1].days == 3U);
  BOOST_TEST(found->providers[1].bound == "messages_per_day");
  BOOST_TEST(found->providers[2].days == 2U);
  BOOST_TEST(found->providers[2].bound == "total messages_per_hour");
}

BOOST_AUTO_TEST_CASE(goes_on_where_an_ip_stands) {
  PlanRequest made = request(400, "200,400", 1);
  made.ips[0].day = 1;
  BOOST_TEST(plan(made)->days == 1U);
  made.ips[0].cap = 100;  // Held below the curve.
  const auto held = plan(made);
  BOOST_TEST(held->days == 4U);
  BOOST_TEST(held->rows[0].messages == 100U);
}

BOOST_AUTO_TEST_CASE(a_day_that_has_begun_is_what_is_left_of_it) {
  PlanRequest made = request(400, "200,400", 1);
  made.ips[0].used = 150;
  made.from = kStart;
  auto found = plan(made);
  BOOST_TEST(found->rows[0].messages == 50U);
  BOOST_TEST(found->days == 2U);
  made.ips[0].used = 200;  // Used up; tomorrow is the next day of the curve nevertheless.
  found = plan(made);
  BOOST_TEST(found->rows[0].messages == 400U);
  BOOST_TEST(found->days == 2U);
  made.ips[0].used = 0;
  made.from = kFirstDay + 23h;  // An hour carries two 24ths of the day.
  found = plan(made);
  BOOST_TEST(found->rows[0].messages <= 20U);
  BOOST_TEST(found->days == 2U);
}

BOOST_AUTO_TEST_CASE(who_is_stopped_carries_nothing) {
  PlanRequest made = request(600, "200,400", 2);
  BOOST_TEST(plan(made)->days == 2U);
  made.ips[0].from = kNever;
  BOOST_TEST(plan(made)->days == 2U);
  BOOST_TEST(plan(made)->rows.back().ip == made.ips[1].address);
  made.ips[1].from = kFirstDay + 36h;  // Half of the second day.
  BOOST_TEST(plan(made)->rows[0].day == 1U);
  BOOST_TEST(plan(made)->days == 3U);
  made.ips[1].from = kNever;
  BOOST_TEST((plan(made)->finish == kNever));
  BOOST_TEST(plan(made)->bound == "google: paused");
}

BOOST_AUTO_TEST_CASE(the_finish_is_not_before_one_carries_something) {
  PlanRequest made = request(10, "1000", 2);
  made.from = kStart;
  made.ips[0].from = kNever;
  made.ips[1].from = kStart + 6h;
  BOOST_TEST((plan(made)->finish > kStart + 6h));
  BOOST_TEST((plan(made)->finish < kStart + 7h));
  made.ips[1].used = 1'000;  // Today's is used up.
  BOOST_TEST((plan(made)->finish > kFirstDay + 24h));
  made.ips[1].used = 0;
  made.ips[0].from = TimePoint{};
  BOOST_TEST((plan(made)->finish < kStart + 1h));
}

BOOST_AUTO_TEST_CASE(a_pinned_cap_is_what_the_operator_said) {
  Settings settings;
  BOOST_REQUIRE(settings.add("google control curve_multiplier=0.5\n", "t"));
  PlanRequest made = request(10'000, "1000", 1);
  made.settings = &settings;
  made.ips[0].day = 3;
  made.ips[0].cap = 1'000;
  BOOST_TEST(plan(made)->days == 20U);
  made.ips[0].pinned = true;
  BOOST_TEST(plan(made)->days == 10U);
}

// Nine to five, but on the second day.
BOOST_AUTO_TEST_CASE(nothing_goes_while_it_is_not_open) {
  PlanRequest made = request(500, "200 hour=0.1", 1);
  made.open = [](TimePoint from, TimePoint to) {
    Duration open{0};
    for (const auto day : {0, 2, 3, 4}) {
      const TimePoint nine = kFirstDay + std::chrono::days(day) + 9h;
      open += std::max(Duration(0), std::min(to, nine + 8h) - std::max(from, nine));
    }
    return open;
  };
  const auto found = plan(made);
  std::map<std::uint32_t, std::uint64_t> days;
  for (const Plan::Row& row : found->rows) days[row.day] += row.messages;
  BOOST_TEST(days[0] == 160U);  // Eight hours of a tenth.
  BOOST_TEST(days[1] == 0U);
  BOOST_TEST(days[2] == 160U);
  BOOST_TEST(days[4] == 20U);
  BOOST_TEST(found->bound == "google: hourly share");
  const auto until = found->finish - (kFirstDay + std::chrono::days(4));
  BOOST_TEST((until > 9h && until < 10h + 30min));
}

BOOST_AUTO_TEST_CASE(what_never_ends_says_so) {
  PlanRequest made = request(1'000, "1", 1);
  made.days_max = 10;
  const auto found = plan(made);
  BOOST_TEST((found->finish == kNever));
  BOOST_TEST(found->providers[0].left == 990U);
  BOOST_TEST_CONTEXT("a curve of zeros") {
    const auto stuck = plan(request(5, "0", 1));
    BOOST_REQUIRE(stuck.has_value());
    BOOST_TEST((stuck->finish == kNever));
    BOOST_TEST(stuck->rows.empty());
  }
}

BOOST_AUTO_TEST_CASE(refusals) {
  PlanRequest no_audience = request(1, "1", 1);
  no_audience.audience.clear();
  PlanRequest too_many = request(kCurveMessagesMax + 1, "1", 1);
  PlanRequest no_days = request(1, "1", 1);
  no_days.days_max = 0;
  for (const PlanRequest& each : {no_audience, request(1, "1", 0), too_many, no_days}) {
    const auto made = plan(each);
    BOOST_REQUIRE(!made);
    BOOST_TEST((made.error().code == ErrorCode::kInvalidArgument));
  }
}

}  // namespace
}  // namespace mailsbuddy::warming
