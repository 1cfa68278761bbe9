#include "services/cli/listen_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <utility>

#include "mailsbuddy/engine.h"
#include "services/cli/engine_control.h"
#include "services/cli/engine_options.h"
#include "services/cli/event_log.h"
#include "services/cli/inbound_maildir.h"
#include "services/cli/say.h"
#include "services/cli/send_command.h"
#include "services/cli/signals.h"
#include "services/cli/sink_profiles.h"
#include "services/cli/tls_options.h"
#include "services/cli/trace_lines.h"
#include "services/cli/users_file.h"
#include "services/cli/way_options.h"
#include "services/cli/zone.h"

namespace mailsbuddy::cli {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kDefaultListen = "127.0.0.1:2587";

struct ListenArguments {
  SpoolOptions spool;
  WayOptions ways;
  std::vector<std::string> listen, dkim, egress, dns;
  bool allow_short_rsa = false;
  std::string users_file, certificate_file, key_file, inbound_maildir, events_file, port_file, duration;
  std::string bare_line_ends = "refuse";
  TlsArguments tls;
  PaceOptions pace;
  std::string control, trace;
  std::uint16_t port = 25;
  std::int64_t first_retry_seconds = 600;
  std::int64_t max_age_seconds = 5 * 86'400;
  std::int64_t grace_seconds = 10;
  std::uint64_t queue_max = 1'000'000;
  int workers = 0;
  bool no_auth = false;
  bool json = false;
  bool verbose = false;
  smtp::ListenOptions options;
};

class StandardError final : public LogSink {
 public:
  void write(LogLevel, std::string_view room, std::string_view line) noexcept override { say("{}: {}\n", room, line); }
};

// IP:PORT[=WORD,...] with the words starttls, tls, plain, inbound, proxy.
Result<smtp::ListenEndpoint> parse_endpoint(const std::string& text) {
  const std::size_t equals = text.find('=');
  const auto endpoint = net::Endpoint::parse(text.substr(0, equals), 587);
  if (!endpoint) return about("--listen " + text, endpoint.error());
  smtp::ListenEndpoint parsed{.endpoint = *endpoint};
  std::string_view words = equals == std::string::npos ? std::string_view() : std::string_view(text).substr(equals + 1);
  while (!words.empty()) {
    const std::string_view word = words.substr(0, words.find(','));
    words.remove_prefix(std::min(word.size() + 1, words.size()));
    if (word == "starttls")
      parsed.tls = smtp::ListenTls::kStartTls;
    else if (word == "tls")
      parsed.tls = smtp::ListenTls::kImplicit;
    else if (word == "plain")
      parsed.tls = smtp::ListenTls::kNone;
    else if (word == "inbound")
      parsed.inbound = true;
    else if (word == "proxy")
      parsed.proxy = true;
    else
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("--listen {}: \"{}\" is none of starttls, tls, plain, inbound, proxy", text, word)};
  }
  return parsed;
}

Result<void> gather(ListenArguments& arguments) {
  smtp::ListenOptions& options = arguments.options;
  if (arguments.listen.empty()) arguments.listen.emplace_back(kDefaultListen);
  for (const std::string& text : arguments.listen) {
    auto endpoint = parse_endpoint(text);
    if (!endpoint) return endpoint.error();
    options.endpoints.push_back(*endpoint);
  }
  for (const auto& [path, into] : {std::pair{&arguments.certificate_file, &options.tls_certificate_pem},
                                   std::pair{&arguments.key_file, &options.tls_key_pem}}) {
    if (path->empty()) continue;
    auto text = read_file(*path);
    if (!text) return text.error();
    *into = *std::move(text);
  }
  options.auth_required = !arguments.no_auth;
  options.bare_line_ends =
      arguments.bare_line_ends == "normalise" ? smtp::BareLineEnds::kNormalise : smtp::BareLineEnds::kRefuse;
  if (arguments.verbose) options.log = std::make_shared<StandardError>();
  return {};
}

nlohmann::ordered_json json_of(const smtp::ListenCounts& counts) {
  return {{"connections", counts.connections},
          {"connections_refused", counts.connections_refused},
          {"messages", counts.messages},
          {"messages_refused", counts.messages_refused},
          {"bytes", counts.bytes},
          {"authenticated", counts.authenticated},
          {"auth_failures", counts.auth_failures},
          {"tls_handshakes", counts.tls_handshakes},
          {"timeouts", counts.timeouts},
          {"protocol_errors", counts.protocol_errors}};
}

class Listen {
 public:
  explicit Listen(ListenArguments& arguments) : arguments_(arguments) {}

