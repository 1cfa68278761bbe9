#include <boost/test/unit_test.hpp>
#include <set>

#include "tests/smtp/client_words.h"
#include "tests/smtp/fakes.h"

using namespace mailsbuddy;
using namespace mailsbuddy::test;
using net::DnsStatus;

namespace {

struct Routed {
  FakeLoop loop;
  FakeResolver dns{loop};
  smtp::Router router{dns};

  smtp::RouteAnswer route(std::string_view domain) {
    std::vector<smtp::RouteAnswer> answers;
    router.route(domain, [&](const smtp::RouteAnswer& answer) { answers.push_back(answer); });
    BOOST_TEST(answers.empty());  // Never from inside.
    loop.run();
    BOOST_REQUIRE(answers.size() == 1U);
    return answers.front();
  }

  void mx(const std::string& domain, std::vector<net::MxRecord> records) {
    dns.mxs[domain] = {.status = DnsStatus::kOk, .records = std::move(records), .ttl = {}, .detail = {}};
  }
};

struct Case {
  std::string_view name;
  std::string_view domain;
  DnsStatus mx_status;
  std::vector<net::MxRecord> mx;
  DnsStatus address_status;
  std::string_view hosts;    // "10 a, 20 b", or
  std::string_view failure;  // what there is instead.
};

const Case kCases[] = {
    {"by preference, then name",
     "a.example",
     DnsStatus::kOk,
     {{20, "c"}, {10, "b"}, {10, "a"}},
     DnsStatus::kFailed,
     "10 a, 10 b, 20 c",
     ""},
    {"twice the same", "a.example", DnsStatus::kOk, {{10, "a"}, {10, "a"}}, DnsStatus::kFailed, "10 a", ""},
    {"letter case", "A.Example", DnsStatus::kOk, {{10, "Mx.A"}}, DnsStatus::kFailed, "10 mx.a", ""},
    {"null MX", "a.example", DnsStatus::kOk, {{0, ""}}, DnsStatus::kOk, "", "route null_mx (a.example takes no mail)"},
    {"root beside a host", "a.example", DnsStatus::kOk, {{0, ""}, {10, "a"}}, DnsStatus::kOk, "10 a", ""},
    {"implicit MX", "a.example", DnsStatus::kNoData, {}, DnsStatus::kOk, "0 a.example", ""},
    {"neither MX nor address",
     "a.example",
     DnsStatus::kNoData,
     {},
     DnsStatus::kNoData,
     "",
     "route no_such_domain (a.example has neither MX nor address)"},
    {"address fails",
     "a.example",
     DnsStatus::kNoData,
     {},
     DnsStatus::kFailed,
     "",
     "route dns_failure (a.example: SERVFAIL)"},
    {"no such domain",
     "a.example",
     DnsStatus::kNxDomain,
     {},
     DnsStatus::kOk,
     "",
     "route no_such_domain (a.example does not exist)"},
    {"MX fails", "a.example", DnsStatus::kFailed, {}, DnsStatus::kOk, "", "route dns_failure (a.example: SERVFAIL)"},
    {"IPv4 literal", "[192.0.2.1]", DnsStatus::kFailed, {}, DnsStatus::kFailed, "0 [192.0.2.1]", ""},
    {"IPv6 literal", "[IPv6:2001:DB8::1]", DnsStatus::kFailed, {}, DnsStatus::kFailed, "0 [2001:db8::1]", ""},
    {"bad literal",
     "[192.0.2]",
     DnsStatus::kFailed,
     {},
     DnsStatus::kFailed,
     "",
     "route no_such_domain ([192.0.2] is no address)"},
    {"half a literal", "[", DnsStatus::kFailed, {}, DnsStatus::kFailed, "", "route no_such_domain ([ is no address)"},
};

std::string list(const std::vector<smtp::RouteHost>& hosts) {
  std::string text;
  for (const auto& host : hosts) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", host.preference, host.host);
  return text;
}

}  // namespace

