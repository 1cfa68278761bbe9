#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "core/base/ascii.h"
#include "smtp/host_walk.h"

namespace mailsbuddy::smtp {
namespace {

constexpr std::size_t kRouteHostsMax = 50;  // Large providers list about 10; the most preferred are kept.
constexpr std::chrono::seconds kRelayTtl = std::chrono::hours(24);  // It changes with the configuration alone.

// Per host: preference "/" octets of the name ":" name, and with a port of its own "@" port ";". The length makes it
// unambiguous whatever a name holds.
std::string site_key(const std::vector<RouteHost>& hosts) {
  std::string key;
  const auto out = std::back_inserter(key);
  for (const RouteHost& host : hosts) {
    fmt::format_to(out, "{}/{}:{}", host.preference, host.host.size(), host.host);
    if (host.port != 0) fmt::format_to(out, "@{};", host.port);
  }
  return key;
}

ProviderId provider_of_first(const std::vector<RouteHost>& hosts) {
  const std::string& first = hosts.front().host;
  return first.starts_with('[') ? ProviderId{first} : provider_of(first);
}

// Lower case, sorted, each once; of an address its literal.
void make_canonical(std::vector<RouteHost>& hosts) {
  for (RouteHost& host : hosts) host.host = ascii::to_lower(host.host);
  std::ranges::sort(hosts);
  hosts.erase(std::unique(hosts.begin(), hosts.end()), hosts.end());
  if (hosts.size() > kRouteHostsMax) hosts.resize(kRouteHostsMax);
}

RouteAnswer found_hosts(std::vector<RouteHost> hosts, std::chrono::seconds ttl) {
  make_canonical(hosts);
  ProviderId provider = provider_of_first(hosts);
  std::string site = site_key(hosts);
  return {.route = Route{.site = std::move(site),
                         .provider = std::move(provider),
                         .hosts = std::move(hosts),
                         .relay = {},
                         .ttl = ttl},
          .failure = {}};
}

RouteAnswer no_route(Cause cause, std::string detail) {
  return {.route = {}, .failure = {.stage = Stage::kRoute, .cause = cause, .reply = {}, .detail = std::move(detail)}};
}

RouteAnswer literal_route(const std::string& domain) {
  const auto address = parse_address_literal(domain);
  if (!address) return no_route(Cause::kNoSuchDomain, domain + " is no address");
  return found_hosts({{.preference = 0, .host = "[" + address->str() + "]"}}, kRelayTtl);
}

}  // namespace

// ---------------------------------------------------------------------------------------------------------------------
// What the operator said

struct Router::Table {
  std::map<std::string, std::shared_ptr<const Route>, std::less<>> relays;  // By RelayRule::domain.
  std::set<std::string, std::less<>> own_names;

  const Route* relay(std::string_view domain) const;
  void drop_ourselves(std::vector<RouteHost>& hosts) const;
  RouteAnswer by_mx(const std::string& domain, const net::DnsAnswer<net::MxRecord>& answer) const;
  RouteAnswer implicit_mx(const std::string& domain, const net::DnsAnswer<net::IpAddress>& answer,
                          std::chrono::seconds ttl) const;
};

namespace {

// What makes one relay differ from another, its secrets too: not to be kept.
std::string identity_of(const Relay& relay) {
  const int tls = relay.tls ? static_cast<int>(*relay.tls) : -1;
  const Login& login = relay.login;
  return fmt::format("{} {} {} {}:{} {}:{} {}:{} {} {}", tls, relay.implicit_tls, static_cast<int>(relay.protocol),
                     login.user.size(), login.user, login.password.size(), login.password, login.token.size(),
                     login.token, login.in_clear, site_key(relay.hosts));
}

Result<Route> relay_route(const RelayRule& rule) {
  const auto bad = [&rule](std::string_view why) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("relay for \"{}\": {}", rule.domain, why)};
  };
  if (rule.domain.empty()) return bad("no domain; \"*\" is all of them");
  if (rule.relay.hosts.empty()) return bad("no host");
  Relay relay = rule.relay;
  for (RouteHost& host : relay.hosts) {
    if (host.host.empty()) return bad("a host without a name");
    if (const auto address = net::IpAddress::parse(host.host)) host.host = "[" + address->str() + "]";
    if (host.host.starts_with('[') && !parse_address_literal(host.host)) return bad(host.host + " is no address");
  }
  make_canonical(relay.hosts);
  if (relay.implicit_tls && relay.tls == TlsPolicy::kNone) return bad("implicit TLS, and none at all");
  const bool on_port_25 =
      std::ranges::any_of(relay.hosts, [](const RouteHost& each) { return each.port == 0 || each.port == 25; });
  if (relay.protocol == Protocol::kLmtp && on_port_25) return bad("LMTP on port 25 (RFC 2033 5)");
  Route route{
      .site = {}, .provider = provider_of_first(relay.hosts), .hosts = relay.hosts, .relay = {}, .ttl = kRelayTtl};
  route.relay = std::make_shared<const Relay>(std::move(relay));
  return route;
}

}  // namespace

