// Parameters of MAIL and RCPT, and AUTH responses, from a hostile client: the first byte says which. What is taken can
// stand in a header and a log line, and xtext comes back the same.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/ascii.h"
#include "smtp/proto/auth_exchange.h"
#include "smtp/proto/server_session.h"
#include "smtp/proto/xtext.h"

using namespace mailsbuddy::smtp;

namespace {

void require(bool held) {
  if (!held) std::abort();
}

bool printable(std::string_view text) {
  for (const char c : text)
    if (mailsbuddy::ascii::is_control(c) && c != '\t') return false;
  return true;
}

void envelope(std::string_view text, const ServerOptions& options) {
  MailParameters mail;
  if (parse_mail_parameters(text, options, mail).empty())
    require(printable(mail.envid) && mail.envid.size() <= kEnvidMax);
  for (const bool smtputf8 : {false, true}) {
    RcptParameters rcpt;
    if (parse_rcpt_parameters(text, options, smtputf8, rcpt).empty())
      require(printable(rcpt.orcpt) && rcpt.orcpt.size() <= kOrcptMax && rcpt.notify < 16);
  }
  std::string decoded, encoded, again;
  if (!decode_xtext(text, decoded)) return;
  append_xtext(encoded, decoded);
  require(decode_xtext(encoded, again) && again == decoded);
}

// Lines of a client, one response each.
void auth(std::string_view text, AuthMechanism mechanism) {
  AuthExchange exchange;
  const std::string_view first = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(first.size() + 1, text.size()));
  auto step = exchange.start(mechanism, first.empty() ? std::nullopt : std::optional(first));
  for (int i = 0; step == AuthExchange::Step::kChallenge; ++i) {
    require(i < 3);  // LOGIN asks twice.
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    step = exchange.respond(line);
  }
  if (step != AuthExchange::Step::kDone) return;
  require(!exchange.user().empty() && exchange.user().size() <= kAuthNameMax && printable(exchange.user()));
  require(printable(exchange.authzid()) && !exchange.password().empty());
  require(exchange.password().size() <= kAuthPasswordMax && exchange.password().find('\0') == std::string::npos);
  exchange.wipe();
  require(exchange.password().empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const ServerOptions options{.host = "mx.example", .dsn = true, .auth = AuthOffer::kAlways};
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      envelope(text, options);
      break;
    case 1:
      auth(text, AuthMechanism::kPlain);
      break;
    default:
      auth(text, AuthMechanism::kLogin);
  }
  return 0;
}
