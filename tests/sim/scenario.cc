#include "tests/sim/scenario.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <numeric>
#include <set>
#include <sstream>
#include <stdexcept>

#include "mailsbuddy/engine.h"
#include "tests/sim/disk_spool.h"
#include "tests/sim/returned.h"
#include "tests/sim/sim.h"

namespace mailsbuddy::sim {
namespace {

using Words = std::vector<std::string>;
using Attributes = std::map<std::string, std::string>;

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what); }

std::string trimmed(const std::string& text) {
  const std::size_t from = text.find_first_not_of(" \t");
  return from == std::string::npos ? "" : text.substr(from, text.find_last_not_of(" \t") - from + 1);
}

Words split(const std::string& text, char separator) {
  Words parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, separator);) {
    if (part = trimmed(part); !part.empty()) parts.push_back(part);
  }
  return parts;
}

Words split(const std::string& text, const std::string& separator) {
  Words parts;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(separator, at), text.size());
    if (auto part = trimmed(text.substr(at, end - at)); !part.empty()) parts.push_back(part);
    at = end + separator.size();
  }
  return parts;
}

// "x=1 y=2" among words, from `first` on.
Attributes attributes(const Words& words, std::size_t first) {
  Attributes out;
  for (std::size_t i = first; i < words.size(); ++i) {
    const std::size_t equals = words[i].find('=');
    if (equals == std::string::npos) fail(fmt::format("'{}' is not name=value", words[i]));
    out[words[i].substr(0, equals)] = words[i].substr(equals + 1);
  }
  return out;
}

long number(const std::string& text) {
  long value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) fail(fmt::format("'{}' is not a number", text));
  return value;
}

