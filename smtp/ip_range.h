// ip_range.h - a range of IP addresses:
//
//   range = address [ "/" 1*3DIGIT ]        ; without: that address alone. RFC 4632 3.1, RFC 4291 2.3
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "mailsbuddy/net.h"

namespace mailsbuddy::smtp {

struct IpRange {
  net::IpAddress address;
  int bits = 0;

  // Errors: kInvalidArgument. Bits beyond the prefix must be zero: "192.0.2.1/24" is a slip, and either reading of it
  // could trust too many.
  static Result<IpRange> parse(std::string_view text);
  bool contains(const net::IpAddress& other) const noexcept;  // An IPv4-mapped IPv6 address is its IPv4 address.
};

bool contains(std::span<const IpRange> ranges, const net::IpAddress& address) noexcept;

// ::ffff:192.0.2.1 as 192.0.2.1 (RFC 4291 2.5.5.2); all else as it is.
net::IpAddress unmapped(const net::IpAddress& address) noexcept;

}  // namespace mailsbuddy::smtp
