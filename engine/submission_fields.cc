#include "engine/submission_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/base/ascii.h"
#include "core/mail/header.h"

namespace mailsbuddy::engine {
namespace {

constexpr std::string_view kPrefix = "X-MB-";

bool is_word(std::string_view text) noexcept {
  return !text.empty() && text.size() <= kRoutingWordMax && std::all_of(text.begin(), text.end(), [](char c) {
    return ascii::is_alnum(c) || c == '-' || c == '_' || c == '.';
  });
}

// Takes exactly `digits` digits and, if given, the character after them. Empty: they are not there.
std::optional<int> take_number(std::string_view& text, std::size_t digits, char after = '\0') noexcept {
  int value = 0;
  if (text.size() < digits) return std::nullopt;
  for (std::size_t i = 0; i < digits; ++i) {
    if (!ascii::is_digit(text[i])) return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(digits);
  if (after == '\0') return value;
  if (text.empty() || ascii::to_lower(text.front()) != ascii::to_lower(after)) return std::nullopt;
  text.remove_prefix(1);
  return value;
}

// "Z", "+01:00", "-05:30".
std::optional<std::chrono::minutes> parse_offset(std::string_view text) noexcept {
  if (ascii::iequals(text, "Z")) return std::chrono::minutes(0);
  if (text.empty() || (text.front() != '+' && text.front() != '-')) return std::nullopt;
  const int sign = text.front() == '+' ? 1 : -1;
  text.remove_prefix(1);
  const auto hours = take_number(text, 2, ':');
  const auto minutes = hours ? take_number(text, 2) : std::nullopt;
  if (!minutes || !text.empty() || *hours > 23 || *minutes > 59) return std::nullopt;
  return std::chrono::minutes(sign * (*hours * 60 + *minutes));
}

std::optional<TimePoint> parse_date_time(std::string_view text) noexcept {
  const auto year = take_number(text, 4, '-');
  const auto month = year ? take_number(text, 2, '-') : std::nullopt;
  const auto day = month ? take_number(text, 2, 'T') : std::nullopt;
  const auto hour = day ? take_number(text, 2, ':') : std::nullopt;
  const auto minute = hour ? take_number(text, 2, ':') : std::nullopt;
  const auto second = minute ? take_number(text, 2) : std::nullopt;
  if (!second || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (text.starts_with('.')) {  // Fractions of a second are nobody's concern here.
    const std::size_t end = text.find_first_not_of("0123456789", 1);
    text.remove_prefix(end == 1 || end == std::string_view::npos ? text.size() : end);
  }
  const auto offset = parse_offset(text);
  if (!date.ok() || !offset || *year < 1970 || *year > 2200) return std::nullopt;
  return std::chrono::sys_days(date) + std::chrono::hours(*hour) + std::chrono::minutes(*minute - offset->count()) +
         std::chrono::seconds(*second);
}

std::optional<TimePoint> parse_delay(std::string_view text, TimePoint now) noexcept {
  const std::string_view digits = text.substr(1, text.size() - 2);
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), count);
  if (digits.empty() || digits.size() > 9 || !ascii::is_digit(digits.front()) || error != std::errc{} ||
      end != digits.data() + digits.size())
    return std::nullopt;
  constexpr std::string_view kUnits = "smhd";
  constexpr std::int64_t kSeconds[] = {1, 60, 3600, 86'400};
  const std::size_t unit = kUnits.find(text.back());
  if (unit == std::string_view::npos || count * kSeconds[unit] > std::chrono::seconds(kScheduleMax).count())
    return std::nullopt;
  return now + std::chrono::seconds(count * kSeconds[unit]);
}

// What one field says. False: nothing that it may say.
bool read_field(std::string_view name, std::string_view value, TimePoint now, RoutingFields& fields) {
  if (ascii::iequals(name, "Campaign") && fields.campaign.empty() && is_word(value)) {
    fields.campaign = value;
  } else if (ascii::iequals(name, "Pool") && fields.pool.empty() && is_word(value)) {
    fields.pool = value;
  } else if (ascii::iequals(name, "Priority") && !fields.priority && ascii::iequals(value, "transactional")) {
    fields.priority = Priority::kTransactional;
  } else if (ascii::iequals(name, "Priority") && !fields.priority && ascii::iequals(value, "bulk")) {
    fields.priority = Priority::kBulk;
  } else if (ascii::iequals(name, "Schedule") && fields.not_before == TimePoint{}) {
    const auto time = parse_schedule(value, now);
    if (!time) return false;
    fields.not_before = *time;
  } else {
    return false;
  }
  return true;
}

}  // namespace

std::optional<TimePoint> parse_schedule(std::string_view text, TimePoint now) {
  if (text.size() >= 3 && text.front() == '+') return parse_delay(text, now);
  const auto time = parse_date_time(text);
  if (!time || *time > now + kScheduleMax) return std::nullopt;
  return time;
}

Result<RoutingFields> take_routing_fields(std::string& message, TimePoint now) {
  RoutingFields fields;
  std::string kept;
  std::string_view rest = message;
  std::string_view at = rest;  // Where `rest` was before the field.
  for (; const auto field = next_field(rest); at = rest) {
    if (field->name.empty()) break;  // The body has begun.
    if (!ascii::istarts_with(field->name, kPrefix)) {
      kept += at.substr(0, at.size() - rest.size());
      continue;
    }
    fields.any = true;
    if (!read_field(field->name.substr(kPrefix.size()), ascii::trim(field->value), now, fields))
      return Error{ErrorCode::kInvalidArgument, fmt::format("{}: not known, twice, or not a value of it", field->name)};
  }
  if (fields.any) message = kept.append(at);
  return fields;
}

}  // namespace mailsbuddy::engine