  ~Listen() { end_listener(); }
  Listen(const Listen&) = delete;
  Listen& operator=(const Listen&) = delete;

  int run() {
    block_sigpipe();  // Both before the threads, which inherit the mask.
    const Signals signals;
    if (auto started = start(); !started) {
      say("mailsbuddy listen: {}\n", started.error().detail);
      return kBadUsage;
    }
    while (!signals.wait(pace_report_.wanted() ? std::min<std::chrono::nanoseconds>(rest_of_time(), 1s) : rest_of_time())) {
      if (rest_of_time() <= 0ns) break;
      pace_report_.refresh(*engine_);
    }
    end_connections(signals);
    const auto counts = listener_->counts();
    end_listener();  // What was answered 250 is with the engine; what was not, its client sends again.
    return report(counts, signals);
  }

 private:
  void end_listener() {  // Before the control's server, which asks it for traces.
    door_->open(nullptr);
    listener_.reset();
  }

  Result<void> start() {
    if (auto gathered = gather(arguments_); !gathered) return gathered;
    const auto traced = TraceWish::parse(arguments_.trace, true);
    if (!traced) return about("--trace", traced.error());
    if (!arguments_.duration.empty()) {
      const auto duration = parse_duration(arguments_.duration);
      if (!duration) return about("--duration", duration.error());
      end_ = std::chrono::steady_clock::now() + *duration;
    }
    if (auto opened = open_engine(); !opened) return opened;
    auto handler = make_handler();
    if (!handler) return handler.error();
    auto listener = smtp::Listener::start(arguments_.options, *std::move(handler));
    if (!listener) return listener.error();
    listener_ = *std::move(listener);
    door_->open(listener_.get());
    if (!arguments_.trace.empty())
      trace_ = std::make_unique<TracePrinter>(begin_traces(*traced, {engine_.get(), door_}), arguments_.json);
    return announce();
  }

  Result<void> open_engine() {
    auto keys = load_keys(arguments_.dkim, {.allow_short_rsa = arguments_.allow_short_rsa});
    if (!keys) return keys.error();
    auto egress = parse_egress(arguments_.egress);
    if (!egress) return egress.error();
    const bool goes_on = !arguments_.spool.directory.empty();
    if (auto opened = events_->open(arguments_.events_file, goes_on); !opened) return about("--events", opened.error());
    auto runtime = make_runtime(arguments_.dns, arguments_.workers, 0, arguments_.tls);
    if (!runtime) return runtime.error();
    runtime_ = *std::move(runtime);
    EngineOptions engine_options{.egress = *std::move(egress),
                                 .keys = *std::move(keys),
                                 .max_age = std::chrono::seconds(arguments_.max_age_seconds),
                                 .first_retry = std::chrono::seconds(arguments_.first_retry_seconds),
                                 .max_message_bytes = arguments_.options.limits.message_bytes_max + (64u << 10),
                                 .port = arguments_.port,
                                 .runtime = runtime_,
                                 .find_zone = load_zone};
    if (auto paced = apply_pace(arguments_.pace, "", engine_options); !paced) return paced;
    if (auto applied = apply(arguments_.ways, engine_options); !applied) return applied;
    if (auto set = set_policies(arguments_.tls, engine_options); !set) return set;
    auto spool = open_spool(arguments_.spool);
    if (!spool) return spool.error();
    engine_options.spool = *std::move(spool);
    engine_options.sinks = {events_};
    auto read_settings = settings_reader("", engine_options.egress);
    auto engine = Engine::open(std::move(engine_options));
    if (!engine) return engine.error();
    engine_ = *std::move(engine);
    auto control = serve_engine(arguments_.control, *engine_, std::move(read_settings), {engine_.get(), door_});
    if (!control) return control.error();
    control_ = *std::move(control);
    pace_report_ = PaceReport(arguments_.pace.report_file);
    if (const std::uint64_t open = engine_->open_rows(); open > 0)
      say("{} recipients are in {} of before, and go on\n", open, arguments_.spool.directory);
    return {};
  }

