// What disks do to a spool: full, read-only, broken, out of descriptors, octets that changed.
#include <fmt/format.h>
#include <rocksdb/db.h>

#include <algorithm>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "spool/keys.h"
#include "spool/store.h"
#include "tests/spool/faulty_files.h"
#include "tests/spool/history.h"
#include "tests/spool/scratch.h"

using namespace mailsbuddy;
using namespace mailsbuddy::spool;
using namespace std::chrono_literals;
using Fault = FaultyFiles::Fault;

namespace {

struct Machine {
  Scratch scratch;
  std::shared_ptr<FaultyFiles> files = std::make_shared<FaultyFiles>();
  std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(files);
  std::unique_ptr<Spool> spool;
  RocksSpoolOptions options{.directory = scratch.path(), .reserve_bytes = 1000};
  StoreSettings settings{
      .env = env.get(), .compress = false, .write_buffer_bytes = 64u << 10, .pages_after = 25, .merge_after = 30};

  Machine() { open(); }
  void open() {
    spool.reset();
    auto opened = open_rocks_spool(options, settings);
    BOOST_REQUIRE_MESSAGE(opened.has_value(), (opened ? "" : opened.error().detail));
    spool = *std::move(opened);
  }
  JobNumber job_with(std::size_t rows, const std::string& id = "c", std::string_view domain = "x.test") {
    const JobNumber job = *spool->create({.id = id, .content = {}});
    BOOST_REQUIRE(append(job, rows, domain).has_value());
    return job;
  }
  Result<void> append(JobNumber job, std::size_t rows, std::string_view domain = "x.test",
                      std::string_view name = "user") {
    std::vector<std::string> locals;
    for (std::size_t i = 0; i < rows; ++i) locals.push_back(fmt::format("{}{}", name, i));
    std::vector<RowInput> inputs;
    for (const std::string& local : locals) inputs.push_back({domain, local, "fields"});
    const auto appended = spool->append(job, inputs);
    return appended ? Result<void>() : Result<void>(appended.error());
  }
  std::vector<Row> read_all(JobNumber job) {
    std::vector<Row> rows;
    for (const auto& domain : spool->domains(job)) {
      Cursor cursor;
      while (spool->read(job, domain.domain, cursor, 100, rows)) {
      }
    }
    return rows;
  }
  // Waits without a clock: until what was committed is durable.
  void until_taken() {
    while (!spool->sync()) std::this_thread::yield();
  }
};

struct Case {
  const char* name;
  Fault fault;
  ErrorCode code;
  const char* words;
};
constexpr Case kCases[] = {
    {.name = "full", .fault = Fault::kFull, .code = ErrorCode::kResourceExhausted, .words = "No space left"},
    {.name = "read-only", .fault = Fault::kReadOnly, .code = ErrorCode::kIo, .words = "Read-only file system"},
    {.name = "broken", .fault = Fault::kBroken, .code = ErrorCode::kIo, .words = "Input/output error"},
    {.name = "sync broken", .fault = Fault::kSyncBroken, .code = ErrorCode::kIo, .words = "Input/output error"},
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_disk_that_refuses_is_said_and_nothing_is_stored_by_half) {
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      Machine machine;
      const JobNumber job = machine.job_with(10);
      machine.files->set_fault(c.fault);
      const auto refused = machine.append(job, 3000, "y.test", "lost");  // Several chunks.
      BOOST_REQUIRE(!refused.has_value());
      BOOST_TEST((refused.error().code == c.code));
      BOOST_TEST(refused.error().detail.find(c.words) != std::string::npos, refused.error().detail);
      BOOST_TEST(machine.spool->counts(job)[0] == 10U);
      BOOST_TEST((machine.spool->pressure().kind == Pressure::Kind::kFailed));
      BOOST_TEST(machine.spool->pressure().detail.find(c.words) != std::string::npos);
      BOOST_TEST(!machine.spool->create({.id = "new", .content = {}}).has_value());
      BOOST_TEST(machine.read_all(job).size() == 10U);  // What is there can be read.

      machine.files->set_fault(Fault::kNone);
      machine.until_taken();
      BOOST_TEST((machine.spool->pressure().kind == Pressure::Kind::kNone));
      BOOST_TEST(machine.append(job, 3, "y.test", "taken").has_value());
      BOOST_TEST(machine.spool->create({.id = "new", .content = {}}).has_value());
      for (int i = 0; i < 30; ++i) BOOST_REQUIRE(machine.append(job, 100, "y.test", "later").has_value());
      for (int opened = 0; opened < 2; ++opened) {  // No chunk of what was refused stands between the others.
        if (opened == 1) machine.open();
        const auto rows = machine.read_all(job);
        BOOST_REQUIRE(rows.size() == 3013U);
        BOOST_TEST(rows[12].local == "taken2");
        for (std::size_t i = 13; i < rows.size(); ++i) {
          BOOST_REQUIRE(rows[i].local == "later" + std::to_string((i - 13) % 100));
        }
        BOOST_TEST(machine.spool->defects().empty());
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_job_that_is_refused_leaves_snapshots_as_they_were) {
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      Machine machine;
      const std::vector<RowInput> rows{{"x.test", "ann", ""}};
      BOOST_REQUIRE(machine.spool->create({.id = "first", .content = {}}, rows, {{"told", "ann"}}).has_value());
      machine.files->set_fault(c.fault);
      BOOST_TEST(!machine.spool->create({.id = "c", .content = {}}, rows, {{"told", "bob"}, {"new", "b"}}).has_value());
      machine.files->set_fault(Fault::kNone);
      machine.until_taken();
      for (int opened = 0; opened < 2; ++opened) {
        if (opened == 1) machine.open();
        BOOST_TEST(machine.spool->snapshot("told").value() == "ann");
        BOOST_TEST(!machine.spool->snapshot("new").has_value());
        BOOST_TEST(machine.spool->jobs().size() == 1U);
      }
      BOOST_REQUIRE(machine.spool->create({.id = "c", .content = {}}, rows, {{"told", ""}, {"new", "b"}}).has_value());
      for (int opened = 0; opened < 2; ++opened) {
        if (opened == 1) machine.open();
        BOOST_TEST(!machine.spool->snapshot("told").has_value());
        BOOST_TEST(machine.spool->snapshot("new").value() == "b");
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(what_was_committed_waits_for_the_disk_and_is_not_lost) {
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      Machine machine;
      const JobNumber job = machine.job_with(40);
      const auto rows = machine.read_all(job);
      machine.files->set_fault(c.fault);
      std::atomic<int> durable = 0;
      for (const Row& row : rows) {
        machine.spool->commit({.settlements = {{.key = row.key, .state = State::kDelivered, .event = row.local}}},
                              [&durable] { ++durable; });
      }
      while (machine.spool->pressure().kind != Pressure::Kind::kFailed) std::this_thread::yield();
      BOOST_TEST(durable == 0);
      BOOST_TEST(machine.spool->pressure().waiting_batches == 40U);
      BOOST_TEST(machine.spool->counts(job)[static_cast<std::size_t>(State::kDelivered)] == 40U);
      BOOST_TEST(machine.spool->peek_events(0, 100).empty());
      BOOST_TEST(machine.spool->event_count() == 40U);
      BOOST_TEST(!machine.spool->suppress({{"brand", "ann@x.test"}, {}}).has_value());
      machine.files->set_fault(Fault::kNone);
      machine.until_taken();
      BOOST_TEST(durable == 40);
      BOOST_TEST(machine.spool->pressure().waiting_batches == 0U);
      BOOST_TEST(machine.spool->peek_events(0, 100).size() == 40U);
      machine.open();
      BOOST_TEST(machine.spool->counts(job)[static_cast<std::size_t>(State::kDelivered)] == 40U);
      BOOST_TEST(machine.spool->event_count() == 40U);
      BOOST_TEST(machine.spool->suppressed("brand", "ann@x.test").has_value());
    }
  }
}

BOOST_AUTO_TEST_CASE(closed_before_the_disk_comes_back_nobody_waits_for_ever) {
  Machine machine;
  const JobNumber job = machine.job_with(10);
  machine.files->set_fault(Fault::kFull);
  bool durable = false;
  machine.spool->commit({.settlements = {{.key = machine.read_all(job)[0].key, .state = State::kDelivered}}},
                        [&durable] { durable = true; });
  machine.spool->close();
  BOOST_TEST(!durable);
  BOOST_TEST(!machine.spool->sync().has_value());
  machine.files->set_fault(Fault::kNone);
  machine.open();
  BOOST_TEST(machine.spool->counts(job)[0] == 10U);
}

BOOST_AUTO_TEST_CASE(the_disk_fills_up_anywhere) {
  for (std::int64_t bytes = 0; bytes < 200'000; bytes += 9'973) {
    BOOST_TEST_CONTEXT(bytes << " bytes") {
      Machine machine;
      const JobNumber job = machine.job_with(100);
      machine.files->fail_after_bytes(bytes);
      std::size_t stored = 100;
      for (int i = 0; i < 40; ++i) {
        if (machine.append(job, 100, "y.test", fmt::format("n{}-", i))) stored += 100;
      }
      BOOST_TEST(machine.spool->counts(job)[0] == stored);
      machine.files->set_fault(Fault::kNone);
      machine.until_taken();
      BOOST_TEST(machine.append(job, 1, "z.test").has_value());
      machine.open();
      BOOST_TEST(machine.spool->counts(job)[0] == stored + 1);
      BOOST_TEST(machine.read_all(job).size() == stored + 1);
    }
  }
}

BOOST_AUTO_TEST_CASE(too_many_open_files_are_said_and_got_over) {
  Machine machine;
  const JobNumber job = machine.job_with(10);
  machine.files->set_fault(Fault::kOpenFiles);
  std::size_t stored = 10;
  Result<void> refused;
  for (int i = 0; i < 2000 && refused; ++i) {  // Until a file is needed.
    refused = machine.append(job, 100, "y.test", fmt::format("n{}-", i));
    stored += refused ? 100 : 0;
  }
  BOOST_REQUIRE(!refused.has_value());
  BOOST_TEST((refused.error().code == ErrorCode::kResourceExhausted), refused.error().detail);
  BOOST_TEST(refused.error().detail.find("Too many open files") != std::string::npos);
  machine.files->set_fault(Fault::kNone);
  machine.until_taken();
  BOOST_TEST(machine.append(job, 1, "z.test").has_value());
  machine.open();
  BOOST_TEST(machine.read_all(job).size() == stored + 1);
}

BOOST_AUTO_TEST_CASE(with_little_room_left_rows_are_refused_and_delivery_goes_on) {
  Machine machine;
  const JobNumber job = machine.job_with(1);
  machine.files->set_free_bytes(999);
  const auto refused = machine.append(job, 1);
  BOOST_REQUIRE(!refused.has_value());
  BOOST_TEST((refused.error().code == ErrorCode::kResourceExhausted));
  BOOST_TEST((machine.spool->pressure().kind == Pressure::Kind::kFull));
  machine.spool->commit({.settlements = {{.key = machine.read_all(job)[0].key, .state = State::kDelivered}}}, nullptr);
  BOOST_TEST(machine.spool->sync().has_value());
  machine.files->set_free_bytes(1000);
  BOOST_TEST((machine.spool->pressure().kind == Pressure::Kind::kNone));
  BOOST_TEST(machine.append(job, 1).has_value());
}

BOOST_AUTO_TEST_CASE(one_sync_a_message_and_one_for_many) {
  Machine machine;
  const std::int64_t before = machine.files->syncs();
  const std::vector<RowInput> rows{{"x.test", "ann", ""}, {"y.test", "bob", ""}};
  BOOST_REQUIRE(machine.spool->create({.id = "m", .content = "Hello"}, rows).has_value());
  BOOST_TEST(machine.files->syncs() == before + 1);
  std::promise<void> begun;
  std::promise<void> go;
  machine.spool->commit({.events = {"first"}}, [&] {  // While it holds the writer, the others gather.
    begun.set_value();
    go.get_future().wait();
  });
  begun.get_future().wait();
  BOOST_TEST(machine.files->syncs() == before + 2);
  std::atomic<int> durable = 0;
  std::promise<void> last;
  for (int i = 0; i < 500; ++i) {
    machine.spool->commit({.events = {"e"}}, [&] {
      if (++durable == 500) last.set_value();
    });
  }
  go.set_value();
  last.get_future().wait();
  BOOST_TEST(machine.files->syncs() == before + 3);
}

BOOST_AUTO_TEST_CASE(against_the_crash_of_the_process_alone_nothing_is_synced) {
  Machine machine;
  machine.options.durability = Durability::kProcessCrash;
  machine.open();
  const std::int64_t before = machine.files->syncs();
  machine.job_with(10);
  machine.spool->commit({.events = {"e"}}, nullptr);
  BOOST_REQUIRE(machine.spool->sync().has_value());
  BOOST_TEST(machine.files->syncs() == before);
  machine.files->cut();  // The machine's fall may cost any of it, and leaves a spool that opens.
  machine.spool.reset();
  Random random(1);
  machine.files->restore(random);
  machine.open();
  BOOST_TEST(machine.spool->open_rows() <= 10U);
}

// ---------------------------------------------------------------------------------------------------------------------
// Octets that changed

namespace {

// Changes the store behind the spool's back.
void tamper(Machine& machine, const Changes& changes) {
  machine.spool.reset();
  auto store = Store::open(machine.options, machine.settings);
  BOOST_REQUIRE(store.has_value());
  const Changes* const all = &changes;
  BOOST_REQUIRE((*store)->write({&all, 1}, true).has_value());
  store->reset();
  machine.open();
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_record_that_is_none_is_named_and_the_rest_goes_on) {
  const std::string_view values[] = {"", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "\x05zzzz"};
  for (const std::string_view value : values) {
    Machine machine;
    const JobNumber job = machine.job_with(5, "bad");
    const JobNumber good = machine.job_with(5, "good", "y.test");
    const DomainNumber domain = machine.spool->domains(job).front().domain;
    Changes changes;
    changes.put(Family::kRows, keys::chunk({job, domain, 0}), value);
    tamper(machine, changes);
    BOOST_TEST(machine.read_all(job).empty());
    BOOST_TEST(machine.read_all(good).size() == 5U);
    BOOST_TEST(machine.spool->counts(job)[static_cast<std::size_t>(State::kFailed)] == 5U);
    const auto defects = machine.spool->defects();
    BOOST_REQUIRE(defects.size() == 5U);
    BOOST_TEST(defects[0].job == job);
    BOOST_TEST(defects[0].what.find("job 'bad': row 0 of x.test") == 0U, defects[0].what);
    machine.open();  // For good.
    BOOST_TEST(machine.spool->counts(job)[static_cast<std::size_t>(State::kFailed)] == 5U);
  }
}

BOOST_AUTO_TEST_CASE(records_that_are_none_do_not_keep_a_spool_from_opening) {
  constexpr std::string_view kNone = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff";
  Machine machine;
  const JobNumber bad = machine.job_with(3, "bad");
  const JobNumber good = machine.job_with(3, "good");
  machine.spool->commit({.events = {"first"}}, nullptr);
  BOOST_REQUIRE(machine.spool->sync().has_value());
  machine.spool->commit({.events = {"second"}}, nullptr);
  BOOST_REQUIRE(machine.spool->sync().has_value());
  Changes changes;
  changes.put(Family::kDefault, keys::job(bad, keys::Part::kHead), kNone);
  changes.put(Family::kDefault, keys::page(good, 0, 0), kNone);
  changes.put(Family::kDefault, keys::job(77, keys::Part::kExtent), "");
  changes.put(Family::kQueue, keys::journal(1'000'000), kNone);
  changes.put(Family::kQueue, keys::outbox(0), kNone);
  changes.put(Family::kSuppression, "short", kNone);
  tamper(machine, changes);
  BOOST_TEST(machine.spool->jobs().size() == 1U);
  BOOST_TEST(machine.read_all(good).size() == 3U);
  BOOST_TEST(machine.spool->peek_events(1, 10) == std::vector<std::string>{"second"}, boost::test_tools::per_element());
  const std::vector<std::string> both{"", "second"};
  BOOST_TEST(machine.spool->peek_events(0, 10) == both, boost::test_tools::per_element());
  BOOST_TEST(machine.spool->peek_events(2, 10).empty());
  machine.spool->remove_events(2);
  BOOST_TEST(machine.spool->event_count() == 0U);
  std::string all;
  for (const Defect& defect : machine.spool->defects()) all += defect.what + "\n";
  for (const char* part : {"job 1", "job 2", "job 77", "journal record 1000000", "outbox: 1 events"}) {
    BOOST_TEST(all.find(part) != std::string::npos, all);
  }
}

BOOST_AUTO_TEST_CASE(changed_octets_in_a_file_of_rows_cost_their_block_alone) {
  Machine machine;
  const JobNumber job = machine.job_with(5000);
  BOOST_REQUIRE(machine.spool->scrub().has_value());
  machine.spool.reset();
  std::string largest;
  std::uintmax_t size = 0;
  for (const auto& file : std::filesystem::directory_iterator(machine.options.directory)) {
    if (file.path().extension() != ".sst" || file.file_size() <= size) continue;
    largest = file.path();
    size = file.file_size();
  }
  BOOST_REQUIRE(size > 50'000U);
  std::fstream file(largest, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(size / 2));
  file << "XXXX";
  file.close();
  machine.open();
  const std::size_t read = machine.read_all(job).size();
  const std::uint64_t failed = machine.spool->counts(job)[static_cast<std::size_t>(State::kFailed)];
  BOOST_TEST(failed > 0U);
  BOOST_TEST(failed < 3000U);
  BOOST_TEST(read + failed == 5000U);
  BOOST_TEST(!machine.spool->defects().empty());
}

namespace {

// The largest file of a column family.
std::string file_of(const Machine& machine, const std::string& family) {
  std::vector<std::string> names;
  BOOST_REQUIRE(rocksdb::DB::ListColumnFamilies(rocksdb::DBOptions(), machine.options.directory, &names).ok());
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (const std::string& name : names) families.emplace_back(name, rocksdb::ColumnFamilyOptions());
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* opened = nullptr;
  BOOST_REQUIRE(rocksdb::DB::OpenForReadOnly({}, machine.options.directory, families, &handles, &opened).ok());
  const std::unique_ptr<rocksdb::DB> db(opened);
  std::vector<rocksdb::LiveFileMetaData> files;
  db->GetLiveFilesMetaData(&files);
  std::erase_if(files, [&family](const auto& file) { return file.column_family_name != family; });
  BOOST_REQUIRE(!files.empty());
  const auto largest = std::ranges::max_element(files, {}, [](const auto& file) { return file.size; });
  const std::string path = machine.options.directory + largest->name;
  for (auto* handle : handles) db->DestroyColumnFamilyHandle(handle);
  return path;
}

// In its block at that share of it.
void change_octets(const std::string& path, double at) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(static_cast<double>(std::filesystem::file_size(path)) * at));
  file << "XXXX";
}

}  // namespace

// What it says is said by the waiting records too.
BOOST_AUTO_TEST_CASE(changed_octets_in_the_due_index_hide_no_row) {
  constexpr std::uint16_t kRows = 6000;
  for (const double at : {0.0, 0.3, 0.6}) {
    BOOST_TEST_CONTEXT(at) {
      Machine machine;
      const JobNumber job = machine.job_with(kRows);
      Batch batch;
      for (const Row& row : machine.read_all(job)) {
        batch.settlements.push_back({.key = row.key, .state = State::kDeferred, .attempts = static_cast<std::uint16_t>(row.key.row),
                                     .due = TimePoint(1000h + std::chrono::seconds(row.key.row)), .mark = 3});
      }
      machine.spool->commit(std::move(batch), nullptr);
      BOOST_REQUIRE(machine.spool->scrub().has_value());
      machine.spool.reset();
      change_octets(file_of(machine, "queue"), at);
      machine.open();
      std::vector<Row> taken;
      for (std::uint16_t before = 0; machine.spool->next_due() != TimePoint::max(); before = static_cast<std::uint16_t>(taken.size())) {
        machine.spool->take_due(TimePoint(9000h), 700, taken);
        BOOST_REQUIRE(taken.size() > before);
      }
      BOOST_REQUIRE(taken.size() == kRows);
      for (std::uint16_t i = 0; i < kRows; ++i) {  // All, in their order, with what is known of each.
        BOOST_REQUIRE((taken[i].key.row == i && taken[i].attempts == i && taken[i].mark == 3));
      }
      BOOST_TEST(std::ranges::any_of(machine.spool->defects(),
                                     [](const Defect& each) { return each.what.starts_with("due index: "); }));
      for (const Row& row : taken) {
        machine.spool->commit({.settlements = {{.key = row.key, .state = State::kDelivered}}}, nullptr);
      }
      const auto synced = machine.spool->sync();
      BOOST_REQUIRE_MESSAGE(synced, (synced ? "" : synced.error().detail));
      BOOST_TEST((machine.spool->next_due() == TimePoint::max()));
      BOOST_TEST(machine.spool->open_rows() == 0U);
    }
  }
}

// A compaction comes to it: RocksDB alone would take no write from then on.
BOOST_AUTO_TEST_CASE(changed_octets_that_a_compaction_meets_hold_up_nothing) {
  constexpr std::uint16_t kRows = 6000;
  Machine machine;
  const JobNumber job = machine.job_with(kRows);
  Batch batch;
  for (const Row& row : machine.read_all(job)) {
    batch.settlements.push_back({.key = row.key, .state = State::kDeferred, .attempts = 1, .due = TimePoint(1h)});
  }
  machine.spool->commit(std::move(batch), nullptr);
  BOOST_REQUIRE(machine.spool->scrub().has_value());
  machine.spool.reset();
  change_octets(file_of(machine, "queue"), 0.3);
  machine.open();
  for (int round = 0; round < 3; ++round) {
    BOOST_TEST(!machine.spool->scrub().has_value());  // The octets may be somebody's who was erased: it says that they are there.
    for (std::uint16_t row = static_cast<std::uint16_t>(round); row < kRows; row = static_cast<std::uint16_t>(row + 3)) {
      const RowKey key{job, 0, row};
      machine.spool->commit({.settlements = {{.key = key, .state = State::kDelivered}}, .events = {"delivered"}}, nullptr);
    }
    const auto synced = machine.spool->sync();
    BOOST_REQUIRE_MESSAGE(synced, (synced ? "" : synced.error().detail));
  }
  BOOST_REQUIRE(!machine.spool->defects().empty());
  BOOST_TEST(machine.spool->defects().back().what.find("files: ") == 0U);
  machine.open();
  BOOST_TEST(machine.spool->open_rows() == 0U);
  BOOST_TEST(machine.spool->event_count() == kRows);
}

// Rows that were on their way are not forgotten because they cannot be read at once, nor are any that wait.
BOOST_AUTO_TEST_CASE(what_cannot_be_read_now_comes_later) {
  Machine machine;
  const JobNumber job = machine.job_with(30);
  Batch batch;
  for (const Row& row : machine.read_all(job)) {
    if (row.key.row < 10) batch.claims.push_back(row.key);
    if (row.key.row >= 20) batch.settlements.push_back({.key = row.key, .state = State::kDeferred, .attempts = 1, .due = TimePoint(1h)});
  }
  machine.spool->commit(std::move(batch), nullptr);
  BOOST_REQUIRE(machine.spool->scrub().has_value());
  machine.open();
  machine.files->set_fault(Fault::kUnreadable);
  std::vector<Row> rows;
  const auto taken = machine.spool->take_unsettled(100, rows);
  BOOST_REQUIRE(!taken.has_value());
  BOOST_TEST((taken.error().code == ErrorCode::kIo));
  machine.spool->take_due(TimePoint(2h), 100, rows);
  Cursor cursor;
  BOOST_TEST(machine.spool->read(job, machine.spool->domains(job)[0].domain, cursor, 100, rows));  // There is more.
  BOOST_TEST(rows.empty());
  machine.files->set_fault(Fault::kNone);
  BOOST_REQUIRE(machine.spool->take_unsettled(100, rows).has_value());
  BOOST_TEST(rows.size() == 10U);
  machine.spool->take_due(TimePoint(2h), 100, rows);
  BOOST_TEST(rows.size() == 20U);
  while (machine.spool->read(job, machine.spool->domains(job)[0].domain, cursor, 100, rows)) {
  }
  BOOST_TEST(rows.size() == 30U);
  BOOST_TEST(machine.spool->defects().empty());
}

// What cannot be read now is not what was erased: it is named, and what can be read is given.
BOOST_AUTO_TEST_CASE(what_cannot_be_read_now_is_not_erased) {
  Machine machine;
  const JobNumber job = *machine.spool->create({.id = "c", .content = "text", .control = "control"});
  BOOST_REQUIRE(machine.append(job, 20).has_value());
  BOOST_REQUIRE(machine.spool->erase_address({.local = "user3", .domain = "x.test"}).has_value());
  BOOST_REQUIRE(machine.spool->scrub().has_value());
  machine.open();
  const auto list = [&](const ListQuery& query) {
    ListCursor cursor;
    std::vector<ListedRow> rows;
    while (machine.spool->list(query, cursor, 100, rows)) {
    }
    return rows;
  };
  const auto visit = [&](std::size_t& count) {
    return machine.spool->visit_open(job, [&count](std::string_view, std::string_view, std::string_view, State) {
      ++count;
      return true;
    });
  };
  machine.files->set_fault(Fault::kUnreadable);
  const auto rows = list({});
  BOOST_TEST(rows.size() == 20U);
  for (const ListedRow& row : rows) {
    BOOST_TEST(row.unreadable.find("Input/output error") != std::string::npos, row.unreadable);
    BOOST_TEST(row.local.empty());
  }
  BOOST_TEST(list({.domain = "x.test", .local = "user7"}).size() == 20U);  // Each may be it.
  std::size_t visited = 0;
  const auto open = visit(visited);
  BOOST_REQUIRE(!open.has_value());
  BOOST_TEST((open.error().code == ErrorCode::kIo));
  BOOST_TEST(open.error().detail.find("row 0 of x.test") != std::string::npos, open.error().detail);
  BOOST_TEST(visited == 0U);
  const auto erased = machine.spool->erase_address({.local = "user7", .domain = "x.test"});
  BOOST_REQUIRE(!erased.has_value());
  BOOST_TEST(erased.error().detail.find("x.test") != std::string::npos, erased.error().detail);
  std::size_t jobs = 0;
  const auto seen = machine.spool->visit_jobs([&jobs](const Spool::StoredJob&) { return ++jobs > 0; });
  BOOST_REQUIRE(!seen.has_value());
  BOOST_TEST(seen.error().detail.find("job 1 ('c')") != std::string::npos, seen.error().detail);
  BOOST_TEST(jobs == 0U);
  machine.files->set_fault(Fault::kNone);
  std::size_t empty = 0;
  for (const ListedRow& row : list({})) {
    BOOST_TEST(row.unreadable.empty());
    empty += row.local.empty() ? 1 : 0;
  }
  BOOST_TEST(empty == 1U);  // The one that was erased.
  visited = 0;
  BOOST_TEST(visit(visited).has_value());
  BOOST_TEST(visited == 19U);
  BOOST_TEST(list({.domain = "x.test", .local = "user7"}).size() == 1U);
}

// ---------------------------------------------------------------------------------------------------------------------
// Personal data

namespace {

bool in_files(const std::string& directory, std::string_view octets) {
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    if (text.find(octets) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

BOOST_AUTO_TEST_CASE(an_erased_address_is_in_no_file) {
  Machine machine;
  const JobNumber job = machine.job_with(1000);
  const std::string local = "very.personal.ann";
  const std::vector<RowInput> rows{{"x.test", local, "her secret fields"}, {"x.test", "bob.who.stays", "f"}};
  BOOST_REQUIRE(machine.spool->append(job, rows).has_value());
  const std::string address = local + "@x.test";
  machine.spool->commit({.suppressions = {{{"brand", address}, {}}},
                         .tallies = {{{"brand", address}, 3, TimePoint(1h), TimePoint(99h)}},
                         .events = {"event about " + address}},
                        nullptr);
  BOOST_REQUIRE(machine.spool->scrub().has_value());  // Into files that are not only appended to.
  BOOST_TEST(in_files(machine.options.directory, local));
  BOOST_TEST(in_files(machine.options.directory, "her secret fields"));
  AddressErasure erasure{.local = local, .domain = "x.test", .suppressions = true};
  erasure.rewrite_event = [&](std::string& event) {
    const std::size_t at = event.find(address);
    if (at != std::string::npos) event.replace(at, address.size(), "-");
    return at != std::string::npos;
  };
  const auto erased = machine.spool->erase_address(erasure);
  BOOST_REQUIRE(erased.has_value());
  BOOST_TEST(erased->rows == 1U);
  for (int opened = 0; opened < 2; ++opened) {
    if (opened == 1) machine.open();
    BOOST_TEST(!in_files(machine.options.directory, local));
    BOOST_TEST(!in_files(machine.options.directory, "her secret fields"));
    BOOST_TEST(in_files(machine.options.directory, "bob.who.stays"));
    BOOST_TEST(machine.read_all(job).size() == 1001U);
  }
}

BOOST_AUTO_TEST_CASE(an_erased_job_is_in_no_file_once_it_is_scrubbed) {
  for (const std::size_t more : {0U, 1000U}) {  // Erased key by key, and as a range.
    Machine machine;
    const std::vector<RowInput> rows{{"x.test", "very.personal.ann", "her secret fields"}};
    const JobNumber job = *machine.spool->create({.id = "secret.campaign", .content = "secret content"}, rows);
    if (more > 0) BOOST_REQUIRE(machine.append(job, more, "x.test", "hidden.user").has_value());
    machine.job_with(10, "kept.campaign");
    BOOST_REQUIRE(machine.spool->scrub().has_value());
    machine.spool->erase(job);
    BOOST_REQUIRE(machine.spool->scrub().has_value());
    for (const char* octets : {"very.personal", "her secret", "secret content", "secret.campaign", "hidden.user"}) {
      BOOST_TEST(!in_files(machine.options.directory, octets), octets);
    }
    BOOST_TEST(in_files(machine.options.directory, "kept.campaign"));
  }
}

BOOST_AUTO_TEST_CASE(with_a_key_no_suppressed_address_is_in_a_file) {
  Machine machine;
  machine.options.suppression_key = "0123456789abcdef";
  machine.open();
  BOOST_REQUIRE(machine.spool->suppress({{"brand", "very.personal.ann@x.test"}, {}}).has_value());
  BOOST_TEST(!in_files(machine.options.directory, "very.personal"));
  machine.open();
  BOOST_TEST(machine.spool->suppressed("brand", "very.personal.ann@x.test").has_value());
}

// Who deliver do not wait while a command about many rows waits for the disk.
BOOST_AUTO_TEST_CASE(commands_read_without_holding_up_those_who_deliver) {
  constexpr std::size_t kMany = 3000;
  for (const bool withdraw : {false, true}) {
    BOOST_TEST_CONTEXT((withdraw ? "withdraw" : "make due")) {
      Machine machine;
      machine.settings.write_buffer_bytes = 16u << 20;  // As it is by default: no compaction moves what was read.
      machine.open();
      const JobNumber job = machine.job_with(kMany);
      Batch deferred;
      for (const Row& row : machine.read_all(job)) {
        deferred.settlements.push_back(
            {.key = row.key, .state = State::kDeferred, .attempts = 1, .due = TimePoint(1000h)});
      }
      machine.spool->commit(std::move(deferred), nullptr);
      machine.until_taken();
      machine.open();  // What waits is on disk, and nothing of it in memory.
      std::vector<RowKey> keys;
      std::vector<Settlement> failed;
      for (std::uint32_t row = 0; row < kMany; ++row) {
        keys.push_back({job, 0, row});
        failed.push_back({.key = keys.back(), .state = State::kFailed});
      }
      std::vector<std::thread> delivering;
      std::atomic<int> through{0};
      int read = 0, held_up = 0;
      const auto command = std::this_thread::get_id();
      machine.files->on_read([&] {
        if (std::this_thread::get_id() != command || held_up > 0) return;
        const int before = through;
        delivering.emplace_back([&] {
          machine.spool->commit({.settlements = {}, .claims = {}, .events = {"delivered"}}, nullptr);
          ++through;
        });
        for (const auto end = std::chrono::steady_clock::now() + 10s; through == before;) {  // Only if it is held up.
          if (std::chrono::steady_clock::now() > end) break;
          std::this_thread::yield();
        }
        ++read;
        held_up += through == before ? 1 : 0;
      });
      if (withdraw) {
        const auto done = machine.spool->withdraw(std::move(failed));
        BOOST_TEST(std::count(done.begin(), done.end(), true) == static_cast<std::ptrdiff_t>(kMany));
      } else {
        BOOST_TEST(machine.spool->make_due(keys, TimePoint(1h)) == kMany);
      }
      machine.files->on_read(nullptr);
      for (std::thread& each : delivering) each.join();
      BOOST_TEST(read > 0);
      BOOST_TEST(held_up == 0);
      BOOST_TEST(machine.spool->event_count() == static_cast<std::uint64_t>(read));
      BOOST_TEST(machine.spool->counts(job)[static_cast<std::size_t>(withdraw ? State::kFailed : State::kDeferred)] ==
                 kMany);
    }
  }
}
