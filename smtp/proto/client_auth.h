// client_auth.h - the client's side of AUTH, RFC 4954, without I/O: which mechanism, and what it says.
//
//   PLAIN   = NUL user NUL password                                        ; RFC 4616 2, with AUTH itself if it fits
//   LOGIN   = user, then password                                          ; each to a challenge
//   XOAUTH2 = "user=" user %x01 "auth=Bearer " token %x01 %x01             ; with AUTH itself if it fits
//
// A server that refuses XOAUTH2 says why in a challenge, which is answered by an empty line; the refusal follows.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "mailsbuddy/smtp.h"

namespace mailsbuddy::smtp {

// RFC 4954 4: the command line keeps its limit of RFC 5321 4.5.3.1.4, CRLF included. What is longer waits for a
// challenge.
inline constexpr std::size_t kAuthLineMax = 512;
inline constexpr std::size_t kTokenMax = 8192;  // RFC 4954 4 has servers take 12,288 octets of base64, which are 9,216.

enum class ClientMechanism : std::uint8_t { kNone, kPlain, kLogin, kXoauth2 };

std::string_view to_string(ClientMechanism mechanism) noexcept;  // "PLAIN", ...

// The best one that is offered and that `login` serves. A token goes before a password: it can be taken back.
ClientMechanism choose_mechanism(const Login& login, const Capabilities& offered) noexcept;

// Why `login` must not go on the wire by this mechanism: what it holds would end a field of it. Empty: it may.
std::string_view login_fault(const Login& login, ClientMechanism mechanism) noexcept;

// Appends the AUTH command, without CRLF, and the initial response if it goes there. True: it does.
bool append_auth(const Login& login, ClientMechanism mechanism, std::string& line);

// Appends the answer to the challenge number `turn`, from 0; an initial response counts as one. False: there is none.
bool append_response(const Login& login, ClientMechanism mechanism, std::size_t turn, std::string& line);

}  // namespace mailsbuddy::smtp
