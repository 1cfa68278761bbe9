// listen_reply.h - a handler's Reply as one line that can be sent.
#pragma once

#include <string>
#include <string_view>

#include "mailsbuddy/smtp.h"

namespace mailsbuddy::smtp {

// Without CRLF, at most 510 octets (RFC 5321 4.5.3.1.5), printable ASCII, with an enhanced code (RFC 2034 4). A code
// that is neither 2yz, 4yz nor 5yz gives `otherwise`: what a handler means by it is not known, so nothing is promised.
// A 2yz without text says "Queued as ID".
std::string reply_line(const Reply& reply, std::string_view otherwise, MessageId id = {});

}  // namespace mailsbuddy::smtp
