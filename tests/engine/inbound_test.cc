// Reports that come back, against a spool alone: what scenarios cannot say.
#include <fmt/format.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <thread>

#include "engine/events.h"
#include "engine/inbound.h"
#include "engine/maker.h"
#include "tests/sim/returned.h"

using namespace mailsbuddy;
using namespace mailsbuddy::engine;
using namespace std::chrono_literals;

namespace {

constexpr TimePoint kNow{std::chrono::hours(24 * 20'000)};
const std::string kKey(32, 'k');

// A campaign with delivered rows "user0@x.test" and on, and what takes in what comes back about them.
struct World {
  EngineOptions options{.egress = {}, .verp_key = kKey};
  std::unique_ptr<spool::Spool> spool = spool::make_memory_spool();
  JobPtr job = std::make_shared<Job>();
  ErasedAddresses erased;
  Inbound inbound{*spool, options, erased,
                  [this](std::uint64_t number) { return number == token_number(*job) ? job : nullptr; },
                  [this](const JobPtr&, const Inbound::Late& late) {
                    learned.push_back(late.domain + " " + std::string(to_string(late.kind)));
                  }};
  std::vector<std::string> learned;  // What the warming room was told.
  spool::DomainNumber domain = 0;

  explicit World(int rows = 3) {
    job->uid = {7, 77};
    job->id = "spring";
    job->account = "brand";
    job->number = *spool->create({.id = job->id, .content = {}});
    std::vector<std::string> locals;
    for (int i = 0; i < rows; ++i) locals.push_back(fmt::format("user{}", i));
    std::vector<spool::RowInput> inputs;
    for (const std::string& local : locals) inputs.push_back({"x.test", local, "field"});
    BOOST_REQUIRE(spool->append(job->number, inputs).has_value());
    domain = spool->domains(job->number).front().domain;
    std::vector<spool::Row> read;
    spool::Cursor cursor;
    spool->read(job->number, domain, cursor, SIZE_MAX, read);
    for (const spool::Row& row : read) {
      spool->commit({.settlements = {{.key = row.key, .position = row.position, .state = spool::State::kDelivered}}},
                    nullptr);
    }
  }

  std::string return_path(std::uint32_t row, std::string_view key = kKey, std::uint64_t campaign = 77) const {
    std::string path;
    bounce::VerpKey::make(key).value().encode(
        {.campaign = campaign, .recipient = row_number({job->number, domain, row}), .day = day_of(kNow)}, path);
    return path + "@bounce.test";
  }

  InboundReport dsn(std::uint32_t row, sim::Returned returned = {}) {
    returned.to = fmt::format("user{}@x.test", row);
    returned.return_path = return_path(row);
    const auto mail = sim::make_returned("dsn", returned);
    return inbound.take(mail.data, {.recipient = mail.recipient}, kNow);
  }

  std::vector<Event> events() const {
    std::vector<Event> out;
    for (const std::string& record : spool->peek_events(0, 1000)) out.push_back(*decode_event(record));
    return out;
  }
};

// A report about several recipients, each "address status".
std::string report_of(std::initializer_list<std::pair<const char*, const char*>> recipients) {
  std::string text =
      "From: MAILER-DAEMON@x.test\r\nSubject: Undelivered\r\nMIME-Version: 1.0\r\n"
      "Content-Type: multipart/report; report-type=delivery-status; boundary=\"=b\"\r\n\r\n"
      "--=b\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n--=b\r\nContent-Type: message/delivery-status\r\n\r\n"
      "Reporting-MTA: dns; x.test\r\n\r\n";
  for (const auto& [address, status] : recipients) {
    text += fmt::format("Final-Recipient: rfc822; {}\r\nAction: failed\r\nStatus: {}\r\n\r\n", address, status);
  }
  return text + "--=b--\r\n";
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(an_event_has_what_the_report_says, World) {
  const InboundReport report = dsn(1, {.reported = "other@y.test", .status = "5.2.2", .text = "Mailbox full"});
  BOOST_TEST((report.attribution == Attribution::kRow));
  BOOST_TEST(report.campaign == "spring");
  BOOST_TEST(report.account == "brand");
  BOOST_TEST(report.recipient == "user1@x.test");
  BOOST_TEST((report.event == EventKind::kLateBounce));
  const auto all = events();
  BOOST_REQUIRE(all.size() == 1U);
  BOOST_TEST(all[0].recipient == "user1@x.test");
  BOOST_TEST(all[0].job == "spring");
  BOOST_TEST(all[0].row == row_number({job->number, domain, 1}));
  BOOST_TEST(all[0].outcome.reply.code == 550);
  BOOST_TEST((all[0].outcome.reply.enhanced == EnhancedCode{5, 2, 2}));
  BOOST_TEST(!all[0].outcome.delivered());
  BOOST_TEST(!all[0].outcome.unknown());
  BOOST_TEST((all[0].verdict.klass == bounce::Class::kMailboxFull));
  BOOST_TEST((all[0].time == kNow));
}

// Erased a moment ago, or in another process.
BOOST_AUTO_TEST_CASE(of_an_erased_recipient_nothing_is_said) {
  for (const bool just_now : {true, false}) {
    World world;
    if (just_now) {
      world.erased.add("user1@x.test", world.job->number);
    } else {
      BOOST_REQUIRE(world.spool->erase_address({.local = "user1", .domain = "x.test"}).has_value());
    }
    const InboundReport report = world.dsn(1, {.status = "5.1.1", .text = "<user1@x.test>: no such user"});
    BOOST_TEST((report.event == EventKind::kLateBounce));
    BOOST_TEST(report.recipient == "");
    BOOST_TEST(report.suppressed.empty());
    BOOST_TEST(world.learned.size() == 1U);
    const auto all = world.events();
    BOOST_REQUIRE(all.size() == 1U);
    BOOST_TEST(all[0].recipient == "");
    BOOST_TEST(all[0].outcome.reply.text == "");
    BOOST_TEST(all[0].outcome.reply.code == 550);
    BOOST_TEST(world.dsn(1, {.status = "5.1.1"}).repeated);
  }
}

// An address that leads to several others: if some got the message, it is not dead.
BOOST_FIXTURE_TEST_CASE(of_several_recipients_ours_counts_or_else_the_least_bad, World) {
  struct Case {
    const char* name;
    std::initializer_list<std::pair<const char*, const char*>> recipients;
    bool suppresses;
  };
  const Case kCases[] = {
      {"ours is dead, another is full", {{"a@y.test", "5.2.2"}, {"USER0@x.test", "5.1.1"}}, true},
      {"ours is full, others are dead",
       {{"a@y.test", "5.1.1"}, {"user0@x.test", "5.2.2"}, {"b@y.test", "5.1.1"}},
       false},
      {"all others are dead", {{"a@y.test", "5.1.1"}, {"b@y.test", "5.1.1"}}, true},
      {"one other is not", {{"a@y.test", "5.1.1"}, {"b@y.test", "5.7.1"}, {"c@y.test", "5.1.1"}}, false},
  };
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      World world;
      const auto report = world.inbound.take(report_of(c.recipients), {.recipient = world.return_path(0)}, kNow);
      BOOST_TEST((report.event == EventKind::kLateBounce));
      BOOST_TEST(report.suppressed.size() == (c.suppresses ? 1U : 0U));
      BOOST_TEST(world.spool->suppressed("brand", "user0@x.test").has_value() == c.suppresses);
      BOOST_TEST(!world.spool->suppressed("brand", "a@y.test").has_value());
    }
  }
}

BOOST_FIXTURE_TEST_CASE(tokens_that_are_not_good_are_nobodys, World) {
  const std::string forger(32, 'f');
  struct Case {
    const char* name;
    std::string recipient;
    Attribution attribution;
  };
  const Case kCases[] = {
      {"signed by another key", return_path(0, forger), Attribution::kNone},
      {"cut short", return_path(0).substr(3), Attribution::kNone},
      {"of no campaign", return_path(0, kKey, 78), Attribution::kUnknownJob},
      {"a row beyond the last", return_path(3), Attribution::kUnknownJob},
      {"empty", "", Attribution::kNone},
      {"good, in other letters", "B" + return_path(0).substr(1), Attribution::kRow},
  };
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      const auto report = inbound.take(report_of({{"user0@x.test", "5.1.1"}}), {.recipient = c.recipient}, kNow);
      BOOST_TEST((report.attribution == c.attribution));
      BOOST_TEST(report.suppressed.empty() == (c.attribution != Attribution::kRow));
    }
  }
}

