// A spool on disk used by many threads at once, as an engine does: each row is delivered once, and all is there
// afterwards.
#include <fmt/format.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <latch>
#include <thread>

#include "spool/store.h"
#include "tests/spool/scratch.h"

using namespace mailsbuddy;
using namespace mailsbuddy::spool;

namespace {

constexpr int kThreads = 4;
constexpr int kRounds = 25;
constexpr int kRows = 10;

struct Office {
  Scratch scratch;
  std::unique_ptr<Spool> spool;
  std::atomic<std::uint64_t> delivered{0};
  std::atomic<bool> wrong{false};

  void open() {
    spool.reset();
    auto opened =
        open_rocks_spool({.directory = scratch.path(), .durability = Durability::kProcessCrash, .reserve_bytes = 0},
                         {.write_buffer_bytes = 64u << 10, .pages_after = 50, .merge_after = 20});
    BOOST_REQUIRE(opened.has_value());
    spool = *std::move(opened);
  }

  // Takes a job in, claims its rows once they are there, settles them when the claims are durable, and erases some
  // jobs.
  void work(int thread) {
    for (int round = 0; round < kRounds; ++round) {
      std::vector<std::string> locals;
      for (int i = 0; i < kRows; ++i) locals.push_back(fmt::format("u{}-{}-{}", thread, round, i));
      std::vector<RowInput> rows;
      for (int i = 0; i < kRows; ++i) {
        rows.push_back({i % 2 == 0 ? "x.test" : "y.test", locals[static_cast<std::size_t>(i)], "f"});
      }
      const auto job = spool->create({.id = locals[0], .content = "content"}, rows);
      if (!job || !spool->append(*job, rows).has_value()) return fail();
      std::vector<Row> read;
      for (const auto& domain : spool->domains(*job)) {
        Cursor cursor;
        while (spool->read(*job, domain.domain, cursor, 3, read)) {
        }
      }
      if (read.size() != 2 * kRows) return fail();
      deliver(read);
      if (spool->counts(*job)[static_cast<std::size_t>(State::kDelivered)] != 2 * kRows) return fail();
      if (round % 5 == 4) spool->erase(*job);
    }
  }

  void deliver(const std::vector<Row>& rows) {
    Batch claims;
    for (const Row& row : rows) claims.claims.push_back(row.key);
    std::latch claimed(1);
    spool->commit(std::move(claims), [&claimed] { claimed.count_down(); });
    claimed.wait();
    Batch settled;
    for (const Row& row : rows) {
      settled.settlements.push_back({.key = row.key, .state = State::kDelivered, .attempts = 1, .event = row.local});
      settled.suppressions.push_back({{"brand", row.local}, {}});
    }
    std::latch done(1);
    spool->commit(std::move(settled), [this, &done, count = rows.size()] {
      delivered += count;
      done.count_down();
    });
    done.wait();
  }

  // What others do meanwhile, and sees only what can be.
  void look(const std::atomic<bool>& stop) {
    for (std::uint64_t i = 0; !stop; ++i) {
      ListCursor cursor;
      std::vector<ListedRow> rows;
      spool->list({.states = 1U << static_cast<unsigned>(State::kDelivered)}, cursor, 50, rows);
      for (const ListedRow& row : rows) {
        if (row.state != State::kDelivered || row.local.empty()) fail();
      }
      const auto events = spool->peek_events(0, 7);
      spool->remove_events(events.size());
      spool->suppressed("brand", "u0-0-0");
      spool->next_due();
      if (spool->pressure().kind != Pressure::Kind::kNone) fail();
      if (i % 50 == 7 && !spool->scrub().has_value()) fail();
    }
  }

  void fail() { wrong = true; }
};

}  // namespace

BOOST_AUTO_TEST_CASE(many_threads_at_once) {
  Office office;
  office.open();
  std::atomic<bool> stop = false;
  std::thread looking([&] { office.look(stop); });
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back([&office, i] { office.work(i); });
  for (std::thread& thread : threads) thread.join();
  stop = true;
  looking.join();
  BOOST_TEST(!office.wrong);
  BOOST_TEST(office.delivered == 2U * kThreads * kRounds * kRows);
  const std::uint64_t events = office.spool->event_count();
  office.open();
  BOOST_TEST(office.spool->jobs().size() == kThreads * (kRounds - kRounds / 5U));
  BOOST_TEST(office.spool->open_rows() == 0U);
  BOOST_TEST(office.spool->event_count() == events);
  BOOST_TEST(office.spool->suppressed("brand", "u3-24-9").has_value());
  BOOST_TEST(office.spool->defects().empty());
}
