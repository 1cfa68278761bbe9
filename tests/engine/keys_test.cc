// Who signs what the engine sends: all identities of the key ring, by date, and from another ring once it is swapped
// in.
#include <boost/test/unit_test.hpp>

#include "mailsbuddy/engine.h"
#include "tests/sim/caller.h"
#include "tests/sim/sim.h"

using namespace mailsbuddy;
using sim::Collector;
using namespace std::chrono_literals;

namespace {

const dkim::PrivateKey& rsa() {
  static const auto key = dkim::PrivateKey::generate_rsa(1024, {.allow_short_rsa = true}).value();
  return key;
}
const dkim::PrivateKey& ed25519() {
  static const auto key = dkim::PrivateKey::generate_ed25519().value();
  return key;
}

dkim::Signer signer(std::string_view domain, std::string_view selector, const dkim::PrivateKey& key = rsa()) {
  return dkim::Signer::make(domain, selector, key).value();
}

std::shared_ptr<dkim::KeyRing> ring(std::vector<dkim::Signer> signers) {
  auto made = std::make_shared<dkim::KeyRing>();
  for (dkim::Signer& each : signers) BOOST_REQUIRE(made->add(std::move(each)).has_value());
  return made;
}

// An engine with one receiver that takes everything.
struct Fixture {
  sim::World world;
  std::unique_ptr<Engine> engine;
  std::shared_ptr<Collector> collector = std::make_shared<Collector>();

  explicit Fixture(std::shared_ptr<const dkim::KeyRing> keys) {
    world.mx["d.test"] = {{10, "mx.d.test"}};
    world.addresses["mx.d.test"] = {*net::IpAddress::parse("198.51.100.1")};
    world.receivers["198.51.100.1"] = {};
    engine = Engine::open({.egress = {{.address = "192.0.2.1", .ehlo_name = "a.test"}},
                           .keys = std::move(keys),
                           .runtime = sim::make_runtime(world, 1)})
                 .value();
    engine->subscribe(collector);
  }

  Result<MessageId> submit(std::string_view from) {
    return engine->submit({.sender = Address::parse("bounce@brand.example").value(),
                           .recipients = {Address::parse("ann@d.test").value()},
                           .data = "From: <" + std::string(from) + ">\r\nSubject: s\r\n\r\n.body\r\n"});
  }
  Result<ImportReport> start() {
    sim::Rows rows({"row@d.test"});
    const auto content = make_campaign_content({.headers = {{"Subject", "Hi"}}, .text = "Hi", .html = {}, .attachments = {}},
                                               {.unsubscribe_url = "https://s.test/u", .list_id = "l.s.test"});
    return engine->start({.id = "c", .account = "a", .content = *content,
                          .from = NamedAddress::parse("news@brand.example").value(),
                          .return_path_domain = "b.brand.example"},
                         rows);
  }
  void run(std::chrono::seconds time = 60s) { world.loop.run_until(world.loop.now() + time); }
  const std::vector<sim::Receiver::Mail>& mails() { return world.receivers["198.51.100.1"].mails; }

