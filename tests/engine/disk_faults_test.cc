// What the disk, the clock and DNS do to an engine in the middle of a campaign on a spool on disk: it waits, nothing is
// lost or sent twice, and it goes on without being opened again.
#include <fmt/format.h>

#include <boost/test/unit_test.hpp>
#include <map>
#include <numeric>
#include <set>
#include <thread>
#include <utility>

#include "mailsbuddy/engine.h"
#include "spool/keys.h"
#include "spool/store.h"
#include "tests/sim/caller.h"
#include "tests/sim/disk_spool.h"
#include "tests/sim/sim.h"
#include "tests/spool/faulty_files.h"
#include "tests/spool/scratch.h"

using namespace mailsbuddy;
using namespace std::chrono_literals;
using sim::Collector;
using Fault = spool::FaultyFiles::Fault;

namespace {

constexpr int kRows = 300;
constexpr auto kClaimed = static_cast<std::size_t>(spool::State::kClaimed);

class Rows final : public RowSource {
 public:
  explicit Rows(int count, std::optional<Error> end = {}) : count_(count), end_(std::move(end)) {}
  std::span<const std::string> columns() const override { return {}; }
  Result<std::optional<RowView>> next() override {
    if (at_ == count_ && end_) return *end_;
    if (at_ == count_) return std::optional<RowView>();
    address_ = fmt::format("u{}-with-a-name-that-takes-some-room@d{}.test", at_, at_ % 3);
    ++at_;
    return std::optional<RowView>({.number = static_cast<std::uint64_t>(at_), .address = address_, .values = {}});
  }

 private:
  int count_;
  std::optional<Error> end_;
  int at_ = 0;
  std::string address_;
};

// An engine in a world with one receiver, which takes its time, for three domains.
struct Place {
  sim::World world;
  std::shared_ptr<spool::Spool> spool;
  std::shared_ptr<Collector> collector = std::make_shared<Collector>();
  std::unique_ptr<Engine> engine;
  sim::Receiver* receiver = nullptr;

  Place() {
    for (int i = 0; i < 3; ++i) {
      world.mx[fmt::format("d{}.test", i)] = {{10, fmt::format("mx{}.test", i)}};
      world.addresses[fmt::format("mx{}.test", i)] = {*net::IpAddress::parse("198.51.100.1")};
    }
    receiver = &world.receivers["198.51.100.1"];
    receiver->latency = 50ms;
  }
  spool::Spool* open_spool(const spool::StoreSettings& settings, const std::string& directory) {
    spool = sim::make_disk_spool(world.loop, settings, directory);
    return spool.get();
  }
  Result<void> open_engine() {
    auto opened = Engine::open({.egress = {{.address = "192.0.2.1", .ehlo_name = "a.test"}},
                                .runtime = sim::make_runtime(world, 1),
                                .spool = spool});
    if (!opened) return std::move(opened).error();
    engine = *std::move(opened);
    engine->subscribe(collector);
    return {};
  }
  void open(const spool::StoreSettings& settings, const std::string& directory) {
    open_spool(settings, directory);
    const auto opened = open_engine();
    BOOST_REQUIRE_MESSAGE(opened.has_value(), (opened ? "" : opened.error().detail));
  }
  void close() {
    engine.reset();
    spool.reset();
  }
  Result<ImportReport> start(const std::string& id, int count, std::optional<Error> end = {}) {
    const auto content =
        make_campaign_content({.headers = {{"Subject", id}}, .text = "Hi", .html = {}, .attachments = {}},
                              {.unsubscribe_url = "https://s.test/u", .list_id = "l.s.test"});
    Rows rows(count, std::move(end));
    return engine->start({.id = id,
                          .account = "a",
                          .content = *content,
                          .from = *NamedAddress::parse("n@s.test"),
                          .return_path_domain = "b.s.test"},
                         rows);
  }
  void run(Duration time) { world.loop.run_until(world.loop.now() + time); }
  void until_taken(std::size_t mails) {
    world.loop.run_until(world.loop.now() + 1h, [this, mails] { return receiver->mails.size() >= mails; });
    BOOST_REQUIRE(receiver->mails.size() >= mails);
  }
  std::uint64_t count(const std::string& id, spool::State state) const { return engine->status(id).value().of(state); }
  // Each has its mail of that campaign once, and one event that says so.
  void check_all_once(const std::string& id, int rows = kRows) const {
    std::map<std::string, int> taken;
    for (const auto& mail : receiver->mails)
      taken[mail.to] += mail.data.find("Subject: " + id) != std::string::npos ? 1 : 0;
    std::map<std::string, int> delivered;
    for (const Event& event : collector->events) {
      if (event.job == id && is_final(event.kind))
        delivered[event.recipient] += event.kind == EventKind::kDelivered ? 1 : 100;
    }
    BOOST_TEST(count(id, spool::State::kDelivered) == static_cast<std::uint64_t>(rows));
    BOOST_TEST(delivered.size() == static_cast<std::size_t>(rows));
    for (const auto& [address, events] : delivered) {
      BOOST_TEST(events == 1, address);
      BOOST_TEST(taken[address] == 1, address);
    }
  }
};

// With a disk of its own.
struct Machine {
  spool::Scratch scratch;
  std::shared_ptr<spool::FaultyFiles> files = std::make_shared<spool::FaultyFiles>();
  std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(files);
  spool::StoreSettings settings{.env = env.get()};
};

struct Case {
  const char* name;
  Fault fault;
};
constexpr Case kCases[] = {{.name = "full", .fault = Fault::kFull},
                           {.name = "read-only", .fault = Fault::kReadOnly},
                           {.name = "broken", .fault = Fault::kBroken},
                           {.name = "sync broken", .fault = Fault::kSyncBroken}};

}  // namespace

