#include "smtp/proto/client_auth.h"

#include <algorithm>

#include "core/base/ascii.h"
#include "core/base/encoding.h"
#include "smtp/proto/auth_exchange.h"

namespace mailsbuddy::smtp {
namespace {

bool is_plain_text(std::string_view text) noexcept {
  return is_valid_utf8(text) && std::none_of(text.begin(), text.end(), ascii::is_control);
}

// RFC 6750 2.1, b64token, and whatever else is printable: some tokens have other characters.
bool is_token(std::string_view text) noexcept {
  return text.size() <= kTokenMax && std::all_of(text.begin(), text.end(), ascii::is_visible);
}

// Appends the base64 of the parts as one, and leaves no copy of them behind.
void append_secret(std::string& line, std::initializer_list<std::string_view> parts) {
  std::size_t size = 0;
  for (const std::string_view part : parts) size += part.size();
  std::string whole;
  whole.reserve(size);
  for (const std::string_view part : parts) whole.append(part);
  line.reserve(line.size() + (size + 2) / 3 * 4 + 2);
  append_base64(line, whole);
  wipe(whole);
}

void append_initial(const Login& login, ClientMechanism mechanism, std::string& line) {
  constexpr std::string_view kNul("\0", 1);
  if (mechanism == ClientMechanism::kPlain) {
    append_secret(line, {kNul, login.user, kNul, login.password});
  } else {
    append_secret(line, {"user=", login.user, "\x01", "auth=Bearer ", login.token, "\x01\x01"});
  }
}

}  // namespace

std::string_view to_string(ClientMechanism mechanism) noexcept {
  constexpr std::string_view kNames[] = {"", "PLAIN", "LOGIN", "XOAUTH2"};
  return kNames[static_cast<std::size_t>(mechanism)];
}

ClientMechanism choose_mechanism(const Login& login, const Capabilities& offered) noexcept {
  if (offered.auth_xoauth2 && !login.token.empty()) return ClientMechanism::kXoauth2;
  if (login.password.empty()) return ClientMechanism::kNone;
  if (offered.auth_plain) return ClientMechanism::kPlain;
  return offered.auth_login ? ClientMechanism::kLogin : ClientMechanism::kNone;
}

std::string_view login_fault(const Login& login, ClientMechanism mechanism) noexcept {
  if (login.user.size() > kAuthNameMax || !is_plain_text(login.user)) return "the user's name cannot be sent";
  if (mechanism == ClientMechanism::kXoauth2) return is_token(login.token) ? "" : "the token cannot be sent";
  const bool sendable =
      login.password.size() <= kAuthPasswordMax && login.password.find('\0') == std::string_view::npos;
  return sendable ? "" : "the password cannot be sent";
}

bool append_auth(const Login& login, ClientMechanism mechanism, std::string& line) {
  const std::size_t before = line.size();
  line.append("AUTH ").append(to_string(mechanism));
  if (mechanism == ClientMechanism::kLogin) return false;  // Many servers take no initial response for it.
  const std::size_t bare = line.size();
  line.push_back(' ');
  append_initial(login, mechanism, line);
  if (line.size() - before + 2 <= kAuthLineMax) return true;
  std::fill(line.begin() + static_cast<std::ptrdiff_t>(bare), line.end(), '\0');
  line.resize(bare);
  return false;
}

bool append_response(const Login& login, ClientMechanism mechanism, std::size_t turn, std::string& line) {
  switch (mechanism) {
    case ClientMechanism::kNone:
      return false;
    case ClientMechanism::kPlain:
      if (turn == 0) append_initial(login, mechanism, line);
      return turn == 0;
    case ClientMechanism::kLogin:
      if (turn < 2) append_secret(line, {turn == 0 ? login.user : login.password});
      return turn < 2;
    case ClientMechanism::kXoauth2:
      if (turn == 0) append_initial(login, mechanism, line);
      return turn < 2;  // The second is the empty line.
  }
  return false;
}

}  // namespace mailsbuddy::smtp
