#include "smtp/ip_range.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace mailsbuddy::smtp {
namespace {

constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool same_bits(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b, int bits) noexcept {
  for (std::size_t i = 0; i < a.size() && bits > 0; ++i, bits -= 8) {
    const auto mask = static_cast<std::uint8_t>(bits >= 8 ? 0xff : 0xff << (8 - bits));
    if (((a[i] ^ b[i]) & mask) != 0) return false;
  }
  return true;
}

bool zero_behind(std::span<const std::uint8_t> bytes, int bits) noexcept {
  for (std::size_t i = 0; i < bytes.size(); ++i, bits -= 8) {
    const int kept = std::clamp(bits, 0, 8);
    if ((bytes[i] & (0xff >> kept)) != 0) return false;
  }
  return true;
}

}  // namespace

net::IpAddress unmapped(const net::IpAddress& address) noexcept {
  const auto bytes = address.bytes();
  if (!address.is_v6() || !std::equal(kMapped.begin(), kMapped.end(), bytes.begin())) return address;
  return net::IpAddress::v4({bytes[12], bytes[13], bytes[14], bytes[15]});
}

Result<IpRange> IpRange::parse(std::string_view text) {
  const auto bad = [text] {
    return Error{ErrorCode::kInvalidArgument, fmt::format("\"{}\" is not a range of IP addresses", text)};
  };
  const std::size_t slash = text.find('/');
  const auto address = net::IpAddress::parse(text.substr(0, slash));
  if (!address) return bad();
  const int longest = address->is_v4() ? 32 : 128;
  IpRange range{*address, longest};
  if (slash == std::string_view::npos) return range;
  const std::string_view digits = text.substr(slash + 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), range.bits);
  if (error != std::errc{} || end != digits.data() + digits.size() || range.bits < 0 || range.bits > longest)
    return bad();
  if (!zero_behind(address->bytes(), range.bits))
    return Error{ErrorCode::kInvalidArgument, fmt::format("\"{}\": bits behind the prefix are not zero", text)};
  return range;
}

bool IpRange::contains(const net::IpAddress& other) const noexcept {
  const net::IpAddress plain = unmapped(other);
  return address.is_v4() == plain.is_v4() && address.is_v6() == plain.is_v6() &&
         same_bits(address.bytes(), plain.bytes(), bits);
}

bool contains(std::span<const IpRange> ranges, const net::IpAddress& address) noexcept {
  return std::any_of(ranges.begin(), ranges.end(), [&](const IpRange& each) { return each.contains(address); });
}

}  // namespace mailsbuddy::smtp
