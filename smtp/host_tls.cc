// host_tls.cc - RFC 7672 2.1 and 2.2: are the addresses secure? Are there TLSA records, at the name that the host's
// CNAMEs lead to or else at its own? What cannot be known is never taken for a no.
#include "smtp/host_tls.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "smtp/host_walk.h"

namespace mailsbuddy::smtp {
namespace {

using net::DnsSecurity;
using net::DnsStatus;

HostTls by_policy(const RouteTls& route, std::string_view host) {
  HostTls tls{.policy = route.policy};
  const auto literal = parse_address_literal(host);
  if (!host.starts_with('[')) tls.options.server_name = host;  // SNI is for names (RFC 6066 3).
  if (route.policy != TlsPolicy::kVerified) return tls;
  tls.options.verify = net::TlsVerify::kWebPki;
  tls.options.names = route.names;
  if (literal && route.names.empty()) tls.options.names = {literal->str()};  // Certificates have addresses, too.
  return tls;
}

HostTls by_records(const RouteTls& route, std::string_view host, const std::string& base,
                   const std::vector<net::TlsaRecord>& records) {
  HostTls tls{.policy = TlsPolicy::kVerified, .dane = true};
  tls.options.server_name = base;  // RFC 7672 3.2.1, 8: the TLSA base domain.
  tls.options.verify = net::TlsVerify::kDane;
  tls.options.names = {base};
  if (base != host) tls.options.names.emplace_back(host);
  std::ranges::copy_if(records, std::back_inserter(tls.options.tlsa), &net::TlsaRecord::usable);
  if (!tls.options.tlsa.empty()) return tls;
  // RFC 7672 2.2: TLS is a must, and nothing says what it should be verified by. Unless the route does.
  HostTls encrypted = by_policy(route, host);
  encrypted.policy = std::max(encrypted.policy, TlsPolicy::kRequired);
  encrypted.dane = true;
  return encrypted;
}

HostTls unusable(const std::string& host, std::string what, const std::string& detail, bool bogus) {
  HostTls tls{.dane = true};
  tls.unusable = TlsResult{.mx_host = host,
                           .dane = true,
                           .trouble = bogus ? TlsResult::Trouble::kDnssec : TlsResult::Trouble::kTlsa,
                           .detail = fmt::format("{}: {}", what, detail)};
  return tls;
}

// One host's look-up.
struct LookUp : std::enable_shared_from_this<LookUp> {
  LookUp(RouteTls its_route, std::string its_host, std::uint16_t its_port, net::SecureResolver& its_secure,
         UniqueFunction<void(HostTls)> its_found)
      : route(std::move(its_route)),
        host(std::move(its_host)),
        port(its_port),
        secure(its_secure),
        found(std::move(its_found)) {}

  void start() {
    secure.addresses(host, [self = shared_from_this()](const net::SecureAnswer<net::IpAddress>& answer) {
      self->on_addresses(answer);
    });
  }

  // True: there is no answer to be trusted about `name`, and that is found.
  template <class Record>
  bool failed(const std::string& name, const net::SecureAnswer<Record>& answer) {
    const bool bogus = answer.security == DnsSecurity::kBogus;
    if (!bogus && answer.answer.status != DnsStatus::kFailed) return false;
    found(unusable(host, name, answer.answer.detail, bogus));
    return true;
  }

  void on_addresses(const net::SecureAnswer<net::IpAddress>& answer) {
    if (failed(host, answer)) return;
    const bool alias = answer.owner != host && !answer.owner.empty();
    if (answer.security == DnsSecurity::kInsecure) return alias ? ask_alias() : found(by_policy(route, host));
    // It is proved that the host has no address: where the address came from that is about to be called, nobody knows.
    if (answer.answer.status != DnsStatus::kOk)
      return found(unusable(host, host, "no address, as DNSSEC proves", true));
    if (alias) bases.push_back(answer.owner);
    bases.push_back(host);
    next_base();
  }

  // RFC 7672 2.1.2: zones that are not signed are not asked for TLSA records, since some of their servers never answer
  // that. But an alias may be signed whose target is not: then its own name has them, if any has (2.2.2).
  void ask_alias() {
    secure.cname(host,
                 [self = shared_from_this()](const net::SecureAnswer<std::string>& answer) { self->on_alias(answer); });
  }

  void on_alias(const net::SecureAnswer<std::string>& answer) {
    if (failed(host, answer)) return;
    if (answer.security == DnsSecurity::kInsecure) return found(by_policy(route, host));
    // It is proved that the host is no alias. It was one a moment ago: what it is, the next look-up says.
    if (answer.answer.status != DnsStatus::kOk) return found(unusable(host, host, "an alias no longer", false));
    bases.push_back(host);
    next_base();
  }

  void next_base() {
    const std::string name = fmt::format("_{}._tcp.{}", port, bases.front());
    secure.tlsa(name, [self = shared_from_this(), name](const net::SecureAnswer<net::TlsaRecord>& answer) {
      self->on_tlsa(name, answer);
    });
  }

  void on_tlsa(const std::string& name, const net::SecureAnswer<net::TlsaRecord>& answer) {
    if (failed(name, answer)) return;
    if (answer.security == DnsSecurity::kSecure && answer.answer.status == DnsStatus::kOk)
      return found(by_records(route, host, bases.front(), answer.answer.records));
    bases.erase(bases.begin());
    if (bases.empty()) return found(by_policy(route, host));
    next_base();
  }

  const RouteTls route;
  const std::string host;
  const std::uint16_t port;
  net::SecureResolver& secure;
  UniqueFunction<void(HostTls)> found;
  std::vector<std::string> bases;  // The TLSA base domains that are left (RFC 7672 2.1.3).
};

}  // namespace

void find_host_tls(const RouteTls& route, std::string_view host, std::uint16_t port, net::SecureResolver* secure,
                   UniqueFunction<void(HostTls)> found) {
  if (!route.dane || secure == nullptr || host.starts_with('[')) return found(by_policy(route, host));
  std::make_shared<LookUp>(route, std::string(host), port, *secure, std::move(found))->start();
}

}  // namespace mailsbuddy::smtp
