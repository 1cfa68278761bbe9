// contract.h - what a form of the spool gives so that the contract is run against it.
#pragma once

#include <memory>

#include "mailsbuddy/spool.h"

namespace mailsbuddy::spool {

// One for each test. Defined by the program.
class Contract {
 public:
  Contract();
  ~Contract();
  std::unique_ptr<Spool> open(SuppressionKey key = {});  // An empty one.

 private:
  struct Place;
  std::unique_ptr<Place> place_;
};

}  // namespace mailsbuddy::spool