BOOST_AUTO_TEST_CASE(a_disk_that_refuses_holds_up_and_loses_nothing) {
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      Machine machine;
      Place place;
      place.open(machine.settings, machine.scratch.path());
      BOOST_REQUIRE(place.start("c", kRows).has_value());
      place.until_taken(50);
      machine.files->set_fault(c.fault);
      place.run(1h);
      const std::size_t taken = place.receiver->mails.size();
      BOOST_TEST(taken <
                 static_cast<std::size_t>(kRows));  // Claims are not durable: only what was claimed before goes.
      place.run(1h);
      BOOST_TEST(place.receiver->mails.size() == taken);
      BOOST_TEST((place.spool->pressure().kind == spool::Pressure::Kind::kFailed));
      const auto refused = place.start("other", 10);
      BOOST_REQUIRE(!refused.has_value());
      BOOST_TEST(!place.engine->pause("c").has_value());
      BOOST_TEST(!place.engine->status("c").value().paused);

      machine.files->set_fault(Fault::kNone);
      while (!place.spool->sync()) std::this_thread::yield();
      place.run(2h);
      place.check_all_once("c");
      BOOST_REQUIRE(place.start("other", kRows).has_value());
      place.run(2h);
      place.check_all_once("other");
      BOOST_TEST(place.spool->defects().empty());
    }
  }
}

// The disk is full for a while, and again, at any octet of what the engine writes.
BOOST_AUTO_TEST_CASE(room_comes_and_goes) {
  Machine machine;
  Place place;
  place.open(machine.settings, machine.scratch.path());
  BOOST_REQUIRE(place.start("c", kRows).has_value());
  Random random(7);
  for (int i = 0; i < 12; ++i) {
    machine.files->fail_after_bytes(static_cast<std::int64_t>(random.below(6000)));
    place.run(std::chrono::milliseconds(500 + random.below(2000)));
    machine.files->set_fault(Fault::kNone);
    while (!place.spool->sync()) std::this_thread::yield();
  }
  place.run(2h);
  place.check_all_once("c");
}

// The engine does not open when it cannot read what was on its way: once it claimed rows, nobody could tell which.
BOOST_AUTO_TEST_CASE(what_was_on_its_way_must_be_read) {
  Machine machine;
  Place place;
  place.open(machine.settings, machine.scratch.path());
  BOOST_REQUIRE(place.start("c", kRows).has_value());
  place.until_taken(50);
  place.close();
  BOOST_REQUIRE(place.open_spool(machine.settings, machine.scratch.path())->counts(1)[kClaimed] > 0U);
  machine.files->set_fault(Fault::kUnreadable);
  const auto unread = place.open_engine();
  BOOST_REQUIRE(!unread.has_value());
  BOOST_TEST((unread.error().code == ErrorCode::kIo), unread.error().detail);
  BOOST_TEST(place.spool->counts(1)[kClaimed] > 0U);
  machine.files->set_fault(Fault::kNone);
  BOOST_REQUIRE(place.open_engine().has_value());
  place.run(2h);
  BOOST_TEST(place.count("c", spool::State::kDelivered) == static_cast<std::uint64_t>(kRows));
}

