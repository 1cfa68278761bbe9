// dkim_verify_command.h - `mailsbuddy dkim verify` and `mailsbuddy dkim check`.
#pragma once

#include <CLI/App.hpp>
#include <functional>

namespace mailsbuddy::cli {

// Adds them to `dkim`.
void add_dkim_verify(CLI::App& dkim, std::function<int()>& run);
void add_dkim_check(CLI::App& dkim, std::function<int()>& run);

}  // namespace mailsbuddy::cli
