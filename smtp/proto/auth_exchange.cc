#include "smtp/proto/auth_exchange.h"

#include "core/base/ascii.h"
#include "core/base/encoding.h"

namespace mailsbuddy::smtp {
namespace {

// RFC 4616 2: UTF-8 without NUL. Control characters beyond that would only serve to forge log lines.
bool is_name(std::string_view text) noexcept {
  if (text.size() > kAuthNameMax || !is_valid_utf8(text)) return false;
  for (const char c : text)
    if (ascii::is_control(c)) return false;
  return true;
}

bool is_password(std::string_view text) noexcept {
  return !text.empty() && text.size() <= kAuthPasswordMax && text.find('\0') == std::string_view::npos;
}

}  // namespace

std::optional<AuthMechanism> parse_mechanism(std::string_view word) noexcept {
  if (ascii::iequals(word, "PLAIN")) return AuthMechanism::kPlain;
  if (ascii::iequals(word, "LOGIN")) return AuthMechanism::kLogin;
  return std::nullopt;
}

void wipe(std::string& secret) noexcept {
  secret.resize(secret.capacity());  // What a longer text before left behind the end goes too; this allocates nothing.
  volatile char* const bytes = secret.data();
  for (std::size_t i = 0; i < secret.size(); ++i) bytes[i] = '\0';
  secret.clear();
}

void AuthExchange::wipe() noexcept {
  smtp::wipe(password_);
  user_.clear();
  authzid_.clear();
  has_user_ = false;
}

AuthExchange::Step AuthExchange::start(AuthMechanism mechanism, std::optional<std::string_view> initial_response) {
  wipe();
  mechanism_ = mechanism;
  if (!initial_response) return Step::kChallenge;
  return take(*initial_response == "=" ? std::string_view() : *initial_response);
}

AuthExchange::Step AuthExchange::respond(std::string_view line) {
  if (line == "*") return Step::kCancelled;
  return take(line);
}

std::string_view AuthExchange::challenge() const noexcept {
  if (mechanism_ == AuthMechanism::kPlain) return {};
  return has_user_ ? "UGFzc3dvcmQ6" : "VXNlcm5hbWU6";  // "Password:", "Username:", as all the others say.
}

AuthExchange::Step AuthExchange::take(std::string_view base64) {
  std::optional<std::string> decoded = decode_base64(base64);
  if (!decoded) return Step::kBad;
  const Step step = mechanism_ == AuthMechanism::kPlain ? take_plain(*decoded) : take_login(*decoded);
  smtp::wipe(*decoded);
  return step;
}

AuthExchange::Step AuthExchange::take_plain(std::string_view message) {
  const std::size_t first = message.find('\0');
  const std::size_t second = first == std::string_view::npos ? first : message.find('\0', first + 1);
  if (second == std::string_view::npos) return Step::kBad;
  const std::string_view authzid = message.substr(0, first);
  const std::string_view user = message.substr(first + 1, second - first - 1);
  const std::string_view password = message.substr(second + 1);
  if (user.empty() || !is_name(user) || !is_name(authzid) || !is_password(password)) return Step::kBad;
  user_ = user;
  authzid_ = authzid;
  password_ = password;
  return Step::kDone;
}

AuthExchange::Step AuthExchange::take_login(std::string_view word) {
  if (!has_user_) {
    if (word.empty() || !is_name(word)) return Step::kBad;
    user_ = word;
    has_user_ = true;
    return Step::kChallenge;
  }
  if (!is_password(word)) return Step::kBad;
  password_ = word;
  return Step::kDone;
}

}  // namespace mailsbuddy::smtp
