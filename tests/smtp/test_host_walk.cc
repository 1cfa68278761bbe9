#include <boost/test/unit_test.hpp>
#include <map>
#include <set>

#include "smtp/host_walk.h"
#include "tests/smtp/client_words.h"
#include "tests/smtp/fakes.h"

using namespace mailsbuddy;
using namespace mailsbuddy::test;
using namespace std::chrono_literals;
using smtp::BadHosts;
using smtp::HostWalk;
using smtp::TargetRules;

namespace {

net::IpAddress ip(std::string_view text) { return net::IpAddress::parse(text).value(); }

const Outcome kRefused{.stage = Stage::kConnect, .cause = Cause::kConnectFailed, .reply = {}, .detail = "refused"};
const Outcome kBusy{.stage = Stage::kGreeting, .cause = Cause::kReply, .reply = {.code = 421}, .detail = {}};

// One opening after the other, over the same hosts and what is remembered of them.
struct Walks {
  FakeLoop loop;
  FakeResolver dns{loop};
  BadHosts bad;
  Random random{1};
  smtp::PoolOptions options{.bad_hosts = &bad};
  std::vector<smtp::RouteHost> hosts;

  std::unique_ptr<HostWalk> begin() { return std::make_unique<HostWalk>(loop, dns, options, hosts, random); }

  std::optional<HostWalk::Target> next(HostWalk& walk) {
    std::optional<std::optional<HostWalk::Target>> found;
    walk.next([&](std::optional<HostWalk::Target> target) { found = std::move(target); });
    loop.run();
    BOOST_REQUIRE(found.has_value());
    return *found;
  }

  // Tries until `takes` answers, or nothing is left: "a 192.0.2.1, b 192.0.2.2". All others end in `outcome`.
  std::string open(std::string_view takes, const Outcome& outcome = kRefused) {
    std::string tried;
    auto walk = begin();
    while (const auto target = next(*walk)) {
      tried += fmt::format("{}{} {}", tried.empty() ? "" : ", ", target->host, target->remote.address.str());
      if (target->host == takes || target->remote.address.str() == takes) {
        walk->worked(*target);
        return tried;
      }
      walk->failed(*target, outcome, true);
    }
    failure = words(walk->failure());
    return tried;
  }

  std::string failure;
};

}  // namespace

// ---------------------------------------------------------------------------------------------------------------------
// Set aside

BOOST_AUTO_TEST_CASE(a_bad_host_is_tried_after_the_others_until_its_time_is_over) {
  Walks walks;
  walks.hosts = {{10, "a"}, {20, "b"}};
  walks.dns.host("a", {"192.0.2.1"});
  walks.dns.host("b", {"192.0.2.2"});
  BOOST_TEST(walks.open("b") == "a 192.0.2.1, b 192.0.2.2");
  BOOST_TEST(walks.open("b") == "b 192.0.2.2");
  walks.loop.advance(59s);
  BOOST_TEST(walks.open("b") == "b 192.0.2.2");
  walks.loop.advance(1s);
  // The better one again, and again in vain: set aside for twice as long.
  BOOST_TEST(walks.open("b") == "a 192.0.2.1, b 192.0.2.2");
  walks.loop.advance(119s);
  BOOST_TEST(walks.open("b") == "b 192.0.2.2");
  walks.loop.advance(1s);
  BOOST_TEST(walks.open("a") == "a 192.0.2.1");
  BOOST_TEST(walks.open("a") == "a 192.0.2.1");
  BOOST_TEST(walks.bad.size() == 0U);
}

BOOST_AUTO_TEST_CASE(with_all_set_aside_the_one_whose_time_ends_first_is_tried_first) {
  Walks walks;
  walks.hosts = {{10, "a"}, {20, "b"}, {30, "c"}};
  walks.dns.host("a", {"192.0.2.1"});
  walks.dns.host("b", {"192.0.2.2"});
  walks.dns.host("c", {"192.0.2.3"});
  walks.bad.failed("192.0.2.3:25", walks.loop.now());
  walks.loop.advance(10s);
  walks.bad.failed("192.0.2.1:25", walks.loop.now());
  walks.loop.advance(10s);
  walks.bad.failed("192.0.2.2:25", walks.loop.now());
  BOOST_TEST(walks.open("nobody") == "c 192.0.2.3, a 192.0.2.1, b 192.0.2.2");
  BOOST_TEST(walks.failure == "connect connect_failed (refused)");
}

