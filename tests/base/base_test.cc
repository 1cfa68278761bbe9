#include "mailsbuddy/base.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <random>
#include <set>
#include <vector>

namespace mailsbuddy {
namespace {

using namespace std::chrono_literals;

// Errors

BOOST_AUTO_TEST_CASE(every_error_code_has_its_name) {
  struct Case {
    std::string_view name;
    ErrorCode code;
  };
  constexpr Case kCases[] = {
      {.name = "invalid_argument", .code = ErrorCode::kInvalidArgument},
      {.name = "not_found", .code = ErrorCode::kNotFound},
      {.name = "already_exists", .code = ErrorCode::kAlreadyExists},
      {.name = "unavailable", .code = ErrorCode::kUnavailable},
      {.name = "resource_exhausted", .code = ErrorCode::kResourceExhausted},
      {.name = "io", .code = ErrorCode::kIo},
      {.name = "closed", .code = ErrorCode::kClosed},
      {.name = "unsupported", .code = ErrorCode::kUnsupported},
      {.name = "internal", .code = ErrorCode::kInternal},
      {.name = "internal", .code = static_cast<ErrorCode>(200)},  // What is not a code can only be a defect.
  };
  for (const Case& c : kCases) BOOST_TEST(to_string(c.code) == c.name);
}

Result<std::unique_ptr<int>> half(int number) {
  if (number % 2 != 0) return Error{ErrorCode::kInvalidArgument, "odd"};
  return std::make_unique<int>(number / 2);
}

BOOST_AUTO_TEST_CASE(result_holds_a_value_or_an_error) {
  Result<std::unique_ptr<int>> good = half(14);
  BOOST_REQUIRE(good.has_value());
  BOOST_TEST(**good == 7);
  const std::unique_ptr<int> moved = *std::move(good);
  BOOST_TEST(*moved == 7);

  const Result<std::unique_ptr<int>> bad = half(7);
  BOOST_REQUIRE(!bad);
  BOOST_TEST((bad.error().code == ErrorCode::kInvalidArgument));
  BOOST_TEST(bad.error().detail == "odd");

  BOOST_TEST(Result<int>(3).value_or(5) == 3);
  BOOST_TEST(Result<int>(Error{}).value_or(5) == 5);
  BOOST_TEST(Result<void>().has_value());
  BOOST_TEST(Result<void>(Error{ErrorCode::kIo, "disk"}).error().detail == "disk");
}

// Time

BOOST_AUTO_TEST_CASE(system_clock_starts_at_wall_time_and_never_goes_back) {
  const TimePoint before = std::chrono::system_clock::now();
  const SystemClock clock;
  TimePoint last = clock.now();
  BOOST_TEST((last - before < 24h));  // The right epoch; how long the machine took between the lines is its own affair.
  BOOST_TEST((before - last < 24h));
  for (int i = 0; i < 1000; ++i) {
    const TimePoint now = clock.now();
    BOOST_REQUIRE((now >= last));
    last = now;
  }
}

// Randomness

std::vector<std::uint64_t> draw(std::uint64_t seed, int count) {
  Random random(seed);
  std::vector<std::uint64_t> drawn;
  for (int i = 0; i < count; ++i) drawn.push_back(random());
  return drawn;
}

// What the authors' C code gives when splitmix64 from 0 fills its state.
BOOST_AUTO_TEST_CASE(random_is_xoshiro256_starstar_seeded_by_splitmix64) {
  const std::vector<std::uint64_t> expected = {0x99ec5f36cb75f2b4U, 0xbf6e1f784956452aU, 0x1a5f849d4933e6e0U,
                                               0x6aa594f1262d2d2cU};
  BOOST_TEST(draw(0, 4) == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(the_same_seed_gives_the_same_numbers) {
  BOOST_TEST(draw(42, 100) == draw(42, 100), boost::test_tools::per_element());
  BOOST_TEST((draw(42, 4) != draw(43, 4)));
}

BOOST_AUTO_TEST_CASE(below_stays_below_and_is_even) {
  Random random(1);
  for (const std::uint64_t bound :
       {std::uint64_t{1}, std::uint64_t{2}, std::uint64_t{3}, std::uint64_t{1} << 63, ~std::uint64_t{0}}) {
    for (int i = 0; i < 1000; ++i) BOOST_REQUIRE(random.below(bound) < bound);
  }
  // Two thirds of the range: a plain modulo would give the lower half twice as often as the upper.
  constexpr std::uint64_t kBound = std::uint64_t{3} << 62;
  int lower = 0;
  for (int i = 0; i < 30'000; ++i) lower += random.below(kBound) < kBound / 2 ? 1 : 0;
  BOOST_TEST(lower > 14'500);
  BOOST_TEST(lower < 15'500);
  std::array<int, 10> counts{};
  for (int i = 0; i < 100'000; ++i) ++counts[random.below(10)];
  for (const int count : counts) BOOST_TEST(std::abs(count - 10'000) < 500);
}

BOOST_AUTO_TEST_CASE(unit_lies_in_zero_to_one) {
  Random random(2);
  double sum = 0;
  for (int i = 0; i < 100'000; ++i) {
    const double value = random.unit();
    BOOST_REQUIRE((value >= 0 && value < 1));
    sum += value;
  }
  BOOST_TEST(sum > 49'500);
  BOOST_TEST(sum < 50'500);
}

BOOST_AUTO_TEST_CASE(random_serves_the_standard_library) {
  static_assert(std::uniform_random_bit_generator<Random>);
  Random random(3);
  std::vector<int> order(52);
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int>(i);
  std::vector<int> shuffled = order;
  std::shuffle(shuffled.begin(), shuffled.end(), random);
  BOOST_TEST((shuffled != order));
  std::sort(shuffled.begin(), shuffled.end());
  BOOST_TEST((shuffled == order));
}

BOOST_AUTO_TEST_CASE(system_seeds_differ) {
  std::set<std::uint64_t> seeds;
  for (int i = 0; i < 100; ++i) seeds.insert(system_seed());
  BOOST_TEST(seeds.size() == 100U);
}

// Ids

BOOST_AUTO_TEST_CASE(ids_as_text) {
  struct Case {
    const char* name;
    Id128 id;
    std::string_view text;
  };
  constexpr Case kCases[] = {
      {.name = "zero", .id = {}, .text = "00000000000000000000000000"},
      {.name = "one", .id = {0, 1}, .text = "00000000000000000000000001"},
      {.name = "32", .id = {0, 32}, .text = "00000000000000000000000010"},
      {.name = "across the halves", .id = {1, 0}, .text = "0000000000000g000000000000"},
      {.name = "all ones", .id = {~0ULL, ~0ULL}, .text = "7zzzzzzzzzzzzzzzzzzzzzzzzz"},
      // The example of the ULID specification: 01ARZ3NDEKTSV4RRFFQ69G5FAV is this number.
      {.name = "ULID's own", .id = {0x01563e3ab5d3d676U, 0x4c61efb99302bd5bU}, .text = "01arz3ndektsv4rrffq69g5fav"},
  };
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      BOOST_TEST(c.id.str() == c.text);
      BOOST_TEST((Id128::parse(c.text) == c.id));
      std::string upper(c.text);
      for (char& letter : upper) letter = letter >= 'a' && letter <= 'z' ? static_cast<char>(letter - 32) : letter;
      BOOST_TEST((Id128::parse(upper) == c.id));
    }
  }
}

BOOST_AUTO_TEST_CASE(what_is_no_id) {
  struct Case {
    const char* name;
    std::string_view text;
  };
  constexpr Case kCases[] = {
      {.name = "nothing", .text = ""},
      {.name = "one short", .text = "0000000000000000000000000"},
      {.name = "one long", .text = "000000000000000000000000000"},
      {.name = "129 bits", .text = "80000000000000000000000000"},
      {.name = "a first character above 7", .text = "z0000000000000000000000000"},
      {.name = "u is not of the alphabet", .text = "0000000000000000000000000u"},
      {.name = "l is not read as 1", .text = "0000000000000000000000000l"},
      {.name = "o is not read as 0", .text = "0000000000000000000000000O"},
      {.name = "a space", .text = " 0000000000000000000000000"},
      {.name = "a hyphen", .text = "0000000000000-000000000000"},
      {.name = "a byte above 127",
       .text = "0000000000000\xff"
               "000000000000"},
      {.name = "a zero byte",
       .text = std::string_view("0000000000000\0"
                                "000000000000",
                                26)},
  };
  for (const Case& c : kCases) BOOST_TEST_CONTEXT(c.name) {
      BOOST_TEST(!Id128::parse(c.text).has_value());
    }
}

BOOST_AUTO_TEST_CASE(ids_sort_by_time_also_as_text) {
  Random random(4);
  Id128 last{};
  TimePoint now{1'700'000'000s};
  for (int i = 0; i < 1000; ++i, now += 1ms) {
    const Id128 id = Id128::make(now, random);
    BOOST_REQUIRE((id.high >> 16 == static_cast<std::uint64_t>(now.time_since_epoch() / 1ms)));
    BOOST_REQUIRE((last < id));
    BOOST_REQUIRE((last.str() < id.str()));
    BOOST_REQUIRE((Id128::parse(id.str()) == id));
    last = id;
  }
}

BOOST_AUTO_TEST_CASE(ids_repeat_with_their_seed_and_differ_otherwise) {
  Random one(5);
  Random same(5);
  const TimePoint now{1s};
  BOOST_TEST((Id128::make(now, one) == Id128::make(now, same)));
  std::set<Id128> ids;
  for (int i = 0; i < 10'000; ++i) ids.insert(Id128::make(now, one));
  BOOST_TEST(ids.size() == 10'000U);
}

// Tasks

BOOST_AUTO_TEST_CASE(unique_function_owns_what_can_only_be_moved) {
  UniqueFunction<int(int)> empty;
  BOOST_TEST(!empty);
  UniqueFunction<int(int)> add = [base = std::make_unique<int>(40)](int n) { return *base + n; };
  BOOST_TEST(add(2) == 42);
  UniqueFunction<int(int)> moved = std::move(add);
  BOOST_TEST(!add);  // NOLINT: what a moved-from function is, is part of its promise.
  BOOST_TEST(moved(3) == 43);
  BOOST_TEST(moved(3) == 43);
  moved = nullptr;
  BOOST_TEST(!moved);
}

BOOST_AUTO_TEST_CASE(version_is_three_numbers) {
  BOOST_TEST(std::count(version().begin(), version().end(), '.') == 2);
  BOOST_TEST(version().find_first_not_of("0123456789.") == std::string_view::npos);
}

}  // namespace
}  // namespace mailsbuddy
