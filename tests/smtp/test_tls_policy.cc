// What is asked of a host's TLS: the domain's policy in its route, the host's TLSA records, and what a pool does with
// both.
#include <boost/test/unit_test.hpp>
#include <optional>
#include <set>

#include "smtp/host_tls.h"
#include "tests/smtp/client_words.h"
#include "tests/smtp/fakes.h"

using namespace mailsbuddy;
using namespace mailsbuddy::test;
using namespace std::chrono_literals;
using net::DnsSecurity;
using smtp::TlsPolicy;
using smtp::TlsResult;
using Secure = FakeSecureResolver;

namespace {

const std::string kDigest(64, 'a');

net::TlsaRecord tlsa(std::string_view numbers = "3 1 1") {
  return net::TlsaRecord::parse(std::string(numbers) + " " + kDigest).value();
}

std::string_view to_string(TlsPolicy policy) {
  static constexpr std::string_view kNames[] = {"none", "opportunistic", "required", "verified"};
  return kNames[static_cast<int>(policy)];
}

// A router with everything around it. example.net is at mx.example.net, and nothing is signed.
struct Routed {
  FakeLoop loop;
  FakeResolver dns{loop};
  FakeSecureResolver secure{loop};
  FakeHttps https{loop};
  smtp::StsFinder sts{loop, dns, https};
  smtp::TlsPolicies policies;
  TlsPolicy base = TlsPolicy::kOpportunistic;

