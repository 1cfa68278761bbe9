#include "engine/fair_queue.h"

#include <algorithm>

namespace mailsbuddy::engine {
namespace {

// A feed keeps its turn for as many rows as it reads at once: with many small domains at one provider, no more than one
// domain's rows of a job are in memory.
constexpr std::size_t kReadRows = 32;

template <class Queue>
void rotate(Queue& queue) {
  queue.push_back(std::move(queue.front()));
  queue.pop_front();
}

}  // namespace

bool Feed::fill(spool::Spool& spool, std::size_t max) {
  if (rows.empty() && unread > 0) {
    std::vector<spool::Row> read;
    const bool more = spool.read(job->number, domain_number, cursor, max, read);
    unread = more ? unread - std::min<std::uint64_t>(unread, read.size()) : 0;
    rows.assign(std::make_move_iterator(read.begin()), std::make_move_iterator(read.end()));
  }
  return !rows.empty();
}

FairQueue::JobQueue& FairQueue::queue_of(const JobPtr& job) {
  Class& accounts = classes_[static_cast<std::size_t>(job->priority)];
  auto account = std::find_if(accounts.begin(), accounts.end(),
                              [&](const AccountQueue& queue) { return queue.account == job->account; });
  if (account == accounts.end()) account = accounts.insert(accounts.end(), AccountQueue{job->account, {}});
  const JobPtr campaign = job->campaign ? job : nullptr;
  auto queue = std::find_if(account->jobs.begin(), account->jobs.end(),
                            [&](const JobQueue& candidate) { return candidate.campaign == campaign; });
  if (queue == account->jobs.end()) queue = account->jobs.insert(account->jobs.end(), JobQueue{.campaign = campaign});
  queue->expires = std::min(queue->expires, job->expires);
  return *queue;
}

void FairQueue::push(FeedPtr feed) {
  JobQueue& queue = queue_of(feed->job);
  queue.rows += feed->size();
  queue.feeds.push_back(std::move(feed));
}

void FairQueue::push_front(Pulled pulled) {
  JobQueue& queue = queue_of(pulled.job);
  auto feed = std::make_unique<Feed>();
  feed->job = std::move(pulled.job);
  feed->domain_number = pulled.row.key.domain;
  feed->domain = std::move(pulled.domain);
  feed->rows.push_back(std::move(pulled.row));
  queue.feeds.push_front(std::move(feed));
  ++queue.rows;
}

// One row of the feed whose turn it is; drops feeds that are at their end.
std::optional<Pulled> FairQueue::pull_from(JobQueue& queue) {
  while (!queue.feeds.empty()) {
    Feed& feed = *queue.feeds.front();
    if (!feed.fill(spool_, kReadRows)) {
      queue.feeds.pop_front();
      continue;
    }
    Pulled pulled{.job = feed.job, .row = std::move(feed.rows.front()), .domain = feed.domain};
    feed.rows.pop_front();
    --queue.rows;
    if (feed.size() == 0) {
      queue.feeds.pop_front();
    } else if (feed.rows.empty()) {
      rotate(queue.feeds);
    }
    return pulled;
  }
  queue.rows = 0;
  return std::nullopt;
}

std::optional<Pulled> FairQueue::pull(Priority priority) {
  Class& accounts = classes_[static_cast<std::size_t>(priority)];
  for (std::size_t turns = accounts.size(); turns > 0; --turns) {
    AccountQueue& account = accounts.front();
    for (std::size_t job_turns = account.jobs.size(); job_turns > 0; --job_turns) {
      JobQueue& queue = account.jobs.front();
      std::optional<Pulled> pulled;
      if (!queue.paused()) pulled = pull_from(queue);
      if (queue.feeds.empty()) {
        account.jobs.pop_front();
      } else {
        rotate(account.jobs);
      }
      if (!pulled) continue;
      if (account.jobs.empty()) {
        accounts.pop_front();
      } else {
        rotate(accounts);
      }
      return pulled;
    }
    if (account.jobs.empty()) {
      accounts.pop_front();
    } else {
      rotate(accounts);
    }
  }
  return std::nullopt;
}

std::uint64_t FairQueue::waiting(Priority priority) const {
  std::uint64_t rows = 0;
  for (const AccountQueue& account : classes_[static_cast<std::size_t>(priority)]) {
    for (const JobQueue& queue : account.jobs) rows += queue.paused() ? 0 : queue.rows;
  }
  return rows;
}

TimePoint FairQueue::earliest_expiry() const {
  TimePoint earliest = TimePoint::max();
  for (const Class& accounts : classes_) {
    for (const AccountQueue& account : accounts) {
      for (const JobQueue& queue : account.jobs) earliest = std::min(earliest, queue.expires);
    }
  }
  return earliest;
}

std::vector<FeedPtr> FairQueue::take_ended(TimePoint now) {
  std::vector<FeedPtr> ended;
  for (Class& accounts : classes_) {
    for (AccountQueue& account : accounts) {
      std::erase_if(account.jobs, [&](JobQueue& queue) {
        if (!queue.cancelled() && queue.expires > now) return false;
        queue.expires = TimePoint::max();
        for (FeedPtr& feed : queue.feeds) {
          if (queue.cancelled() || feed->job->expires <= now) {
            queue.rows -= feed->size();
            ended.push_back(std::move(feed));
          } else {
            queue.expires = std::min(queue.expires, feed->job->expires);
          }
        }
        std::erase(queue.feeds, nullptr);
        return queue.feeds.empty();
      });
    }
    std::erase_if(accounts, [](const AccountQueue& account) { return account.jobs.empty(); });
  }
  return ended;
}

bool FairQueue::empty() const noexcept { return classes_[0].empty() && classes_[1].empty(); }

}  // namespace mailsbuddy::engine