  Result<std::shared_ptr<smtp::ListenHandler>> make_handler() {
    SubmissionOptions options{.executor = &runtime_->cpu(), .open_rows_max = arguments_.queue_max};
    if (arguments_.users_file.empty()) {
      if (arguments_.options.auth_required)
        return Error{ErrorCode::kInvalidArgument,
                     "--users names who may submit; or --no-auth lets anyone who can connect"};
      options.authenticate = [](const smtp::Credentials&, smtp::ListenHandler::Authenticated done) { done({}); };
    } else {
      const auto text = read_file(arguments_.users_file);
      if (!text) return about("--users", text.error());
      auto users = UsersFile::parse(*text);
      if (!users) return about("--users " + arguments_.users_file, users.error());
      // crypt(3) takes its time: not the listener's.
      options.authenticate = [users = std::make_shared<const UsersFile>(*std::move(users)), cpu = &runtime_->cpu()](
                                 const smtp::Credentials& given, smtp::ListenHandler::Authenticated done) {
        if (!given.authzid.empty() && given.authzid != given.user) return done({});
        cpu->post([users, user = std::string(given.user), password = std::string(given.password),
                   done = std::move(done)]() mutable { done(users->judge(user, password)); });
      };
    }
    if (!arguments_.inbound_maildir.empty()) {
      const auto maildir = std::make_shared<InboundMaildir>(arguments_.inbound_maildir);
      if (auto created = maildir->create(); !created) return about("--inbound-maildir", created.error());
      options.inbound = [maildir, cpu = &runtime_->cpu()](smtp::Submission submission,
                                                          smtp::ListenHandler::Answered done) {
        cpu->post([maildir, submission = std::move(submission), done = std::move(done)]() mutable {
          const auto written = maildir->write(submission);
          if (!written) say("mailsbuddy listen: {}\n", written.error().detail);
          done(written ? Reply{.code = 250, .enhanced = EnhancedCode{2, 0, 0}, .text = ""}
                       : Reply{.code = 452, .enhanced = EnhancedCode{4, 3, 1}, .text = "Cannot keep the message now"});
        });
      };
    }
    return make_submission_handler(*engine_, std::move(options));
  }

  Result<void> announce() {
    const auto endpoints = listener_->endpoints();
    std::string lines;
    for (std::size_t i = 0; i < endpoints.size(); ++i) {
      const std::string& given = arguments_.listen[i];
      const std::size_t equals = given.find('=');
      const std::string words = equals == std::string::npos ? "starttls" : given.substr(equals + 1);
      say("listening on {} ({})\n", endpoints[i].str(), words);
      const auto octets = endpoints[i].address.bytes();
      const bool loopback = endpoints[i].address.is_v4() ? octets[0] == 127 : endpoints[i].address.str() == "::1";
      if (arguments_.no_auth && !loopback && !arguments_.options.endpoints[i].inbound)
        say("warning: whoever can reach {} can send mail to anybody (--no-auth)\n", endpoints[i].str());
      lines += fmt::format("{} {}\n", endpoints[i].str(), words);
    }
    return arguments_.port_file.empty() ? Result<void>() : write_whole(arguments_.port_file, lines);
  }

  std::chrono::nanoseconds rest_of_time() const {
    if (!end_) return 1h;
    return std::max<std::chrono::nanoseconds>(*end_ - std::chrono::steady_clock::now(), 0ns);
  }

  // Lets messages on their way in come to their end; for some time, and a second signal ends that.
  void end_connections(const Signals& signals) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(arguments_.grace_seconds);
    do {
      if (listener_->drain(100ms)) return;
    } while (std::chrono::steady_clock::now() < end && !signals.wait(0ns));
  }

  // Sends what was taken; a second signal ends that.
  int report(const smtp::ListenCounts& counts, const Signals& signals) {
    bool settled = engine_->drain(100ms);
    const bool kept = !arguments_.spool.directory.empty();
    if (const std::uint64_t open = engine_->open_rows(); open > 0 && kept) {
      say("{} recipients are kept in {}: the next start goes on with them\n", open, arguments_.spool.directory);
    } else if (!settled && !kept) {
      say("{} recipients are queued, {} events are to be written; stop once more to leave them\n", open,
          engine_->unreported());
    }
    while (!kept && !settled && !signals.wait(0ns)) settled = engine_->drain(500ms);
    pace_report_.refresh(*engine_, true);
    const std::uint64_t left = engine_->open_rows();
    const std::string trouble = events_->file_trouble();
    if (!trouble.empty()) {
      say("{} events are not written: {}; they {}\n", engine_->unreported(), trouble,
          kept ? "are kept in " + arguments_.spool.directory : "go with this process");
    }
    if (arguments_.json) {
      auto object = json_of(counts);
      object["unsettled"] = left;
      fmt::print("{}\n", object.dump());
    } else {
      fmt::print("{} messages taken, {} refused, {} connections, {} failed logins; {} recipients unsettled\n",
                 counts.messages, counts.messages_refused, counts.connections, counts.auth_failures, left);
    }
    return trouble.empty() && (left == 0 || kept) ? kDone : kUnsettled;
  }

  ListenArguments& arguments_;
  std::optional<std::chrono::steady_clock::time_point> end_;
  std::shared_ptr<EventLog> events_ = std::make_shared<EventLog>();
  std::shared_ptr<net::Runtime> runtime_;
  PaceReport pace_report_{""};
  std::unique_ptr<Engine> engine_;
  std::shared_ptr<ListenerDoor> door_ = std::make_shared<ListenerDoor>();
  std::unique_ptr<ControlServer> control_;
  std::unique_ptr<TracePrinter> trace_;
  std::unique_ptr<smtp::Listener> listener_;  // Last: it goes first.
};

