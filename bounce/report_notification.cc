// Amazon SES tells by SNS, whose e-mail subscriptions carry JSON (RFC 8259), as it is or as a string within another
// object:
//
//   {"notificationType":"Bounce","bounce":{"bouncedRecipients":[{"emailAddress":..,"action":..,"status":..,"diagnosticCode":..}]}}
//
// Only members of known names are looked for, so nesting costs nothing and a broken object loses only its end.
#include <algorithm>

#include "bounce/report.h"
#include "bounce/report_address.h"
#include "core/base/ascii.h"
#include "core/mail/date.h"

namespace mailsbuddy::bounce {
namespace {

// A JSON string's value; `at` is after its opening quote and moves after the closing one. \u escapes of ASCII only.
std::string take_string(std::string_view json, std::size_t& at) {
  std::string value;
  for (; at < json.size() && json[at] != '"'; ++at) {
    if (json[at] != '\\' || at + 1 >= json.size()) {
      value += json[at];
      continue;
    }
    const char escaped = json[++at];
    if (escaped == 'u' && at + 4 < json.size()) {
      int point = 0;
      for (int i = 1; i <= 4; ++i)
        point = point * 16 + std::max(0, ascii::hex_value(json[at + static_cast<std::size_t>(i)]));
      value += point < 0x80 ? static_cast<char>(point) : '?';
      at += 4;
    } else {
      value += escaped == 'n' || escaped == 'r' || escaped == 't' ? ' ' : escaped;
    }
  }
  ++at;
  return value;
}

// The members whose values are strings, in their order, and where objects begin.
struct Member {
  std::string name;
  std::string value;
};
constexpr std::size_t kMembersMax = 4096;

std::vector<Member> string_members(std::string_view json) {
  std::vector<Member> members;
  std::string name;
  bool value_next = false;
  for (std::size_t at = 0; at < json.size() && members.size() < kMembersMax;) {
    const char c = json[at++];
    if (c == '"') {
      std::string text = take_string(json, at);
      if (value_next) {
        members.push_back({name, std::move(text)});
      } else {
        name = std::move(text);
      }
      value_next = false;
    } else if (c == ':') {
      value_next = true;
    } else if (c == '{' || c == ',') {
      value_next = false;
    } else if (c == '[') {  // Its strings are all values of the same name.
      value_next = true;
      while (at < json.size() && ascii::is_space(json[at])) ++at;
      while (at < json.size() && json[at] == '"') {
        ++at;
        members.push_back({name, take_string(json, at)});
        while (at < json.size() && (ascii::is_space(json[at]) || json[at] == ',')) ++at;
      }
      value_next = false;
    }
  }
  return members;
}

// The innermost notification in the text; empty: none.
std::string notification_in(std::string_view words) {
  const std::size_t from = words.find('{');
  if (from == std::string_view::npos) return {};
  // Long lines were folded by mail programs, also within strings.
  std::string json;
  for (const char c : words.substr(from)) {
    if (c != '\r' && c != '\n') json += c;
  }
  const std::vector<Member> outer = string_members(json);
  const auto message = std::ranges::find_if(outer, [](const Member& m) { return m.name == "Message"; });
  if (message != outer.end() && message->value.starts_with('{')) return message->value;
  return json;
}

ReportKind kind_of(std::string_view type) noexcept {
  if (type == "Bounce") return ReportKind::kDsn;
  if (type == "Complaint") return ReportKind::kArf;
  if (type == "Delivery") return ReportKind::kSuccess;
  return type == "DeliveryDelay" ? ReportKind::kDelay : ReportKind::kNone;
}

Action action_of(ReportKind kind) noexcept {
  if (kind == ReportKind::kDsn) return Action::kFailed;
  if (kind == ReportKind::kSuccess) return Action::kDelivered;
  return kind == ReportKind::kDelay ? Action::kDelayed : Action::kNone;
}

void add(Report& report, const Member& member) {
  if (member.name == "emailAddress" || (member.name == "recipients" && report.kind == ReportKind::kSuccess)) {
    if (report.recipients.size() >= kReportRecipientsMax) return;
    ReportedRecipient& recipient = report.recipients.emplace_back();
    recipient.address = typed_address(member.value);
    recipient.action = action_of(report.kind);
  } else if (member.name == "messageId" && report.original_message_id.empty()) {
    report.original_message_id = member.value;
  } else if (member.name == "complaintFeedbackType" && report.complaint) {
    report.complaint->feedback_type = ascii::to_lower(member.value);
  } else if (member.name == "userAgent" && report.complaint) {
    report.complaint->user_agent = member.value;
  } else if (member.name == "sourceIp" && report.complaint) {
    report.complaint->source_ip = member.value;
  } else if (member.name == "status" && !report.recipients.empty()) {
    report.recipients.back().status = reply_in(member.value).enhanced;
  } else if (member.name == "diagnosticCode" && !report.recipients.empty()) {
    const std::size_t type = member.value.find(';');
    report.recipients.back().diagnostic = reply_in(
        type != std::string::npos && type < 16 ? std::string_view(member.value).substr(type + 1) : member.value);
  }
}

}  // namespace

std::optional<Report> read_notification(const Mail& mail) {
  const std::string_view words = mail.words.words;
  if (words.find("notificationType") == std::string_view::npos && words.find("\"eventType\"") == std::string_view::npos)
    return std::nullopt;
  Report report{.kind = ReportKind::kNone,
                .recipients = {},
                .original_message_id = {},
                .token = {},
                .complaint = {},
                .sign = "ses_notification"};
  const std::vector<Member> members = string_members(notification_in(words));
  for (const Member& member : members) {
    if (member.name == "notificationType" || member.name == "eventType") report.kind = kind_of(member.value);
  }
  if (report.kind == ReportKind::kNone) return std::nullopt;
  if (report.kind == ReportKind::kArf) report.complaint.emplace();
  for (const Member& member : members) add(report, member);
  return report;
}

}  // namespace mailsbuddy::bounce
