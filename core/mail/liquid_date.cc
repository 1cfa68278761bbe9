// date-time = full-date [ ("T" / " ") hour ":" minute [ ":" second [ "." 1*DIGIT ] ] [ [" "] zone ] ]
// full-date = 4DIGIT "-" 2DIGIT "-" 2DIGIT
// zone      = "Z" / "UTC" / ("+" / "-") 2DIGIT [":"] 2DIGIT
#include <fmt/format.h>

#include <chrono>
#include <optional>

#include "core/base/ascii.h"
#include "core/mail/liquid_filter.h"

namespace mailsbuddy::liquid {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

struct Moment {
  std::chrono::local_seconds local;  // On the clock of its zone.
  minutes zone{0};                   // East of UTC.
};

class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}
  bool done() const { return rest_.empty(); }
  bool take(std::string_view word) {
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }
  std::optional<int> digits(std::size_t count) {
    if (rest_.size() < count) return std::nullopt;
    int number = 0;
    for (const char c : rest_.substr(0, count)) {
      if (!ascii::is_digit(c)) return std::nullopt;
      number = number * 10 + (c - '0');
    }
    rest_.remove_prefix(count);
    return number;
  }
  void skip_digits() {
    while (!rest_.empty() && ascii::is_digit(rest_.front())) rest_.remove_prefix(1);
  }

 private:
  std::string_view rest_;
};

std::optional<seconds> read_clock(Reader& text) {
  const auto hour = text.digits(2);
  if (!hour || *hour > 23 || !text.take(":")) return std::nullopt;
  const auto minute = text.digits(2);
  if (!minute || *minute > 59) return std::nullopt;
  seconds time = hours(*hour) + minutes(*minute);
  if (text.take(":")) {
    const auto second = text.digits(2);
    if (!second || *second > 60) return std::nullopt;
    time += seconds(*second);
    if (text.take(".")) text.skip_digits();
  }
  return time;
}

std::optional<minutes> read_zone(Reader& text) {
  text.take(" ");
  if (text.done() || text.take("Z") || text.take("UTC")) return minutes(0);
  const bool west = text.take("-");
  if (!west && !text.take("+")) return std::nullopt;
  const auto hour = text.digits(2);
  text.take(":");
  const auto minute = hour ? text.digits(2) : std::nullopt;
  if (!minute || *hour > 23 || *minute > 59) return std::nullopt;
  const minutes east = hours(*hour) + minutes(*minute);
  return west ? -east : east;
}

std::optional<Moment> read_iso(Reader text) {
  const auto year = text.digits(4);
  if (!year || !text.take("-")) return std::nullopt;
  const auto month = text.digits(2);
  if (!month || !text.take("-")) return std::nullopt;
  const auto day = text.digits(2);
  if (!day) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return std::nullopt;
  Moment moment{std::chrono::local_days(date)};
  if (text.done()) return moment;
  if (!text.take("T") && !text.take(" ")) return std::nullopt;
  const auto clock = read_clock(text);
  const auto zone = clock ? read_zone(text) : std::nullopt;
  if (!zone || !text.done()) return std::nullopt;
  moment.local += *clock;
  moment.zone = *zone;
  return moment;
}

std::optional<Moment> read_moment(const Value& value) {
  const Value number = to_number(value);
  if (number.is(Value::Kind::kInt)) {
    constexpr std::int64_t kYear9999 = 253402300799;
    if (number.integer < -62135596800 || number.integer > kYear9999) return std::nullopt;  // From year 1.
    return Moment{std::chrono::local_seconds(seconds(number.integer))};
  }
  return read_iso(Reader(ascii::trim(value.text())));
}

