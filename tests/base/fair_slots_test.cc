#include "core/base/fair_slots.h"

#include <boost/test/unit_test.hpp>
#include <memory>

using mailsbuddy::FairSlots;

namespace {

// Who is given a slot, in order, until there is none to give.
std::string given(FairSlots<std::unique_ptr<char>>& slots) {
  std::string all;
  while (auto next = slots.next()) all += **next;
  return all;
}
void wait(FairSlots<std::unique_ptr<char>>& slots, std::string_view who) {
  for (const char c : who) slots.wait(std::string(1, c), std::make_unique<char>(c));
}

}  // namespace

BOOST_AUTO_TEST_CASE(in_turns_and_no_more_than_a_share) {
  FairSlots<std::unique_ptr<char>> slots(8, 3);
  wait(slots, "aaaaaabbcd");
  BOOST_TEST(given(slots) == "abcdaba");
  BOOST_TEST(!slots.starved());  // There is one left, that nobody may have.
  wait(slots, "ab");
  BOOST_TEST(given(slots) == "b");
  wait(slots, "a");
  BOOST_TEST(!slots.starved());
  wait(slots, "e");
  BOOST_TEST(slots.starved() == 1U);
  slots.leave("a");
  BOOST_TEST(given(slots) == "e");
  slots.leave("c");
  BOOST_TEST(given(slots) == "a");
}

BOOST_AUTO_TEST_CASE(a_flood_of_one_is_behind_the_first_of_another) {
  FairSlots<std::unique_ptr<char>> slots(1, 1);
  wait(slots, "aaaaaaaaaab");
  BOOST_TEST(given(slots) == "a");
  slots.leave("a");
  BOOST_TEST(given(slots) == "b");
  slots.leave("b");
  BOOST_TEST(given(slots) == "a");
}
