#include <algorithm>
#include <array>
#include <iterator>
#include <vector>

#include "mailsbuddy/smtp.h"
#include "smtp/ip_range.h"

namespace mailsbuddy::smtp {
namespace {

template <std::size_t kSize>
std::vector<IpRange> parse_ranges(const std::string_view (&texts)[kSize]) {
  std::vector<IpRange> ranges;
  for (const std::string_view each : texts) ranges.push_back(IpRange::parse(each).value());
  return ranges;
}

// Nobody is there (RFC 5737, RFC 3849, RFC 9637): to refuse these protects no one, and would break everybody's tests.
bool for_documentation(const net::IpAddress& address) noexcept {
  static const auto ranges =
      parse_ranges({"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20"});
  return contains(ranges, address);
}

// Where such a one leads is decided by a translator on the way: NAT64 (RFC 6052), 6to4 (RFC 3056). ::ffff:192.0.2.1 in
// a AAAA record is nobody's address: it is the socket interface's word for an IPv4 one.
bool stands_for_ipv4(const net::IpAddress& address) noexcept {
  static const auto ranges = parse_ranges({"64:ff9b::/96", "2002::/16"});
  return address.is_v6() && (unmapped(address).is_v4() || contains(ranges, address));
}

bool is_loopback(const net::IpAddress& address) noexcept {
  static const std::array loopback = {IpRange::parse("127.0.0.0/8").value(), IpRange::parse("::1").value()};
  return contains(loopback, address);
}

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
  return stands_for_ipv4(address) || (!net::is_public(address) && !for_documentation(address));
}

bool TargetRules::ours(const net::IpAddress& address) const noexcept {
  return any_ours() && std::ranges::find(state_->own, unmapped(address)) != state_->own.end();
}

bool TargetRules::any_ours() const noexcept { return state_ != nullptr && !state_->own.empty(); }

}  // namespace mailsbuddy::smtp