  Routed() { mx("example.net", {{10, "mx.example.net"}}); }
  void mx(const std::string& domain, std::vector<net::MxRecord> hosts, DnsSecurity security = DnsSecurity::kInsecure) {
    dns.mxs[domain] = {.status = net::DnsStatus::kOk, .records = hosts};
    secure.mxs[domain] = Secure::is(hosts, security);
  }
  void policy(const std::string& domain, std::string_view mode, std::string_view host) {
    dns.texts["_mta-sts." + domain] = {.status = net::DnsStatus::kOk, .records = {"v=STSv1; id=1"}};
    https.pages["mta-sts." + domain] =
        policy_page("version: STSv1\nmode: " + std::string(mode) + "\nmx: " + std::string(host) + "\nmax_age: 86400\n");
  }
  smtp::RouteAnswer route(std::string_view domain) {
    std::vector<smtp::RouteAnswer> answers;
    smtp::Router router(dns, {.policy = base, .policies = &policies, .secure = &secure, .sts = &sts});
    router.route(domain, [&](const smtp::RouteAnswer& answer) { answers.push_back(answer); });
    BOOST_TEST(answers.empty());
    loop.run();
    BOOST_REQUIRE(answers.size() == 1U);
    return answers.front();
  }
  // "verified sts: mx.example.net", or why there is no route.
  std::string about(std::string_view domain) {
    const smtp::RouteAnswer answer = route(domain);
    if (!answer.route) return words(answer.failure);
    std::string text =
        std::string(to_string(answer.route->tls.policy)) + " " + std::string(to_string(answer.route->tls.source)) + ":";
    for (const smtp::RouteHost& host : answer.route->hosts) text += " " + host.host;
    return text;
  }
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(no_policy, Routed) {
  BOOST_TEST(about("example.net") == "opportunistic default: mx.example.net");
  base = TlsPolicy::kVerified;
  BOOST_TEST(about("example.net") == "verified default: mx.example.net");
}

BOOST_FIXTURE_TEST_CASE(sts_enforced_leaves_the_hosts_that_fit, Routed) {
  mx("example.net", {{10, "mx.example.net"}, {20, "mx.evil.example"}});
  policy("example.net", "enforce", "mx.example.net");
  BOOST_TEST(about("example.net") == "verified sts: mx.example.net");
  policy("example.org", "enforce", "mx.example.org");
  mx("example.org", {{10, "mx.evil.example"}});
  BOOST_TEST(about("example.org") == "route tls_failed (no MX host of example.org is in its MTA-STS policy)");
  BOOST_TEST((route("example.org").tls.sts != nullptr));
}

BOOST_FIXTURE_TEST_CASE(sts_tested_changes_nothing_but_is_known, Routed) {
  mx("example.net", {{10, "mx.example.net"}, {20, "mx.evil.example"}});
  policy("example.net", "testing", "mx.example.net");
  BOOST_TEST(about("example.net") == "opportunistic default: mx.example.net mx.evil.example");
  BOOST_TEST((route("example.net").route->tls.sts != nullptr));
}

BOOST_FIXTURE_TEST_CASE(a_policy_that_cannot_be_had_stops_nothing, Routed) {
  policy("example.net", "enforce", "mx.example.net");
  https.pages["mta-sts.example.net"] = {.status = 500};
  BOOST_TEST(about("example.net") == "opportunistic default: mx.example.net");
  BOOST_TEST(route("example.net").route->tls.sts_failure == "sts-policy-fetch-error: HTTP status 500");
}

BOOST_FIXTURE_TEST_CASE(secure_mx_records_make_tlsa_records_count, Routed) {
  mx("example.net", {{10, "mx.example.net"}}, DnsSecurity::kSecure);
  BOOST_TEST(about("example.net") == "opportunistic dane: mx.example.net");
  BOOST_TEST(route("example.net").route->tls.dane);
  // Beside MTA-STS, which is for the hosts without TLSA records.
  policy("example.net", "enforce", "mx.example.net");
  BOOST_TEST(about("example.net") == "verified dane: mx.example.net");
}

BOOST_FIXTURE_TEST_CASE(the_hosts_are_those_that_were_validated, Routed) {
  mx("example.net", {{10, "mx.example.net"}}, DnsSecurity::kSecure);
  dns.mxs["example.net"].records = {{5, "mx.evil.example"}};
  BOOST_TEST(about("example.net") == "opportunistic dane: mx.example.net");
}

BOOST_FIXTURE_TEST_CASE(bogus_mx_records_are_not_used, Routed) {
  secure.mxs["example.net"] = Secure::fails<net::MxRecord>(DnsSecurity::kBogus);
  BOOST_TEST(about("example.net") == "route dns_failure (example.net: SERVFAIL)");
}

BOOST_FIXTURE_TEST_CASE(no_mx_records_proved, Routed) {
  secure.mxs["example.net"] = Secure::is<net::MxRecord>({});
  dns.host("example.net", {"192.0.2.1"});
  BOOST_TEST(about("example.net") == "opportunistic dane: example.net");
  secure.mxs.erase("example.net");
  BOOST_TEST(about("example.net") == "route no_such_domain (example.net does not exist)");
}

BOOST_FIXTURE_TEST_CASE(an_override_beats_both_and_looks_at_neither, Routed) {
  mx("example.net", {{10, "mx.example.net"}}, DnsSecurity::kSecure);
  policy("example.net", "enforce", "other.example.net");
  policies.overrides["example.net"] = {.policy = TlsPolicy::kRequired};
  BOOST_TEST(about("example.net") == "required override: mx.example.net");
  BOOST_TEST(secure.asked.empty());
  BOOST_TEST(https.asked.empty());
}

BOOST_AUTO_TEST_CASE(overrides_by_domain_and_below) {
  smtp::TlsPolicies policies;
  policies.overrides["example.net"] = {.policy = TlsPolicy::kNone};
  policies.overrides[".example.net"] = {.policy = TlsPolicy::kRequired};
  policies.overrides[".a.example.net"] = {.policy = TlsPolicy::kVerified};
  struct {
    std::string_view domain;
    std::string_view policy;
  } const cases[] = {
      {"example.net", "none"},
      {"b.example.net", "required"},
      {"a.example.net", "required"},
      {"x.a.example.net", "verified"},
      {"example.org", ""},
      {"anexample.net", ""},
      {"net", ""},
      {"", ""},
  };
  for (const auto& c : cases) BOOST_TEST_CONTEXT(c.domain) {
      const smtp::TlsOverride* found = policies.find(c.domain);
      BOOST_TEST((found != nullptr ? to_string(found->policy) : "") == c.policy);
    }
}

// Domains share connections where they ask for the same, and nowhere else.
BOOST_FIXTURE_TEST_CASE(site_keys, Routed) {
  const std::vector<net::MxRecord> hosts{{10, "mx.shared.example"}};
  for (const char* domain : {"plain1.example", "plain2.example", "testing.example", "sts1.example", "sts2.example",
                             "override1.example", "override2.example", "names.example"})
    mx(domain, hosts);
  for (const char* domain : {"dane1.example", "dane2.example", "both.example"}) mx(domain, hosts, DnsSecurity::kSecure);
  policy("testing.example", "testing", "*.shared.example");
  for (const char* domain : {"sts1.example", "sts2.example", "both.example"})
    policy(domain, "enforce", "*.shared.example");
  for (const char* domain : {"override1.example", "override2.example"})
    policies.overrides[domain] = {.policy = TlsPolicy::kVerified};
  policies.overrides["names.example"] = {.policy = TlsPolicy::kVerified, .names = {"shared.example"}};
  const auto site = [&](const char* domain) { return route(domain).route->site; };
  BOOST_TEST(site("plain1.example") == site("plain2.example"));
  BOOST_TEST(site("plain1.example") == site("testing.example"));
  BOOST_TEST(site("sts1.example") == site("sts2.example"));
  BOOST_TEST(site("dane1.example") == site("dane2.example"));
  BOOST_TEST(site("override1.example") == site("override2.example"));
  const std::set<std::string> apart{site("plain1.example"), site("sts1.example"),      site("dane1.example"),
                                    site("both.example"),   site("override1.example"), site("names.example")};
  BOOST_TEST(apart.size() == 6U);
}

BOOST_AUTO_TEST_CASE(dnssec_is_used_once_it_is_known_to_work) {
  FakeLoop loop;
  FakeResolver dns{loop};
  FakeSecureResolver secure{loop};
  dns.mxs["example.net"] = {.status = net::DnsStatus::kOk, .records = {{10, "plain"}}};
  secure.mxs["example.net"] = Secure::is<net::MxRecord>({{10, "secure"}});
  secure.validating = false;
  const auto probing = smtp::make_probing_resolver(loop, secure, dns);
  const auto ask = [&] {
    std::string said;
    probing->mx("example.net", [&](const auto& a) {
      said = a.answer.records.front().host + (a.security == DnsSecurity::kSecure ? " secure" : " insecure");
    });
    BOOST_TEST(said.empty());
    loop.run();
    return said;
  };
  BOOST_TEST(ask() == "plain insecure");
  secure.validating = true;
  BOOST_TEST(ask() == "plain insecure");  // Not asked again at once.
  BOOST_TEST(secure.probes == 1);
  loop.advance(5min + 1s);
  BOOST_TEST(ask() == "secure secure");
  secure.validating = false;  // What stops to validate is an attack.
  loop.advance(1h);
  BOOST_TEST(ask() == "secure secure");
  BOOST_TEST(secure.probes == 2);
}

// ---------------------------------------------------------------------------------------------------------------------
// A host's TLSA records

namespace {

struct Host {
  std::string_view name;
  std::optional<DnsSecurity> address = DnsSecurity::kSecure;  // Empty: a proof that there is none.
  std::string owner{};                                        // What the host's CNAME leads to.
  std::map<std::string, net::SecureAnswer<net::TlsaRecord>> records{};
  std::optional<net::SecureAnswer<std::string>> alias{};  // The host's CNAME. Empty: a proof that there is none.
  std::string_view says;  // "verified dane mx.example.net", "unusable"
};

const auto kUsable = Secure::is<net::TlsaRecord>({tlsa()});
const std::vector<std::string> kTarget = {"target.example.org"};
const std::string kAtHost = "_25._tcp.mx.example.net", kAtTarget = "_25._tcp.target.example.net";

const Host kHosts[] = {
    {.name = "records", .records = {{kAtHost, kUsable}}, .says = "verified dane mx.example.net"},
    {.name = "no records, proved", .says = "opportunistic none mx.example.net"},
    {.name = "records, not secure",
     .records = {{kAtHost, Secure::is<net::TlsaRecord>({tlsa()}, DnsSecurity::kInsecure)}},
     .says = "opportunistic none mx.example.net"},
    {.name = "records of no use",
     .records = {{kAtHost, Secure::is<net::TlsaRecord>({tlsa("1 1 1"), tlsa("3 1 9")})}},
     .says = "required none mx.example.net"},
    {.name = "one of use",
     .records = {{kAtHost, Secure::is<net::TlsaRecord>({tlsa("1 1 1"), tlsa()})}},
     .says = "verified dane mx.example.net"},
    {.name = "bogus",
     .records = {{kAtHost, Secure::fails<net::TlsaRecord>(DnsSecurity::kBogus)}},
     .says = "unusable: dnssec"},
    {.name = "no answer",
     .records = {{kAtHost, Secure::fails<net::TlsaRecord>(DnsSecurity::kInsecure)}},
     .says = "unusable: tlsa"},
    {.name = "address not secure",
     .address = DnsSecurity::kInsecure,
     .records = {{kAtHost, kUsable}},
     .says = "opportunistic none mx.example.net"},
    {.name = "address bogus",
     .address = DnsSecurity::kBogus,
     .records = {{kAtHost, kUsable}},
     .says = "unusable: dnssec"},
    {.name = "no address, proved", .address = {}, .says = "unusable: dnssec"},
    {.name = "at the alias's target",
     .owner = "target.example.net",
     .records = {{kAtTarget, kUsable}},
     .says = "verified dane target.example.net"},
    {.name = "at the alias itself",
     .owner = "target.example.net",
     .records = {{kAtHost, kUsable}},
     .says = "verified dane mx.example.net"},
    {.name = "an alias in a zone that is not signed, whose server never answers TLSA",
     .address = DnsSecurity::kInsecure,
     .owner = "target.example.org",
     .records = {{kAtHost, Secure::fails<net::TlsaRecord>(DnsSecurity::kInsecure)}},
     .alias = Secure::is(kTarget, DnsSecurity::kInsecure),
     .says = "opportunistic none mx.example.net"},
    {.name = "a signed alias of a host that is not signed",
     .address = DnsSecurity::kInsecure,
     .owner = "target.example.org",
     .records = {{kAtHost, kUsable}, {"_25._tcp.target.example.org", Secure::is<net::TlsaRecord>({tlsa("3 1 9")})}},
     .alias = Secure::is(kTarget),
     .says = "verified dane mx.example.net"},
    {.name = "the same without records",
     .address = DnsSecurity::kInsecure,
     .owner = "target.example.org",
     .alias = Secure::is(kTarget),
     .says = "opportunistic none mx.example.net"},
    {.name = "an alias that is bogus",
     .address = DnsSecurity::kInsecure,
     .owner = "target.example.org",
     .alias = Secure::fails<std::string>(DnsSecurity::kBogus),
     .says = "unusable: dnssec"},
    {.name = "an alias about which there is no answer",
     .address = DnsSecurity::kInsecure,
     .owner = "target.example.org",
     .alias = Secure::fails<std::string>(DnsSecurity::kInsecure),
     .says = "unusable: tlsa"},
    {.name = "an alias that is none any more",
     .address = DnsSecurity::kInsecure,
     .owner = "target.example.org",
     .records = {{kAtHost, kUsable}},
     .says = "unusable: tlsa"},
    {.name = "bogus at the alias's target",
     .owner = "target.example.net",
     .records = {{kAtTarget, Secure::fails<net::TlsaRecord>(DnsSecurity::kBogus)}, {kAtHost, kUsable}},
     .says = "unusable: dnssec"},
};

}  // namespace

BOOST_AUTO_TEST_CASE(tlsa_records) {
  for (const Host& c : kHosts) BOOST_TEST_CONTEXT(c.name) {
      FakeLoop loop;
      FakeSecureResolver secure{loop};
      if (c.address)
        secure.hosts["mx.example.net"] =
            c.address == DnsSecurity::kBogus
                ? Secure::fails<net::IpAddress>(DnsSecurity::kBogus)
                : Secure::is<net::IpAddress>({*net::IpAddress::parse("192.0.2.1")}, *c.address, c.owner);
      for (const auto& [name, answer] : c.records) secure.tlsas[name] = answer;
      if (c.alias) secure.cnames["mx.example.net"] = *c.alias;
      std::string said;
      smtp::find_host_tls({.dane = true}, "mx.example.net", 25, &secure, [&](smtp::HostTls tls) {
        if (tls.unusable) {
          said = tls.unusable->trouble == TlsResult::Trouble::kDnssec ? "unusable: dnssec" : "unusable: tlsa";
          return;
        }
        static constexpr const char* kVerify[] = {"none", "web", "dane"};
        said = std::string(to_string(tls.policy)) + " " + kVerify[static_cast<int>(tls.options.verify)] + " " +
               tls.options.server_name;
      });
      loop.run();
      BOOST_TEST(said == c.says);
    }
}

// A relay that is named by its address: a certificate may be good for one.
BOOST_AUTO_TEST_CASE(an_address_is_what_its_certificate_must_be_for) {
  struct Case {
    std::string_view host;
    std::vector<std::string> names, asked;
  };
  const Case cases[] = {
      {"[192.0.2.1]", {}, {"192.0.2.1"}},
      {"[2001:db8::1]", {}, {"2001:db8::1"}},
      {"[192.0.2.1]", {"mx.example.net"}, {"mx.example.net"}},
      {"mx.example.net", {}, {}},
  };
  for (const Case& c : cases) BOOST_TEST_CONTEXT(c.host) {
      std::vector<std::string> asked{"none"};
      smtp::find_host_tls({.policy = TlsPolicy::kVerified, .names = c.names}, c.host, 465, nullptr,
                          [&](const smtp::HostTls& tls) { asked = tls.options.names; });
      BOOST_TEST(asked == c.asked, boost::test_tools::per_element());
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// A pool

namespace {

class Lane final : public smtp::PoolHandler {
 public:
  explicit Lane(smtp::RouteTls tls, std::vector<smtp::RouteHost> hosts = {{10, "mx"}}) {
    for (const smtp::RouteHost& host : hosts) {
      dns.host(host.host, {"192.0.2.1"});
      secure.hosts[host.host] = Secure::is<net::IpAddress>({*net::IpAddress::parse("192.0.2.1")});
    }
    smtp::PoolOptions options{.session = {.ehlo_name = "me"}, .tls = std::move(tls), .secure = &secure};
    options.on_tls = [this](const TlsResult& result) { results.push_back(result); };
    pool.emplace(loop, transport, dns, std::move(options), std::move(hosts), *this, random);
  }
  void on_ready(smtp::Pool& from, smtp::ConnectionId id) override {
    static constexpr const char* kVerify[] = {"none", "web", "dane"};
    said = std::string("ready") + (from.info(id).tls ? " tls " : " clear ") +
           kVerify[static_cast<int>(from.info(id).verified)];
  }
  void on_recipient(smtp::Pool&, smtp::ConnectionId, std::size_t, const Outcome& outcome) override {
    settled = words(outcome);
  }
  void on_transaction_done(smtp::Pool&, smtp::ConnectionId) override {}
  void on_closed(smtp::Pool&, smtp::ConnectionId, const Outcome&) override {}
  void on_open_failed(smtp::Pool&, smtp::ConnectionId, const Outcome& reason) override { said = words(reason); }

  void open() {
    pool->open();
    loop.run();
  }
  // Greeting, EHLO, and STARTTLS if it is offered: the handshake is next.
  void greet(bool offers_tls = true) {
    transport.last().connected();
    transport.last().says("220 mx\r\n");
    transport.last().says(offers_tls ? "250-mx\r\n250 STARTTLS\r\n" : "250 mx\r\n");
    if (offers_tls) transport.last().says("220 go\r\n");
    loop.run();
  }
  void shake(net::TlsFailure failure = net::TlsFailure::kNone) {
    transport.last().shakes_hands(failure);
    transport.last().says("250 mx\r\n");
    loop.run();
  }
  void refuse(net::TlsFailure failure) {
    transport.last().refuses_hands(failure);
    loop.run();
  }

  FakeLoop loop;
  FakeTransport transport;
  FakeResolver dns{loop};
  FakeSecureResolver secure{loop};
  Random random{1};
  std::optional<smtp::Pool> pool;
  std::vector<TlsResult> results;
  std::string said, settled;
};

smtp::RouteTls asks(TlsPolicy policy) { return {.policy = policy}; }

}  // namespace

BOOST_AUTO_TEST_CASE(verified_is_verified) {
  Lane lane(asks(TlsPolicy::kVerified));
  lane.open();
  lane.greet();
  BOOST_TEST((lane.transport.last().tls.verify == net::TlsVerify::kWebPki));
  BOOST_TEST(lane.transport.last().tls.server_name == "mx");
  lane.shake();
  BOOST_TEST(lane.said == "ready tls web");
  BOOST_REQUIRE(lane.results.size() == 1U);
  BOOST_TEST(lane.results[0].verified);
}

BOOST_AUTO_TEST_CASE(names_of_an_override_are_asked_for) {
  Lane lane({.policy = TlsPolicy::kVerified, .source = smtp::TlsSource::kOverride, .names = {"shared.example"}});
  lane.open();
  lane.greet();
  BOOST_TEST(lane.transport.last().tls.names == std::vector<std::string>{"shared.example"},
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(verified_never_goes_in_clear) {
  Lane lane(asks(TlsPolicy::kVerified));
  lane.open();
  lane.greet();
  lane.refuse(net::TlsFailure::kExpired);
  BOOST_TEST(lane.said == "start_tls tls_failed (certificate verify failed)");
  BOOST_TEST(lane.transport.peers.size() == 1U);
  BOOST_REQUIRE(lane.results.size() == 1U);
  BOOST_TEST((lane.results[0].failure == net::TlsFailure::kExpired));
  BOOST_TEST((lane.results[0].trouble == TlsResult::Trouble::kHandshake));
  lane.open();
  lane.greet(false);
  BOOST_TEST(lane.said == "start_tls tls_unavailable (STARTTLS is not offered)");
  BOOST_TEST((lane.results.back().trouble == TlsResult::Trouble::kNotOffered));
}

BOOST_AUTO_TEST_CASE(opportunistic_goes_in_clear_and_says_so) {
  Lane lane(asks(TlsPolicy::kOpportunistic));
  lane.open();
  lane.greet();
  lane.refuse(net::TlsFailure::kHandshake);
  lane.greet();
  BOOST_TEST(lane.said == "ready clear none");
  BOOST_REQUIRE(lane.results.size() == 1U);  // One session, one result.
  BOOST_TEST(!lane.results[0].tls);
}

BOOST_AUTO_TEST_CASE(opportunistic_knows_what_is_wrong_with_the_certificate) {
  Lane lane(asks(TlsPolicy::kOpportunistic));
  lane.open();
  lane.greet();
  lane.shake(net::TlsFailure::kNameMismatch);
  BOOST_TEST(lane.said == "ready tls none");
  BOOST_REQUIRE(lane.results.size() == 1U);
  BOOST_TEST(!lane.results[0].verified);
  BOOST_TEST((lane.results[0].failure == net::TlsFailure::kNameMismatch));
}

BOOST_AUTO_TEST_CASE(tlsa_records_make_tls_a_must) {
  Lane lane({.source = smtp::TlsSource::kDane, .dane = true});
  lane.secure.tlsas["_25._tcp.mx"] = Secure::is<net::TlsaRecord>({tlsa()});
  lane.open();
  lane.greet();
  BOOST_TEST((lane.transport.last().tls.verify == net::TlsVerify::kDane));
  BOOST_TEST(lane.transport.last().tls.tlsa.size() == 1U);
  lane.shake();
  BOOST_TEST(lane.said == "ready tls dane");
  lane.open();
  lane.greet();
  lane.refuse(net::TlsFailure::kTlsaMismatch);
  BOOST_TEST(lane.said == "start_tls tls_failed (certificate verify failed)");
  BOOST_TEST(lane.transport.peers.size() == 2U);
  lane.open();
  lane.greet(false);
  BOOST_TEST(lane.said == "start_tls tls_unavailable (STARTTLS is not offered)");
}

BOOST_AUTO_TEST_CASE(a_host_whose_records_are_bogus_is_passed_over) {
  Lane lane({.source = smtp::TlsSource::kDane, .dane = true}, {{10, "bad"}, {20, "mx"}});
  lane.secure.tlsas["_25._tcp.bad"] = Secure::fails<net::TlsaRecord>(DnsSecurity::kBogus);
  lane.open();
  BOOST_TEST(lane.transport.peers.size() == 1U);
  lane.greet();
  BOOST_TEST(lane.transport.last().server_name == "mx");
  lane.shake(net::TlsFailure::kUntrusted);
  BOOST_TEST(lane.said == "ready tls none");
  BOOST_REQUIRE(lane.results.size() == 2U);
  BOOST_TEST(lane.results[0].mx_host == "bad");
  BOOST_TEST((lane.results[0].trouble == TlsResult::Trouble::kDnssec));
}

BOOST_AUTO_TEST_CASE(with_all_hosts_bogus_the_mail_waits) {
  Lane lane({.source = smtp::TlsSource::kDane, .dane = true});
  lane.secure.hosts["mx"] = Secure::fails<net::IpAddress>(DnsSecurity::kBogus);
  lane.open();
  BOOST_TEST(lane.transport.peers.empty());
  BOOST_TEST(lane.said == "route dns_failure (mx: SERVFAIL)");
}

// RFC 8689 4.2.1: a good certificate of a name that a stranger may have put into DNS is none.
BOOST_AUTO_TEST_CASE(require_tls_wants_a_name_that_is_no_strangers) {
  using Source = smtp::TlsSource;
  struct Case {
    std::string_view name;
    smtp::RouteTls tls;
    bool sent;
  };
  const Case cases[] = {
      {"unsigned MX records", {}, false},
      {"verified by default", {.policy = TlsPolicy::kVerified}, false},
      {"an override without names", {.policy = TlsPolicy::kVerified, .source = Source::kOverride}, false},
      {"names that are not looked at", {.source = Source::kOverride, .names = {"mx"}}, false},
      {"an override with names", {.policy = TlsPolicy::kVerified, .source = Source::kOverride, .names = {"mx"}}, true},
      {"MTA-STS", {.policy = TlsPolicy::kVerified, .source = Source::kSts}, true},
      {"a signed zone", {.source = Source::kDane, .dane = true}, true},
  };
  for (const Case& c : cases) BOOST_TEST_CONTEXT(c.name) {
      Lane lane(c.tls);
      lane.open();
      lane.greet();
      lane.transport.last().shakes_hands(net::TlsFailure::kNone);
      lane.transport.last().says("250-mx\r\n250 REQUIRETLS\r\n");
      const std::string_view to[] = {"ann@example.net"};
      lane.transport.last().heard();
      lane.pool->send(lane.pool->idle(), {.mail_from = "me@example.org",
                                          .rcpt_to = to,
                                          .data = "Hi\r\n.\r\n",
                                          .message_bytes = 4,
                                          .require_tls = true});
      lane.loop.run();
      if (c.sent) {
        BOOST_TEST(lane.transport.last().heard() == "MAIL FROM:<me@example.org> REQUIRETLS\r\n");
      } else {
        BOOST_TEST(lane.transport.last().heard() == "");
        BOOST_TEST(lane.settled == "mail_from require_tls_unavailable (the server is not verified)");
      }
    }
}

BOOST_AUTO_TEST_CASE(destroyed_during_a_look_up) {
  Lane lane({.source = smtp::TlsSource::kDane, .dane = true});
  lane.pool->open();
  lane.pool.reset();
  lane.loop.run();
  BOOST_TEST(lane.transport.peers.empty());
}

namespace {

// Never says whether it validates.
class Undecided final : public net::SecureResolver {
 public:
  void mx(std::string_view, Callback<net::MxRecord>) override { BOOST_ERROR("asked"); }
  void addresses(std::string_view, Callback<net::IpAddress>) override { BOOST_ERROR("asked"); }
  void tlsa(std::string_view, Callback<net::TlsaRecord>) override { BOOST_ERROR("asked"); }
  void cname(std::string_view, Callback<std::string>) override { BOOST_ERROR("asked"); }
  void validates(UniqueFunction<void(bool)> done) override { waiting.push_back(std::move(done)); }
  std::vector<UniqueFunction<void(bool)>> waiting;
};

}  // namespace

BOOST_AUTO_TEST_CASE(mail_waits_for_dnssec_a_few_seconds_only) {
  FakeLoop loop;
  FakeResolver dns{loop};
  Undecided secure;
  dns.mxs["example.net"] = {.status = net::DnsStatus::kOk, .records = {{10, "plain"}}};
  const auto probing = smtp::make_probing_resolver(loop, secure, dns);
  int answers = 0;
  probing->mx("example.net", [&](const auto&) { ++answers; });
  loop.advance(4s);
  BOOST_TEST(answers == 0);
  loop.advance(2s);
  BOOST_TEST(answers == 1);
  probing->mx("example.net", [&](const auto&) { ++answers; });
  loop.run();
  BOOST_TEST(answers == 2);
  BOOST_TEST(secure.waiting.size() == 1U);
}
