// public_address.cc - the special-purpose ranges of IPv4 and IPv6.
#include <algorithm>
#include <array>

#include "mailsbuddy/net.h"

namespace mailsbuddy::net {
namespace {

struct Prefix {
  std::array<std::uint8_t, 16> bytes;
  int bits;
};

// RFC 6890 2.2.2 and its registry, with multicast (RFC 5771) and class E (RFC 1112 4).
constexpr Prefix kSpecialV4[] = {
    {{0}, 8},
    {{10}, 8},
    {{100, 64}, 10},
    {{127}, 8},
    {{169, 254}, 16},
    {{172, 16}, 12},
    {{192, 0, 0}, 24},
    {{192, 0, 2}, 24},
    {{192, 88, 99}, 24},
    {{192, 168}, 16},
    {{198, 18}, 15},
    {{198, 51, 100}, 24},
    {{203, 0, 113}, 24},
    {{224}, 3},
};

// All that is given out to hosts is in 2000::/3; in it, what stands for something else.
constexpr Prefix kGlobalV6 = {{0x20}, 3};
constexpr Prefix kSpecialV6[] = {
    {{0x20, 0x01, 0x00}, 23},        // RFC 2928: Teredo, ORCHID, benchmarks.
    {{0x20, 0x01, 0x0d, 0xb8}, 32},  // RFC 3849.
    {{0x3f, 0xff}, 20},              // RFC 9637.
};
constexpr Prefix k6to4 = {{0x20, 0x02}, 16};                                  // RFC 3056: an IPv4 address follows.
constexpr Prefix kNat64 = {{0x00, 0x64, 0xff, 0x9b}, 96};                     // RFC 6052: at the end.
constexpr Prefix kMapped = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96};  // RFC 4291 2.5.5.2: at the end.

bool starts_with(std::span<const std::uint8_t> bytes, const Prefix& prefix) noexcept {
  for (int i = 0, left = prefix.bits; left > 0; ++i, left -= 8) {
    const auto at = static_cast<std::size_t>(i);
    const int mask = left >= 8 ? 0xff : (0xff << (8 - left)) & 0xff;
    if (((bytes[at] ^ prefix.bytes[at]) & mask) != 0) return false;
  }
  return true;
}

IpAddress v4_at(std::span<const std::uint8_t> bytes, std::size_t at) noexcept {
  return IpAddress::v4({bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]});
}

}  // namespace

bool is_public(const IpAddress& address) noexcept {
  const auto bytes = address.bytes();
  const auto holds = [&](const Prefix& prefix) { return starts_with(bytes, prefix); };
  if (address.unspecified()) return false;
  if (address.is_v4()) return std::ranges::none_of(kSpecialV4, holds);
  if (holds(kMapped) || holds(kNat64)) return is_public(v4_at(bytes, 12));
  if (holds(k6to4)) return is_public(v4_at(bytes, 2));
  return holds(kGlobalV6) && std::ranges::none_of(kSpecialV6, holds);
}

}  // namespace mailsbuddy::net
