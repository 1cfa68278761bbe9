#include "services/cli/warm_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "mailsbuddy/net.h"
#include "mailsbuddy/warming.h"
#include "services/cli/csv_rows.h"
#include "services/cli/engine_options.h"
#include "services/cli/say.h"
#include "services/cli/send_command.h"
#include "services/cli/svg_chart.h"
#include "services/cli/warm_control.h"
#include "services/cli/zone.h"

namespace mailsbuddy::cli {
namespace {

using Json = nlohmann::ordered_json;
using warming::kNever;
using warming::kNoCap;

struct WarmOptions {
  std::string recipients;
  std::string address_column;
  std::string audience;
  std::string volume;
  int ips = 1;
  std::vector<std::string> addresses;
  std::string curve = "adaptive";
  std::string start;
  std::string zone = "UTC";
  std::string limits_file;
  std::string svg_file;
  bool each_ip = false;
  bool json = false;
  std::string provider;
  std::string ip;
  std::string control;
  std::uint64_t day = 1;
  std::string state_file;
  std::string preset;
};

Error invalid(std::string detail) { return {ErrorCode::kInvalidArgument, std::move(detail)}; }

Result<warming::Settings> load_settings(const std::string& file) {
  warming::Settings settings = warming::Settings::shipped();
  if (file.empty()) return settings;
  const auto text = read_file(file);
  if (!text) return about("--limits", text.error());
  if (auto added = settings.add(*text, file); !added) return about("--limits", added.error());
  return settings;
}

Result<std::uint64_t> volume_of(const WarmOptions& options) {
  const auto volume = messages_named(options.volume);
  if (!volume || *volume == 0)
    return invalid(fmt::format("--volume {}: a number of messages is expected; 500k and 5M are understood", options.volume));
  return *volume;
}

// ---------------------------------------------------------------------------------------------------------------------
// Who is to be reached

constexpr std::string_view kOther = "other";

// Mailbox providers by the domains that most of their users have. Other domains could only be told apart by their MX
// records; a plan does not ask DNS.
constexpr std::pair<std::string_view, std::string_view> kDomains[] = {
    {"gmail.com", "google"},
    {"googlemail.com", "google"},
    {"outlook.com", "microsoft"},
    {"hotmail.com", "microsoft"},
    {"live.com", "microsoft"},
    {"msn.com", "microsoft"},
    {"hotmail.co.uk", "microsoft"},
    {"hotmail.fr", "microsoft"},
    {"hotmail.it", "microsoft"},
    {"hotmail.de", "microsoft"},
    {"outlook.fr", "microsoft"},
    {"outlook.de", "microsoft"},
    {"yahoo.com", "yahoo"},
    {"ymail.com", "yahoo"},
    {"rocketmail.com", "yahoo"},
    {"aol.com", "yahoo"},
    {"yahoo.co.uk", "yahoo"},
    {"yahoo.fr", "yahoo"},
    {"yahoo.de", "yahoo"},
    {"yahoo.it", "yahoo"},
    {"yahoo.es", "yahoo"},
    {"yahoo.co.in", "yahoo"},
    {"yahoo.com.br", "yahoo"},
    {"verizon.net", "yahoo"},
    {"att.net", "yahoo"},
    {"sbcglobal.net", "yahoo"},
    {"icloud.com", "apple"},
    {"me.com", "apple"},
    {"mac.com", "apple"},
    {"comcast.net", "comcast"},
    {"gmx.de", "gmx"},
    {"gmx.net", "gmx"},
    {"web.de", "gmx"},
    {"t-online.de", "t-online"},
    {"orange.fr", "orange"},
    {"wanadoo.fr", "orange"},
    {"free.fr", "free"},
    {"mail.ru", "mailru"},
    {"qq.com", "qq"},
};

std::string_view provider_of_domain(std::string_view domain) {
  for (const auto& [name, provider] : kDomains) {
    if (name == domain) return provider;
  }
  return kOther;
}

using Audience = std::vector<warming::PlanRequest::Part>;

Result<Audience> audience_of_file(const WarmOptions& options) {
  auto rows = CsvRows::open(options.recipients, options.address_column, "/dev/null");
  if (!rows) return Error{rows.error().code, fmt::format("--recipients: {}", rows.error().detail)};
  std::map<std::string_view, std::uint64_t> counts;
  std::uint64_t all = 0, none = 0;
  while (true) {
    auto row = (*rows)->next();
    if (!row) return std::move(row).error();
    if (!*row) break;
    const auto address = Address::parse((*row)->address);
    none += address ? 0 : 1;
    if (!address) continue;
    ++counts[provider_of_domain(address->domain())];
    ++all;
  }
  if (all == 0) return invalid(fmt::format("{}: no valid address in it", options.recipients));
  if (none > 0) say("mailsbuddy warm plan: {}: left out, no valid address: {}\n", options.recipients, none);
  const auto volume = options.volume.empty() ? Result<std::uint64_t>(all) : volume_of(options);
  if (!volume) return volume.error();
  Audience audience;
  // Rounded where sums end, so that all parts together are the volume.
  const double factor = static_cast<double>(*volume) / static_cast<double>(all);
  std::uint64_t counted = 0, given = 0;
  for (const auto& [provider, count] : counts) {
    counted += count;
    const auto so_far = static_cast<std::uint64_t>(std::llround(static_cast<double>(counted) * factor));
    audience.push_back({{std::string(provider)}, so_far - given});
    given = so_far;
  }
  return audience;
}

std::optional<double> share_of(std::string_view text) {
  if (!text.ends_with('%')) return std::nullopt;
  text.remove_suffix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc() || end != text.data() + text.size() || !(value >= 0 && value <= 100)) return std::nullopt;
  return value / 100;
}

// "gmail=40%,outlook=30%"
Result<Audience> audience_of_shares(const WarmOptions& options) {
  if (options.volume.empty()) return invalid("--volume: how many messages is missing");
  const auto volume = volume_of(options);
  if (!volume) return volume.error();
  Audience audience;
  double sum = 0;
  std::uint64_t given = 0;
  std::istringstream parts(options.audience);
  for (std::string part; std::getline(parts, part, ',');) {
    const std::size_t equals = part.find('=');
    const auto share = equals == std::string::npos ? std::nullopt : share_of(std::string_view(part).substr(equals + 1));
    if (!share || equals == 0) return invalid(fmt::format("--audience \"{}\": PROVIDER=SHARE% is expected", part));
    auto provider = provider_named(part.substr(0, equals));
    if (!provider) return about(fmt::format("--audience \"{}\"", part), provider.error());
    const auto same = [&](const auto& each) { return each.provider.name == *provider; };
    if (std::any_of(audience.begin(), audience.end(), same))
      return invalid(fmt::format("--audience \"{}\": {} has a share already", part, *provider));
    sum += *share;
    const auto messages = static_cast<std::uint64_t>(std::llround(static_cast<double>(*volume) * *share));
    audience.push_back({{*std::move(provider)}, messages});
    given += messages;
  }
  if (audience.empty()) return invalid("--audience: empty");
  if (sum > 1.0001) return invalid(fmt::format("--audience: the shares are {:.4g} % together", sum * 100));
  if (sum < 0.9999) audience.push_back({{std::string(kOther)}, *volume - std::min(*volume, given)});
  return audience;
}

Result<TimePoint> start_of(const std::string& text, const Zone& zone) {
  if (text.empty()) return SystemClock().now();
  int year = 0;
  unsigned month = 0, day = 0;
  char rest = 0;
  if (std::sscanf(text.c_str(), "%4d-%2u-%2u%c", &year, &month, &day, &rest) != 3)
    return invalid(fmt::format("--start {}: YYYY-MM-DD is expected", text));
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month), std::chrono::day(day)};
  if (!date.ok() || year < 1970) return invalid(fmt::format("--start {}: there is no such day", text));
  if (year > 2199) return invalid(fmt::format("--start {}: no clock's changes are known after 2199", text));
  return zone.day_start(std::chrono::sys_days(date).time_since_epoch().count());
}

