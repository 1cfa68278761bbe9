// suppressor.h - from verdicts to suppressions: the policy of bounce.h, applied to what the spool keeps of an address.
#pragma once

#include <optional>
#include <string_view>

#include "mailsbuddy/engine.h"

namespace mailsbuddy::engine {

// What is said of an address, on the wire or afterwards. Views: the caller's.
struct Evidence {
  std::string_view account;
  std::string_view address;
  const bounce::Verdict& verdict;
  SuppressionReason at_once = SuppressionReason::kHardBounce;  // The reason, if the verdict alone suppresses.
  std::optional<bounce::Day> sent{};                           // As for bounce::after_bounce().
};

bounce::Day day_of(TimePoint time);

// Threads: any. What is to change is added to a batch, so that it is in the same write as what caused it. Of two soft
// bounces of an address in two batches at a time one may be lost, and that is all: one a day counts.
class Suppressor {
 public:
  Suppressor(const spool::Spool& spool, const bounce::SuppressionPolicy& policy) : spool_(spool), policy_(policy) {}

  bool bounced(const Evidence& evidence, TimePoint now, spool::Batch& batch) const;  // True: it is suppressed.
  void delivered(std::string_view account, std::string_view address, TimePoint now, spool::Batch& batch) const;

 private:
  void keep(spool::AccountAddress who, const bounce::SoftRun& run, TimePoint now, spool::Batch& batch) const;

  const spool::Spool& spool_;
  const bounce::SuppressionPolicy policy_;
};

}  // namespace mailsbuddy::engine