constexpr std::string_view kDays[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
constexpr std::string_view kMonths[] = {"January", "February", "March",     "April",   "May",      "June",
                                        "July",    "August",   "September", "October", "November", "December"};

// The broken-down time that the directives print.
struct Parts {
  explicit Parts(const Moment& moment)
      : date(std::chrono::floor<days>(moment.local)), time(moment.local - std::chrono::floor<days>(moment.local)) {
    weekday = std::chrono::weekday(std::chrono::floor<days>(moment.local)).c_encoding();
    const auto new_year = std::chrono::local_days(date.year() / 1 / 1);
    year_day = static_cast<int>((std::chrono::floor<days>(moment.local) - new_year).count()) + 1;
    unix = (moment.local.time_since_epoch() - moment.zone).count();
  }
  std::chrono::year_month_day date;
  std::chrono::hh_mm_ss<seconds> time;
  unsigned weekday;
  int year_day;
  std::int64_t unix;

  int hour() const { return static_cast<int>(time.hours().count()); }
  int hour12() const { return (hour() + 11) % 12 + 1; }
  std::string_view month() const { return kMonths[static_cast<unsigned>(date.month()) - 1]; }
  std::string_view day_name() const { return kDays[weekday]; }
};

// '-' pads with nothing, '0' with zeros, ' ' with spaces.
std::string padded(std::int64_t number, int width, char pad) {
  if (pad == '-') return fmt::format("{}", number);
  return pad == ' ' ? fmt::format("{:{}}", number, width) : fmt::format("{:0{}}", number, width);
}

std::string zone_text(minutes zone, bool colon) {
  const auto east = std::chrono::abs(zone).count();
  return fmt::format("{}{:02}{}{:02}", zone.count() < 0 ? '-' : '+', east / 60, colon ? ":" : "", east % 60);
}

std::string directive(char letter, char flag, const Parts& parts, const Moment& moment) {
  const auto number = [&](std::int64_t n, int width, char pad) { return padded(n, width, flag != 0 ? flag : pad); };
  const int year = static_cast<int>(parts.date.year());
  const unsigned day = static_cast<unsigned>(parts.date.day());
  switch (letter) {
    case 'Y':
      return number(year, 4, '0');
    case 'y':
      return number(year % 100, 2, '0');
    case 'm':
      return number(static_cast<unsigned>(parts.date.month()), 2, '0');
    case 'B':
      return std::string(parts.month());
    case 'b':
    case 'h':
      return std::string(parts.month().substr(0, 3));
    case 'd':
      return number(day, 2, '0');
    case 'e':
      return number(day, 2, ' ');
    case 'j':
      return number(parts.year_day, 3, '0');
    case 'A':
      return std::string(parts.day_name());
    case 'a':
      return std::string(parts.day_name().substr(0, 3));
    case 'u':
      return number(parts.weekday == 0 ? 7 : parts.weekday, 1, '0');
    case 'w':
      return number(parts.weekday, 1, '0');
    case 'H':
      return number(parts.hour(), 2, '0');
    case 'k':
      return number(parts.hour(), 2, ' ');
    case 'I':
      return number(parts.hour12(), 2, '0');
    case 'l':
      return number(parts.hour12(), 2, ' ');
    case 'M':
      return number(parts.time.minutes().count(), 2, '0');
    case 'S':
      return number(parts.time.seconds().count(), 2, '0');
    case 'p':
      return parts.hour() < 12 ? "AM" : "PM";
    case 'P':
      return parts.hour() < 12 ? "am" : "pm";
    case 's':
      return fmt::format("{}", parts.unix);
    case 'z':
      return zone_text(moment.zone, flag == ':');
    case 'Z':
      return moment.zone.count() == 0 ? "UTC" : zone_text(moment.zone, true);
    case '%':
      return "%";
    default:
      return {};
  }
}

// Directives that stand for others.
std::string_view expansion(char letter) {
  switch (letter) {
    case 'F':
      return "%Y-%m-%d";
    case 'T':
      return "%H:%M:%S";
    case 'R':
      return "%H:%M";
    case 'D':
      return "%m/%d/%y";
    case 'r':
      return "%I:%M:%S %p";
    case 'c':
      return "%a %b %e %H:%M:%S %Y";
    case 'x':
      return "%m/%d/%y";
    case 'X':
      return "%H:%M:%S";
    default:
      return {};
  }
}

void format_into(Builder& out, std::string_view format, const Parts& parts, const Moment& moment) {
  for (std::size_t i = 0; i < format.size() && !out.full(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      out.add(format[i]);
      continue;
    }
    const std::size_t begin = i++;
    char flag = 0;
    if (std::string_view("-_0:").find(format[i]) != std::string_view::npos && i + 1 < format.size()) {
      flag = format[i] == '_' ? ' ' : format[i];
      ++i;
    }
    if (const std::string_view more = expansion(format[i]); !more.empty()) {
      format_into(out, more, parts, moment);  // Once: expansions hold none.
      continue;
    }
    const std::string text = directive(format[i], flag, parts, moment);
    out.add(text.empty() ? format.substr(begin, i + 1 - begin) : text);
  }
}

}  // namespace

Value format_date(Scratch& scratch, const Value& value, std::string_view format) {
  const auto moment = read_moment(value);
  if (!moment || format.empty() || !scratch.spend(format.size())) return value;
  Builder made(scratch);
  format_into(made, format, Parts(*moment), *moment);
  return made.finish();
}

}  // namespace mailsbuddy::liquid
