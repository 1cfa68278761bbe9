#include "services/cli/zone.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "services/cli/engine_options.h"

namespace mailsbuddy::cli {
namespace {

constexpr std::string_view kZones = "/usr/share/zoneinfo/";

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// "+05:30": east of UTC is positive, as people write it; POSIX has it the other way round.
std::optional<Zone> fixed(std::string_view text) {
  if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') return std::nullopt;
  for (const std::size_t at : {1U, 2U, 4U, 5U}) {
    if (!is_digit(text[at])) return std::nullopt;
  }
  const int hours = (text[1] - '0') * 10 + text[2] - '0';
  const int minutes = (text[4] - '0') * 10 + text[5] - '0';
  if (hours > 14 || minutes > 59) return std::nullopt;  // ISO 8601 knows -12 to +14.
  return Zone(std::chrono::minutes((hours * 60 + minutes) * (text[0] == '-' ? -1 : 1)));
}

// Names alone: no way leads out of the directory.
bool is_name(std::string_view text) {
  const auto of_name = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '/' || c == '_' || c == '-' || c == '+';
  };
  return !text.empty() && text.size() <= 100 && text.front() != '/' && std::all_of(text.begin(), text.end(), of_name);
}

}  // namespace

Result<Zone> load_zone(std::string_view text) {
  if (text == "UTC") return Zone();
  if (const auto zone = fixed(text)) return *zone;
  if (text.find(',') != std::string_view::npos) return Zone::parse(text);
  const std::string file = fmt::format("{}{}", kZones, text);
  std::error_code error;
  if (!is_name(text) || !std::filesystem::is_regular_file(file, error)) {
    return Error{ErrorCode::kNotFound,
                 fmt::format("\"{}\" is no time zone: a name such as Europe/Berlin ({} has them), +HH:MM, or a rule",
                             text, kZones)};
  }
  const auto bytes = read_file(file);
  if (!bytes) return bytes.error();
  return Zone::read(*bytes, std::string(text));
}

}  // namespace mailsbuddy::cli
