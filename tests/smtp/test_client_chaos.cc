#include <boost/test/unit_test.hpp>

#include "tests/smtp/client_chaos.h"

using namespace mailsbuddy;

// 40,000 sessions with a server that answers at random, cuts its words anywhere, and breaks off.
BOOST_AUTO_TEST_CASE(promises_hold_whatever_the_server_says) {
  int delivered = 0, refused = 0, transactions = 0, overlapping = 0, full = 0, by_lmtp = 0;
  for (std::uint64_t seed = 1; seed <= 40'000; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Random random(seed);
      test::Chaos chaos([&random](std::size_t below) { return static_cast<std::size_t>(random.below(below)); });
      try {
        chaos.play();
      } catch (const std::runtime_error& broken) {
        BOOST_FAIL(broken.what());
      }
      delivered += chaos.delivered;
      refused += chaos.refused;
      transactions += chaos.transactions;
      overlapping += chaos.overlapping;
      full += chaos.full;
      by_lmtp += chaos.by_lmtp;
    }
  }
  // Else nothing was tested.
  BOOST_TEST(delivered > 10'000);
  BOOST_TEST(refused > 10'000);
  BOOST_TEST(transactions > 20'000);
  BOOST_TEST(overlapping > 5'000);
  BOOST_TEST(full > 5'000);
  BOOST_TEST(by_lmtp > 2'000);
}
