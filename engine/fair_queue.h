// fair_queue.h - the rows waiting for one site, and whose turn it is.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/job.h"

namespace mailsbuddy::engine {

// A stream of one job's rows of one domain: some at hand, then what the spool's cursor still has.
struct Feed {
  JobPtr job;
  spool::DomainNumber domain_number = 0;
  std::string domain;
  std::deque<spool::Row> rows;
  spool::Cursor cursor;
  std::uint64_t unread = 0;     // Rows behind the cursor; 0: the rows at hand are all.
  int route_failures = 0;       // In a row.

  std::uint64_t size() const noexcept { return rows.size() + unread; }
  // Reads more when none is at hand. False: the feed is at its end.
  bool fill(spool::Spool& spool, std::size_t max);
};
using FeedPtr = std::unique_ptr<Feed>;

// What pull() gives: one row, with what is needed to make its message.
struct Pulled {
  JobPtr job;
  spool::Row row;
  std::string domain;
};

// Transactional before bulk; inside a class deficit round robin by account, then by job, then by domain. Every row costs
// one, so the deficit is always spent at once and the turns alone remain (Shreedhar and Varghese, 1996, with equal sizes).
// Paused jobs are passed over. Threads: its worker's.
class FairQueue {
 public:
  explicit FairQueue(spool::Spool& spool) : spool_(spool) {}

  void push(FeedPtr feed);
  void push_front(Pulled pulled);                      // Its row is the next of its job.
  std::optional<Pulled> pull(Priority priority);       // Empty: nothing of that priority that may go.
  std::uint64_t waiting(Priority priority) const;      // Rows that pull() would give.
  TimePoint earliest_expiry() const;                   // Of the jobs here; TimePoint::max(): none.
  // Takes out the feeds of jobs that are cancelled or expired at `now`.
  std::vector<FeedPtr> take_ended(TimePoint now);
  bool empty() const noexcept;

 private:
  struct JobQueue {
    JobPtr campaign;                          // Null: the account's single messages, which share one queue.
    std::deque<FeedPtr> feeds;
    std::uint64_t rows = 0;
    TimePoint expires = TimePoint::max();     // No feed expires before.
    bool paused() const { return campaign != nullptr && campaign->paused; }
    bool cancelled() const { return campaign != nullptr && campaign->cancelled; }
  };
  struct AccountQueue {
    std::string account;
    std::deque<JobQueue> jobs;
  };
  using Class = std::deque<AccountQueue>;

  JobQueue& queue_of(const JobPtr& job);
  std::optional<Pulled> pull_from(JobQueue& queue);

  spool::Spool& spool_;
  Class classes_[2];  // By Priority.
};

}  // namespace mailsbuddy::engine
