#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "core/base/ascii.h"
#include "smtp/host_walk.h"
#include "smtp/login_url.h"

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

// What asks for the same as another shares connections with it: what nobody asks for adds nothing. No host's part
// begins with a "|".
std::string tls_key(const RouteTls& tls) {
  if (tls.source == TlsSource::kDefault) return {};
  std::string key =
      fmt::format("|{}{}{}", static_cast<int>(tls.policy), static_cast<int>(tls.source), tls.dane ? "d" : "");
  for (const std::string& name : tls.names) key += fmt::format(" {}:{}", name.size(), name);
  return key;
}

RouteAnswer found_hosts(std::vector<RouteHost> hosts, std::chrono::seconds ttl) {
  make_canonical(hosts);
  ProviderId provider = provider_of_first(hosts);
  return {.route = Route{.site = {},
                         .provider = std::move(provider),
                         .hosts = std::move(hosts),
                         .tls = {},
                         .relay = {},
                         .ttl = ttl},
          .failure = {},
          .tls = {}};
}

RouteAnswer no_route(Cause cause, std::string detail) {
  return {.route = {},
          .failure = {.stage = Stage::kRoute, .cause = cause, .reply = {}, .detail = std::move(detail)},
          .tls = {}};
}

RouteAnswer literal_route(const std::string& domain) {
  const auto address = parse_address_literal(domain);
  if (!address) return no_route(Cause::kNoSuchDomain, domain + " is no address");
  return found_hosts({{.preference = 0, .host = "[" + address->str() + "]"}}, kRelayTtl);
}

}  // namespace

// ---------------------------------------------------------------------------------------------------------------------
// What the operator said

// place = host [ ":" port ], host = name / IPv4 / "[" IPv6 "]"
Result<Relay> Relay::parse(std::string_view text) {
  const auto bad = [](std::string_view why) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("relay: {}; as in smtp://mail.example.net:25 or smtps://user:password@192.0.2.7", why)};
  };
  const auto url = LoginUrl::parse(text);
  if (!url) return bad(url.error().detail);
  Relay relay{.hosts = {}, .login = {.user = url->user, .password = url->password}};
  relay.implicit_tls = url->scheme == "smtps";
  if (url->scheme == "lmtp") relay.protocol = smtp::Protocol::kLmtp;
  if (!relay.implicit_tls && url->scheme != "smtp" && url->scheme != "lmtp") return bad("neither smtp, smtps nor lmtp");
  if (!url->user.empty()) relay.tls = TlsPolicy::kVerified;
  std::string_view host = url->place;
  const std::size_t colon = host.rfind(':');
  std::uint16_t port = relay.implicit_tls ? 465 : relay.protocol == smtp::Protocol::kLmtp ? 24 : 25;
  if (colon != std::string_view::npos && !host.ends_with(']')) {
    const std::string_view digits = host.substr(colon + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error != std::errc{} || end != digits.data() + digits.size() || port == 0) return bad("its port is none");
    host = host.substr(0, colon);
  }
  if (host.empty() || host.find_first_of("/?# ") != std::string_view::npos) return bad("its host is none");
  relay.hosts.push_back({.preference = 0, .host = std::string(host), .port = port});
  return relay;
}

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
  return fmt::format("{} {} {} {}:{} {}:{} {}:{} {} {} {}", tls, relay.implicit_tls, static_cast<int>(relay.protocol),
                     login.user.size(), login.user, login.password.size(), login.password, login.token.size(),
                     login.token, static_cast<const void*>(login.tokens.get()), login.in_clear, site_key(relay.hosts));
}

Result<Route> relay_route(const RelayRule& rule) {
  const auto bad = [&rule](std::string_view why) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("relay for \"{}\": {}", rule.domain, why)};
  };
  if (rule.domain.empty()) return bad("no domain; \"*\" is all of them");
  if (rule.relay.hosts.empty()) return bad("no host");
  Relay relay = rule.relay;
  // Whoever answers to unverified TLS would have the password.
  if (!relay.tls && !relay.login.user.empty() && !relay.login.in_clear) relay.tls = TlsPolicy::kVerified;
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

