// TZif (RFC 8536 3), big-endian:
//   file    = header v1-data [header v2-data LF rule LF]      the second half with 64-bit times, from version 2 on
//   header  = "TZif" version 15OCTET isutcnt isstdcnt leapcnt timecnt typecnt charcnt        counts of 32 bits
//   data    = timecnt(time) timecnt(type-index) typecnt(utoff isdst desigidx) charcnt(OCTET)
//             leapcnt(time correction) isstdcnt(OCTET) isutcnt(OCTET)
// Rule (POSIX XBD 8.3, RFC 8536 3.3.1):
//   rule    = name offset [name [offset] "," date ["/" time] "," date ["/" time]]
//   name    = 3*ALPHA / "<" 3*(ALPHA / DIGIT / "+" / "-") ">"
//   offset  = ["+" / "-"] hours [":" minutes [":" seconds]]   to the west
//   date    = "J" 1..365 (no 29 February) / 0..365 / "M" month "." week "." weekday
//   time    = as offset, up to 167 hours
#include "mailsbuddy/zone.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>
#include <vector>

#include "core/base/ascii.h"

namespace mailsbuddy {
namespace {

using std::chrono::days;
using std::chrono::seconds;
using std::chrono::sys_days;
using SysSeconds = std::chrono::sys_seconds;

constexpr std::uint32_t kTransitionsMax = 10'000;  // The longest histories have some 250.
constexpr std::uint32_t kTypesMax = 256;           // Their index is an octet.
constexpr std::uint32_t kCharsMax = 4'096;
constexpr SysSeconds kFirst = sys_days(std::chrono::year(1900) / 1 / 1);
constexpr SysSeconds kLast = sys_days(std::chrono::year(2200) / 1 / 1);
constexpr std::int64_t kDayMax = 100'000;  // In 2243: the last one that day_start() knows.

Error invalid(std::string detail) { return {ErrorCode::kInvalidArgument, std::move(detail)}; }

bool possible(std::int64_t offset) { return std::abs(offset) <= Zone::kOffsetMax.count(); }

// ---------------------------------------------------------------------------------------------------------------------
// Rules

struct RuleDate {
  enum class Kind : std::uint8_t { kJulian, kDayOfYear, kWeekday };
  Kind kind = Kind::kWeekday;
  int day = 0;  // Of the year, or of the week; Sunday is 0.
  unsigned month = 0;
  int week = 0;  // 5: the last.
  seconds time{7'200};

  sys_days in(std::chrono::year year) const {
    if (kind == Kind::kDayOfYear) return sys_days(year / 1 / 1) + days(day);
    if (kind == Kind::kJulian) return sys_days(year / 1 / 1) + days(day - 1 + (year.is_leap() && day >= 60 ? 1 : 0));
    const std::chrono::month in_month(month);
    const std::chrono::weekday weekday(static_cast<unsigned>(day));
    return week == 5 ? sys_days(year / in_month / weekday[std::chrono::last])
                     : sys_days(year / in_month / weekday[static_cast<unsigned>(week)]);
  }
};

struct Rule {
  seconds standard{};
  seconds summer{};
  bool changes = false;
  RuleDate to_summer;
  RuleDate to_standard;
};

class RuleReader {
 public:
  explicit RuleReader(std::string_view text) : text_(text) {}

  std::optional<Rule> rule() {
    Rule rule;
    if (!name() || !offset(24, rule.standard)) return std::nullopt;
    rule.standard = -rule.standard;  // POSIX counts to the west.
    if (text_.empty()) return rule;
    rule.changes = true;
    rule.summer = rule.standard + std::chrono::hours(1);
    if (!name()) return std::nullopt;
    if (!text_.starts_with(',')) {
      if (!offset(24, rule.summer)) return std::nullopt;
      rule.summer = -rule.summer;
    }
    if (!date(rule.to_summer) || !date(rule.to_standard) || !text_.empty()) return std::nullopt;
    return rule;
  }

