#include <algorithm>
#include <boost/test/unit_test.hpp>

#include "mailsbuddy/warming.h"

namespace mailsbuddy::warming {
namespace {

struct Case {
  std::string_view name;
  std::size_t days;
  std::uint64_t first;
  std::uint64_t last;
};
constexpr Case kCases[] = {
    {.name = "sendgrid", .days = 42, .first = 20, .last = 19'601'056},
    {.name = "sparkpost", .days = 29, .first = 200, .last = 10'000'000},
    {.name = "conservative", .days = 101, .first = 1'000, .last = 1'000'000},
};

BOOST_AUTO_TEST_CASE(presets) {
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      const Curve curve = Curve::preset(c.name).value();
      BOOST_TEST(curve.name == c.name);
      BOOST_TEST(curve.daily.size() == c.days);
      BOOST_TEST(curve.daily.front() == c.first);
      BOOST_TEST(curve.daily.back() == c.last);
      BOOST_TEST(std::ranges::is_sorted(curve.daily));
    }
  }
}

BOOST_AUTO_TEST_CASE(conservative_keeps_its_growth_rule) {
  const auto daily = Curve::preset("conservative").value().daily;
  for (std::size_t i = 0; i + 4 < daily.size(); i += 4) {
    const std::uint64_t level = daily[i];
    BOOST_TEST_CONTEXT("day " << i << ", " << level) {
      for (std::size_t held = 1; held < 4; ++held) BOOST_TEST(daily[i + held] == level);
      const double grown = static_cast<double>(daily[i + 4]) / static_cast<double>(level);
      BOOST_TEST(grown <= (level < 50'000 ? 2.0 : level < 100'000 ? 1.5 : level < 250'000 ? 1.2 : 1.1));
      BOOST_TEST(grown > 1.0);
    }
  }
}

BOOST_AUTO_TEST_CASE(an_unknown_name_is_told_the_known_ones) {
  const auto curve = Curve::preset("mailgun");
  BOOST_REQUIRE(!curve);
  BOOST_TEST((curve.error().code == ErrorCode::kNotFound));
  BOOST_TEST(curve.error().detail == "no warm-up curve \"mailgun\": there are sendgrid, sparkpost, conservative");
  BOOST_TEST(!Curve::preset(""));
  BOOST_TEST(!Curve::preset("SendGrid"));
}

}  // namespace
}  // namespace mailsbuddy::warming
