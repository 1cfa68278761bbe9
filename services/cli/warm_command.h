// warm_command.h - `mailsbuddy warm`: plans of warm-ups, what holds for an IP at a provider, the curves there are.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace mailsbuddy::cli {

void add_warm_command(CLI::App& app, std::function<int()>& run);

}  // namespace mailsbuddy::cli
