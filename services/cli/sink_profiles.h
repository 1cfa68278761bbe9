// sink_profiles.h - sink profiles as people write them, on the command line and in files.
//
//   profile  = name [ ":" setting *( "," setting ) ]        gmail:latency=20ms,defer=5%,starttls
//   setting  = key [ "=" value ]                            ; a key alone switches on
//   value    = quoted / *( any but "," )                    ; quoted: "..." with "" for a quotation mark
//
// The file is JSON: {"gmail": {"latency": "20ms", "defer": "5%", "starttls": true}, ...}
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mailsbuddy/smtp.h"

namespace mailsbuddy::cli {

// Errors: kInvalidArgument naming the profile, the key and what it takes.
Result<smtp::SinkProfile> parse_profile(std::string_view text);
Result<std::vector<smtp::SinkProfile>> parse_profiles_json(std::string_view json);

Result<Duration> parse_duration(std::string_view text);  // "20ms", "1.5s", "2m", "1h", "0"
std::string profile_keys_help();                         // A line per key, for --help.

}  // namespace mailsbuddy::cli