  // "domain:selector" of each signature of the last mail taken, from top to bottom.
  std::string signatures() {
    run();
    BOOST_REQUIRE(!mails().empty());
    std::string found;
    std::string_view rest = mails().back().data;
    while (rest.starts_with("DKIM-Signature:")) {
      const auto tag = [rest](std::string_view name) {
        const std::size_t at = rest.find(name) + name.size();
        return std::string(rest.substr(at, rest.find(';', at) - at));
      };
      found += (found.empty() ? "" : " ") + tag(" d=") + ":" + tag(" s=");
      std::size_t end = rest.find("\r\n") + 2;
      while (rest[end] == ' ') end = rest.find("\r\n", end) + 2;
      rest.remove_prefix(end);
    }
    return found;
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(customer_and_platform_sign_one_message) {
  auto keys = ring({signer("brand.example", "s1"), signer("brand.example", "e1", ed25519())});
  BOOST_REQUIRE(keys->add_for_all(signer("platform.test", "p1")).has_value());
  Fixture f(keys);
  BOOST_TEST(f.submit("a@brand.example").has_value());
  BOOST_TEST(f.signatures() == "brand.example:s1 brand.example:e1 platform.test:p1");
  BOOST_TEST(f.submit("a@News.brand.example").has_value());
  BOOST_TEST(f.signatures() == "brand.example:s1 brand.example:e1 platform.test:p1");
  BOOST_TEST(f.submit("a@platform.test").has_value());
  BOOST_TEST(f.signatures() == "platform.test:p1");
  BOOST_TEST(f.start().has_value());
  BOOST_TEST(f.signatures() == "brand.example:s1 brand.example:e1 platform.test:p1");
  BOOST_TEST(f.mails().size() == 4U);
}

BOOST_AUTO_TEST_CASE(the_next_key_signs_from_its_date) {
  auto keys = ring({signer("brand.example", "old")});
  BOOST_REQUIRE(keys->add(signer("brand.example", "new"), sim::kStart + 1h).has_value());
  Fixture f(keys);
  BOOST_TEST(f.submit("a@brand.example").has_value());
  BOOST_TEST(f.signatures() == "brand.example:old");
  f.run(2h);
  BOOST_TEST(f.submit("a@brand.example").has_value());
  BOOST_TEST(f.signatures() == "brand.example:new");
}

BOOST_AUTO_TEST_CASE(a_ring_swapped_in_signs_the_next_message_also_of_what_has_begun) {
  Fixture f(ring({signer("brand.example", "one")}));
  BOOST_TEST(f.submit("a@brand.example").has_value());
  BOOST_TEST(f.signatures() == "brand.example:one");
  f.world.mx.erase("d.test");
  f.world.broken["d.test"] = net::DnsStatus::kFailed;  // The campaign waits in its queue.
  BOOST_TEST(f.start().has_value());
  f.run();
  f.engine->set_keys(ring({signer("brand.example", "two")}));
  f.world.broken.clear();
  f.world.mx["d.test"] = {{10, "mx.d.test"}};
  f.run(2h);
  BOOST_TEST(f.mails().size() == 2U);
  BOOST_TEST(f.signatures() == "brand.example:two");
}

BOOST_AUTO_TEST_CASE(nothing_goes_out_unsigned_when_the_new_ring_has_no_key) {
  Fixture f(ring({signer("brand.example", "one")}));
  BOOST_TEST(f.start().has_value());
  f.engine->set_keys(ring({signer("other.test", "o1")}));  // Before anything is made: the loop has not run.
  f.run();
  BOOST_TEST(f.mails().empty());
  BOOST_REQUIRE(f.collector->events.size() == 1U);
  const Event& event = f.collector->events.front();
  BOOST_TEST((event.kind == EventKind::kFailed));
  BOOST_TEST((event.outcome.cause == Cause::kSignFailed));
  BOOST_TEST(event.outcome.detail == "no DKIM key signs for 'brand.example', the domain of From");
  BOOST_TEST(f.submit("a@brand.example").error().detail ==
             "message: no DKIM key signs for 'brand.example', the domain of From");
  BOOST_TEST(f.submit("a@other.test").has_value());
  BOOST_TEST(f.signatures() == "other.test:o1");
}

BOOST_AUTO_TEST_CASE(no_ring_means_unsigned) {
  Fixture f(ring({signer("brand.example", "one")}));
  f.engine->set_keys(nullptr);
  BOOST_TEST(f.submit("a@nobody.test").has_value());
  BOOST_TEST(f.signatures() == "");
}

BOOST_AUTO_TEST_CASE(a_key_that_cannot_be_fetched_fails_the_message_with_the_reason) {
  auto keys = std::make_shared<dkim::KeyRing>();
  BOOST_REQUIRE(keys->add_lazy("brand.example", "s1", dkim::Algorithm::kRsaSha256, []() -> Result<std::string> {
                      return Error{ErrorCode::kUnavailable, "the vault is sealed"};
                    }).has_value());
  Fixture f(keys);
  const auto refused = f.submit("a@brand.example");
  BOOST_REQUIRE(!refused);
  BOOST_TEST((refused.error().code == ErrorCode::kUnavailable));
  BOOST_TEST(refused.error().detail == "message: the key of s1._domainkey.brand.example: the vault is sealed");
}
