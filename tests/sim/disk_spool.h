// disk_spool.h - the spool on disk in a simulated world, where every run is to be the same: what is committed is
// written at once, and called durable after a time on the world's clock, as a disk takes one.
#pragma once

#include <memory>
#include <string>

#include "mailsbuddy/spool.h"
#include "spool/store.h"
#include "tests/sim/sim.h"

namespace mailsbuddy::sim {

inline constexpr Duration kDiskTakes = std::chrono::microseconds(300);  // From commit() to its `durable`.

// A real one, in `directory`, or in a scratch folder that goes with it. Its pages and merges come early, so that small
// worlds have them. Threads: the loop's. Ownership: refers to `loop`. `settings`: an Env that fails, for one.
std::shared_ptr<spool::Spool> make_disk_spool(SimLoop& loop, spool::StoreSettings settings = {},
                                              const std::string& directory = {});

}  // namespace mailsbuddy::sim
