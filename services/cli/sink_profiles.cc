#include "services/cli/sink_profiles.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

namespace mailsbuddy::cli {
namespace {

using smtp::SinkProfile;

struct Unit {
  std::string_view name;
  double factor;
};
constexpr std::array kTimeUnits = {Unit{"us", 1e3}, Unit{"ms", 1e6}, Unit{"s", 1e9}, Unit{"m", 60e9},
                                   Unit{"h", 3600e9}};
constexpr std::array kSizeUnits = {Unit{"", 1}, Unit{"K", 1024}, Unit{"M", 1024 * 1024},
                                   Unit{"G", 1024.0 * 1024 * 1024}};
constexpr double kDurationMax = 100.0 * 365 * 86'400e9;  // In nanoseconds; well within 64 bits.
constexpr double kSizeMax = 0x1p53;                      // Exact in a double.

// A number that is not negative, and what stands behind it.
std::optional<std::pair<double, std::string_view>> number(std::string_view text) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || !std::isfinite(value) || value < 0) return std::nullopt;
  return std::pair{value, std::string_view(at, static_cast<std::size_t>(end - at))};
}

template <std::size_t N>
std::optional<double> with_unit(std::string_view text, const std::array<Unit, N>& units, double max) {
  const auto parsed = number(text);
  if (!parsed) return std::nullopt;
  for (const Unit& unit : units)
    if (parsed->second == unit.name && parsed->first * unit.factor <= max) return parsed->first * unit.factor;
  return std::nullopt;
}

// One reader per type of field; false: not understood.
bool read(std::string_view text, Duration& out) {
  const auto nanoseconds = text == "0" ? 0.0 : with_unit(text, kTimeUnits, kDurationMax);
  if (nanoseconds) out = Duration(std::llround(*nanoseconds));
  return nanoseconds.has_value();
}

bool read(std::string_view text, double& out) {
  const auto parsed = number(text);
  if (!parsed || !(parsed->second.empty() || parsed->second == "%")) return false;
  out = parsed->second.empty() ? parsed->first : parsed->first / 100;
  return out <= 1;
}

bool read(std::string_view text, std::uint64_t& out) {
  const auto bytes = with_unit(text, kSizeUnits, kSizeMax);
  if (bytes) out = static_cast<std::uint64_t>(*bytes);
  return bytes.has_value();
}

bool read(std::string_view text, int& out) {
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, out);
  return error == std::errc{} && at == end && out >= 0;
}

bool read(std::string_view text, bool& out) {
  out = text == "on" || text == "true" || text == "yes" || text.empty();
  return out || text == "off" || text == "false" || text == "no";
}

bool read(std::string_view text, std::string& out) {
  out = text;
  return !text.empty();
}

struct Key {
  std::string_view name;
  std::string_view takes;
  std::string_view meaning;
  bool (*set)(SinkProfile&, std::string_view);
};

template <auto Member>
bool set(SinkProfile& profile, std::string_view value) {
  return read(value, profile.*Member);
}

constexpr std::string_view kTime = "a time as 20ms or 1.5s";
constexpr std::string_view kChance = "a chance as 5% or 0.05";
constexpr std::string_view kReply = "a 4yz or 5yz reply in quotes";
constexpr std::string_view kCount = "a number, 0 for no limit";
constexpr std::string_view kSwitch = "on or off";

constexpr std::array kKeys = {
    Key{"latency", kTime, "before replies go out", set<&SinkProfile::latency>},
    Key{"defer", kChance, "recipients deferred at RCPT", set<&SinkProfile::defer_chance>},
    Key{"defer-reply", kReply, "with these words", set<&SinkProfile::defer_reply>},
    Key{"reject", kChance, "recipients refused at RCPT", set<&SinkProfile::reject_chance>},
    Key{"reject-reply", kReply, "with these words", set<&SinkProfile::reject_reply>},
    Key{"data-reject", kChance, "messages refused at the final dot", set<&SinkProfile::data_reject_chance>},
    Key{"data-reject-reply", kReply, "with these words", set<&SinkProfile::data_reject_reply>},
    Key{"sticky", kSwitch, "chances hold per recipient; a deferred one is taken next time", set<&SinkProfile::sticky>},
    Key{"messages-per-connection", kCount, "then 421", set<&SinkProfile::messages_per_connection>},
    Key{"connections", kCount, "open at once, then 421", set<&SinkProfile::connections_max>},
    Key{"starttls", kSwitch, "offer STARTTLS", set<&SinkProfile::start_tls>},
    Key{"pipelining", kSwitch, "offer PIPELINING", set<&SinkProfile::pipelining>},
    Key{"chunking", kSwitch, "offer CHUNKING (BDAT)", set<&SinkProfile::chunking>},
    Key{"smtputf8", kSwitch, "offer SMTPUTF8", set<&SinkProfile::smtputf8>},
    Key{"size", "bytes as 35M, 0 for no limit", "largest message", set<&SinkProfile::size_max>},
    Key{"banner-host", "a host name", "in the greeting", set<&SinkProfile::banner_host>},
};

