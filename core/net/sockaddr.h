// sockaddr.h - between our addresses and the operating system's.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "mailsbuddy/net.h"

namespace mailsbuddy::net {

struct SockAddr {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
};

SockAddr to_sockaddr(const Endpoint& endpoint) noexcept;        // An unspecified address: size 0.
Endpoint from_sockaddr(const sockaddr_storage& from) noexcept;  // Neither IPv4 nor IPv6: an unspecified address.

}  // namespace mailsbuddy::net
