#include "tests/sim/returned.h"

#include <fmt/format.h>

namespace mailsbuddy::sim {
namespace {

// What a server returns of a message: its header section.
std::string returned_header(const Returned& returned) {
  return fmt::format(
      "Return-Path: <{}>\r\nFrom: News <news@sender.example>\r\nTo: {}\r\nSubject: Hello\r\n"
      "Message-ID: <1.2.3@sender.example>\r\n\r\n",
      returned.return_path, returned.to);
}

ReturnedMail delivery_status(const Returned& returned, std::string_view action) {
  const std::string& address = returned.reported.empty() ? returned.to : returned.reported;
  const char type = action == "failed" ? '5' : action == "delayed" ? '4' : '2';
  const std::string status = type + returned.status.substr(1);
  const int code = action == "failed" ? 550 : action == "delayed" ? 450 : 250;
  return {
      returned.return_path,
      fmt::format("From: Mail Delivery System <MAILER-DAEMON@mx.example.net>\r\nTo: {0}\r\n"
                  "Subject: Delivery Status Notification\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
                  "Content-Type: multipart/report; report-type=delivery-status; boundary=\"=b\"\r\n\r\n"
                  "--=b\r\nContent-Type: text/plain\r\n\r\nThis is the mail system at mx.example.net.\r\n\r\n"
                  "--=b\r\nContent-Type: message/delivery-status\r\n\r\n"
                  "Reporting-MTA: dns; mx.example.net\r\n\r\n"
                  "Final-Recipient: rfc822; {1}\r\nAction: {2}\r\nStatus: {3}\r\nRemote-MTA: dns; mx1.example.net\r\n"
                  "Diagnostic-Code: smtp; {4} {3} {5}\r\n\r\n"
                  "--=b\r\nContent-Type: text/rfc822-headers\r\n\r\n{6}--=b--\r\n",
                  returned.return_path, address, action, status, code, returned.text, returned_header(returned))};
}

ReturnedMail feedback(const Returned& returned) {
  return {"fbl@sender.example",
          fmt::format(
              "From: <feedback@example.net>\r\nTo: fbl@sender.example\r\nSubject: FW: Hello\r\nMIME-Version: 1.0\r\n"
              "Content-Type: multipart/report; report-type=feedback-report; boundary=\"=b\"\r\n\r\n"
              "--=b\r\nContent-Type: text/plain\r\n\r\nThis is an email abuse report.\r\n\r\n"
              "--=b\r\nContent-Type: message/feedback-report\r\n\r\n"
              "Feedback-Type: {}\r\nUser-Agent: Example/1.0\r\nVersion: 1\r\n{}"
              "Original-Rcpt-To: {}\r\n\r\n"
              "--=b\r\nContent-Type: message/rfc822\r\n\r\n{}Hello\r\n--=b--\r\n",
              returned.feedback_type, returned.source_ip.empty() ? "" : fmt::format("Source-IP: {}\r\n", returned.source_ip),
              returned.reported.empty() ? returned.to : returned.reported,
              returned_header(returned))};
}

}  // namespace

ReturnedMail make_returned(std::string_view kind, const Returned& returned) {
  const std::string local = returned.return_path.substr(0, returned.return_path.find('@'));
  if (kind == "dsn") return delivery_status(returned, "failed");
  if (kind == "delay") return delivery_status(returned, "delayed");
  if (kind == "success") return delivery_status(returned, "delivered");
  if (kind == "arf") return feedback(returned);
  if (kind == "auto-reply") {
    return {
        returned.return_path,
        fmt::format(
            "From: <{}>\r\nTo: {}\r\nSubject: Out of office: Hello\r\nAuto-Submitted: auto-replied (vacation)\r\n\r\n"
            "I am away until Monday.\r\n",
            returned.to, returned.return_path)};
  }
  if (kind == "unsubscribe") {
    const std::string to = fmt::format("unsubscribe+{}@sender.example", local);
    return {to, fmt::format("From: <{}>\r\nTo: {}\r\nSubject: unsubscribe\r\n\r\n\r\n", returned.to, to)};
  }
  if (kind == "person") {
    return {returned.return_path,
            fmt::format("From: Ann <{}>\r\nTo: {}\r\nSubject: Re: Hello\r\n\r\nIs the blue one still to be had?\r\n",
                        returned.to, returned.return_path)};
  }
  return {};
}

}  // namespace mailsbuddy::sim
