#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <iterator>
#include <vector>

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
    {.name = "sendgrid", .days = 42, .first = 480, .last = 470'425'344},
    {.name = "sparkpost", .days = 29, .first = 200, .last = 10'000'000},
    {.name = "ses", .days = 45, .first = 50, .last = 50'000},
    {.name = "growth", .days = 76, .first = 1'000, .last = 1'000'000},
    {.name = "conservative", .days = 101, .first = 1'000, .last = 1'000'000},
    {.name = "adaptive", .days = 23, .first = 500, .last = 10'000'000},
    {.name = "aggressive", .days = 28, .first = 1'000, .last = 1'000'000},
};
static_assert(std::size(kCases) == 7);

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

BOOST_AUTO_TEST_CASE(the_list_of_presets_is_complete) {
  BOOST_TEST(curve_presets().size() == std::size(kCases));
  for (const CurvePreset& preset : curve_presets()) {
    BOOST_TEST_CONTEXT(preset.name) {
      BOOST_TEST(Curve::preset(preset.name).has_value());
      BOOST_TEST(!preset.about.empty());
      BOOST_TEST(!preset.source.empty());
    }
  }
}

BOOST_AUTO_TEST_CASE(sendgrid_keeps_its_hours) {
  const Curve curve = Curve::preset("sendgrid").value();
  Budget budget(curve);
  const TimePoint noon{std::chrono::days(20'800) + std::chrono::hours(12)};
  BOOST_TEST(budget.left(noon) == 20U);
  budget.take(noon, 20);
  BOOST_TEST(budget.left(noon) == 0U);
  BOOST_TEST((budget.next(noon) == noon + std::chrono::hours(1)));
  BOOST_TEST(budget.left(noon + std::chrono::hours(1)) == 20U);
}

struct TextCase {
  std::string_view name;
  std::string_view text;
  std::vector<std::uint64_t> first;  // Empty: refused, with
  std::string_view error{};          // this in it.
};

BOOST_AUTO_TEST_CASE(texts) {
  const TextCase cases[] = {
      {.name = "a preset", .text = "sparkpost", .first = {200, 500, 1'000}},
      {.name = "a preset, multiplied", .text = "sparkpost x0.5", .first = {100, 250, 500}},
      {.name = "spaces around", .text = "  sparkpost   x2 ", .first = {400, 1'000}},
      {.name = "a list", .text = "200,500,1k,1.5k,2M", .first = {200, 500, 1'000, 1'500, 2'000'000}},
      {.name = "a list of one", .text = "7", .first = {7}},
      {.name = "a zero", .text = "0,5", .first = {0, 5}},
      {.name = "a formula", .text = "start=50 growth=2 ceiling=300", .first = {50, 100, 200, 300}},
      {.name = "in any order", .text = "ceiling=300 start=50 growth=2", .first = {50, 100, 200, 300}},
      {.name = "a formula that holds", .text = "start=50 growth=2 ceiling=100 hold=2", .first = {50, 50, 100}},
      {.name = "a small factor leaves one", .text = "5,50 x0.01", .first = {1, 1}},
      {.name = "nothing", .text = "", .first = {}, .error = "empty"},
      {.name = "only spaces", .text = "  ", .first = {}, .error = "empty"},
      {.name = "an unknown name", .text = "mailgun", .first = {}, .error = "conservative"},
      {.name = "a comma too many", .text = "200,,500", .first = {}, .error = "no number"},
      {.name = "ends in a comma", .text = "200,", .first = {}, .error = "no number"},
      {.name = "negative", .text = "200,-5", .first = {}, .error = "no number"},
      {.name = "not finite", .text = "200,inf", .first = {}, .error = "no number"},
      {.name = "too large", .text = "9999999999999", .first = {}, .error = "no number"},
      {.name = "no growth", .text = "start=50 ceiling=100", .first = {}, .error = "growth"},
      {.name = "shrinks", .text = "start=50 growth=0.5 ceiling=100", .first = {}, .error = "growth"},
      {.name = "never ends", .text = "start=1 growth=1.0000001 ceiling=1M", .first = {}, .error = "days"},
      {.name = "ceiling below its start", .text = "start=50 growth=2 ceiling=10", .first = {}, .error = "ceiling"},
      {.name = "formula and preset", .text = "sparkpost start=50", .first = {}, .error = "formula"},
      {.name = "unknown key", .text = "start=50 growth=2 ceiling=100 speed=3", .first = {}, .error = "speed"},
      {.name = "no value", .text = "start= growth=2 ceiling=100", .first = {}, .error = "start="},
      {.name = "hour of more than a day", .text = "sparkpost hour=2", .first = {}, .error = "hour="},
      {.name = "multiplied by nothing", .text = "sparkpost x0", .first = {}, .error = "x"},
      {.name = "multiplied by words", .text = "sparkpost xyz", .first = {}, .error = "xyz"},
  };
  for (const TextCase& c : cases) {
    BOOST_TEST_CONTEXT(c.name) {
      const auto curve = Curve::parse(c.text);
      BOOST_TEST(curve.has_value() == !c.first.empty());
      if (curve) {
        BOOST_REQUIRE(curve->daily.size() >= c.first.size());
        for (std::size_t i = 0; i < c.first.size(); ++i) BOOST_TEST(curve->daily[i] == c.first[i]);
      } else {
        BOOST_TEST(curve.error().detail.find(c.error) != std::string::npos, curve.error().detail);
      }
    }
  }
  BOOST_TEST(Curve::parse("sparkpost hour=0.1")->hour_share == 0.1);
  std::string days = "1";
  for (std::size_t i = 1; i < kCurveDaysMax; ++i) days += ",1";
  BOOST_TEST(Curve::parse(days).has_value());
  BOOST_TEST(!Curve::parse(days + ",1").has_value());
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
  BOOST_TEST(
      curve.error().detail ==
      "no warm-up curve \"mailgun\": there are sendgrid, sparkpost, ses, growth, conservative, adaptive, aggressive");
  BOOST_TEST(!Curve::preset(""));
  BOOST_TEST(!Curve::preset("SendGrid"));
}

}  // namespace
}  // namespace mailsbuddy::warming