BOOST_AUTO_TEST_CASE(routes) {
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      Routed routed;
      routed.dns.mxs[std::string(c.domain)] = {.status = c.mx_status, .records = c.mx, .ttl = {}, .detail = "SERVFAIL"};
      auto& address = routed.dns.hosts["a.example"];
      address.status = c.address_status;
      address.detail = "SERVFAIL";
      if (c.address_status == DnsStatus::kOk) address.records = {net::IpAddress::v4({192, 0, 2, 1})};
      const auto answer = routed.route(c.domain);
      BOOST_TEST(answer.route.has_value() == c.failure.empty());
      if (answer.route) {
        BOOST_TEST(list(answer.route->hosts) == c.hosts);
        BOOST_TEST(!answer.route->site.empty());
        BOOST_TEST(!answer.route->provider.name.empty());
      } else {
        BOOST_TEST(words(answer.failure) == c.failure);
      }
    }
  }
}

// Two lists of hosts share a site when they are equal, and never else.
BOOST_AUTO_TEST_CASE(sites_are_injective) {
  const std::vector<std::vector<net::MxRecord>> lists = {
      {{10, "a"}},
      {{20, "a"}},
      {{10, "b"}},
      {{10, "a"}, {10, "b"}},
      {{10, "a"}, {20, "b"}},
      {{10, "b"}, {20, "a"}},
      {{10, "ab"}},
      {{1, "a"}, {0, "b"}},
      {{10, "a10/1:b"}},
      {{10, "a"}, {10, "1/1:b"}},
      {{1, "0/1:a"}},
      {{10, "a,20 b"}},
      {{10, "1:a"}},
      {{101, "a"}},
  };
  std::set<std::string> sites;
  for (const auto& records : lists) {
    Routed routed;
    routed.mx("x.example", records);
    routed.mx("y.example", {records.rbegin(), records.rend()});
    const std::string site = routed.route("x.example").route->site;
    BOOST_TEST(sites.insert(site).second);
    BOOST_TEST(routed.route("y.example").route->site == site);
  }
}

BOOST_AUTO_TEST_CASE(implicit_and_explicit_mx_of_one_host_are_one_site) {
  Routed routed;
  routed.mx("x.example", {{0, "a.example"}});
  routed.dns.mxs["a.example"].status = DnsStatus::kNoData;
  routed.dns.host("a.example", {"192.0.2.1"});
  BOOST_TEST(routed.route("x.example").route->site == routed.route("a.example").route->site);
}

BOOST_AUTO_TEST_CASE(too_many_hosts) {
  Routed routed;
  std::vector<net::MxRecord> records;
  for (std::uint16_t i = 0; i < 500; ++i)
    records.push_back({static_cast<std::uint16_t>(500 - i), fmt::format("mx{}", i)});
  routed.mx("x.example", records);
  const auto answer = routed.route("x.example");
  BOOST_TEST(answer.route->hosts.size() == 50U);
  BOOST_TEST(answer.route->hosts.front().preference == 1);
}

// ---------------------------------------------------------------------------------------------------------------------
// How long a route is good

BOOST_AUTO_TEST_CASE(time_to_live) {
  Routed routed;
  routed.mx("mx.example", {{10, "a"}});
  routed.dns.mxs["mx.example"].ttl = std::chrono::seconds(120);
  BOOST_TEST(routed.route("mx.example").route->ttl.count() == 120);
  // Without MX it is good for as long as both are: that there is none, and the address.
  routed.dns.host("plain.example", {"192.0.2.1"});
  routed.dns.hosts["plain.example"].ttl = std::chrono::seconds(300);
  routed.dns.mxs["plain.example"] = {
      .status = DnsStatus::kNoData, .records = {}, .ttl = std::chrono::seconds(60), .detail = {}};
  BOOST_TEST(routed.route("plain.example").route->ttl.count() == 60);
  BOOST_TEST(routed.route("[192.0.2.1]").route->ttl == std::chrono::hours(24));
}

