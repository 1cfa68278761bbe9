// report.h - the readers that parse() asks, one after the other, and what they have in common.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bounce/report_signs.h"
#include "core/mail/mime_reader.h"
#include "mailsbuddy/bounce.h"

namespace mailsbuddy::bounce {

inline constexpr std::size_t kReportTextMax =
    32 * 1024;  // Octets of a report's own words; the longest known have 6 KB.
inline constexpr std::size_t kReportLinesMax = 1000;
inline constexpr std::size_t kDiagnosticMax = 1024;  // Octets of one diagnostic that are kept.
inline constexpr std::size_t kHtmlMax = 128 * 1024;  // Octets of HTML that are looked at for words.

// The report's own words, before the message that it returns.
// Views are into `text`: it is not to be moved.
struct ReportText {
  std::string text;                     // UTF-8; at most kReportTextMax octets and what was returned.
  std::string_view words;               // Before the returned message.
  std::vector<std::string_view> lines;  // Of the words, trimmed.
  std::string_view returned;            // What followed there: the returned message, or its beginning.
};

// A message as the readers see it.
struct Mail {
  explicit Mail(std::string_view message);
  Mail(const Mail&) = delete;
  Mail& operator=(const Mail&) = delete;

  MimeTree tree;
  // Header fields of the message itself.
  std::string from;         // Address.
  std::string from_name;    // Display name, folded.
  std::string to;           // Address.
  std::string return_path;  // "<>": the null one. Empty: not known.
  std::string subject;      // Decoded.
  std::string subject_folded;
  std::string auto_submitted;                  // In lower case.
  std::vector<std::string> failed_recipients;  // X-Failed-Recipients
  bool auto_header = false;                    // A field that only auto-responders write.
  bool challenge_header = false;
  bool from_daemon = false;  // From a mail system, not from a person.

  ReportText words;
  Signs signs;  // In the words.
  Signs subject_signs;
  std::string returned;  // The returned message's header section; empty: not there.
};

// ---------------------------------------------------------------------------------------------------------------------
// Delivery status (RFC 3464)

struct DeliveryStatus {
  std::vector<ReportedRecipient> recipients;
  std::string original_message_id;  // X-Original-Message-ID, as Gmail writes it.
  std::string sender;               // X-Postfix-Sender and the like: where our token may be.
};
// All message/delivery-status parts, or the same fields in the report's words. Empty: there are none.
std::optional<DeliveryStatus> read_delivery_status(const Mail& mail);

// ---------------------------------------------------------------------------------------------------------------------
// Reports in a server's own words

// The recipients whom the words name, with what is said about each.
std::vector<ReportedRecipient> read_words(const Mail& mail);
// What a line, or what stands between two, says about an address.
struct Named {
  std::string address;
  std::string about;
  std::string final;  // Whom an alias led to.
};
std::vector<Named> statements(const ReportText& words);
// All paragraphs that have the address somewhere.
std::string paragraphs_about(const ReportText& words, std::string_view address);
// What the words say before they name the first recipient by a line of its own.
std::string words_before(const ReportText& words);
// A reply in a text: "host x said: 550 5.1.1 No such user (in reply to RCPT TO)". Code 0: no reply in it; the text is
// all.
Reply reply_in(std::string_view text, std::size_t text_max = kDiagnosticMax);

// ---------------------------------------------------------------------------------------------------------------------
// The others

std::optional<Report> read_feedback(const Mail& mail);      // RFC 5965 and providers' variants
std::optional<Report> read_notification(const Mail& mail);  // Amazon SES by SNS, as JSON
std::optional<Report> read_auto_reply(const Mail& mail);
std::optional<Report> read_unsubscribe(const Mail& mail, std::string_view envelope_recipient);

Verdict complaint_verdict(std::string_view feedback_type, std::string_view rule);
Verdict verdict_of(Class klass, std::string_view rule);
// What happened to each of the report's recipients, from the most telling of: its diagnostic, the words about it, its
// status, all words if it is alone.
void judge(Report& report, const Mail& mail, const Classifier& rules);

}  // namespace mailsbuddy::bounce
