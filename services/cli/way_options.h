// way_options.h - which way mail goes: proxies, relays, and networks that it may be sent to.
#pragma once

#include <CLI/App.hpp>
#include <string>
#include <vector>

#include "mailsbuddy/engine.h"

namespace mailsbuddy::cli {

struct WayOptions {
  std::vector<std::string> proxies;          // IP=URL
  std::vector<std::string> relays;           // DOMAIN=URL
  std::vector<std::string> relay_tokens;     // DOMAIN=FILE
  std::vector<std::string> allowed_targets;  // Ranges.
};

void add_way_options(CLI::App& app, WayOptions& options);
Result<void> apply(const WayOptions& options,
                   EngineOptions& engine);  // `engine.egress` is there. Errors name the option.

}  // namespace mailsbuddy::cli