// The domain itself, then ".parent" after ".parent", then "*".
const Route* Router::Table::relay(std::string_view domain) const {
  if (relays.empty()) return nullptr;
  auto found = relays.find(domain);
  const bool literal = domain.starts_with('[');
  for (std::size_t dot = literal ? std::string_view::npos : domain.find('.');
       found == relays.end() && dot != std::string_view::npos; dot = domain.find('.', dot + 1)) {
    found = relays.find(domain.substr(dot));
  }
  if (found == relays.end()) found = relays.find("*");
  return found == relays.end() ? nullptr : found->second.get();
}

// RFC 5321 5.1: "MUST discard [...] all MX records" of our preference and worse. `hosts` need not be sorted.
void Router::Table::drop_ourselves(std::vector<RouteHost>& hosts) const {
  std::optional<std::uint16_t> ours;
  for (const RouteHost& host : hosts) {
    if (own_names.contains(ascii::to_lower(host.host)))
      ours = std::min(ours.value_or(host.preference), host.preference);
  }
  if (ours) std::erase_if(hosts, [&](const RouteHost& host) { return host.preference >= *ours; });
}

// RFC 7505 3: a null MX stands alone. Beside others the root is a mistake that no connection can be made to.
RouteAnswer Router::Table::by_mx(const std::string& domain, const net::DnsAnswer<net::MxRecord>& answer) const {
  std::vector<RouteHost> hosts;
  for (const net::MxRecord& record : answer.records) {
    if (!record.host.empty()) hosts.push_back({.preference = record.preference, .host = record.host});
  }
  if (hosts.empty()) return no_route(Cause::kNullMx, domain + " takes no mail");
  const std::string best = std::ranges::min_element(hosts)->host;
  drop_ourselves(hosts);
  if (hosts.empty()) return no_route(Cause::kMailLoop, fmt::format("the best MX of {} is ourselves, {}", domain, best));
  return found_hosts(std::move(hosts), answer.ttl);
}

// RFC 5321 5.1: without MX records the domain itself is the host, if it has an address.
RouteAnswer Router::Table::implicit_mx(const std::string& domain, const net::DnsAnswer<net::IpAddress>& answer,
                                       std::chrono::seconds ttl) const {
  switch (answer.status) {
    case net::DnsStatus::kOk:
      if (own_names.contains(domain)) return no_route(Cause::kMailLoop, domain + " is ourselves, and has no MX");
      return found_hosts({{.preference = 0, .host = domain}}, std::min(ttl, answer.ttl));
    case net::DnsStatus::kNoData:
    case net::DnsStatus::kNxDomain:
      return no_route(Cause::kNoSuchDomain, domain + " has neither MX nor address");
    case net::DnsStatus::kFailed:
      break;
  }
  return no_route(Cause::kDnsFailure, domain + ": " + answer.detail);
}

Router::Router(net::Resolver& resolver) : Router(resolver, std::make_shared<const Table>()) {}
Router::Router(net::Resolver& resolver, std::shared_ptr<const Table> table)
    : resolver_(&resolver), table_(std::move(table)) {}

Result<Router> Router::make(net::Resolver& resolver, RouterOptions options) {
  auto table = std::make_shared<Table>();
  // Relays with the same hosts and the same ways are one site, whichever rules they stand in. No site of MX hosts has
  // such a name.
  std::map<std::string, std::size_t> sites;
  for (const RelayRule& rule : options.relays) {
    auto route = relay_route(rule);
    if (!route) return route.error();
    route->site = fmt::format("relay {}", sites.emplace(identity_of(*route->relay), sites.size()).first->second);
    const auto [place, added] =
        table->relays.emplace(ascii::to_lower(rule.domain), std::make_shared<const Route>(*std::move(route)));
    if (!added) return Error{ErrorCode::kInvalidArgument, fmt::format("two relays for \"{}\"", rule.domain)};
  }
  for (const std::string& name : options.own_names) table->own_names.insert(ascii::to_lower(name));
  return Router(resolver, std::move(table));
}

// ---------------------------------------------------------------------------------------------------------------------
// Questions

void Router::route(std::string_view domain, Found found) {
  std::string name = ascii::to_lower(domain);
  const Route* relay = table_->relay(name);
  if (relay != nullptr || name.starts_with('[')) {
    // Needs no DNS. But what a resolver says to an address comes from the loop, as our answer must.
    resolver_->addresses(
        "0.0.0.0", [name = std::move(name), relay, table = table_, found = std::move(found)](const auto&) mutable {
          found(relay != nullptr ? RouteAnswer{.route = *relay, .failure = {}} : literal_route(name));
        });
    return;
  }
  // The resolver is there while it calls back; this Router need not be.
  resolver_->mx(domain, [&resolver = *resolver_, name, table = table_,
                         found = std::move(found)](const net::DnsAnswer<net::MxRecord>& answer) mutable {
    switch (answer.status) {
      case net::DnsStatus::kOk:
        return found(table->by_mx(name, answer));
      case net::DnsStatus::kNxDomain:
        return found(no_route(Cause::kNoSuchDomain, name + " does not exist"));
      case net::DnsStatus::kFailed:
        return found(no_route(Cause::kDnsFailure, name + ": " + answer.detail));
      case net::DnsStatus::kNoData:
        break;
    }
    resolver.addresses(
        name, [name, table, ttl = answer.ttl, found = std::move(found)](
                  const net::DnsAnswer<net::IpAddress>& host) mutable { found(table->implicit_mx(name, host, ttl)); });
  });
}

}  // namespace mailsbuddy::smtp
