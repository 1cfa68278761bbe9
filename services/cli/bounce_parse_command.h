// bounce_parse_command.h - mailsbuddy bounce parse: what messages that came back say.
#pragma once

#include <CLI/App.hpp>
#include <functional>

namespace mailsbuddy::cli {

// Adds `parse` to the subcommand `bounce`.
void add_bounce_parse_command(CLI::App& bounce, std::function<int()>& run);

}  // namespace mailsbuddy::cli
