// date.h - RFC 5322 3.3 date-times as read.
#pragma once

#include <optional>
#include <string_view>

#include "mailsbuddy/base.h"

namespace mailsbuddy {

// "Thu, 8 Mar 2005 14:00:00 -0400 (EDT)", and what is written for it: without the day's name or the seconds, with a
// zone's name (RFC 5322 4.3; an unknown one is UTC), a year of two digits. Empty: no such date.
std::optional<TimePoint> parse_date(std::string_view text);

}  // namespace mailsbuddy
