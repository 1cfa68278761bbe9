// returned.h - mail that comes back to a sender: bounces, complaints and the like, in the forms that receivers write
// them.
#pragma once

#include <string>
#include <string_view>

namespace mailsbuddy::sim {

// The message that something comes back about, and what is said of it.
struct Returned {
  std::string to;                // Its recipient.
  std::string return_path;       // Its MAIL FROM.
  std::string reported{};        // The address that the report names; empty: `to`.
  std::string status = "5.1.1";  // RFC 3463.
  std::string text = "User unknown";
  std::string feedback_type = "abuse";  // RFC 5965 3.1.
  std::string source_ip{};              // Of a complaint, RFC 5965 3.2; empty: it does not say.
};

struct ReturnedMail {
  std::string recipient;  // RCPT TO.
  std::string data;       // Empty: no such kind.
};

// `kind`: "dsn", "delay", "success" (RFC 3464), "arf" (RFC 5965; it goes to a mailbox without a token), "auto-reply"
// (RFC 3834), "unsubscribe" (RFC 2369), "person".
ReturnedMail make_returned(std::string_view kind, const Returned& returned);

}  // namespace mailsbuddy::sim
