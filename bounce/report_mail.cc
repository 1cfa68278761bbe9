// A message taken apart as far as telling what it is needs.
#include <algorithm>

#include "bounce/report.h"
#include "bounce/report_address.h"
#include "core/base/ascii.h"
#include "core/base/encoding.h"

namespace mailsbuddy::bounce {
namespace {

std::string address_in(std::string_view value) {
  const std::size_t bracket = value.rfind('<');  // "ann@example.net <ann@example.org>": the second.
  auto found = bracket == std::string_view::npos ? std::nullopt : next_address(value, bracket);
  if (!found) found = next_address(value, 0);
  return found ? std::string(found->text) : std::string();
}

// ---------------------------------------------------------------------------------------------------------------------
// HTML as lines of text

std::string_view html_character(std::string_view entity) noexcept {
  constexpr std::pair<std::string_view, std::string_view> kEntities[] = {
      {"lt", "<"},  {"gt", ">"},  {"amp", "&"},  {"quot", "\""}, {"nbsp", " "}, {"apos", "'"},
      {"#39", "'"}, {"#64", "@"}, {"#34", "\""}, {"#60", "<"},   {"#62", ">"}};
  for (const auto& [name, character] : kEntities) {
    if (ascii::iequals(entity, name)) return character;
  }
  return {};
}

bool breaks_line(std::string_view tag) noexcept {
  constexpr std::string_view kTags[] = {"br", "p",   "/p",  "div", "/div",  "tr",     "/tr", "li",   "/li", "h1", "h2",
                                        "h3", "/h1", "/h2", "/h3", "table", "/table", "pre", "/pre", "td",  "ul", "hr"};
  const std::size_t end = tag.find_first_not_of("/abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ123");
  tag = tag.substr(0, end);
  return std::ranges::any_of(kTags, [tag](std::string_view name) { return ascii::iequals(tag, name); });
}

// What is neither tag, style nor script. Line ends of the source are white space.
std::string text_of_html(std::string_view html) {
  std::string text;
  for (std::size_t at = 0; at < html.size();) {
    const char c = html[at];
    if (c == '<') {
      const std::size_t close = html.find('>', at);
      if (close == std::string_view::npos) break;
      const std::string_view tag = html.substr(at + 1, close - at - 1);
      at = close + 1;
      for (const std::string_view skipped : {"style", "script"}) {
        if (!ascii::istarts_with(tag, skipped)) continue;
        const std::size_t end = html.find("</", at);
        at = end == std::string_view::npos ? html.size() : end;
      }
      if (breaks_line(tag)) text += '\n';
    } else if (c == '&') {
      const std::size_t close = html.find(';', at);
      const std::string_view known = close != std::string_view::npos && close - at < 8
                                         ? html_character(html.substr(at + 1, close - at - 1))
                                         : std::string_view();
      text += known.empty() ? "&" : known;
      at = known.empty() ? at + 1 : close + 1;
    } else {
      text += c == '\n' || c == '\r' ? ' ' : c;
      ++at;
    }
  }
  return text;
}

// ---------------------------------------------------------------------------------------------------------------------
// The report's own words

bool is_returned(std::string_view type) noexcept {
  constexpr std::string_view kTypes[] = {"message/rfc822",         "text/rfc822-headers", "text/rfc822-header",
                                         "message/rfc822-headers", "message/global",      "message/global-headers",
                                         "message/partial",        "text/rfc822"};
  return std::ranges::find(kTypes, type) != std::end(kTypes);
}

bool blank(std::string_view text) noexcept { return ascii::trim(text).empty(); }

// All text parts before the returned message; HTML only where there is no plain text.
std::string all_words(const MimeTree& tree) {
  std::string text;
  for (const bool html : {false, true}) {
    for (const MimePart& part : tree.parts) {
      if (is_returned(part.type.value) || text.size() >= kReportTextMax) break;
      const bool broken = part.multipart() && part.parts == 0;
      const bool wanted =
          html ? part.type.value == "text/html"
               : part.type.value == "text/plain" || broken || part.type.value.find('/') == std::string::npos;
      if (!wanted) continue;
      std::string words = text_of(part, part.body.substr(0, html ? kHtmlMax : kReportTextMax));
      if (html) words = text_of_html(words).substr(0, kReportTextMax);
      if (blank(words)) continue;
      if (!text.empty()) text += "\n\n";
      text += words;
    }
    if (!text.empty()) break;
  }
  return text;
}

void split_words(ReportText& report) {
  const std::string_view text = report.text;
  std::size_t at = 0;
  while (at < text.size() && report.lines.size() < kReportLinesMax) {
    const std::size_t next = std::min(text.find('\n', at), text.size() - 1) + 1;
    const std::string_view line = ascii::trim(text.substr(at, next - at));
    if (!report.lines.empty() && !line.empty() && announces_original(line)) break;
    report.lines.push_back(line);
    at = next;
  }
  report.words = text.substr(0, at);
  report.returned = text.substr(at);
}

bool announces_field(std::string_view name) noexcept {
  constexpr std::string_view kNames[] = {"Received",     "Return-Path",    "From",
                                         "To",           "Date",           "Subject",
                                         "Message-ID",   "MIME-Version",   "X-Original-To",
                                         "Delivered-To", "DKIM-Signature", "X-Received",
                                         "Content-Type", "ARC-Seal",       "X-Google-Smtp-Source"};
  return std::ranges::any_of(kNames, [name](std::string_view known) { return ascii::iequals(name, known); });
}

// The header section of a message that a report's words end with: from the first line on that is a field of a message.
std::string_view header_within(std::string_view text) noexcept {
  constexpr std::size_t kLinesLookedAt = 20;
  for (std::size_t line = 0; line < kLinesLookedAt && !text.empty(); ++line) {
    const std::string_view start = text;
    const auto field = next_field(text);
    if (field && !field->name.empty() && field->name.find_first_of("->*=") != 0 && announces_field(field->name))
      return start;
    if (field) text = start.substr(std::min(start.find('\n'), start.size() - 1) + 1);
  }
  return {};
}

// ---------------------------------------------------------------------------------------------------------------------
// The header

// Fields that only auto-responders write, whatever their value (draft of RFC 3834's registry and observation).
bool is_auto_field(std::string_view name) noexcept {
  constexpr std::string_view kNames[] = {"X-Autoreply",
                                         "X-Autorespond",
                                         "X-Autoresponder",
                                         "X-Auto-Reply",
                                         "X-Auto-Reply-From",
                                         "X-Autoreply-From",
                                         "X-Mail-Autoreply",
                                         "X-Auto-Respond",
                                         "X-Vacation",
                                         "X-AutoReply-Message",
                                         "X-FC-MachineGenerated",
                                         "X-Autorespond-From",
                                         "X-Amazon-Auto-Reply",
                                         "X-Away-Reply",
                                         "X-Gmail-Vacation",
                                         "Auto-Response",
                                         "X-MS-Exchange-Inbox-Rules-Loop",
                                         "X-Out-Of-Office"};
  return std::ranges::any_of(kNames, [name](std::string_view known) { return ascii::iequals(name, known); });
}

bool is_challenge_field(std::string_view name) noexcept {
  constexpr std::string_view kStarts[] = {"X-TMDA",        "X-Boxbe",      "X-SpamArrest",           "X-Challenge",
                                          "X-MailInBlack", "X-ChoiceMail", "X-Earthlink-SpamBlocker"};
  return std::ranges::any_of(kStarts, [name](std::string_view known) { return ascii::istarts_with(name, known); });
}

bool is_daemon(const Mail& mail) {
  constexpr std::string_view kLocals[] = {
      "mailer-daemon",      "postmaster",           "post_master",   "mail-daemon", "mdaemon",     "maildaemon",
      "mailerdaemon",       "mail.delivery.system", "mail-delivery", "mailsystem",  "mail-system", "mailer",
      "poostmaster",        "microsoftexchange",    "sysadmin",      "bounce",      "bounces",     "mailadmin",
      "mail_administrator", "no-reply-bounce",      "mail-dsn",      "maildelivery"};
  const std::string local = ascii::to_lower(std::string_view(mail.from).substr(0, mail.from.find('@')));
  if (std::ranges::any_of(kLocals, [&](std::string_view known) { return local.starts_with(known); })) return true;
  constexpr std::string_view kNames[] = {
      "mailer-daemon", "mailer daemon",        "mail deliver",   "mail administrator", "mail system",
      "postmaster",    "system administrator", "internet mail",  "delivery subsystem", "mdaemon",
      "mail gateway",  "mailsystem",           "e-mail delivery"};
  if (std::ranges::any_of(kNames,
                          [&](std::string_view known) { return mail.from_name.find(known) != std::string::npos; }))
    return true;
  return mail.from.empty() && (mail.return_path.empty() || mail.return_path == "<>");
}

void read_precedence(Mail& mail, std::string_view value) {
  const std::string lower = ascii::to_lower(unfold(value));
  mail.auto_header = mail.auto_header || lower == "auto_reply" || lower == "auto-reply" || lower == "autoreply";
}

void read_header(Mail& mail, const RawField& field) {
  const auto is = [&](std::string_view name) { return ascii::iequals(field.name, name); };
  if (is("From")) {
    const std::string value = decode_header(unfold(field.value));
    mail.from = address_in(value);
    mail.from_name = folded(value);
  } else if (is("To")) {
    mail.to = address_in(unfold(field.value));
  } else if (is("Subject")) {
    mail.subject = decode_header(unfold(field.value));
  } else if (is("Return-Path")) {
    mail.return_path = unfold(field.value);
  } else if (is("Auto-Submitted")) {
    mail.auto_submitted = ascii::to_lower(unfold(field.value));
  } else if (is("Precedence")) {
    read_precedence(mail, field.value);
  } else if (is("X-Failed-Recipients")) {
    const std::string value = unfold(field.value);
    for (auto found = next_address(value, 0); found && mail.failed_recipients.size() < kReportRecipientsMax;
         found = next_address(value, found->to)) {
      mail.failed_recipients.emplace_back(found->text);
    }
  } else if (field.name.starts_with('X') || field.name.starts_with('x') || field.name.starts_with('A')) {
    mail.auto_header = mail.auto_header || is_auto_field(field.name);
    mail.challenge_header = mail.challenge_header || is_challenge_field(field.name);
  }
}

}  // namespace

Mail::Mail(std::string_view message) : tree(read_mime(message)) {
  std::size_t fields = 0;
  for (std::string_view rest = tree.parts.front().headers; const auto field = next_field(rest);) {
    if (++fields > kMimeHeadersMax) break;
    if (!field->name.empty()) read_header(*this, *field);
  }
  subject_folded = folded(subject);
  words.text = all_words(tree);
  split_words(words);
  signs = signs_in(folded(words.words));
  subject_signs = signs_in(subject_folded);
  from_daemon = is_daemon(*this);
  for (const MimePart& part : tree.parts) {
    if (!is_returned(part.type.value)) continue;
    constexpr std::size_t kReturnedHeaderMax = 64 * 1024;  // More than any honest header section.
    returned = part.encoding == "base64" || part.encoding == "quoted-printable"
                   ? decoded_body(part).substr(0, kReturnedHeaderMax)
                   : std::string(part.body.substr(0, kReturnedHeaderMax));
    break;
  }
  if (returned.empty()) returned = header_within(words.returned);
}

}  // namespace mailsbuddy::bounce
