// The engine's own TLS reports: once a day, whoever runs at midnight, to whom the domain names.
#include <boost/test/unit_test.hpp>
#include <set>

#include "engine/tls_report_record.h"
#include "mailsbuddy/engine.h"
#include "tests/sim/sim.h"

using namespace mailsbuddy;
using namespace std::chrono_literals;

namespace {

const TimePoint kMidnight = std::chrono::floor<std::chrono::days>(sim::kStart) + std::chrono::hours(24);
const smtp::TlsReporter kReporter{"Sender Inc.", "tls@sender.example", "sender.example"};

// Engines one after the other on one spool: mail goes to d.test, whose reports go to r.test.
struct Fixture {
  sim::World world;
  std::shared_ptr<spool::Spool> spool = spool::make_memory_spool();
  std::unique_ptr<Engine> engine;
  sim::Receiver* receiver = nullptr;
  sim::Receiver* reports = nullptr;

  Fixture() {
    world.policies = true;
    receiver = host("d.test", "198.51.100.1");
    reports = host("r.test", "198.51.100.2");
    world.texts["_smtp._tls.d.test"] = {"v=TLSRPTv1; rua=mailto:tls@r.test,https://post.r.test/tls"};
    world.pages["post.r.test"] = {.status = 201};
    open();
  }
  sim::Receiver* host(const std::string& domain, const std::string& address) {
    world.mx[domain] = {{10, "mx." + domain}};
    world.addresses["mx." + domain] = {*net::IpAddress::parse(address)};
    world.receivers[address].start_tls = true;
    return &world.receivers[address];
  }
  void open(std::uint64_t memory_max_bytes = 0) {
    engine.reset();
    engine = Engine::open({.egress = {{.address = "192.0.2.1", .ehlo_name = "a.test"}},
                           .tls_reporting = TlsReportingOptions{.reporter = kReporter, .from = *Address::parse("tls@sender.example")},
                           .runtime = sim::make_runtime(world, 1),
                           .spool = spool,
                           .memory_max_bytes = memory_max_bytes})
                 .value();
  }
  void kill() {  // What a process leaves that did not end in good order: the spool as it is now.
    auto left = spool->snapshot("tls/reports");
    engine.reset();
    spool::Batch batch;
    batch.snapshots.push_back({.name = "tls/reports", .bytes = left.value_or("")});
    spool->commit(std::move(batch), nullptr);
  }
  void send() {
    BOOST_REQUIRE(engine->submit({.sender = *Address::parse("me@sender.example"),
                                  .recipients = {*Address::parse("ann@d.test")},
                                  .data = "From: me@sender.example\r\nSubject: x\r\n\r\nx\r\n"}));
    run(30s);
  }
  void run(std::chrono::seconds time) { until(world.loop.now() + time); }
  void until(TimePoint time) { world.loop.run_until(time); }
  // The one about d.test, of `sessions` sessions from `begin` on, was mailed and posted once.
  void check_one(std::size_t index, TimePoint begin, TimePoint end, std::uint64_t sessions) {
    BOOST_REQUIRE(reports->mails.size() == index + 1);
    BOOST_REQUIRE(world.posts.size() == index + 1);
    BOOST_TEST(reports->mails[index].to == "tls@r.test");
    BOOST_TEST((reports->mails[index].at >= end && reports->mails[index].at < end + 4h + 1min));
    const std::string& mail = reports->mails[index].data;
    const std::string_view words = "<tlsrpt.";
    const std::size_t at = mail.find(words);
    BOOST_REQUIRE(at != std::string::npos);
    const std::string id = mail.substr(at + words.size(), mail.find('>', at) - at - words.size());
    const smtp::TlsReport expected{.domain = "d.test",
                                   .begin = begin,
                                   .end = end,
                                   .policies = {{.type = "no-policy-found", .successful = sessions}}};
    BOOST_TEST(world.posts[index].host == "post.r.test");
    BOOST_TEST(world.posts[index].path == "/tls");
    BOOST_TEST((world.posts[index].body == smtp::gzip(tls_report_json(expected, kReporter, id)).value()));
    const auto content = Content::parse_eml(mail);
    BOOST_REQUIRE(content.has_value());
    BOOST_REQUIRE(content->attachments.size() == 1U);
    BOOST_TEST((content->attachments[0].data == world.posts[index].body));
  }
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(a_day_is_reported_after_its_end, Fixture) {
  send();
  until(kMidnight - 1s);
  BOOST_TEST(reports->mails.empty());
  until(kMidnight + 5h);
  check_one(0, sim::kStart, kMidnight, 1);
  until(kMidnight + 24h + 5h);  // Nothing was sent to d.test, and r.test wants no reports.
  BOOST_TEST(reports->mails.size() == 1U);
  BOOST_TEST(engine->take_tls_reports().empty());
}

BOOST_FIXTURE_TEST_CASE(a_day_of_two_processes_is_one_report, Fixture) {
  send();
  open();
  run(1h);
  send();
  until(kMidnight + 5h);
  check_one(0, sim::kStart, kMidnight, 2);
}

BOOST_FIXTURE_TEST_CASE(whoever_comes_after_midnight_sends_it_once, Fixture) {
  send();
  engine.reset();
  until(kMidnight + 2h);
  open();
  until(kMidnight + 7h);
  BOOST_REQUIRE(reports->mails.size() == 1U);
  BOOST_TEST(world.posts.size() == 1U);
  BOOST_TEST(reports->mails[0].data.find("TLS-Report-Domain: d.test") != std::string::npos);
  open();
  until(kMidnight + 14h);
  BOOST_TEST(reports->mails.size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_report_that_waits_outlives_its_process, Fixture) {
  send();
  until(kMidnight + 1s);  // Cut, and in all likelihood not sent.
  const std::size_t before = reports->mails.size();
  BOOST_REQUIRE(before == 0U);
  kill();
  open();
  until(kMidnight + 5h);
  check_one(0, sim::kStart, kMidnight, 1);
}

BOOST_FIXTURE_TEST_CASE(who_is_killed_loses_minutes, Fixture) {
  send();
  run(10min);
  kill();
  open();
  until(kMidnight + 5h);
  check_one(0, sim::kStart, kMidnight, 1);
}

BOOST_FIXTURE_TEST_CASE(a_failure_of_dns_is_asked_again, Fixture) {
  world.broken["_smtp._tls.d.test"] = net::DnsStatus::kFailed;
  send();
  until(kMidnight + 4h + 1min);
  BOOST_TEST(reports->mails.empty());
  world.broken.clear();
  until(kMidnight + 6h);
  BOOST_TEST(reports->mails.size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(what_is_refused_for_now_is_asked_again, Fixture) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  BOOST_TEST_MESSAGE("skipped: the allocator of this build counts nothing");
  return;
#endif
  send();
  open(1);  // All of the memory is used: no mail is taken.
  until(kMidnight + 5h);
  BOOST_TEST(reports->mails.empty());
  BOOST_TEST(world.posts.empty());
  open();
  until(kMidnight + 10h);
  BOOST_TEST(reports->mails.size() == 1U);
  BOOST_TEST(world.posts.size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_post_that_fails_is_tried_again_and_the_mail_is_not_repeated, Fixture) {
  world.pages["post.r.test"] = {.status = 503};
  send();
  until(kMidnight + 4h + 1min);
  BOOST_TEST(reports->mails.size() == 1U);
  BOOST_TEST(world.posts.size() > 0U);
  world.pages["post.r.test"] = {.failure = net::HttpsFailure::kTimeout, .detail = "silence"};
  until(kMidnight + 7h + 2min);
  BOOST_TEST(world.posts.size() > 1U);
  world.pages["post.r.test"] = {.status = 201};
  until(kMidnight + 23h);
  const std::size_t posts = world.posts.size();
  BOOST_TEST(posts > 2U);
  BOOST_TEST(posts < 6U);
  for (const net::HttpsRequest& each : world.posts) BOOST_TEST(each.body == world.posts[0].body);  // Under one report-id.
  BOOST_TEST(reports->mails.size() == 1U);
  until(kMidnight + 24h + 23h);
  BOOST_TEST(world.posts.size() == posts);
}

BOOST_FIXTURE_TEST_CASE(a_post_that_never_arrives_is_given_up_after_a_day, Fixture) {
  world.pages["post.r.test"] = {.status = 500};
  send();
  until(kMidnight + 24h + 1min);
  const std::size_t posts = world.posts.size();
  BOOST_TEST(posts >= 3U);
  BOOST_TEST(posts <= 6U);
  until(kMidnight + 72h);
  BOOST_TEST(world.posts.size() == posts);
  BOOST_TEST(reports->mails.size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_post_that_is_refused_for_good_is_not_tried_again, Fixture) {
  world.pages["post.r.test"] = {.status = 404};
  send();
  until(kMidnight + 23h);
  BOOST_TEST(world.posts.size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(damage_loses_the_counts_and_nothing_else, Fixture) {
  send();
  engine.reset();
  auto left = spool->snapshot("tls/reports");
  BOOST_REQUIRE(left.has_value());
  left->back() = static_cast<char>(left->back() ^ 1);
  spool::Batch batch;
  batch.snapshots.push_back({.name = "tls/reports", .bytes = *left});
  spool->commit(std::move(batch), nullptr);
  const TimePoint opened = world.loop.now();
  open();
  send();
  until(kMidnight + 5h);
  check_one(0, opened, kMidnight, 1);
}

BOOST_AUTO_TEST_CASE(options_are_checked) {
  sim::World world;
  const auto refused = [&world](TlsReportingOptions reporting) {
    auto opened = Engine::open({.egress = {{.address = "192.0.2.1", .ehlo_name = "a.test"}},
                                .tls_reporting = std::move(reporting),
                                .runtime = sim::make_runtime(world, 1)});
    return opened ? std::string() : opened.error().detail;
  };
  const Address from = *Address::parse("tls@sender.example");
  BOOST_TEST(refused({.reporter = {"", "c", "d.test"}, .from = from}).starts_with("tls_reporting: an organization"));
  BOOST_TEST(refused({.reporter = {"o", "c", "d test"}, .from = from}).starts_with("tls_reporting: an organization"));
  BOOST_TEST(refused({.reporter = kReporter, .from = from, .pool = "none"}) == "tls_reporting: no egress IP is in pool 'none'");
  BOOST_TEST(refused({.reporter = kReporter, .from = from}).empty());
}

BOOST_AUTO_TEST_CASE(a_record_is_read_as_it_was_written_or_not_at_all) {
  const smtp::TlsReport report{
      .domain = "d.test",
      .begin = sim::kStart,
      .end = kMidnight,
      .policies = {{.type = "sts",
                    .text = {"version: STSv1", "mode: testing"},
                    .mx_hosts = {"*.d.test"},
                    .successful = 3,
                    .failed = 2,
                    .details = {{smtp::TlsResultType::kCertificateExpired, "192.0.2.1", "mx.d.test", "198.51.100.1", "late", 2}}}}};
  const std::string record = engine::encode_tls_reports({&report, 1});
  const auto read = engine::decode_tls_reports(record);
  BOOST_REQUIRE(read.has_value());
  BOOST_TEST(engine::encode_tls_reports(*read) == record);
  for (std::size_t size = 0; size < record.size(); ++size) BOOST_TEST(!engine::decode_tls_reports(record.substr(0, size)));
  for (std::size_t at = 0; at < record.size(); ++at) {
    std::string damaged = record;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x40);
    BOOST_TEST(!engine::decode_tls_reports(damaged));
  }
}
