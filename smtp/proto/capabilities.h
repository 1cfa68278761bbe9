// capabilities.h - what a server offers in its reply to EHLO.
#pragma once

#include <string_view>

#include "mailsbuddy/smtp.h"

namespace mailsbuddy::smtp {

// `text`: of a positive reply to EHLO, lines joined by '\n'; the first is the server's name.
Capabilities parse_capabilities(std::string_view text) noexcept;

}  // namespace mailsbuddy::smtp