BOOST_AUTO_TEST_CASE(what_a_host_says_is_about_the_ip_that_called) {
  Walks walks;
  walks.hosts = {{10, "a"}, {20, "b"}};
  walks.dns.host("a", {"192.0.2.1"});
  walks.dns.host("b", {"192.0.2.2"});
  walks.options.local = ip("198.51.100.1");
  BOOST_TEST(walks.open("b", kBusy) == "a 192.0.2.1, b 192.0.2.2");
  BOOST_TEST(walks.open("b", kBusy) == "b 192.0.2.2");
  walks.options.local = ip("198.51.100.2");
  BOOST_TEST(walks.open("a", kBusy) == "a 192.0.2.1");
  // That it is not there at all, is so for everybody.
  BOOST_TEST(walks.open("b", kRefused) == "a 192.0.2.1, b 192.0.2.2");
  walks.options.local = ip("198.51.100.3");
  BOOST_TEST(walks.open("b") == "b 192.0.2.2");
}

BOOST_AUTO_TEST_CASE(ports_of_one_address_are_two_hosts) {
  Walks walks;
  walks.hosts = {{10, "a", 2525}, {20, "b"}};
  walks.dns.host("a", {"192.0.2.1"});
  walks.dns.host("b", {"192.0.2.1"});
  auto walk = walks.begin();
  const auto first = walks.next(*walk);
  BOOST_TEST(first->remote.str() == "192.0.2.1:2525");
  walk->failed(*first, kRefused, true);
  BOOST_TEST(walks.next(*walk)->remote.str() == "192.0.2.1:25");
}

// Labels may hold colons: whoever publishes such an MX sets aside himself alone.
BOOST_AUTO_TEST_CASE(a_name_that_looks_like_an_address_sets_aside_nobody) {
  Walks walks;
  walks.hosts = {{10, "192.0.2.1:25"}};
  walks.dns.hosts["192.0.2.1:25"].status = net::DnsStatus::kFailed;
  BOOST_TEST(walks.open("nobody") == "");
  BOOST_TEST(walks.bad.size() == 1U);
  walks.hosts = {{10, "a"}, {20, "b"}};
  walks.dns.host("a", {"192.0.2.1"});
  walks.dns.host("b", {"192.0.2.2"});
  BOOST_TEST(walks.open("a") == "a 192.0.2.1");
}

BOOST_AUTO_TEST_CASE(a_name_that_dns_fails_for_is_asked_for_last) {
  Walks walks;
  walks.hosts = {{10, "a"}, {20, "b"}};
  walks.dns.hosts["a"].status = net::DnsStatus::kFailed;
  walks.dns.host("b", {"192.0.2.2"});
  BOOST_TEST(walks.open("b") == "b 192.0.2.2");
  BOOST_TEST((walks.dns.asked == std::vector<std::string>{"a", "b"}));
  BOOST_TEST(walks.open("b") == "b 192.0.2.2");
  BOOST_TEST((walks.dns.asked == std::vector<std::string>{"a", "b", "b"}));
  walks.dns.hosts["a"] = {};
  walks.dns.host("a", {"192.0.2.1"});
  BOOST_TEST(walks.open("a") == "b 192.0.2.2, a 192.0.2.1");  // Set aside still, and b does not answer now.
}

BOOST_AUTO_TEST_CASE(what_does_not_count_is_not_remembered) {
  Walks walks;
  walks.hosts = {{10, "a"}, {20, "b"}};
  walks.dns.host("a", {"192.0.2.1"});
  walks.dns.host("b", {"192.0.2.2"});
  auto walk = walks.begin();
  walk->failed(*walks.next(*walk), kBusy, false);
  BOOST_TEST(walks.bad.size() == 0U);
  walks.options.bad_hosts = nullptr;
  BOOST_TEST(walks.open("b") == "a 192.0.2.1, b 192.0.2.2");
  BOOST_TEST(walks.open("b") == "a 192.0.2.1, b 192.0.2.2");
}

// ---------------------------------------------------------------------------------------------------------------------
// BadHosts by itself

BOOST_AUTO_TEST_CASE(the_time_grows_and_has_an_end) {
  BadHosts bad;
  TimePoint now{};
  for (const auto wait : {1min, 2min, 4min, 8min, 16min, 32min, 32min, 32min}) {
    bad.failed("a", now);
    BOOST_TEST((bad.ask("a", now) == now + wait));
    now += wait;
    BOOST_TEST((bad.ask("a", now) <= now));  // Somebody tries.
  }
  bad.worked("a");
  bad.failed("a", now);
  BOOST_TEST((bad.ask("a", now) == now + 1min));
  // So does one that nobody asked for in an hour after its time.
  now += 1min + 1h;
  bad.failed("a", now);
  BOOST_TEST((bad.ask("a", now) == now + 1min));
}

