// The contract's world in memory.
#include <boost/test/unit_test.hpp>

#include "tests/spool/contract.h"

namespace mailsbuddy::spool {

struct Contract::Place {};
Contract::Contract() = default;
Contract::~Contract() = default;
std::unique_ptr<Spool> Contract::open(SuppressionKey key) { return make_memory_spool(std::move(key)); }

}  // namespace mailsbuddy::spool
