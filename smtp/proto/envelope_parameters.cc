#include "smtp/proto/envelope_parameters.h"

#include <algorithm>
#include <array>

#include "core/base/ascii.h"
#include "core/base/encoding.h"
#include "smtp/proto/command_parser.h"
#include "smtp/proto/server_session.h"
#include "smtp/proto/xtext.h"

namespace mailsbuddy::smtp {
namespace {

constexpr std::string_view kTwice = "501 5.5.4 A parameter stands twice";

// One bit a keyword. False: it was set.
bool first_time(unsigned& seen, unsigned bit) noexcept {
  const bool first = (seen & bit) == 0;
  seen |= bit;
  return first;
}

bool is_atom(std::string_view text) noexcept {  // RFC 5322 3.2.3.
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return ascii::is_alnum(c) || std::string_view("!#$%&'*+-/=?^_`{|}~").find(c) != std::string_view::npos;
  });
}

bool is_printable(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) { return ascii::is_visible(c) || ascii::is_wsp(c); });
}

bool parse_body(std::string_view value, MailParameters& out) noexcept {
  out.eight_bit = ascii::iequals(value, "8BITMIME");
  return out.eight_bit || ascii::iequals(value, "7BIT");
}

bool parse_ret(std::string_view value, MailParameters& out) noexcept {
  if (ascii::iequals(value, "FULL"))
    out.ret = DsnReturn::kFull;
  else if (ascii::iequals(value, "HDRS"))
    out.ret = DsnReturn::kHeaders;
  return out.ret != DsnReturn::kUnspecified;
}

// RFC 3461 4.4: what it stands for is printable; it is copied into reports.
bool parse_envid(std::string_view value, MailParameters& out) {
  return !value.empty() && value.size() <= kEnvidMax && decode_xtext(value, out.envid) && is_printable(out.envid);
}

bool is_submitter(std::string_view value) {
  std::string ignored;
  return value == "<>" || (!value.empty() && decode_xtext(value, ignored));
}

// RFC 6533 3: an address of type utf-8 may stand there as it is, in a transaction with SMTPUTF8.
bool parse_orcpt(std::string_view value, bool smtputf8, RcptParameters& out) {
  const std::size_t semicolon = value.find(';');
  if (semicolon == std::string_view::npos || value.size() > kOrcptMax || !is_atom(value.substr(0, semicolon)))
    return false;
  const std::string_view address = value.substr(semicolon + 1);
  out.orcpt.assign(value.substr(0, semicolon + 1));
  if (smtputf8 && !is_ascii(address) && ascii::iequals(value.substr(0, semicolon), "utf-8")) {
    out.orcpt.append(address);
    return is_valid_utf8(address);
  }
  const std::size_t before = out.orcpt.size();
  return decode_xtext(address, out.orcpt) && out.orcpt.size() != before &&
         is_printable(std::string_view(out.orcpt).substr(before));
}

}  // namespace

std::uint8_t parse_notify(std::string_view value) noexcept {
  struct Row {
    std::string_view word;
    std::uint8_t bit;
  };
  constexpr std::array kWords = {Row{"NEVER", kNotifyNever}, Row{"SUCCESS", kNotifySuccess},
                                 Row{"FAILURE", kNotifyFailure}, Row{"DELAY", kNotifyDelay}};
  std::uint8_t notify = 0;
  for (bool more = true; more;) {
    const std::string_view word = value.substr(0, value.find(','));
    const auto* const row =
        std::find_if(kWords.begin(), kWords.end(), [word](const Row& each) { return ascii::iequals(each.word, word); });
    if (row == kWords.end()) return 0;
    notify |= row->bit;
    more = word.size() != value.size();
    value.remove_prefix(std::min(word.size() + 1, value.size()));
  }
  const bool never_and_more = (notify & kNotifyNever) != 0 && notify != kNotifyNever;
  return never_and_more ? std::uint8_t{0} : notify;
}

std::string_view parse_mail_parameters(std::string_view text, const ServerOptions& options, MailParameters& out) {
  out = {};
  unsigned seen = 0;
  while (!text.empty()) {
    const Parameter parameter = take_parameter(text);
    const auto is = [&](std::string_view keyword) { return ascii::iequals(parameter.keyword, keyword); };
    if (is("SIZE")) {
      const std::optional<std::uint64_t> size = parse_size(parameter.value);
      if (!first_time(seen, 1)) return kTwice;
      if (!size) return "501 5.5.4 Bad SIZE";
      out.size = *size;
    } else if (is("BODY")) {
      if (!first_time(seen, 2)) return kTwice;
      if (!parse_body(parameter.value, out)) return "501 5.5.4 Bad BODY";
    } else if (is("SMTPUTF8") && options.smtputf8 && parameter.value.empty()) {
      out.smtputf8 = true;
    } else if (is("RET") && options.dsn) {
      if (!first_time(seen, 4)) return kTwice;
      if (!parse_ret(parameter.value, out)) return "501 5.5.4 Bad RET";
    } else if (is("ENVID") && options.dsn) {
      if (!first_time(seen, 8)) return kTwice;
      if (!parse_envid(parameter.value, out)) return "501 5.5.4 Bad ENVID";
    } else if (is("AUTH") && options.auth != AuthOffer::kNever) {
      if (!first_time(seen, 16)) return kTwice;
      if (!is_submitter(parameter.value)) return "501 5.5.4 Bad AUTH";
    } else {
      return "555 5.5.4 MAIL parameter not known";  // RFC 5321 4.1.1.11.
    }
  }
  return {};
}

std::string_view parse_rcpt_parameters(std::string_view text, const ServerOptions& options, bool smtputf8,
                                       RcptParameters& out) {
  out.notify = 0;
  out.orcpt.clear();
  while (!text.empty()) {
    const Parameter parameter = take_parameter(text);
    if (options.dsn && ascii::iequals(parameter.keyword, "NOTIFY")) {
      if (out.notify != 0) return kTwice;
      out.notify = parse_notify(parameter.value);
      if (out.notify == 0) return "501 5.5.4 Bad NOTIFY";
    } else if (options.dsn && ascii::iequals(parameter.keyword, "ORCPT")) {
      if (!out.orcpt.empty()) return kTwice;
      if (!parse_orcpt(parameter.value, smtputf8, out)) return "501 5.5.4 Bad ORCPT";
    } else {
      return "555 5.5.4 RCPT parameter not known";
    }
  }
  return {};
}

}  // namespace mailsbuddy::smtp
