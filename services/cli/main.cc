// mailsbuddy - the command-line tool: thin, over the public headers.
#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "mailsbuddy/base.h"
#include "services/cli/bounce_command.h"
#include "services/cli/dkim_command.h"
#include "services/cli/listen_command.h"
#include "services/cli/queue_command.h"
#include "services/cli/send_command.h"
#include "services/cli/sink_command.h"
#include "services/cli/small_commands.h"
#include "services/cli/tls_command.h"
#include "services/cli/trace_command.h"
#include "services/cli/warm_command.h"

int main(int argc, char** argv) {
  CLI::App app("mailsbuddy - send mail campaigns at the pace each mailbox provider accepts");
  app.set_version_flag("--version", "mailsbuddy " + std::string(mailsbuddy::version()));
  app.require_subcommand(0, 1);  // None is judged below: CLI11 would say "required" of a misspelt one too.
  app.footer("Each subcommand has its own --help with an example.");
  std::function<int()> run;
  mailsbuddy::cli::add_send_command(app, run);
  mailsbuddy::cli::add_resume_command(app, run);
  mailsbuddy::cli::add_listen_command(app, run);
  mailsbuddy::cli::add_queue_command(app, run);
  mailsbuddy::cli::add_campaign_command(app, run);
  mailsbuddy::cli::add_suppress_command(app, run);
  mailsbuddy::cli::add_trace_command(app, run);
  mailsbuddy::cli::add_sink_command(app, run);
  mailsbuddy::cli::add_warm_command(app, run);
  mailsbuddy::cli::add_dkim_command(app, run);
  mailsbuddy::cli::add_tls_command(app, run);
  mailsbuddy::cli::add_address_command(app, run);
  mailsbuddy::cli::add_bounce_command(app, run);
  mailsbuddy::cli::add_completion_command(app, run);
  try {
    app.parse(argc, argv);
    if (!run) throw CLI::RequiredError::Subcommand(1);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? mailsbuddy::cli::kDone : mailsbuddy::cli::kBadUsage;
  }
  return run();
}
