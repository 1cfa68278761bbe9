// Exact accounting in random worlds: receivers that defer, refuse, fall silent, reset and close at random, over hours
// of simulated time; some of what they took they return later. Whatever happens: every row ends in exactly one final
// event, what is counted as delivered was taken by a receiver once, and nothing is taken twice but after an unknown
// outcome.
#include <fmt/format.h>

#include <boost/test/unit_test.hpp>
#include <map>
#include <numeric>
#include <set>

#include "mailsbuddy/engine.h"
#include "tests/sim/caller.h"
#include "tests/sim/disk_spool.h"
#include "tests/sim/returned.h"
#include "tests/sim/sim.h"

using namespace mailsbuddy;
using namespace std::chrono_literals;
using sim::Collector;
using sim::Rows;

namespace {

sim::Action random_action(Random& random, const std::string& stage) {
  using Kind = sim::Action::Kind;
  switch (random.below(12)) {
    case 0: return {Kind::kReply, "421 4.3.2 Shutting down"};
    case 1: return {Kind::kReply, "451 4.7.1 Try later"};
    case 2: return {Kind::kReply, stage == "RCPT" ? "550 5.1.1 No such user" : "550 5.7.1 Refused"};
    case 3: return {Kind::kClose, {}};
    case 4: return {Kind::kReset, {}};
    case 5: return {Kind::kSilence, {}};
    case 6: return {Kind::kGarbage, {}};
    default: break;
  }
  if (stage == "DATA") return {Kind::kReply, "354 Go"};
  if (stage == "GREETING") return {Kind::kReply, "220 ready"};
  return {Kind::kReply, "250 Ok"};
}

void fill_with_trouble(sim::World& world, Random& random, int domains) {
  for (int i = 0; i < domains; ++i) {
    const std::string domain = fmt::format("d{}.test", i);
    const std::string host = "mx." + domain;
    const std::string ip = fmt::format("198.51.100.{}", i + 1);
    world.mx[domain] = {{10, host}};
    world.addresses[host] = {*net::IpAddress::parse(ip)};
    sim::Receiver& receiver = world.receivers[ip];
    receiver.pipelining = random.below(3) != 0;
    receiver.chunking = random.below(2) == 0;
    receiver.splits_replies = random.below(2) == 0;
    receiver.hates_overlap = random.below(4) == 0;
    receiver.start_tls = random.below(3) == 0;
    receiver.messages_per_connection = static_cast<int>(random.below(5));
    receiver.connections_max = static_cast<int>(random.below(3));
    receiver.recipients_max = random.below(5);
    for (const char* stage : {"GREETING", "MAIL", "RCPT", "DATA", "DOT"}) {
      auto& actions = receiver.script[stage];
      for (int n = 0; n < 30; ++n) actions.push_back(random_action(random, stage));
      const std::string good = std::string(stage) == "DATA" ? "354 Go" : std::string(stage) == "GREETING" ? "220 r" : "250 Ok";
      actions.push_back({sim::Action::Kind::kReply, good});
    }
  }
}

constexpr const char* kSender = "single@s.test";

// A single message for some recipients at some domains, who are added to `addresses`.
void submit_something(Random& random, Engine& engine, int number, std::vector<std::string>& addresses) {
  Message message{.sender = *Address::parse(kSender), .recipients = {}, .data = "From: single@s.test\r\n\r\nHi\r\n"};
  message.account = "a";
  if (random.below(3) == 0) message.priority = Priority::kBulk;
  const std::uint64_t domains = 1 + random.below(3);
  for (std::uint64_t i = 1 + random.below(12); i > 0; --i) {
    addresses.push_back(fmt::format("m{}_{}@d{}.test", number, i, random.below(domains)));
    message.recipients.push_back(*Address::parse(addresses.back()));
  }
  BOOST_TEST(engine.submit(std::move(message)).has_value());
}

// A receiver says of one of the messages that it took, also of one whose answer was lost, that it was not delivered.
void bounce_something(const sim::World& world, Random& random, Engine& engine) {
  for (const auto& [ip, receiver] : world.receivers) {
    if (receiver.mails.empty() || random.below(4) != 0) continue;
    const auto& mail = receiver.mails[random.below(receiver.mails.size())];
    if (mail.from == kSender) continue;  // A single message, without a token.
    const auto returned = sim::make_returned(
        "dsn", {.to = mail.to, .return_path = mail.from, .status = random.below(2) == 0 ? "5.1.1" : "5.7.1"});
    const auto report = engine.inbound(returned.data, {.recipient = returned.recipient});
    BOOST_REQUIRE(report.has_value());
    BOOST_TEST(report->recipient == mail.to);
  }
}

std::uint64_t sum_of(const std::map<std::string, int>& counts) {
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}, [](std::uint64_t total, const auto& each) {
    return total + static_cast<std::uint64_t>(each.second);
  });
}

