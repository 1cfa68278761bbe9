// The engine's own TLS reports: once a day, whoever runs at midnight, to whom the domain names.
#include <rocksdb/env.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <functional>
#include <set>

#include "engine/tls_report_record.h"
#include "mailsbuddy/engine.h"
#include "tests/sim/disk_spool.h"
#include "tests/sim/sim.h"
#include "tests/spool/faulty_files.h"
#include "tests/spool/scratch.h"

using namespace mailsbuddy;
using namespace std::chrono_literals;

namespace {

const TimePoint kMidnight = std::chrono::floor<std::chrono::days>(sim::kStart) + std::chrono::hours(24);
const smtp::TlsReporter kReporter{"Sender Inc.", "tls@sender.example", "sender.example"};

using OpenSpool = std::function<std::shared_ptr<spool::Spool>(sim::World&)>;
OpenSpool in_memory() {
  return [kept = std::shared_ptr<spool::Spool>(spool::make_memory_spool())](sim::World&) { return kept; };
}
OpenSpool on_disk(const std::string& directory, const spool::StoreSettings& settings = {}) {
  return [=](sim::World& world) { return sim::make_disk_spool(world.loop, settings, directory); };
}

// Engines one after the other on one spool: mail goes to d.test, whose reports go to r.test.
struct Fixture {
  sim::World world;
  const OpenSpool open_spool;
  std::shared_ptr<spool::Spool> spool;
  std::unique_ptr<Engine> engine;
  sim::Receiver* receiver = nullptr;
  sim::Receiver* reports = nullptr;
  std::chrono::seconds first_retry = 10min;