Router::Router(net::Resolver& resolver, TlsSources tls) : Router(resolver, tls, std::make_shared<const Table>()) {}
Router::Router(net::Resolver& resolver, TlsSources tls, std::shared_ptr<const Table> table)
    : resolver_(&resolver), tls_(tls), table_(std::move(table)) {}

Result<Router> Router::make(net::Resolver& resolver, RouterOptions options, TlsSources tls) {
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
  return Router(resolver, tls, std::move(table));
}

// ---------------------------------------------------------------------------------------------------------------------
// What is asked of its TLS

namespace {

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

}  // namespace

const TlsOverride* TlsPolicies::find(std::string_view domain) const {
  if (const auto exact = overrides.find(domain); exact != overrides.end()) return &exact->second;
  for (std::size_t dot = domain.find('.'); dot != std::string_view::npos; dot = domain.find('.', dot + 1)) {
    if (const auto above = overrides.find(domain.substr(dot)); above != overrides.end()) return &above->second;
  }
  return nullptr;
}

// ---------------------------------------------------------------------------------------------------------------------
// Questions

// One domain's way to its route. Keeps itself until it is there.
struct Router::Routing : std::enable_shared_from_this<Routing> {
  Routing(const Router& router, std::string_view its_domain, Router::Found its_found)
      : resolver(*router.resolver_),
        table(router.table_),
        sources(router.tls_),
        asked(its_domain),
        domain(ascii::to_lower(its_domain)),
        found(std::move(its_found)) {
    tls.policy = router_policy = sources.policy;
    if (sources.policy == TlsPolicy::kNone || domain.starts_with('[')) sources = {};
    const TlsOverride* operators = sources.policies != nullptr ? sources.policies->find(domain) : nullptr;
    if (operators == nullptr) return;
    tls = {.policy = operators->policy, .source = TlsSource::kOverride, .names = operators->names};
    sources = {};
  }

  void start() {
    const Route* relay = table->relay(domain);
    if (relay != nullptr || domain.starts_with('[')) {
      // Needs no DNS. But what a resolver says to an address comes from the loop, as our answer must.
      return resolver.addresses("0.0.0.0", [self = shared_from_this(), relay](const auto&) {
        relay != nullptr ? self->by_relay(*relay) : self->done(literal_route(self->domain));
      });
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
        return done(table->by_mx(domain, answer));
      case net::DnsStatus::kNxDomain:
        return done(no_route(Cause::kNoSuchDomain, domain + " does not exist"));
      case net::DnsStatus::kFailed:
        return done(no_route(Cause::kDnsFailure, domain + ": " + answer.detail));
      case net::DnsStatus::kNoData:
        break;
    }
    resolver.addresses(domain,
                       [self = shared_from_this(), ttl = answer.ttl](const net::DnsAnswer<net::IpAddress>& host) {
                         self->done(self->table->implicit_mx(self->domain, host, ttl));
                       });
  }

  // What a domain publishes is about its MX hosts, and so is what an operator says of the domain.
  void by_relay(Route route) {
    route.tls.policy = route.relay->tls.value_or(router_policy);
    if (route.relay->tls) route.tls.source = TlsSource::kOverride;
    found({.route = std::move(route), .failure = {}, .tls = {}});
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
  std::shared_ptr<const Table> table;
  TlsSources sources;
  TlsPolicy router_policy;
  const std::string asked;
  const std::string domain;  // In lower case.
  Router::Found found;
  RouteTls tls;
};

// The resolvers are there while they call back; this Router need not be.
void Router::route(std::string_view domain, Found found) {
  std::make_shared<Routing>(*this, domain, std::move(found))->start();
}

}  // namespace mailsbuddy::smtp