// ---------------------------------------------------------------------------------------------------------------------
// Ourselves

namespace {

struct Loop {
  std::string_view name;
  std::vector<net::MxRecord> mx;  // Empty: none, but an address.
  std::string_view hosts, failure;
};

const Loop kLoops[] = {
    {"not among them", {{10, "a"}, {20, "b"}}, "10 a, 20 b", ""},
    {"the worst", {{10, "a"}, {20, "b"}, {30, "me.example"}}, "10 a, 20 b", ""},
    {"in the middle", {{10, "a"}, {20, "me.example"}, {20, "b"}, {30, "c"}}, "10 a", ""},
    {"in another letter case", {{10, "a"}, {20, "ME.Example"}}, "10 a", ""},
    {"two of us", {{10, "a"}, {30, "me.example"}, {20, "me2.example"}, {25, "b"}}, "10 a", ""},
    {"the best",
     {{10, "me.example"}, {20, "b"}},
     "",
     "route mail_loop (the best MX of x.example is ourselves, me.example)"},
    {"as good as the best",
     {{10, "me.example"}, {10, "zzz"}},
     "",
     "route mail_loop (the best MX of x.example is ourselves, me.example)"},
};

}  // namespace

BOOST_AUTO_TEST_CASE(loops_to_ourselves) {
  for (const Loop& c : kLoops) {
    BOOST_TEST_CONTEXT(c.name) {
      Routed routed;
      routed.router = smtp::Router::make(routed.dns, {.own_names = {"Me.Example", "me2.example"}}).value();
      routed.mx("x.example", c.mx);
      const auto answer = routed.route("x.example");
      BOOST_TEST((answer.route ? list(answer.route->hosts) : "") == c.hosts);
      BOOST_TEST((answer.route ? "" : words(answer.failure)) == c.failure);
    }
  }
  Routed routed;
  routed.router = smtp::Router::make(routed.dns, {.own_names = {"me.example"}}).value();
  routed.dns.mxs["me.example"].status = DnsStatus::kNoData;
  routed.dns.host("me.example", {"192.0.2.1"});
  BOOST_TEST(words(routed.route("me.example").failure) == "route mail_loop (me.example is ourselves, and has no MX)");
}

// ---------------------------------------------------------------------------------------------------------------------
// Relays

namespace {

smtp::Relay relay(std::string host, std::uint16_t port = 0) {
  return {.hosts = {{.host = std::move(host), .port = port}}};
}

struct Match {
  std::string_view domain, host;  // Empty: by MX.
};

constexpr Match kMatches[] = {
    {"example.com", "one"},
    {"EXAMPLE.com", "one"},
    {"a.example.com", "below"},
    {"b.a.example.com", "below"},
    {"c.a.example.com", "c"},
    {"anexample.com", "all"},
    {"com", "all"},
    {"[192.0.2.1]", "all"},
};

}  // namespace

BOOST_AUTO_TEST_CASE(the_longest_rule_counts) {
  Routed routed;
  routed.router = smtp::Router::make(routed.dns, {.relays = {{"*", relay("all")},
                                                             {"Example.COM", relay("one")},
                                                             {".example.com", relay("below")},
                                                             {"c.a.example.com", relay("c")}}})
                      .value();
  for (const Match& c : kMatches) {
    BOOST_TEST_CONTEXT(c.domain) {
      const auto answer = routed.route(c.domain);
      BOOST_REQUIRE(answer.route);
      BOOST_TEST(answer.route->hosts.front().host == c.host);
      BOOST_TEST((answer.route->relay != nullptr));
      BOOST_TEST(routed.dns.asked.back() == "0.0.0.0");  // No question about the domain.
    }
  }
}

