// Complaints: the Abuse Reporting Format (RFC 5965, extended by RFC 6591 and RFC 6650), X-ARF, and the forms that
// providers had before or instead.
//
//   feedback-report = *( field CRLF )     ; Feedback-Type, Source-IP, Original-Rcpt-To, ...
#include <algorithm>

#include "bounce/report.h"
#include "bounce/report_address.h"
#include "core/base/ascii.h"
#include "core/mail/date.h"

namespace mailsbuddy::bounce {
namespace {

constexpr std::size_t kFieldMax = 1024;  // Octets of a value that are kept.

std::string short_value(std::string_view value) { return unfold(value.substr(0, kFieldMax)); }

// RFC 5965 3.1 and 3.2, with the names that providers write for the same.
void read_feedback_field(Report& report, const RawField& field) {
  Complaint& complaint = *report.complaint;
  const auto is = [&](std::string_view name) { return ascii::iequals(field.name, name); };
  if (is("Feedback-Type") || is("Report-Type")) {
    complaint.feedback_type = ascii::to_lower(short_value(field.value));
  } else if (is("User-Agent")) {
    complaint.user_agent = short_value(field.value);
  } else if (is("Source-IP") || is("Source")) {
    complaint.source_ip = short_value(field.value);
  } else if (is("Arrival-Date") || is("Received-Date") || is("Date")) {
    complaint.arrival = parse_date(short_value(field.value));
  } else if (is("Original-Mail-From")) {
    complaint.original_mail_from = typed_address(short_value(field.value));
  } else if (is("Original-Rcpt-To") || is("Removal-Recipient") || is("X-HmXmrOriginalRecipient") ||
             is("Original-Recipient")) {
    const std::string address = typed_address(short_value(field.value));
    const bool known = std::ranges::any_of(
        report.recipients, [&](const ReportedRecipient& r) { return same_address(r.address, address); });
    if (address.find('@') == std::string::npos || known || report.recipients.size() >= kReportRecipientsMax) return;
    report.recipients.push_back({.address = address,
                                 .final_recipient = {},
                                 .action = Action::kNone,
                                 .status = {},
                                 .diagnostic = {},
                                 .remote_mta = {},
                                 .verdict = {},
                                 .matched = {}});
  }
}

void read_fields(Report& report, std::string_view content) {
  std::size_t fields = 0;
  while (!content.empty() && fields < kMimeHeadersMax) {
    const auto field = next_field(content);
    if (field && !field->name.empty()) read_feedback_field(report, *field);
    ++fields;
  }
}

// A provider's complaint without RFC 5965: by whom and about what it says.
bool is_provider_complaint(const Mail& mail) {
  constexpr std::string_view kFrom[] = {"staff@hotmail.com", "scomp@aol.net",  "scomp@aol.com", "fbl@",
                                        "feedbackloop@",     "abuse-reports@", "complaints@"};
  const std::string from = ascii::to_lower(mail.from);
  const bool known = std::ranges::any_of(kFrom, [&](std::string_view start) { return from.starts_with(start); });
  constexpr std::string_view kSubjects[] = {"complaint about message from", "client tos notification",
                                            "email feedback report for ip", "abuse report", "spam report"};
  return known && std::ranges::any_of(kSubjects, [&](std::string_view words) {
           return mail.subject_folded.find(words) != std::string::npos;
         });
}

// Microsoft's Junk Mail Reporting Program marks the message itself; others write the person into its header.
void read_returned(Report& report, const Mail& mail) {
  Complaint& complaint = *report.complaint;
  std::string to;
  std::size_t fields = 0;
  for (std::string_view rest = mail.returned; const auto field = next_field(rest);) {
    if (++fields > kMimeHeadersMax) break;
    if (ascii::iequals(field->name, "X-HmXmrOriginalRecipient")) {
      read_feedback_field(report, *field);
    } else if (ascii::iequals(field->name, "Feedback-ID")) {
      complaint.feedback_id = short_value(field->value);
    } else if (ascii::iequals(field->name, "To") && to.empty()) {
      to = short_value(field->value);
    } else if (ascii::iequals(field->name, "Return-Path") && complaint.original_mail_from.empty()) {
      complaint.original_mail_from = typed_address(short_value(field->value));
    }
  }
  if (!report.recipients.empty()) return;
  const auto first = next_address(to, 0);
  if (!first || next_address(to, first->to)) return;  // Nobody, or who of several it was is unknown.
  read_feedback_field(report, {.name = "Original-Rcpt-To", .value = to});
}

const MimePart* find_part(const MimeTree& tree, std::string_view type) noexcept {
  const auto found = std::ranges::find_if(tree.parts, [type](const MimePart& part) { return part.type.value == type; });
  return found == tree.parts.end() ? nullptr : &*found;
}

}  // namespace

// RFC 5965 7.3 and what was sent before it. Who was defrauded or annoyed wants no more mail; what a virus scanner, an
// authentication check or a person who likes the mail says is no such wish.
Verdict complaint_verdict(std::string_view feedback_type, std::string_view rule) {
  Verdict verdict = verdict_of(Class::kComplaint, rule);
  if (feedback_type != "abuse" && feedback_type != "fraud") verdict.reaction = Reaction::kNone;
  return verdict;
}

std::optional<Report> read_feedback(const Mail& mail) {
  Report report{.kind = ReportKind::kArf,
                .recipients = {},
                .original_message_id = {},
                .token = {},
                .complaint = Complaint{},
                .sign = {}};
  const MimePart& message = mail.tree.parts.front();
  if (const MimePart* part = find_part(mail.tree, "message/feedback-report")) {
    report.sign = "arf";
    read_fields(report, text_of(*part, part->body.substr(0, kReportTextMax)));
  } else if (!header_of(message, "X-ARF").empty() || !header_of(message, "X-XARF").empty()) {
    report.sign = "x-arf";
    for (const MimePart& each : mail.tree.parts) {
      if (each.number == 2 || mail.tree.parts.size() == 1)
        read_fields(report, text_of(each, each.body.substr(0, kReportTextMax)));
    }
  } else if (message.type.parameter("report-type") == "feedback-report" ||
             mail.words.words.find("\nFeedback-Type:") != std::string_view::npos) {
    report.sign = "arf.text";
    read_fields(report, mail.words.words);
  } else if (is_provider_complaint(mail)) {
    report.sign = "provider_complaint";
  } else {
    return std::nullopt;
  }
  Complaint& complaint = *report.complaint;
  if (complaint.feedback_type.empty())
    complaint.feedback_type = "abuse";  // Required by RFC 5965 3.1, and the reason to send one.
  read_returned(report, mail);
  for (ReportedRecipient& recipient : report.recipients) {
    recipient.verdict = complaint_verdict(complaint.feedback_type, report.sign);
  }
  return report;
}

}  // namespace mailsbuddy::bounce