BOOST_FIXTURE_TEST_CASE(a_report_without_a_token_causes_a_bounded_number_of_events, World) {
  std::string text = report_of({});
  std::string many;
  for (int i = 0; i < 500; ++i)
    many += fmt::format("Final-Recipient: rfc822; u{}@y.test\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n", i);
  text.insert(text.rfind("--=b--"), many);
  const auto report = inbound.take(text, {}, kNow);
  BOOST_TEST(report.report.recipients.size() == 500U);
  BOOST_TEST(report.suppressed.empty());
  const auto all = events();
  BOOST_TEST(all.size() == 20U);
  for (const Event& event : all) BOOST_TEST(event.job.empty());
  BOOST_TEST(!spool->suppressed("", "u1@y.test").has_value());
}

BOOST_FIXTURE_TEST_CASE(a_trusted_report_suppresses_all_that_it_names, World) {
  const auto report = inbound.take(
      report_of({{"a@y.test", "5.1.1"}, {"b@y.test", "5.7.1"}, {"not an address", "5.1.1"}, {"C@Y.test", "5.1.1"}}),
      {.trust_unsigned = true, .account = "brand"}, kNow);
  BOOST_TEST((report.attribution == Attribution::kTrusted));
  const std::vector<std::string> expected{"a@y.test", "c@y.test"};
  BOOST_TEST(report.suppressed == expected, boost::test_tools::per_element());
  BOOST_TEST(spool->suppressed("brand", "c@y.test")->reason ==
             static_cast<std::uint8_t>(SuppressionReason::kHardBounce));
  BOOST_TEST(!spool->suppressed("brand", "b@y.test").has_value());
}

