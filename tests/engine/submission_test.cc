// From SMTP into the engine: the header fields that route a message, and what the client is told.
#include <boost/test/unit_test.hpp>

#include "engine/submission_fields.h"
#include "tests/sim/sim.h"

using namespace mailsbuddy;
using namespace mailsbuddy::engine;
using namespace std::chrono_literals;

namespace {

constexpr TimePoint kNow = sim::kStart;  // 2027-01-15 08:00:00 UTC.

std::string headers(std::string_view fields) { return "From: a@b.example\r\n" + std::string(fields) + "\r\nbody\r\n"; }

}  // namespace

BOOST_AUTO_TEST_CASE(schedules) {
  struct Case {
    std::string_view text;
    std::optional<std::chrono::seconds> from_now;
  };
  const Case kCases[] = {
      {"2027-01-15T09:00:00Z", 1h},
      {"2027-01-15t09:00:30.5z", 3630s},
      {"2027-01-15T10:00:00+01:00", 1h},
      {"2027-01-15T04:30:00-05:30", 2h},
      {"2020-01-01T00:00:00Z",
       std::chrono::sys_days(std::chrono::January / 1 / 2020) - std::chrono::floor<std::chrono::seconds>(kNow)},
      {"+90s", 90s},
      {"+90m", 90min},
      {"+3h", 3h},
      {"+366d", 366 * 24h},
      {"+367d", {}},
      {"+999999999d", {}},
      {"+9999999999s", {}},
      {"+m", {}},
      {"+-1m", {}},
      {"+1w", {}},
      {"90m", {}},
      {"", {}},
      {"+", {}},
      {"2027-01-15", {}},
      {"2027-01-15T09:00:00", {}},
      {"2027-02-30T09:00:00Z", {}},
      {"2027-13-01T09:00:00Z", {}},
      {"2027-01-15T24:00:00Z", {}},
      {"2027-01-15T09:60:00Z", {}},
      {"2027-01-15T09:00:00.Z", {}},
      {"2027-01-15T09:00:00+24:00", {}},
      {"2027-01-15T09:00:00Z ", {}},
      {"2029-01-15T09:00:00Z", {}},
      {"tomorrow", {}},
  };
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.text) {
      const auto time = parse_schedule(c.text, kNow);
      BOOST_REQUIRE(time.has_value() == c.from_now.has_value());
      if (time) BOOST_TEST((*time - kNow == *c.from_now));
    }
  }
}

BOOST_AUTO_TEST_CASE(routing_fields_are_read_and_taken_out) {
  std::string message =
      "X-MB-Pool: warm\r\nFrom: a@b.example\r\nx-mb-campaign:\r\n spring-27\r\nX-Mbx: kept\r\n"
      "X-MB-PRIORITY: Bulk\r\nX-MB-Schedule: +1h\r\n\r\nX-MB-Pool: body\r\n";
  const auto fields = take_routing_fields(message, kNow);
  BOOST_REQUIRE(fields.has_value());
  BOOST_TEST(fields->pool == "warm");
  BOOST_TEST(fields->campaign == "spring-27");
  BOOST_TEST((fields->priority == Priority::kBulk));
  BOOST_TEST((fields->not_before == kNow + 1h));
  BOOST_TEST(message == "From: a@b.example\r\nX-Mbx: kept\r\n\r\nX-MB-Pool: body\r\n");
}

BOOST_AUTO_TEST_CASE(a_message_without_them_is_as_it_was) {
  for (const std::string_view whole : {"From: a@b.example\r\n\r\nb\r\n", "From: a@b.example\r\n", "", "no header\r\n",
                                       "\r\nb", "From: a@b.example\r\nno field\r\nX-MB-Pool: body\r\n"}) {
    std::string message(whole);
    const auto fields = take_routing_fields(message, kNow);
    BOOST_REQUIRE(fields.has_value());
    BOOST_TEST(!fields->any);
    BOOST_TEST(message == whole);
  }
}

