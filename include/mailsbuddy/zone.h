// zone.h - time zones: what a clock on the wall shows, when days begin, daylight saving included.
//
// A door of its own, for only warming and delivery windows need it. It reads no file: who wants "Europe/Berlin" hands
// in what /usr/share/zoneinfo/Europe/Berlin holds.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "mailsbuddy/base.h"

namespace mailsbuddy {

// How far local time is ahead of UTC at each moment. A value; copies share what was read, so they cost a pointer.
// Threads: const, any. Range: the years 1900 to 2200; before and after them the offset stays as it was there.
class Zone {
 public:
  using Local = std::chrono::local_time<Duration>;  // What the clock on the wall shows.

  Zone() = default;  // UTC.
  // A fixed offset; east is positive. Beyond kOffsetMax: kOffsetMax.
  explicit Zone(std::chrono::seconds offset);
  // What a TZif file says (RFC 8536; /usr/share/zoneinfo has them), with the rule at its end for the years to come.
  // Errors: kInvalidArgument "zone NAME: what is wrong"; kUnsupported: it counts leap seconds ("right/...").
  static Result<Zone> read(std::string_view tzif, std::string name);
  // A rule as in POSIX's TZ variable (XBD 8.3), with the hours of RFC 8536 3.3.1: "CET-1CEST,M3.5.0,M10.5.0/3", "UTC0".
  // Errors: kInvalidArgument.
  static Result<Zone> parse(std::string_view rule);

  const std::string& name() const noexcept;  // As it was given; "UTC", "UTC+05:30".

  std::chrono::seconds offset(TimePoint at) const noexcept;
  Local local(TimePoint at) const noexcept { return Local((at + offset(at)).time_since_epoch()); }
  // The first moment at which the clock shows `local` or, where it is put forward over it, later. Years 1700 to 2250.
  TimePoint at(Local local) const noexcept;

  // Days since 1970-01-01 there. Never goes back: where the clock is put back over midnight, the new day has begun.
  std::int64_t day(TimePoint at) const noexcept;
  TimePoint day_start(std::int64_t day) const noexcept {
    return at(Local(std::chrono::days(std::clamp<std::int64_t>(day, -100'000, 100'000))));  // What nanoseconds hold.
  }

  static constexpr std::chrono::seconds kOffsetMax = std::chrono::hours(26);  // RFC 8536 3.2: no clock is farther off.

 private:
  struct Rules;
  struct Segment;
  Segment segment(TimePoint at) const noexcept;
  std::shared_ptr<const Rules> rules_;  // Null: UTC.
};

}  // namespace mailsbuddy