 private:
  bool take(char c) {
    if (!text_.starts_with(c)) return false;
    text_.remove_prefix(1);
    return true;
  }

  bool name() {
    const bool quoted = take('<');
    std::size_t length = 0;
    while (length < text_.size() &&
           (ascii::is_alpha(text_[length]) || (quoted && (ascii::is_digit(text_[length]) || text_[length] == '+' ||
                                                          text_[length] == '-')))) {
      ++length;
    }
    text_.remove_prefix(length);
    return length >= 3 && (!quoted || take('>'));
  }

  bool number(int least, int most, int& value) {
    value = 0;
    std::size_t length = 0;
    for (; length < text_.size() && length < 4 && ascii::is_digit(text_[length]); ++length)
      value = value * 10 + (text_[length] - '0');
    text_.remove_prefix(length);
    return length > 0 && value >= least && value <= most;
  }

  bool offset(int hours_max, seconds& value) {
    const bool negative = take('-');
    if (!negative) take('+');
    int hours = 0, minutes = 0, rest = 0;
    if (!number(0, hours_max, hours)) return false;
    if (take(':') && (!number(0, 59, minutes) || (take(':') && !number(0, 59, rest)))) return false;
    value = seconds((hours * 60 + minutes) * 60 + rest) * (negative ? -1 : 1);
    return true;
  }

  bool date(RuleDate& date) {
    if (!take(',')) return false;
    if (take('M')) {
      int month = 0;
      if (!number(1, 12, month) || !take('.') || !number(1, 5, date.week) || !take('.') || !number(0, 6, date.day))
        return false;
      date.month = static_cast<unsigned>(month);
    } else if (take('J')) {
      date.kind = RuleDate::Kind::kJulian;
      if (!number(1, 365, date.day)) return false;
    } else {
      date.kind = RuleDate::Kind::kDayOfYear;
      if (!number(0, 365, date.day)) return false;
    }
    return !take('/') || offset(167, date.time);
  }

  std::string_view text_;
};

}  // namespace

// ---------------------------------------------------------------------------------------------------------------------
// Looking up

struct Zone::Segment {  // The offset holds from `from` until before `to`.
  TimePoint from;
  TimePoint to;
  seconds offset;
};

struct Zone::Rules {
  struct Transition {
    SysSeconds at;
    seconds offset;  // From then on.
  };
  std::string name;
  seconds first{};                       // Before all of them.
  std::vector<Transition> transitions;   // In order.
  std::optional<Rule> rule;              // After all of them.

  seconds last() const { return transitions.empty() ? first : transitions.back().offset; }

