// Windows as text:
//   windows = window *( "," window )
//   window  = [ days SP ] time "-" time
//   days    = day [ "-" day ]       ; "fri-mon" goes over the week's end
//   day     = "mon" / "tue" / "wed" / "thu" / "fri" / "sat" / "sun"
//   time    = 2DIGIT ":" 2DIGIT     ; 24:00 ends a day
#include "engine/windows.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/base/ascii.h"

namespace mailsbuddy {
namespace {

using std::chrono::minutes;

constexpr minutes kDay{24 * 60};

Error invalid(std::string detail) { return {ErrorCode::kInvalidArgument, std::move(detail)}; }

// "09:30"; less than nothing: it is none.
minutes clock_time(std::string_view text) {
  const auto digit = [&](std::size_t at) { return ascii::is_digit(text[at]) ? text[at] - '0' : -100; };
  if (text.size() != 5 || text[2] != ':') return minutes(-1);
  const int hour = digit(0) * 10 + digit(1);
  const int minute = digit(3) * 10 + digit(4);
  if (hour < 0 || minute < 0 || minute > 59) return minutes(-1);
  const minutes time(hour * 60 + minute);
  return time > kDay ? minutes(-1) : time;
}

int day_named(std::string_view text) {
  constexpr std::string_view kDays[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
  const auto found = std::find_if(std::begin(kDays), std::end(kDays),
                                  [text](std::string_view name) { return ascii::iequals(name, text); });
  return found == std::end(kDays) ? -1 : static_cast<int>(found - std::begin(kDays));
}

Result<DeliveryWindow> parse_window(std::string_view text) {
  const auto bad = [text] {
    return invalid(fmt::format("window '{}': DAYS HH:MM-HH:MM is expected, as in mon-fri 09:00-17:30", text));
  };
  DeliveryWindow window;
  const std::size_t space = text.find(' ');
  if (space != std::string_view::npos) {
    const std::string_view days = text.substr(0, space);
    const std::size_t dash = days.find('-');
    const int first = day_named(days.substr(0, dash));
    const int last = dash == std::string_view::npos ? first : day_named(days.substr(dash + 1));
    if (first < 0 || last < 0) return bad();
    window.weekdays = 0;
    for (int day = first;; day = (day + 1) % 7) {
      window.weekdays = static_cast<std::uint8_t>(window.weekdays | 1U << day);
      if (day == last) break;
    }
  }
  const std::string_view times = space == std::string_view::npos ? text : ascii::trim(text.substr(space));
  const std::size_t dash = times.find('-');
  if (dash == std::string_view::npos) return bad();
  window.from = clock_time(times.substr(0, dash));
  window.to = clock_time(times.substr(dash + 1));
  if (window.from < minutes(0) || window.to < minutes(0) || window.from == kDay) return bad();
  return window;
}

// "+02:00"; empty: it is no offset.
std::optional<std::chrono::seconds> parse_offset(std::string_view text) {
  if (text.size() != 6 || (text[0] != '+' && text[0] != '-')) return std::nullopt;
  const minutes offset = clock_time(text.substr(1));
  if (offset < minutes(0)) return std::nullopt;
  return text[0] == '-' ? -offset : offset;
}

}  // namespace

Result<std::vector<DeliveryWindow>> Schedule::parse_windows(std::string_view text) {
  std::vector<DeliveryWindow> windows;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(','));
    text.remove_prefix(std::min(part.size() + 1, text.size()));
    auto window = parse_window(ascii::trim(part));
    if (!window) return std::move(window).error();
    windows.push_back(*window);
  }
  if (auto checked = engine::check_windows(windows); !checked) return std::move(checked).error();
  return windows;
}

namespace engine {

Result<void> check_windows(std::span<const DeliveryWindow> windows) {
  if (windows.size() > Schedule::kWindowsMax) {
    return invalid(fmt::format("{} windows, the limit is {}", windows.size(), Schedule::kWindowsMax));
  }
  for (const DeliveryWindow& each : windows) {
    if ((each.weekdays & 0b111'1111) == 0 || each.from < minutes(0) || each.from >= kDay || each.to < minutes(0) ||
        each.to > kDay) {
      return invalid("a window has no weekday, or a time that is in no day");
    }
  }
  return {};
}

namespace {

struct Span {
  TimePoint from, to;
};

// Those that begin on that day; empty ones too.
template <class Visit>
void each_window(std::span<const DeliveryWindow> windows, const Zone& zone, std::chrono::local_days date, Visit visit) {
  const unsigned weekday = std::chrono::weekday(date).iso_encoding() - 1;
  for (const DeliveryWindow& window : windows) {
    if ((window.weekdays >> weekday & 1U) == 0) continue;
    visit(Span{zone.at(Zone::Local(date + window.from)),
               zone.at(Zone::Local(date + window.to + (window.to > window.from ? minutes(0) : kDay)))});
  }
}

}  // namespace

TimePoint opens(std::span<const DeliveryWindow> windows, const Zone& zone, TimePoint at) {
  if (windows.empty()) return at;
  const auto today = std::chrono::floor<std::chrono::days>(zone.local(at));
  TimePoint first = TimePoint::max();
  for (int day = -1; day <= 8; ++day) {  // Yesterday's may go on over midnight.
    each_window(windows, zone, today + std::chrono::days(day), [&](const Span& window) {
      if (window.from < window.to && window.to > at) first = std::min(first, std::max(window.from, at));
    });
    if (first == at || (day > 0 && first != TimePoint::max())) break;
  }
  return first;
}

Duration open_between(std::span<const DeliveryWindow> windows, const Zone& zone, TimePoint from, TimePoint to) {
  if (windows.empty()) return std::max(Duration(0), to - from);
  std::vector<Span> spans;
  const auto last = std::chrono::floor<std::chrono::days>(zone.local(to));
  for (auto date = std::chrono::floor<std::chrono::days>(zone.local(from)) - std::chrono::days(1); date <= last;
       date += std::chrono::days(1)) {
    each_window(windows, zone, date, [&](const Span& window) { spans.push_back(window); });
  }
  std::ranges::sort(spans, {}, &Span::from);
  Duration open{0};
  for (const Span& each : spans) {  // Those that overlap count once.
    from = std::max(from, each.from);
    const TimePoint end = std::min(each.to, to);
    if (end > from) open += end - std::exchange(from, end);
  }
  return open;
}

Result<Zone> ZoneBook::zone(std::string_view name) const {
  if (name.empty() || name == "UTC") return Zone();
  if (const auto offset = parse_offset(name.starts_with("UTC") ? name.substr(3) : name)) return Zone(*offset);
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = zones_.find(name); found != zones_.end()) return found->second;
  }
  auto found = find_ ? find_(name) : Result<Zone>(invalid("no such zone is known here"));
  if (!found) return invalid(fmt::format("zone '{}': {}", name, found.error().detail));
  const std::lock_guard lock(mutex_);
  if (zones_.size() < kZonesMax) zones_.emplace(name, *found);
  return found;
}

}  // namespace engine
}  // namespace mailsbuddy
