// auth_exchange.h - the server's side of one AUTH command, RFC 4954, without I/O: responses in, challenges out.
//
//   auth-command     = "AUTH" SP sasl-mech [ SP initial-response ] CRLF
//   initial-response = base64 / "="                         ; "=": a response of no octets
//   response         = base64 CRLF / "*" CRLF               ; "*": cancelled
//   PLAIN            = [ authzid ] NUL authcid NUL passwd   ; RFC 4616 2, as one response
//   LOGIN            = authcid, then passwd                 ; two responses; never standardised, spoken by most clients
//
// Base64 is taken exactly (RFC 4954 4): complete padding, no other characters, no unused bits.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mailsbuddy::smtp {

inline constexpr std::size_t kAuthNameMax = 255;      // RFC 4616 2: "up to and including 255 octets".
inline constexpr std::size_t kAuthPasswordMax = 255;  // Likewise.

enum class AuthMechanism : unsigned char { kPlain, kLogin };
std::optional<AuthMechanism> parse_mechanism(std::string_view word) noexcept;  // In any letter case.

// Overwrites the text before it is freed or used anew, in a way that the compiler does not take for useless.
void wipe(std::string& secret) noexcept;

// Threads: one owner. Invariants: what it held of a password is overwritten by wipe() and by the destructor.
class AuthExchange {
 public:
  enum class Step : unsigned char {
    kChallenge,  // Send "334 " and challenge(), then respond() with the next line.
    kDone,       // user(), password() and authzid() are there.
    kBad,        // No base64, or not of the mechanism's form.
    kCancelled,  // "*".
  };

  AuthExchange() = default;
  ~AuthExchange() { wipe(); }
  AuthExchange(const AuthExchange&) = delete;
  AuthExchange& operator=(const AuthExchange&) = delete;

  Step start(AuthMechanism mechanism, std::optional<std::string_view> initial_response);
  Step respond(std::string_view line);  // Without CRLF.

  std::string_view challenge() const noexcept;  // In base64; may be empty.
  AuthMechanism mechanism() const noexcept { return mechanism_; }
  const std::string& user() const noexcept { return user_; }  // authcid.
  const std::string& password() const noexcept { return password_; }
  const std::string& authzid() const noexcept { return authzid_; }  // Whom to act as; empty: the user.
  void wipe() noexcept;

 private:
  Step take(std::string_view base64);
  Step take_plain(std::string_view message);
  Step take_login(std::string_view word);

  AuthMechanism mechanism_ = AuthMechanism::kPlain;
  bool has_user_ = false;  // Of LOGIN: the next response is the password.
  std::string user_;
  std::string password_;
  std::string authzid_;
};

}  // namespace mailsbuddy::smtp
