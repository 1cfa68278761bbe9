// A process that uses a spool is killed at random moments, and what it left is held against what it had been promised.
// How far it came it writes into memory that both processes have. Who looks at what it left is a process of its own,
// too: the one that forks has no spool, so that each has all of RocksDB's threads, which would not come along.
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <csignal>
#include <cstdlib>

#include "spool/store.h"
#include "tests/spool/history.h"
#include "tests/spool/scratch.h"

using namespace mailsbuddy;
using namespace mailsbuddy::spool;

namespace {

constexpr std::uint32_t kOperationsMax = 3000;
constexpr int kKillsOfOneSpool = 20;

struct Shared {
  std::atomic<std::uint32_t> begun;
  std::atomic<std::uint32_t> returned;
  std::atomic<std::uint32_t> durable;
  Explanation explanation;
  char wrong[1024];  // Why there is none.
};

StoreSettings small() { return {.write_buffer_bytes = 64u << 10, .pages_after = 25, .merge_after = 30}; }
RocksSpoolOptions options_of(const Scratch& scratch) {
  return {.directory = scratch.path(), .durability = Durability::kProcessCrash, .reserve_bytes = 0};
}

[[noreturn]] void live(const Scratch& scratch, const Model& start, std::uint64_t seed, Shared& shared) {
  auto spool = open_rocks_spool(options_of(scratch), small());
  if (!spool) _exit(3);
  History history(seed, start);
  for (std::uint32_t i = 0; i < kOperationsMax; ++i) {
    const Operation operation = history.next();
    shared.begun = i + 1;
    if (!apply(operation, **spool, [&shared, i] { shared.durable = i + 1; })) _exit(4);
    shared.returned = i + 1;
  }
  for (;;) pause();
}

std::string judge(const Scratch& scratch, const Model& start, const Model& all,
                  const std::vector<Operation>& operations, const Progress& progress, Explanation& explanation) {
  auto spool = open_rocks_spool(options_of(scratch), small());
  if (!spool) return spool.error().detail;
  std::vector<std::string> wrong;
  const Model found = look_at(**spool, all, wrong);
  if (!wrong.empty()) return wrong.front();
  const auto explained = explain(found, start, operations, progress);
  if (!explained) {
    return fmt::format("begun {} returned {} durable {}; all of them would differ in: {}", progress.begun,
                       progress.returned, progress.durable, difference(all, found));
  }
  explanation = *explained;
  return {};
}

// How long it lived, in operations.
std::uint32_t live_and_die(const Scratch& scratch, Model& model, std::uint64_t seed, Shared& shared, Random& random) {
  shared.begun = shared.returned = shared.durable = 0;
  const pid_t child = fork();
  BOOST_REQUIRE(child >= 0);
  if (child == 0) live(scratch, model, seed, shared);
  // A moment that depends on how far it came, not on a clock; then a few microseconds more or less.
  const std::uint64_t at = random.below(80);
  int status = 0;
  while (shared.begun < at && waitpid(child, &status, WNOHANG) == 0) usleep(50);
  usleep(static_cast<useconds_t>(random.below(400)));
  kill(child, SIGKILL);
  if (waitpid(child, &status, 0) == child)
    BOOST_REQUIRE_MESSAGE(WIFSIGNALED(status), "it ended by itself: " << WEXITSTATUS(status));
  const Progress progress{.begun = shared.begun, .returned = shared.returned, .durable = shared.durable};

  std::vector<Operation> operations;
  History history(seed, model);
  for (std::uint32_t i = 0; i < progress.begun; ++i) operations.push_back(history.next());
  const pid_t judging = fork();
  BOOST_REQUIRE(judging >= 0);
  if (judging == 0) {
    const std::string wrong = judge(scratch, model, history.model(), operations, progress, shared.explanation);
    shared.wrong[wrong.copy(shared.wrong, sizeof(shared.wrong) - 1)] = '\0';
    _exit(wrong.empty() ? 0 : 1);
  }
  BOOST_REQUIRE(waitpid(judging, &status, 0) == judging);
  BOOST_REQUIRE_MESSAGE(WIFEXITED(status), "who looks was ended by signal " << WTERMSIG(status));
  BOOST_REQUIRE_MESSAGE(WEXITSTATUS(status) == 0, "exit " << WEXITSTATUS(status) << ": " << shared.wrong);
  model = replay(model, operations, progress, shared.explanation);
  model.made = history.model().made;  // No name twice.
  return progress.begun;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_killed_process_leaves_what_it_was_promised) {
  const char* const wanted = std::getenv("MAILSBUDDY_SPOOL_KILLS");
  const std::uint64_t kills = wanted == nullptr ? 200 : std::strtoull(wanted, nullptr, 10);
  const char* const chosen = std::getenv("MAILSBUDDY_SPOOL_SEED");
  const std::uint64_t first = chosen == nullptr ? 1 : std::strtoull(chosen, nullptr, 10);
  void* const memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  BOOST_REQUIRE(memory != MAP_FAILED);
  auto& shared = *new (memory) Shared{};
  Random random(first);
  std::uint64_t operations = 0;
  for (std::uint64_t done = 0; done < kills;) {
    const Scratch scratch;
    Model model;
    for (int i = 0; i < kKillsOfOneSpool && done < kills; ++i, ++done) {
      const std::uint64_t seed = first * 1'000'000 + done;
      BOOST_TEST_CONTEXT("kill " << done << ", seed " << seed) {
        operations += live_and_die(scratch, model, seed, shared, random);
      }
    }
  }
  BOOST_TEST(operations > 10 * kills);  // They did not all die while they opened.
  munmap(memory, sizeof(Shared));
}
