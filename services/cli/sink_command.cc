#include "services/cli/sink_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mailsbuddy/smtp.h"
#include "services/cli/engine_options.h"
#include "services/cli/say.h"
#include "services/cli/send_command.h"
#include "services/cli/signals.h"
#include "services/cli/sink_profiles.h"

namespace mailsbuddy::cli {
namespace {

using std::chrono::steady_clock;

constexpr std::string_view kDefaultListen = "127.0.0.1:2525";
constexpr auto kTick = std::chrono::milliseconds(500);  // Of the live line.

struct SinkArguments {
  std::vector<std::string> listen;
  std::vector<std::string> profiles;
  std::string profiles_file, port_file, tls_certificate_file, tls_key_file, duration;
  bool json = false;
  smtp::SinkOptions options;
};

struct Column {
  std::string_view key;
  std::string_view title;
  std::uint64_t smtp::SinkCounts::*count;
};
constexpr std::array kColumns = {
    Column{"connections", "conns", &smtp::SinkCounts::connections},
    Column{"connections_refused", "refused", &smtp::SinkCounts::connections_refused},
    Column{"accepted", "accepted", &smtp::SinkCounts::accepted},
    Column{"deferred", "deferred", &smtp::SinkCounts::deferred},
    Column{"rejected", "rejected", &smtp::SinkCounts::rejected},
    Column{"data_rejected", "data-rej", &smtp::SinkCounts::data_rejected},
    Column{"tls_handshakes", "tls", &smtp::SinkCounts::tls_handshakes},
    Column{"bytes", "bytes", &smtp::SinkCounts::bytes},
    Column{"protocol_errors", "errors", &smtp::SinkCounts::protocol_errors},
};

smtp::SinkCounts total_of(const std::vector<smtp::SinkCounts>& rows) {
  smtp::SinkCounts total{.profile = "total"};
  for (const auto& row : rows)
    for (const Column& column : kColumns) total.*column.count += row.*column.count;
  return total;
}

// ---------------------------------------------------------------------------------------------------------------------
// From the arguments to the options

Result<void> gather_profiles(const SinkArguments& arguments, std::vector<smtp::SinkProfile>& profiles) {
  if (!arguments.profiles_file.empty()) {
    const auto text = read_file(arguments.profiles_file);
    if (!text) return text.error();
    auto parsed = parse_profiles_json(*text);
    if (!parsed)
      return Error{parsed.error().code, fmt::format("{}: {}", arguments.profiles_file, parsed.error().detail)};
    profiles = std::move(*parsed);
  }
  for (const std::string& text : arguments.profiles) {
    auto profile = parse_profile(text);
    if (!profile) return profile.error();
    profiles.push_back(std::move(*profile));
  }
  const bool named =
      std::any_of(profiles.begin(), profiles.end(), [](const auto& each) { return each.name == "default"; });
  if (!named) profiles.emplace_back();
  return {};
}

Result<smtp::SinkListener> parse_listener(std::string_view text) {
  const std::size_t equals = text.find('=');
  const auto endpoint = net::Endpoint::parse(text.substr(0, equals), 25);
  if (!endpoint)
    return Error{ErrorCode::kInvalidArgument, fmt::format("--listen {}: {}", text, endpoint.error().detail)};
  smtp::SinkListener listener{.endpoint = *endpoint};
  if (equals != std::string_view::npos) listener.profile = text.substr(equals + 1);
  return listener;
}

Result<void> gather(SinkArguments& arguments) {
  smtp::SinkOptions& options = arguments.options;
  if (const auto gathered = gather_profiles(arguments, options.profiles); !gathered) return gathered.error();
  if (arguments.listen.empty()) arguments.listen.emplace_back(kDefaultListen);
  for (const std::string& text : arguments.listen) {
    auto listener = parse_listener(text);
    if (!listener) return listener.error();
    options.listeners.push_back(std::move(*listener));
  }
  for (const auto& [path, into] : {std::pair{&arguments.tls_certificate_file, &options.tls_certificate_pem},
                                   std::pair{&arguments.tls_key_file, &options.tls_key_pem}}) {
    if (path->empty()) continue;
    auto text = read_file(*path);
    if (!text) return text.error();
    *into = std::move(*text);
  }
  return {};
}

Result<void> write_ports(const std::string& path, const smtp::Sink& sink, const smtp::SinkOptions& options) {
  std::string lines;
  const auto endpoints = sink.endpoints();
  for (std::size_t i = 0; i < endpoints.size(); ++i)
    lines += fmt::format("{} {}\n", endpoints[i].str(), options.listeners[i].profile);
  return write_whole(path, lines);
}

// ---------------------------------------------------------------------------------------------------------------------
// Running

double seconds_since(steady_clock::time_point start) {
  return std::chrono::duration<double>(steady_clock::now() - start).count();
}

void wait_for_end(const smtp::Sink& sink, const Signals& signals, std::optional<steady_clock::time_point> end) {
  const bool live = isatty(STDERR_FILENO) == 1;
  auto before = steady_clock::now();
  std::uint64_t accepted_before = 0;
  for (;;) {
    const auto now = steady_clock::now();
    if (end && now >= *end) break;
    if (signals.wait(end ? std::min<std::chrono::nanoseconds>(kTick, *end - now) : kTick)) break;
    if (!live) continue;
    const smtp::SinkCounts total = total_of(sink.counts());
    const double rate = static_cast<double>(total.accepted - accepted_before) / std::max(seconds_since(before), 1e-3);
    say("\r{} accepted ({:.0f}/s), {} deferred, {} rejected, {} connections\x1b[K", total.accepted, rate,
        total.deferred, total.rejected + total.data_rejected, total.connections);
    std::fflush(stderr);
    before = steady_clock::now();
    accepted_before = total.accepted;
  }
  if (live) say("\r\x1b[K");
}

void print_table(std::vector<smtp::SinkCounts> rows) {
  if (rows.size() > 1) rows.push_back(total_of(rows));
  std::size_t width = std::string_view("profile").size();
  for (const auto& row : rows) width = std::max(width, row.profile.size());
  fmt::print("{:<{}}", "profile", width);
  for (const Column& column : kColumns) fmt::print(" {:>12}", column.title);
  for (const auto& row : rows) {
    fmt::print("\n{:<{}}", row.profile, width);
    for (const Column& column : kColumns) fmt::print(" {:>12}", row.*column.count);
  }
  fmt::print("\n");
}

nlohmann::ordered_json json_of(const smtp::SinkCounts& row) {
  nlohmann::ordered_json object;
  object["profile"] = row.profile;
  for (const Column& column : kColumns) object[std::string(column.key)] = row.*column.count;
  return object;
}

void print_json(const std::vector<smtp::SinkCounts>& rows, double seconds) {
  nlohmann::ordered_json object;
  object["seconds"] = seconds;
  object["total"] = json_of(total_of(rows));
  object["total"].erase("profile");
  object["profiles"] = nlohmann::ordered_json::array();
  for (const auto& row : rows) object["profiles"].push_back(json_of(row));
  fmt::print("{}\n", object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

int fail(const Error& error) {
  say("mailsbuddy sink: {}\n", error.detail);
  return kBadUsage;
}

int run_sink(SinkArguments& arguments) {
  std::optional<steady_clock::time_point> end;
  const auto start = steady_clock::now();
  if (!arguments.duration.empty()) {
    const auto duration = parse_duration(arguments.duration);
    if (!duration) return fail({ErrorCode::kInvalidArgument, "--duration: " + duration.error().detail});
    end = start + *duration;
  }
  if (const auto gathered = gather(arguments); !gathered) return fail(gathered.error());

  const Signals signals;  // Before the threads, which inherit the mask.
  auto sink = smtp::Sink::start(arguments.options);
  if (!sink) return fail(sink.error());
  const auto endpoints = (*sink)->endpoints();
  for (std::size_t i = 0; i < endpoints.size(); ++i)
    say("listening on {} ({})\n", endpoints[i].str(), arguments.options.listeners[i].profile);
  if (!arguments.port_file.empty())
    if (const auto written = write_ports(arguments.port_file, **sink, arguments.options); !written)
      return fail(written.error());

  wait_for_end(**sink, signals, end);
  const auto counts = (*sink)->counts();
  if (arguments.json)
    print_json(counts, seconds_since(start));
  else
    print_table(counts);
  return kDone;
}

constexpr std::string_view kExample = R"(
Example: two providers, one of them slow and fond of greylisting. Try it with any SMTP client; Ctrl-C ends it and prints
what was received.
  mailsbuddy sink --listen 127.0.0.1:2525=quick --listen 127.0.0.2:2525=slow \
    --profile quick:starttls,chunking \
    --profile 'slow:latency=20ms,defer=5%,defer-reply="451 4.7.1 Greylisted, come back",connections=4'
Settings of a profile:
)";

}  // namespace

void add_sink_command(CLI::App& app, std::function<int()>& run) {
  auto arguments = std::make_shared<SinkArguments>();
  CLI::App* const command = app.add_subcommand("sink", "Receive mail and throw it away: for tests, demos and benches");
  smtp::SinkOptions& options = arguments->options;
  command
      ->add_option("--listen", arguments->listen,
                   fmt::format("Address to listen on, repeatable; port 0: a free one [{}]", kDefaultListen))
      ->type_name("IP:PORT[=PROFILE]");
  command->add_option("--profile", arguments->profiles, "How a listening address behaves, repeatable; see below")
      ->type_name("NAME:KEY=VALUE,...");
  command->add_option("--profiles", arguments->profiles_file, "Profiles by name, with the same keys, as JSON")
      ->type_name("FILE");
  command->add_option("--maildir", options.maildir, "Keep what is accepted in this maildir")->type_name("DIR");
  command->add_option("--sample", options.maildir_sample, "Share of the recipients whose mail is kept, 0 to 1 [1]")
      ->check(CLI::Range(0.0, 1.0))
      ->type_name("SHARE");
  command->add_option("--threads", options.threads, "Threads [1]")->check(CLI::Range(1, 256))->type_name("N");
  command->add_option("--seed", options.seed, "Of every chance [1]")->type_name("N");
  command->add_option("--tls-cert", arguments->tls_certificate_file, "PEM for STARTTLS [self-signed, made at start]")
      ->type_name("FILE");
  command->add_option("--tls-key", arguments->tls_key_file, "Its key, PEM")->type_name("FILE");
  command->add_option("--port-file", arguments->port_file, "Write each bound address and its profile there, one a line")
      ->type_name("FILE");
  command->add_option("--duration", arguments->duration, "Stop after this time, as 30s [at Ctrl-C]")->type_name("TIME");
  command->add_flag("--json", arguments->json, "End with one JSON object instead of a table");
  command->footer(std::string(kExample) + profile_keys_help());
  command->callback([arguments, &run] { run = [arguments] { return run_sink(*arguments); }; });
}

}  // namespace mailsbuddy::cli
