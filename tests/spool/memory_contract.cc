// The contract's world in memory.
#include <boost/test/unit_test.hpp>

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

}  // namespace mailsbuddy::spool
