#include <algorithm>
#include <array>
#include <iterator>
#include <vector>

#include "mailsbuddy/smtp.h"
#include "smtp/ip_range.h"

namespace mailsbuddy::smtp {
namespace {

// IANA's special-purpose registries (RFC 6890), what they say of the ranges that no Internet host has; with multicast
// (RFC 5771, RFC 4291 2.7), and the forms in which an IPv6 address stands for an IPv4 one: behind a translator that is
// on the way such an address is one of the first table, or any other.
constexpr std::array kProhibited = {
    std::string_view("0.0.0.0/8"),        // "This network" (RFC 791); Linux takes 0.0.0.0 for 127.0.0.1.
    std::string_view("10.0.0.0/8"),       // RFC 1918
    std::string_view("100.64.0.0/10"),    // Shared, CGNAT (RFC 6598)
    std::string_view("127.0.0.0/8"),      // Loopback
    std::string_view("169.254.0.0/16"),   // Link-local (RFC 3927), with the clouds' metadata services
    std::string_view("172.16.0.0/12"),    // RFC 1918
    std::string_view("192.0.0.0/24"),     // IETF protocol assignments (RFC 6890 2.1)
    std::string_view("192.88.99.0/24"),   // 6to4 relays (RFC 7526)
    std::string_view("192.168.0.0/16"),   // RFC 1918
    std::string_view("198.18.0.0/15"),    // Benchmarking (RFC 2544)
    std::string_view("224.0.0.0/4"),      // Multicast
    std::string_view("240.0.0.0/4"),      // Reserved (RFC 1112 4), with 255.255.255.255
    std::string_view("::/96"),            // Unspecified, loopback, IPv4-compatible (RFC 4291 2.5.5.1)
    std::string_view("::ffff:0:0:0/96"),  // IPv4-translated (RFC 2765)
    std::string_view("64:ff9b::/96"),     // NAT64 (RFC 6052)
    std::string_view("64:ff9b:1::/48"),   // NAT64, local (RFC 8215)
    std::string_view("100::/64"),         // Discard (RFC 6666)
    std::string_view("2001::/23"),        // IETF protocol assignments: Teredo (RFC 4380), ORCHID
    std::string_view("2002::/16"),        // 6to4 (RFC 3056)
    std::string_view("fc00::/7"),         // Unique local (RFC 4193)
    std::string_view("fe80::/10"),        // Link-local
    std::string_view("fec0::/10"),        // Site-local, deprecated (RFC 3879)
    std::string_view("ff00::/8"),         // Multicast
};

const std::vector<IpRange>& prohibited_ranges() {
  static const std::vector<IpRange> ranges = [] {
    std::vector<IpRange> parsed;
    for (const std::string_view each : kProhibited) parsed.push_back(IpRange::parse(each).value());
    return parsed;
  }();
  return ranges;
}

bool is_loopback(const net::IpAddress& address) noexcept {
  static const std::array loopback = {IpRange::parse("127.0.0.0/8").value(), IpRange::parse("::1").value()};
  return contains(loopback, address);
}

// ::ffff:192.0.2.1 in a AAAA record is nobody's address: it is the socket interface's word for an IPv4 one.
bool is_mapped(const net::IpAddress& address) noexcept { return address.is_v6() && unmapped(address).is_v4(); }

}  // namespace

struct TargetRules::State {
  std::vector<IpRange> allowed;
  std::vector<net::IpAddress> own;
};

Result<TargetRules> TargetRules::make(const Options& options) {
  auto state = std::make_shared<State>();
  for (const std::string& text : options.allowed) {
    auto range = IpRange::parse(text);
    if (!range) return Error{range.error().code, "allowed targets: " + range.error().detail};
    state->allowed.push_back(*range);
  }
  std::ranges::copy_if(options.own, std::back_inserter(state->own),
                       [](const net::IpAddress& each) { return !each.unspecified() && !is_loopback(each); });
  TargetRules rules;
  rules.state_ = std::move(state);
  return rules;
}

bool TargetRules::prohibits(const net::IpAddress& address) const noexcept {
  if (state_ != nullptr && contains(state_->allowed, address)) return false;
  return address.unspecified() || is_mapped(address) || contains(prohibited_ranges(), address);
}

bool TargetRules::ours(const net::IpAddress& address) const noexcept {
  return any_ours() && std::ranges::find(state_->own, unmapped(address)) != state_->own.end();
}

bool TargetRules::any_ours() const noexcept { return state_ != nullptr && !state_->own.empty(); }

}  // namespace mailsbuddy::smtp