  // A year's two changes may lie in the next or the last year of UTC, so three years are looked at.
  Segment by_rule(SysSeconds at) const {
    if (!rule) return {TimePoint(kFirst), TimePoint(kLast), last()};
    if (!rule->changes) return {TimePoint(kFirst), TimePoint(kLast), rule->standard};
    const std::chrono::year year = std::chrono::year_month_day(std::chrono::floor<days>(at)).year();
    std::array<Transition, 6> changes;
    for (int i = 0; i < 3; ++i) {
      const std::chrono::year of = year + std::chrono::years(i - 1);
      const auto one = static_cast<std::size_t>(2 * i);
      changes[one] = {rule->to_summer.in(of) + rule->to_summer.time - rule->standard, rule->summer};
      changes[one + 1] = {rule->to_standard.in(of) + rule->to_standard.time - rule->summer, rule->standard};
    }
    // Summer time all the year is written as ending when it begins (RFC 8536 3.3.1): then the beginning is the later.
    std::sort(changes.begin(), changes.end(), [&](const Transition& a, const Transition& b) {
      return a.at != b.at ? a.at < b.at : b.offset == rule->summer && a.offset != rule->summer;
    });
    const auto after = std::upper_bound(changes.begin(), changes.end(), at,
                                        [](SysSeconds time, const Transition& each) { return time < each.at; });
    return {TimePoint(after == changes.begin() ? kFirst : std::prev(after)->at),
            TimePoint(after == changes.end() ? kLast : after->at),
            after == changes.begin() ? rule->standard : std::prev(after)->offset};
  }
};

Zone::Segment Zone::segment(TimePoint at) const noexcept {
  if (rules_ == nullptr) return {TimePoint::min(), TimePoint::max(), seconds(0)};
  const auto& all = rules_->transitions;
  const SysSeconds time = std::clamp(std::chrono::floor<seconds>(at), kFirst, kLast - seconds(1));
  const auto after = std::upper_bound(all.begin(), all.end(), time,
                                      [](SysSeconds each, const Rules::Transition& next) { return each < next.at; });
  Segment found = {TimePoint(after == all.begin() ? kFirst : std::prev(after)->at),
                   after == all.end() ? TimePoint(kLast) : TimePoint(after->at),
                   after == all.begin() ? rules_->first : std::prev(after)->offset};
  if (after == all.end()) {
    const Segment ruled = rules_->by_rule(time);
    found = {std::max(found.from, ruled.from), ruled.to, ruled.offset};
  }
  if (found.from <= TimePoint(kFirst)) found.from = TimePoint::min();
  if (found.to >= TimePoint(kLast)) found.to = TimePoint::max();
  return found;
}

seconds Zone::offset(TimePoint at) const noexcept { return segment(at).offset; }

TimePoint Zone::at(Local local) const noexcept {
  const TimePoint as_utc(local.time_since_epoch());
  if (rules_ == nullptr) return as_utc;
  for (Segment each = segment(as_utc - kOffsetMax);; each = segment(each.to)) {
    const TimePoint shown = std::max(each.from, as_utc - each.offset);
    if (shown < each.to || each.to == TimePoint::max()) return shown;
  }
}

std::int64_t Zone::day(TimePoint at) const noexcept {
  std::int64_t day = std::chrono::floor<days>(local(at).time_since_epoch()).count();
  while (rules_ != nullptr && day < kDayMax && day_start(day + 1) <= at) ++day;
  return day;
}

const std::string& Zone::name() const noexcept {
  static const std::string kUtc = "UTC";
  return rules_ == nullptr ? kUtc : rules_->name;
}

// ---------------------------------------------------------------------------------------------------------------------
// Making one

Zone::Zone(seconds offset) {
  if (offset == seconds(0)) return;
  offset = std::clamp(offset, -kOffsetMax, kOffsetMax);
  const auto minutes = std::abs(offset.count()) / 60;
  const auto two = [](std::int64_t number) { return (number < 10 ? "0" : "") + std::to_string(number); };
  auto rules = std::make_shared<Rules>();
  rules->first = offset;
  rules->name = (offset.count() < 0 ? "UTC-" : "UTC+") + two(minutes / 60) + ":" + two(minutes % 60);
  rules_ = std::move(rules);
}

Result<Zone> Zone::parse(std::string_view text) {
  const auto rule = RuleReader(text).rule();
  if (!rule) {
    return invalid("zone \"" + std::string(text.substr(0, 100)) +
                   "\": a rule such as CET-1CEST,M3.5.0,M10.5.0/3 is expected");
  }
  auto rules = std::make_shared<Rules>();
  rules->name = std::string(text);
  rules->first = rule->standard;
  rules->rule = rule;
  Zone zone;
  zone.rules_ = std::move(rules);
  return zone;
}

namespace {

class TzifReader {
 public:
  explicit TzifReader(std::string_view bytes) : bytes_(bytes) {}

  struct Header {
    std::uint32_t isutc = 0, isstd = 0, leap = 0, time = 0, type = 0, chars = 0;
    char version = 0;

    std::size_t data_bytes(std::size_t time_bytes) const {
      return time * (time_bytes + 1) + type * std::size_t{6} + chars + leap * (time_bytes + 4) + isstd + isutc;
    }
  };

