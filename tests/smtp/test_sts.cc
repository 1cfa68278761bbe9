// MTA-STS: the record, the policy, and who keeps it.
#include <boost/test/unit_test.hpp>

#include "mailsbuddy/smtp.h"
#include "tests/smtp/fakes.h"

using namespace mailsbuddy;
using namespace mailsbuddy::test;
using namespace std::chrono_literals;
using smtp::StsMode;
using smtp::StsPolicy;

namespace {

constexpr std::string_view kEnforce =
    "version: STSv1\nmode: enforce\nmx: mx1.example.net\nmx: *.mail.example.net\nmax_age: 604800\n";

struct Policy {
  std::string_view name;
  std::string text;
  std::string_view says;  // "enforce mx1.example.net,*.mail.example.net 604800", or the reason.
  bool good = true;
};

std::string with(std::string_view line) { return std::string(kEnforce) + std::string(line) + "\n"; }

const Policy kPolicies[] = {
    {"enforce", std::string(kEnforce), "enforce mx1.example.net,*.mail.example.net 604800"},
    {"CRLF, blanks, no end", "version:STSv1\r\nmode:  testing \r\nmx:mx.example.net\r\nmax_age: 86400",
     "testing mx.example.net 86400"},
    {"none needs no mx", "version: STSv1\nmode: none\nmax_age: 86400\n", "none  86400"},
    {"any order", "max_age: 1\nmx: a.example\nmode: enforce\nversion: STSv1\n", "enforce a.example 1"},
    {"extensions", with("future: yes: no"), "enforce mx1.example.net,*.mail.example.net 604800"},
    {"empty lines", "\n" + with(""), "enforce mx1.example.net,*.mail.example.net 604800"},
    {"the first counts", with("mode: none"), "enforce mx1.example.net,*.mail.example.net 604800"},
    {"letter case of mx, trailing dot", "version: STSv1\nmode: enforce\nmx: MX.Example.NET.\nmax_age: 5\n",
     "enforce mx.example.net 5"},
    {"a year at most", "version: STSv1\nmode: none\nmax_age: 9999999999\n", "none  31557600"},
    {"empty", "", "line 1: no version", false},
    {"no version", "mode: none\nmax_age: 1\n", "line 1: no version", false},
    {"another version", "version: STSv2\nmode: none\nmax_age: 1\n", "line 1: the version is not STSv1", false},
    {"no mode", "version: STSv1\nmx: a.example\nmax_age: 1\n", "no mode", false},
    {"another mode", "version: STSv1\nmode: Enforce\n", "line 2: the mode is not enforce, testing or none", false},
    {"no max_age", "version: STSv1\nmode: none\n", "no max_age", false},
    {"max_age negative", "version: STSv1\nmax_age: -1\n", "line 2: max_age is not up to ten digits", false},
    {"max_age too long", "version: STSv1\nmax_age: 10000000000\n", "line 2: max_age", false},
    {"max_age empty", "version: STSv1\nmax_age:\n", "line 2: max_age", false},
    {"no mx", "version: STSv1\nmode: enforce\nmax_age: 1\n", "no mx", false},
    {"no colon", "version: STSv1\nmode enforce\n", "line 2: no colon", false},
    {"wildcard in the middle", with("mx: mx.*.example.net"), "line 6: mx is neither", false},
    {"half a wildcard", with("mx: m*.example.net"), "line 6: mx is neither", false},
    {"wildcard alone", with("mx: *."), "line 6: mx is neither", false},
    {"empty mx", with("mx:"), "line 6: mx is neither", false},
    {"two dots", with("mx: a..example"), "line 6: mx is neither", false},
    {"not UTF-8", with("x: \xff"), "line 1: not UTF-8", false},
    {"HTML", "<html><body>Not found</body></html>", "line 1: no colon", false},
    {"too many mx",
     [] {
       std::string text;
       for (int i = 0; i < 257; ++i) text += "mx: a.example\n";
       return text;
     }(),
     "line 257: more than 256 mx", false},
    {"too large", std::string(70'000, '\n'), "more than 65536 octets", false},
};

std::string words(const StsPolicy& policy) {
  std::string mx;
  for (const std::string& pattern : policy.mx) mx += (mx.empty() ? "" : ",") + pattern;
  return std::string(to_string(policy.mode)) + " " + mx + " " + std::to_string(policy.max_age.count());
}

}  // namespace

BOOST_AUTO_TEST_CASE(policies) {
  for (const Policy& c : kPolicies) BOOST_TEST_CONTEXT(c.name) {
      const auto policy = StsPolicy::parse(c.text);
      BOOST_TEST(policy.has_value() == c.good);
      if (policy) {
        BOOST_TEST(words(*policy) == c.says);
        std::string again;
        for (const std::string& line : policy->lines()) again += line + "\r\n";
        BOOST_TEST((StsPolicy::parse(again).value() == *policy));
      } else {
        BOOST_TEST(policy.error().detail.find(c.says) != std::string::npos, policy.error().detail);
      }
    }
}

// RFC 8461 4.1.
BOOST_AUTO_TEST_CASE(hosts_in_a_policy) {
  const StsPolicy policy = StsPolicy::parse(kEnforce).value();
  struct {
    std::string_view host;
    bool matches;
  } const hosts[] = {
      {"mx1.example.net", true},
      {"MX1.Example.Net.", true},
      {"mx2.example.net", false},
      {"a.mail.example.net", true},
      {"a.b.mail.example.net", false},
      {"mail.example.net", false},
      {".mail.example.net", false},
      {"amail.example.net", false},
      {"mx1.example.net.evil.example", false},
      {"", false},
      {"[192.0.2.1]", false},
  };
  for (const auto& c : hosts) BOOST_TEST_CONTEXT(c.host) BOOST_TEST(policy.matches(c.host) == c.matches);
}

BOOST_AUTO_TEST_CASE(records) {
  struct {
    std::string_view name;
    std::vector<std::string> texts;
    std::string_view id;
  } const cases[] = {
      {"good", {"v=STSv1; id=20160831085700Z;"}, "20160831085700Z"},
      {"no end, no blanks", {"v=STSv1;id=1"}, "1"},
      {"extensions", {"v=STSv1; future=x; id=2; more=y"}, "2"},
      {"others beside it", {"v=spf1 -all", "v=STSv1; id=3"}, "3"},
      {"none", {}, ""},
      {"another version", {"v=STSv2; id=1"}, ""},
      {"two", {"v=STSv1; id=1", "v=STSv1; id=1"}, ""},
      {"no id", {"v=STSv1;"}, ""},
      {"empty id", {"v=STSv1; id="}, ""},
      {"id too long", {"v=STSv1; id=" + std::string(33, '1')}, ""},
      {"id with a blank", {"v=STSv1; id=1 2"}, ""},
      {"version not first", {"id=1; v=STSv1"}, ""},
  };
  for (const auto& c : cases)
    BOOST_TEST_CONTEXT(c.name) BOOST_TEST(smtp::parse_sts_record(c.texts).value_or("") == c.id);
}

// ---------------------------------------------------------------------------------------------------------------------
// Who keeps them

namespace {

struct Kept {
  FakeLoop loop;
  FakeResolver dns{loop};
  FakeHttps https{loop};
  smtp::StsFinder finder{loop, dns, https};

  void record(const std::string& id) {
    dns.texts["_mta-sts.example.net"] = {.status = net::DnsStatus::kOk, .records = {"v=STSv1; id=" + id}};
  }
  void no_record(net::DnsStatus status = net::DnsStatus::kNxDomain) {
    dns.texts["_mta-sts.example.net"] = {.status = status};
  }
  void page(net::HttpsReply reply) { https.pages["mta-sts.example.net"] = std::move(reply); }
  void policy(std::string_view mode, std::string_view mx = "mx.example.net", int max_age = 604'800) {
    page(policy_page("version: STSv1\nmode: " + std::string(mode) + "\nmx: " + std::string(mx) +
                     "\nmax_age: " + std::to_string(max_age) + "\n"));
  }
  // "enforce mx.example.net", "none", "none: sts-policy-fetch-error: ..."; "waits" if there is no answer yet.
  std::string find(std::string_view domain = "example.net") {
    std::string said = "waits";
    finder.find(domain, [&](const smtp::StsFinder::Found& found) {
      said = found.policy ? std::string(to_string(found.policy->mode)) + " " + found.policy->mx.front() : "none";
      if (!found.failure.empty()) said += ": " + found.failure;
    });
    BOOST_TEST(said == "waits");  // Never from inside.
    loop.run();
    return said;
  }
  int fetches() const { return static_cast<int>(https.asked.size()); }
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(without_a_record_nothing_is_fetched, Kept) {
  BOOST_TEST(find() == "none");
  no_record(net::DnsStatus::kFailed);
  BOOST_TEST(find() == "none");
  BOOST_TEST(fetches() == 0);
}

BOOST_FIXTURE_TEST_CASE(fetched_once_and_kept, Kept) {
  record("1");
  policy("enforce");
  BOOST_TEST(find() == "enforce mx.example.net");
  BOOST_TEST(https.asked.front() == "mta-sts.example.net/.well-known/mta-sts.txt");
  BOOST_TEST(find("Example.NET.") == "enforce mx.example.net");
  loop.advance(23h);
  BOOST_TEST(find() == "enforce mx.example.net");
  BOOST_TEST(fetches() == 1);
}

BOOST_FIXTURE_TEST_CASE(a_new_id_is_fetched, Kept) {
  record("1");
  policy("enforce");
  find();
  record("2");
  policy("testing", "mx2.example.net");
  BOOST_TEST(find() == "testing mx2.example.net");
  policy("none");
  record("3");
  BOOST_TEST(find() == "none");
  BOOST_TEST(fetches() == 3);
}

BOOST_FIXTURE_TEST_CASE(a_day_old_it_is_made_younger_and_nobody_waits, Kept) {
  record("1");
  policy("enforce");
  find();
  https.pages.clear();  // Answers when the test says so.
  loop.advance(25h);
  BOOST_TEST(find() == "enforce mx.example.net");
  BOOST_TEST(https.waiting.size() == 1U);
  BOOST_TEST(find() == "enforce mx.example.net");  // The one fetch is under way.
  BOOST_TEST(https.waiting.size() == 1U);
  https.waiting.front()(policy_page("version: STSv1\nmode: enforce\nmx: new.example.net\nmax_age: 86400\n"));
  BOOST_TEST(find() == "enforce new.example.net");
}

BOOST_FIXTURE_TEST_CASE(the_old_one_stays_while_the_new_one_cannot_be_had, Kept) {
  record("1");
  policy("enforce");
  find();
  record("2");
  page({.failure = net::HttpsFailure::kConnect, .detail = "refused"});
  BOOST_TEST(find() == "enforce mx.example.net: sts-policy-fetch-error: connect: refused");
  BOOST_TEST(find() == "enforce mx.example.net: sts-policy-fetch-error: connect: refused");
  BOOST_TEST(fetches() == 2);  // Not again for five minutes.
  loop.advance(5min + 1s);
  find();
  BOOST_TEST(fetches() == 3);
  no_record();
  BOOST_TEST(find() == "enforce mx.example.net");  // Also without its record,
  loop.advance(std::chrono::hours(24 * 7));
  BOOST_TEST(find() == "none");  // until its time is over.
}

BOOST_FIXTURE_TEST_CASE(a_failed_fetch_is_not_repeated_at_once_but_for_a_new_id, Kept) {
  record("1");
  page({.status = 404, .content_type = "text/plain"});
  BOOST_TEST(find() == "none: sts-policy-fetch-error: HTTP status 404");
  BOOST_TEST(find() == "none: sts-policy-fetch-error: HTTP status 404");
  BOOST_TEST(fetches() == 1);
  record("2");
  policy("enforce");
  BOOST_TEST(find() == "enforce mx.example.net");
}

BOOST_FIXTURE_TEST_CASE(what_is_wrong_with_a_page, Kept) {
  struct {
    std::string_view name;
    net::HttpsReply reply;
    std::string_view says;
  } const cases[] = {
      {"redirect", {.status = 301}, "sts-policy-fetch-error: HTTP status 301"},
      {"HTML",
       {.status = 200, .content_type = "text/html", .body = std::string(kEnforce)},
       "sts-policy-invalid: it is of type \"text/html\""},
      {"no type", {.status = 200, .body = std::string(kEnforce)}, "sts-policy-invalid: it is of type \"\""},
      {"bad policy", policy_page("version: STSv1\n"), "sts-policy-invalid: MTA-STS policy, line 1: no mode"},
      {"certificate", {.failure = net::HttpsFailure::kTls, .detail = "expired"}, "sts-webpki-invalid: tls: expired"},
      {"private address",
       {.failure = net::HttpsFailure::kProhibited, .detail = "127.0.0.1"},
       "sts-policy-fetch-error: prohibited: 127.0.0.1"},
      {"too large",
       {.failure = net::HttpsFailure::kTooLarge, .detail = "large"},
       "sts-policy-fetch-error: too_large: large"},
  };
  int id = 0;
  for (const auto& c : cases) BOOST_TEST_CONTEXT(c.name) {
      record(std::to_string(++id));
      page(c.reply);
      BOOST_TEST(find() == "none: " + std::string(c.says));
    }
}

BOOST_FIXTURE_TEST_CASE(a_policy_host_that_hangs_holds_up_its_domain_for_a_while_only, Kept) {
  record("1");
  std::string said;
  finder.find("example.net",
              [&](const smtp::StsFinder::Found& found) { said = found.policy ? "policy" : "none: " + found.failure; });
  loop.advance(smtp::kStsWait - 1s);
  BOOST_TEST(said == "");
  loop.advance(2s);
  BOOST_TEST(said == "none: sts-policy-fetch-error: timeout");
  BOOST_TEST(find() == "none: sts-policy-fetch-error: timeout");  // At once: it is known to hang.
  BOOST_TEST(fetches() == 1);
  https.waiting.front()(policy_page(std::string(kEnforce)));  // Late, and kept all the same.
  BOOST_TEST(find() == "enforce mx1.example.net");
}

BOOST_FIXTURE_TEST_CASE(max_age_of_nothing_is_not_fetched_for_each_message, Kept) {
  record("1");
  policy("enforce", "mx.example.net", 0);
  BOOST_TEST(find() == "none");
  BOOST_TEST(find() == "none");
  BOOST_TEST(fetches() == 1);
}

BOOST_FIXTURE_TEST_CASE(saved_and_loaded, Kept) {
  BOOST_TEST(!finder.changed());
  record("1");
  policy("enforce");
  find();
  BOOST_TEST(finder.changed());
  const std::string saved = finder.save();
  BOOST_TEST(!finder.changed());
  Kept other;
  other.finder.load(saved);
  other.no_record();
  BOOST_TEST(other.find() == "enforce mx.example.net");
  BOOST_TEST(other.fetches() == 0);
  BOOST_TEST(other.finder.save() == saved);
  for (std::size_t i = 0; i < saved.size(); ++i) {  // Cut off anywhere: nothing bad is loaded.
    Kept cut;
    cut.finder.load(std::string_view(saved).substr(0, i));
    cut.no_record();
    BOOST_TEST(cut.find() == "none");
  }
  Kept later;
  later.loop.advance(std::chrono::hours(24 * 8));
  later.finder.load(saved);
  later.no_record();
  BOOST_TEST(later.find() == "none");
}

BOOST_AUTO_TEST_CASE(destroyed_under_way_nobody_is_called) {
  FakeLoop loop;
  FakeResolver dns{loop};
  FakeHttps https{loop};
  dns.texts["_mta-sts.example.net"] = {.status = net::DnsStatus::kOk, .records = {"v=STSv1; id=1"}};
  auto finder = std::make_unique<smtp::StsFinder>(loop, dns, https);
  finder->find("example.net", [](const auto&) { BOOST_ERROR("called"); });
  loop.run();
  BOOST_REQUIRE(https.waiting.size() == 1U);
  finder.reset();
  https.waiting.front()(policy_page(std::string(kEnforce)));
  loop.advance(1min);
}
