#include "smtp/fix_ups.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/ascii.h"
#include "core/mail/header.h"

namespace mailsbuddy::smtp {
namespace {

// What a client calls itself is its own choice: only what can be a name or a literal is repeated.
std::string_view printable_name(std::string_view hello) noexcept {
  const bool plain =
      !hello.empty() && hello.size() <= kDomainMax && std::all_of(hello.begin(), hello.end(), [](char c) {
        return ascii::is_alnum(c) || c == '-' || c == '.' || c == '[' || c == ']' || c == ':' || c == '_';
      });
  return plain ? hello : "unknown";
}

std::string literal(const net::IpAddress& address) {  // RFC 5321 4.1.3.
  return fmt::format("[{}{}]", address.is_v6() ? "IPv6:" : "", address.unspecified() ? "unknown" : address.str());
}

std::string protocol(const Submission& submission, bool extended) {  // RFC 3848 3, RFC 6531 4.3.
  if (!extended) return "SMTP";
  return fmt::format("{}{}{}", submission.envelope.smtputf8 ? "UTF8SMTP" : "ESMTP", submission.tls ? "S" : "",
                     submission.identity.user.empty() ? "" : "A");
}

}  // namespace

MessageHead read_head(std::string_view message) noexcept {
  MessageHead head;
  head.fields = message.starts_with("\r\n");
  for (std::string_view rest = message; const auto field = next_field(rest);) {
    if (field->name.empty()) break;  // No field: the body has begun without an empty line.
    head.fields = true;
    head.date = head.date || ascii::iequals(field->name, "Date");
    head.message_id = head.message_id || ascii::iequals(field->name, "Message-ID");
    head.received += ascii::iequals(field->name, "Received") ? 1 : 0;
  }
  return head;
}

std::string received_field(const Submission& submission, std::string_view host, bool extended, TimePoint now) {
  return fmt::format("Received: from {} ({})\r\n by {} with {} id {};\r\n {}\r\n", printable_name(submission.hello),
                     literal(submission.client), host, protocol(submission, extended), submission.id.str(),
                     format_date(now));
}

void apply_fix_ups(Submission& submission, const ListenFixUps& fix_ups, std::string_view host, bool extended,
                   TimePoint now) {
  const MessageHead head = read_head(submission.data);
  std::string top;
  if (fix_ups.add_received) top += received_field(submission, host, extended, now);
  if (!submission.inbound) {  // What others wrote is theirs: a bounce without a Date is evidence as it is.
    if (fix_ups.add_date && !head.date) top += fmt::format("Date: {}\r\n", format_date(now));
    if (fix_ups.add_message_id && !head.message_id)
      top += fmt::format("Message-ID: <{}@{}>\r\n", submission.id.str(), host);
  }
  if (!top.empty() && !head.fields) top += "\r\n";  // A body without a header: it stays a body.
  submission.data.insert(0, top);
}

}  // namespace mailsbuddy::smtp
