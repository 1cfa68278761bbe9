// sink_command.h - `mailsbuddy sink`: a receiver for tests, demos and benches.
#pragma once

#include <CLI/App.hpp>
#include <functional>

namespace mailsbuddy::cli {

// Sets `run` when the subcommand was chosen; it returns the exit status.
void add_sink_command(CLI::App& app, std::function<int()>& run);

}  // namespace mailsbuddy::cli
