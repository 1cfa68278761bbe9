// zone.h - time zones by name, from this host's files.
#pragma once

#include <string_view>

#include "mailsbuddy/zone.h"

namespace mailsbuddy::cli {

inline constexpr std::string_view kZoneHelp = "Where days begin: Europe/Berlin, +05:30, or a rule like EST5EDT,M3.2.0,M11.1.0";

// A name of /usr/share/zoneinfo, "UTC", "+HH:MM", or a rule as Zone::parse() takes it.
// Errors: kNotFound: no such name; those of Zone.
Result<Zone> load_zone(std::string_view text);

}  // namespace mailsbuddy::cli