constexpr const char* kFooter = R"(
An application submits with STARTTLS and AUTH, as to any mail server; each message is queued, signed and sent on. Mail for an
inbound domain (bounces, complaints) is taken without AUTH, on endpoints marked inbound alone. Nothing else is relayed.
With --spool accepted mail is on the disk before the client has its 250; without, it is lost with the process. After the first Ctrl-C
no more is begun and what is on its way in may end; what is queued waits in the spool, or is still sent.

Words after an address: starttls (the default), tls (from the first octet, as on port 465), plain, inbound, proxy (each
connection begins with a PROXY header, from a trusted range).

The file of --users has a line for each: USER:HASH[:ACCOUNT[:RIGHTS]]. HASH is what `openssl passwd -6` prints. RIGHTS are
"route" (header fields X-MB-Campaign, X-MB-Pool, X-MB-Priority, X-MB-Schedule are heeded) and "from=DOMAIN", joined by commas.

Example:
  echo "app:$(openssl passwd -6 secret):acme:route,from=brand.example" > users
  mailsbuddy listen --host mail.brand.example --listen 0.0.0.0:587 --listen 0.0.0.0:25=starttls,inbound --users users \
      --tls-cert mail.pem --tls-key mail.key --inbound-domain bounce.brand.example --inbound-maildir bounces \
      --dkim brand.example:s1:brand.pem --egress 192.0.2.10=mx1.brand.example --events events.jsonl
  swaks --server mail.brand.example:587 --tls --auth-user app --auth-password secret --from news@brand.example --to ann@example.net

docs/submission.md has the rest. Exit status: 0 when all that was taken is settled or kept, 1 when it or its events are not, 2 when it could not start.)";

void add_listening(CLI::App& listen, ListenArguments& arguments) {
  smtp::ListenOptions& options = arguments.options;
  listen
      .add_option("--listen", arguments.listen,
                  fmt::format("Address, and how it is served; repeatable [{}]", kDefaultListen))
      ->type_name("IP:PORT[=WORD,...]");
  listen.add_option("--host", options.host, "Our name: in the greeting and in Received")->required();
  listen.add_option("--users", arguments.users_file, "Who may submit; see below")->type_name("FILE");
  listen.add_flag("--no-auth", arguments.no_auth, "Anyone who can connect may submit: on loopback, behind a firewall");
  listen.add_flag("--auth-in-clear", options.auth_in_clear, "Take passwords without TLS too: on loopback");
  listen.add_option("--tls-cert", arguments.certificate_file, "PEM with its chain [self-signed, made at start]")
      ->type_name("FILE");
  listen.add_option("--tls-key", arguments.key_file, "Its key, PEM")->type_name("FILE");
  listen.add_option("--trusted", options.trusted, "Range that may say XCLIENT and send PROXY headers; repeatable")
      ->type_name("IP/BITS");
  listen
      .add_option("--inbound-domain", options.inbound_domains, "Domain whose mail inbound endpoints take; repeatable")
      ->type_name("DOMAIN");
  listen.add_option("--inbound-maildir", arguments.inbound_maildir, "Where that mail is kept")->type_name("DIR");
  listen.add_option("--bare-line-ends", arguments.bare_line_ends, "A CR or LF alone in a message: refuse or normalise")
      ->check(CLI::IsMember({"refuse", "normalise"}))
      ->capture_default_str();
  listen.add_option("--threads", options.threads, "Threads that serve connections")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
}

