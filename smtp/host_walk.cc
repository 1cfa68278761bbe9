#include "smtp/host_walk.h"

#include <algorithm>
#include <utility>

#include "core/base/ascii.h"

namespace mailsbuddy::smtp {
namespace {

// What an outcome says about the site, least first: that a name is missing, that DNS fails, that a host cannot be
// reached, that it broke off, that it refused in words.
int rank(const Outcome& outcome) noexcept {
  if (outcome.cause == Cause::kNoSuchDomain) return 0;
  if (outcome.stage == Stage::kRoute) return 1;
  if (outcome.stage == Stage::kConnect) return 2;
  return outcome.cause == Cause::kReply ? 4 : 3;
}

void shuffle_equals(std::vector<RouteHost>& hosts, Random& random) {
  std::ranges::stable_sort(hosts, {}, &RouteHost::preference);
  for (std::size_t first = 0, i = 0; i < hosts.size(); ++i) {
    if (hosts[i].preference != hosts[first].preference) first = i;
    std::swap(hosts[i], hosts[first + random.below(i - first + 1)]);  // Fisher-Yates, inside out.
  }
}

}  // namespace

std::optional<net::IpAddress> parse_address_literal(std::string_view host) {
  if (host.size() < 2 || host.front() != '[' || host.back() != ']') return std::nullopt;
  host = host.substr(1, host.size() - 2);
  const bool tagged = ascii::istarts_with(host, "IPv6:");
  auto address = net::IpAddress::parse(tagged ? host.substr(5) : host);
  if (!address || (tagged && !address->is_v6())) return std::nullopt;
  return *address;
}

HostWalk::HostWalk(net::Resolver& resolver, const net::IpAddress& local, std::vector<RouteHost> hosts, int tries_max,
                   Random& random)
    : resolver_(resolver), local_(local), hosts_(std::move(hosts)), tries_left_(tries_max) {
  shuffle_equals(hosts_, random);
}

void HostWalk::next(Found found) {
  while (addresses_.empty() || tries_left_ <= 0) {
    if (tries_left_ <= 0 || next_host_ == hosts_.size()) return found(std::nullopt);
    const std::string& host = hosts_[next_host_++].host;
    if (const auto literal = parse_address_literal(host)) {
      found_addresses({.status = net::DnsStatus::kOk, .records = {*literal}, .ttl = {}, .detail = {}});
      continue;
    }
    resolver_.addresses(host, [this, alive = std::weak_ptr(alive_),
                               found = std::move(found)](const net::DnsAnswer<net::IpAddress>& answer) mutable {
      if (alive.expired()) return;
      found_addresses(answer);
      next(std::move(found));
    });
    return;
  }
  --tries_left_;
  Target target{.host = hosts_[next_host_ - 1].host, .address = addresses_.back()};
  addresses_.pop_back();
  found(std::move(target));
}

void HostWalk::found_addresses(const net::DnsAnswer<net::IpAddress>& answer) {
  const std::string& host = hosts_[next_host_ - 1].host;
  switch (answer.status) {
    case net::DnsStatus::kFailed:
      return failed({Stage::kRoute, Cause::kDnsFailure, {}, host + ": " + answer.detail});
    case net::DnsStatus::kNoData:
    case net::DnsStatus::kNxDomain:
      return failed({Stage::kRoute, Cause::kNoSuchDomain, {}, host + " has no address"});
    case net::DnsStatus::kOk:
      break;
  }
  std::ranges::copy_if(answer.records, std::back_inserter(addresses_), [this](const net::IpAddress& address) {
    return local_.unspecified() || local_.is_v4() == address.is_v4();
  });
  std::ranges::reverse(addresses_);
  if (!addresses_.empty()) return;
  failed({Stage::kConnect,
          Cause::kConnectFailed,
          {},
          host + (local_.is_v4() ? " has no IPv4 address" : " has no IPv6 address")});
}

void HostWalk::failed(Outcome outcome) {
  const int its_rank = rank(outcome);
  if (its_rank < failure_rank_) return;
  failure_rank_ = its_rank;
  failure_ = std::move(outcome);
}

}  // namespace mailsbuddy::smtp
