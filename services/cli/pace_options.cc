// What `send` and `listen` are told of pace: curves of IPs, limits, and what becomes of what cold IPs do not take.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "services/cli/engine_options.h"
#include "services/cli/say.h"
#include "services/cli/zone.h"

namespace mailsbuddy::cli {
namespace {

constexpr std::string_view kNamedPool = "pool:";

Error invalid(std::string detail) { return {ErrorCode::kInvalidArgument, std::move(detail)}; }

Result<void> add_curves(const std::vector<std::string>& given, std::vector<EgressIp>& egress) {
  for (const std::string& each : given) {
    const std::size_t equals = each.find('=');
    if (equals == std::string::npos) return invalid(fmt::format("--warm {}: IP=CURVE is expected", each));
    const auto ip = std::find_if(egress.begin(), egress.end(),
                                 [&](const EgressIp& one) { return one.address == each.substr(0, equals); });
    if (ip == egress.end()) return invalid(fmt::format("--warm {}: no --egress has that IP", each));
    auto curve = warming::Curve::parse(std::string_view(each).substr(equals + 1));
    if (!curve) return about("--warm " + each, curve.error());
    ip->curve = *std::move(curve);
  }
  return {};
}

Result<warming::OverflowPolicy> overflow_policy(const PaceOptions& options) {
  using warming::Overflow;
  warming::OverflowPolicy policy{.hold_max = std::chrono::seconds(options.hold_seconds)};
  if (options.overflow.starts_with(kNamedPool)) {
    policy.when = Overflow::kNamedPool;
    policy.pool = options.overflow.substr(kNamedPool.size());
    return policy;
  }
  for (const Overflow each : {Overflow::kWarmIps, Overflow::kWait, Overflow::kSendAnyway, Overflow::kFail}) {
    if (warming::to_string(each) != options.overflow) continue;
    policy.when = each;
    return policy;
  }
  return invalid(
      fmt::format("--overflow {}: warm, wait, send_anyway, fail or pool:NAME is expected", options.overflow));
}

}  // namespace

void add_pace_options(CLI::App& app, PaceOptions& options, bool rows) {
  const auto seconds =
      CLI::AsNumberWithUnit(std::map<std::string, std::int64_t>{{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86'400}},
                            CLI::AsNumberWithUnit::CASE_SENSITIVE);
  app.add_option("--warm", options.warm,
                 "A new IP and its warm-up curve, IP=CURVE (see mailsbuddy warm presets); may be given again")
      ->group("Pace");
  app.add_option("--limits", options.limits_file, "Limits and thresholds besides the shipped ones (docs/limits.md)")
      ->group("Pace");
  app.add_option("--overflow", options.overflow,
                 "What cold IPs do not take: warm (the pool's warm IPs), wait, send_anyway, fail, pool:NAME")
      ->capture_default_str()
      ->group("Pace");
  app.add_option("--hold", options.hold_seconds,
                 "The longest wait for that, for example 12h; then it is sent anyway. Default: until it expires")
      ->transform(seconds)
      ->group("Pace");
  if (rows)
    app.add_option("--engaged", options.engaged_field,
                   "Cold IPs are for recipients who clicked lately: the column with the days since")
        ->group("Pace");
  app.add_option("--zone", options.zone, std::string(kZoneHelp))->capture_default_str()->group("Pace");
  app.add_flag("--fixed-pace", options.fixed, "Keep to limits and curves alone, whatever comes back")->group("Pace");
  app.add_option("--pace-report", options.report_file, "Keep in this file how each IP stands at each provider, and why")
      ->group("Pace");
}

Result<void> apply_pace(const PaceOptions& options, const std::string& said, EngineOptions& engine) {
  auto text = options.limits_file.empty() ? Result<std::string>(std::string()) : read_file(options.limits_file);
  if (!text) return about("--limits", text.error());
  auto settings = settings_reader(said, engine.egress)(*text, options.limits_file);
  if (!settings) return std::move(settings).error();
  engine.settings = *std::move(settings);
  if (auto added = add_curves(options.warm, engine.egress); !added) return added;
  auto policy = overflow_policy(options);
  if (!policy) return std::move(policy).error();
  PoolOptions pool{.overflow = *std::move(policy)};
  if (!options.engaged_field.empty()) pool.engaged_only = warming::EngagedOnly{.field = options.engaged_field};
  const auto of_default = [](const EgressIp& ip) { return ip.pool == "default"; };
  if (std::any_of(engine.egress.begin(), engine.egress.end(), of_default)) engine.pools["default"] = std::move(pool);
  auto zone = load_zone(options.zone);
  if (!zone) return about("--zone", zone.error());
  engine.zone = *std::move(zone);
  engine.adaptive = !options.fixed;
  return {};
}

ReadSettings settings_reader(const std::string& said, const std::vector<EgressIp>& egress) {
  std::string of_ips;
  for (const EgressIp& ip : egress) {
    if (!said.empty()) of_ips += fmt::format("* ip:{}{}\n", ip.address, said);
  }
  return [of_ips](std::string_view text,
                  std::string_view file) -> Result<std::shared_ptr<const warming::Settings>> {
    auto settings = std::make_shared<warming::Settings>(warming::Settings::shipped());
    if (auto added = settings->add(text, file); !added) return added.error();
    if (auto added = settings->add(of_ips, "command line"); !added) return added.error();
    return std::shared_ptr<const warming::Settings>(std::move(settings));
  };
}

void PaceReport::refresh(const Engine& engine, bool at_once) {
  const auto now = std::chrono::steady_clock::now();
  if (file_.empty() || (now < next_ && !at_once)) return;
  next_ = now + std::chrono::seconds(5);
  std::string text;
  for (const warming::Explanation& each : engine.paces()) text += each.str() + "\n";
  if (auto written = write_whole(file_, text); !written) say("warning: --pace-report: {}\n", written.error().detail);
}

}  // namespace mailsbuddy::cli