BOOST_AUTO_TEST_CASE(failures_at_once_count_as_one) {
  BadHosts bad;
  const TimePoint now{};
  for (int i = 0; i < 10; ++i) bad.failed("a", now + i * 1s);
  BOOST_TEST((bad.ask("a", now + 10s) == now + 1min));
}

BOOST_AUTO_TEST_CASE(one_probes_while_the_others_wait) {
  BadHosts bad;
  const TimePoint over = TimePoint{} + 1min;
  bad.failed("a", TimePoint{});
  BOOST_TEST((bad.ask("a", over) <= over));
  BOOST_TEST((bad.ask("a", over) == over + 30s));
  BOOST_TEST((bad.ask("a", over + 29s) == over + 30s));
  BOOST_TEST((bad.ask("a", over + 30s) <= over + 30s));  // The first is lost: the next one.
  bad.failed("a", over + 31s);
  BOOST_TEST((bad.ask("a", over + 31s) == over + 31s + 2min));
}

BOOST_AUTO_TEST_CASE(entries_have_a_cap) {
  BadHosts bad({.entries_max = 3});
  for (int i = 0; i < 10; ++i) bad.failed(std::to_string(i), TimePoint{});
  BOOST_TEST(bad.size() == 3U);
  BOOST_TEST((bad.ask("9", TimePoint{}) > TimePoint{}));
  BOOST_TEST((bad.ask("0", TimePoint{}) <= TimePoint{}));
}

// ---------------------------------------------------------------------------------------------------------------------
// Families

namespace {

struct Family {
  std::string_view name;
  std::vector<std::string> a, b;  // Addresses of the hosts a and b.
  std::string_view tried;
};

const Family kFamilies[] = {
    {"in turns",
     {"2001:db8::1", "2001:db8::2", "192.0.2.1", "192.0.2.2"},
     {},
     "a 2001:db8::1, a 192.0.2.1, a 2001:db8::2, a 192.0.2.2"},
    {"IPv4 first, as the resolver has it", {"192.0.2.1", "2001:db8::1"}, {}, "a 192.0.2.1, a 2001:db8::1"},
    {"more of one", {"2001:db8::1", "192.0.2.1", "192.0.2.2"}, {}, "a 2001:db8::1, a 192.0.2.1, a 192.0.2.2"},
    {"the next host by the other family than what failed last",
     {"2001:db8::1"},
     {"2001:db8::2", "192.0.2.2"},
     "a 2001:db8::1, b 192.0.2.2, b 2001:db8::2"},
    {"five tries and no more",
     {"2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4", "192.0.2.1", "192.0.2.2"},
     {},
     "a 2001:db8::1, a 192.0.2.1, a 2001:db8::2, a 192.0.2.2, a 2001:db8::3"},
};

}  // namespace

