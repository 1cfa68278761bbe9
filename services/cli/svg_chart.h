// svg_chart.h - a chart of some lines as SVG text, for reports and docs. No dependencies, no scripts, fixed size.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mailsbuddy::cli {

struct Chart {
  struct Line {
    std::string name;
    std::vector<double> values;  // One for each step of x.
  };
  std::string title;
  std::string x_label;
  std::string y_label;
  bool logarithmic = false;  // Of y; where a value is below 1 its line has a gap.
  std::vector<Line> lines;   // At most kChartLinesMax are drawn.
};
inline constexpr std::size_t kChartLinesMax = 12;

std::string svg(const Chart& chart);

}  // namespace mailsbuddy::cli
