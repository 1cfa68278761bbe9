// What a message is, from the surest sign to the weakest: a machine-readable complaint, a machine-readable delivery
// status, an auto-responder's own field, a mail system's words, an auto-responder's words, a person's wish.
#include <algorithm>
#include <utility>

#include "bounce/report.h"
#include "bounce/report_address.h"
#include "core/base/ascii.h"

namespace mailsbuddy::bounce {
namespace {

template <class Enum>
struct Name {
  Enum value;
  std::string_view name;
};
constexpr Name<ReportKind> kKinds[] = {{ReportKind::kNone, "none"},
                                       {ReportKind::kDsn, "dsn"},
                                       {ReportKind::kDelay, "delay"},
                                       {ReportKind::kSuccess, "success"},
                                       {ReportKind::kArf, "arf"},
                                       {ReportKind::kAutoReply, "auto_reply"},
                                       {ReportKind::kUnsubscribe, "unsubscribe"}};
constexpr Name<Action> kActions[] = {{Action::kNone, "none"},       {Action::kFailed, "failed"},
                                     {Action::kDelayed, "delayed"}, {Action::kDelivered, "delivered"},
                                     {Action::kRelayed, "relayed"}, {Action::kExpanded, "expanded"}};

template <class Enum, std::size_t N>
constexpr bool complete(const Name<Enum> (&rows)[N], Enum last) {
  for (std::size_t i = 0; i < N; ++i) {
    if (static_cast<std::size_t>(rows[i].value) != i) return false;
  }
  return N == static_cast<std::size_t>(last) + 1;
}
static_assert(complete(kKinds, ReportKind::kUnsubscribe));
static_assert(complete(kActions, Action::kExpanded));

}  // namespace

std::string_view to_string(ReportKind value) noexcept { return kKinds[static_cast<std::size_t>(value)].name; }
std::string_view to_string(Action value) noexcept { return kActions[static_cast<std::size_t>(value)].name; }

// ---------------------------------------------------------------------------------------------------------------------
// Delivery reports

namespace {

Action action_by_signs(const Mail& mail) {
  if (has(mail.subject_signs, Sign::kDelay)) return Action::kDelayed;
  if (has(mail.subject_signs, Sign::kSuccess)) return Action::kDelivered;
  if (has(mail.signs, Sign::kDelay) && !has(mail.signs, Sign::kFinal)) return Action::kDelayed;
  if (has(mail.signs, Sign::kSuccess) && !has(mail.signs, Sign::kFailure) && !has(mail.subject_signs, Sign::kFailure))
    return Action::kDelivered;
  return Action::kFailed;
}

ReportKind kind_of(std::span<const ReportedRecipient> recipients, Action otherwise) {
  const auto any = [&](Action action) {
    return std::ranges::any_of(recipients, [action](const ReportedRecipient& r) { return r.action == action; });
  };
  if (recipients.empty() || any(Action::kFailed)) {
    return recipients.empty() && otherwise == Action::kDelayed     ? ReportKind::kDelay
           : recipients.empty() && otherwise == Action::kDelivered ? ReportKind::kSuccess
                                                                   : ReportKind::kDsn;
  }
  return any(Action::kDelayed) ? ReportKind::kDelay : ReportKind::kSuccess;
}

// The one whom the returned message was for, if it is one.
std::string returned_recipient(const Mail& mail) {
  const std::string to = find_header(mail.returned, "To").value_or(std::string());
  const auto first = next_address(to, 0);
  return first && !next_address(to, first->to) ? std::string(first->text) : std::string();
}

void add_failed_recipients(Report& report, const Mail& mail) {
  for (const std::string& address : mail.failed_recipients) {
    if (std::ranges::any_of(report.recipients,
                            [&](const ReportedRecipient& r) { return same_address(r.address, address); }))
      continue;
    report.recipients.emplace_back().address = address;
  }
}

void add_returned_recipient(Report& report, const Mail& mail) {
  if (!report.recipients.empty()) return;
  if (std::string to = returned_recipient(mail); !to.empty()) report.recipients.emplace_back().address = std::move(to);
}

// "ann" of a delivery status: the words, or the returned message, may have it in full.
void complete_local_name(ReportedRecipient& recipient, const Mail& mail) {
  if (recipient.address.find('@') != std::string::npos) return;
  const std::vector<ReportedRecipient> named = read_words(mail);
  std::string whole = named.size() == 1 ? named.front().address : returned_recipient(mail);
  if (!whole.empty()) recipient.final_recipient = std::exchange(recipient.address, std::move(whole));
}

std::optional<Report> read_status_report(const Mail& mail, const Classifier& rules) {
  auto status = read_delivery_status(mail);
  if (!status) return std::nullopt;
  Report report{.kind = ReportKind::kDsn,
                .recipients = std::move(status->recipients),
                .original_message_id = std::move(status->original_message_id),
                .token = {},
                .complaint = {},
                .sign = "dsn"};
  const Action otherwise = action_by_signs(mail);
  if (report.recipients.empty()) {
    report.recipients = read_words(mail);
    add_failed_recipients(report, mail);
    add_returned_recipient(report, mail);
  }
  for (ReportedRecipient& recipient : report.recipients) {
    if (recipient.action == Action::kNone) recipient.action = otherwise;
  }
  if (report.recipients.size() == 1) complete_local_name(report.recipients.front(), mail);
  report.kind = kind_of(report.recipients, otherwise);
  std::erase_if(report.recipients, [](const ReportedRecipient& r) { return r.address.empty(); });
  judge(report, mail, rules);
  return report;
}

// Whether a mail system says that something was not delivered, or not yet, or was.
bool speaks_of_delivery(const Mail& mail) {
  const auto either = [&](Sign sign) { return has(mail.signs, sign) || has(mail.subject_signs, sign); };
  const bool unsigned_note = has(mail.signs, Sign::kAutoReplyText) || has(mail.subject_signs, Sign::kAutoReply) ||
                             has(mail.signs, Sign::kChallenge);
  const bool titled = mail.from_daemon || (mail.return_path == "<>" && !unsigned_note) ||
                      has(mail.subject_signs, Sign::kFailureTitle) || has(mail.subject_signs, Sign::kFailure) ||
                      has(mail.subject_signs, Sign::kDelay);
  return titled && (either(Sign::kFailure) || either(Sign::kDelay) || either(Sign::kSuccess) || either(Sign::kFinal));
}

std::optional<Report> read_word_report(const Mail& mail, const Classifier& rules, bool inner);

// A relay's report around another's: the inner one knows whom it is about.
std::optional<Report> read_inner_report(const Mail& mail, const Classifier& rules) {
  if (mail.returned.empty()) return std::nullopt;
  const Mail within(mail.returned);
  if (!within.from_daemon) return std::nullopt;
  auto report = read_status_report(within, rules);
  return report ? std::move(report) : read_word_report(within, rules, true);
}

std::optional<Report> read_word_report(const Mail& mail, const Classifier& rules, bool inner) {
  if (mail.failed_recipients.empty() && !speaks_of_delivery(mail)) return std::nullopt;
  if (!inner) {
    if (auto within = read_inner_report(mail, rules); within && !within->recipients.empty()) return within;
  }
  Report report{.kind = ReportKind::kDsn,
                .recipients = read_words(mail),
                .original_message_id = {},
                .token = {},
                .complaint = {},
                .sign = "words"};
  if (!mail.failed_recipients.empty()) {  // The server's own list is the surer one.
    report.sign = "x-failed-recipients";
    std::erase_if(report.recipients, [&](const ReportedRecipient& r) {
      return std::ranges::none_of(mail.failed_recipients,
                                  [&](const std::string& f) { return same_address(f, r.address); });
    });
    add_failed_recipients(report, mail);
  }
  if (report.recipients.empty() && !mail.from_daemon && !has(mail.subject_signs, Sign::kFailureTitle))
    return std::nullopt;
  add_returned_recipient(report, mail);
  const Action action = action_by_signs(mail);
  for (ReportedRecipient& recipient : report.recipients) recipient.action = action;
  report.kind = kind_of(report.recipients, action);
  judge(report, mail, rules);
  return report;
}

std::optional<Report> read_notice(const Mail& mail, const Classifier& rules) {
  auto report = read_notification(mail);
  if (!report) return std::nullopt;
  if (!report->complaint) {
    judge(*report, mail, rules);
    return report;
  }
  std::string& type = report->complaint->feedback_type;
  if (type.empty()) type = "abuse";  // Not told.
  for (ReportedRecipient& recipient : report->recipients) recipient.verdict = complaint_verdict(type, report->sign);
  return report;
}

// ---------------------------------------------------------------------------------------------------------------------
// The message that it is about

std::optional<VerpToken> token_in(std::string_view address, std::string_view key) {
  std::string_view local = address.substr(0, address.find('@'));
  constexpr std::size_t kTokenBytes =
      50;  // "b-" and 48 characters; a word and a sign may stand before: "unsubscribe+b-...".
  if (local.size() < kTokenBytes) return std::nullopt;
  const auto token = verp_decode(local.substr(local.size() - kTokenBytes), key);
  return token ? std::optional(*token) : std::nullopt;
}

std::optional<VerpToken> find_token(const Mail& mail, const ParseOptions& options, const Report& report) {
  if (options.verp_key.empty()) return std::nullopt;
  if (auto token = token_in(options.envelope_recipient, options.verp_key)) return token;
  if (report.complaint) {
    if (auto token = token_in(report.complaint->original_mail_from, options.verp_key)) return token;
  }
  constexpr std::string_view kFields[] = {"To",          "Delivered-To",    "X-Original-To", "Envelope-To",
                                          "Return-Path", "X-Envelope-From", "Errors-To",     "List-Unsubscribe"};
  for (const std::string_view headers : {mail.tree.parts.front().headers, std::string_view(mail.returned)}) {
    std::size_t fields = 0;
    for (std::string_view rest = headers; const auto field = next_field(rest);) {
      if (++fields > kMimeHeadersMax) break;
      if (std::ranges::none_of(kFields, [&](std::string_view name) { return ascii::iequals(field->name, name); }))
        continue;
      for (auto found = next_address(field->value, 0); found; found = next_address(field->value, found->to)) {
        if (auto token = token_in(found->text, options.verp_key)) return token;
      }
    }
  }
  return std::nullopt;
}

std::string without_brackets(std::string_view id) {
  id = ascii::trim(id);
  if (id.starts_with('<')) id.remove_prefix(1);
  return std::string(id.substr(0, std::min({id.find('>'), id.find(' '), std::size_t{256}})));
}

std::string original_message_id(const Mail& mail, const Report& report) {
  if (!report.original_message_id.empty()) return without_brackets(report.original_message_id);
  if (const auto id = find_header(mail.returned, "Message-ID")) return without_brackets(*id);
  for (const std::string_view name : {"In-Reply-To", "References"}) {
    if (const std::string id = header_of(mail.tree.parts.front(), name); !id.empty())
      return without_brackets(id.substr(id.rfind('<') == std::string::npos ? 0 : id.rfind('<')));
  }
  return {};
}

}  // namespace

Report parse(std::string_view message, const ParseOptions& options) {
  const Mail mail(message.substr(0, kReportBytesMax));
  const Classifier& rules = options.classifier != nullptr ? *options.classifier : Classifier::shipped();
  // An auto-responder's note may well speak of mail that is not read; a mail system's report may well be
  // "auto-replied".
  const bool responder = !mail.from_daemon && (mail.auto_header || mail.auto_submitted.starts_with("auto-replied")) &&
                         mail.failed_recipients.empty();
  std::optional<Report> report = read_feedback(mail);
  if (!report) report = read_notice(mail, rules);
  if (!report) report = read_status_report(mail, rules);
  if (!report && responder) report = read_auto_reply(mail);
  if (!report) report = read_word_report(mail, rules, false);
  if (!report) report = read_auto_reply(mail);
  if (!report) report = read_unsubscribe(mail, options.envelope_recipient);
  if (!report) report.emplace();
  report->original_message_id = original_message_id(mail, *report);
  report->token = find_token(mail, options, *report);
  return *std::move(report);
}

}  // namespace mailsbuddy::bounce