Duration duration(const std::string& text) {
  std::size_t digits = 0;
  while (digits < text.size() && (std::isdigit(static_cast<unsigned char>(text[digits])) != 0)) ++digits;
  const std::chrono::seconds one(1);
  static const std::map<std::string, Duration> kUnits{{"us", std::chrono::microseconds(1)}, {"ms", std::chrono::milliseconds(1)},
                                                      {"s", one}, {"m", 60 * one}, {"h", 3600 * one}, {"d", 86'400 * one}};
  const auto unit = kUnits.find(text.substr(digits));
  if (digits == 0 || unit == kUnits.end()) fail(fmt::format("'{}' is not a time such as 15m", text));
  return number(text.substr(0, digits)) * unit->second;
}

// "a@x,b@y" or "user{1..50}@example.net".
Words recipients(const std::string& text) {
  Words out;
  for (const std::string& part : split(text, ',')) {
    const std::size_t open = part.find('{');
    if (open == std::string::npos) {
      out.push_back(part);
      continue;
    }
    const std::size_t dots = part.find("..", open);
    const std::size_t close = part.find('}', open);
    for (long i = number(part.substr(open + 1, dots - open - 1)); i <= number(part.substr(dots + 2, close - dots - 2)); ++i) {
      out.push_back(part.substr(0, open) + std::to_string(i) + part.substr(close + 1));
    }
  }
  return out;
}

Action action(const std::string& text) {
  static const std::map<std::string, Action::Kind> kKinds{
      {"close", Action::Kind::kClose},   {"reset", Action::Kind::kReset},     {"silence", Action::Kind::kSilence},
      {"refuse", Action::Kind::kRefuse}, {"garbage", Action::Kind::kGarbage}, {"fail", Action::Kind::kFailTls}};
  if (const auto found = kKinds.find(text); found != kKinds.end()) return {found->second, {}};
  return {Action::Kind::kReply, text};
}

class Rows final : public RowSource {
 public:
  // `values`: of each row, what its only field says; shorter than the rows: it begins again.
  Rows(Words addresses, std::string column, Words values)
      : addresses_(std::move(addresses)), columns_{std::move(column)}, clicked_(std::move(values)) {}
  std::span<const std::string> columns() const override {
    return clicked_.empty() ? std::span<const std::string>() : std::span(columns_);
  }
  Result<std::optional<RowView>> next() override {
    if (at_ == addresses_.size()) return std::optional<RowView>();
    if (!clicked_.empty()) value_ = clicked_[at_ % clicked_.size()];
    const std::string& address = addresses_[at_++];
    const std::span<const std::string_view> values(&value_, clicked_.empty() ? 0 : 1);
    return std::optional<RowView>({.number = at_, .address = address, .values = values});
  }
  void refused(const BadRow& row) override { fail(fmt::format("row {} '{}': {}", row.number, row.address, row.reason)); }

 private:
  Words addresses_;
  Words columns_;
  Words clicked_;
  std::string_view value_;
  std::size_t at_ = 0;
};

struct Collector final : EventSink {
  std::vector<Event> events;
  Result<void> on_events(std::span<const Event> batch) override {
    events.insert(events.end(), batch.begin(), batch.end());
    return {};
  }
  std::vector<warming::Decision> decisions;
  Result<void> on_decisions(std::span<const warming::Decision> batch) override {
    decisions.insert(decisions.end(), batch.begin(), batch.end());
    return {};
  }
};

class Runner {
 public:
  Runner(std::uint64_t seed, Storage storage) : seed_(seed), storage_(storage) {
    world_.trace = [this](const std::string& line) {
      transcript_ += fmt::format("{:>12} {}\n", since_start(), line);
    };
  }

  void line(const std::string& text) {
    const Words words = split(text, ' ');
    const std::string rest = trimmed(text.substr(text.find(words[0]) + words[0].size()));
    static const std::map<std::string, void (Runner::*)(const Words&, const std::string&)> kVerbs{
        {"option", &Runner::option},
        {"egress", &Runner::egress},
        {"dns", &Runner::dns},
        {"submit", &Runner::submit},
        {"campaign", &Runner::campaign},
        {"pause", &Runner::control},
        {"resume", &Runner::control},
        {"cancel", &Runner::control},
        {"suppress", &Runner::suppress},
        {"time", &Runner::time},
        {"event", &Runner::event},
        {"no-event", &Runner::no_event},
        {"count", &Runner::count},
        {"wire", &Runner::wire},
        {"never", &Runner::never},
        {"suppressed", &Runner::suppressed},
        {"inbound", &Runner::inbound},
        {"returned", &Runner::returned},
        {"forget", &Runner::control},
        {"limits", &Runner::limits},
        {"pool", &Runner::pool},
        {"warm", &Runner::warm},
        {"decision", &Runner::decision},
        {"explain", &Runner::explain},
        {"finish", &Runner::finish},
        {"sts", &Runner::sts},
        {"fail", &Runner::queue},
        {"hold", &Runner::queue},
        {"release", &Runner::queue},
        {"move", &Runner::queue},
        {"drain", &Runner::queue},
        {"tls-report", &Runner::tls_report},
        {"tls-override", &Runner::tls_override}};
    const auto verb = kVerbs.find(words[0]);
    if (verb != kVerbs.end()) return (this->*verb->second)(words, rest);
    host(words[0], rest);
  }

  void end() {
    if (engine_ == nullptr) fail("nothing was sent");
    world_.loop.run_until(world_.loop.now() + std::chrono::seconds(2));
    if (seen_.size() != collector_->events.size()) {
      for (std::size_t i = 0; i < collector_->events.size(); ++i) {
        if (!seen_.contains(i)) fail("unexpected event: " + describe(collector_->events[i]));
      }
    }
    std::set<std::pair<std::string, std::uint64_t>> finals;
    for (const Event& event : collector_->events) {
      if (!is_final(event.kind)) continue;
      if (!finals.emplace(event.job, event.row).second) fail("a second final event: " + describe(event));
    }
  }

  const std::string& transcript() const { return transcript_; }

 private:
  std::string since_start() const {
    return fmt::format("+{:.3f}s", std::chrono::duration<double>(world_.loop.now() - kStart).count());
  }

  Receiver& receiver(const std::string& name) {
    for (const auto& [host, addresses] : world_.addresses) {
      if (host == name || host.substr(0, host.find('.')) == name) return world_.receivers[addresses.front().str()];
    }
    fail(fmt::format("no verb and no host '{}'", name));
  }

  Engine& engine() {
    if (engine_ == nullptr) {
      if (options_.egress.empty()) options_.egress.push_back({.address = "192.0.2.1", .ehlo_name = "mail.sender.example"});
      if (auto added = settings_->add(limits_, "scenario"); !added) fail(added.error().detail);
      options_.settings = settings_;
      options_.tls_reports = world_.policies;
      options_.runtime = make_runtime(world_, seed_);
      if (storage_ == Storage::kDisk) options_.spool = make_disk_spool(world_.loop);
      options_.find_zone = [](std::string_view name) { return Zone::parse(name); };
      auto opened = Engine::open(options_);
      if (!opened) fail(opened.error().detail);
      engine_ = *std::move(opened);
      engine_->subscribe(collector_);
    }
    return *engine_;
  }

  std::string job(const std::string& name) const {
    const auto found = jobs_.find(name);
    if (found == jobs_.end()) fail(fmt::format("no message or campaign '{}'", name));
    return found->second;
  }

  static void check(const Result<void>& result) {
    if (!result) fail(result.error().detail);
  }

  // Setting the scene ------------------------------------------------------------------------------------------------

  void option(const Words& words, const std::string&) {
    static const std::map<std::string, std::string> kLimits{{"connections", "connections"},
                                                            {"messages-per-connection", "messages_per_connection"},
                                                            {"in-flight", "messages_in_flight"},
                                                            {"rate", "messages_per_second"},
                                                            {"burst", "burst"},
                                                            {"recipients", "recipients_per_transaction"}};
    for (const auto& [name, value] : attributes(words, 1)) {
      if (name == "tls") {
        options_.tls = value == "verified"   ? smtp::TlsPolicy::kVerified
                       : value == "required" ? smtp::TlsPolicy::kRequired
                       : value == "none"   ? smtp::TlsPolicy::kNone
                                           : smtp::TlsPolicy::kOpportunistic;
      } else if (const auto limit = kLimits.find(name); limit != kLimits.end()) {
        limits_ += fmt::format("* ip {}={}\n", limit->second, value);
      } else if (name == "report-age") {
        options_.report_age = std::chrono::duration_cast<std::chrono::days>(duration(value));
      } else if (name == "max-age") {
        options_.max_age = std::chrono::duration_cast<std::chrono::seconds>(duration(value));
      } else if (name == "allowed-targets") {
        options_.allowed_targets = split(value, ',');
      } else if (name == "own-names") {
        options_.own_names = split(value, ',');
      } else if (name == "relay" || name == "lmtp-relay") {
        const std::size_t colon = value.find(':');
        options_.relays.push_back({value.substr(0, colon),
                                   {.hosts = {{.host = value.substr(colon + 1),
                                               .port = static_cast<std::uint16_t>(name == "relay" ? 25 : 24)}},
                                    .protocol = name == "relay" ? smtp::Protocol::kSmtp : smtp::Protocol::kLmtp}});
      } else if (name == "zone") {
        const auto zone = Zone::parse(value);
        if (!zone) fail(zone.error().detail);
        options_.zone = *zone;
      } else if (name == "on-unknown") {
        on_unknown_ = value == "hold" ? OnUnknown::kHold : value == "drop" ? OnUnknown::kDrop : OnUnknown::kResend;
      } else {
        fail(fmt::format("no option '{}'", name));
      }
    }
  }

  // limits PROVIDER SUBJECT NAME=VALUE...: a line of docs/limits.md; later on, a change while running.
  void limits(const Words&, const std::string& rest) {
    if (engine_ == nullptr) {
      limits_ += rest + "\n";
      return;
    }
    settings_ = std::make_shared<warming::Settings>(*settings_);
    check(settings_->add(rest, "scenario"));
    engine_->change(settings_);
  }

  static warming::Overflow overflow(const std::string& name) {
    for (int i = 0; i <= static_cast<int>(warming::Overflow::kFail); ++i) {
      if (warming::to_string(static_cast<warming::Overflow>(i)) == name) return static_cast<warming::Overflow>(i);
    }
    fail(fmt::format("no overflow policy '{}'", name));
  }

  // pool NAME [overflow=warm|pool|wait|send_anyway|fail] [to=POOL] [hold=2h] [then=...] [engaged=yes]
  void pool(const Words& words, const std::string&) {
    PoolOptions& pool = options_.pools[words.at(1)];
    for (const auto& [name, value] : attributes(words, 2)) {
      if (name == "overflow") {
        pool.overflow.when = overflow(value);
      } else if (name == "then") {
        pool.overflow.then = overflow(value);
      } else if (name == "to") {
        pool.overflow.pool = value;
      } else if (name == "hold") {
        pool.overflow.hold_max = duration(value);
      } else if (name == "engaged") {
        pool.engaged_only = warming::EngagedOnly{};
      } else {
        fail(fmt::format("no pool attribute '{}'", name));
      }
    }
  }

  // sts DOMAIN MODE MX...: publishes an MTA-STS policy under a new id; sts DOMAIN gone: its page is. Before the first
  // mail for the first time.
  void sts(const Words& words, const std::string&) {
    world_.policies = true;
    const std::string& domain = words.at(1);
    if (words.at(2) == "gone") {
      world_.pages.erase("mta-sts." + domain);
    } else {
      std::string policy = fmt::format("version: STSv1\nmode: {}\nmax_age: 604800\n", words[2]);
      for (std::size_t i = 3; i < words.size(); ++i) policy += "mx: " + words[i] + "\n";
      world_.pages["mta-sts." + domain] = {.status = 200, .content_type = "text/plain", .body = policy};
    }
    world_.texts["_mta-sts." + domain] = {fmt::format("v=STSv1; id={}", ++sts_id_)};
  }

  // tls-override DOMAIN none|opportunistic|required|verified
  void tls_override(const Words& words, const std::string&) {
    static const std::map<std::string, smtp::TlsPolicy> kPolicies{{"none", smtp::TlsPolicy::kNone},
                                                                  {"opportunistic", smtp::TlsPolicy::kOpportunistic},
                                                                  {"required", smtp::TlsPolicy::kRequired},
                                                                  {"verified", smtp::TlsPolicy::kVerified}};
    options_.tls_policies.overrides[words.at(1)] = {.policy = kPolicies.at(words.at(2))};
  }

  // tls-report DOMAIN policy=sts successful=N failed=N [type=certificate-expired]: the report since the last such line.
  void tls_report(const Words& words, const std::string&) {
    auto given = attributes(words, 2);
    for (const smtp::TlsReport& report : engine().take_tls_reports()) reports_.insert_or_assign(report.domain, report);
    const auto found = reports_.find(words.at(1));
    if (found == reports_.end()) fail(fmt::format("no TLS report about {}", words[1]));
    for (const smtp::TlsReportPolicy& policy : found->second.policies) {
      if (policy.type != given["policy"]) continue;
      const std::string type = policy.details.empty() ? "" : std::string(to_string(policy.details.front().type));
      if (policy.successful != static_cast<std::uint64_t>(number(given["successful"])) ||
          policy.failed != static_cast<std::uint64_t>(number(given["failed"])) || type != given["type"]) {
        fail(fmt::format("successful={} failed={} type={}", policy.successful, policy.failed, type));
      }
      return;
    }
    fail(fmt::format("its report has no policy of type {}", given["policy"]));
  }

  void egress(const Words& words, const std::string&) {
    EgressIp ip{.address = words.at(1), .ehlo_name = words.at(2)};
    for (const auto& [name, value] : attributes(words, 3)) {
      if (name == "pool") {
        ip.pool = value;
      } else if (name == "daily") {
        warming::Curve curve{.name = "scenario", .daily = {}};
        for (const std::string& day : split(value, ',')) curve.daily.push_back(static_cast<std::uint64_t>(number(day)));
        ip.curve = curve;
      } else {
        fail(fmt::format("no egress attribute '{}'", name));
      }
    }
    options_.egress.push_back(ip);
  }

  void dns(const Words&, const std::string& rest) {
    for (const std::string& record : split(rest, ';')) {
      const Words words = split(record, ' ');
      const std::string& name = words.at(0);
      const std::string& type = words.at(1);
      if (type == "MX") {
        world_.mx[name].push_back({static_cast<std::uint16_t>(number(words.at(2))), words.at(3)});
      } else if (type == "A" || type == "AAAA") {
        world_.addresses[name].push_back(*net::IpAddress::parse(words.at(2)));
        world_.receivers[words.at(2)];
      } else if (type == "NULLMX") {
        world_.mx[name] = {{0, ""}};
      } else if (type == "FAILS") {
        world_.broken[name] = net::DnsStatus::kFailed;
      } else if (type == "MOVES") {
        world_.mx[name] = {{10, words.at(2)}};
      } else if (type == "SECURE" || type == "BOGUS") {
        world_.policies = true;
        (type == "SECURE" ? world_.secure : world_.bogus).insert(name);
      } else if (type == "TLSA") {  // Of a host: about its certificate (right), or not.
        world_.policies = true;
        world_.tlsa["_25._tcp." + name] = {{3, 1, 1, words.at(2) == "right" ? kRightKey : std::string(32, 'w')}};
      } else if (type == "WORKS") {
        world_.broken.erase(name);
      } else {
        fail(fmt::format("no record type '{}'", type));
      }
    }
  }

  void host(const std::string& name, const std::string& rest) {
    Receiver& host = receiver(name);
    for (const std::string& part : split(rest, ';')) {
      const Words words = split(part, ' ');
      if (words[0] == "on") {
        const std::size_t colon = part.find(": ");
        if (colon == std::string::npos) fail("'on STAGE: what' expected");
        std::deque<Action> actions;
        for (const std::string& each : split(part.substr(colon + 2), std::string(" then "))) actions.push_back(action(each));
        const Words when = split(part.substr(2, colon - 2), ' ');
        if (when.size() == 2) {
          host.by_recipient[when[1]] = actions.front();
        } else {
          host.script[when.at(0)] = std::move(actions);
        }
      } else if (words[0] == "starttls") {
        host.start_tls = true;
      } else if (words[0] == "certificate") {
        static const std::map<std::string, net::TlsFailure> kFailures{{"good", net::TlsFailure::kNone},
                                                                      {"expired", net::TlsFailure::kExpired},
                                                                      {"wrong-name", net::TlsFailure::kNameMismatch},
                                                                      {"self-signed", net::TlsFailure::kSelfSigned}};
        host.certificate = kFailures.at(words.at(1));
      } else if (words[0] == "no-pipelining") {
        host.pipelining = false;
      } else if (words[0] == "chunking") {
        host.chunking = true;
      } else if (words[0] == "no-8bitmime") {
        host.eight_bit_mime = false;
      } else if (words[0] == "dsn") {
        host.dsn = true;
      } else if (words[0] == "requiretls") {
        host.require_tls = true;
      } else if (words[0] == "hates-overlap") {
        host.hates_overlap = true;
      } else if (words[0] == "latency") {
        host.latency = duration(words.at(1));
      } else if (words[0] == "connections") {
        host.connections_max = static_cast<int>(number(words.at(1)));
      } else if (words[0] == "recipients") {
        host.recipients_max = static_cast<std::size_t>(number(words.at(1)));
      } else if (words[0] == "messages") {
        host.messages_per_connection = static_cast<int>(number(words.at(1)));
      } else {
        fail(fmt::format("a host cannot '{}'", words[0]));
      }
    }
  }

  // Acting -----------------------------------------------------------------------------------------------------------

  void submit(const Words& words, const std::string&) {
    auto given = attributes(words, 2);
    Message message{.sender = *Address::parse(given["from"]), .recipients = {}, .data = {}};
    for (const std::string& to : recipients(given["to"])) message.recipients.push_back(*Address::parse(to));
    message.data = "From: " + given["from"] + "\r\nSubject: " + words.at(1) + "\r\n\r\nHello\r\n";
    if (given["body"] == "8bit") message.data += "Gr\xc3\xbc\xc3\x9f Gott, it is written here.\r\n";
    if (given["body"] == "signed") {
      message.data = "From: " + given["from"] +
                     "\r\nMIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nGr\xc3\xbc\xc3\x9f "
                     "Gott\r\n--b\r\n\r\nsignature\r\n--b--\r\n";
    }
    message.require_tls = given["require-tls"] == "yes";
    message.envid = given["envid"];
    if (given["ret"] == "hdrs") message.ret = smtp::DsnReturn::kHeaders;
    if (given["notify"] == "never") message.reports.assign(message.recipients.size(), {.notify = smtp::kNotifyNever});
    message.account = given["account"];
    message.on_unknown = on_unknown_;
    if (given.contains("pool")) message.pool = given["pool"];
    if (given["priority"] == "bulk") message.priority = Priority::kBulk;
    auto id = engine().submit(std::move(message));
    if (!id) fail(id.error().detail);
    jobs_[words[1]] = id->str();
    names_[id->str()] = words[1];
  }

  void campaign(const Words& words, const std::string&) {
    auto given = attributes(words, 2);
    const std::string& id = words.at(1);
    auto content = make_campaign_content(
        {.headers = {{"Subject", "Hello {{ mb_address }}"}}, .text = "Hello {{ mb_address }}", .html = {}, .attachments = {}},
        {.unsubscribe_url = "https://sender.example/u/{{ mb_token }}",
         .unsubscribe_mailto = "unsubscribe+{{ mb_token }}@sender.example",
         .list_id = "list.sender.example"});
    if (!content) fail(content.error().detail);
    Campaign campaign{.id = id,
                      .account = given["account"],
                      .content = *content,
                      .from = *NamedAddress::parse("News <news@" + (given.contains("from") ? given["from"] : "sender.example") + ">"),
                      .return_path_domain = "bounce.sender.example",
                      .on_unknown = on_unknown_};
    if (given.contains("pool")) campaign.pool = given["pool"];
    if (given["priority"] == "transactional") campaign.priority = Priority::kTransactional;
    if (given.contains("attempts")) campaign.attempts_max = static_cast<int>(number(given["attempts"]));
    set_schedule(given, campaign.schedule);
    Rows rows(recipients(given["to"]), given.contains("zones") ? "zone" : "days_since_click",
              split(given.contains("zones") ? given["zones"] : given["clicked"], ','));
    jobs_[id] = names_[id] = id;
    if (auto started = engine().start(std::move(campaign), rows); !started) fail(started.error().detail);
  }

  // start=2h not-after=3d windows=mon-fri_09:00-17:00 zone=RULE zones=+02:00,-05:00: from now; `zones` is what the rows
  // say.
  void set_schedule(Attributes& given, Schedule& schedule) {
    if (given.contains("start")) schedule.start_at = world_.loop.now() + duration(given["start"]);
    if (given.contains("not-after")) schedule.not_after = world_.loop.now() + duration(given["not-after"]);
    if (given.contains("zones")) schedule.zone_field = "zone";
    if (given.contains("zone")) {
      const auto zone = Zone::parse(given["zone"]);
      if (!zone) fail(zone.error().detail);
      schedule.zone = *zone;
    }
    std::replace(given["windows"].begin(), given["windows"].end(), '_', ' ');
    auto windows = Schedule::parse_windows(given["windows"]);
    if (!windows) fail(windows.error().detail);
    schedule.windows = *std::move(windows);
  }

  // warm COMMAND IP PROVIDER [VALUE]; warm resume-domain DOMAIN PROVIDER.
  void warm(const Words& words, const std::string&) {
    if (words.at(1) == "resume-domain") return check(engine().resume_domain(words.at(2), words.at(3)));
    for (int i = 0; i <= static_cast<int>(warming::Command::kRepeatDay); ++i) {
      const auto command = static_cast<warming::Command>(i);
      if (warming::to_string(command) != words.at(1)) continue;
      const std::uint64_t value = words.size() > 4 ? static_cast<std::uint64_t>(number(words[4])) : 0;
      return check(engine().command(words.at(2), words.at(3), command, value));
    }
    fail(fmt::format("no command '{}'", words[1]));
  }

  // decision KIND [ip=A] [rule=R] [provider=P]: one that no line has named yet was made.
  void decision(const Words& words, const std::string&) {
    world_.loop.run_until(world_.loop.now() + std::chrono::milliseconds(10));
    auto given = attributes(words, 2);
    auto& decisions = collector_->decisions;
    const auto found = std::find_if(decisions.begin(), decisions.end(), [&](const warming::Decision& each) {
      return warming::to_string(each.kind) == words.at(1) && (!given.contains("ip") || each.ip == given["ip"]) &&
             (!given.contains("rule") || each.rule == given["rule"]) &&
             (!given.contains("provider") || each.provider == given["provider"]);
    });
    if (found == decisions.end()) {
      std::string made;
      for (const warming::Decision& each : decisions) made += "\n  " + each.str();
      fail(fmt::format("no such decision; there are:{}", made));
    }
    decisions.erase(found);
  }

  // explain IP PROVIDER [state=] [cap=] [used=] [day=] [connections=]
  void explain(const Words& words, const std::string&) {
    const auto is = engine().explain(words.at(1), words.at(2));
    if (!is) fail(is.error().detail);
    const std::map<std::string, std::string> values{{"state", std::string(warming::to_string(is->state))},
                                                    {"cap", std::to_string(is->cap)},
                                                    {"used", std::to_string(is->used)},
                                                    {"day", std::to_string(is->day)},
                                                    {"connections", std::to_string(is->connections)}};
    for (const auto& [name, value] : attributes(words, 3)) {
      if (values.at(name) != value) fail(fmt::format("{} is {}: {}", name, values.at(name), is->str()));
    }
  }

  // finish NAME after=20h before=3d bound=WORDS_WITH_UNDERSCORES: from now.
  void finish(const Words& words, const std::string&) {
    auto given = attributes(words, 2);
    const auto now = engine().status(job(words.at(1)));
    if (!now) fail(now.error().detail);
    if (now->finish.has_value() == given.contains("none")) fail(now->finish ? "it has a finish date" : "it has no finish date");
    const Duration left = now->finish ? *now->finish - world_.loop.now() : Duration(0);
    std::string bound = now->finish_bound;
    std::replace(bound.begin(), bound.end(), ' ', '_');
    if (given.contains("after") && left < duration(given["after"])) fail(fmt::format("in {} s", left / std::chrono::seconds(1)));
    if (given.contains("before") && left > duration(given["before"])) fail(fmt::format("in {} s", left / std::chrono::seconds(1)));
    if (given.contains("bound") && bound != given["bound"]) fail(fmt::format("its bound is '{}'", bound));
  }

  void control(const Words& words, const std::string&) {
    const std::string id = job(words.at(1));
    check(words[0] == "pause"    ? engine().pause(id)
          : words[0] == "resume" ? engine().resume(id)
          : words[0] == "forget" ? engine().forget(id)
                                 : engine().cancel(id));
  }

  // fail FILTER, hold FILTER, release FILTER, move FILTER POOL, drain IP. A filter is as QueueFilter::parse() takes it,
  // or "all".
  void queue(const Words& words, const std::string&) {
    if (words[0] == "drain") return check(engine().drain_egress(words.at(1)));
    const auto filter = QueueFilter::parse(words.at(1) == "all" ? "" : words[1]);
    if (!filter) fail(filter.error().detail);
    if (words[0] == "move") {
      if (auto moved = engine().move(*filter, words.at(2)); !moved) fail(moved.error().detail);
      return;
    }
    const auto changed = words[0] == "fail"   ? engine().fail(*filter, "operator")
                         : words[0] == "hold" ? engine().hold(*filter, "operator")
                                              : engine().release(*filter);
    if (!changed) fail(changed.error().detail);
  }

  void suppress(const Words& words, const std::string&) {
    const std::string account = words.size() > 2 ? attributes(words, 2)["account"] : "";
    check(engine().suppress(account, *Address::parse(words.at(1)), SuppressionReason::kManual));
  }

  // The return path of the mail of campaign `id` to `to` that some receiver took; nothing: none did.
  std::string return_path(const std::string& id, const std::string& to) const {
    for (const auto& [address, receiver] : world_.receivers) {
      for (const Receiver::Mail& mail : receiver.mails) {
        if (std::ranges::find(mail.recipients, to) != mail.recipients.end() &&
            mail.data.find("Feedback-ID: " + id + ":") != std::string::npos)
          return mail.from;
      }
    }
    fail(fmt::format("no receiver took mail of {} to {}", id, to));
  }

  // inbound WHAT NAME to=ADDRESS [status=5.1.1] [text=WORDS_WITH_UNDERSCORES] [type=abuse] [address=A]
  // [token=forged|none] [trusted=ACCOUNT] [expect=ATTRIBUTION] [repeated=yes] [suppresses=ADDRESS]: such a report about
  // the mail of that campaign to that recipient comes in.
  void inbound(const Words& words, const std::string&) {
    auto given = attributes(words, 3);
    Returned returned{.to = given["to"], .return_path = return_path(job(words.at(2)), given["to"])};
    if (given["token"] == "forged") {
      char& changed = returned.return_path[20];
      changed = changed == 'a' ? 'b' : 'a';
    } else if (given["token"] == "none") {
      returned.return_path = "news@sender.example";
    }
    if (given.contains("status")) returned.status = given["status"];
    if (given.contains("address")) returned.reported = given["address"];
    if (given.contains("type")) returned.feedback_type = given["type"];
    if (given.contains("text")) returned.text = given["text"];
    std::replace(returned.text.begin(), returned.text.end(), '_', ' ');
    const ReturnedMail mail = make_returned(words.at(1), returned);
    if (mail.data.empty()) fail(fmt::format("nothing of the kind '{}' comes back", words[1]));
    const auto report = engine().inbound(mail.data, {.recipient = mail.recipient,
                                                     .trust_unsigned = given.contains("trusted"),
                                                     .account = given["trusted"]});
    if (!report) fail(report.error().detail);
    expect_report(*report, given);
  }

  static void expect_report(const InboundReport& report, Attributes& given) {
    const std::string suppressed = report.suppressed.empty() ? "" : report.suppressed.front();
    if (given.contains("expect") && to_string(report.attribution) != given["expect"]) {
      fail(fmt::format("its attribution is {}", to_string(report.attribution)));
    }
    if (report.repeated != (given["repeated"] == "yes")) fail(report.repeated ? "it is repeated" : "it is not repeated");
    if (given.contains("suppresses") && suppressed != given["suppresses"]) fail(fmt::format("it suppresses '{}'", suppressed));
  }

  // returned NAME late_bounces=N complaints=N unsubscribed=N auto_replies=N: rows of which that came back.
  void returned(const Words& words, const std::string&) {
    const auto now = engine().status(job(words.at(1)));
    if (!now) fail(now.error().detail);
    const std::map<std::string, std::uint64_t> is{{"late_bounces", now->late_bounces},
                                                  {"complaints", now->complaints},
                                                  {"unsubscribed", now->unsubscribed},
                                                  {"auto_replies", now->auto_replies}};
    for (const auto& [name, value] : attributes(words, 2)) {
      if (!is.contains(name)) fail(fmt::format("nothing is counted as '{}'", name));
      if (is.at(name) != static_cast<std::uint64_t>(number(value))) fail(fmt::format("{} is {}", name, is.at(name)));
    }
  }

  // suppressed ADDRESS [account=A] [reason=R]; without a reason: it is not.
  void suppressed(const Words& words, const std::string&) {
    auto given = attributes(words, 2);
    const auto found = engine().suppressed(given["account"], *Address::parse(words.at(1)));
    const std::string reason = found ? std::string(to_string(found->reason)) : "";
    if (reason != given["reason"]) fail(fmt::format("{} is suppressed for '{}', not '{}'", words[1], reason, given["reason"]));
  }

  void time(const Words& words, const std::string&) {
    world_.loop.run_until(world_.loop.now() + duration(words.at(1).substr(1)));
  }

  // Expecting --------------------------------------------------------------------------------------------------------

  static std::string describe(const Event& event) {
    return fmt::format("{} {} to={} attempt={} {} class={} egress={} mx={}", event.job, to_string(event.kind),
                       event.recipient, event.attempt, event.outcome.str(), bounce::to_string(event.verdict.klass),
                       event.egress, event.mx_host);
  }

  static std::string attribute(const Event& event, const std::string& name) {
    if (name == "to") return event.recipient;
    if (name == "attempt") return std::to_string(event.attempt);
    if (name == "stage") return std::string(to_string(event.outcome.stage));
    if (name == "cause") return std::string(to_string(event.outcome.cause));
    if (name == "code") return std::to_string(event.outcome.reply.code);
    if (name == "class") return std::string(bounce::to_string(event.verdict.klass));
    if (name == "egress") return event.egress;
    if (name == "mx") return event.mx_host;
    if (name == "tls") return event.tls ? "yes" : "no";
    if (name == "verified") {
      return event.tls_verified == net::TlsVerify::kDane ? "dane" : event.tls_verified == net::TlsVerify::kWebPki ? "web" : "no";
    }
    if (name == "provider") return event.provider;
    fail(fmt::format("an event has no '{}'", name));
  }

  std::optional<std::size_t> find(const std::string& id, const std::string& kind, const Attributes& expected) const {
    for (std::size_t i = 0; i < collector_->events.size(); ++i) {
      const Event& event = collector_->events[i];
      if (seen_.contains(i) || event.job != id) continue;
      const auto to = expected.find("to");
      if (to != expected.end() && event.recipient != to->second) continue;
      // A message's events are expected in their order; among a campaign's recipients there is none.
      if (to == expected.end() && names_.at(id) == id && to_string(event.kind) != kind) continue;
      return i;
    }
    return std::nullopt;
  }

  // event NAME KIND [xN] [attribute=value...]: the next N of its events are so; they come within two seconds.
  void event(const Words& words, const std::string&) {
    const bool many = words.size() > 3 && words[3][0] == 'x' && words[3].find('=') == std::string::npos;
    const Attributes expected = attributes(words, many ? 4 : 3);
    const std::string id = job(words.at(1));
    const bool all = many && words[3] == "x*";
    if (all) world_.loop.run_until(world_.loop.now() + std::chrono::seconds(2));
    for (long times = all ? 1'000'000 : many ? number(words[3].substr(1)) : 1; times > 0; --times) {
      std::optional<std::size_t> found = find(id, words.at(2), expected);
      if (all && !found) return;
      world_.loop.run_until(world_.loop.now() + std::chrono::seconds(2), [&] {
        found = find(id, words.at(2), expected);
        return found.has_value();
      });
      if (!found) fail(fmt::format("no further event '{}' of {}{}", words[2], words[1], status(id)));
      const Event& event = collector_->events[*found];
      seen_.insert(*found);
      if (to_string(event.kind) != words[2]) fail("another event came: " + describe(event));
      for (const auto& [name, value] : expected) {
        if (attribute(event, name) != value) fail(fmt::format("{} is not {}: {}", name, value, describe(event)));
      }
    }
  }

  std::string status(const std::string& id) {
    const auto status = engine().status(id);
    if (!status) return "";
    std::string text = "; rows:";
    for (std::size_t i = 0; i < spool::kStateCount; ++i) {
      if (status->counts[i] > 0) {
        text += fmt::format(" {} {}", status->counts[i], spool::to_string(static_cast<spool::State>(i)));
      }
    }
    return text;
  }

  void no_event(const Words&, const std::string&) {
    world_.loop.run_until(world_.loop.now() + std::chrono::seconds(2));
    for (std::size_t i = 0; i < collector_->events.size(); ++i) {
      if (!seen_.contains(i)) fail("an event came: " + describe(collector_->events[i]));
    }
  }

  void count(const Words& words, const std::string&) {
    const std::string id = job(words.at(1));
    const auto now = engine().status(id);
    if (!now) fail(now.error().detail);
    for (const auto& [name, value] : attributes(words, 2)) {
      std::uint64_t rows = 0;
      for (std::size_t i = 0; i < spool::kStateCount; ++i) {
        if (spool::to_string(static_cast<spool::State>(i)) == name) rows = now->counts[i];
      }
      if (rows != static_cast<std::uint64_t>(number(value))) fail(fmt::format("{} is {}{}", name, rows, status(id)));
    }
  }

  void wire(const Words& words, const std::string&) {
    const Receiver& host = receiver(words.at(1));
    for (const auto& [name, value] : attributes(words, 2)) {
      std::string is;
      if (name == "mails") is = std::to_string(host.mails.size());
      if (name == "recipients") {
        is = std::to_string(
            std::accumulate(host.mails.begin(), host.mails.end(), std::size_t{0},
                            [](std::size_t sum, const auto& mail) { return sum + mail.recipients.size(); }));
      }
      if (name == "connections") is = std::to_string(host.connections_seen);
      if (name == "open") is = std::to_string(host.connections);
      if (name.starts_with("from:")) {
        is = std::to_string(std::count_if(host.mails.begin(), host.mails.end(), [&](const Receiver::Mail& mail) {
          return mail.client == name.substr(5);
        }));
      }
      if (name == "tls") is = !host.mails.empty() && host.mails.back().tls ? "yes" : "no";
      if (name == "said") {
        is = !host.mails.empty() && host.mails.back().envelope.find(value) != std::string::npos ? value : "(not there)";
      }
      if (name == "unsaid") {
        is = host.mails.empty() || host.mails.back().envelope.find(value) == std::string::npos ? value : "(there)";
      }
      if (name == "contains") {
        is = !host.mails.empty() && host.mails.back().data.find(value) != std::string::npos ? value : "(not there)";
      }
      if (is != value) fail(fmt::format("{} at {} is {}, not {}", name, words[1], is, value));
    }
  }

  void never(const Words& words, const std::string&) {
    if (receiver(words.at(1)).commands_seen.contains(words.at(2))) fail(fmt::format("{} got {}", words[1], words[2]));
  }

  std::uint64_t seed_;
  Storage storage_;
  World world_;
  EngineOptions options_{.egress = {}};
  OnUnknown on_unknown_ = OnUnknown::kResend;
  std::shared_ptr<warming::Settings> settings_ = std::make_shared<warming::Settings>();
  std::string limits_;  // Lines for it.
  int sts_id_ = 0;
  std::map<std::string, smtp::TlsReport> reports_;
  std::shared_ptr<Collector> collector_ = std::make_shared<Collector>();
  std::unique_ptr<Engine> engine_;
  std::map<std::string, std::string> jobs_{{"nobody", ""}};   // Name -> id. "nobody" has the events of no campaign.
  std::map<std::string, std::string> names_{{"", "nobody"}};  // Id -> name.
  std::set<std::size_t> seen_;                 // Indices of the events that a line accounted for.
  std::string transcript_;
};

}  // namespace

std::optional<ScenarioFailure> run_scenario(const std::string& text, std::uint64_t seed, Storage storage) {
  Runner runner(seed, storage);
  std::istringstream in(text);
  int number = 0;
  try {
    for (std::string line; std::getline(in, line);) {
      ++number;
      line = trimmed(line.substr(0, line.find('#')));
      if (!line.empty()) runner.line(line);
    }
    runner.end();
  } catch (const std::exception& error) {
    return ScenarioFailure{number, error.what(), runner.transcript()};
  }
  return std::nullopt;
}

}  // namespace mailsbuddy::sim
