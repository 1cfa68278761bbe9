// erased_addresses.h - addresses that were erased while mail to them was on its way.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/base/ascii.h"
#include "mailsbuddy/spool.h"

namespace mailsbuddy::engine {

// What is settled about one says nothing of it. Of jobs that were there: what is sent to the address later is another
// matter. In memory alone, for a process that begins knows no address of a row that was erased. Threads: any.
class ErasedAddresses {
 public:
  void add(std::string_view address, spool::JobNumber last_job) {
    const std::lock_guard lock(mutex_);
    addresses_.insert_or_assign(ascii::to_lower(address), last_job);
    any_ = true;
  }

  bool contains(spool::JobNumber job, std::string_view address) const {
    if (!any_.load(std::memory_order_acquire)) return false;
    const std::lock_guard lock(mutex_);
    const auto found = addresses_.find(ascii::to_lower(address));
    return found != addresses_.end() && job <= found->second;
  }

 private:
  std::atomic<bool> any_{false};
  mutable std::mutex mutex_;
  std::unordered_map<std::string, spool::JobNumber> addresses_;
};

}  // namespace mailsbuddy::engine
