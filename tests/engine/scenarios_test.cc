// Every tests/scenarios/*.smtp file is a test case, on the spool in memory and on the one on disk. With file names
// after `--`, only those run, and their transcripts are printed.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/sim/scenario.h"

namespace {

std::vector<std::string> scenario_files() {
  const auto& suite = boost::unit_test::framework::master_test_suite();
  if (suite.argc > 1) return {suite.argv + 1, suite.argv + suite.argc};
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(MAILSBUDDY_SOURCE_DIR "/tests/scenarios")) {
    if (entry.path().extension() == ".smtp") files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string read(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  BOOST_REQUIRE_MESSAGE(in.good(), "cannot read " << path);
  return text.str();
}

void play_all(mailsbuddy::sim::Storage storage, std::initializer_list<std::uint64_t> seeds) {
  const std::vector<std::string> files = scenario_files();
  BOOST_TEST(files.size() > 0U);
  for (const std::string& file : files) {
    BOOST_TEST_CONTEXT(file) {
      const std::string text = read(file);
      for (const std::uint64_t seed : seeds) {
        const auto failure = mailsbuddy::sim::run_scenario(text, seed, storage);
        if (failure) {
          BOOST_ERROR(file << ":" << failure->line << ": " << failure->what << " (seed " << seed << ")\n"
                           << failure->transcript);
          break;
        }
      }
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_scenario_plays_as_written) { play_all(mailsbuddy::sim::Storage::kMemory, {1, 2, 3}); }

BOOST_AUTO_TEST_CASE(every_scenario_plays_as_written_on_disk) { play_all(mailsbuddy::sim::Storage::kDisk, {4}); }

// A check that cannot fail is none: the runner notices what is not as written.
BOOST_AUTO_TEST_CASE(the_runner_notices) {
  constexpr const char* kStart =
      "dns example.net MX 10 mx1.example.net; mx1.example.net A 198.51.100.7\n"
      "submit m1 from=news@sender.example to=ann@example.net\n";
  struct Case {
    const char* name;
    const char* end;
    const char* what;
  };
  constexpr Case kCases[] = {
      {"wrong kind", "event m1 bounced\n", "another event came"},
      {"wrong attribute", "event m1 delivered attempt=2\n", "attempt is not 2"},
      {"missing event", "event m1 delivered\nevent m1 delivered\n", "no further event"},
      {"unmentioned event", "time +1s\n", "unexpected event"},
      {"no-event with an event", "no-event\n", "an event came"},
      {"wrong count on the wire", "event m1 delivered\nwire mx1 mails=2\n", "mails at mx1 is 1"},
      {"never, but it did", "event m1 delivered\nnever mx1 MAIL\n", "mx1 got MAIL"},
      {"unknown verb", "delivr m1\n", "no verb and no host"},
      {"suppressed, but it is not", "event m1 delivered\nsuppressed ann@example.net reason=manual\n", "is suppressed for ''"},
      {"not suppressed, but it is", "event m1 delivered\nsuppress ann@example.net\nsuppressed ann@example.net\n", "'manual'"},
      {"inbound about no mail", "event m1 delivered\ninbound dsn m1 to=eve@example.net\n", "no receiver took mail"},
  };
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      const auto failure = mailsbuddy::sim::run_scenario(std::string(kStart) + c.end, 1);
      BOOST_REQUIRE(failure.has_value());
      BOOST_TEST(failure->what.find(c.what) != std::string::npos, failure->what);
    }
  }
}
