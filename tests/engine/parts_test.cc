// The engine's small parts: events in the outbox, merge fields, retry times, rates, the seen set, list headers.
#include <boost/test/unit_test.hpp>
#include <numeric>
#include <set>

#include "engine/events.h"
#include "engine/fields.h"
#include "engine/intake.h"
#include "engine/job.h"
#include "engine/provider_lookups.h"
#include "engine/retry.h"

using namespace mailsbuddy;
using namespace mailsbuddy::engine;
using namespace std::chrono_literals;

namespace {

Event sample_event() {
  return {.kind = EventKind::kDeferred,
          .time = TimePoint(5s),
          .job = "spring",
          .account = "brand",
          .recipient = "ann@example.net",
          .row = 7,
          .attempt = 3,
          .outcome = {.stage = Stage::kRcptTo,
                      .cause = Cause::kReply,
                      .reply = {.code = 451, .enhanced = EnhancedCode{4, 7, 1}, .text = "Greylisted\nlater"},
                      .detail = "d"},
          .verdict = {.klass = bounce::Class::kGreylisted, .permanence = bounce::Permanence::kSoft,
                      .scope = bounce::Scope::kRecipient, .reaction = bounce::Reaction::kRetry, .rule = {}},
          .rule = "general/greylisted",
          .provider = "example.net",
          .egress = "192.0.2.1",
          .mx_host = "mx1.example.net",
          .tls = true,
          .due = TimePoint(99s)};
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_decision_survives_the_outbox_and_is_no_event) {
  const warming::Decision decision{.kind = warming::DecisionKind::kStepBack,
                                   .time = TimePoint(5s),
                                   .provider = "google",
                                   .ip = "192.0.2.1",
                                   .rule = "deferral_step_back",
                                   .seen = "deferred 5.2 % of 1204",
                                   .what = "daily cap",
                                   .old_value = 1'000,
                                   .new_value = 500};
  const std::string bytes = encode_decision(decision);
  const auto back = decode_decision(bytes);
  BOOST_REQUIRE(back.has_value());
  BOOST_TEST(back->str() == decision.str());
  BOOST_TEST(is_decision(bytes));
  BOOST_TEST(!is_decision(encode_event(sample_event())));
  BOOST_TEST(!is_decision({}));
  for (std::size_t size = 0; size < bytes.size(); ++size) BOOST_TEST(!decode_decision(bytes.substr(0, size)).has_value());
  BOOST_TEST(!decode_decision(encode_event(sample_event())).has_value());
}

BOOST_AUTO_TEST_CASE(an_event_survives_the_outbox) {
  const Event event = sample_event();
  const auto back = decode_event(encode_event(event));
  BOOST_REQUIRE(back.has_value());
  BOOST_TEST(encode_event(*back) == encode_event(event));
  BOOST_TEST(back->outcome.str() == event.outcome.str());
  BOOST_TEST(back->rule == event.rule);
  BOOST_TEST((back->due == event.due));
}

BOOST_AUTO_TEST_CASE(a_torn_event_is_refused_at_every_length) {
  const std::string bytes = encode_event(sample_event());
  for (std::size_t size = 0; size < bytes.size(); ++size) BOOST_TEST(!decode_event(bytes.substr(0, size)).has_value());
  BOOST_TEST(!decode_event(bytes + "x").has_value());
}

BOOST_AUTO_TEST_CASE(fields_survive_packing) {
  const std::vector<std::string> values{"", "a", std::string(127, 'x'), std::string(128, 'y'), std::string(20'000, 'z')};
  std::string packed;
  for (const std::string& value : values) append_field(packed, value);
  std::vector<std::string_view> back;
  unpack_fields(packed, back);
  BOOST_TEST(std::vector<std::string>(back.begin(), back.end()) == values, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(retries_wait_longer_and_are_spread) {
  Random random(1);
  struct Case {
    std::uint32_t attempt;
    std::chrono::minutes middle;
  };
  for (const Case c : {Case{1, 10min}, Case{2, 20min}, Case{3, 40min}, Case{4, 80min}, Case{5, 120min}, Case{1000, 120min}}) {
    std::set<Duration> seen;
    for (int i = 0; i < 1000; ++i) {
      const Duration delay = RetrySchedule(10min).after_attempt(c.attempt, random);
      BOOST_TEST((delay >= c.middle * 0.8 && delay <= c.middle * 1.2), c.attempt);
      seen.insert(delay);
    }
    BOOST_TEST(seen.size() > 900U);
  }
}

BOOST_AUTO_TEST_CASE(setting_aside_grows_to_its_limit) {
  const std::vector<std::chrono::minutes> expected{1min, 2min, 4min, 8min, 15min, 15min};
  for (std::size_t i = 0; i < expected.size(); ++i) BOOST_TEST((RetrySchedule(10min).after_failures(static_cast<int>(i) + 1) == expected[i]));
  BOOST_TEST((RetrySchedule(10min).after_failures(1'000'000) == 15min));
}

BOOST_AUTO_TEST_CASE(make_cost) {
  const auto count = [](MakeCost& cost, int times, Duration took) {
    for (int i = 0; i < times; ++i) cost.count(took);
  };
  MakeCost cost;
  BOOST_TEST(!cost.small());  // Nothing is known.
  count(cost, 10, 5us);
  BOOST_TEST(!cost.small());
  count(cost, 50, 5us);
  BOOST_TEST(cost.small());
  cost.count(1s);  // Not the template's fault.
  BOOST_TEST(cost.small());
  count(cost, 20, 300us);
  BOOST_TEST(!cost.small());
  count(cost, 100, 5us);
  BOOST_TEST(cost.small());
  for (int i = 0; i < 50; ++i) count(cost, 1, 5us), count(cost, 1, 1ms);  // Every other one is slow.
  BOOST_TEST(!cost.small());
  count(cost, 1000, 0ns);
  BOOST_TEST(cost.small());
  count(cost, 100, 1ms);
  BOOST_TEST(!cost.small());
}

BOOST_AUTO_TEST_CASE(the_rate_is_that_of_the_last_ten_seconds) {
  SettleRate rate;
  const TimePoint start(1'000'000s);
  BOOST_TEST(rate.per_second(start) == 0);
  rate.count(start, 50);
  BOOST_TEST(rate.per_second(start) == 50);
  rate.count(start + 4s, 50);
  BOOST_TEST(rate.per_second(start + 4s) == 20);
  BOOST_TEST(rate.per_second(start + 12s) == 5);   // The first fifty are more than ten seconds old.
  BOOST_TEST(rate.per_second(start + 60s) == 0);
  rate.count(start + 1000s, 30);
  BOOST_TEST(rate.per_second(start + 1000s) == 3);
}

BOOST_AUTO_TEST_CASE(an_address_is_seen_once_also_when_the_table_grows) {
  SeenAddresses seen(42);
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 20'000; ++i) BOOST_REQUIRE(seen.insert("user" + std::to_string(i) + "@x.test") == (round == 0));
  }
}

BOOST_AUTO_TEST_CASE(list_headers_are_checked) {
  struct Case {
    const char* name;
    ListHeaders list;
    bool good;
  };
  const Case kCases[] = {
      {"complete", {.unsubscribe_url = "https://b.example/u/{{ mb_token }}", .list_id = "l.b.example"}, true},
      {"not https", {.unsubscribe_url = "http://b.example/u", .list_id = "l.b.example"}, false},
      {"no url", {.unsubscribe_url = "", .list_id = "l.b.example"}, false},
      {"no list id", {.unsubscribe_url = "https://b.example/u", .list_id = ""}, false},
  };
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      const Content content{.headers = {{"Subject", "Hi"}}, .text = "Hi", .html = {}, .attachments = {}};
      BOOST_TEST(make_campaign_content(content, c.list).has_value() == c.good);
    }
  }
}

// Questions about domains' providers, answered by hand.
struct Lookups {
  struct Hands final : Clock {
    TimePoint time{};
    TimePoint now() const noexcept override { return time; }
  } clock;
  std::vector<spool::DomainNumber> asked;
  ProviderLookups lookups{[this](spool::DomainNumber domain) { asked.push_back(domain); }};

  static std::vector<spool::DomainNumber> some(spool::DomainNumber first, std::size_t count) {
    std::vector<spool::DomainNumber> domains(count);
    std::iota(domains.begin(), domains.end(), first);
    return domains;
  }
  std::size_t find(const std::vector<spool::DomainNumber>& domains, Duration time = {}) {
    lookups.add(domains, clock.now());
    return lookups.wait(domains, time, clock);
  }
  std::size_t take_asked() { return std::exchange(asked, {}).size(); }
  void answer(const std::vector<spool::DomainNumber>& domains) {
    for (const spool::DomainNumber domain : domains) lookups.answered(domain, clock.now());
  }
};

BOOST_AUTO_TEST_CASE(providers_are_looked_up_some_at_once_and_not_soon_again) {
  Lookups dns;
  const auto all = Lookups::some(0, 1000);
  BOOST_TEST(dns.find(all) == 1000U);
  BOOST_TEST(dns.find(all) == 1000U);
  BOOST_TEST(dns.asked.size() == ProviderLookups::kAtOnce);
  dns.clock.time += 10s;
  dns.answer(std::vector(dns.asked.begin(), dns.asked.begin() + 100));
  BOOST_TEST(dns.asked.size() == ProviderLookups::kAtOnce + 100);
  BOOST_TEST(dns.find(all) == 900U);
  BOOST_TEST(dns.find({dns.asked.front()}, 1h) == 0U);  // Said, and still not known: not once more now.
  BOOST_TEST(dns.asked.size() == ProviderLookups::kAtOnce + 100);
  dns.clock.time += 1min;
  const spool::DomainNumber first = dns.asked.front();
  BOOST_TEST(dns.find({first}) == 1U);
  dns.answer({dns.asked[100]});  // What is on its way is answered late, and makes room.
  BOOST_TEST(dns.asked.back() == first);
}

BOOST_AUTO_TEST_CASE(the_dns_is_given_its_time_for_each_domain) {
  Lookups dns;
  BOOST_TEST(dns.find({1}) == 1U);
  dns.clock.time += 20s;
  BOOST_TEST(dns.find({2}) == 1U);
  dns.clock.time += 10s;
  BOOST_TEST(dns.find({1}, 1h) == 0U);  // Nobody waits for ever, nor for what somebody has waited for.
  BOOST_TEST(dns.find({1, 2}) == 1U);   // Whoever came later has as long.
  dns.clock.time += 20s;
  BOOST_TEST(dns.find({1, 2}, 1h) == 0U);
  BOOST_TEST(dns.take_asked() == 2U);
  dns.answer({1, 2});
  BOOST_TEST(dns.find({1, 2}, 1h) == 0U);
  BOOST_TEST(dns.take_asked() == 0U);
  dns.clock.time += 1min;
  BOOST_TEST(dns.find({1, 2}) == 2U);
  BOOST_TEST(dns.take_asked() == 2U);
}

BOOST_AUTO_TEST_CASE(a_few_domains_do_not_wait_behind_many_that_are_dead) {
  Lookups dns;
  BOOST_TEST(dns.find(Lookups::some(0, 10'000)) == 10'000U);
  BOOST_TEST(dns.find({20'000}) == 1U);
  dns.answer({dns.asked.front()});
  BOOST_TEST(dns.asked.back() == 20'000U);
  dns.answer({20'000});
  BOOST_TEST(dns.find({20'000}, 1h) == 0U);
}

BOOST_AUTO_TEST_CASE(a_domain_that_was_not_asked_about_may_be_at_once) {
  Lookups dns;
  const auto many = Lookups::some(0, 1000);
  BOOST_TEST(dns.find(many) == 1000U);
  const std::size_t begun = dns.take_asked();
  dns.clock.time += 31s;  // Who wanted to know has gone.
  dns.answer(std::vector(many.end() - 256, many.end()));
  BOOST_TEST(dns.take_asked() == 0U);
  BOOST_TEST(dns.find(many) == 1000U - begun);
  BOOST_TEST(dns.take_asked() == ProviderLookups::kAtOnce);
}
