// way_options.h - which way mail goes: proxies, relays, and networks that it may be sent to; and who watches.
#pragma once

#include <CLI/App.hpp>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "mailsbuddy/engine.h"

namespace mailsbuddy::cli {

struct WayOptions {
  std::vector<std::string> proxies;          // IP=URL
  std::vector<std::string> relays;           // DOMAIN=URL
  std::vector<std::string> allowed_targets;  // Ranges.
};

void add_way_options(CLI::App& app, WayOptions& options);
Result<void> apply(const WayOptions& options,
                   EngineOptions& engine);  // `engine.egress` is there. Errors name the option.

// Prints what a trace brings to standard error, in colours on a terminal or as a JSON object a line.
// Threads: has one of its own. Ownership: destroying it prints what has come and ends it.
class TracePrinter {
 public:
  TracePrinter(std::unique_ptr<Tracing> tracing, bool json);
  ~TracePrinter();

 private:
  void print();

  std::unique_ptr<Tracing> tracing_;
  const bool json_;
  const bool colours_;
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

}  // namespace mailsbuddy::cli