  explicit Fixture(OpenSpool its_spool = in_memory()) : open_spool(std::move(its_spool)) {
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
    close();
    spool = open_spool(world);
    engine = Engine::open({.egress = {{.address = "192.0.2.1", .ehlo_name = "a.test"}},
                           .first_retry = first_retry,
                           .tls_reporting = TlsReportingOptions{.reporter = kReporter,
                                                                .from = *Address::parse("tls@sender.example")},
                           .runtime = sim::make_runtime(world, 1),
                           .spool = spool,
                           .memory_max_bytes = memory_max_bytes})
                 .value();
  }
  void close() {
    engine.reset();
    spool.reset();
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
  static std::string report_id(const std::string& mail) {
    const std::string_view words = "<tlsrpt.";
    const std::size_t at = mail.find(words);
    BOOST_REQUIRE(at != std::string::npos);
    return mail.substr(at + words.size(), mail.find('>', at) - at - words.size());
  }
  auto mails_to(std::string_view address) const {
    return std::ranges::count(reports->mails, address, &sim::Receiver::Mail::to);
  }
  // The one about d.test, of `sessions` sessions from `begin` on, was mailed and posted once.
  void check_one(std::size_t index, TimePoint begin, TimePoint end, std::uint64_t sessions) {
    BOOST_REQUIRE(reports->mails.size() == index + 1);
    BOOST_REQUIRE(world.posts.size() == index + 1);
    BOOST_TEST(reports->mails[index].to == "tls@r.test");
    BOOST_TEST((reports->mails[index].at >= end && reports->mails[index].at < end + 4h + 1min));
    const std::string& mail = reports->mails[index].data;
    const std::string id = report_id(mail);
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

BOOST_AUTO_TEST_CASE(who_has_it_does_not_get_it_again_from_the_next_process) {
  for (const bool disk : {false, true}) BOOST_TEST_CONTEXT((disk ? "on disk" : "in memory")) {
      const spool::Scratch scratch;
      Fixture f(disk ? on_disk(scratch.path()) : in_memory());
      f.world.texts["_smtp._tls.d.test"] = {"v=TLSRPTv1; rua=mailto:tls@r.test,https://a.r.test/,https://post.r.test/"};
      f.world.pages["a.r.test"] = {.status = 200};
      f.world.pages["post.r.test"] = {.status = 503};
      f.send();
      f.until(kMidnight + 4h + 1min);
      const auto posts_to = [&f](std::string_view host) {
        return std::ranges::count(f.world.posts, host, &net::HttpsRequest::host);
      };
      BOOST_TEST(f.mails_to("tls@r.test") == 1);
      BOOST_TEST(posts_to("a.r.test") == 1);
      const auto failed = posts_to("post.r.test");
      BOOST_TEST(failed > 0);
      f.open();
      f.world.pages["post.r.test"] = {.status = 201};
      f.until(kMidnight + 23h);
      BOOST_TEST(f.mails_to("tls@r.test") == 1);
      BOOST_TEST(posts_to("a.r.test") == 1);
      BOOST_TEST(posts_to("post.r.test") == failed + 1);
      const std::string kept = "tls/reached/" + f.report_id(f.reports->mails.at(0).data);
      BOOST_TEST(!f.spool->snapshot(kept).has_value());
      const std::string stray = "tls/reached/of-a-report-that-is-not-there";
      spool::Batch batch;
      batch.snapshots.push_back({.name = stray, .bytes = "1"});
      f.spool->commit(std::move(batch), nullptr);
      f.open();
      BOOST_TEST(!f.spool->snapshot(kept).has_value());
      BOOST_TEST(f.spool->snapshot(stray).has_value());
      f.until(kMidnight + 23h + 30min);
      BOOST_TEST(!f.spool->snapshot(stray).has_value());
    }
}

// At each write to the disk of the night, before and after it, the machine falls. Nothing is delivered before the next
// start, so that each mail that was taken is seen.
BOOST_AUTO_TEST_CASE(killed_at_any_moment_of_the_night_each_gets_it_once) {
  std::size_t killed = 0, with_mail = 0;
  for (const bool after : {false, true}) {
    bool down = true;
    for (std::int64_t write = 1; down; ++write)
      BOOST_TEST_CONTEXT("write " << write << (after ? ", after" : ", before")) {
        const spool::Scratch scratch;
        const auto files = std::make_shared<spool::FaultyFiles>();
        const std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(files);
        Fixture f(on_disk(scratch.path(), {.env = env.get()}));
        f.first_retry = 6h;
        f.open();
        f.world.texts["_smtp._tls.d.test"] = {
            "v=TLSRPTv1; rua=mailto:tls@r.test,mailto:too@r.test,https://post.r.test/tls"};
        f.send();
        f.world.broken["r.test"] = net::DnsStatus::kFailed;
        f.until(kMidnight - 1s);
        files->cut_at_sync(write, after);
        f.world.loop.run_until(kMidnight + 5h, [&files] { return files->down(); });
        down = files->down();
        files->cut_at_sync(INT64_MAX, after);
        if (down) {
          ++killed;
          f.close();
          Random random(static_cast<std::uint64_t>(write));
          files->restore(random);
          f.open();
          with_mail += f.engine->open_rows() > 0 ? 1 : 0;
        }
        f.world.broken.clear();
        f.until(kMidnight + 30h);
        BOOST_TEST(f.mails_to("tls@r.test") == 1);
        BOOST_TEST(f.mails_to("too@r.test") == 1);
        BOOST_TEST(!f.world.posts.empty());
        BOOST_TEST(f.world.posts.size() <= 2U);
        for (const net::HttpsRequest& each : f.world.posts) BOOST_TEST(each.body == f.world.posts[0].body);
      }
  }
  BOOST_TEST(killed >= 8U);
  BOOST_TEST(with_mail >= 4U);
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
  const std::vector<std::uint64_t> reached{1, UINT64_MAX};
  const std::string who = engine::encode_reached(reached);
  BOOST_REQUIRE(engine::decode_reached(who).has_value());
  BOOST_TEST(*engine::decode_reached(who) == reached, boost::test_tools::per_element());
  for (std::size_t size = 0; size < who.size(); ++size) BOOST_TEST(!engine::decode_reached(who.substr(0, size)));
}
