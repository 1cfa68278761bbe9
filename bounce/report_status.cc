// message/delivery-status (RFC 3464 2.1), and message/global-delivery-status (RFC 6533):
//
//   content = per-message-fields 1*( CRLF per-recipient-fields )
//
// Writers put empty lines within the fields of one recipient and none between two; so a recipient ends where a field
// comes that it has already, or, having its address, at an empty line.
#include <algorithm>

#include "bounce/report.h"
#include "bounce/report_address.h"
#include "core/base/ascii.h"

namespace mailsbuddy::bounce {
namespace {

struct Fields {
  std::string original, final, action, status, diagnostic, remote;
  bool diagnostic_open = false;  // Lines that are no fields go on with it.
  bool complete() const noexcept { return !final.empty() || !original.empty(); }
};

class StatusReader {
 public:
  explicit StatusReader(DeliveryStatus& status) noexcept : status_(status) {}

  void read(std::string_view content) {
    bool gap = false;
    for (std::size_t fields = 0; !content.empty() && fields < kMimeHeadersMax * 8;) {
      const auto field = next_field(content);
      if (!field) {
        gap = true;
        continue;
      }
      ++fields;
      if (field->name.empty()) {
        go_on(field->value);
        continue;
      }
      if (std::string* value = member(field->name)) {
        if (!value->empty() || (gap && now_.complete() && !now_.action.empty())) finish();
        value = member(field->name);
        *value = unfold_lines(field->value);
        now_.diagnostic_open = value == &now_.diagnostic;
        gap = false;
      } else {
        about_message(*field);
        now_.diagnostic_open = false;
      }
    }
    finish();
  }

 private:
  std::string* member(std::string_view name) noexcept {
    if (ascii::iequals(name, "Final-Recipient")) return &now_.final;
    if (ascii::iequals(name, "Original-Recipient")) return &now_.original;
    if (ascii::iequals(name, "Action")) return &now_.action;
    if (ascii::iequals(name, "Status")) return &now_.status;
    if (ascii::iequals(name, "Diagnostic-Code")) return &now_.diagnostic;
    if (ascii::iequals(name, "Remote-MTA")) return &now_.remote;
    return nullptr;
  }

  void about_message(const RawField& field) {
    if (ascii::iequals(field.name, "X-Original-Message-ID")) status_.original_message_id = unfold(field.value);
    if (ascii::istarts_with(field.name, "X-") && field.name.size() > 7 &&
        ascii::iequals(field.name.substr(field.name.size() - 7), "-Sender")) {
      status_.sender = typed_address(unfold(field.value));
    }
  }

  // As lines: where a reply had several, its words stay apart.
  static std::string unfold_lines(std::string_view value) {
    std::string text;
    for (const char c : ascii::trim(value.substr(0, 4 * kDiagnosticMax))) {
      if (c == '\r') continue;
      if (ascii::is_wsp(c) && (text.empty() || text.back() == '\n' || text.back() == ' ')) continue;
      text += c;
    }
    return text;
  }

  void go_on(std::string_view line) {
    if (now_.diagnostic_open && now_.diagnostic.size() < kDiagnosticMax && !ascii::trim(line).empty()) {
      now_.diagnostic += '\n';
      now_.diagnostic += ascii::trim(line);
    }
  }

  static Action action_of(std::string_view value) noexcept {
    constexpr std::pair<std::string_view, Action> kActions[] = {
        {"fail", Action::kFailed},    {"delay", Action::kDelayed},   {"deliver", Action::kDelivered},
        {"relay", Action::kRelayed},  {"expand", Action::kExpanded}, {"rejected", Action::kFailed},
        {"expired", Action::kFailed}, {"error", Action::kFailed}};
    for (const auto& [start, action] : kActions) {
      if (ascii::istarts_with(value, start)) return action;
    }
    return Action::kNone;
  }

  // "smtp; 550 5.1.1 ...", "X-Postfix; host ... said: 550 ...", and what has no type at all.
  static std::string_view without_type(std::string_view diagnostic) noexcept {
    const std::size_t semicolon = diagnostic.find(';');
    constexpr std::size_t kTypeMax = 24;
    if (semicolon == std::string_view::npos || semicolon > kTypeMax) return diagnostic;
    const std::string_view type = ascii::trim(diagnostic.substr(0, semicolon));
    const bool typed =
        std::ranges::all_of(type, [](char c) { return ascii::is_alnum(c) || c == '-' || c == '_' || c == '.'; }) &&
        !type.empty() && ascii::is_alpha(type.front());
    return typed ? ascii::trim(diagnostic.substr(semicolon + 1)) : diagnostic;
  }

  void finish() {
    Fields fields = std::exchange(now_, {});
    if (!fields.complete() && fields.action.empty()) return;
    if (status_.recipients.size() >= kReportRecipientsMax) return;
    ReportedRecipient& recipient = status_.recipients.emplace_back();
    recipient.final_recipient = typed_address(fields.final);
    recipient.address = typed_address(fields.original);
    if (recipient.address.find('@') == std::string::npos) recipient.address = recipient.final_recipient;
    if (same_address(recipient.address, recipient.final_recipient)) recipient.final_recipient.clear();
    recipient.action = action_of(fields.action);
    recipient.status = reply_in(fields.status).enhanced;
    recipient.diagnostic = reply_in(without_type(fields.diagnostic));
    std::string_view remote = without_type(fields.remote);
    recipient.remote_mta = remote.substr(0, remote.find_first_of(" \t\n(["));
  }

  DeliveryStatus& status_;
  Fields now_;
};

bool has_status_fields(std::string_view text) noexcept {
  for (std::size_t at = text.find("-Recipient:"); at != std::string_view::npos; at = text.find("-Recipient:", at + 1)) {
    if (at >= 5 && ascii::iequals(text.substr(at - 5, 5), "Final")) return true;
  }
  return text.find("Final-recipient:") != std::string_view::npos ||
         text.find("final-recipient:") != std::string_view::npos;
}

}  // namespace

std::optional<DeliveryStatus> read_delivery_status(const Mail& mail) {
  std::optional<DeliveryStatus> status;
  for (const MimePart& part : mail.tree.parts) {
    const bool typed = part.type.value == "message/delivery-status" ||
                       part.type.value == "message/global-delivery-status" || part.type.value == "text/delivery-status";
    if (!typed) continue;
    if (!status) status.emplace();
    StatusReader(*status).read(text_of(part, part.body.substr(0, kReportBytesMax)));
  }
  if (!status && has_status_fields(mail.words.words)) {
    status.emplace();
    StatusReader(*status).read(mail.words.words);
  }
  return status;
}

}  // namespace mailsbuddy::bounce
