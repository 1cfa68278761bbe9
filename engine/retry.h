// retry.h - when to try again.
#pragma once

#include "mailsbuddy/base.h"

namespace mailsbuddy::engine {

// Threads: immutable.
class RetrySchedule {
 public:
  // `first`: the wait after the first attempt. RFC 5321 4.5.4.1 asks for 30 minutes in general and allows sooner first
  // tries; greylisting wants 5 to 15 minutes.
  // `attempts_max`: where a job has no number of its own; 0: none.
  explicit RetrySchedule(Duration first, std::uint64_t attempts_max = 0) : first_(first), attempts_max_(attempts_max) {}

  // No further attempt after this one (from 1). `attempts_max`: the job's, 0: none.
  bool last(std::uint32_t attempt, std::uint64_t attempts_max) const noexcept {
    const std::uint64_t most = attempts_max != 0 ? attempts_max : attempts_max_;
    return most != 0 && attempt >= most;
  }

  // The wait after the given attempt (from 1): first, then 2, 4, 8 and 12 times as long, each up to a fifth shorter or
  // longer, so that what failed together does not come back together.
  Duration after_attempt(std::uint32_t attempt, Random& random) const;

  // How long a lane or a domain is left alone after so many failures in a row (from 1): a tenth of `first`, doubling up
  // to one and a half times `first`.
  Duration after_failures(int failures) const;

 private:
  Duration first_;
  std::uint64_t attempts_max_;
};

}  // namespace mailsbuddy::engine