// Rows that cannot be read now, queued ones and those that a cancelled campaign is to settle, are read later.
BOOST_AUTO_TEST_CASE(a_disk_that_cannot_be_read_is_read_again) {
  constexpr int kMany = 3000;  // In more blocks than the one with the job itself, which is in memory.
  for (const bool cancel : {false, true}) {
    BOOST_TEST_CONTEXT((cancel ? "cancelled" : "queued")) {
      Machine machine;
      Place place;
      place.open(machine.settings, machine.scratch.path());
      BOOST_REQUIRE(place.start("c", kMany).has_value());
      place.close();
      place.open(machine.settings, machine.scratch.path());
      machine.files->set_fault(Fault::kUnreadable);
      if (cancel) BOOST_REQUIRE(place.engine->cancel("c").has_value());
      place.run(10min);
      const std::uint64_t queued = place.count("c", spool::State::kQueued);
      BOOST_TEST(queued > 0U);
      machine.files->set_fault(Fault::kNone);
      place.run(10s);
      BOOST_TEST(place.count("c", spool::State::kQueued) < queued);  // It did not wait for its next route.
      place.run(5h);
      if (!cancel) place.check_all_once("c", kMany);
      BOOST_TEST(place.engine->status("c").value().settled());
    }
  }
}

// A command about recipients that cannot be read now leaves them, says how many, and does what it can.
BOOST_AUTO_TEST_CASE(who_cannot_be_read_is_not_failed_unnamed) {
  constexpr int kMany = 3000;
  Machine machine;
  Place place;
  place.open(machine.settings, machine.scratch.path());
  BOOST_REQUIRE(place.start("c", kMany).has_value());
  BOOST_REQUIRE(place.engine->pause("c").has_value());
  place.close();
  place.open(machine.settings, machine.scratch.path());
  machine.files->set_fault(Fault::kUnreadable);
  const auto failed = place.engine->fail({.job = "c"}, "not wanted");
  BOOST_REQUIRE_MESSAGE(failed.has_value(), (failed ? "" : failed.error().detail));
  BOOST_TEST(failed->unreadable > 0U);
  BOOST_TEST(failed->unreadable + failed->rows == static_cast<std::uint64_t>(kMany));
  BOOST_TEST(place.count("c", spool::State::kQueued) == failed->unreadable);
  spool::ListCursor cursor;
  std::vector<QueuedRecipient> listed;
  BOOST_REQUIRE(place.engine->list({.job = "c"}, cursor, 1, listed).has_value());
  BOOST_REQUIRE(listed.size() == 1U);
  BOOST_TEST(listed[0].address.empty());
  BOOST_TEST(!listed[0].unreadable.empty());
  BOOST_TEST(!place.engine->open_recipients("c", 10).has_value());
  machine.files->set_fault(Fault::kNone);
  const auto rest = place.engine->fail({.job = "c"}, "not wanted");
  BOOST_TEST(rest.value().rows == failed->unreadable);
  place.run(1min);
  BOOST_TEST(place.collector->events.size() == static_cast<std::size_t>(kMany));
  for (const Event& event : place.collector->events) BOOST_TEST(!event.recipient.empty());
}

