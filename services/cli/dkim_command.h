// dkim_command.h - mailsbuddy dkim: keys, their records, signatures.
#pragma once

#include <CLI/App.hpp>
#include <functional>

namespace mailsbuddy::cli {

void add_dkim_command(CLI::App& app, std::function<int()>& run);

}  // namespace mailsbuddy::cli
