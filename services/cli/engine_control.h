// engine_control.h - what a process with an engine answers on its --control socket.
#pragma once

#include <memory>
#include <string>

#include "mailsbuddy/engine.h"
#include "services/cli/control.h"
#include "services/cli/engine_options.h"
#include "services/cli/trace_lines.h"

namespace mailsbuddy::cli {

// `read_settings`: settings_reader() of the engine's options. Null if `path` is empty. The server ends before the
// engine.
Result<std::unique_ptr<ControlServer>> serve_engine(const std::string& path, Engine& engine, ReadSettings read_settings,
                                                    TraceSources traces);

}  // namespace mailsbuddy::cli