// Of a soft bounce that comes twice the second changes nothing; a worse one still does.
BOOST_FIXTURE_TEST_CASE(what_is_repeated_counts_once_but_a_worse_word_is_heard, World) {
  BOOST_TEST(!dsn(0, {.status = "5.2.2", .text = "Mailbox full"}).repeated);
  const std::uint64_t tally = spool->tally("brand", "user0@x.test");
  BOOST_TEST(tally != 0U);
  BOOST_TEST(dsn(0, {.status = "5.2.2", .text = "Mailbox full"}).repeated);
  BOOST_TEST(spool->tally("brand", "user0@x.test") == tally);
  const InboundReport worse = dsn(0, {.status = "5.1.1", .text = "User unknown"});
  BOOST_TEST(worse.repeated);
  BOOST_TEST(worse.suppressed.size() == 1U);
  BOOST_TEST(spool->tally("brand", "user0@x.test") == 0U);
  BOOST_TEST(events().size() == 1U);
}

BOOST_AUTO_TEST_CASE(nothing_makes_a_person_of_rubbish) {
  World world;
  for (const std::string& text : {std::string(), std::string(1, '\0'), std::string("\r\n\r\n"),
                                  std::string(100'000, ':'), std::string("x: y\r\n\r\n\xff\xfe")}) {
    const auto report = world.inbound.take(text, {.recipient = world.return_path(0)}, kNow);
    BOOST_TEST((report.attribution == Attribution::kRow));
    BOOST_TEST(!report.event.has_value());
  }
  BOOST_TEST(world.events().empty());
}

// Copies of each report on several threads: exactly one of each is the first.
BOOST_AUTO_TEST_CASE(one_of_two_copies_at_a_time_is_the_repeated_one) {
  constexpr int kRows = 200;
  constexpr int kThreads = 4;
  World world(kRows);
  std::atomic<int> first{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (std::uint32_t row = 0; row < kRows; ++row) first += world.dsn(row).repeated ? 0 : 1;
    });
  }
  for (std::thread& thread : threads) thread.join();
  BOOST_TEST(first == kRows);
  BOOST_TEST(world.events().size() == static_cast<std::size_t>(kRows));
  BOOST_TEST(world.spool->note_counts(world.job->number)[0] == static_cast<std::uint64_t>(kRows));
}