Error wrong(const SinkProfile& profile, std::string_view what) {
  return {ErrorCode::kInvalidArgument, fmt::format("profile \"{}\": {}", profile.name, what)};
}

Result<void> apply(SinkProfile& profile, std::string_view key, std::string_view value) {
  std::string names;
  for (const Key& each : kKeys) {
    if (each.name != key) {
      names += fmt::format("{}{}", names.empty() ? "" : ", ", each.name);
      continue;
    }
    if (each.set(profile, value)) return {};
    return wrong(profile, fmt::format("{} takes {}, not \"{}\"", key, each.takes, value));
  }
  return wrong(profile, fmt::format("no setting is called \"{}\"; there are {}", key, names));
}

// Takes a value and the comma behind it off the front of `text`. Empty: a quotation mark is missing.
std::optional<std::string> take_value(std::string_view& text) {
  std::string value;
  if (!text.starts_with('"')) {
    value = text.substr(0, text.find(','));
    text.remove_prefix(value.size());
  } else {
    for (text.remove_prefix(1);; text.remove_prefix(1)) {
      if (text.empty()) return std::nullopt;
      if (text.front() == '"') {
        text.remove_prefix(1);
        if (!text.starts_with('"')) break;
      }
      value.push_back(text.front());
    }
  }
  if (!text.empty() && text.front() != ',') return std::nullopt;
  text.remove_prefix(text.empty() ? 0 : 1);
  return value;
}

Result<void> apply_json(SinkProfile& profile, const nlohmann::json& settings) {
  if (!settings.is_object()) return wrong(profile, "is no object of settings");
  for (const auto& [key, value] : settings.items()) {
    std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    if (const auto applied = apply(profile, key, text); !applied) return applied.error();
  }
  return {};
}

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
  Duration duration{};
  if (read(text, duration)) return duration;
  return Error{ErrorCode::kInvalidArgument, fmt::format("\"{}\" is not {}", text, kTime)};
}

Result<SinkProfile> parse_profile(std::string_view text) {
  SinkProfile profile;
  profile.name = text.substr(0, text.find(':'));
  if (profile.name.empty()) return Error{ErrorCode::kInvalidArgument, fmt::format("profile \"{}\" has no name", text)};
  text.remove_prefix(std::min(profile.name.size() + 1, text.size()));
  while (!text.empty()) {
    const std::string_view key = text.substr(0, text.find_first_of("=,"));
    text.remove_prefix(key.size());
    if (text.starts_with('=')) text.remove_prefix(1);
    const auto value = take_value(text);
    if (!value) return wrong(profile, fmt::format("the value of {} ends with no closing quotation mark", key));
    if (const auto applied = apply(profile, key, *value); !applied) return applied.error();
  }
  return profile;
}

Result<std::vector<SinkProfile>> parse_profiles_json(std::string_view json) {
  const nlohmann::json parsed = nlohmann::json::parse(json, nullptr, false);
  if (!parsed.is_object())
    return Error{ErrorCode::kInvalidArgument,
                 "not a JSON object of profiles by name, as {\"slow\": {\"latency\": \"1s\"}}"};
  std::vector<SinkProfile> profiles;
  for (const auto& [name, settings] : parsed.items()) {
    profiles.emplace_back().name = name;
    if (const auto applied = apply_json(profiles.back(), settings); !applied) return applied.error();
  }
  return profiles;
}

std::string profile_keys_help() {
  std::string help;
  for (const Key& key : kKeys) help += fmt::format("  {:<24} {} ({})\n", key.name, key.meaning, key.takes);
  return help;
}

}  // namespace mailsbuddy::cli
