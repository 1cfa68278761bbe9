// delivery.h - an attempt's end: what the outcome means, what becomes of the recipient, and the one write that says so.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "core/base/timer_wheel.h"
#include "engine/erased_addresses.h"
#include "engine/events.h"
#include "engine/gate.h"
#include "engine/job.h"
#include "engine/retry.h"
#include "engine/suppressor.h"

namespace mailsbuddy::engine {

// What carried an attempt, as far as it came. Views: the caller's.
struct Carrier {
  std::string_view provider{};
  std::string_view egress{};
  std::string_view mx_host{};
  bool tls = false;
  net::TlsVerify tls_verified = net::TlsVerify::kNone;
};

// A recipient as delivery sees it.
struct Attempted {
  const JobPtr& job;
  const spool::Row& row;
  std::string_view recipient;
  bool counts = true;  // False: nothing was tried (suppressed, cancelled, expired while waiting).
};

// Threads: its worker's. Settlements gather for at most kFlushDelay, then go to the spool in one batch.
class Delivery {
 public:
  // `committed` is called after each write, on any thread, with the earliest new due time (max(): none).
  using Committed = std::function<void(TimePoint earliest_due, const std::vector<JobPtr>& finished_messages)>;
  Delivery(net::Loop& loop, spool::Spool& spool, const bounce::SuppressionPolicy& suppression,
           const ErasedAddresses& erased, RetrySchedule retries, Random random, Committed committed,
           std::shared_ptr<Gate> gate);

  bounce::Verdict settle(const Attempted& attempted, const Outcome& outcome, const Carrier& carrier);
  void give_back(const spool::Row& row);  // Claimed, not tried: queued again, the caller has it.
  void wait(const spool::Row& row, TimePoint until);  // Not tried, and not before then: in the spool till then.
  void claim(std::vector<spool::RowKey> keys, Task durable);
  void report(const std::vector<warming::Decision>& decisions);
  void keep(spool::Snapshot snapshot, Task durable);  // With the next claim, or soon.
  void flush();

 private:
  static constexpr Duration kFlushDelay = std::chrono::milliseconds(5);
  static constexpr std::size_t kFlushRows = 256;

  struct Next {
    spool::State state;
    EventKind kind;
    TimePoint due{};
  };
  Next next(const Attempted& attempted, const Outcome& outcome, const bounce::Verdict& verdict, std::uint32_t attempt);
  void forget(Event& event, Next& next) const;
  void learn(const Attempted& attempted, const Outcome& outcome, const bounce::Verdict& verdict, spool::State state);
  void add(spool::Settlement settlement);
  void flush_soon();

  net::Loop& loop_;
  spool::Spool& spool_;
  Suppressor suppressor_;
  const ErasedAddresses& erased_;
  RetrySchedule retries_;
  Random random_;
  Committed committed_;
  std::shared_ptr<Gate> gate_;  // The spool may call back after the end of all this.
  Timer flush_timer_;
  spool::Batch batch_;            // What goes with the next flush.
  std::vector<Task> durable_;     // Run when it is.
  std::vector<JobPtr> messages_;  // Single messages among them: they may be settled as a whole now.
  TimePoint earliest_due_ = TimePoint::max();
};

}  // namespace mailsbuddy::engine
