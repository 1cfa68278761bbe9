#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "services/cli/engine_options.h"

namespace mailsbuddy::cli {

void add_spool_options(CLI::App& app, SpoolOptions& options) {
  app.add_option("--spool", options.directory,
                 "Keep accepted mail in this directory; the same command goes on with it. Default: in memory")
      ->group("Delivery");
  app.add_option("--durability", options.durability, "What mail in --spool survives: power-loss or process-crash")
      ->check(CLI::IsMember({"power-loss", "process-crash"}))
      ->capture_default_str()
      ->group("Delivery");
}

Result<std::shared_ptr<spool::Spool>> open_spool(const SpoolOptions& options) {
  if (options.directory.empty()) return std::shared_ptr<spool::Spool>();
  auto opened = spool::open_rocks_spool({.directory = options.directory,
                                         .durability = options.durability == "process-crash"
                                                           ? spool::Durability::kProcessCrash
                                                           : spool::Durability::kPowerLoss});
  if (!opened) return about("--spool " + options.directory, opened.error());
  for (const spool::Defect& each : (*opened)->defects()) fmt::print(stderr, "warning: --spool: {}\n", each.what);
  return std::shared_ptr<spool::Spool>(*std::move(opened));
}

}  // namespace mailsbuddy::cli
