// engine_options.h - what the subcommands that open an engine read alike from their options.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mailsbuddy/engine.h"

namespace CLI {
class App;
}

namespace mailsbuddy::cli {

struct TlsArguments;

Result<std::string> read_file(const std::string& path);
Result<void> write_whole(const std::string& path, std::string_view text);  // Or not at all: a script can wait for it.
Error about(std::string_view what, const Error& error);                    // "what" in front of the error's detail.

// --dkim DOMAIN:SELECTOR:KEYFILE, --egress IP=EHLO_NAME[,POOL], --dns IP[:PORT]. Errors name the option.
Result<std::shared_ptr<const dkim::KeyRing>> load_keys(const std::vector<std::string>& given,
                                                       dkim::KeyOptions options = {});  // Null: none given.
// Signs a trial message from `domain` and verifies it as a receiver would, with the keys in the DNS. Warns on standard
// error of each signature that would not pass: before the campaign, not after it.
void check_signatures(const dkim::KeyRing& keys, std::string_view domain, const std::vector<std::string>& dns);
Result<std::vector<EgressIp>> parse_egress(const std::vector<std::string>& given);

// --spool DIR, --durability WORD: where accepted mail is kept.
struct SpoolOptions {
  std::string directory;  // Empty: in memory.
  std::string durability = "power-loss";  // Or "process-crash".
  std::string suppression_key_file;       // Empty: suppressions are kept as they are.
};
void add_spool_options(CLI::App& app, SpoolOptions& options);
// A directory in that of temporary files, which goes with this unless it is to be kept. Errors: kIo.
class TemporaryDirectory {
 public:
  static Result<std::unique_ptr<TemporaryDirectory>> make();
  ~TemporaryDirectory();
  const std::string& path() const noexcept { return path_; }
  void keep() noexcept { kept_ = true; }

 private:
  std::string path_;
  bool kept_ = false;
};
// Null: in memory. Warns on standard error of what cannot be read in it.
Result<std::shared_ptr<spool::Spool>> open_spool(const SpoolOptions& options);

// --warm IP=CURVE, --limits FILE and the like: what an engine is told of pace.
struct PaceOptions {
  std::vector<std::string> warm;  // IP=CURVE
  std::string limits_file;
  std::string overflow = "warm";  // Or "wait", "send_anyway", "fail", "pool:NAME".
  std::int64_t hold_seconds = 0;
  std::string engaged_field;
  std::string zone = "UTC";
  bool fixed = false;
  std::string report_file;
};
// `rows`: what is sent has fields, of which --engaged names one.
void add_pace_options(CLI::App& app, PaceOptions& options, bool rows);
// Into `engine`, whose egress IPs are there. `said`: settings of every one of them, before which the file's stand back.
Result<void> apply_pace(const PaceOptions& options, const std::string& said, EngineOptions& engine);
// Makes the settings of `text` of `file`, an empty one too, in place of those of --limits.
using ReadSettings =
    std::function<Result<std::shared_ptr<const warming::Settings>>(std::string_view text, std::string_view file)>;
ReadSettings settings_reader(const std::string& said, const std::vector<EgressIp>& egress);

// --pace-report FILE: how each IP stands at each provider, as `mailsbuddy warm explain` puts it; can be read at any moment.
class PaceReport {
 public:
  explicit PaceReport(std::string file) : file_(std::move(file)) {}
  void refresh(const Engine& engine, bool at_once = false);  // Every five seconds. Warns on standard error.
  bool wanted() const noexcept { return !file_.empty(); }

 private:
  std::string file_;
  std::chrono::steady_clock::time_point next_{};
};

Result<std::shared_ptr<net::Runtime>> make_runtime(const std::vector<std::string>& dns, int workers, int cpu_threads,
                                                   const TlsArguments& tls);

}  // namespace mailsbuddy::cli
