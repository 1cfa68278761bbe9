// envelope_parameters.h - what may stand behind the paths of MAIL and RCPT.
//
//   mail-param = "SIZE=" 1*20DIGIT                          ; RFC 1870 4
//              / "BODY=" ( "7BIT" / "8BITMIME" )            ; RFC 6152 3; BINARYMIME (RFC 3030) is not offered
//              / "SMTPUTF8"                                 ; RFC 6531 3.4
//              / "RET=" ( "FULL" / "HDRS" )                 ; RFC 3461 4.3
//              / "ENVID=" xtext                             ; RFC 3461 4.4
//              / "AUTH=" ( xtext / "<>" )                   ; RFC 4954 5: read and not believed
//   rcpt-param = "NOTIFY=" ( "NEVER" / element *( "," element ) )   ; RFC 3461 4.1
//              / "ORCPT=" atom ";" xtext                    ; RFC 3461 4.2, RFC 6533 3
//   element    = "SUCCESS" / "FAILURE" / "DELAY"
//
// Keywords and values are taken in any letter case; each keyword may stand once (RFC 5321 4.1.1.11).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "mailsbuddy/smtp.h"

namespace mailsbuddy::smtp {

struct ServerOptions;

inline constexpr std::size_t kEnvidMax = 100;  // RFC 3461 4.4, as xtext.
inline constexpr std::size_t kOrcptMax = 500;  // RFC 3461 4.2, likewise.

struct MailParameters {
  std::uint64_t size = 0;  // 0: not said.
  bool eight_bit = false;  // BODY=8BITMIME.
  bool smtputf8 = false;
  DsnReturn ret = DsnReturn::kUnspecified;
  std::string envid;  // Decoded. Empty: none.
};

struct RcptParameters {
  std::uint8_t notify = 0;  // DsnNotify bits; 0: not said.
  std::string orcpt;        // "rfc822;ann@example.net", decoded. Empty: none.
};

// The refusal, a whole reply; empty: all understood. What `options` do not offer is not known.
std::string_view parse_mail_parameters(std::string_view text, const ServerOptions& options, MailParameters& out);
std::string_view parse_rcpt_parameters(std::string_view text, const ServerOptions& options, bool smtputf8,
                                       RcptParameters& out);

// "NEVER", or a list of the others; 0: it is neither.
std::uint8_t parse_notify(std::string_view value) noexcept;

}  // namespace mailsbuddy::smtp
