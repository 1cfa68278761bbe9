// xclient.h - what a trusted proxy says about the client behind it, postfix.org/XCLIENT_README:
//
//   xclient-command = "XCLIENT" 1*( SP attribute )
//   attribute       = ( "NAME" / "ADDR" / "PORT" / "PROTO" / "HELO" ) "=" value
//   value           = xtext / "[UNAVAILABLE]" / "[TEMPUNAVAIL]"
//
// LOGIN is not offered: a name without its password must not be an identity. DESTADDR and DESTPORT change nothing here.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mailsbuddy::smtp {

inline constexpr std::size_t kXclientValueMax = 255;  // A host name's limit (RFC 5321 4.5.3.1.2), decoded.

// Empty: not said, or unavailable.
struct Xclient {
  std::string name;
  std::string addr;  // Without the "IPV6:" before it.
  std::string port;
  std::string proto;
  std::string helo;
};

// Empty: not an XCLIENT argument: no attribute, one not known, one twice, or a value that is no xtext or not printable.
std::optional<Xclient> parse_xclient(std::string_view argument);

}  // namespace mailsbuddy::smtp
