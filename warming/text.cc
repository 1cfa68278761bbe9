#include "warming/text.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "core/base/ascii.h"

namespace mailsbuddy::warming {
namespace {

constexpr double kDurationMaxSeconds = 1'000.0 * 86'400;

// Digits and at most one point: no signs, exponents, "inf" or hexadecimal.
std::optional<double> parse_decimal(std::string_view text) {
  if (text.empty() || text.size() > 20 || !ascii::is_digit(text.front())) return std::nullopt;
  if (text.find_first_not_of("0123456789.") != std::string_view::npos) return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

}  // namespace

std::optional<double> parse_number(std::string_view text) {
  if (text.empty()) return std::nullopt;
  const char unit = text.back();
  const double factor = unit == 'k' ? 1e3 : unit == 'M' ? 1e6 : unit == '%' ? 0.01 : 1;
  if (factor != 1) text.remove_suffix(1);
  const auto value = parse_decimal(text);
  return value ? std::optional(*value * factor) : std::nullopt;
}

std::optional<Duration> parse_duration(std::string_view text) {
  if (text.size() < 2) return std::nullopt;
  const char unit = text.back();
  const double seconds = unit == 's' ? 1 : unit == 'm' ? 60 : unit == 'h' ? 3'600 : unit == 'd' ? 86'400 : 0;
  const auto value = parse_decimal(text.substr(0, text.size() - 1));
  if (seconds == 0 || !value || *value * seconds > kDurationMaxSeconds) return std::nullopt;
  return Duration(std::llround(*value * seconds * 1e9));
}

std::vector<std::string_view> split_words(std::string_view text) {
  std::vector<std::string_view> words;
  for (std::size_t at = 0; at < text.size();) {
    if (ascii::is_space(text[at])) {
      ++at;
      continue;
    }
    std::size_t end = at;
    while (end < text.size() && !ascii::is_space(text[end])) ++end;
    words.push_back(text.substr(at, end - at));
    at = end;
  }
  return words;
}

std::string thousands(std::uint64_t number) {
  std::string text = fmt::format("{}", number);
  for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
  return text;
}

std::string percent(double share) { return fmt::format("{:.3g} %", share * 100); }

std::string duration_text(Duration duration) {
  const double seconds = std::chrono::duration<double>(duration).count();
  if (seconds < 120) return fmt::format("{:.0f} s", seconds);
  if (seconds < 2 * 3'600) return fmt::format("{:.0f} min", seconds / 60);
  if (seconds < 2 * 86'400) return fmt::format("{:.3g} h", seconds / 3'600);
  return fmt::format("{:.3g} d", seconds / 86'400);
}

std::string time_text(TimePoint time) {
  if (time == TimePoint::max()) return "never";
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(std::chrono::floor<std::chrono::seconds>(time - day));
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                     clock.minutes().count(), clock.seconds().count());
}

}  // namespace mailsbuddy::warming
