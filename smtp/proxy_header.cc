#include "smtp/proxy_header.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "core/base/ascii.h"

namespace mailsbuddy::smtp {
namespace {

using Status = ProxyHeader::Status;

constexpr std::string_view kV1 = "PROXY ";
constexpr std::string_view kV2("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::size_t kV2Fixed = 16;

// Takes the next word and the one space behind it; empty: there is none.
std::string_view take_word(std::string_view& text) noexcept {
  const std::size_t space = text.find(' ');
  const std::string_view word = text.substr(0, space);
  text.remove_prefix(space == std::string_view::npos ? text.size() : space + 1);
  return word;
}

// "a decimal number between 0 and 65535 without leading zeroes".
std::optional<std::uint16_t> parse_port(std::string_view text) noexcept {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  if (text.size() > 1 && text.front() == '0') return std::nullopt;
  return port;
}

std::optional<net::IpAddress> parse_address(std::string_view text, bool v4) {
  const auto address = net::IpAddress::parse(text);
  if (!address || address->is_v4() != v4) return std::nullopt;
  return *address;
}

// `line` without its CRLF.
ProxyHeader read_v1(std::string_view line) {
  ProxyHeader header{.status = Status::kBad, .size = line.size() + 2, .source = {}};
  if (std::any_of(line.begin(), line.end(), ascii::is_control)) return header;
  std::string_view rest = line.substr(kV1.size());
  const std::string_view protocol = take_word(rest);
  if (protocol == "UNKNOWN") {
    header.status = Status::kDone;
    return header;
  }
  const bool v4 = protocol == "TCP4";
  if (!v4 && protocol != "TCP6") return header;
  const auto source = parse_address(take_word(rest), v4);
  const auto destination = parse_address(take_word(rest), v4);
  const auto source_port = parse_port(take_word(rest));
  const auto destination_port = parse_port(rest);  // With another word behind it, it is no number.
  if (!source || !destination || !source_port || !destination_port) return header;
  header.source = net::Endpoint{*source, *source_port};
  header.status = Status::kDone;
  return header;
}

std::uint8_t octet(std::string_view bytes, std::size_t at) noexcept { return static_cast<std::uint8_t>(bytes[at]); }

std::uint16_t number(std::string_view bytes, std::size_t at) noexcept {
  return static_cast<std::uint16_t>(octet(bytes, at) << 8 | octet(bytes, at + 1));
}

template <std::size_t kSize>
std::array<std::uint8_t, kSize> take_octets(std::string_view bytes) noexcept {
  std::array<std::uint8_t, kSize> octets;
  std::transform(bytes.begin(), bytes.begin() + kSize, octets.begin(),
                 [](char c) { return static_cast<std::uint8_t>(c); });
  return octets;
}

// `body`: what follows the fixed part.
std::optional<net::Endpoint> read_addresses(std::uint8_t family, std::string_view body, bool& bad) noexcept {
  const std::size_t width = family == 0x11 ? 4 : family == 0x21 ? 16 : 0;
  if (width == 0) return std::nullopt;
  bad = body.size() < 2 * width + 4;
  if (bad) return std::nullopt;
  const net::IpAddress address =
      width == 4 ? net::IpAddress::v4(take_octets<4>(body)) : net::IpAddress::v6(take_octets<16>(body));
  return net::Endpoint{address, number(body, 2 * width)};
}

ProxyHeader parse_v2(std::string_view bytes) {
  ProxyHeader header;
  if (bytes.size() < kV2Fixed) return header;
  const std::uint8_t version_and_command = octet(bytes, 12);
  header.size = kV2Fixed + number(bytes, 14);
  if ((version_and_command != 0x20 && version_and_command != 0x21) || header.size > kProxyV2Max) {
    header.status = Status::kBad;
    return header;
  }
  if (bytes.size() < header.size) return header;
  bool bad = false;
  if (version_and_command == 0x21)
    header.source = read_addresses(octet(bytes, 13), bytes.substr(kV2Fixed, header.size - kV2Fixed), bad);
  header.status = bad ? Status::kBad : Status::kDone;
  return header;
}

// `width` octets: 4 of an IPv4 address, else 16.
void append_address(std::string& out, const net::IpAddress& address, std::size_t width) {
  const auto bytes = address.bytes();
  const std::size_t at = out.size();
  out.append(width, '\0');
  if (address.is_v4() && width == 16) out[at + 10] = out[at + 11] = '\xff';
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    out[at + width - bytes.size() + i] = static_cast<char>(bytes[i]);
  }
}

void append_number(std::string& out, std::size_t value) {
  out.push_back(static_cast<char>(value >> 8 & 0xff));
  out.push_back(static_cast<char>(value & 0xff));
}

bool begins_alike(std::string_view bytes, std::string_view signature) noexcept {
  const std::size_t size = std::min(bytes.size(), signature.size());
  return bytes.substr(0, size) == signature.substr(0, size);
}

}  // namespace

ProxyHeader parse_proxy_header(std::string_view bytes) {
  if (begins_alike(bytes, kV2)) return parse_v2(bytes);
  if (!begins_alike(bytes, kV1)) return {.status = Status::kBad, .size = 0, .source = {}};
  const std::size_t end = bytes.substr(0, kProxyV1Max).find("\r\n");
  if (end != std::string_view::npos && end >= kV1.size()) return read_v1(bytes.substr(0, end));
  // A CRLF within the signature was ruled out above. Without one in its longest form there will be none.
  return {.status = bytes.size() >= kProxyV1Max ? Status::kBad : Status::kIncomplete, .size = 0, .source = {}};
}

std::string make_proxy_header(const net::Endpoint& source, const net::Endpoint& destination) {
  const bool v6 = source.address.is_v6() || destination.address.is_v6();
  const std::size_t width = v6 ? 16 : 4;
  std::string header(kV2);
  header.push_back('\x21');  // Version 2, PROXY.
  header.push_back(v6 ? '\x21' : '\x11');
  append_number(header, 2 * width + 4);
  append_address(header, source.address, width);
  append_address(header, destination.address, width);
  append_number(header, source.port);
  append_number(header, destination.port);
  return header;
}

}  // namespace mailsbuddy::smtp
