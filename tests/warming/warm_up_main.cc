// warm_up - simulated warm-ups of the warming room under modelled providers, all strategies over some seeds.
//   warm_up [--seeds N] [--first-seed N] [--curve CURVE] [--svg FOLDER]   the table and the charts of docs/warming.md
//   warm_up --decisions SEED                             every decision of one run, one a line
#include <fmt/format.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "services/cli/svg_chart.h"
#include "tests/sim/receivers.h"
#include "tests/warming/warm_up.h"

namespace mailsbuddy::sim {
namespace {

struct Options {
  std::uint64_t seeds = 20;
  std::uint64_t first_seed = 1;
  std::string curve = WarmUpOptions{}.curve;
  std::string svg;
  std::uint64_t decisions = 0;
};

struct Row {
  std::vector<double> delivered;  // By day, the mean over the seeds.
  std::vector<double> deferrals;
  double lost = 0;
  double stranded = 0;
  double longest_block_hours = 0;
  std::vector<double> by_30;  // By seed.
};

void add(Row& row, const WarmUpResult& result, double share) {
  row.delivered.resize(result.delivered.size());
  row.deferrals.resize(result.deferrals.size());
  for (std::size_t day = 0; day < result.delivered.size(); ++day) {
    row.delivered[day] += result.delivered[day] * share;
    row.deferrals[day] += result.deferrals[day] * share;
  }
  row.lost += static_cast<double>(result.lost) * share;
  row.stranded += static_cast<double>(result.stranded) * share;
  row.longest_block_hours = std::max(row.longest_block_hours, result.longest_block_hours);
  row.by_30.push_back(result.delivered_by(30));
}

void write(const std::string& folder, const std::string& name, const cli::Chart& chart) {
  std::ofstream(folder + "/" + name) << cli::svg(chart);
}

void write_charts(const Options& options, const std::map<Strategy, Row>& rows) {
  cli::Chart delivered{"Delivered, mean of the seeds (models)", "day", "messages, cumulative", false, {}};
  cli::Chart deferrals{"Deferrals, mean of the seeds (models)", "day", "replies 4yz, cumulative", true, {}};
  for (const auto& [strategy, row] : rows) {
    delivered.lines.push_back({std::string(to_string(strategy)), row.delivered});
    deferrals.lines.push_back({std::string(to_string(strategy)), row.deferrals});
  }
  write(options.svg, "warming-delivered.svg", delivered);
  write(options.svg, "warming-deferrals.svg", deferrals);
  const WarmUpResult one = warm_up({.seed = 1, .curve = options.curve});
  cli::Chart caps{"The controller's daily cap of one IP, seed 1 (models)", "day", "messages a day", true, {}};
  for (std::size_t i = 0; i < one.cap.size(); ++i)
    caps.lines.push_back({std::string(receiver_presets()[i].name), one.cap[i]});
  write(options.svg, "warming-caps.svg", caps);
}

int compare(const Options& options) {
  std::map<Strategy, Row> rows;
  for (std::uint64_t seed = options.first_seed; seed < options.first_seed + options.seeds; ++seed) {
    for (const Strategy strategy : kStrategies) {
      add(rows[strategy], warm_up({.strategy = strategy, .seed = seed, .curve = options.curve}),
          1.0 / static_cast<double>(options.seeds));
    }
  }
  fmt::print(
      "| strategy | delivered by day 10 | by 20 | by 30 | by 60 | deferrals by 30 | lost | stranded | longest block | "
      "seeds with less by day 30 than the controller |\n"
      "|---|---|---|---|---|---|---|---|---|---|\n");
  const auto& ours = rows[Strategy::kController].by_30;
  for (const auto& [strategy, row] : rows) {
    std::size_t less = 0;
    for (std::size_t i = 0; i < ours.size(); ++i) less += row.by_30[i] < ours[i] ? 1 : 0;
    fmt::print("| {} | {:.2f} M | {:.2f} M | {:.2f} M | {:.2f} M | {:.2f} M | {:.2f} M | {:.2f} M | {:.0f} h | {} |\n",
               to_string(strategy), row.delivered[9] / 1e6, row.delivered[19] / 1e6, row.delivered[29] / 1e6,
               row.delivered.back() / 1e6, row.deferrals[29] / 1e6, row.lost / 1e6, row.stranded / 1e6,
               row.longest_block_hours,
               strategy == Strategy::kController ? "-" : fmt::format("{} of {}", less, ours.size()));
  }
  if (!options.svg.empty()) write_charts(options, rows);
  return 0;
}

int run(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string word = argv[i];
    if (word == "--seeds")
      options.seeds = std::strtoull(argv[i + 1], nullptr, 10);
    else if (word == "--first-seed")
      options.first_seed = std::strtoull(argv[i + 1], nullptr, 10);
    else if (word == "--curve")
      options.curve = argv[i + 1];
    else if (word == "--svg")
      options.svg = argv[i + 1];
    else if (word == "--decisions")
      options.decisions = std::strtoull(argv[i + 1], nullptr, 10);
    else
      return fmt::print(stderr, "warm_up: {} is not understood\n", word), 2;
  }
  if (options.decisions == 0) return compare(options);
  for (const std::string& line :
       warm_up({.seed = options.decisions, .curve = options.curve, .record_decisions = true}).decisions) {
    fmt::print("{}\n", line);
  }
  return 0;
}

}  // namespace
}  // namespace mailsbuddy::sim

int main(int argc, char** argv) { return mailsbuddy::sim::run(argc, argv); }