  std::optional<Header> header() {
    const std::string_view start = raw(20);
    if (bad_ || !start.starts_with("TZif")) return std::nullopt;
    Header header{.version = start[4]};
    for (std::uint32_t* count : {&header.isutc, &header.isstd, &header.leap, &header.time, &header.type, &header.chars})
      *count = static_cast<std::uint32_t>(number(4));
    const bool counts_fit = header.time <= kTransitionsMax && header.leap <= kTransitionsMax && header.type >= 1 &&
                            header.type <= kTypesMax && header.isutc <= kTypesMax && header.isstd <= kTypesMax &&
                            header.chars <= kCharsMax;
    return bad_ || !counts_fit ? std::nullopt : std::optional(header);
  }

  std::uint64_t number(std::size_t octets) {
    std::uint64_t value = 0;
    for (const char c : raw(octets)) value = value << 8 | static_cast<unsigned char>(c);
    return value;
  }
  std::int64_t time(std::size_t octets) {
    return octets == 8 ? static_cast<std::int64_t>(number(8)) : static_cast<std::int32_t>(number(4));
  }
  std::string_view raw(std::size_t size) {
    if (bytes_.size() < size) {
      bad_ = true;
      return {};
    }
    const std::string_view taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }
  // Between two line feeds (RFC 8536 3.3).
  std::optional<std::string_view> footer() {
    if (!bytes_.starts_with('\n')) return std::nullopt;
    const std::size_t end = bytes_.find('\n', 1);
    return end == std::string_view::npos ? std::nullopt : std::optional(bytes_.substr(1, end - 1));
  }
  bool bad() const { return bad_; }

 private:
  std::string_view bytes_;
  bool bad_ = false;
};

}  // namespace

Result<Zone> Zone::read(std::string_view tzif, std::string name) {
  const auto bad = [&name](std::string_view why) { return invalid("zone " + name + ": " + std::string(why)); };
  TzifReader in(tzif);
  auto header = in.header();
  if (!header) return bad("no time zone file (RFC 8536)");
  std::size_t time_bytes = 4;
  if (header->version >= '2') {
    in.raw(header->data_bytes(4));  // The same once more, for readers of 32 bits.
    header = in.header();
    if (!header) return bad("its second half is missing");
    time_bytes = 8;
  }
  if (header->leap > 0) return Error{ErrorCode::kUnsupported, "zone " + name + ": it counts leap seconds"};
  auto rules = std::make_shared<Rules>();
  std::vector<std::int64_t> times(header->time);
  for (std::int64_t& each : times) each = in.time(time_bytes);
  const std::string_view kinds = in.raw(header->time);
  std::vector<seconds> types(header->type);
  for (seconds& each : types) {
    each = seconds(in.time(4));
    in.raw(2);
    if (!possible(each.count())) return bad("an offset of more than 26 hours");
  }
  in.raw(header->chars + header->isstd + header->isutc);
  if (in.bad()) return bad("cut short");
  rules->first = types.front();
  for (std::size_t i = 0; i < times.size(); ++i) {
    const auto kind = static_cast<unsigned char>(kinds[i]);
    if (kind >= types.size()) return bad("a type that there is not");
    if (i > 0 && times[i] <= times[i - 1]) return bad("its times are not in order");
    if (times[i] < kFirst.time_since_epoch().count()) {
      rules->first = types[kind];
    } else if (times[i] < kLast.time_since_epoch().count()) {
      rules->transitions.push_back({SysSeconds(seconds(times[i])), types[kind]});
    }
  }
  if (time_bytes == 8) {
    const auto footer = in.footer();
    if (!footer) return bad("the rule at its end is missing");
    if (!footer->empty()) {
      rules->rule = RuleReader(*footer).rule();
      if (!rules->rule) return bad("the rule at its end is not understood");
    }
  }
  rules->name = std::move(name);
  Zone zone;
  zone.rules_ = std::move(rules);
  return zone;
}

}  // namespace mailsbuddy
