// What people's programs and people send back: vacation notes, challenges, receipts, and wishes to be left alone.
#include <algorithm>

#include "bounce/report.h"
#include "bounce/report_address.h"
#include "core/base/ascii.h"

namespace mailsbuddy::bounce {
namespace {

Report from_sender(const Mail& mail, ReportKind kind, std::string_view sign, Class klass) {
  Report report{.kind = kind, .recipients = {}, .original_message_id = {}, .token = {}, .complaint = {}, .sign = sign};
  if (mail.from.empty()) return report;
  ReportedRecipient& recipient = report.recipients.emplace_back();
  recipient.address = mail.from;
  recipient.verdict = verdict_of(klass, sign);
  return report;
}

bool is_reply(std::string_view subject) noexcept {
  constexpr std::string_view kStarts[] = {
      "re:", "re :", "aw:", "antw:", "sv:", "vs:", "odp:", "rif:", "res:", "ref:", "fwd:", "fw:", "wg:"};
  return std::ranges::any_of(kStarts, [subject](std::string_view start) { return subject.starts_with(start); });
}

}  // namespace

std::optional<Report> read_auto_reply(const Mail& mail) {
  const auto found = [&](std::string_view sign) {
    return from_sender(mail, ReportKind::kAutoReply, sign, Class::kAutoReply);
  };
  const auto challenge = [&] { return from_sender(mail, ReportKind::kAutoReply, "challenge", Class::kChallenge); };
  for (const MimePart& part : mail.tree.parts) {
    if (part.type.value == "message/disposition-notification") return found("disposition_notification");
  }
  if (mail.challenge_header || has(mail.subject_signs, Sign::kChallenge)) return challenge();
  if (mail.auto_submitted.starts_with("auto-replied")) return found("auto_submitted");
  if (mail.auto_header) return found("auto_field");
  const bool says_so = has(mail.signs, Sign::kAutoReplyText);
  // "Re: Vacation offers" is a person's answer to such a message.
  if (has(mail.subject_signs, Sign::kAutoReply) && (says_so || !is_reply(mail.subject_folded)))
    return found("auto_subject");
  const bool automatic = mail.return_path == "<>" || !mail.auto_submitted.empty();
  if (says_so && (automatic || mail.auto_submitted.starts_with("auto-"))) return found("auto_text");
  if (has(mail.signs, Sign::kChallenge) && (automatic || is_reply(mail.subject_folded))) return challenge();
  return std::nullopt;
}

std::optional<Report> read_unsubscribe(const Mail& mail, std::string_view envelope_recipient) {
  const std::string to = ascii::to_lower(envelope_recipient.empty() ? std::string_view(mail.to) : envelope_recipient);
  const bool addressed = to.starts_with("unsubscribe") || to.starts_with("unsub-") || to.starts_with("unsub+");
  std::string_view subject = mail.subject_folded;
  while (is_reply(subject)) {  // A client that answers with the subject that List-Unsubscribe gave it.
    subject.remove_prefix(subject.find(':') + 1);
    subject = ascii::trim(subject);
  }
  constexpr std::size_t kWishMax = 60;  // A longer first line is a letter.
  const bool titled = subject.size() <= kWishMax && begins_with_sign(subject, Sign::kUnsubscribe);
  bool said = false;
  for (const std::string_view line : mail.words.lines) {
    if (line.empty()) continue;
    constexpr std::size_t kLineWishMax = 32;
    said = line.size() <= kLineWishMax && begins_with_sign(folded(line), Sign::kUnsubscribe);
    break;
  }
  if (!addressed && !titled && !said) return std::nullopt;
  return from_sender(mail, ReportKind::kUnsubscribe,
                     addressed ? "unsubscribe_address"
                     : titled  ? "unsubscribe_subject"
                               : "unsubscribe_body",
                     Class::kUnsubscribe);
}

}  // namespace mailsbuddy::bounce
