// The worked example of docs/spool_format.md is what a spool writes.
#include <fmt/format.h>

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <sstream>

#include "core/base/encoding.h"
#include "spool/store.h"
#include "tests/spool/scratch.h"

using namespace mailsbuddy;
using namespace mailsbuddy::spool;
using namespace std::chrono_literals;

namespace {

std::string hex(std::string_view octets) {
  std::string out;
  append_hex(out, octets);
  return out.empty() ? "-" : out;
}

// What the document's example says was done.
void live(const RocksSpoolOptions& options, const StoreSettings& settings) {
  auto opened = open_rocks_spool(options, settings);
  BOOST_REQUIRE(opened.has_value());
  Spool& spool = **opened;
  const std::vector<RowInput> rows{{"x.test", "ann", "A"}, {"x.test", "bob", ""}};
  const JobNumber job = *spool.create({.id = "c", .content = "Hi", .created = TimePoint(Duration(300))}, rows);
  BOOST_REQUIRE(spool.append(job, std::vector<RowInput>{{"y.test", "cat", ""}}).has_value());
  BOOST_REQUIRE(spool.set_control(job, "P").has_value());
  const DomainNumber x = spool.domains(job)[0].domain;
  spool.commit({.claims = {{job, x, 0}, {job, x, 1}}}, nullptr);
  BOOST_REQUIRE(spool.sync().has_value());
  spool.commit({.settlements = {{.key = {job, x, 0}, .state = State::kDelivered, .attempts = 1, .event = "E1"},
                                {.key = {job, x, 1},
                                 .state = State::kDeferred,
                                 .attempts = 1,
                                 .due = TimePoint(Duration(258)),
                                 .mark = 9,
                                 .event = "E2"}},
                .notes = {{.key = {job, x, 0}, .kind = 1}},
                .snapshots = {{.name = "ip", .bytes = "day 3"}},
                .events = {"E3"}},
               nullptr);
  BOOST_REQUIRE(spool.sync().has_value());
}

std::vector<std::string> dump(const RocksSpoolOptions& options, const StoreSettings& settings) {
  static constexpr const char* kNames[] = {"default", "rows", "queue", "suppression"};
  std::vector<std::string> lines;
  auto store = Store::open(options, settings);
  BOOST_REQUIRE(store.has_value());
  for (std::size_t i = 0; i < kFamilies; ++i) {
    auto scan = (*store)->scan(static_cast<Family>(i));
    for (scan.seek({}); scan.valid(); scan.next()) {
      if (scan.key() == "Mhash_key") continue;  // Random.
      lines.push_back(fmt::format("{:<8} {} {}", kNames[i], hex(scan.key()), hex(scan.value())));
    }
  }
  return lines;
}

// The lines of the code block that follows `heading`.
std::vector<std::string> block_after(const std::string& heading) {
  std::ifstream file(MAILSBUDDY_SOURCE_DIR "/docs/spool_format.md");
  std::vector<std::string> lines;
  bool found = false;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line == heading) found = true;
    if (found && line.starts_with("```")) {
      if (inside) break;
      inside = true;
    } else if (inside) {
      lines.push_back(line.substr(0, line.find("  #")));
      while (!lines.back().empty() && lines.back().back() == ' ') lines.back().pop_back();
    }
  }
  return lines;
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_worked_example_is_what_is_written) {
  const Scratch scratch;
  const RocksSpoolOptions options{.directory = scratch.path(), .reserve_bytes = 0};
  live(options, {});
  const auto written = dump(options, {});
  const auto documented = block_after("## A worked example");
  BOOST_TEST(written == documented, boost::test_tools::per_element());
  for (const std::string& line : written) BOOST_TEST_MESSAGE(line);
}

BOOST_AUTO_TEST_CASE(pages_take_the_place_of_the_journal) {
  const Scratch scratch;
  const RocksSpoolOptions options{.directory = scratch.path(), .reserve_bytes = 0};
  live(options, {.pages_after = 1});
  const auto written = dump(options, {});
  for (const std::string& line : block_after("## The same with pages")) {
    BOOST_TEST((std::find(written.begin(), written.end(), line) != written.end()), line);
  }
  for (const std::string& line : written) {
    BOOST_TEST(!line.starts_with("queue    6a"), line);  // No journal is left.
    BOOST_TEST_MESSAGE(line);
  }
}
