#include "services/cli/warm_control.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "services/cli/engine_options.h"
#include "services/cli/say.h"
#include "services/cli/send_command.h"

namespace mailsbuddy::cli {
namespace {

using warming::kNever;
using warming::kNoCap;

constexpr std::size_t kPacesMax = 10'000;  // In one answer: some 20 MB.

// As the library names providers and DNS compares domains: ASCII alone.
std::string lower_case(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

ControlJson json_cap(std::uint64_t cap) { return cap == kNoCap ? ControlJson(nullptr) : ControlJson(cap); }

// What the operator may do to one IP at one provider.
struct Order {
  const char* name;
  warming::Command command;
  const char* about;
  const char* example;
};
constexpr Order kOrders[] = {
    {"pin", warming::Command::kPin, "Set the daily cap, whatever comes back, until unpin", " --cap 5k"},
    {"unpin", warming::Command::kUnpin, "Leave the cap to the curve and the controller again", ""},
    {"pause", warming::Command::kPause, "Send nothing over this IP to this provider until resume", ""},
    {"resume", warming::Command::kResume, "End a pause or a suspension; with --domain that of a sending domain", ""},
    {"skip", warming::Command::kSkipDay, "On to the curve's next day, now", ""},
    {"repeat", warming::Command::kRepeatDay, "Today does not count: tomorrow has today's cap again", ""},
};

// ---------------------------------------------------------------------------------------------------------------------
// Who serves

Result<ControlJson> explain_asked(Engine& engine, const ControlJson& arguments) {
  const std::string ip = text_or(arguments, "ip", "");
  const std::string provider = lower_case(text_or(arguments, "provider", ""));
  ControlJson all = ControlJson::array();
  if (!ip.empty() && !provider.empty()) {
    auto explained = engine.explain(ip, provider);
    if (!explained) return explained.error();
    all.push_back(json_of(*explained));
    return all;
  }
  for (const warming::Explanation& each : engine.paces()) {
    if ((!ip.empty() && each.ip != ip) || (!provider.empty() && each.provider != provider)) continue;
    if (all.size() == kPacesMax) break;
    all.push_back(json_of(each));
  }
  return all;
}

Result<ControlJson> ordered(Engine& engine, const Order& order, const ControlJson& arguments) {
  const auto provider = text_argument(arguments, "provider");
  if (!provider) return provider.error();
  const std::string domain = text_or(arguments, "domain", "");
  if (!domain.empty() && order.command == warming::Command::kResume) {
    if (auto resumed = engine.resume_domain(domain, *provider); !resumed) return resumed.error();
    return ControlJson::array();
  }
  const auto ip = text_argument(arguments, "ip");
  if (!ip) return ip.error();
  const bool pins = order.command == warming::Command::kPin;
  const std::uint64_t cap = pins ? arguments.at("cap").get<std::uint64_t>() : 0;
  if (auto done = engine.command(*ip, *provider, order.command, cap); !done) return done.error();
  return explain_asked(engine, {{"ip", *ip}, {"provider", *provider}});
}

// ---------------------------------------------------------------------------------------------------------------------
// Who asks

Result<void> print(const Result<ControlJson>& answer, bool json) {
  if (!answer) return answer.error();
  if (json) {
    fmt::print("{}\n", answer->dump(1, ' ', false, ControlJson::error_handler_t::replace));
    return {};
  }
  for (const ControlJson& each : *answer) fmt::print("{}", text_or(each, "text", ""));
  return {};
}

struct OrderOptions {
  std::string control, provider, ip, domain, cap, limits_file;
  bool json = false;
};

Result<void> give(const Order& order, const OrderOptions& options) {
  const auto provider = provider_named(options.provider);
  if (!provider) return about("--provider", provider.error());
  ControlJson arguments{{"provider", *provider}};
  if (!options.ip.empty()) arguments["ip"] = options.ip;
  if (!options.domain.empty()) arguments["domain"] = options.domain;
  if (options.ip.empty() == options.domain.empty())
    return Error{ErrorCode::kInvalidArgument,
                 order.command == warming::Command::kResume ? "either --ip or --domain is needed" : "--ip is needed"};
  if (!options.cap.empty()) {
    const auto cap = messages_named(options.cap);
    if (!cap)
      return Error{ErrorCode::kInvalidArgument, fmt::format("--cap {}: a number of messages a day is expected", options.cap)};
    arguments["cap"] = *cap;
  }
  return print(ask_control(options.control, fmt::format("warm {}", order.name), arguments), options.json);
}

Result<void> change_limits(const OrderOptions& options) {
  const auto text = read_file(options.limits_file);
  if (!text) return text.error();  // It names the file.
  const auto changed = ask_control(options.control, "warm limits", {{"text", *text}, {"file", options.limits_file}});
  return changed ? Result<void>() : Result<void>(changed.error());
}

int ran(std::string_view name, const Result<void>& result) {
  if (result) return kDone;
  say("mailsbuddy warm {}: {}\n", name, result.error().detail);
  return kBadUsage;
}

void add_order(CLI::App& warm, std::function<int()>& run, const Order& order) {
  auto options = std::make_shared<OrderOptions>();
  CLI::App* const app = warm.add_subcommand(order.name, order.about);
  add_control_option(*app, options->control);
  app->get_option("--control")->required();
  app->add_option("--provider", options->provider, "google, microsoft, yahoo, ... or the domain of its MX hosts")->required();
  app->add_option("--ip", options->ip, "The egress IP");
  if (order.command == warming::Command::kResume) app->add_option("--domain", options->domain, "Or the From domain, on all IPs");
  if (order.command == warming::Command::kPin)
    app->add_option("--cap", options->cap, "Messages a day; 5k and 1M are understood")->required();
  app->add_flag("--json", options->json, "How it stands then, as JSON on standard output");
  app->footer(fmt::format("Prints how the IP stands then. The order outlasts the process, where it has a --spool.\n\n"
                          "Example:\n  mailsbuddy warm {} --control run/control --provider google --ip 192.0.2.1{}",
                          order.name, order.example));
  app->callback([options, &order, &run] { run = [options, &order] { return ran(order.name, give(order, *options)); }; });
}

}  // namespace

ControlJson json_of(TimePoint time) {
  if (time == kNever) return nullptr;
  return std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count();
}

ControlJson json_of(const warming::Explanation& e) {
  ControlJson json{{"provider", e.provider},
                   {"ip", e.ip},
                   {"state", to_string(e.state)},
                   {"curve", e.curve},
                   {"day", e.day + 1},
                   {"days", e.days},
                   {"cap", json_cap(e.cap)},
                   {"hour_cap", json_cap(e.hour_cap)},
                   {"used", e.used},
                   {"used_this_hour", e.used_this_hour},
                   {"next_cap", json_cap(e.next_cap)},
                   {"messages_per_second", e.rate},
                   {"rate_percent", e.rate_percent},
                   {"connections", e.connections},
                   {"connections_max", e.connections_max},
                   {"next", json_of(e.next)},
                   {"why", e.why}};
  json["to_advance"] = ControlJson::array();
  for (const auto& each : e.to_advance) {
    json["to_advance"].push_back({{"name", each.name},
                                  {"have", each.have},
                                  {"need", each.need},
                                  {"at_least", each.at_least},
                                  {"met", each.met}});
  }
  json["settings"] = ControlJson::array();
  for (const auto& each : e.settings)
    json["settings"].push_back({{"setting", each.setting}, {"value", each.value}, {"where", each.where}});
  json["text"] = e.str();
  return json;
}

Result<std::string> provider_named(std::string_view given) {
  const std::string name = lower_case(std::string(given));
  if (const std::string_view brand = provider_of_brand(name); !brand.empty()) return std::string(brand);
  const std::string_view meant = meant_provider(name);
  if (meant.empty()) return name;
  return Error{ErrorCode::kInvalidArgument, fmt::format("there is no provider \"{}\", but \"{}\"", given, meant)};
}

std::optional<std::uint64_t> messages_named(std::string_view text) {
  const auto curve = warming::Curve::parse(text);  // A number as curves have it: "5k".
  if (!curve || curve->daily.size() != 1 || text.find_first_of(" =") != std::string_view::npos) return std::nullopt;
  return curve->daily.front();
}

void add_warm_commands(ControlCommands& commands, Engine& engine, ReadSettings read_settings) {
  commands["warm explain"] = [&engine](const ControlJson& arguments) { return explain_asked(engine, arguments); };
  for (const Order& order : kOrders) {
    commands[fmt::format("warm {}", order.name)] = [&engine, &order](const ControlJson& arguments) {
      return ordered(engine, order, arguments);
    };
  }
  commands["warm limits"] = [&engine, read = std::move(read_settings)](const ControlJson& arguments) -> Result<ControlJson> {
    auto settings = read(text_or(arguments, "text", ""), text_or(arguments, "file", "limits"));
    if (!settings) return settings.error();
    engine.change(*std::move(settings));
    return ControlJson(nullptr);
  };
}

Result<void> explain_running(const std::string& control, const std::string& provider, const std::string& ip, bool json) {
  ControlJson arguments = ControlJson::object();
  if (!provider.empty()) {
    auto named = provider_named(provider);
    if (!named) return about("--provider", named.error());
    arguments["provider"] = *std::move(named);
  }
  if (!ip.empty()) arguments["ip"] = ip;
  const auto answer = ask_control(control, "warm explain", arguments);
  if (answer && answer->empty() && !json) fmt::print("no mail is on its way{}\n", provider.empty() ? "" : " to " + provider);
  return print(answer, json);
}

void add_warm_operator_commands(CLI::App& warm, std::function<int()>& run) {
  for (const Order& order : kOrders) add_order(warm, run, order);
  auto options = std::make_shared<OrderOptions>();
  CLI::App* const limits = warm.add_subcommand("limits", "Give a running process other limits and thresholds");
  add_control_option(*limits, options->control);
  limits->get_option("--control")->required();
  limits->add_option("FILE", options->limits_file, "In place of its --limits (docs/limits.md)")->required();
  limits->footer("They hold at once and until the process ends; what is owed under the old ones stays owed.\n\n"
                 "Example:\n  mailsbuddy warm limits --control run/control slower.tsv");
  limits->callback([options, &run] { run = [options] { return ran("limits", change_limits(*options)); }; });
}

}  // namespace mailsbuddy::cli