BOOST_AUTO_TEST_CASE(without_a_rule_dns_decides) {
  Routed routed;
  routed.router = smtp::Router::make(routed.dns, {.relays = {{"example.com", relay("one")}}}).value();
  routed.mx("x.example", {{10, "a"}});
  const auto answer = routed.route("x.example");
  BOOST_TEST(list(answer.route->hosts) == "10 a");
  BOOST_TEST((answer.route->relay == nullptr));
}

// Connections are shared by domains that go to the same hosts in the same way.
BOOST_AUTO_TEST_CASE(relays_that_differ_are_sites_of_their_own) {
  const auto with = [](auto change) {
    smtp::Relay changed = relay("mx", 2525);
    change(changed);
    return changed;
  };
  const std::vector<smtp::Relay> relays = {
      relay("mx"),
      relay("mx", 2525),
      relay("mx", 2526),
      relay("[192.0.2.1]"),
      with([](smtp::Relay& each) { each.implicit_tls = true; }),
      with([](smtp::Relay& each) { each.tls = smtp::TlsPolicy::kNone; }),
      with([](smtp::Relay& each) { each.protocol = smtp::Protocol::kLmtp; }),
      with([](smtp::Relay& each) { each.login = {.user = "ann", .password = "secret"}; }),
      with([](smtp::Relay& each) { each.login = {.user = "ann", .password = "other"}; }),
      with([](smtp::Relay& each) { each.login = {.user = "ann", .token = "secret"}; }),
      with([](smtp::Relay& each) { each.login = {.user = "ann", .password = "secret", .in_clear = true}; }),
      with([](smtp::Relay& each) { each.tls = smtp::TlsPolicy::kRequired; }),
      with([](smtp::Relay& each) { each.hosts.push_back({.preference = 1, .host = "mx", .port = 2525}); }),
  };
  Routed routed;
  routed.mx("x.example", {{0, "mx"}});
  std::set<std::string> sites{routed.route("x.example").route->site};
  std::vector<smtp::RelayRule> rules;
  for (std::size_t i = 0; i < relays.size(); ++i) {
    for (const char side : {'a', 'b'}) rules.push_back({fmt::format("{}{}.example", side, i), relays[i]});
  }
  routed.router = smtp::Router::make(routed.dns, {.relays = rules}).value();
  for (std::size_t i = 0; i < relays.size(); ++i) {
    const std::string site = routed.route(fmt::format("a{}.example", i)).route->site;
    BOOST_TEST(sites.insert(site).second);
    BOOST_TEST(routed.route(fmt::format("b{}.example", i)).route->site == site);
    BOOST_TEST(site.find("secret") == std::string::npos);
  }
}

// Also of relays that were not written as a URL.
BOOST_AUTO_TEST_CASE(a_password_goes_over_verified_tls_unless_the_operator_says_otherwise) {
  struct Case {
    std::optional<smtp::TlsPolicy> given;
    smtp::Login login;
    smtp::TlsPolicy policy;
  };
  const Case cases[] = {
      {{}, {}, smtp::TlsPolicy::kOpportunistic},
      {{}, {.user = "ann", .password = "secret"}, smtp::TlsPolicy::kVerified},
      {{}, {.user = "ann", .password = "secret", .in_clear = true}, smtp::TlsPolicy::kOpportunistic},
      {smtp::TlsPolicy::kRequired, {.user = "ann", .password = "secret"}, smtp::TlsPolicy::kRequired},
  };
  for (const Case& c : cases) {
    Routed routed;
    smtp::Relay given = relay("mx");
    given.tls = c.given;
    given.login = c.login;
    routed.router = smtp::Router::make(routed.dns, {.relays = {{"*", given}}}).value();
    BOOST_TEST((routed.route("example.net").route->tls.policy == c.policy));
  }
}

