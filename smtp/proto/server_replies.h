// server_replies.h - replies that the session gives in more than one place.
#pragma once

#include <string_view>

namespace mailsbuddy::smtp {

inline constexpr std::string_view kNotKnown = "500 5.5.1 Command not known";
inline constexpr std::string_view kNoParameter = "501 5.5.4 No argument allowed";
inline constexpr std::string_view kTooBig = "552 5.3.4 Message too big";

}  // namespace mailsbuddy::smtp