BOOST_AUTO_TEST_CASE(routing_fields_that_say_nothing_sensible) {
  const std::string long_word = "X-MB-Campaign: " + std::string(kRoutingWordMax + 1, 'x') + "\r\n";
  for (const std::string_view bad : std::initializer_list<std::string_view>{
           "X-MB-Pool: a\r\nX-MB-Pool: b\r\n", "X-MB-Pool:\r\n", "X-MB-Pool: a b\r\n", "X-MB-Campaign: a/b\r\n",
           long_word, "X-MB-Priority: high\r\n", "X-MB-Schedule: soon\r\n", "X-MB-Schedul: +1h\r\n", "X-MB-: x\r\n",
           "X-MB-Schedule: +1h\r\nX-MB-Schedule: +1h\r\n"}) {
    BOOST_TEST_CONTEXT(bad) {
      std::string message = headers(bad);
      const auto fields = take_routing_fields(message, kNow);
      BOOST_REQUIRE(!fields.has_value());
      BOOST_TEST((fields.error().code == ErrorCode::kInvalidArgument));
      BOOST_TEST(message == headers(bad));
    }
  }
}

namespace {

// An engine in a simulated world with one receiver, and the handler before it.
struct House {
  House() {
    world.mx["d.example"] = {{10, "mx.d.example"}};
    world.addresses["mx.d.example"] = {*net::IpAddress::parse("198.51.100.7")};
    world.receivers["198.51.100.7"];
    auto opened = Engine::open({.egress = {{"192.0.2.1", "out.example"}, {"192.0.2.2", "out.example", "warm"}},
                                .runtime = sim::make_runtime(world, 1)});
    BOOST_REQUIRE(opened.has_value());
    engine = *std::move(opened);
    handler = make_submission_handler(
        *engine, {.authenticate = [](const smtp::Credentials&, smtp::ListenHandler::Authenticated done) { done({}); },
                  .inbound_address = [](const Address& address) { return address.local() == "bounce"; },
                  .clock = &world.loop,
                  .open_rows_max = 2});
  }
  Reply submit(std::string data, bool may_route = true, bool inbound = false, std::vector<std::string> senders = {}) {
    smtp::Submission submission{.data = std::move(data), .inbound = inbound};
    submission.envelope.sender = *Address::parse("a@b.example");
    submission.envelope.recipients = {{.address = *Address::parse("c@d.example")}};
    submission.identity = {.user = "ann", .account = "acme", .may_route = may_route, .senders = std::move(senders)};
    Reply told;
    handler->on_message(std::move(submission), [&told](Reply reply) { told = std::move(reply); });
    return told;
  }

