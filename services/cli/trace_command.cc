#include "services/cli/trace_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

#include "services/cli/control.h"
#include "services/cli/say.h"
#include "services/cli/send_command.h"
#include "services/cli/trace_lines.h"

namespace mailsbuddy::cli {
namespace {

struct TraceArguments {
  std::string control, filter = "all", bodies = "headers";
  bool json = false;
};

int trace(const TraceArguments& arguments) {
  const bool colours = !arguments.json && isatty(STDOUT_FILENO) == 1;
  const auto followed =
      follow_control(arguments.control, "trace", {{"filter", arguments.filter}, {"bodies", arguments.bodies}},
                     [&](const ControlJson& line) -> Result<void> {
                       const std::string text = (arguments.json ? line.dump() : line_of(line, colours)) + '\n';
                       if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0)
                         return {};
                       return Error{ErrorCode::kIo, fmt::format("standard output: {}", std::strerror(errno))};
                     });
  if (followed) return kDone;  // The process has ended.
  say("mailsbuddy trace: {}\n", followed.error().detail);
  return followed.error().code == ErrorCode::kInvalidArgument ? kBadUsage : kUnsettled;
}

constexpr const char* kFooter = R"(
Of a running `mailsbuddy send` or `listen` with --control SOCKET, from now on until Ctrl-C or its end. FILTER is all, or names with
commas, which must all fit: of mail that goes out domain= (a recipient's), job= (a campaign's or a message's id), egress=,
provider=, mx=; of mail that comes in client= (an address or a range), user=, sender= (a domain). Passwords are masked, of a message the header
is shown. docs/trace.md has the rest.

Example:
  mailsbuddy listen ... --control /run/mb.sock
  mailsbuddy trace --control /run/mb.sock user=app
  mailsbuddy trace --control /run/mb.sock domain=example.net --bodies full --json

Exit status: 0 when the process has ended, 1 when it cannot be followed or printed, 2 when FILTER is none.)";

}  // namespace

void add_trace_command(CLI::App& app, std::function<int()>& run) {
  auto arguments = std::make_shared<TraceArguments>();
  CLI::App* const command = app.add_subcommand("trace", "Follow what a running process' connections say");
  command->footer(kFooter);
  command->add_option("FILTER", arguments->filter, "What to follow")->capture_default_str();
  command->add_option("--control", arguments->control, "The process' --control socket")->type_name("SOCKET")->required();
  command->add_option("--bodies", arguments->bodies, "Of a message: none, headers, or full (64 KB of it)")
      ->check(CLI::IsMember({"none", "headers", "full"}))
      ->capture_default_str();
  command->add_flag("--json", arguments->json, "A JSON object a line");
  command->callback([arguments, &run] { run = [arguments] { return trace(*arguments); }; });
}

}  // namespace mailsbuddy::cli
