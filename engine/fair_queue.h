// fair_queue.h - the rows waiting for one site, and whose turn it is.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/job.h"

namespace mailsbuddy::engine {

// Counts rows in a total that others look at, for as long as they are in memory.
class AtHand {
 public:
  AtHand() = default;
  ~AtHand() { less(rows_); }
  AtHand(const AtHand&) = delete;
  AtHand& operator=(const AtHand&) = delete;

  void count(std::shared_ptr<std::atomic<std::uint64_t>> total, std::uint64_t rows) {
    less(rows_);
    total_ = std::move(total);
    rows_ = rows;
    *total_ += rows;
  }
  std::uint64_t rows() const noexcept { return rows_; }
  void less(std::uint64_t rows) {
    rows = std::min(rows, rows_);
    if (rows == 0) return;
    *total_ -= rows;
    rows_ -= rows;
  }

 private:
  std::shared_ptr<std::atomic<std::uint64_t>> total_;  // A feed may outlive the engine, in a task that never ran.
  std::uint64_t rows_ = 0;
};

// A stream of one job's rows of one domain: some at hand, then what the spool's cursor still has.
struct Feed {
  JobPtr job;
  spool::DomainNumber domain_number = 0;
  std::string domain;
  std::vector<spool::Row> rows;  // At hand, the next one last.
  spool::Cursor cursor;
  std::uint64_t unread = 0;      // Rows behind the cursor; 0: the rows at hand are all.
  int route_failures = 0;        // In a row.
  TimePoint since{};             // When its rows could first have gone: at a site, and due.
  std::shared_ptr<const void> counted{};  // By who made it of domains that wait; null: by nobody.
  AtHand at_hand{};              // Of rows that were due.

  std::uint64_t size() const noexcept { return rows.size() + unread; }
  // Reads more when none is at hand. False: the feed is at its end; or, if its size() is not 0, the disk cannot be read
  // just now.
  bool fill(spool::Spool& spool, std::size_t max);
  spool::Row take();             // The next row at hand.
};
using FeedPtr = std::unique_ptr<Feed>;
FeedPtr make_feed(JobPtr job, spool::DomainNumber number, std::string domain, std::uint64_t unread = 0);

// Of a job's rows: how many wait, and the first and last Feed::since of them.
struct Held {
  std::uint64_t rows = 0;
  TimePoint first = TimePoint::max();
  TimePoint last{};
  void add(TimePoint since, std::uint64_t count) {
    rows += count;
    first = std::min(first, since);
    last = std::max(last, since);
  }
};

// What pull() gives: one row, with what is needed to make its message.
struct Pulled {
  JobPtr job;
  spool::Row row;
  std::string domain;
  TimePoint since{};  // As its feed's.
  bool more = false;  // Of a single message, and its queue's next row is of the same: see pull_more().
};

// Transactional before bulk; inside a class deficit round robin by account, then by job, then by domain. Every row
// costs one, so the deficit is always spent at once and the turns alone remain (Shreedhar and Varghese, 1996, with
// equal sizes). Paused jobs are passed over, and so are those that a gate keeps back. An account's single messages are
// together as far as one gate would keep them back: by From domain and campaign. Cost: constant per row, but for the
// jobs in its way that are passed over. Threads: its worker's.
class FairQueue {
 public:
  explicit FairQueue(spool::Spool& spool) : spool_(spool) {}

  // When the job's next row may go. Asked again at that time, or after ask_again(). Empty: all may.
  using Gate = std::function<TimePoint(const Job&)>;

  void push(FeedPtr feed);
  void push_front(Pulled pulled);                  // Its row is the next of its job.
  std::optional<Pulled> pull(Priority priority, TimePoint now = {}, const Gate& gate = {});  // Empty: none that may go.
  // What pull() gave a row of may have more recipients that go with it: the next one of the same single message, of the
  // same domain unless `any_domain`. Takes no turn of others: theirs are as far away as before. Empty: none is next, or
  // may go.
  std::optional<Pulled> pull_more(const JobPtr& job, spool::DomainNumber domain, bool any_domain, TimePoint now = {},
                                  const Gate& gate = {});
  // Rows that pull() would give; counts no further than `enough`. 
  std::uint64_t waiting(Priority priority, std::uint64_t enough, TimePoint now = {}, const Gate& gate = {}) const;
  // Each queue's next job, in the order of their turns, and its rows that pull() would give.
  void each_open(TimePoint now, const Gate& gate, const std::function<void(const Job&, std::uint64_t)>& visit) const;
  TimePoint opens_at(TimePoint now) const;  // The first gate to be asked again; max(): none is shut.
  void ask_again();                         // Every gate, before its time.
  bool unread() const noexcept { return unread_; }  // The last pull() found rows that the disk did not give just now.
  // No job that was not cancelled since its feed came ends before; one that was cancelled before, at once.
  TimePoint earliest_end() const noexcept { return earliest_end_; }
  std::vector<FeedPtr> take_ended(TimePoint now);  // Takes out the feeds of jobs that are cancelled or expired at `now`.
  std::vector<FeedPtr> take_older(TimePoint since);  // Takes out what waits since then or longer and is not paused.
  std::vector<FeedPtr> take_all();
  std::vector<FeedPtr> take_if(const std::function<bool(const Feed&)>& wanted);
  // The least Feed::since of those that are neither paused nor kept back; max(): none. Looks at every feed.
  TimePoint oldest(TimePoint now) const;
  void held(const Job& job, Held& held) const;  // Adds its rows.
  std::uint64_t all_rows() const;
  void jobs(std::set<const Job*>& out) const;
  bool empty() const noexcept { return classes_[0].accounts.empty() && classes_[1].accounts.empty(); }

 private:
  struct JobQueue {
    std::string key;
    JobPtr campaign;                      // Null: single messages of an account.
    std::list<FeedPtr> feeds;
    std::uint64_t rows = 0;
    mutable TimePoint shut_until{};       // By a gate.
    bool paused() const { return campaign != nullptr && campaign->paused; }
    bool shut(TimePoint now, const Gate& gate) const;
  };
  struct AccountQueue {
    std::string account;
    std::list<JobQueue> jobs;             // In the order of their turns.
    std::unordered_map<std::string, std::list<JobQueue>::iterator> by_key;
  };
  struct Class {
    std::list<AccountQueue> accounts;     // In the order of their turns.
    std::unordered_map<std::string, std::list<AccountQueue>::iterator> by_name;
  };

  JobQueue& queue_of(const JobPtr& job);
  std::optional<Pulled> pull_from(JobQueue& queue);
  JobQueue* find_queue(const Job& job);
  std::optional<Pulled> pull_from(AccountQueue& account, TimePoint now, const Gate& gate);
  template <class Visit>
  void each_queue(Visit visit) const;
  template <class Wanted>
  std::vector<FeedPtr> take(Wanted wanted);

  spool::Spool& spool_;
  Class classes_[2];  // By Priority.
  TimePoint earliest_end_ = TimePoint::max();
  bool unread_ = false;
};

}  // namespace mailsbuddy::engine