namespace {

struct BadRelays {
  std::vector<smtp::RelayRule> relays;
  std::string_view error;
};

const BadRelays kBadRelays[] = {
    {{{"", relay("a")}}, "relay for \"\": no domain; \"*\" is all of them"},
    {{{"x", {}}}, "relay for \"x\": no host"},
    {{{"x", relay("")}}, "relay for \"x\": a host without a name"},
    {{{"x", relay("[192.0.2]")}}, "relay for \"x\": [192.0.2] is no address"},
    {{{"x", relay("a")}, {"X", relay("b")}}, "two relays for \"X\""},
    {{{"x", {.hosts = {{.host = "a"}}, .tls = smtp::TlsPolicy::kNone, .implicit_tls = true}}},
     "relay for \"x\": implicit TLS, and none at all"},
    {{{"x", {.hosts = {{.host = "a"}}, .protocol = smtp::Protocol::kLmtp}}},
     "relay for \"x\": LMTP on port 25 (RFC 2033 5)"},
};

}  // namespace

BOOST_AUTO_TEST_CASE(relays_in_words) {
  struct Case {
    std::string_view text, host;  // "host:port", or the error's beginning.
  };
  constexpr Case kCases[] = {
      {"smtp://mail.example.net", "mail.example.net:25"},
      {"SMTP://mail.example.net:2525", "mail.example.net:2525"},
      {"smtps://mail.example.net", "mail.example.net:465"},
      {"lmtp://192.0.2.7", "192.0.2.7:24"},
      {"smtp://[2001:db8::7]", "[2001:db8::7]:25"},
      {"smtp://[2001:db8::7]:587", "[2001:db8::7]:587"},
      {"smtps://ann%40b:p%3as@mail.example.net:465", "mail.example.net:465"},
      {"mail.example.net", "relay: no \"scheme://\""},
      {"http://mail.example.net", "relay: neither smtp, smtps nor lmtp"},
      {"smtp://", "relay: its host is none"},
      {"smtp://mail.example.net/path", "relay: its host is none"},
      {"smtp://mail.example.net:0", "relay: its port is none"},
      {"smtp://mail.example.net:x", "relay: its port is none"},
      {"smtp://mail.example.net:70000", "relay: its port is none"},
      {"smtp://a%4:secret@mail.example.net", "relay: user and password cannot be read"},
  };
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.text) {
      const auto relay = smtp::Relay::parse(c.text);
      if (!relay) {
        BOOST_TEST(relay.error().detail.starts_with(c.host));
        BOOST_TEST(relay.error().detail.find("secret") == std::string::npos);
        continue;
      }
      const smtp::RouteHost& host = relay->hosts.front();
      BOOST_TEST(fmt::format("{}:{}", host.host, host.port) == c.host);
      BOOST_TEST(relay->implicit_tls == c.text.starts_with("smtps"));
      BOOST_TEST((relay->protocol == smtp::Protocol::kLmtp) == c.text.starts_with("lmtp"));
      BOOST_TEST((relay->tls == smtp::TlsPolicy::kVerified) == !relay->login.user.empty());
      if (!relay->login.user.empty()) BOOST_TEST(relay->login.user + " " + relay->login.password == "ann@b p:s");
    }
  }
}

BOOST_AUTO_TEST_CASE(relays_that_cannot_be) {
  FakeLoop loop;
  FakeResolver dns(loop);
  for (const BadRelays& c : kBadRelays) {
    const auto made = smtp::Router::make(dns, {.relays = c.relays});
    BOOST_REQUIRE(!made);
    BOOST_TEST(made.error().detail == c.error);
  }
}

BOOST_AUTO_TEST_CASE(the_router_may_go_before_its_answer) {
  FakeLoop loop;
  FakeResolver dns(loop);
  dns.mxs["a.example"].status = DnsStatus::kNoData;
  int answers = 0;
  {
    smtp::Router router(dns);
    router.route("a.example", [&](const smtp::RouteAnswer&) { ++answers; });
  }
  loop.run();
  BOOST_TEST(answers == 1);
}
