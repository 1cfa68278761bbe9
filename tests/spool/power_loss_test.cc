// The power goes at every sync of a random life. What was promised is there afterwards, and nothing else by half.
#include <fmt/format.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cstdlib>

#include "spool/store.h"
#include "tests/spool/faulty_files.h"
#include "tests/spool/history.h"
#include "tests/spool/scratch.h"

using namespace mailsbuddy;
using namespace mailsbuddy::spool;

namespace {

constexpr int kOperations = 60;

struct Machine {
  Scratch scratch;
  std::shared_ptr<FaultyFiles> files = std::make_shared<FaultyFiles>();
  std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(files);

  Result<std::unique_ptr<Spool>> open() {
    return open_rocks_spool({.directory = scratch.path(), .durability = Durability::kPowerLoss, .reserve_bytes = 0},
                            {.env = env.get(), .write_buffer_bytes = 64u << 10, .pages_after = 25, .merge_after = 30});
  }
};

// One life until the power goes or the operations end. False: it ended.
bool live_until_cut(Machine& machine, const Model& start, std::uint64_t seed, std::vector<Operation>& operations,
                    Progress& progress) {
  auto spool = machine.open();
  if (!spool) {
    BOOST_REQUIRE_MESSAGE(machine.files->down(), spool.error().detail);
    return true;
  }
  History history(seed, start);
  std::atomic<std::uint32_t> durable = 0;
  for (std::uint32_t i = 0; i < kOperations; ++i) {
    operations.push_back(history.next());
    ++progress.begun;
    const bool done = apply(operations.back(), **spool, [&durable, i] { durable = i + 1; });
    if (machine.files->down()) break;
    BOOST_REQUIRE(done);
    progress.returned = i + 1;
    if (operations.back().returns_durable() && !operations.back().stands_alone()) durable = i + 1;
  }
  if (!machine.files->down()) static_cast<void>((*spool)->sync());  // What was removed or erased last goes with it.
  (*spool)->close();
  progress.durable = durable;
  if (!machine.files->down()) progress.durable = progress.begun;  // Closed in peace.
  return machine.files->down();
}

void check_cut(std::uint64_t seed, std::int64_t at, bool after, bool& ended) {
  Machine machine;
  Random random(seed * 7919 + static_cast<std::uint64_t>(at));
  Model model;
  for (int life = 0; life < 2; ++life) {
    std::vector<Operation> operations;
    Progress progress;
    machine.files->cut_at_sync(at, after);
    ended = !live_until_cut(machine, model, seed + static_cast<std::uint64_t>(life), operations, progress);
    machine.files->restore(random);
    auto spool = machine.open();
    BOOST_REQUIRE_MESSAGE(spool.has_value(), (spool ? "" : spool.error().detail));
    std::vector<std::string> wrong;
    Model all = model;
    for (const Operation& operation : operations) apply(operation, all);
    const Model found = look_at(**spool, all, wrong);
    BOOST_REQUIRE_MESSAGE(wrong.empty(), (wrong.empty() ? std::string() : wrong.front()));
    const auto explained = explain(found, model, operations, progress);
    BOOST_REQUIRE_MESSAGE(explained.has_value(),
                          fmt::format("begun {} returned {} durable {}; all of them would differ in: {}",
                                      progress.begun, progress.returned, progress.durable, difference(all, found)));
    model = replay(model, operations, progress, *explained);
    model.made += 1'000'000;  // No name twice.
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(what_was_promised_is_there_after_the_power_went) {
  const char* const wanted = std::getenv("MAILSBUDDY_SPOOL_LIVES");
  const std::uint64_t lives = wanted == nullptr ? 2 : std::strtoull(wanted, nullptr, 10);
  std::uint64_t cuts = 0;
  for (std::uint64_t seed = 1; seed <= lives; ++seed) {
    bool ended = false;
    for (std::int64_t at = 1; !ended && at < 1000; ++at) {
      for (const bool after : {false, true}) {
        BOOST_TEST_CONTEXT("seed " << seed << " sync " << at << (after ? " after" : " before")) {
          check_cut(seed, at, after, ended);
        }
        ++cuts;
      }
    }
    BOOST_TEST(ended);
  }
  BOOST_TEST_MESSAGE(cuts << " cuts");
  BOOST_TEST(cuts > 50 * lives);
}
