#include "services/cli/send_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <thread>

#include "services/cli/csv_rows.h"
#include "services/cli/dns_check.h"
#include "services/cli/engine_control.h"
#include "services/cli/engine_options.h"
#include "services/cli/event_log.h"
#include "services/cli/progress.h"
#include "services/cli/return_watch.h"
#include "services/cli/say.h"
#include "services/cli/signals.h"
#include "services/cli/tls_options.h"
#include "services/cli/trace_lines.h"
#include "services/cli/way_options.h"
#include "services/cli/zone.h"

namespace mailsbuddy::cli {
namespace {

using namespace std::chrono_literals;

struct SendOptions {
  WayOptions ways;
  std::string trace;  // A TraceFilter, or "all". Empty: none.
  std::string template_file;
  std::string recipients_file;
  std::string from;
  std::vector<std::string> dkim;
  bool allow_short_rsa = false;
  std::vector<std::string> egress;
  std::vector<std::string> dns;
  std::uint16_t port = 25;
  std::string events_file;
  bool json = false;
  std::string campaign;
  std::string account = "default";
  std::string return_path;
  std::string list_id;
  std::string unsubscribe;
  std::string unsubscribe_mailto;
  std::string feedback_id;
  std::string address_column;
  std::string bad_rows_file;
  std::string unsent_file;
  std::string suppress_file;
  bool resume = false;  // What is in the spool goes on: no template, no recipients.
  SpoolOptions spool;
  std::string control;
  std::string start_at, not_after, windows, schedule_zone = "UTC", zone_column;
  int attempts_max = 0;
  std::uint64_t memory_max_mb = 0;
  std::string inbound_maildir;
  std::int64_t inbound_linger_seconds = 0;
  TlsArguments tls;
  std::string on_unknown = "resend";
  PaceOptions pace;
  int connections = 0;
  double rate = -1;
  int messages_per_connection = 0;
  std::int64_t max_age_seconds = 5 * 86'400;
  std::int64_t first_retry_seconds = 600;
  int workers = 0;
  int cpu_threads = 0;
};

volatile std::sig_atomic_t interrupts = 0;

void on_interrupt(int) {
  interrupts = interrupts + 1;
  if (interrupts > 1) std::_Exit(130);
}

// What the options say of each of our IPs, as settings.
std::string limits_said(const SendOptions& options) {
  std::string said;
  if (options.connections > 0) said += fmt::format(" connections={}", options.connections);
  if (options.messages_per_connection > 0) said += fmt::format(" messages_per_connection={}", options.messages_per_connection);
  if (options.rate >= 0) said += fmt::format(" messages_per_second={:f} burst={:f}", options.rate, std::max(1.0, options.rate / 10));
  return said;
}

// "2027-03-28T09:00+02:00" would be another parser: these are seconds, as date(1) writes with +%s, or a wait: +2h.
Result<TimePoint> parse_time(const char* option, const std::string& text) {
  const TimePoint now = SystemClock().now();
  if (text.empty()) return TimePoint{};
  const bool wait = text.front() == '+';
  const std::size_t unit = std::string_view("smhd").find(text.back());
  const std::string digits = wait ? text.substr(1, text.size() - 2) : text;
  if (digits.empty() || digits.size() > 11 || digits.find_first_not_of("0123456789") != std::string::npos ||
      (wait && unit == std::string_view::npos)) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("{} {}: +90m, +12h, +3d, or seconds since 1970 are expected", option, text)};
  }
  constexpr std::int64_t kSeconds[] = {1, 60, 3600, 86'400};
  const std::int64_t count = std::stoll(digits);
  if (!wait) return TimePoint(std::chrono::seconds(std::min<std::int64_t>(count, 7'258'118'400)));
  const std::int64_t seconds = count * kSeconds[unit];  // Of eleven digits at most.
  if (seconds > 86'400 * 366) return Error{ErrorCode::kInvalidArgument, fmt::format("{} {}: more than a year", option, text)};
  return now + std::chrono::seconds(seconds);
}

Result<Schedule> make_schedule(const SendOptions& options) {
  Schedule schedule{.zone_field = options.zone_column};
  const auto start = parse_time("--start-at", options.start_at);
  if (!start) return start.error();
  const auto end = parse_time("--not-after", options.not_after);
  if (!end) return end.error();
  auto windows = Schedule::parse_windows(options.windows);
  if (!windows) return about("--window", windows.error());
  auto zone = load_zone(options.schedule_zone);
  if (!zone) return about("--window-zone", zone.error());
  schedule.start_at = *start;
  schedule.not_after = *end;
  schedule.windows = *std::move(windows);
  schedule.zone = *std::move(zone);
  return schedule;
}

Result<Campaign> make_campaign(const SendOptions& options, const std::string& address_column) {
  auto schedule = make_schedule(options);
  if (!schedule) return std::move(schedule).error();
  auto from = NamedAddress::parse(options.from);
  if (!from) return about("--from " + options.from, from.error());
  const std::string domain(from->address.domain());
  auto source = read_file(options.template_file);
  if (!source) return about("--template", source.error());
  auto content = Content::parse_eml(*source);
  if (!content) return about(options.template_file, content.error());
  ListHeaders list{.unsubscribe_url = options.unsubscribe,
                   .unsubscribe_mailto = options.unsubscribe_mailto,
                   .list_id = options.list_id.empty() ? "campaigns." + domain : options.list_id,
                   .feedback_id = options.feedback_id};
  if (list.unsubscribe_url.empty()) {
    list.unsubscribe_url = "https://" + domain + "/unsubscribe/{{ mb_token }}";
  }
  auto compiled = make_campaign_content(*std::move(content), list);
  if (!compiled) return about(options.template_file, compiled.error());
  return Campaign{.id = options.campaign.empty() ? std::filesystem::path(options.template_file).stem().string()
                                                 : options.campaign,
                  .account = options.account,
                  .content = *std::move(compiled),
                  .from = *std::move(from),
                  .return_path_domain = options.return_path.empty() ? domain : options.return_path,
                  .on_unknown = options.on_unknown == "hold"   ? OnUnknown::kHold
                                : options.on_unknown == "drop" ? OnUnknown::kDrop
                                                               : OnUnknown::kResend,
                  .address_field = address_column,
                  .schedule = *std::move(schedule)};
}

Result<void> suppress_from(const std::string& path, const std::string& account, Engine& engine) {
  if (path.empty()) return {};
  std::ifstream in(path);
  if (!in) return Error{ErrorCode::kIo, fmt::format("--suppress {}: {}", path, std::strerror(errno))};
  std::uint64_t line_number = 0;
  for (std::string line; std::getline(in, line);) {
    ++line_number;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty()) continue;
    // A line that is no address must stop the run: someone asked not to be mailed and we could not read who.
    auto address = Address::parse(line);
    if (!address) return about(fmt::format("--suppress {}:{}", path, line_number), address.error());
    if (auto done = engine.suppress(account, *address, SuppressionReason::kManual); !done) return done;
  }
  return {};
}

class Send {
 public:
  explicit Send(SendOptions options) : options_(std::move(options)) {}

  int run() {
    block_sigpipe();  // Before the threads, which inherit the mask.
    if (auto sent = prepare(); !sent) {
      say("mailsbuddy send: {}\n", sent.error().detail);
      return kBadUsage;
    }
    watch();
    return report();
  }

 private:
  Result<void> prepare() {
    if (options_.resume) {
      if (auto chosen = choose_campaign(); !chosen) return chosen;
      if (auto opened = open_engine({}); !opened) return opened;
      if (messages() || go_on()) return {};
      return Error{ErrorCode::kNotFound, fmt::format("--spool {}: no campaign '{}'", options_.spool.directory, campaign_)};
    }
    const std::string beside = options_.recipients_file;
    auto rows = CsvRows::open(options_.recipients_file, options_.address_column,
                              options_.bad_rows_file.empty() ? beside + ".bad.csv" : options_.bad_rows_file);
    if (!rows) return about("--recipients", rows.error());
    auto campaign = make_campaign(options_, (*rows)->address_column());
    if (!campaign) return std::move(campaign).error();
    if (auto opened = open_engine(std::string(campaign->from.address.domain())); !opened) return opened;
    campaign_ = campaign->id;
    if (kept() && go_on()) return {};
    auto imported = engine_->start(*std::move(campaign), **rows);
    if (!imported) return about(options_.recipients_file, imported.error());
    import_ = *imported;
    if (import_.resumed > 0) {
      say("an interrupted import goes on: {} recipients were there\n", import_.resumed);
    }
    say("campaign '{}': {} recipients at {} domains", campaign_, import_.accepted, import_.domains);
    if (import_.suppressed > 0) say(", {} of them suppressed", import_.suppressed);
    if (import_.refused > 0) {
      say("; {} bad rows are in {}", import_.refused,
          options_.bad_rows_file.empty() ? beside + ".bad.csv" : options_.bad_rows_file);
    }
    say("\n");
    if (options_.unsubscribe.empty()) {
      say("note: no --unsubscribe given; List-Unsubscribe points at https://DOMAIN/unsubscribe/TOKEN\n");
    }
    return {};
  }

  bool kept() const { return temporary_ == nullptr; }  // The spool outlives the run.

  // The one that is to be watched: that of --campaign, or the only one that is not settled; if there is none, the
  // messages. Chosen before anything is begun: what this refuses leaves the spool as it is.
  Result<void> choose_campaign() {
    if (!std::filesystem::is_directory(options_.spool.directory)) return Error{ErrorCode::kNotFound, fmt::format("--spool {}: no such directory", options_.spool.directory)};
    auto spool = open_spool(options_.spool);
    if (!spool) return std::move(spool).error();
    const auto resting = Engine::open({.egress = {}, .runtime_options = {.workers = 1, .cpu_threads = 1}, .spool = *std::move(spool), .deliver = false, .find_zone = load_zone});
    if (!resting) return resting.error();
    std::vector<std::string> open;
    for (const std::string& id : (*resting)->campaigns()) {
      const auto now = (*resting)->status(id);
      if (!now) {
        say("campaign '{}' was not imported to its end: mailsbuddy send imports the rest\n", id);
      } else if (!now->settled()) {
        open.push_back(id);
      }
    }
    campaign_ = options_.campaign.empty() && open.size() == 1 ? open.front() : options_.campaign;
    if (!campaign_.empty()) {
      if ((*resting)->status(campaign_)) return {};
      return Error{ErrorCode::kNotFound, fmt::format("--spool {}: no campaign '{}'", options_.spool.directory, campaign_)};
    }
    if (!open.empty()) return Error{ErrorCode::kInvalidArgument, fmt::format("several campaigns are open; name the one to watch with --campaign: {}", fmt::join(open, ", "))};
    import_.accepted = (*resting)->open_rows();
    if (import_.accepted == 0 && (*resting)->unreported() == 0) return Error{ErrorCode::kNotFound, fmt::format("--spool {}: nothing in it is open", options_.spool.directory)};
    say("no campaign is open in {}; {} recipients of messages go on\n", options_.spool.directory, import_.accepted);
    return {};
  }

  // With what the options say of it. `from_domain`: its signatures are tried; empty: they are not.
  Result<void> open_engine(const std::string& from_domain) {
    auto keys = load_keys(options_.dkim, {.allow_short_rsa = options_.allow_short_rsa});
    if (!keys) return std::move(keys).error();
    auto egress = parse_egress(options_.egress);
    if (!egress) return std::move(egress).error();
    if (auto opened = log_->open(options_.events_file, !options_.spool.directory.empty()); !opened) return about("--events", opened.error());
    auto runtime = make_runtime(options_.dns, options_.workers, options_.cpu_threads, options_.tls);
    if (!runtime) return std::move(runtime).error();
    for (const std::string& server : options_.dns) {
      if (auto answers = check_dns(server); !answers) return about("--dns " + server, answers.error());
    }
    if (*keys != nullptr && !from_domain.empty()) check_signatures(**keys, from_domain, options_.dns);
    EngineOptions how{.egress = *std::move(egress),
                      .keys = *std::move(keys),
                      .max_age = std::chrono::seconds(options_.max_age_seconds),
                      .first_retry = std::chrono::seconds(options_.first_retry_seconds),
                      .attempts_max = options_.attempts_max,
                      .port = options_.port,
                      .runtime = *std::move(runtime),
                      .find_zone = load_zone,
                      .memory_max_bytes = options_.memory_max_mb << 20};
    if (auto paced = apply_pace(options_.pace, limits_said(options_), how); !paced) return paced;
    if (auto set = set_policies(options_.tls, how); !set) return set;
    if (auto applied = apply(options_.ways, how); !applied) return applied;
    const auto traced = TraceWish::parse(options_.trace, false);
    if (!traced) return about("--trace", traced.error());
    if (options_.spool.directory.empty()) {
      auto made = TemporaryDirectory::make();
      if (!made) return std::move(made).error();
      temporary_ = *std::move(made);
      options_.spool.directory = temporary_->path();
      options_.spool.durability = "process-crash";
    }
    auto spool = open_spool(options_.spool);
    if (!spool) return std::move(spool).error();
    how.spool = *std::move(spool);
    how.sinks = {log_};
    auto read_settings = settings_reader(limits_said(options_), how.egress);
    auto engine = Engine::open(std::move(how));
    if (!engine) return std::move(engine).error();
    engine_ = *std::move(engine);
    auto control = serve_engine(options_.control, *engine_, std::move(read_settings), {engine_.get()});
    if (!control) return std::move(control).error();
    control_ = *std::move(control);
    if (!options_.trace.empty()) trace_ = std::make_unique<TracePrinter>(begin_traces(*traced, {engine_.get()}), options_.json);
    if (auto done = suppress_from(options_.suppress_file, options_.account, *engine_); !done) return done;
    if (!options_.inbound_maildir.empty()) {
      auto inbound = ReturnWatch::start(options_.inbound_maildir, *engine_);
      if (!inbound) return about("--inbound-maildir", inbound.error());
      inbound_ = *std::move(inbound);
    }
    started_ = std::chrono::steady_clock::now();
    return {};
  }

  // The campaign is in the spool, of a run before this one. False: it is not.
  bool go_on() {
    const auto known = engine_->status(campaign_);
    if (!known) return false;
    import_.accepted = known->total;
    say("campaign '{}' is in {}: {} of {} recipients are settled, the rest goes on as it was stored\n", campaign_,
        options_.spool.directory, final_rows(*known), known->total);
    static_cast<void>(engine_->resume(campaign_));  // An interrupt paused it.
    return true;
  }

  bool messages() const { return campaign_.empty(); }  // Of a listener's spool: no campaign is watched, but all there is.

  // Their states are not counted by the spool, for they go as they are settled: by their events.
  CampaignStatus status_of_messages() const {
    CampaignStatus now;
    const auto count = [&now](spool::State state, std::uint64_t rows) { now.counts[static_cast<std::size_t>(state)] += rows; };
    for (const auto& [provider, counts] : log_->by_provider()) {
      count(spool::State::kDelivered, counts.of(EventKind::kDelivered));
      count(spool::State::kBounced, counts.of(EventKind::kBounced));
      count(spool::State::kSuppressed, counts.of(EventKind::kSuppressed));
      count(spool::State::kExpired, counts.of(EventKind::kExpired));
      count(spool::State::kCancelled, counts.of(EventKind::kCancelled));
      count(spool::State::kFailed, counts.of(EventKind::kFailed));
      count(spool::State::kHeld, counts.of(EventKind::kHeld));
    }
    count(spool::State::kQueued, engine_->open_rows());
    now.total = std::max(import_.accepted, std::accumulate(now.counts.begin(), now.counts.end(), std::uint64_t{0}));
    return now;
  }

  // As it was last, once somebody erased it or had it forgotten (--control).
  const CampaignStatus& status() {
    if (messages()) return last_ = status_of_messages();
    auto now = engine_->status(campaign_);
    if (now)
      last_ = *std::move(now);
    else
      gone_ = true;
    return last_;
  }

  // Until every recipient is settled, or the user interrupts and what is on the wire is answered.
  void watch() {
    struct sigaction action {};
    action.sa_handler = on_interrupt;
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    Progress progress;
    CampaignStatus now = status();
    while (interrupts == 0 && !gone_ && !now.settled() && now.of(spool::State::kHeld) != open_rows(now)) {
      if (trace_ == nullptr) progress.show(now, *log_);
      pace_report_.refresh(*engine_);
      std::this_thread::sleep_for(50ms);
      now = status();
    }
    if (interrupts > 0 && !gone_ && !now.settled()) {
      stop();
      progress.finish();
      say("stopping: waiting for the answers to what is on the wire (again: stop at once)\n");
      const auto limit = std::chrono::steady_clock::now() + 60s;
      while (on_the_wire() && !gone_ && std::chrono::steady_clock::now() < limit) {
        std::this_thread::sleep_for(20ms);
      }
    }
    progress.finish();
    pace_report_.refresh(*engine_, true);
    if (inbound_ != nullptr) linger();
    // Settled first, reported a moment later: also what processes before this one left. For a disk that is full, as
    // long as nobody says stop.
    const int before = interrupts;
    while (engine_->unreported() > 0 && interrupts == before && !(interrupts > 0 && !log_->file_trouble().empty())) {
      std::this_thread::sleep_for(5ms);
    }
  }

  // Nothing more is begun.
  void stop() {
    if (!messages()) return static_cast<void>(engine_->pause(campaign_));
    for (const EgressStatus& each : engine_->egress()) static_cast<void>(engine_->drain_egress(each.address));
  }

  bool on_the_wire() {
    if (!messages()) return status().of(spool::State::kClaimed) > 0;
    const auto egress = engine_->egress();
    return std::any_of(egress.begin(), egress.end(), [](const EgressStatus& each) { return each.connections > 0; });
  }

  // What comes back comes later than the last delivery.
  void linger() {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(options_.inbound_linger_seconds);
    if (options_.inbound_linger_seconds > 0 && interrupts == 0) {
      say("taking what comes back to {} for {} (Ctrl-C: no longer)\n", options_.inbound_maildir,
          human_duration(std::chrono::seconds(options_.inbound_linger_seconds)));
    }
    while (interrupts == 0 && std::chrono::steady_clock::now() < limit) std::this_thread::sleep_for(50ms);
    inbound_->finish();
    say("{} messages came back to {}; {} addresses are suppressed for it\n", inbound_->messages(),
        options_.inbound_maildir, inbound_->suppressed());
  }

  static std::uint64_t open_rows(const CampaignStatus& now) {
    std::uint64_t rows = 0;
    for (std::size_t i = 0; i < spool::kStateCount; ++i) {
      if (!spool::is_final(static_cast<spool::State>(i))) rows += now.counts[i];
    }
    return rows;
  }
  static std::uint64_t final_rows(const CampaignStatus& now) { return now.total - open_rows(now); }

  int report() {
    trace_.reset();
    const CampaignStatus now = status();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started_;
    if (options_.json) {
      fmt::print("{}\n", summary_json(messages() ? "(messages)" : campaign_, now, *log_, import_, took.count()));
    } else {
      fmt::print("{}{:.1f} s, {:.0f} delivered per second\n", summary_table(now, *log_), took.count(),
                 static_cast<double>(now.of(spool::State::kDelivered)) / std::max(took.count(), 1e-9));
    }
    if (gone_) say("campaign '{}' was erased\n", campaign_);
    const std::uint64_t unreported = engine_->unreported();
    if (now.settled() && unreported == 0) return kDone;
    if (unreported > 0) {
      const std::string trouble = log_->file_trouble();
      say("{} events are not written{}{}\n", unreported, trouble.empty() ? ", it was stopped before" : ": ", trouble);
    }
    if (gone_ && unreported == 0) return kUnsettled;
    if (!gone_ && !messages() && !now.settled()) write_unsent();
    if (kept()) {
      say("they are kept in {}: the same command, or mailsbuddy resume, goes on with them\n", options_.spool.directory);
    } else {
      temporary_->keep();
      say("they are kept in {0}: mailsbuddy resume --spool {0} goes on with them; else remove it\n",
          temporary_->path());
    }
    return kUnsettled;
  }

  void write_unsent() {
    const std::string beside = options_.resume ? campaign_ : options_.recipients_file;
    const std::string path = options_.unsent_file.empty() ? beside + ".unsent.csv" : options_.unsent_file;
    std::ofstream out(path, std::ios::trunc);
    out << "email,state\n";
    const auto open = engine_->open_recipients(campaign_, SIZE_MAX);
    if (open) {
      for (const OpenRecipient& each : *open) out << each.address << ',' << spool::to_string(each.state) << '\n';
    }
    out.flush();
    if (!out) {
      say("{}: {}\n", path, std::strerror(errno));
    } else {
      say("{} unsent recipients are in {}\n", open ? open->size() : 0, path);
    }
  }

  SendOptions options_;
  std::shared_ptr<EventLog> log_ = std::make_shared<EventLog>();
  std::unique_ptr<TemporaryDirectory> temporary_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<TracePrinter> trace_;
  std::unique_ptr<ControlServer> control_;  // These two use the engine: destroyed before it.
  std::unique_ptr<ReturnWatch> inbound_;
  std::string campaign_;
  ImportReport import_;
  CampaignStatus last_;
  bool gone_ = false;                   // Erased, or forgotten, while it was sent.
  std::chrono::steady_clock::time_point started_;
  PaceReport pace_report_{options_.pace.report_file};
};

constexpr const char* kFooter = R"(
The template is an .eml file: headers (Subject, Reply-To, ...), an empty line, and a text, HTML or multipart body. Its
headers and bodies are Liquid: {{ first_name | default: "friend" }} takes the column first_name. See docs/templates.md.

With --spool, a campaign that is there already goes on as it was stored. A pause of it ends, whether an interrupt or campaign pause began it.
Without, a temporary spool is kept only if recipients or events are left in it; what is said then names it, for mailsbuddy resume.

Example:
  mailsbuddy dkim keygen > brand.pem
  mailsbuddy dkim record s1 brand.example < brand.pem        # publish this in DNS
  mailsbuddy send --template spring.eml --recipients subscribers.csv --from 'News <news@brand.example>' \
      --dkim brand.example:s1:brand.pem --egress 192.0.2.10=mx1.brand.example \
      --unsubscribe 'https://brand.example/u/{{ mb_token }}' --events spring.jsonl

Exit status: 0 when every recipient is settled and reported, 1 when some are not, 2 when nothing could be sent.)";

}  // namespace

namespace {

void add_campaign_options(CLI::App* send, SendOptions* options) {
  send->add_option("--template", options->template_file, "The message, an .eml file with merge fields")->required();
  send->add_option("--recipients", options->recipients_file, "CSV with a header row, UTF-8; one column is the address")->required();
  send->add_option("--from", options->from, "From, for example 'News <news@brand.example>'")->required();
  send->add_option("--account", options->account, "Whose campaign it is: for suppression")->capture_default_str()->group("Campaign");
  send->add_option("--address-column", options->address_column, "The column with the address. Default: email, address, ...")->group("Campaign");
  send->add_option("--return-path", options->return_path, "Domain that bounces come back to. Default: that of --from")->group("Campaign");
  send->add_option("--unsubscribe", options->unsubscribe, "One-click URL, https, template text; {{ mb_token }} names the recipient")->group("Campaign");
  send->add_option("--unsubscribe-mailto", options->unsubscribe_mailto, "A further List-Unsubscribe address, template text")->group("Campaign");
  send->add_option("--list-id", options->list_id, "List-Id. Default: campaigns.DOMAIN")->group("Campaign");
  send->add_option("--feedback-id", options->feedback_id, "Feedback-ID header")->group("Campaign");
  send->add_option("--suppress", options->suppress_file, "Addresses never to mail, one a line")->group("Campaign");

  send->add_option("--start-at", options->start_at, "Not before: +2h, or seconds since 1970")->group("Schedule");
  send->add_option("--not-after", options->not_after, "Then what is left expires: +3d, or seconds since 1970")->group("Schedule");
  send->add_option("--window", options->windows, "Only then: 'mon-fri 09:00-17:30,sat 10:00-12:00'")->group("Schedule");
  send->add_option("--window-zone", options->schedule_zone, "On whose clock: Europe/Berlin, +05:30")->capture_default_str()->group("Schedule");
  send->add_option("--zone-column", options->zone_column, "The column that names each recipient's zone; where it is empty: --window-zone")->group("Schedule");
}

void add_delivery_options(CLI::App* send, SendOptions* options) {
  const auto seconds = CLI::AsNumberWithUnit(std::map<std::string, std::int64_t>{{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86'400}},
                                             CLI::AsNumberWithUnit::CASE_SENSITIVE);
  send->add_option("--egress", options->egress, "An IP to send from and its EHLO name, IP=NAME; may be given again")->required();
  send->add_option("--dkim", options->dkim, "Sign: DOMAIN:SELECTOR:KEYFILE (PEM or DER); may be given again, also for one domain with RSA and Ed25519. Without: unsigned");
  send->add_flag("--allow-short-rsa", options->allow_short_rsa, "Sign with RSA keys of fewer than 2048 bits too");

  send->add_option("--campaign", options->campaign, "The campaign's id. Default: the template's file name")->group("Campaign");
  add_spool_options(*send, options->spool);
  send->add_option("--inbound-maildir", options->inbound_maildir, "Take bounces, complaints and unsubscribes from this maildir meanwhile")->group("Campaign");
  send->add_option("--inbound-linger", options->inbound_linger_seconds, "Go on with that after the last recipient, for example 30m")
      ->transform(seconds)->group("Campaign");

  add_tls_options(*send, options->tls);
  send->add_option("--connections", options->connections, "Connections per IP and provider. Default: the provider's own limits")
      ->check(CLI::Range(1, 10'000))->group("Delivery");
  send->add_option("--rate", options->rate, "Messages per second per IP and provider; 0: unlimited")->check(CLI::NonNegativeNumber)->group("Delivery");
  send->add_option("--messages-per-connection", options->messages_per_connection, "Then a new connection")
      ->check(CLI::PositiveNumber)->group("Delivery");
  add_pace_options(*send, options->pace, true);
  send->add_option("--first-retry", options->first_retry_seconds, "Wait after a first deferral, for example 90s or 10m")
      ->transform(seconds)->group("Delivery");
  send->add_option("--max-age", options->max_age_seconds, "Give up after this, for example 4h or 5d")->transform(seconds)->group("Delivery");
  send->add_option("--on-unknown", options->on_unknown, "When no answer came to the end of a message: resend, hold or drop")
      ->check(CLI::IsMember({"resend", "hold", "drop"}))->capture_default_str()->group("Delivery");
  send->add_option("--port", options->port, "Port of every MX host")->capture_default_str()->group("Delivery");
  send->add_option("--dns", options->dns, "DNS server IP[:PORT]; may be given again. Default: the system's")->group("Delivery");
  send->add_option("--workers", options->workers, "Network threads. Default: one per core")->check(CLI::Range(0, 1024))->group("Delivery");
  send->add_option("--cpu-threads", options->cpu_threads, "Rendering and signing threads. Default: one per core")->check(CLI::Range(0, 1024))->group("Delivery");

  add_way_options(*send, options->ways);
  send->add_option("--trace", options->trace,
                   "Print what connections say to standard error: all, or domain=, job=, egress=, provider=, mx= with commas")
      ->group("Output");
  send->add_option("--events", options->events_file, "Write every event there, a JSON object a line; with --spool behind what is there. Until it can be written they wait in the spool")->group("Output");
  send->add_option("--bad-rows", options->bad_rows_file, "Where bad rows are reported. Default: RECIPIENTS.bad.csv")->group("Output");
  send->add_option("--unsent", options->unsent_file, "Who is unsent when stopped. Default: RECIPIENTS.unsent.csv")->group("Output");
  send->add_flag("--json", options->json, "The summary as JSON on standard output")->group("Output");
  send->add_option("--attempts-max", options->attempts_max, "Give up a recipient after so many attempts. Default: --max-age alone")
      ->check(CLI::Range(0, 65'535))->group("Delivery");
  send->add_option("--memory-max", options->memory_max_mb, "Take no recipients in while more memory is used, in MB. Default: no limit")->group("Delivery");
  add_control_server_option(*send, options->control);
}

constexpr const char* kResumeFooter = R"(
All campaigns and messages in the spool go on as they were stored; one campaign is watched until it is settled: that of --campaign, or
the only one that is open. If none is, the messages are, until they are settled. Nothing goes before it is clear what is watched. A pause of
that campaign ends, whether an interrupt or campaign pause began it; other campaigns that are paused stay so. What was on the wire when the
process before ended is unknown: each campaign has said what becomes of such recipients.

Example:
  mailsbuddy resume --spool /var/spool/mb --egress 192.0.2.10=mx1.brand.example --dkim brand.example:s1:brand.pem \
      --events spring.jsonl --control /run/mb.sock

Exit status: 0 when every recipient is settled and reported, 1 when some are not, 2 when nothing could be sent.)";

}  // namespace

void add_send_command(CLI::App& app, std::function<int()>& run) {
  auto options = std::make_shared<SendOptions>();
  CLI::App* send = app.add_subcommand("send", "Send one campaign: a template to every recipient of a CSV file");
  send->footer(kFooter);
  add_campaign_options(send, options.get());
  add_delivery_options(send, options.get());
  send->callback([options, &run] { run = [options] { return Send(*options).run(); }; });
}

void add_resume_command(CLI::App& app, std::function<int()>& run) {
  auto options = std::make_shared<SendOptions>();
  options->resume = true;
  CLI::App* resume = app.add_subcommand("resume", "Go on with what is in a spool: no template, no recipients");
  resume->footer(kResumeFooter);
  add_delivery_options(resume, options.get());
  resume->get_option("--spool")->required();
  resume->callback([options, &run] { run = [options] { return Send(*options).run(); }; });
}

}  // namespace mailsbuddy::cli
