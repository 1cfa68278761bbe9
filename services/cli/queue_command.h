// queue_command.h - mailsbuddy queue, campaign and suppress.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace mailsbuddy::cli {

void add_queue_command(CLI::App& app, std::function<int()>& run);
void add_campaign_command(CLI::App& app, std::function<int()>& run);
void add_suppress_command(CLI::App& app, std::function<int()>& run);

}  // namespace mailsbuddy::cli
