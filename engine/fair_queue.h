// fair_queue.h - the rows waiting for one site, and whose turn it is.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/job.h"

namespace mailsbuddy::engine {

// A stream of one job's rows of one domain: some at hand, then what the spool's cursor still has.
struct Feed {
  JobPtr job;
  spool::DomainNumber domain_number = 0;
  std::string domain;
  std::vector<spool::Row> rows;  // At hand, the next one last.
  spool::Cursor cursor;
  std::uint64_t unread = 0;      // Rows behind the cursor; 0: the rows at hand are all.
  int route_failures = 0;        // In a row.

  std::uint64_t size() const noexcept { return rows.size() + unread; }
  // Reads more when none is at hand. False: the feed is at its end.
  bool fill(spool::Spool& spool, std::size_t max);
  spool::Row take();             // The next row at hand.
};
using FeedPtr = std::unique_ptr<Feed>;
FeedPtr make_feed(JobPtr job, spool::DomainNumber number, std::string domain, std::uint64_t unread = 0);

// What pull() gives: one row, with what is needed to make its message.
struct Pulled {
  JobPtr job;
  spool::Row row;
  std::string domain;
};

// Transactional before bulk; inside a class deficit round robin by account, then by job, then by domain. Every row costs
// one, so the deficit is always spent at once and the turns alone remain (Shreedhar and Varghese, 1996, with equal sizes).
// Paused jobs are passed over. Cost: constant per row, but for the paused jobs in its way. Threads: its worker's.
class FairQueue {
 public:
  explicit FairQueue(spool::Spool& spool) : spool_(spool) {}

  void push(FeedPtr feed);
  void push_front(Pulled pulled);                  // Its row is the next of its job.
  std::optional<Pulled> pull(Priority priority);   // Empty: nothing of that priority that may go.
  // Rows that pull() would give; counts no further than `enough`.
  std::uint64_t waiting(Priority priority, std::uint64_t enough) const;
  TimePoint earliest_expiry() const noexcept { return earliest_expiry_; }  // No feed expires before.
  std::vector<FeedPtr> take_ended(TimePoint now);  // Takes out the feeds of jobs that are cancelled or expired at `now`.
  std::vector<FeedPtr> take_all();
  bool empty() const noexcept { return classes_[0].accounts.empty() && classes_[1].accounts.empty(); }

 private:
  struct JobQueue {
    JobPtr campaign;                      // Null: the account's single messages, which share one queue.
    std::list<FeedPtr> feeds;
    std::uint64_t rows = 0;
    bool paused() const { return campaign != nullptr && campaign->paused; }
  };
  struct AccountQueue {
    std::string account;
    std::list<JobQueue> jobs;             // In the order of their turns.
    std::unordered_map<const Job*, std::list<JobQueue>::iterator> by_job;
  };
  struct Class {
    std::list<AccountQueue> accounts;     // In the order of their turns.
    std::unordered_map<std::string, std::list<AccountQueue>::iterator> by_name;
  };

  JobQueue& queue_of(const JobPtr& job);
  std::optional<Pulled> pull_from(JobQueue& queue);
  std::optional<Pulled> pull_from(AccountQueue& account);
  template <class Wanted>
  std::vector<FeedPtr> take(Wanted wanted);

  spool::Spool& spool_;
  Class classes_[2];  // By Priority.
  TimePoint earliest_expiry_ = TimePoint::max();
};

}  // namespace mailsbuddy::engine
