#include "services/cli/svg_chart.h"

#define BOOST_TEST_MODULE svg_chart
#include <boost/test/unit_test.hpp>

namespace mailsbuddy::cli {
namespace {

Chart chart_of(std::vector<std::vector<double>> lines) {
  Chart chart{.title = "a <b>", .x_label = "day", .y_label = "messages", .lines = {}};
  for (auto& values : lines) chart.lines.push_back({.name = "line", .values = std::move(values)});
  return chart;
}

std::size_t times(std::string_view text, std::string_view wanted) {
  std::size_t count = 0;
  for (auto at = text.find(wanted); at != std::string_view::npos; at = text.find(wanted, at + 1)) ++count;
  return count;
}

constexpr std::string_view kThin = "stroke-width=\"2\"";
constexpr std::string_view kUnderOne = "stroke-width=\"5\"";
constexpr std::string_view kUnderTwo = "stroke-width=\"8\"";

BOOST_AUTO_TEST_CASE(what_others_would_hide_is_drawn_wider) {
  const std::string drawn = svg(chart_of({{1, 2, 3}, {1, 2, 3}, {1, 2, 3}, {3, 2, 1}}));
  BOOST_TEST(times(drawn, kUnderTwo) == 1U);
  BOOST_TEST(times(drawn, kUnderOne) == 1U);
  BOOST_TEST(times(drawn, kThin) == 2U);
}

BOOST_AUTO_TEST_CASE(what_others_touch_is_not) {
  BOOST_TEST(times(svg(chart_of({{0, 0, 0, 10, 20, 30, 40}, {0, 0, 0, 40, 50, 60, 70}})), kThin) == 2U);
  BOOST_TEST(times(svg(chart_of({{1, 2, 3, 4}, {1, 2}})), kThin) == 2U);
}

BOOST_AUTO_TEST_CASE(one_value_is_a_dot_and_markup_is_escaped) {
  const std::string drawn = svg(chart_of({{5}}));
  BOOST_TEST(times(drawn, "<circle") == 1U);
  BOOST_TEST(times(drawn, "a &lt;b&gt;") == 1U);
}

BOOST_AUTO_TEST_CASE(a_logarithmic_line_has_gaps_below_one) {
  Chart chart = chart_of({{1, 10, 0, 100, 1000, 0, 5}});
  chart.logarithmic = true;
  const std::string drawn = svg(chart);
  BOOST_TEST(times(drawn, "<polyline") == 2U);
  BOOST_TEST(times(drawn, "<circle") == 1U);
}

}  // namespace
}  // namespace mailsbuddy::cli