// An import that goes on must know whom it has: it waits until it can read them.
BOOST_AUTO_TEST_CASE(an_import_that_cannot_read_what_it_has_doubles_nobody) {
  constexpr int kMany = 6000;  // More than one write takes.
  Machine machine;
  Place place;
  place.open(machine.settings, machine.scratch.path());
  BOOST_TEST((place.start("c", kMany, Error{ErrorCode::kResourceExhausted, "no more now"}).error().code ==
              ErrorCode::kResourceExhausted));
  place.close();
  place.open(machine.settings, machine.scratch.path());
  machine.files->set_fault(Fault::kUnreadable);
  const auto refused = place.start("c", kMany);
  BOOST_REQUIRE(!refused.has_value());
  BOOST_TEST((refused.error().code == ErrorCode::kResourceExhausted), refused.error().detail);
  machine.files->set_fault(Fault::kNone);
  const auto resumed = place.start("c", kMany);
  BOOST_REQUIRE_MESSAGE(resumed.has_value(), (resumed ? "" : resumed.error().detail));
  BOOST_TEST(resumed->accepted == static_cast<std::uint64_t>(kMany));
  BOOST_TEST(resumed->resumed > 0U);
  place.run(5h);
  place.check_all_once("c", kMany);
}

// Rows of a record that is none are failed, and those behind it go as if nothing was.
BOOST_AUTO_TEST_CASE(a_damaged_record_holds_nobody_up) {
  constexpr int kMany = 3000;
  Machine machine;
  Place place;
  place.open(machine.settings, machine.scratch.path());
  BOOST_REQUIRE(place.start("c", kMany).has_value());
  place.close();
  {
    const auto store = spool::Store::open({.directory = machine.scratch.path(), .reserve_bytes = 0}, machine.settings);
    BOOST_REQUIRE(store.has_value());
    spool::Changes changes;
    changes.put(spool::Family::kRows, spool::keys::chunk({1, 0, 0}), "none");
    const spool::Changes* const all = &changes;
    BOOST_REQUIRE((*store)->write({&all, 1}, true).has_value());
  }
  place.open(machine.settings, machine.scratch.path());
  place.run(10min);
  const std::uint64_t failed = place.count("c", spool::State::kFailed);
  BOOST_TEST(failed > 256U);  // More than are read at a time.
  BOOST_TEST(place.count("c", spool::State::kDelivered) + failed == static_cast<std::uint64_t>(kMany));
}

// The machine comes up with another time: rows go when it is theirs by the new clock, and their age counts by it.
BOOST_AUTO_TEST_CASE(a_clock_that_jumped_while_it_was_down) {
  struct Jump {
    const char* name;
    Duration jump;
    spool::State end;
  };
  const Jump kJumps[] = {{"back by two days", -std::chrono::hours(48), spool::State::kDelivered},
                         {"back by a minute", -1min, spool::State::kDelivered},
                         {"on by two hours", 2h, spool::State::kDelivered},
                         {"on by a year", std::chrono::hours(24 * 365), spool::State::kExpired}};
  for (const Jump& jump : kJumps) {
    BOOST_TEST_CONTEXT(jump.name) {
      Machine machine;
      TimePoint ended;
      {
        Place before;
        before.run(std::chrono::hours(72));
        before.receiver->script["RCPT"] = {{sim::Action::Kind::kReply, "451 4.7.1 Greylisted"}};
        before.open(machine.settings, machine.scratch.path());
        BOOST_REQUIRE(before.start("c", kRows).has_value());
        before.run(5min);
        BOOST_TEST(before.count("c", spool::State::kDeferred) == static_cast<std::uint64_t>(kRows));
        ended = before.world.loop.now();
        before.close();
      }
      Place after;
      after.run(ended + jump.jump - after.world.loop.now());
      after.open(machine.settings, machine.scratch.path());
      after.run(std::chrono::hours(60));
      BOOST_TEST(after.count("c", jump.end) == static_cast<std::uint64_t>(kRows));
      if (jump.end == spool::State::kDelivered) after.check_all_once("c");
    }
  }
}

// No name can be looked up for a day, in the middle of which the engine is opened again.
BOOST_AUTO_TEST_CASE(an_outage_of_dns) {
  Machine machine;
  Place place;
  for (int i = 0; i < 3; ++i) place.world.broken[fmt::format("d{}.test", i)] = net::DnsStatus::kFailed;
  place.open(machine.settings, machine.scratch.path());
  BOOST_REQUIRE(place.start("c", kRows).has_value());
  place.run(12h);
  BOOST_TEST(place.receiver->connections_seen == 0);
  place.close();
  place.open(machine.settings, machine.scratch.path());
  place.run(12h);
  const std::uint64_t open = place.count("c", spool::State::kQueued) + place.count("c", spool::State::kDeferred);
  BOOST_TEST(open == static_cast<std::uint64_t>(kRows));
  place.world.broken.clear();
  place.run(std::chrono::hours(24));
  place.check_all_once("c");
}

