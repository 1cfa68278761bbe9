// send_command.h - `mailsbuddy send`: one campaign from a template and a recipients file.
#pragma once

#include <CLI/App.hpp>
#include <functional>

namespace mailsbuddy::cli {

// Exit statuses, the same for every subcommand.
inline constexpr int kDone = 0;          // Every recipient is settled.
inline constexpr int kUnsettled = 1;     // Stopped with recipients unsettled.
inline constexpr int kBadUsage = 2;      // Nothing was sent: an option, a file or the network is not as it must be.

void add_send_command(CLI::App& app, std::function<int()>& run);
void add_resume_command(CLI::App& app, std::function<int()>& run);

}  // namespace mailsbuddy::cli
