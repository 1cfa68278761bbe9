// host_tls.h - what is asked of one host's TLS: of its route's policy and its own TLSA records.
#pragma once

#include <optional>
#include <string>

#include "mailsbuddy/smtp.h"

namespace mailsbuddy::smtp {

struct HostTls {
  TlsPolicy policy = TlsPolicy::kOpportunistic;
  net::TlsOptions options{};            // For the handshake.
  bool dane = false;                    // It has TLSA records that are secure.
  std::optional<TlsResult> unusable{};  // It must not be used (RFC 7672 2.1.1, 2.2): why.
};

// Threads: the resolver's loop. Calls at once when it needs no DNS, else from the loop, unless the resolver goes first.
// `host`: as in a RouteHost. `secure` may be null: the route's policy alone.
void find_host_tls(const RouteTls& route, std::string_view host, std::uint16_t port, net::SecureResolver* secure,
                   UniqueFunction<void(HostTls)> found);

}  // namespace mailsbuddy::smtp
