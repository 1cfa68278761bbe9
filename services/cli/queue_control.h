// queue_control.h - what operators ask and say of the queue, campaigns and suppression: the same of a running process,
// over its control socket, and of a spool that no process has open.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "mailsbuddy/engine.h"
#include "services/cli/control.h"
#include "services/cli/engine_options.h"

namespace mailsbuddy::cli {

// "queue list", "campaign pause", "suppress add", ... Ownership: the engine outlives them. Who asks with a "cursor",
// null at first, is answered `within` a time, and asks on with that of each answer until it is null: others have their
// turn then.
ControlCommands queue_commands(Engine& engine, Duration within = std::chrono::seconds(1));

// Who is asked: --control SOCKET or --spool DIR.
struct QueuePlace {
  std::string control;
  SpoolOptions spool;
};
void add_queue_place(CLI::App& app, QueuePlace& place);

class QueueOffice {
 public:
  // Errors: kInvalidArgument: neither or both are given; those of the spool, which another process may have.
  static Result<std::unique_ptr<QueueOffice>> open(const QueuePlace& place);
  Result<ControlJson> ask(std::string_view command, const ControlJson& arguments) const;
  Engine* engine() const noexcept { return engine_.get(); }  // Null: it is another process's.

 private:
  std::string control_;
  std::unique_ptr<Engine> engine_;
  ControlCommands commands_;
};

}  // namespace mailsbuddy::cli
