// tls_report_json.cc - RFC 8460 4.4, in its order of members.
#include <fmt/format.h>

#include <span>

#include "core/base/ascii.h"
#include "core/base/encoding.h"
#include "mailsbuddy/smtp.h"

namespace mailsbuddy::smtp {
namespace {

// RFC 8259 7. What is not UTF-8 came from a stranger: its octets above 127 become question marks.
std::string quoted(std::string_view text) {
  const bool utf8 = is_valid_utf8(text);
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\')
      out += {'\\', c};
    else if (ascii::is_control(c))
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    else
      out += utf8 || static_cast<unsigned char>(c) < 0x80 ? c : '?';
  }
  return out + "\"";
}

std::string array_of(std::span<const std::string> texts) {
  std::string out = "[";
  for (const std::string& text : texts) out += (out.size() > 1 ? "," : "") + quoted(text);
  return out + "]";
}

// RFC 3339: "2027-01-15T08:00:00Z".
std::string date_time(TimePoint time) {
  const auto days = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(days);
  const std::chrono::hh_mm_ss clock(std::chrono::floor<std::chrono::seconds>(time - days));
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                     clock.minutes().count(), clock.seconds().count());
}

std::string detail_json(const TlsFailureDetail& detail) {
  std::string out = fmt::format("{{\"result-type\":{}", quoted(to_string(detail.type)));
  const auto member = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) out += fmt::format(",\"{}\":{}", name, quoted(value));
  };
  member("sending-mta-ip", detail.sending_ip);
  member("receiving-mx-hostname", detail.mx_host);
  member("receiving-ip", detail.receiving_ip);
  out += fmt::format(",\"failed-session-count\":{}", detail.sessions);
  member("failure-reason-code", detail.reason);
  return out + "}";
}

std::string policy_json(const std::string& domain, const TlsReportPolicy& policy) {
  std::string out = fmt::format("{{\"policy\":{{\"policy-type\":{}", quoted(policy.type));
  if (!policy.text.empty()) out += ",\"policy-string\":" + array_of(policy.text);
  out += ",\"policy-domain\":" + quoted(domain);
  if (!policy.mx_hosts.empty()) out += ",\"mx-host\":" + array_of(policy.mx_hosts);
  out += fmt::format("}},\"summary\":{{\"total-successful-session-count\":{},\"total-failure-session-count\":{}}}",
                     policy.successful, policy.failed);
  if (!policy.details.empty()) {
    std::string details;
    for (const TlsFailureDetail& detail : policy.details) details += (details.empty() ? "" : ",") + detail_json(detail);
    out += ",\"failure-details\":[" + details + "]";
  }
  return out + "}";
}

}  // namespace

std::string tls_report_json(const TlsReport& report, const TlsReporter& reporter, std::string_view id) {
  std::string policies;
  for (const TlsReportPolicy& policy : report.policies)
    policies += (policies.empty() ? "" : ",") + policy_json(report.domain, policy);
  return fmt::format(
      "{{\"organization-name\":{},\"date-range\":{{\"start-datetime\":{},\"end-datetime\":{}}},\"contact-info\":{},"
      "\"report-id\":{},\"policies\":[{}]}}",
      quoted(reporter.organization), quoted(date_time(report.begin)), quoted(date_time(report.end)),
      quoted(reporter.contact), quoted(id), policies);
}

}  // namespace mailsbuddy::smtp
