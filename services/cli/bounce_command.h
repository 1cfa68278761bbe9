// bounce_command.h - `mailsbuddy bounce`: what replies mean, and whether a rule file says what it should.
#pragma once

#include <CLI/App.hpp>
#include <functional>

namespace mailsbuddy::cli {

void add_bounce_command(CLI::App& app, std::function<int()>& run);

}  // namespace mailsbuddy::cli
