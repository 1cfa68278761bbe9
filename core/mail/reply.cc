#include <fmt/format.h>

#include <algorithm>

#include "mailsbuddy/mail.h"

namespace mailsbuddy {
namespace {

template <class Enum>
struct Name {
  Enum value;
  std::string_view name;
};

constexpr Name<Stage> kStages[] = {
    {Stage::kMake, "make"},         {Stage::kRoute, "route"},        {Stage::kConnect, "connect"},
    {Stage::kGreeting, "greeting"}, {Stage::kEhlo, "ehlo"},          {Stage::kStartTls, "start_tls"},
    {Stage::kAuth, "auth"},         {Stage::kMailFrom, "mail_from"}, {Stage::kRcptTo, "rcpt_to"},
    {Stage::kData, "data"},         {Stage::kFinalDot, "final_dot"},
};

constexpr Name<Cause> kCauses[] = {
    {Cause::kReply, "reply"},
    {Cause::kTimeout, "timeout"},
    {Cause::kConnectionLost, "connection_lost"},
    {Cause::kConnectFailed, "connect_failed"},
    {Cause::kProtocolError, "protocol_error"},
    {Cause::kTlsUnavailable, "tls_unavailable"},
    {Cause::kTlsFailed, "tls_failed"},
    {Cause::kSmtpUtf8Unavailable, "smtputf8_unavailable"},
    {Cause::kTooLarge, "too_large"},
    {Cause::kEightBitUnavailable, "eight_bit_unavailable"},
    {Cause::kRequireTlsUnavailable, "require_tls_unavailable"},
    {Cause::kAuthUnavailable, "auth_unavailable"},
    {Cause::kTransactionFull, "transaction_full"},
    {Cause::kNoSuchDomain, "no_such_domain"},
    {Cause::kNullMx, "null_mx"},
    {Cause::kDnsFailure, "dns_failure"},
    {Cause::kRenderFailed, "render_failed"},
    {Cause::kSignFailed, "sign_failed"},
    {Cause::kSuppressed, "suppressed"},
    {Cause::kExpired, "expired"},
    {Cause::kCancelled, "cancelled"},
    {Cause::kOverCap, "over_cap"},
};

// A row for every value up to the last one, in order, so that the value is the index.
template <class Enum, std::size_t N>
constexpr bool complete(const Name<Enum> (&rows)[N], Enum last) {
  for (std::size_t i = 0; i < N; ++i) {
    if (static_cast<std::size_t>(rows[i].value) != i) return false;
  }
  return N == static_cast<std::size_t>(last) + 1;
}
static_assert(complete(kStages, Stage::kFinalDot));
static_assert(complete(kCauses, Cause::kOverCap));

}  // namespace

std::string_view to_string(Stage stage) noexcept { return kStages[static_cast<std::size_t>(stage)].name; }
std::string_view to_string(Cause cause) noexcept { return kCauses[static_cast<std::size_t>(cause)].name; }

std::string EnhancedCode::str() const { return fmt::format("{}.{}.{}", klass, subject, detail); }

std::string Reply::str() const {
  if (code == 0) return "no reply";
  std::string line = std::to_string(code);
  if (enhanced) line += " " + enhanced->str();
  if (!text.empty()) line += " " + text;
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line;
}

std::string Outcome::str() const {
  if (cause == Cause::kReply) return fmt::format("{}: {}", to_string(stage), reply.str());
  std::string line = fmt::format("{}: {}", to_string(stage), to_string(cause));
  if (!detail.empty()) line += fmt::format(" ({})", detail);
  if (reply.code != 0) line += fmt::format(" after {}", reply.str());
  return line;
}

}  // namespace mailsbuddy