// Curves, limits of names and overflow policies at random: whatever they hold up, fail or let by.
EngineOptions random_options(Random& random) {
  using warming::Overflow;
  std::string limits = fmt::format(
      "* ip connections=3 messages_per_connection=7 messages_per_second=20 messages_in_flight={} "
      "recipients_per_transaction={}\n",
      1 + random.below(4), 1 + random.below(10));
  if (random.below(2) == 0) limits += fmt::format("* account:a messages_per_minute={}\n", 1 + random.below(40));
  if (random.below(3) == 0) limits += fmt::format("* domain messages_per_second={} burst=2\n", 1 + random.below(3));
  if (random.below(3) == 0) limits += fmt::format("* {} connections={}\n", random.below(2) == 0 ? "account:a" : "campaign", 1 + random.below(3));
  if (random.below(3) == 0) limits += "* total recipients_per_transaction=3 messages_per_connection=4\nd2.test site connections_per_minute=6\n";
  if (random.below(3) == 0) limits += "d1.test site:mx.d1.test connections=1\nd2.test total connections=1\n";
  auto settings = std::make_shared<warming::Settings>();
  BOOST_REQUIRE(settings->add(limits, "test").has_value());
  EngineOptions options{.egress = {{.address = "192.0.2.1", .ehlo_name = "a.test"},
                                   {.address = "192.0.2.2", .ehlo_name = "b.test"},
                                   {.address = "192.0.2.3", .ehlo_name = "c.test", .pool = "other"}},
                        .settings = settings};
  for (std::size_t ip = 0; ip < 2; ++ip) {
    if (random.below(3) == 0) options.egress[ip].curve = *warming::Curve::parse("5,10,20,40,80");
  }
  const Overflow policies[] = {Overflow::kWarmIps, Overflow::kNamedPool, Overflow::kWait, Overflow::kSendAnyway, Overflow::kFail};
  PoolOptions& pool = options.pools["default"];
  pool.overflow = {.when = policies[random.below(5)], .pool = "other", .hold_max = std::chrono::hours(random.below(3)),
                   .then = policies[random.below(5)]};
  if (random.below(2) == 0) options.spool = spool::make_memory_spool();  // With snapshots.
  return options;
}

void run(std::uint64_t seed, bool on_disk = false) {
  Random random(seed);
  sim::World world;
  fill_with_trouble(world, random, 5);
  EngineOptions options = random_options(random);
  options.runtime = sim::make_runtime(world, seed);
  if (on_disk) options.spool = sim::make_disk_spool(world.loop);
  auto engine = *Engine::open(std::move(options));
  auto collector = std::make_shared<Collector>();
  engine->subscribe(collector);

  std::vector<std::string> addresses;
  for (int i = 0; i < 150; ++i) addresses.push_back(fmt::format("u{}@d{}.test", i, random.below(5)));
  const std::size_t rows_of_campaign = addresses.size();
  Rows rows(addresses);
  const auto content = make_campaign_content({.headers = {{"Subject", "Hi"}}, .text = "Hi", .html = {}, .attachments = {}},
                                             {.unsubscribe_url = "https://s.test/u", .list_id = "l.s.test"});
  BOOST_REQUIRE(engine->start({.id = "c", .account = "a", .content = *content, .from = *NamedAddress::parse("n@s.test"),
                               .return_path_domain = "b.s.test"},
                              rows).has_value());
  const bool cancels = random.below(4) == 0;
  for (int step = 0; step < 40; ++step) {
    if (step % 4 == 0) submit_something(random, *engine, step, addresses);
    if (random.below(8) == 0) {
      BOOST_TEST(
          engine->suppress("a", *Address::parse(addresses[random.below(addresses.size())]), SuppressionReason::kManual)
              .has_value());
    }
    world.loop.run_until(world.loop.now() + std::chrono::minutes(random.below(30)));
    if (random.below(4) == 0) {
      BOOST_TEST(engine->pause("c").has_value());
      world.loop.run_until(world.loop.now() + std::chrono::seconds(random.below(300)));
      BOOST_TEST(engine->resume("c").has_value());
    }
    if (cancels && step == 20) BOOST_TEST(engine->cancel("c").has_value());
    if (random.below(10) == 0) engine->change(random_options(random).settings);
    if (random.below(20) == 0) static_cast<void>(engine->command("192.0.2.1", "d1.test", warming::Command::kResume));
    bounce_something(world, random, *engine);
  }
  world.loop.run_until(world.loop.now() + 6 * 24h);

  std::map<std::string, int> finals;
  std::map<std::string, int> delivered;
  std::map<std::string, int> unknown;
  std::map<std::string, int> late;
  std::uint64_t delivered_of_campaign = 0;
  for (const Event& event : collector->events) {
    if (event.outcome.unknown()) ++unknown[event.recipient];
    if (event.kind == EventKind::kDelivered) ++delivered[event.recipient];
    if (event.kind == EventKind::kDelivered && event.job == "c") ++delivered_of_campaign;
    if (is_final(event.kind)) ++finals[event.recipient];
    if (event.kind == EventKind::kLateBounce) ++late[event.recipient];
  }
  std::map<std::string, int> taken;
  for (const auto& [ip, receiver] : world.receivers) {
    for (const auto& mail : receiver.mails) {
      for (const std::string& to : mail.recipients) ++taken[to];
    }
  }
  for (const std::string& address : addresses) {
    BOOST_TEST_CONTEXT(address) {
      BOOST_TEST(finals[address] == 1);
      BOOST_TEST(late[address] <= 1);
      BOOST_TEST(taken[address] >= delivered[address]);
      BOOST_TEST(taken[address] <= delivered[address] + unknown[address]);
    }
  }
  const auto status = engine->status("c");
  BOOST_REQUIRE(status.has_value());
  BOOST_TEST(status->settled());
  BOOST_TEST(status->total == rows_of_campaign);
  BOOST_TEST(status->late_bounces == sum_of(late));
  BOOST_TEST(status->of(spool::State::kDelivered) == delivered_of_campaign);
}

}  // namespace

BOOST_AUTO_TEST_CASE(nobody_is_lost_and_nobody_gets_two) {
  for (std::uint64_t seed = 1; seed <= 24; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) { run(seed); }
  }
}

BOOST_AUTO_TEST_CASE(nobody_is_lost_and_nobody_gets_two_on_disk) {
  for (std::uint64_t seed = 25; seed <= 30; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) { run(seed, true); }
  }
}
