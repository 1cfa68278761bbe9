// trace_command.h - `mailsbuddy trace`: follows what a running process' connections say.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace mailsbuddy::cli {

void add_trace_command(CLI::App& app, std::function<int()>& run);

}  // namespace mailsbuddy::cli
