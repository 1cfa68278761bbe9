#include <fmt/format.h>

#include <algorithm>
#include <memory>
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

// What asks for the same as another shares connections with it: what nobody asks for adds nothing. No host's part
// begins with a "|".
std::string tls_key(const RouteTls& tls) {
  if (tls.source == TlsSource::kDefault) return {};
  std::string key =
      fmt::format("|{}{}{}", static_cast<int>(tls.policy), static_cast<int>(tls.source), tls.dane ? "d" : "");
  for (const std::string& name : tls.names) key += fmt::format(" {}:{}", name.size(), name);
  return key;
}

RouteAnswer found_hosts(std::vector<RouteHost> hosts) {
  for (RouteHost& host : hosts) host.host = ascii::to_lower(host.host);
  std::ranges::sort(hosts);
  hosts.erase(std::unique(hosts.begin(), hosts.end()), hosts.end());
  if (hosts.size() > kRouteHostsMax) hosts.resize(kRouteHostsMax);
  const std::string& first = hosts.front().host;
  ProviderId provider = first.starts_with('[') ? ProviderId{first} : provider_of(first);
  return {.route = Route{.site = {}, .provider = std::move(provider), .hosts = std::move(hosts)}, .failure = {}};
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

// ---------------------------------------------------------------------------------------------------------------------
// What is asked of its TLS

// The route with what its domain's MTA-STS policy asks (RFC 8461 5).
RouteAnswer with_sts(const std::string& domain, RouteAnswer answer, const StsFinder::Found& sts) {
  Route& route = *answer.route;
  route.tls.sts = sts.policy;
  route.tls.sts_failure = sts.failure;
  if (sts.policy == nullptr || sts.policy->mode != StsMode::kEnforce) return answer;
  std::erase_if(route.hosts, [&](const RouteHost& host) { return !sts.policy->matches(host.host); });
  if (route.hosts.empty()) {
    const RouteTls tls = route.tls;
    answer = no_route(Cause::kTlsFailed, "no MX host of " + domain + " is in its MTA-STS policy");
    answer.tls = tls;
    return answer;
  }
  if (route.hosts.front().host.starts_with('[')) return answer;
  route.provider = provider_of(route.hosts.front().host);
  // DANE goes before MTA-STS (RFC 8461 2), host by host: `policy` is for those that have no TLSA records.
  if (!route.tls.dane) route.tls.source = TlsSource::kSts;
  route.tls.policy = TlsPolicy::kVerified;
  return answer;
}

// One domain's way to its route. Keeps itself until it is there.
struct Routing : std::enable_shared_from_this<Routing> {
  Routing(net::Resolver& its_resolver, const TlsSources& its_sources, std::string_view its_domain,
          Router::Found its_found)
      : resolver(its_resolver),
        sources(its_sources),
        asked(its_domain),
        domain(ascii::to_lower(its_domain)),
        found(std::move(its_found)) {
    tls.policy = sources.policy;
    if (sources.policy == TlsPolicy::kNone || domain.starts_with('[')) sources = {};
    const TlsOverride* operators = sources.policies != nullptr ? sources.policies->find(domain) : nullptr;
    if (operators == nullptr) return;
    tls = {.policy = operators->policy, .source = TlsSource::kOverride, .names = operators->names};
    sources = {};
  }

  void start() {
    if (domain.starts_with('[')) {
      // Needs no DNS. But what a resolver says to an address comes from the loop, as our answer must.
      return resolver.addresses("0.0.0.0",
                                [self = shared_from_this()](const auto&) { self->done(literal_route(self->domain)); });
    }
    if (sources.secure == nullptr) {
      return resolver.mx(asked, [self = shared_from_this()](const auto& answer) { self->on_mx(answer); });
    }
    sources.secure->mx(asked, [self = shared_from_this()](const net::SecureAnswer<net::MxRecord>& answer) {
      // RFC 7672 2.2.1: secure MX records, or a secure proof that there are none and the domain stands for itself.
      self->tls.dane = answer.security == net::DnsSecurity::kSecure;
      if (self->tls.dane) self->tls.source = TlsSource::kDane;
      self->on_mx(answer.answer);
    });
  }

  void on_mx(const net::DnsAnswer<net::MxRecord>& answer) {
    switch (answer.status) {
      case net::DnsStatus::kOk:
        return done(explicit_mx(domain, answer.records));
      case net::DnsStatus::kNxDomain:
        return done(no_route(Cause::kNoSuchDomain, domain + " does not exist"));
      case net::DnsStatus::kFailed:
        return done(no_route(Cause::kDnsFailure, domain + ": " + answer.detail));
      case net::DnsStatus::kNoData:
        break;
    }
    resolver.addresses(domain, [self = shared_from_this()](const net::DnsAnswer<net::IpAddress>& host) {
      self->done(implicit_mx(self->domain, host));
    });
  }

  void done(RouteAnswer answer) {
    if (!answer.route) return found(answer);
    answer.route->tls = tls;
    if (sources.sts == nullptr) return keyed(std::move(answer));
    sources.sts->find(domain,
                      [self = shared_from_this(), answer = std::move(answer)](const StsFinder::Found& sts) mutable {
                        self->keyed(with_sts(self->domain, std::move(answer), sts));
                      });
  }

  void keyed(RouteAnswer answer) {
    if (answer.route) answer.route->site = site_key(answer.route->hosts) + tls_key(answer.route->tls);
    found(answer);
  }

  net::Resolver& resolver;
  TlsSources sources;
  const std::string asked;
  const std::string domain;  // In lower case.
  Router::Found found;
  RouteTls tls;
};

}  // namespace

const TlsOverride* TlsPolicies::find(std::string_view domain) const {
  if (const auto exact = overrides.find(domain); exact != overrides.end()) return &exact->second;
  for (std::size_t dot = domain.find('.'); dot != std::string_view::npos; dot = domain.find('.', dot + 1)) {
    if (const auto above = overrides.find(domain.substr(dot)); above != overrides.end()) return &above->second;
  }
  return nullptr;
}

Router::Router(net::Resolver& resolver, TlsSources tls) : resolver_(resolver), tls_(tls) {}

// The resolvers are there while they call back; this Router need not be.
void Router::route(std::string_view domain, Found found) {
  std::make_shared<Routing>(resolver_, tls_, domain, std::move(found))->start();
}

}  // namespace mailsbuddy::smtp