// ---------------------------------------------------------------------------------------------------------------------
// How it is told

std::string date(std::int64_t number) {
  const std::chrono::year_month_day day{std::chrono::sys_days(std::chrono::days(number))};
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(day.year()), static_cast<unsigned>(day.month()),
                     static_cast<unsigned>(day.day()));
}

std::string finish_text(TimePoint time, const Zone& zone) {
  if (time == kNever) return "never";
  const auto minutes = std::chrono::floor<std::chrono::minutes>(zone.local(time).time_since_epoch()).count();
  return fmt::format("{} {:02}:{:02} {}", date(minutes / 1'440), minutes / 60 % 24, minutes % 60, zone.name());
}

std::vector<std::string> names_of(const warming::Plan& plan) {
  std::vector<std::string> names;
  for (const auto& each : plan.providers) names.push_back(each.provider);
  return names;
}

using DayTable = std::vector<std::vector<std::uint64_t>>;  // By day, then in the order of names_of().

DayTable day_table(const warming::Plan& plan) {
  const auto names = names_of(plan);
  DayTable table(plan.days, std::vector<std::uint64_t>(names.size()));
  for (const auto& row : plan.rows) {
    const auto at = std::find(names.begin(), names.end(), row.provider) - names.begin();
    if (row.day < table.size()) table[row.day][static_cast<std::size_t>(at)] += row.messages;
  }
  return table;
}

void print_plan(const warming::Plan& plan, const Zone& zone, bool each_ip) {
  const auto names = names_of(plan);
  fmt::print("{:>4}  {:10}", "day", "date");
  for (const auto& name : names) fmt::print("  {:>12}", name);
  fmt::print("  {:>12}  {:>12}\n", "all", "sum");
  std::uint64_t sum = 0;
  const DayTable table = day_table(plan);
  const std::int64_t first = zone.day(plan.start);
  for (std::size_t day = 0; day < table.size(); ++day) {
    std::uint64_t all = 0;
    fmt::print("{:>4}  {:10}", day + 1, date(first + static_cast<std::int64_t>(day)));
    for (const std::uint64_t messages : table[day]) {
      fmt::print("  {:>12}", messages);
      all += messages;
    }
    sum += all;
    fmt::print("  {:>12}  {:>12}\n", all, sum);
  }
  if (each_ip) {
    fmt::print("\n{:>4}  {:14}  {:24}  {:>12}  {:>12}  {}\n", "day", "provider", "ip", "messages", "cap",
               "what sets the cap");
    for (const auto& row : plan.rows) {
      fmt::print("{:>4}  {:14}  {:24}  {:>12}  {:>12}  {}\n", row.day + 1, row.provider, row.ip, row.messages, row.cap,
                 row.bound);
    }
  }
  fmt::print("\n{:14}  {:>12}  {:>5}  {:22}  {}\n", "provider", "messages", "days", "finished", "what limits it");
  for (const auto& each : plan.providers) {
    fmt::print("{:14}  {:>12}  {:>5}  {:22}  {}\n", each.provider, each.messages, each.days, finish_text(each.finish, zone),
               each.bound);
  }
  fmt::print("\nfinished {}, if nothing is refused; what limits it: {}\n", finish_text(plan.finish, zone), plan.bound);
}

void print_plan_json(const warming::Plan& plan) {
  Json json{
      {"start", json_of(plan.start)}, {"finish", json_of(plan.finish)}, {"days", plan.days}, {"bound", plan.bound}};
  json["providers"] = Json::array();
  for (const auto& each : plan.providers) {
    json["providers"].push_back({{"provider", each.provider},
                                 {"messages", each.messages},
                                 {"left", each.left},
                                 {"days", each.days},
                                 {"finish", json_of(each.finish)},
                                 {"bound", each.bound}});
  }
  json["rows"] = Json::array();
  for (const auto& row : plan.rows) {
    json["rows"].push_back({{"day", row.day + 1},
                            {"provider", row.provider},
                            {"ip", row.ip},
                            {"messages", row.messages},
                            {"cap", row.cap},
                            {"bound", row.bound}});
  }
  fmt::print("{}\n", json.dump(1));
}

Result<void> write_chart(const warming::Plan& plan, const std::string& file) {
  if (file.empty()) return {};
  if (file.ends_with(".png")) return invalid(fmt::format("--svg {}: SVG is what is written; name it so", file));
  Chart chart{"Warm-up plan: messages a day", "day", "messages", true, {}};
  const auto names = names_of(plan);
  const DayTable table = day_table(plan);
  Chart::Line all{"all", std::vector<double>(table.size())};
  for (std::size_t i = 0; i < names.size(); ++i) {
    Chart::Line line{names[i], {}};
    for (std::size_t day = 0; day < table.size(); ++day) {
      line.values.push_back(static_cast<double>(table[day][i]));
      all.values[day] += static_cast<double>(table[day][i]);
    }
    if (chart.lines.size() + 1 < kChartLinesMax) chart.lines.push_back(std::move(line));
  }
  chart.lines.push_back(std::move(all));
  std::ofstream out(file, std::ios::trunc);
  out << svg(chart);
  if (!out.flush()) return Error{ErrorCode::kIo, fmt::format("--svg {}: {}", file, std::strerror(errno))};
  return {};
}

// ---------------------------------------------------------------------------------------------------------------------
// The commands

Result<void> check_ip(const std::string& address) {
  if (net::IpAddress::parse(address)) return {};
  return invalid(fmt::format("--ip {}: an IPv4 or IPv6 address is expected", address));
}

Result<void> plan(const WarmOptions& options) {
  const auto settings = load_settings(options.limits_file);
  if (!settings) return settings.error();
  if (options.recipients.empty() == options.audience.empty())
    return invalid("either --recipients or --audience is needed");
  auto audience = options.recipients.empty() ? audience_of_shares(options) : audience_of_file(options);
  if (!audience) return std::move(audience).error();
  const auto curve = warming::Curve::parse(options.curve);
  if (!curve) return Error{curve.error().code, fmt::format("--curve: {}", curve.error().detail)};
  const auto zone = load_zone(options.zone);
  if (!zone) return Error{zone.error().code, fmt::format("--zone: {}", zone.error().detail)};
  const auto start = start_of(options.start, *zone);
  if (!start) return start.error();
  warming::PlanRequest request{.audience = *std::move(audience),
                               .ips = {},
                               .start = *start,
                               .from = *start,
                               .settings = &*settings,
                               .zone = *zone};
  for (const std::string& address : options.addresses) {
    if (auto known = check_ip(address); !known) return known;
    const auto same = [&](const auto& each) { return each.address == address; };
    if (std::any_of(request.ips.begin(), request.ips.end(), same))
      return invalid(fmt::format("--ip {}: it is there already", address));
    request.ips.push_back({.address = address, .curve = *curve});
  }
  for (int i = 0; options.addresses.empty() && i < options.ips; ++i) {
    request.ips.push_back({.address = fmt::format("ip{}", i + 1), .curve = *curve});
  }
  const auto made = warming::plan(request);
  if (!made) return made.error();
  if (auto written = write_chart(*made, options.svg_file); !written) return written;
  if (options.json) {
    print_plan_json(*made);
  } else {
    print_plan(*made, *zone, options.each_ip);
  }
  return {};
}

Result<void> explain(const WarmOptions& options) {
  if (!options.control.empty()) return explain_running(options.control, options.provider, options.ip, options.json);
  if (options.provider.empty()) return invalid("--provider, or --control for a running process, is needed");
  const auto provider = provider_named(options.provider);
  if (!provider) return about("--provider", provider.error());
  const std::string ip = options.ip.empty() ? "192.0.2.1" : options.ip;
  if (auto known = check_ip(ip); !known) return known;
  const auto settings = load_settings(options.limits_file);
  if (!settings) return settings.error();
  const auto curve = warming::Curve::parse(options.curve);
  if (!curve) return Error{curve.error().code, fmt::format("--curve: {}", curve.error().detail)};
  const TimePoint now = SystemClock().now();
  warming::Pacer pacer({.provider = {*provider},
                        .ips = {{ip, *curve, options.day - 1}},
                        .settings = std::make_shared<const warming::Settings>(*settings)});
  if (!options.state_file.empty()) {
    const auto state = read_file(options.state_file);
    if (!state) return state.error();
    if (auto restored = pacer.restore(*state, now); !restored) {
      return Error{restored.error().code, fmt::format("--state {}: {}", options.state_file, restored.error().detail)};
    }
  }
  const auto explanation = pacer.explain(ip, now);
  if (!explanation) return explanation.error();
  if (options.json) {
    fmt::print("{}\n", json_of(*explanation).dump(1));
  } else {
    fmt::print("{}", explanation->str());
  }
  return {};
}

Result<void> presets(const WarmOptions& options) {
  if (!options.preset.empty()) {
    const auto curve = warming::Curve::parse(options.preset);
    if (!curve) return curve.error();
    if (options.json) {
      fmt::print("{}\n",
                 Json{{"name", curve->name}, {"hour_share", curve->hour_share}, {"daily", curve->daily}}.dump());
      return {};
    }
    for (std::size_t day = 0; day < curve->daily.size(); ++day)
      fmt::print("{:>4}  {:>14}\n", day + 1, curve->daily[day]);
    return {};
  }
  Json json = Json::array();
  if (!options.json)
    fmt::print("{:13} {:>4}  {:>7}  {:>12}  {}\n", "name", "days", "first", "last", "what it is (source)");
  for (const auto& each : warming::curve_presets()) {
    const auto curve = warming::Curve::preset(each.name);
    if (!curve) return curve.error();
    if (options.json) {
      json.push_back({{"name", each.name},
                      {"days", curve->daily.size()},
                      {"first", curve->daily.front()},
                      {"last", curve->daily.back()},
                      {"about", each.about},
                      {"source", each.source}});
    } else {
      fmt::print("{:13} {:>4}  {:>7}  {:>12}  {} ({})\n", each.name, curve->daily.size(), curve->daily.front(),
                 curve->daily.back(), each.about, each.source);
    }
  }
  if (options.json) fmt::print("{}\n", json.dump(1));
  return {};
}

int ran(std::string_view name, const Result<void>& result) {
  if (result) return kDone;
  say("mailsbuddy warm {}: {}\n", name, result.error().detail);
  return kBadUsage;
}

constexpr std::string_view kCurveHelp =
    "A preset (warm presets), a list \"200,500,1k\", or \"start=50 growth=1.4 ceiling=50k\"; \"x0.5\" after it halves "
    "it";

}  // namespace

void add_warm_command(CLI::App& app, std::function<int()>& run) {
  auto options = std::make_shared<WarmOptions>();
  CLI::App* warm =
      app.add_subcommand("warm", "Warm-up of new IP addresses: plans, curves, limits")->require_subcommand(0, 1);  // main() says that one is missing.

  CLI::App* plan_command = warm->add_subcommand("plan", "How many messages go on which day, and when all have gone");
  plan_command->add_option("--recipients", options->recipients,
                           "CSV file of recipients; providers are told by well-known domains, the rest is \"other\"");
  plan_command->add_option("--address-column", options->address_column,
                           "Its column of addresses. Default: email, address, ...");
  plan_command->add_option("--audience", options->audience,
                           "Instead of a file: gmail=40%,outlook=30%,yahoo=15%; what is left is \"other\"");
  plan_command->add_option("--volume", options->volume,
                           "Messages in all; 500k and 5M are understood. Default with --recipients: one for each");
  plan_command->add_option("--ips", options->ips, "How many new IPs")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  plan_command->add_option("--ip", options->addresses,
                           "Or which; may be given again. --limits may say something of them");
  plan_command->add_option("--curve", options->curve, std::string(kCurveHelp))->capture_default_str();
  plan_command->add_option("--start", options->start, "First day, YYYY-MM-DD. Default: what is left of today");
  plan_command->add_option("--zone", options->zone, std::string(kZoneHelp))->capture_default_str();
  plan_command->add_option("--limits", options->limits_file,
                           "Limits and thresholds besides the shipped ones (docs/limits.md)");
  plan_command->add_option("--svg", options->svg_file, "Write a chart there");
  plan_command->add_flag("--each-ip", options->each_ip, "Print the rows of each IP too");
  plan_command->add_flag("--json", options->json, "As JSON on standard output");
  plan_command->footer(
      "A new IP has no reputation; each mailbox provider wants to see it grow slowly. A plan gives every IP at every "
      "provider\n"
      "the day's value of the curve, or less where a limit is lower, until the audience is reached. It is what happens "
      "if\n"
      "nothing is refused: the controller may hold or step back, so a real warm-up can take longer.\n\n"
      "Examples:\n  mailsbuddy warm plan --audience gmail=40%,outlook=30%,yahoo=15% --volume 5M --ips 4 --svg "
      "plan.svg\n"
      "  mailsbuddy warm plan --recipients subscribers.csv --ips 2 --curve sparkpost --start 2027-01-04");
  plan_command->callback([options, &run] { run = [options] { return ran("plan", plan(*options)); }; });

  CLI::App* explain_command = warm->add_subcommand("explain", "What holds for one IP at one provider, and why");
  explain_command
      ->add_option("--provider", options->provider,
                   "google, microsoft, yahoo, apple, ... or the domain of its MX hosts");
  explain_command->add_option("--ip", options->ip, "The egress IP");
  add_control_option(*explain_command, options->control);
  explain_command->add_option("--curve", options->curve, std::string(kCurveHelp))->capture_default_str();
  explain_command->add_option("--day", options->day, "On this day of the curve. Default: the first")
      ->check(CLI::Range(1, 1'000));
  explain_command->add_option("--state", options->state_file, "Or as saved: the snapshot of a pacer");
  explain_command->add_option("--limits", options->limits_file,
                              "Limits and thresholds besides the shipped ones (docs/limits.md)");
  explain_command->add_flag("--json", options->json, "As JSON on standard output");
  explain_command->footer(
      "Prints today's cap and what is used of it, rate and connections, the last decision, what must hold at the end "
      "of the\n"
      "day for the cap to grow, and which line of the data decided each setting: default, then provider, then IP, then "
      "both.\n\n"
      "With --control it asks a running `send` or `listen`: about all IPs and providers, or those that are named. Without, it says "
      "what\nwould hold for an IP on a day of a curve.\n\n"
      "Example:\n  mailsbuddy warm explain --control run/control --provider google\n"
      "  mailsbuddy warm explain --provider google --curve sparkpost --day 9");
  explain_command->callback([options, &run] { run = [options] { return ran("explain", explain(*options)); }; });

  CLI::App* presets_command = warm->add_subcommand("presets", "The warm-up curves there are, or the days of one");
  presets_command->add_option("CURVE", options->preset, "Print its days");
  presets_command->add_flag("--json", options->json, "As JSON on standard output");
  presets_command->footer(
      "Examples:\n  mailsbuddy warm presets\n  mailsbuddy warm presets \"start=100 growth=1.5 ceiling=20k\"");
  presets_command->callback([options, &run] { run = [options] { return ran("presets", presets(*options)); }; });
  add_warm_operator_commands(*warm, run);
}

}  // namespace mailsbuddy::cli
