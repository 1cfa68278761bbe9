// proxy_header.h - what a proxy says of its client before the client's first octet: haproxy.org's proxy-protocol.txt.
//
//   version1  = "PROXY" SP ( "TCP4" / "TCP6" ) SP source SP destination SP port SP port CRLF
//             / "PROXY UNKNOWN" *( %x20-7e ) CRLF                       ; at most 107 octets with the CRLF
//   version2  = %x0D.0A.0D.0A.00.0D.0A.51.55.49.54.0A                   ; "\r\n\r\n\0\r\nQUIT\n"
//               ( %x20 / %x21 )      ; version 2; LOCAL or PROXY
//               family-and-protocol  ; %x11: TCP on IPv4, %x21: TCP on IPv6; all others say nothing of the client
//               length               ; two octets, big-endian: of what follows
//               addresses            ; source and destination, 4 or 16 octets each, then their ports, 2 octets each
//               *OCTET               ; TLVs, skipped
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "mailsbuddy/net.h"

namespace mailsbuddy::smtp {

inline constexpr std::size_t kProxyV1Max = 107;   // proxy-protocol.txt 2.1.
inline constexpr std::size_t kProxyV2Max = 2048;  // 536 are guaranteed to arrive in one segment; more than a few TLVs
                                                  // nobody sends.

struct ProxyHeader {
  enum class Status : unsigned char { kIncomplete, kBad, kDone };
  Status status = Status::kIncomplete;
  std::size_t size = 0;  // Of the header, when kDone.
  std::optional<net::Endpoint>
      source;  // Empty: the connection is the proxy's own (a health check), or it does not know.
};

// `bytes`: what has come of the connection from its first octet. kIncomplete: call again with more; never of more than
// kProxyV2Max octets.
ProxyHeader parse_proxy_header(std::string_view bytes);

// A version 2 header that says who connects, and to whom. Addresses of two families are IPv6 both, the IPv4 one mapped;
// an unspecified one is all zeros: the one who reads it chooses.
std::string make_proxy_header(const net::Endpoint& source, const net::Endpoint& destination);

}  // namespace mailsbuddy::smtp