// Exact in every state that rows come to, also after the power went, and of a disk that cannot be read at all.
BOOST_AUTO_TEST_CASE(a_summary_is_exact_and_reads_no_row) {
  constexpr QueueGrouping kAll[] = {QueueGrouping::kCampaign, QueueGrouping::kAccount, QueueGrouping::kDomain,
                                    QueueGrouping::kProvider, QueueGrouping::kState};
  constexpr const char* kFilters[] = {"",
                                      "state=any",
                                      "state=final",
                                      "job=c,state=any",
                                      "domain=d1.test,state=any",
                                      "account=a,state=deferred",
                                      "pool=other,state=any",
                                      "age=1m,domain=d2.test"};
  Machine machine;
  Place place;
  place.open(machine.settings, machine.scratch.path());
  const auto name_of = [](const QueuedRecipient& each, QueueGrouping by) -> std::string {
    switch (by) {
      case QueueGrouping::kCampaign:
        return each.campaign;
      case QueueGrouping::kAccount:
        return each.account;
      case QueueGrouping::kDomain:
        return each.address.empty() ? "d2.test" : each.address.substr(each.address.rfind('@') + 1);
      case QueueGrouping::kProvider:
        return each.provider;
      case QueueGrouping::kState:
        return std::string(spool::to_string(each.state));
    }
    return {};
  };
  std::uint64_t listing_read = 0;
  const auto check = [&](const char* when) {
    for (const char* text : kFilters) {
      for (const QueueGrouping by : kAll) {
        BOOST_TEST_CONTEXT(when << ": " << text << " by " << static_cast<int>(by)) {
          const auto filter = QueueFilter::parse(text).value();
          const auto before = machine.files->reads();
          machine.files->set_fault(Fault::kUnreadable);
          const auto summary = place.engine->summary(filter, by);
          machine.files->set_fault(Fault::kNone);
          BOOST_REQUIRE(summary.has_value());
          BOOST_TEST(machine.files->reads() == before);
          std::map<std::string, spool::Counts> expected, found;
          std::vector<QueuedRecipient> rows;
          spool::ListCursor cursor;
          while (place.engine->list(filter, cursor, 1000, rows).value()) {
          }
          listing_read += static_cast<std::uint64_t>(machine.files->reads() - before);
          for (const QueuedRecipient& each : rows) ++expected[name_of(each, by)][static_cast<std::size_t>(each.state)];
          for (const QueueGroup& each : summary->groups) found[each.name] = each.counts;
          BOOST_TEST((found == expected));
          BOOST_TEST(found.size() == summary->groups.size());
          BOOST_TEST(summary->other_groups == 0U);
          const auto first = place.engine->summary(filter, by, 1).value();
          BOOST_TEST(first.groups.size() == std::min<std::size_t>(1, expected.size()));
          BOOST_TEST(first.groups.size() + first.other_groups == expected.size());
          std::uint64_t all = std::accumulate(first.others.begin(), first.others.end(), std::uint64_t{0});
          for (const QueueGroup& each : first.groups) all += each.rows();
          BOOST_TEST(all == rows.size());
          if (!summary->groups.empty()) BOOST_TEST(first.groups.front().rows() == summary->groups.front().rows());
        }
      }
    }
  };
  BOOST_REQUIRE(place.start("c", kRows).has_value());
  check("queued");
  place.until_taken(kRows / 3);
  check("some are delivered, some are on the wire");
  place.receiver->script["RCPT"] = {{sim::Action::Kind::kReply, "451 4.7.1 Later"}};
  place.run(30s);
  BOOST_REQUIRE(place.count("c", spool::State::kDeferred) > 0U);
  check("deferred");
  BOOST_REQUIRE(place.engine->fail(QueueFilter::parse("domain=d1.test").value(), "no").has_value());
  check("failed");
  std::string address;
  {
    std::vector<QueuedRecipient> rows;
    spool::ListCursor cursor;
    BOOST_REQUIRE(place.engine->list(QueueFilter::parse("domain=d2.test").value(), cursor, 1, rows).has_value());
    address = rows.at(0).address;
  }
  BOOST_TEST(place.engine->erase_address(*Address::parse(address)).value().cancelled == 1U);
  check("erased");  // A listing knows the domain of none that was erased.
  place.receiver->script["RCPT"] = {{sim::Action::Kind::kReply, "550 5.1.1 No such user"}};
  place.run(10min);
  place.receiver->script["RCPT"] = {{sim::Action::Kind::kReply, "451 4.7.1 Later"}};
  BOOST_REQUIRE(place.start("e", kRows).has_value());
  place.run(240h);
  BOOST_REQUIRE(place.count("e", spool::State::kExpired) > 0U);
  check("expired");
  BOOST_REQUIRE(place.start("f", kRows).has_value());
  place.run(1s);
  machine.files->cut();
  place.close();
  Random random(5);
  machine.files->restore(random);
  place.open(machine.settings, machine.scratch.path());
  check("after the power went");
  place.receiver->script.clear();
  place.run(2h);
  check("all done");
  BOOST_TEST(listing_read > 0U);  // The listing did.
}

