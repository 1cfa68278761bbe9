#include "core/mail/date.h"

#include <charconv>
#include <chrono>

#include "core/base/ascii.h"
#include "mailsbuddy/mail.h"

namespace mailsbuddy {
namespace {

constexpr std::string_view kDays = "SunMonTueWedThuFriSat";
constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";

void put_two(char* to, unsigned value) noexcept {
  to[0] = static_cast<char>('0' + value / 10);
  to[1] = static_cast<char>('0' + value % 10);
}

}  // namespace

// date-time = day-of-week "," date time; written into place, for it runs once per message. TimePoint reaches the years
// 1677 to 2262, so that a year has four digits.
std::string format_date(TimePoint time) {
  using namespace std::chrono;
  const auto midnight = floor<days>(time);
  const year_month_day date(midnight);
  const hh_mm_ss clock(floor<seconds>(time - midnight));
  std::string text = "Mon, 00 Jan 0000 00:00:00 +0000";
  char* at = text.data();
  kDays.copy(at, 3, weekday(midnight).c_encoding() * 3);
  put_two(at + 5, static_cast<unsigned>(date.day()));
  kMonths.copy(at + 8, 3, (static_cast<unsigned>(date.month()) - 1) * 3);
  const auto year = static_cast<unsigned>(static_cast<int>(date.year()));
  put_two(at + 12, year / 100);
  put_two(at + 14, year % 100);
  put_two(at + 17, static_cast<unsigned>(clock.hours().count()));
  put_two(at + 20, static_cast<unsigned>(clock.minutes().count()));
  put_two(at + 23, static_cast<unsigned>(clock.seconds().count()));
  return text;
}

namespace {

//   date-time = [ day-name "," ] day month year hour ":" minute [ ":" second ] [ zone ] [ comment ]

std::string_view take_word(std::string_view& rest) noexcept {
  while (!rest.empty() && (ascii::is_space(rest.front()) || rest.front() == ',')) rest.remove_prefix(1);
  std::size_t end = 0;
  while (end < rest.size() && !ascii::is_space(rest[end]) && rest[end] != ',') ++end;
  const std::string_view word = rest.substr(0, end);
  rest.remove_prefix(end);
  return word;
}

std::optional<int> number(std::string_view text) noexcept {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.size() > 4 || value < 0) return std::nullopt;
  return value;
}

std::optional<int> month_of(std::string_view word) noexcept {
  for (int i = 0; i < 12; ++i) {
    if (word.size() >= 3 && ascii::iequals(word.substr(0, 3), kMonths.substr(static_cast<std::size_t>(i) * 3, 3)))
      return i + 1;
  }
  return std::nullopt;
}

std::optional<std::chrono::seconds> clock_of(std::string_view word) noexcept {
  int part[3] = {0, 0, 0};
  for (int i = 0; i < 3 && (i < 2 || !word.empty()); ++i) {
    const std::string_view digits = word.substr(0, word.find(':'));
    const auto value = number(digits);
    if (!value || *value > (i == 0 ? 23 : i == 1 ? 59 : 60)) return std::nullopt;  // A leap second is 60.
    part[i] = *value;
    word.remove_prefix(std::min(word.size(), digits.size() + 1));
  }
  return std::chrono::hours(part[0]) + std::chrono::minutes(part[1]) + std::chrono::seconds(part[2]);
}

std::chrono::minutes zone_of(std::string_view word) noexcept {
  if (word.size() == 5 && (word[0] == '+' || word[0] == '-')) {
    const auto digits = number(word.substr(1));
    const std::chrono::minutes offset =
        std::chrono::hours(digits.value_or(0) / 100) + std::chrono::minutes(digits.value_or(0) % 100);
    return word[0] == '+' ? offset : -offset;
  }
  constexpr std::pair<std::string_view, int> kZones[] = {
      {"EST", -5}, {"EDT", -4}, {"CST", -6}, {"CDT", -5}, {"MST", -7}, {"MDT", -6}, {"PST", -8}, {"PDT", -7},
      {"CET", 1},  {"CEST", 2}, {"EET", 2},  {"EEST", 3}, {"BST", 1},  {"MSK", 3},  {"JST", 9}};
  for (const auto& [name, hours] : kZones) {
    if (ascii::iequals(word, name)) return std::chrono::hours(hours);
  }
  return {};
}

}  // namespace

std::optional<TimePoint> parse_date(std::string_view text) {
  std::string_view rest = text;
  std::string_view word = take_word(rest);
  if (!word.empty() && ascii::is_alpha(word.front())) word = take_word(rest);
  const auto day = number(word);
  const auto month = month_of(take_word(rest));
  auto year = number(take_word(rest));
  const auto clock = clock_of(take_word(rest));
  if (!day || !month || !year || !clock) return std::nullopt;
  if (*year < 100) *year += *year < 50 ? 2000 : 1900;     // RFC 5322 4.3
  if (*year < 1900 || *year > 2200) return std::nullopt;  // TimePoint reaches 2262.
  const std::chrono::year_month_day date(std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day)));
  if (!date.ok()) return std::nullopt;
  return TimePoint(std::chrono::sys_days(date) + *clock - zone_of(take_word(rest)));
}

}  // namespace mailsbuddy