  sim::World world;
  std::unique_ptr<Engine> engine;
  std::shared_ptr<smtp::ListenHandler> handler;
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_submission_is_sent_from_the_pool_and_at_the_time_it_names) {
  House house;
  const Reply reply = house.submit(headers("X-MB-Pool: warm\r\nX-MB-Schedule: 2027-01-15T10:00:00Z\r\n"));
  BOOST_TEST(reply.code == 250);
  BOOST_TEST(reply.text.starts_with("Queued as "));
  auto& mails = house.world.receivers["198.51.100.7"].mails;
  house.world.loop.run_until(sim::kStart + 2h - 1s);
  BOOST_TEST(mails.empty());
  house.world.loop.run_until(sim::kStart + 2h + 10s);
  BOOST_REQUIRE_EQUAL(mails.size(), 1U);
  BOOST_TEST(mails[0].client == "192.0.2.2");
  BOOST_TEST(mails[0].data.find("X-MB") == std::string::npos);
  BOOST_TEST(house.engine->open_rows() == 0U);
}

// RFC 3461: what a client asks of the recipients' servers is asked of them.
BOOST_AUTO_TEST_CASE(what_is_to_be_reported_is_passed_on) {
  House house;
  auto& receiver = house.world.receivers["198.51.100.7"];
  receiver.dsn = true;
  smtp::Submission submission{.data = headers("")};
  submission.envelope = {.sender = *Address::parse("a@b.example"),
                         .recipients = {{.address = *Address::parse("c@d.example"),
                                         .notify = smtp::kNotifySuccess | smtp::kNotifyFailure,
                                         .orcpt = "rfc822;c+x@other.example"}},
                         .ret = smtp::DsnReturn::kFull,
                         .envid = "q 1"};
  Reply told;
  house.handler->on_message(submission, [&told](Reply reply) { told = std::move(reply); });
  BOOST_TEST(told.code == 250);
  submission.envelope.recipients[0].orcpt = "rfc822;c\r\nx";
  house.handler->on_message(submission, [&told](Reply reply) { told = std::move(reply); });
  BOOST_TEST(told.str() == "550 5.6.0 message: ORCPT is not printable");
  house.world.loop.run_until(sim::kStart + 10s);
  BOOST_REQUIRE_EQUAL(receiver.mails.size(), 1U);
  BOOST_TEST(receiver.mails[0].envelope.find(" RET=FULL ENVID=q+201\n") != std::string::npos);
  BOOST_TEST(receiver.mails[0].envelope.find("RCPT TO:<c@d.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;c+2Bx@other.example\n") !=
             std::string::npos);
}

// The engine signs as the domain of From.
BOOST_AUTO_TEST_CASE(nobody_writes_as_another) {
  struct Case {
    std::string_view from, reply;
  };
  constexpr std::string_view kRefused = "550 5.7.1 Not allowed to write as this From";
  const std::string long_name = std::string(80, 'X') + ": c\r\nFrom: a@c.example\r\n";
  const Case kCases[] = {
      {"From: a@b.example\r\n", "250"},
      {"from : News <x@B.example>\r\n", "250"},
      {"From: a@c.example\r\n", kRefused},
      {"From: \"a@b.example\" <a@c.example>\r\n", kRefused},
      {"From: a@b.example, a@c.example\r\n", kRefused},
      {"From:\r\n", kRefused},
      {"From: a@b.example\r\nFROM: a@c.example\r\n", "550 5.6.0 More than one From"},
      // What stands behind a line that is no field is read all the same further on.
      {"garbage\r\nFrom: a@c.example\r\n", "550 5.6.0 A line of the header is no field"},
      {"From: a@b.example\r\ngarbage\r\nFrom: a@c.example\r\n", "550 5.6.0 A line of the header is no field"},
      {long_name, "550 5.6.0 A line of the header is no field"},
      // Encoded words hold no address.
      {"From: =?utf-8?Q?=3Ca=40b.example=3E_=28?= <a@c.example> (=?utf-8?Q?=29?=)\r\n", kRefused},
  };
  House house;
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.from) {
      const Reply reply = house.submit(std::string(c.from) + "\r\nx\r\n", true, false, {"b.example"});
      BOOST_TEST(reply.str().substr(0, c.reply.size()) == c.reply);
    }
  }
}

BOOST_AUTO_TEST_CASE(what_the_client_is_told) {
  struct Case {
    std::string_view name;
    std::string data;
    bool may_route, inbound;
    std::string_view reply;
  };
  const Case kCases[] = {
      {"may not route", headers("X-MB-Pool: warm\r\n"), false, false,
       "550 5.7.1 X-MB- header fields are not allowed to this sender"},
      {"no such pool", headers("X-MB-Pool: other\r\n"), true, false,
       "550 5.6.0 message: no egress IP is in pool 'other'"},
      {"a field that is none", headers("X-MB-Pol: warm\r\n"), true, false,
       "550 5.6.0 X-MB-Pol: not known, twice, or not a value of it"},
      {"no From", "Subject: x\r\n\r\n", true, false, "550 5.6.0 message: it has no From header"},
      {"inbound, and nobody takes it", headers(""), false, true, "451 4.3.0 No inbound mail is taken now"},
  };
  House house;
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) { BOOST_TEST(house.submit(c.data, c.may_route, c.inbound).str() == c.reply); }
  }
  BOOST_TEST(house.handler->on_recipient({}, *Address::parse("bounce@x.example"), true).code == 250);
  BOOST_TEST(house.handler->on_recipient({}, *Address::parse("other@x.example"), true).code == 550);
  BOOST_TEST((house.handler->pressure() == smtp::Pressure::kNone));
  for (int i = 0; i < 2; ++i) BOOST_TEST(house.submit(headers("X-MB-Schedule: 2027-01-16T08:00:00Z\r\n")).code == 250);
  BOOST_TEST((house.handler->pressure() == smtp::Pressure::kFull));
}
