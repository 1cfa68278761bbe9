#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "services/cli/say.h"

#include "services/cli/engine_options.h"

namespace mailsbuddy::cli {

void add_spool_options(CLI::App& app, SpoolOptions& options) {
  app.add_option("--spool", options.directory,
                 "Keep accepted mail in this directory, where it survives; see mailsbuddy queue --help")
      ->group("Delivery");
  app.add_option("--durability", options.durability, "What mail in --spool survives: power-loss or process-crash")
      ->check(CLI::IsMember({"power-loss", "process-crash"}))
      ->capture_default_str()
      ->group("Delivery");
  app.add_option("--suppression-key", options.suppression_key_file,
                 "Keep suppressions as HMAC-SHA-256 under what this file holds (16 octets or more, a line end aside)")
      ->type_name("FILE")
      ->group("Delivery");
}

Result<std::unique_ptr<TemporaryDirectory>> TemporaryDirectory::make() {
  std::error_code error;
  std::string pattern = (std::filesystem::temp_directory_path(error) / "mailsbuddy-XXXXXX").string();
  if (error || mkdtemp(pattern.data()) == nullptr)
    return Error{ErrorCode::kIo, fmt::format("no directory for a temporary spool: {}; name one with --spool", std::strerror(errno))};
  auto made = std::make_unique<TemporaryDirectory>();
  made->path_ = pattern;
  return made;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  if (!path_.empty() && !kept_) std::filesystem::remove_all(path_, ignored);
}

Result<std::shared_ptr<spool::Spool>> open_spool(const SpoolOptions& options) {
  if (options.directory.empty()) return std::shared_ptr<spool::Spool>();
  spool::SuppressionKey key;
  if (!options.suppression_key_file.empty()) {
    auto text = read_file(options.suppression_key_file);
    if (!text) return about("--suppression-key", text.error());
    while (text->ends_with('\n') || text->ends_with('\r')) text->pop_back();
    if (text->size() < 16) return Error{ErrorCode::kInvalidArgument, fmt::format("--suppression-key {}: {} octets, at least 16 are needed", options.suppression_key_file, text->size())};
    key = *std::move(text);
  }
  auto opened = spool::open_rocks_spool({.directory = options.directory,
                                         .durability = options.durability == "process-crash"
                                                           ? spool::Durability::kProcessCrash
                                                           : spool::Durability::kPowerLoss,
                                         .suppression_key = std::move(key)});
  if (!opened) return about("--spool " + options.directory, opened.error());
  for (const spool::Defect& each : (*opened)->defects()) say("warning: --spool: {}\n", each.what);
  return std::shared_ptr<spool::Spool>(*std::move(opened));
}

}  // namespace mailsbuddy::cli
