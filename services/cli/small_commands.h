// small_commands.h - the subcommands that are a few lines over the library: address, completion.
#pragma once

#include <CLI/App.hpp>
#include <functional>

namespace mailsbuddy::cli {

void add_address_command(CLI::App& app, std::function<int()>& run);
void add_completion_command(CLI::App& app, std::function<int()>& run);  // Last: it knows those added before.

}  // namespace mailsbuddy::cli
