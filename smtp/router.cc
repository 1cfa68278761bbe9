#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/base/ascii.h"
#include "smtp/host_walk.h"

namespace mailsbuddy::smtp {
namespace {

constexpr std::size_t kRouteHostsMax = 50;  // Large providers list about 10; the most preferred are kept.

// Per host: preference "/" octets of the name ":" name. The length makes it unambiguous whatever a name holds.
std::string site_key(const std::vector<RouteHost>& hosts) {
  std::string key;
  for (const RouteHost& host : hosts) {
    fmt::format_to(std::back_inserter(key), "{}/{}:{}", host.preference, host.host.size(), host.host);
  }
  return key;
}

RouteAnswer found_hosts(std::vector<RouteHost> hosts) {
  for (RouteHost& host : hosts) host.host = ascii::to_lower(host.host);
  std::ranges::sort(hosts);
  hosts.erase(std::unique(hosts.begin(), hosts.end()), hosts.end());
  if (hosts.size() > kRouteHostsMax) hosts.resize(kRouteHostsMax);
  const std::string& first = hosts.front().host;
  ProviderId provider = first.starts_with('[') ? ProviderId{first} : provider_of(first);
  std::string site = site_key(hosts);
  return {.route = Route{.site = std::move(site), .provider = std::move(provider), .hosts = std::move(hosts)},
          .failure = {}};
}

RouteAnswer no_route(Cause cause, std::string detail) {
  return {.route = {}, .failure = {.stage = Stage::kRoute, .cause = cause, .reply = {}, .detail = std::move(detail)}};
}

// RFC 5321 5.1: without MX records the domain itself is the host, if it has an address.
RouteAnswer implicit_mx(const std::string& domain, const net::DnsAnswer<net::IpAddress>& answer) {
  switch (answer.status) {
    case net::DnsStatus::kOk:
      return found_hosts({{.preference = 0, .host = domain}});
    case net::DnsStatus::kNoData:
    case net::DnsStatus::kNxDomain:
      return no_route(Cause::kNoSuchDomain, domain + " has neither MX nor address");
    case net::DnsStatus::kFailed:
      break;
  }
  return no_route(Cause::kDnsFailure, domain + ": " + answer.detail);
}

// RFC 7505 3: a null MX stands alone. Beside others the root is a mistake that no connection can be made to.
RouteAnswer explicit_mx(const std::string& domain, const std::vector<net::MxRecord>& records) {
  std::vector<RouteHost> hosts;
  for (const net::MxRecord& record : records) {
    if (!record.host.empty()) hosts.push_back({.preference = record.preference, .host = record.host});
  }
  if (hosts.empty()) return no_route(Cause::kNullMx, domain + " takes no mail");
  return found_hosts(std::move(hosts));
}

RouteAnswer literal_route(const std::string& domain) {
  const auto address = parse_address_literal(domain);
  if (!address) return no_route(Cause::kNoSuchDomain, domain + " is no address");
  return found_hosts({{.preference = 0, .host = "[" + address->str() + "]"}});
}

}  // namespace

Router::Router(net::Resolver& resolver) : resolver_(resolver) {}

void Router::route(std::string_view domain, Found found) {
  std::string name = ascii::to_lower(domain);
  if (name.starts_with('[')) {
    // Needs no DNS. But what a resolver says to an address comes from the loop, as our answer must.
    resolver_.addresses("0.0.0.0", [name = std::move(name), found = std::move(found)](const auto&) mutable {
      found(literal_route(name));
    });
    return;
  }
  // The resolver is there while it calls back; this Router need not be.
  resolver_.mx(domain, [&resolver = resolver_, name,
                        found = std::move(found)](const net::DnsAnswer<net::MxRecord>& answer) mutable {
    switch (answer.status) {
      case net::DnsStatus::kOk:
        return found(explicit_mx(name, answer.records));
      case net::DnsStatus::kNxDomain:
        return found(no_route(Cause::kNoSuchDomain, name + " does not exist"));
      case net::DnsStatus::kFailed:
        return found(no_route(Cause::kDnsFailure, name + ": " + answer.detail));
      case net::DnsStatus::kNoData:
        break;
    }
    resolver.addresses(name, [name, found = std::move(found)](const net::DnsAnswer<net::IpAddress>& host) mutable {
      found(implicit_mx(name, host));
    });
  });
}

}  // namespace mailsbuddy::smtp
