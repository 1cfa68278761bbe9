#include "services/cli/svg_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>

namespace mailsbuddy::cli {
namespace {

constexpr double kWidth = 860, kHeight = 420, kLeft = 80, kRight = 230, kTop = 44, kBottom = 50;
constexpr double kPlotWidth = kWidth - kLeft - kRight, kPlotHeight = kHeight - kTop - kBottom;
// Told apart by people who see no red or green too (Okabe and Ito).
constexpr std::string_view kColours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9",
                                         "#000000", "#999999", "#7f3c8d", "#80ba5a", "#a5aa99", "#cf1c90"};
static_assert(std::size(kColours) == kChartLinesMax);

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

std::string short_number(double value) {
  if (value >= 1e9) return fmt::format("{:.3g}G", value / 1e9);
  if (value >= 1e6) return fmt::format("{:.3g}M", value / 1e6);
  if (value >= 1e3) return fmt::format("{:.3g}k", value / 1e3);
  return fmt::format("{:.3g}", value);
}

// 1, 2 or 5 times a power of ten, at least `least`.
double round_step(double least) {
  const double power = std::pow(10, std::floor(std::log10(std::max(least, 1e-9))));
  for (const double step : {1.0, 2.0, 5.0}) {
    if (step * power >= least) return step * power;
  }
  return 10 * power;
}

struct Scale {
  bool logarithmic = false;
  double low = 0;
  double high = 1;

  double at(double value) const {
    if (logarithmic) {
      const double share = (std::log10(std::max(value, low)) - std::log10(low)) / (std::log10(high) - std::log10(low));
      return kTop + kPlotHeight * (1 - share);
    }
    return kTop + kPlotHeight * (1 - value / high);
  }
};

// Heights of a line's points; none where it has a gap.
using Heights = std::vector<std::optional<double>>;

Heights heights_of(const Chart::Line& line, const Scale& scale) {
  Heights heights;
  for (const double value : line.values) {
    heights.push_back(scale.logarithmic && value < scale.low ? std::nullopt : std::optional(scale.at(value)));
  }
  return heights;
}

// `above` hides most of `line`.
bool hides(const Heights& above, const Heights& line) {
  std::size_t pieces = 0;
  std::size_t hidden = 0;
  const auto close = [&](std::size_t at) { return at < above.size() && above[at] && std::abs(*above[at] - *line[at]) < 1; };
  for (std::size_t at = 0; at < line.size(); ++at) {
    if (!line[at] || (line.size() > 1 && (at == 0 || !line[at - 1]))) continue;
    ++pieces;
    hidden += close(at) && (at == 0 || close(at - 1)) ? 1 : 0;
  }
  return hidden * 2 > pieces;
}

// A line for each run of points, a dot for each that stands alone.
std::string drawn(const Heights& heights, const std::function<double(std::size_t)>& x_at, double width, std::string_view colour) {
  std::string out;
  for (std::size_t at = 0; at < heights.size(); ++at) {
    if (!heights[at]) continue;
    std::string points;
    const std::size_t first = at;
    for (; at < heights.size() && heights[at]; ++at)
      points += fmt::format("{}{:.1f},{:.1f}", at == first ? "" : " ", x_at(at), *heights[at]);
    if (at == first + 1) {
      out += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\" fill=\"{}\"/>\n", x_at(first), *heights[first], width + 1, colour);
    } else {
      out += fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{:g}\"/>\n", points, colour, width);
    }
  }
  return out;
}

std::string text(double x, double y, std::string_view anchor, std::string_view words, std::string_view more = "") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>\n", x, y, anchor, more,
                     escaped(words));
}

}  // namespace

std::string svg(const Chart& chart) {
  const std::size_t lines = std::min(chart.lines.size(), kChartLinesMax);
  std::size_t steps = 1;
  double high = 1;
  for (std::size_t i = 0; i < lines; ++i) {
    steps = std::max(steps, chart.lines[i].values.size());
    for (const double value : chart.lines[i].values) high = std::max(high, value);
  }
  Scale scale{.logarithmic = chart.logarithmic, .low = 1, .high = high};
  const double step = round_step(high / 5);
  scale.high =
      chart.logarithmic ? std::max(10.0, std::pow(10, std::ceil(std::log10(high)))) : std::ceil(high / step) * step;
  const auto x_at = [&](std::size_t i) {
    return kLeft + (steps == 1 ? kPlotWidth / 2 : kPlotWidth * static_cast<double>(i) / static_cast<double>(steps - 1));
  };

  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" "
      "font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n<rect width=\"{0}\" height=\"{1}\" "
      "fill=\"#fff\"/>\n",
      kWidth, kHeight);
  out += text(kLeft, 22, "start", chart.title, " font-size=\"15\" font-weight=\"bold\"");
  for (double value = chart.logarithmic ? 1 : 0; value <= scale.high * 1.0001;
       value = chart.logarithmic ? value * 10 : value + step) {
    const double y = scale.at(value);
    out += fmt::format("<line x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"#ddd\"/>\n", kLeft,
                       kLeft + kPlotWidth, y, y);
    out += text(kLeft - 8, y + 4, "end", short_number(value));
  }
  const auto x_step = static_cast<std::size_t>(std::max(1.0, round_step(static_cast<double>(steps) / 12)));
  for (std::size_t i = 0; i < steps; i += x_step)
    out += text(x_at(i), kTop + kPlotHeight + 18, "middle", fmt::format("{}", i + 1));
  out += text(kLeft + kPlotWidth / 2, kHeight - 10, "middle", chart.x_label);
  out += text(16, kTop + kPlotHeight / 2, "middle", chart.y_label,
              fmt::format(" transform=\"rotate(-90 16 {:.1f})\"", kTop + kPlotHeight / 2));
  std::vector<Heights> heights;
  for (std::size_t i = 0; i < lines; ++i) heights.push_back(heights_of(chart.lines[i], scale));
  for (std::size_t i = 0; i < lines; ++i) {
    double width = 2;  // Wider than those that lie on it.
    for (std::size_t above = i + 1; above < lines; ++above) width += hides(heights[above], heights[i]) ? 3 : 0;
    out += drawn(heights[i], x_at, std::min(width, 11.0), kColours[i]);
    const double y = kTop + 8 + 20 * static_cast<double>(i);
    out += fmt::format(
        "<line x1=\"{0:.1f}\" x2=\"{1:.1f}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\" stroke=\"{3}\" stroke-width=\"3\"/>\n",
        kLeft + kPlotWidth + 14, kLeft + kPlotWidth + 34, y, kColours[i]);
    out += text(kLeft + kPlotWidth + 40, y + 4, "start", chart.lines[i].name);
  }
  return out + "</svg>\n";
}

}  // namespace mailsbuddy::cli
