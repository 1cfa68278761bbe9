// The contract's world in memory.
#include <boost/test/unit_test.hpp>

#include "spool/memory_rows.h"
#include "spool/memory_suppressions.h"
#include "tests/spool/contract.h"

namespace mailsbuddy::spool {

struct Contract::Place {};
Contract::Contract() = default;
Contract::~Contract() = default;
std::unique_ptr<Spool> Contract::open(SuppressionKey key) { return make_memory_spool(std::move(key)); }

// Work is counted in comparisons: of 65,536 entries some 16 find where a page begins.
BOOST_AUTO_TEST_CASE(a_page_of_suppressions_costs_what_a_page_costs) {
  static std::uint64_t compared = 0;
  struct Counting {
    bool operator()(std::string_view a, std::string_view b) const { return ++compared, a < b; }
  };
  memory::Suppressions<Counting> all;
  for (int i = 0; i < 65'536; ++i) all.add("brand" + std::to_string(i), {.reason = 1});
  compared = 0;
  std::uint64_t seen = 0, pages = 0;
  std::string cursor;
  for (bool more = true; more; ++pages) {
    more = all.page(cursor, 64, [&seen](std::string_view, const Suppression&) { ++seen; });
  }
  BOOST_TEST(seen == 65'536U);
  BOOST_TEST(pages == 1024U);
  BOOST_TEST(compared <= pages * 2 * 16 + seen);
}

// Rows that are passed over are read: what stands before the walk could not be.
BOOST_AUTO_TEST_CASE(a_walk_passes_over_no_row_twice) {
  constexpr std::uint32_t kRows = 9'000;  // Three chunks.
  memory::DomainStore rows;
  for (std::uint32_t i = 0; i < kRows; ++i) rows.append("user" + std::to_string(i), "field");
  BOOST_REQUIRE(rows.chunks.size() >= 3U);
  memory::Walk walk;
  std::uint64_t before = 0;
  for (std::uint32_t i = 0; i < kRows; ++i) {
    const std::uint64_t position = rows.position_of(i, walk);
    BOOST_REQUIRE(rows.local_of(i, walk) == "user" + std::to_string(i));
    if (i > 0) rows.chunks[before >> 32].bytes[before & 0xffff'ffff] = '\0';  // Its local part seems to be empty.
    before = position;
  }
}

BOOST_AUTO_TEST_CASE(a_walk_goes_back_and_sees_fields_go) {
  constexpr std::uint32_t kRows = 9'000;
  memory::DomainStore rows;
  for (std::uint32_t i = 0; i < kRows; ++i) rows.append("user" + std::to_string(i), "field");
  const std::uint32_t second = rows.chunks[1].first_row;
  memory::Walk walk;
  const auto check = [&](std::uint32_t row) { BOOST_TEST(rows.local_of(row, walk) == "user" + std::to_string(row)); };
  for (const std::uint32_t row : {second + 5, second + 4, 3U, kRows - 1, second - 1, second, 0U, 0U, 7U}) check(row);
  for (std::uint32_t i = 0; i < second; ++i) rows.finish(0);
  for (const std::uint32_t row : {8U, 2U, second - 1, second, second + 5, 0U, 9U}) check(row);
}

}  // namespace mailsbuddy::spool
