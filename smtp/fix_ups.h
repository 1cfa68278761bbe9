// fix_ups.h - the header fields that a receiver puts on top of a message: Received, and what RFC 6409 8 lets it add.
#pragma once

#include <string>
#include <string_view>

#include "mailsbuddy/smtp.h"

namespace mailsbuddy::smtp {

// RFC 5321 6.3: a message that has passed so many hosts goes in circles. Its "at least 100" is what all others take.
inline constexpr int kReceivedMax = 100;

struct MessageHead {    // What a message's header says, as far as is asked here.
  bool fields = false;  // It begins with a header field or with the empty line.
  bool date = false;
  bool message_id = false;
  int received = 0;
};
MessageHead read_head(std::string_view message) noexcept;

// Received, as RFC 5321 4.4 and RFC 3848 ("with") have it, in complete lines:
//   Received: from client.example ([192.0.2.1])
//    by mx.example with ESMTPSA id 01h2...;
//    Mon, 23 Nov 2026 19:57:48 +0000
std::string received_field(const Submission& submission, std::string_view host, bool extended, TimePoint now);

// Puts on top of submission.data what `fix_ups` ask for.
void apply_fix_ups(Submission& submission, const ListenFixUps& fix_ups, std::string_view host, bool extended,
                   TimePoint now);

}  // namespace mailsbuddy::smtp
