// What a spool on disk is after it was closed and opened again: random lives, and the parts that they do not reach.
#include <fmt/format.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>

#include "spool/due_window.h"
#include "spool/store.h"
#include "tests/spool/history.h"
#include "tests/spool/scratch.h"

using namespace mailsbuddy;
using namespace mailsbuddy::spool;
using namespace std::chrono_literals;

namespace {

StoreSettings small() { return {.write_buffer_bytes = 64u << 10, .pages_after = 25, .merge_after = 30}; }

struct Disk {
  Scratch scratch;
  RocksSpoolOptions options{.directory = scratch.path(), .durability = Durability::kProcessCrash, .reserve_bytes = 0};

  std::unique_ptr<Spool> open(StoreSettings settings = small()) {
    auto spool = open_rocks_spool(options, std::move(settings));
    BOOST_REQUIRE_MESSAGE(spool.has_value(), (spool ? "" : spool.error().detail));
    return *std::move(spool);
  }
};

std::vector<Row> read_all(Spool& spool, JobNumber job) {
  std::vector<Row> rows;
  for (const auto& domain : spool.domains(job)) {
    Cursor cursor;
    while (spool.read(job, domain.domain, cursor, 100, rows)) {
    }
  }
  return rows;
}

void fill(Spool& spool, JobNumber job, std::size_t rows, std::string_view domain = "x.test") {
  std::vector<std::string> locals;
  for (std::size_t i = 0; i < rows; ++i) locals.push_back("user" + std::to_string(i));
  std::vector<RowInput> inputs;
  for (const std::string& local : locals) inputs.push_back({domain, local, "f"});
  BOOST_REQUIRE(spool.append(job, inputs).has_value());
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_life_goes_on_where_it_was_closed) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Disk disk;
      Model model;
      for (int life = 0; life < 4; ++life) {
        History history(seed * 100 + static_cast<std::uint64_t>(life), model);
        auto spool = disk.open();
        for (int i = 0; i < 150; ++i) BOOST_REQUIRE(apply(history.next(), *spool, nullptr));
        spool.reset();
        model = history.model();
        spool = disk.open();
        std::vector<std::string> wrong;
        const Model found = look_at(*spool, model, wrong);
        BOOST_REQUIRE_MESSAGE(wrong.empty(), (wrong.empty() ? std::string() : wrong.front()));
        BOOST_REQUIRE_EQUAL(difference(model, found), "none");
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(twenty_thousand_deferred_rows_come_earliest_first_also_after_opening) {
  Disk disk;
  auto spool = disk.open();
  const JobNumber job = *spool->create({.id = "c", .content = {}});
  fill(*spool, job, 20'000);
  Batch batch;
  Random random(3);
  for (const Row& row : read_all(*spool, job)) {
    batch.settlements.push_back({.key = row.key,
                                 .state = State::kDeferred,
                                 .attempts = 3,
                                 .due = TimePoint(Duration(static_cast<std::int64_t>(random.below(1'000'000)))),
                                 .mark = 5});
  }
  spool->commit(std::move(batch), nullptr);
  for (int opened = 0; opened < 2; ++opened) {
    if (opened == 1) spool.reset();
    if (opened == 1) spool = disk.open();
    std::vector<Row> rows;
    TimePoint last{};
    for (TimePoint next = spool->next_due(); next != TimePoint::max(); next = spool->next_due()) {
      BOOST_REQUIRE((next >= last));
      last = next;
      spool->take_due(next, 100, rows);
    }
    BOOST_TEST(rows.size() == 20'000U);
    BOOST_TEST(rows.back().attempts == 3);
    BOOST_TEST(rows.back().mark == 5);
  }
}

BOOST_AUTO_TEST_CASE(a_row_given_back_is_read_once_after_opening_and_keeps_its_attempts) {
  Disk disk;
  auto spool = disk.open();
  const JobNumber job = *spool->create({.id = "c", .content = {}});
  fill(*spool, job, 1);
  const RowKey key = read_all(*spool, job).front().key;
  spool->commit({.settlements = {{.key = key, .state = State::kDeferred, .attempts = 3, .due = TimePoint(5s)}}}, nullptr);
  std::vector<Row> due;
  spool->take_due(TimePoint(5s), 1, due);
  BOOST_REQUIRE(due.size() == 1U);
  spool->commit({.settlements = {{.key = key, .attempts = 3}}}, nullptr);
  BOOST_TEST(read_all(*spool, job).empty());
  for (int opened = 0; opened < 2; ++opened) {
    if (opened == 1) spool.reset();
    if (opened == 1) spool = disk.open();
    spool->hand_out_anew();
    const std::vector<Row> rows = read_all(*spool, job);
    BOOST_REQUIRE(rows.size() == 1U);
    BOOST_TEST(rows.front().attempts == 3);
    BOOST_TEST(read_all(*spool, job).empty());
  }
}

BOOST_AUTO_TEST_CASE(hashed_suppressions_are_opened_with_their_key_alone) {
  Disk disk;
  disk.options.suppression_key = "0123456789abcdef";
  BOOST_REQUIRE(disk.open()->suppress({{"brand", "ann@x.test"}, {}}).has_value());
  for (const char* key : {"", "fedcba9876543210"}) {
    disk.options.suppression_key = key;
    const auto refused = open_rocks_spool(disk.options, small());
    BOOST_REQUIRE(!refused.has_value());
    BOOST_TEST((refused.error().code == ErrorCode::kInvalidArgument));
    BOOST_TEST(refused.error().detail.find("suppression_key") != std::string::npos);
  }
  disk.options.suppression_key = "0123456789abcdef";
  BOOST_TEST(disk.open()->suppressed("brand", "ann@x.test").has_value());
}

BOOST_AUTO_TEST_CASE(the_window_of_due_rows_is_bounded_and_loses_none) {
  constexpr std::uint32_t kRows = 3 * DueWindow::kRowsMax;
  DueWindow window;
  window.set_horizon({Waiting::kNever, {}});  // All there is, which is nothing yet.
  for (std::uint32_t i = 0; i < kRows; ++i) {
    const RowKey key{1, 1, i};
    window.put(key, {.due = kRows - i});
    window.written(key, kRows - i);
  }
  std::size_t kept = 0;
  std::int64_t last = 0;
  for (auto next = window.earliest(); next; next = window.earliest()) {
    BOOST_REQUIRE(next->at == last + 1);  // From the earliest on, without a gap, up to the horizon.
    last = next->at;
    window.take_earliest();
    ++kept;
  }
  BOOST_TEST(kept <= DueWindow::kRowsMax);
  BOOST_TEST(kept >= DueWindow::kRowsMax / 2);
  BOOST_TEST(window.horizon().at == last + 1);
}

BOOST_AUTO_TEST_CASE(a_spool_is_open_once) {
  Disk disk;
  const auto spool = disk.open();
  const auto second = open_rocks_spool(disk.options);
  BOOST_REQUIRE(!second.has_value());
  BOOST_TEST((second.error().code == ErrorCode::kUnavailable));
  BOOST_TEST(second.error().detail.find("directory of its own") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_directory_of_something_else_is_left_alone) {
  Disk disk;
  std::filesystem::create_directory(disk.options.directory);
  std::ofstream(disk.options.directory + "/holiday.jpg") << "x";
  const auto spool = open_rocks_spool(disk.options);
  BOOST_REQUIRE(!spool.has_value());
  BOOST_TEST((spool.error().code == ErrorCode::kInvalidArgument));
  BOOST_TEST(spool.error().detail.find("holiday.jpg") != std::string::npos);
  BOOST_TEST(std::distance(std::filesystem::directory_iterator(disk.options.directory), {}) == 1);
}

BOOST_AUTO_TEST_CASE(a_newer_format_is_refused_and_an_older_one_is_made_newer) {
  Disk disk;
  disk.open().reset();
  StoreSettings newer = small();
  newer.format = kFormat + 2;
  int steps = 0;
  newer.upgrades = {{kFormat,
                     [&steps](Store& store) {
                       ++steps;
                       Changes changes;
                       changes.put(Family::kDefault, "Mupgraded", "yes");
                       const Changes* const all = &changes;
                       return store.write({&all, 1}, true);
                     }},
                    {kFormat + 1, [&steps](Store&) {
                       ++steps;
                       return Result<void>();
                     }}};
  disk.open(newer).reset();
  BOOST_TEST(steps == 2);
  disk.open(newer).reset();
  BOOST_TEST(steps == 2);
  const auto older = open_rocks_spool(disk.options);
  BOOST_REQUIRE(!older.has_value());
  BOOST_TEST((older.error().code == ErrorCode::kUnavailable));
  BOOST_TEST(older.error().detail.find("newer mailsbuddy") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_format_that_says_nothing_is_named) {
  for (const char* text : {"", "mailsbuddy spool \n", "mailsbuddy spool 0\n", "mailsbuddy spool x\n", "another 1\n",
                           "mailsbuddy spool 1"}) {
    Disk disk;
    disk.open().reset();
    std::ofstream(disk.options.directory + "/FORMAT") << text;
    const auto spool = open_rocks_spool(disk.options);
    BOOST_REQUIRE(!spool.has_value());
    BOOST_TEST(spool.error().detail.find("FORMAT") != std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(the_number_of_an_erased_job_is_not_given_again) {
  Disk disk;
  auto spool = disk.open();
  const JobNumber job = *spool->create({.id = "c", .content = {}});
  spool->erase(job);
  spool.reset();
  spool = disk.open();
  BOOST_TEST(*spool->create({.id = "c", .content = {}}) > job);
}

BOOST_AUTO_TEST_CASE(tasks_run_before_close_returns_and_none_after) {
  Disk disk;
  auto spool = disk.open();
  std::atomic<int> ran = 0;
  for (int i = 0; i < 100; ++i) spool->commit({.events = {"e"}}, [&ran] { ++ran; });
  spool->close();
  BOOST_TEST(ran == 100);
  spool->commit({.events = {"e"}}, [&ran] { ++ran; });
  const auto refused = spool->create({.id = "late", .content = {}});
  BOOST_TEST((!refused && refused.error().code == ErrorCode::kClosed));
  spool.reset();
  BOOST_TEST(ran == 100);
  BOOST_TEST(disk.open()->event_count() == 100U);
}
