// The contract's world on disk.
#include <boost/test/unit_test.hpp>

#include "tests/spool/contract.h"
#include "tests/spool/scratch.h"

namespace mailsbuddy::spool {

struct Contract::Place {
  Scratch scratch;
  int opened = 0;
};
Contract::Contract() : place_(std::make_unique<Place>()) {}
Contract::~Contract() = default;

// fsync(2) is what other tests are about.
std::unique_ptr<Spool> Contract::open(SuppressionKey key) {
  auto spool = open_rocks_spool({.directory = place_->scratch.path(std::to_string(place_->opened++)),
                                 .durability = Durability::kProcessCrash,
                                 .suppression_key = std::move(key),
                                 .reserve_bytes = 0});
  BOOST_REQUIRE_MESSAGE(spool.has_value(), (spool ? "" : spool.error().detail));
  return *std::move(spool);
}

}  // namespace mailsbuddy::spool
