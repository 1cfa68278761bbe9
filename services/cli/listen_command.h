// listen_command.h - `mailsbuddy listen`: takes mail over SMTP and sends it on.
#pragma once

#include <CLI/App.hpp>
#include <functional>

namespace mailsbuddy::cli {

void add_listen_command(CLI::App& app, std::function<int()>& run);

}  // namespace mailsbuddy::cli