BOOST_AUTO_TEST_CASE(families_in_turns) {
  for (const Family& c : kFamilies) {
    BOOST_TEST_CONTEXT(c.name) {
      Walks walks;
      walks.hosts = {{10, "a"}};
      walks.dns.host("a", c.a);
      if (!c.b.empty()) {
        walks.hosts.push_back({20, "b"});
        walks.dns.host("b", c.b);
      }
      BOOST_TEST(walks.open("nobody") == c.tried);
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Chance among equals

BOOST_AUTO_TEST_CASE(equals_share_evenly) {
  constexpr int kOpenings = 6000;
  std::map<std::string, int> first;
  std::map<std::string, int> order;
  Walks walks;
  walks.hosts = {{10, "a"}, {10, "b"}, {10, "c"}, {20, "d"}};
  walks.options.bad_hosts = nullptr;
  for (const char* host : {"a", "b", "c", "d"}) walks.dns.host(host, {"192.0.2.1"});
  for (int i = 0; i < kOpenings; ++i) {
    const std::string tried = walks.open("nobody");
    ++first[tried.substr(0, 1)];
    ++order[tried];
  }
  // Three standard deviations of a binomial: sqrt(6000 / 3 * 2 / 3) = 37, and sqrt(6000 / 6 * 5 / 6) = 29.
  BOOST_TEST(first.size() == 3U);
  for (const auto& [host, count] : first) BOOST_TEST(std::abs(count - kOpenings / 3) < 3 * 37);
  BOOST_TEST(order.size() == 6U);
  for (const auto& [tried, count] : order) BOOST_TEST(std::abs(count - kOpenings / 6) < 3 * 29);
}

// ---------------------------------------------------------------------------------------------------------------------
// Where no mail goes

namespace {

struct Target {
  std::string_view address;
  bool prohibited;
};

constexpr Target kTargets[] = {
    {"0.0.0.0", true},
    {"0.1.2.3", true},
    {"1.0.0.0", false},
    {"9.255.255.255", false},
    {"10.0.0.0", true},
    {"10.255.255.255", true},
    {"11.0.0.0", false},
    {"100.63.255.255", false},
    {"100.64.0.1", true},
    {"100.127.255.255", true},
    {"100.128.0.0", false},
    {"127.0.0.1", true},
    {"127.255.255.255", true},
    {"128.0.0.0", false},
    {"169.254.169.254", true},
    {"169.253.0.1", false},
    {"172.15.255.255", false},
    {"172.16.0.1", true},
    {"172.31.255.255", true},
    {"172.32.0.0", false},
    {"192.0.0.8", true},
    {"192.0.2.1", false},
    {"192.88.99.1", true},
    {"192.167.255.255", false},
    {"192.168.0.1", true},
    {"192.169.0.0", false},
    {"198.17.255.255", false},
    {"198.18.0.1", true},
    {"198.19.255.255", true},
    {"198.20.0.0", false},
    {"198.51.100.1", false},
    {"203.0.113.1", false},
    {"223.255.255.255", false},
    {"224.0.0.1", true},
    {"239.255.255.255", true},
    {"240.0.0.1", true},
    {"255.255.255.255", true},
    {"::", true},
    {"::1", true},
    {"::127.0.0.1", true},
    {"::ffff:127.0.0.1", true},
    {"::ffff:192.0.2.1", true},
    {"::ffff:0:192.0.2.1", true},
    {"64:ff9b::192.0.2.1", true},
    {"64:ff9b:1::1", true},
    {"64:ff9b:2::1", true},
    {"100::1", true},
    {"2001::1", true},
    {"2001:1ff::1", true},
    {"2001:200::1", false},
    {"2001:db8::1", false},
    {"3fff::1", false},
    {"4000::1", true},
    {"2002:7f00:1::", true},
    {"2606:4700::1", false},
    {"fbff::1", true},
    {"fc00::1", true},
    {"fd12:3456::1", true},
    {"fe80::1", true},
    {"febf::1", true},
    {"fec0::1", true},
    {"ff02::1", true},
};

}  // namespace

BOOST_AUTO_TEST_CASE(prohibited_addresses) {
  const TargetRules rules;
  for (const Target& c : kTargets) {
    BOOST_TEST_CONTEXT(c.address) { BOOST_TEST(rules.prohibits(ip(c.address)) == c.prohibited); }
  }
  BOOST_TEST(rules.prohibits({}));
}

BOOST_AUTO_TEST_CASE(allowed_ranges) {
  const TargetRules rules = TargetRules::make({.allowed = {"127.0.0.0/8", "64:ff9b::/96"}}).value();
  BOOST_TEST(!rules.prohibits(ip("127.0.0.1")));
  BOOST_TEST(!rules.prohibits(ip("64:ff9b::192.0.2.1")));
  BOOST_TEST(rules.prohibits(ip("10.0.0.1")));
  BOOST_TEST(rules.prohibits(ip("::1")));
  const auto bad = TargetRules::make({.allowed = {"127.0.0.1/8"}});
  BOOST_REQUIRE(!bad);
  BOOST_TEST(bad.error().detail == "allowed targets: \"127.0.0.1/8\": bits behind the prefix are not zero");
}

BOOST_AUTO_TEST_CASE(loopback_is_nobodys_own) {
  const TargetRules rules =
      TargetRules::make({.own = {ip("127.0.0.1"), ip("::1"), ip("192.0.2.9"), net::IpAddress()}}).value();
  BOOST_TEST(rules.any_ours());
  BOOST_TEST(rules.ours(ip("192.0.2.9")));
  BOOST_TEST(rules.ours(ip("::ffff:192.0.2.9")));
  for (const char* other : {"127.0.0.1", "::1", "192.0.2.8"}) BOOST_TEST(!rules.ours(ip(other)));
  BOOST_TEST(!rules.ours({}));
  BOOST_TEST(!TargetRules::make({.own = {ip("127.0.0.1")}}).value().any_ours());
}

namespace {

struct Rule {
  std::string_view name;
  std::vector<smtp::RouteHost> hosts;
  std::map<std::string, std::vector<std::string>> addresses;
  std::string_view tried;
  std::string_view failure;
  bool relay = false;
};

// We are 192.0.2.9 and 2001:db8::9.
const Rule kRules[] = {
    {"only prohibited",
     {{10, "a"}},
     {{"a", {"127.0.0.1"}}},
     "",
     "route prohibited_address (a has the prohibited address 127.0.0.1)"},
    {"prohibited beside another",
     {{10, "a"}},
     {{"a", {"10.0.0.1", "192.0.2.1"}}},
     "a 192.0.2.1",
     "connect connect_failed (refused)"},
    {"the next host",
     {{10, "a"}, {20, "b"}},
     {{"a", {"::1"}}, {"b", {"192.0.2.2"}}},
     "b 192.0.2.2",
     "connect connect_failed (refused)"},
    {"a literal",
     {{0, "[127.0.0.1]"}},
     {},
     "",
     "route prohibited_address ([127.0.0.1] has the prohibited address 127.0.0.1)"},
    {"an IPv6 literal",
     {{0, "[::ffff:127.0.0.1]"}},
     {},
     "",
     "route prohibited_address ([::ffff:127.0.0.1] has the prohibited address ::ffff:127.0.0.1)"},
    {"a relay may be anywhere",
     {{10, "a"}},
     {{"a", {"10.0.0.1"}}},
     "a 10.0.0.1",
     "connect connect_failed (refused)",
     true},
    {"DNS may say more later",
     {{10, "a"}, {20, "fails"}},
     {{"a", {"10.0.0.1"}}},
     "",
     "route dns_failure (fails: SERVFAIL)"},
    {"a missing name says less",
     {{10, "gone"}, {20, "a"}},
     {{"a", {"10.0.0.1"}}},
     "",
     "route prohibited_address (a has the prohibited address 10.0.0.1)"},
    {"best is ourselves",
     {{10, "a"}, {20, "b"}},
     {{"a", {"192.0.2.9"}}, {"b", {"192.0.2.2"}}},
     "",
     "route mail_loop (a is ourselves, 192.0.2.9)"},
    {"ourselves by IPv6",
     {{10, "a"}},
     {{"a", {"192.0.2.1", "2001:db8::9"}}},
     "",
     "route mail_loop (a is ourselves, 2001:db8::9)"},
    {"second is ourselves",
     {{10, "a"}, {20, "b"}, {20, "c"}, {30, "d"}},
     {{"a", {"192.0.2.1"}}, {"b", {"192.0.2.9"}}, {"c", {"192.0.2.3"}}, {"d", {"192.0.2.4"}}},
     "a 192.0.2.1",
     "connect connect_failed (refused)"},
    {"equal to ourselves",
     {{10, "a"}, {10, "b"}, {10, "c"}},
     {{"a", {"192.0.2.1"}}, {"b", {"192.0.2.9"}}, {"c", {"192.0.2.3"}}},
     "",
     "route mail_loop (b is ourselves, 192.0.2.9)"},
    {"a relay may be ourselves",
     {{10, "a"}},
     {{"a", {"192.0.2.9"}}},
     "a 192.0.2.9",
     "connect connect_failed (refused)",
     true},
};

}  // namespace

BOOST_AUTO_TEST_CASE(loops_and_prohibited_hosts) {
  for (const Rule& c : kRules) {
    for (std::uint64_t seed = 1; seed <= 8; ++seed) {  // Whatever the order among equals.
      BOOST_TEST_CONTEXT(c.name) {
        Walks walks;
        walks.random = Random(seed);
        walks.hosts = c.hosts;
        walks.options.relay = c.relay;
        walks.options.targets = TargetRules::make({.own = {ip("192.0.2.9"), ip("2001:db8::9")}}).value();
        for (const auto& [host, addresses] : c.addresses) walks.dns.host(host, addresses);
        walks.dns.hosts["fails"].detail = "SERVFAIL";
        BOOST_TEST(walks.open("nobody") == c.tried);
        BOOST_TEST(walks.failure == c.failure);
      }
    }
  }
}

// The addresses are looked up at each opening: a host that moves is found at its new place by the next one.
BOOST_AUTO_TEST_CASE(a_moved_address_is_seen_by_the_next_opening) {
  Walks walks;
  walks.hosts = {{10, "a"}};
  walks.dns.host("a", {"192.0.2.1"});
  BOOST_TEST(walks.open("a") == "a 192.0.2.1");
  walks.dns.hosts.clear();
  walks.dns.host("a", {"192.0.2.77"});
  BOOST_TEST(walks.open("a") == "a 192.0.2.77");
}
