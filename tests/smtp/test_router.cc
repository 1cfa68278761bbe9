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
