// warm_control.h - what `mailsbuddy warm` asks and tells a running process.
#pragma once

#include <functional>
#include <string>

#include "mailsbuddy/engine.h"
#include "services/cli/control.h"
#include "services/cli/engine_options.h"

namespace mailsbuddy::cli {

// "warm explain", "warm pin", ... for who serves. `engine` outlives the server.
void add_warm_commands(ControlCommands& commands, Engine& engine, ReadSettings read_settings);

// `warm pin`, `warm pause`, ... of the command line, which ask.
void add_warm_operator_commands(CLI::App& warm, std::function<int()>& run);

// `warm explain --control`: of all IPs and providers that mail is sent to or, where they are not empty, of these.
Result<void> explain_running(const std::string& control, const std::string& provider, const std::string& ip, bool json);

ControlJson json_of(const warming::Explanation& explanation);
ControlJson json_of(TimePoint time);  // Unix seconds; kNever: null.
// "Gmail" is google, "outlook" microsoft: people say the brand, the library the provider. Errors: kInvalidArgument:
// mistyped.
Result<std::string> provider_named(std::string_view name);
std::optional<std::uint64_t> messages_named(std::string_view text);  // "5000", "5k", "1M".

}  // namespace mailsbuddy::cli