// Who has sent many messages is failed and released with few waits for the disk.
BOOST_AUTO_TEST_CASE(messages_of_an_account_are_commanded_together) {
  constexpr int kMessages = 300;
  Machine machine;
  Place place;
  place.open(machine.settings, machine.scratch.path());
  for (int i = 0; i < kMessages; ++i) {
    const auto submitted = place.engine->submit({.sender = *Address::parse("n@s.test"),
                                                 .recipients = {*Address::parse(fmt::format("u{}@d{}.test", i, i % 3))},
                                                 .data = "From: n@s.test\r\nSubject: x\r\n\r\nHi\r\n",
                                                 .account = i % 3 == 0 ? "other" : "a",
                                                 .not_before = place.world.loop.now() + 10h});
    BOOST_REQUIRE(submitted.has_value());
  }
  const auto before = machine.files->syncs();
  std::vector<QueuedRecipient> rows;
  spool::ListCursor cursor;
  BOOST_TEST(place.engine->list({.account = "a"}, cursor, 150, rows).value());
  BOOST_TEST(rows.size() == 150U);
  BOOST_TEST(!place.engine->list({.account = "a"}, cursor, 150, rows).value());
  std::set<std::string> listed;
  for (const QueuedRecipient& each : rows) listed.insert(each.address);
  BOOST_TEST(rows.size() == listed.size());
  BOOST_TEST(place.engine->fail({.account = "a"}, "no").value().rows == listed.size());
  BOOST_TEST(machine.files->syncs() <= before + 2);
  BOOST_TEST(place.engine->open_rows() == kMessages / 3U);
  place.run(24h);
  BOOST_TEST(place.receiver->mails.size() == kMessages / 3U);
}

// What it is found to be only when the groups are chosen already is one of the others.
BOOST_AUTO_TEST_CASE(a_summary_names_what_changes_meanwhile) {
  Machine machine;
  machine.settings.write_buffer_bytes = 64u << 10;
  Place place;
  place.open(machine.settings, machine.scratch.path());
  BOOST_REQUIRE(place.start("c", 20 * kRows).has_value());
  BOOST_REQUIRE(place.engine->pause("c").has_value());
  place.close();
  place.open(machine.settings, machine.scratch.path());  // Rows are on disk, and not in memory.
  const QueueFilter filter{.address = "u7-with-a-name-that-takes-some-room@d1.test", .states = ~0U};
  bool failed = false;
  machine.files->on_read([&] {
    if (std::exchange(failed, true)) return;
    std::thread([&] { BOOST_TEST(place.engine->fail(filter, "no").value().rows == 1U); }).join();
  });
  const auto summary = place.engine->summary(filter, QueueGrouping::kState).value();
  machine.files->on_read(nullptr);
  BOOST_REQUIRE(failed);
  BOOST_TEST(summary.groups.empty());
  BOOST_TEST(summary.others[static_cast<std::size_t>(spool::State::kFailed)] == 1U);
  BOOST_TEST(summary.other_groups == 1U);
}
