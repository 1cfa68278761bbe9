#include "services/cli/way_options.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/Option.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "services/cli/engine_options.h"

namespace mailsbuddy::cli {
namespace {

// "name=value"; an empty name: there is no "=".
std::pair<std::string, std::string> split(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos) return {};
  return {text.substr(0, equals), text.substr(equals + 1)};
}

Error bad(std::string_view option, std::string_view why) {
  return {ErrorCode::kInvalidArgument, fmt::format("{}: {}", option, why)};
}

constexpr std::string_view kArrows[] = {"* ", "> ", "< "};
constexpr std::string_view kColours[] = {"\x1b[33m", "\x1b[36m", "\x1b[32m"};
constexpr std::string_view kKinds[] = {"step", "sent", "received"};

std::string clock_time(TimePoint time) {
  const auto milliseconds = std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch()).count();
  return fmt::format("{:%H:%M:%S}.{:03}", fmt::gmtime(static_cast<std::time_t>(milliseconds / 1000)),
                     milliseconds % 1000);
}

std::string line_of(const TraceRecord& record, bool json, bool colours) {
  const auto kind = static_cast<std::size_t>(record.kind);
  if (json) {
    const auto milliseconds = std::chrono::floor<std::chrono::milliseconds>(record.time.time_since_epoch()).count();
    return nlohmann::json{{"trace", kKinds[kind]},   {"time_ms", milliseconds},     {"connection", record.connection},
                          {"egress", record.egress}, {"provider", record.provider}, {"mx_host", record.mx_host},
                          {"remote", record.remote}, {"text", record.text}}
        .dump();
  }
  return fmt::format("{} #{} {} {} {}{}{}{}", clock_time(record.time), record.connection, record.egress,
                     record.mx_host.empty() ? record.remote : record.mx_host, colours ? kColours[kind] : "",
                     kArrows[kind], record.text, colours ? "\x1b[0m" : "");
}

}  // namespace

void add_way_options(CLI::App& app, WayOptions& options) {
  app.add_option("--proxy", options.proxies,
                 "An egress IP is behind a proxy: IP=socks5://[USER:PASSWORD@]IP:PORT or proxy://IP:PORT")
      ->group("Delivery");
  app.add_option(
         "--relay", options.relays,
         "Host of a domain instead of its MX: DOMAIN=smtp://[USER:PASSWORD@]HOST[:PORT], smtps://, lmtp://; *: all")
      ->group("Delivery");
  app.add_option("--allow-target", options.allowed_targets,
                 "A range that MX hosts may be in although it is loopback or private, for example 127.0.0.0/8")
      ->group("Delivery");
}

Result<void> apply(const WayOptions& options, EngineOptions& engine) {
  for (const std::string& each : options.proxies) {
    const auto [address, url] = split(each);
    const auto ip = std::ranges::find(engine.egress, address, &EgressIp::address);
    if (address.empty() || ip == engine.egress.end())
      return bad("--proxy", "IP=URL with an IP of --egress is expected");
    auto proxy = smtp::EgressProxy::parse(url);
    if (!proxy) return about("--proxy " + address, proxy.error());
    ip->proxy = *std::move(proxy);
  }
  for (const std::string& each : options.relays) {
    const auto [domain, url] = split(each);
    if (domain.empty()) return bad("--relay", "DOMAIN=URL is expected");
    auto relay = smtp::Relay::parse(url);
    if (!relay) return about("--relay " + domain, relay.error());
    engine.relays.push_back({domain, *std::move(relay)});
  }
  engine.allowed_targets = options.allowed_targets;
  return {};
}

TracePrinter::TracePrinter(std::unique_ptr<Tracing> tracing, bool json)
    : tracing_(std::move(tracing)), json_(json), colours_(!json && isatty(STDERR_FILENO) == 1), thread_([this] {
        while (!ending_) print();
      }) {}

TracePrinter::~TracePrinter() {
  ending_ = true;
  thread_.join();
  print();
}

void TracePrinter::print() {
  constexpr std::chrono::milliseconds kWait(100);
  for (const TraceRecord& record : tracing_->take(ending_ ? std::chrono::milliseconds(0) : kWait)) {
    fmt::print(stderr, "{}\n", line_of(record, json_, colours_));
  }
  if (const std::uint64_t dropped = tracing_->dropped(); dropped > 0) {
    fmt::print(stderr, "{}\n",
               json_ ? nlohmann::json{{"trace", "dropped"}, {"lines", dropped}}.dump()
                     : fmt::format("({} lines were dropped: they came faster than they could be written)", dropped));
  }
}

}  // namespace mailsbuddy::cli
