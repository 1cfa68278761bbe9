// text.h - numbers, durations and words of the room's data.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mailsbuddy/base.h"

namespace mailsbuddy::warming {

// "1500", "0.5", "2k", "1.5M", "0.5%" (0.005). Empty: anything else, or not finite.
std::optional<double> parse_number(std::string_view text);
// "90s", "30m", "4h", "2d", at most 1,000 days. Empty: anything else.
std::optional<Duration> parse_duration(std::string_view text);
std::vector<std::string_view> split_words(std::string_view text);  // At white space.

std::string thousands(std::uint64_t number);   // "1,234,567"
std::string percent(double share);             // "5.2 %"
std::string duration_text(Duration duration);  // "30 min", "2 h", "1 d"
std::string time_text(TimePoint time);         // "2026-11-26 05:10:00 UTC"

}  // namespace mailsbuddy::warming