void add_limits(CLI::App& listen, ListenArguments& arguments) {
  smtp::ListenLimits& limits = arguments.options.limits;
  listen.add_option("--connections", limits.connections_max, "At once, in all")
      ->check(CLI::PositiveNumber)
      ->capture_default_str()
      ->group("Limits");
  listen
      .add_option("--connections-per-client", limits.connections_per_client_max,
                  "At once, of an IPv4 address or an IPv6 /64")
      ->check(CLI::PositiveNumber)
      ->capture_default_str()
      ->group("Limits");
  listen
      .add_option("--connection-rate", limits.connections_per_client.count,
                  "New connections of a client in a minute; 0: no limit")
      ->capture_default_str()
      ->group("Limits");
  listen
      .add_option("--message-rate", limits.messages_per_client.count, "Messages of a client in a minute; 0: no limit")
      ->capture_default_str()
      ->group("Limits");
  listen.add_option("--message-bytes", limits.message_bytes_max, "Size of a message")
      ->check(CLI::PositiveNumber)
      ->capture_default_str()
      ->group("Limits");
  listen.add_option("--recipients", limits.recipients_max, "Of a message")
      ->check(CLI::PositiveNumber)
      ->capture_default_str()
      ->group("Limits");
  listen
      .add_option("--grace", arguments.grace_seconds,
                  "At the end, for messages that are on their way in, for example 30s or 2m [10s]")
      ->transform(CLI::AsNumberWithUnit(std::map<std::string, std::int64_t>{{"s", 1}, {"m", 60}, {"h", 3600}},
                                        CLI::AsNumberWithUnit::CASE_SENSITIVE))
      ->group("Limits");
  listen.add_option("--queue", arguments.queue_max, "Recipients queued, then 452; 0: no limit")
      ->capture_default_str()
      ->group("Limits");
}

void add_delivery(CLI::App& listen, ListenArguments& arguments) {
  const auto seconds =
      CLI::AsNumberWithUnit(std::map<std::string, std::int64_t>{{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86'400}},
                            CLI::AsNumberWithUnit::CASE_SENSITIVE);
  listen
      .add_option("--egress", arguments.egress,
                  "An IP to send from, its EHLO name, its pool: IP=NAME[,POOL]; repeatable")
      ->required()
      ->group("Delivery");
  listen.add_option("--dkim", arguments.dkim, "Sign: DOMAIN:SELECTOR:KEYFILE (PEM); repeatable. Without: unsigned")
      ->group("Delivery");
  listen.add_flag("--allow-short-rsa", arguments.allow_short_rsa, "Sign with RSA keys of fewer than 2048 bits too");
  add_tls_options(listen, arguments.tls);
  listen
      .add_option("--first-retry", arguments.first_retry_seconds, "Wait after a first deferral, for example 90s or 10m")
      ->transform(seconds)
      ->group("Delivery");
  listen.add_option("--max-age", arguments.max_age_seconds, "Give up after this, for example 4h or 5d")
      ->transform(seconds)
      ->group("Delivery");
  listen.add_option("--port", arguments.port, "Port of every MX host")->capture_default_str()->group("Delivery");
  add_pace_options(listen, arguments.pace, false);
  add_control_server_option(listen, arguments.control);
  add_way_options(listen, arguments.ways);
  listen.add_option("--dns", arguments.dns, "DNS server IP[:PORT]; repeatable. Default: the system's")
      ->group("Delivery");
  listen.add_option("--workers", arguments.workers, "Threads that send. Default: one per core")
      ->check(CLI::Range(0, 1024))
      ->group("Delivery");
}

}  // namespace

void add_listen_command(CLI::App& app, std::function<int()>& run) {
  auto arguments = std::make_shared<ListenArguments>();
  CLI::App* const listen = app.add_subcommand("listen", "Take mail over SMTP from applications and send it on");
  listen->footer(kFooter);
  add_listening(*listen, *arguments);
  add_limits(*listen, *arguments);
  add_delivery(*listen, *arguments);
  add_spool_options(*listen, arguments->spool);
  listen->add_option("--events", arguments->events_file, "Write every event there, a JSON object a line; with --spool behind what is there. Until it can be written they wait in the spool")
      ->group("Output");
  listen->add_option("--port-file", arguments->port_file, "Write each bound address and its words there, one a line")
      ->group("Output");
  listen->add_option("--duration", arguments->duration, "Stop after this time, as 30s [at Ctrl-C]")->group("Output");
  listen->add_option("--trace", arguments->trace,
                     "Print to standard error what connections say: all; those of client=, user=, sender= that come in;\n"
                     "or those of domain=, job=, egress=, provider=, mx= that go out; several with commas")
      ->type_name("FILTER")
      ->group("Output");
  listen->add_flag("--json", arguments->json, "End with one JSON object")->group("Output");
  listen->add_flag("--verbose", arguments->verbose, "Say on standard error what was taken and refused")
      ->group("Output");
  listen->callback([arguments, &run] { run = [arguments] { return Listen(*arguments).run(); }; });
}

}  // namespace mailsbuddy::cli
