#include "services/cli/engine_control.h"

#include "services/cli/queue_control.h"
#include "services/cli/warm_control.h"

namespace mailsbuddy::cli {

Result<std::unique_ptr<ControlServer>> serve_engine(const std::string& path, Engine& engine, ReadSettings read_settings,
                                                    TraceSources traces) {
  if (path.empty()) return std::unique_ptr<ControlServer>();
  ControlCommands commands = queue_commands(engine);
  add_warm_commands(commands, engine, std::move(read_settings));
  auto server = ControlServer::start(path, std::move(commands), {{"trace", trace_stream(std::move(traces))}});
  if (!server) return about("--control", server.error());
  return server;
}

}  // namespace mailsbuddy::cli
