// address.cc - text and socket forms of IP addresses and endpoints.
//
//   endpoint = IPv4address [ ":" port ] / "[" IPv6address "]" [ ":" port ] / IPv6address     ; RFC 3986 3.2.2, RFC
//   4291 2.2 port     = 1*5DIGIT                                                                      ; at most 65535
#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "core/net/sockaddr.h"
#include "mailsbuddy/net.h"

namespace mailsbuddy::net {
namespace {

constexpr std::size_t kAddressTextMax = 45;  // INET6_ADDRSTRLEN without its NUL.

Error not_an_address(std::string_view text) {
  return {ErrorCode::kInvalidArgument, fmt::format("\"{}\" is not an IPv4 or IPv6 address", text)};
}

std::string v4_text(const std::uint8_t* b) { return fmt::format("{}.{}.{}.{}", b[0], b[1], b[2], b[3]); }

struct Run {
  int at = -1;
  int length = 0;
};

// The zeros that "::" replaces: the longest run of at least two groups, the first of equals (RFC 5952 4.2.2, 4.2.3).
Run longest_zeros(const std::array<unsigned, 8>& groups, int count) {
  Run best;
  for (int i = 0; i < count;) {
    int end = i;
    while (end < count && groups[static_cast<std::size_t>(end)] == 0) ++end;
    if (end - i > std::max(best.length, 1)) best = {i, end - i};
    i = std::max(end, i + 1);
  }
  return best;
}

// RFC 5952. inet_ntop() is not used: it writes ::1:2 as ::0.1.0.2.
std::string v6_text(const std::array<std::uint8_t, 16>& b) {
  std::array<unsigned, 8> groups;
  for (std::size_t i = 0; i < 8; ++i) groups[i] = (b[2 * i] * 256U) + b[2 * i + 1];
  const bool mapped = std::all_of(groups.begin(), groups.begin() + 5, [](unsigned g) { return g == 0; }) &&
                      groups[5] == 0xffff;  // ::ffff:0:0/96, in mixed notation (RFC 5952 5).
  const int count = mapped ? 6 : 8;
  const Run zeros = longest_zeros(groups, count);
  std::string text;
  for (int i = 0; i < count; ++i) {
    if (i == zeros.at) {
      text += "::";
      i += zeros.length - 1;
      continue;
    }
    if (!text.empty() && text.back() != ':') text += ':';
    text += fmt::format("{:x}", groups[static_cast<std::size_t>(i)]);
  }
  return mapped ? text + ":" + v4_text(&b[12]) : text;
}

Result<std::uint16_t> parse_port(std::string_view digits, std::string_view whole) {
  unsigned port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (digits.empty() || digits.size() > 5 || error != std::errc{} || end != digits.data() + digits.size() ||
      port > 65535)
    return Error{ErrorCode::kInvalidArgument, fmt::format("\"{}\": the port is not a number from 0 to 65535", whole)};
  return static_cast<std::uint16_t>(port);
}

}  // namespace

Result<IpAddress> IpAddress::parse(std::string_view text) {
  std::array<char, kAddressTextMax + 1> c_string{};
  if (text.size() > kAddressTextMax || text.find('\0') != std::string_view::npos) return not_an_address(text);
  text.copy(c_string.data(), text.size());
  std::array<std::uint8_t, 4> four;
  if (inet_pton(AF_INET, c_string.data(), four.data()) == 1) return v4(four);
  std::array<std::uint8_t, 16> sixteen;
  if (inet_pton(AF_INET6, c_string.data(), sixteen.data()) == 1) return v6(sixteen);
  return not_an_address(text);
}

IpAddress IpAddress::v4(std::array<std::uint8_t, 4> bytes) noexcept {
  IpAddress address;
  address.family_ = 4;
  std::copy(bytes.begin(), bytes.end(), address.bytes_.begin());
  return address;
}

IpAddress IpAddress::v6(std::array<std::uint8_t, 16> bytes) noexcept {
  IpAddress address;
  address.family_ = 6;
  address.bytes_ = bytes;
  return address;
}

std::string IpAddress::str() const {
  if (unspecified()) return "*";
  return is_v4() ? v4_text(bytes_.data()) : v6_text(bytes_);
}

Result<Endpoint> Endpoint::parse(std::string_view text, std::uint16_t default_port) {
  std::string_view host = text;
  std::optional<std::string_view> port_text;
  const bool bracketed = text.starts_with('[');
  if (bracketed) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return not_an_address(text);
    host = text.substr(1, end - 1);
    const std::string_view rest = text.substr(end + 1);
    if (!rest.empty() && rest.front() != ':') return not_an_address(text);
    if (!rest.empty()) port_text = rest.substr(1);
  } else if (std::count(text.begin(), text.end(), ':') == 1) {
    host = text.substr(0, text.find(':'));
    port_text = text.substr(host.size() + 1);
  }
  auto address = IpAddress::parse(host);
  if (!address || address->is_v6() != (bracketed || (address->is_v6() && !port_text))) return not_an_address(text);
  if (!port_text) return Endpoint{*address, default_port};
  const auto port = parse_port(*port_text, text);
  if (!port) return port.error();
  return Endpoint{*address, *port};
}

std::string Endpoint::str() const {
  return fmt::format(fmt::runtime(address.is_v6() ? "[{}]:{}" : "{}:{}"), address.str(), port);
}

SockAddr to_sockaddr(const Endpoint& endpoint) noexcept {
  SockAddr to;
  const auto bytes = endpoint.address.bytes();
  if (endpoint.address.is_v4()) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(endpoint.port);
    std::memcpy(&in.sin_addr, bytes.data(), bytes.size());
    std::memcpy(&to.storage, &in, to.size = sizeof in);
  } else if (endpoint.address.is_v6()) {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(endpoint.port);
    std::memcpy(&in.sin6_addr, bytes.data(), bytes.size());
    std::memcpy(&to.storage, &in, to.size = sizeof in);
  }
  return to;
}

Endpoint from_sockaddr(const sockaddr_storage& from) noexcept {
  if (from.ss_family == AF_INET) {
    sockaddr_in in;
    std::memcpy(&in, &from, sizeof in);
    std::array<std::uint8_t, 4> bytes;
    std::memcpy(bytes.data(), &in.sin_addr, bytes.size());
    return {IpAddress::v4(bytes), ntohs(in.sin_port)};
  }
  if (from.ss_family == AF_INET6) {
    sockaddr_in6 in;
    std::memcpy(&in, &from, sizeof in);
    std::array<std::uint8_t, 16> bytes;
    std::memcpy(bytes.data(), &in.sin6_addr, bytes.size());
    return {IpAddress::v6(bytes), ntohs(in.sin6_port)};
  }
  return {};
}

}  // namespace mailsbuddy::net
