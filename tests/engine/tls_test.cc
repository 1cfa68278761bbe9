// Transport security over the life of engines: what the scenarios cannot say.
#include <boost/test/unit_test.hpp>

#include "mailsbuddy/engine.h"
#include "tests/sim/caller.h"
#include "tests/sim/sim.h"

using namespace mailsbuddy;
using sim::Collector;
using namespace std::chrono_literals;

namespace {

// A domain with an MTA-STS policy, its one host, and engines one after the other on one spool.
struct Site {
  Site() {
    world.policies = true;
    world.mx["strict.example"] = {{10, "mx.strict.example"}};
    world.addresses["mx.strict.example"] = {*net::IpAddress::parse("198.51.100.1")};
    world.receivers["198.51.100.1"].start_tls = true;
    world.texts["_mta-sts.strict.example"] = {"v=STSv1; id=1"};
    world.pages["mta-sts.strict.example"] = {
        .status = 200,
        .content_type = "text/plain",
        .body = "version: STSv1\nmode: enforce\nmx: mx.strict.example\nmax_age: 604800\n"};
  }

  // What comes of one message: "delivered web", "deferred no".
  std::string send(EngineOptions options) {
    options.egress = {{.address = "192.0.2.1", .ehlo_name = "mail.sender.example"}};
    options.runtime = sim::make_runtime(world, 1);
    options.spool = spool;
    auto engine = std::move(Engine::open(std::move(options)).value());
    const auto collector = std::make_shared<Collector>();
    engine->subscribe(collector);
    BOOST_REQUIRE(engine->submit({.sender = *Address::parse("me@sender.example"),
                                  .recipients = {*Address::parse("ann@strict.example")},
                                  .data = "From: me@sender.example\r\nSubject: x\r\n\r\nx\r\n"}));
    world.loop.run_until(world.loop.now() + 30s, [&] { return !collector->events.empty(); });
    world.loop.run_until(world.loop.now() + 1s);
    reports = engine->take_tls_reports();
    BOOST_REQUIRE(!collector->events.empty());
    const Event& event = collector->events.front();
    return std::string(to_string(event.kind)) + (event.tls_verified == net::TlsVerify::kWebPki ? " web" : " no");
  }

  sim::World world;
  std::shared_ptr<spool::Spool> spool = spool::make_memory_spool();
  std::vector<smtp::TlsReport> reports;
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(policies_outlive_the_process, Site) {
  BOOST_TEST(send({}) == "delivered web");
  world.pages.clear();
  world.texts.clear();
  world.receivers["198.51.100.1"].certificate = net::TlsFailure::kSelfSigned;
  BOOST_TEST(send({}) == "deferred no");  // Nobody says any more that it should be.
  spool = spool::make_memory_spool();
  BOOST_TEST(send({}) == "delivered no");
}

BOOST_FIXTURE_TEST_CASE(switched_off_nothing_is_looked_up, Site) {
  world.receivers["198.51.100.1"].certificate = net::TlsFailure::kSelfSigned;
  BOOST_TEST(send({.tls_policies = {.dane = false, .mta_sts = false}}) == "delivered no");
}

BOOST_FIXTURE_TEST_CASE(reports_are_counted_when_they_are_wanted, Site) {
  send({});
  BOOST_TEST(reports.empty());
  send({.tls_reports = true});
  BOOST_REQUIRE(reports.size() == 1U);
  BOOST_TEST(reports[0].domain == "strict.example");
  BOOST_TEST((reports[0].end > reports[0].begin));
}
