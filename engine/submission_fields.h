// submission_fields.h - the header fields by which a submitted message says how it is to be sent.
//
//   field    = "X-MB-Campaign:" word / "X-MB-Pool:" word
//            / "X-MB-Priority:" ( "transactional" / "bulk" )
//            / "X-MB-Schedule:" ( date-time / "+" 1*9DIGIT ( "s" / "m" / "h" / "d" ) )   ; RFC 3339 5.6; with "Z" or an
//            offset
//   word     = 1*64( ALPHA / DIGIT / "-" / "_" / "." )
//
// Each may stand once. Letter case of names does not matter. Another X-MB- field is a slip and refused: sent on unread,
// a misspelt schedule would be a mail that went out at once.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "mailsbuddy/engine.h"

namespace mailsbuddy::engine {

inline constexpr std::size_t kRoutingWordMax = 64;  // It stands in events, logs and look-ups.
inline constexpr std::chrono::hours kScheduleMax(24 * 366);

struct RoutingFields {
  std::string campaign;
  std::string pool;
  std::optional<Priority> priority;
  TimePoint not_before{};
  bool any = false;  // One stood there.
};

// Takes the fields out of `message`. Errors: kInvalidArgument naming the field; `message` is then as it was.
Result<RoutingFields> take_routing_fields(std::string& message, TimePoint now);

// `text`: without white space around it. Empty: it is no time in that form, or more than kScheduleMax ahead.
std::optional<TimePoint> parse_schedule(std::string_view text, TimePoint now);

}  // namespace mailsbuddy::engine
