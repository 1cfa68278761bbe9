// windows.h - when the windows of a schedule are open, on whose clock.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

#include "mailsbuddy/engine.h"

namespace mailsbuddy::engine {

// The first moment from `at` on that is in a window; `at` itself where there are none. Daylight saving: a window is
// from the moment at which the clock shows `from`, or is put forward over it, to that of `to`. max(): never.
TimePoint opens(std::span<const DeliveryWindow> windows, const Zone& zone, TimePoint at);
Duration open_between(std::span<const DeliveryWindow> windows, const Zone& zone, TimePoint from, TimePoint to);  // How much.
Result<void> check_windows(std::span<const DeliveryWindow> windows);  // Errors: kInvalidArgument.

// Zones by what rows and schedules call them; each is found once. Threads: any.
class ZoneBook {
 public:
  using Find = std::function<Result<Zone>(std::string_view)>;
  explicit ZoneBook(Find find) : find_(std::move(find)) {}
  // "", "UTC", "+HH:MM", "UTC+HH:MM", or what `find` knows. Errors: kInvalidArgument naming it.
  Result<Zone> zone(std::string_view name) const;

 private:
  static constexpr std::size_t kZonesMax = 2000;  // IANA has some 600 names.
  Find find_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, Zone, std::less<>> zones_;
};

}  // namespace mailsbuddy::engine
