// What `send` is told of pace: curves of IPs, limits, and what becomes of what cold IPs do not take.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "services/cli/engine_options.h"
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

void add_pace_options(CLI::App& app, PaceOptions& options) {
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
  app.add_option("--engaged", options.engaged_field,
                 "Cold IPs are for recipients who clicked lately: the column with the days since")
      ->group("Pace");
  app.add_option("--zone", options.zone, std::string(kZoneHelp))->capture_default_str()->group("Pace");
  app.add_flag("--fixed-pace", options.fixed, "Keep to limits and curves alone, whatever comes back")->group("Pace");
  app.add_option("--pace-report", options.report_file, "Keep in this file how each IP stands at each provider, and why")
      ->group("Pace");
}

Result<void> apply_pace(const PaceOptions& options, const std::string& said, EngineOptions& engine) {
  auto settings = std::make_shared<warming::Settings>(warming::Settings::shipped());
  if (!options.limits_file.empty()) {
    auto text = read_file(options.limits_file);
    if (!text) return about("--limits", text.error());
    if (auto added = settings->add(*text, options.limits_file); !added) return added;
  }
  for (const EgressIp& ip : engine.egress) {
    if (said.empty()) break;
    if (auto added = settings->add(fmt::format("* ip:{}{}", ip.address, said), "command line"); !added) return added;
  }
  engine.settings = std::move(settings);
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

}  // namespace mailsbuddy::cli
