#include "engine/fair_queue.h"

#include <algorithm>

namespace mailsbuddy::engine {
namespace {

// A feed keeps its turn for as many rows as it reads at once: with many small domains at one provider, no more than one
// domain's rows of a job are in memory.
constexpr std::size_t kReadRows = 32;

template <class List>
void rotate(List& list) {
  list.splice(list.end(), list, list.begin());
}

// A campaign is one queue. No id holds a NUL.
std::string queue_key(const Job& job) {
  return job.campaign ? std::string(1, '\0') + job.id : job.from_domain + '\0' + job.tag;
}

}  // namespace

FeedPtr make_feed(JobPtr job, spool::DomainNumber number, std::string domain, std::uint64_t unread) {
  auto feed = std::make_unique<Feed>();
  feed->job = std::move(job);
  feed->domain_number = number;
  feed->domain = std::move(domain);
  feed->unread = unread;
  return feed;
}

bool Feed::fill(spool::Spool& spool, std::size_t max) {
  while (rows.empty() && unread > 0) {  // A read may give nothing because its rows were all set aside.
    const std::uint32_t before = cursor.row;
    const bool more = spool.read(job->number, domain_number, cursor, max, rows);
    unread = more ? unread - std::min<std::uint64_t>(unread, rows.size()) : 0;
    if (more && cursor.row == before) return false;  // The disk cannot be read just now.
    std::reverse(rows.begin(), rows.end());
  }
  return !rows.empty();
}

spool::Row Feed::take() {
  spool::Row row = std::move(rows.back());
  rows.pop_back();
  at_hand.less(1);
  if (rows.empty()) rows.shrink_to_fit();  // A feed that waits costs no rows.
  return row;
}

FairQueue::JobQueue& FairQueue::queue_of(const JobPtr& job) {
  earliest_end_ = std::min(earliest_end_, job->ends());
  Class& accounts = classes_[static_cast<std::size_t>(job->priority)];
  const auto [account, new_account] = accounts.by_name.try_emplace(job->account);
  if (new_account) {
    accounts.accounts.push_back({.account = job->account, .jobs = {}, .by_key = {}});
    account->second = std::prev(accounts.accounts.end());
  }
  AccountQueue& jobs = *account->second;
  const auto [queue, new_queue] = jobs.by_key.try_emplace(queue_key(*job));
  if (new_queue) {
    jobs.jobs.push_back({.key = queue->first, .campaign = job->campaign ? job : nullptr, .feeds = {}});
    queue->second = std::prev(jobs.jobs.end());
  }
  return *queue->second;
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
  feed->since = pulled.since;
  queue.feeds.push_front(std::move(feed));
  ++queue.rows;
}

// One row of the feed whose turn it is; drops feeds that are at their end.
std::optional<Pulled> FairQueue::pull_from(JobQueue& queue) {
  while (!queue.feeds.empty()) {
    Feed& feed = *queue.feeds.front();
    if (!feed.fill(spool_, kReadRows)) {
      if (feed.size() > 0) {  // The disk gives nothing just now.
        unread_ = true;
        rotate(queue.feeds);
        return std::nullopt;
      }
      queue.feeds.pop_front();
      continue;
    }
    Pulled pulled{.job = feed.job, .row = feed.take(), .domain = feed.domain, .since = feed.since};
    --queue.rows;
    if (feed.size() == 0) {
      queue.feeds.pop_front();
    } else if (feed.rows.empty()) {
      rotate(queue.feeds);
    }
    pulled.more = !pulled.job->campaign && !queue.feeds.empty() &&
                  (queue.feeds.front()->job == pulled.job || queue.feeds.back()->job == pulled.job);
    return pulled;
  }
  queue.rows = 0;
  return std::nullopt;
}

bool FairQueue::JobQueue::shut(TimePoint now, const Gate& gate) const {
  if (!gate || feeds.empty()) return false;
  if (shut_until <= now) shut_until = gate(*feeds.front()->job);
  return shut_until > now;
}

template <class Visit>
void FairQueue::each_queue(Visit visit) const {
  for (const Class& accounts : classes_) {
    for (const AccountQueue& account : accounts.accounts) {
      for (const JobQueue& queue : account.jobs) visit(queue);
    }
  }
}

void FairQueue::each_open(TimePoint now, const Gate& gate,
                          const std::function<void(const Job&, std::uint64_t)>& visit) const {
  each_queue([&](const JobQueue& queue) {
    if (!queue.feeds.empty() && !queue.paused() && !queue.shut(now, gate)) visit(*queue.feeds.front()->job, queue.rows);
  });
}

TimePoint FairQueue::opens_at(TimePoint now) const {
  TimePoint first = TimePoint::max();
  each_queue([&](const JobQueue& queue) {
    if (!queue.paused() && queue.shut_until > now) first = std::min(first, queue.shut_until);
  });
  return first;
}

TimePoint FairQueue::oldest(TimePoint now) const {
  TimePoint since = TimePoint::max();
  each_queue([&since, now](const JobQueue& queue) {
    if (queue.paused() || queue.shut_until > now) return;
    for (const FeedPtr& feed : queue.feeds) since = std::min(since, feed->since);
  });
  return since;
}

void FairQueue::held(const Job& job, Held& held) const {
  each_queue([&](const JobQueue& queue) {
    if (queue.campaign.get() != &job) return;
    for (const FeedPtr& feed : queue.feeds) {
      if (feed->size() > 0) held.add(feed->since, feed->size());
    }
  });
}

std::uint64_t FairQueue::all_rows() const {
  std::uint64_t rows = 0;
  each_queue([&](const JobQueue& queue) { rows += queue.rows; });
  return rows;
}

void FairQueue::jobs(std::set<const Job*>& out) const {
  each_queue([&](const JobQueue& queue) {
    if (!queue.feeds.empty()) out.insert(queue.feeds.front()->job.get());
  });
}

void FairQueue::ask_again() {
  each_queue([](const JobQueue& queue) { queue.shut_until = {}; });
}

std::optional<Pulled> FairQueue::pull_from(AccountQueue& account, TimePoint now, const Gate& gate) {
  std::optional<Pulled> pulled;
  for (std::size_t turns = account.jobs.size(); turns > 0 && !pulled; --turns) {
    JobQueue& queue = account.jobs.front();
    if (!queue.paused() && !queue.shut(now, gate)) pulled = pull_from(queue);
    if (queue.feeds.empty()) {
      account.by_key.erase(queue.key);
      account.jobs.pop_front();
    } else {
      rotate(account.jobs);
    }
  }
  return pulled;
}

std::optional<Pulled> FairQueue::pull(Priority priority, TimePoint now, const Gate& gate) {
  Class& accounts = classes_[static_cast<std::size_t>(priority)];
  std::optional<Pulled> pulled;
  unread_ = false;
  for (std::size_t turns = accounts.accounts.size(); turns > 0 && !pulled; --turns) {
    AccountQueue& account = accounts.accounts.front();
    pulled = pull_from(account, now, gate);
    if (account.jobs.empty()) {
      accounts.by_name.erase(account.account);
      accounts.accounts.pop_front();
    } else {
      rotate(accounts.accounts);
    }
  }
  return pulled;
}

FairQueue::JobQueue* FairQueue::find_queue(const Job& job) {
  Class& accounts = classes_[static_cast<std::size_t>(job.priority)];
  const auto account = accounts.by_name.find(job.account);
  if (account == accounts.by_name.end()) return nullptr;
  const auto queue = account->second->by_key.find(queue_key(job));
  return queue == account->second->by_key.end() ? nullptr : &*queue->second;
}

// Only the ends of the list are looked at, where a feed is whose row was just pulled: its message's other feeds came
// with it, and to search thousands of messages for a stray one would cost more than its transaction.
std::optional<Pulled> FairQueue::pull_more(const JobPtr& job, spool::DomainNumber domain, bool any_domain,
                                           TimePoint now, const Gate& gate) {
  JobQueue* const queue = job->campaign ? nullptr : find_queue(*job);
  if (queue == nullptr || queue->feeds.empty()) return std::nullopt;
  const auto fits = [&](const FeedPtr& feed) {
    return feed->job == job && (any_domain || feed->domain_number == domain);
  };
  auto& feeds = queue->feeds;
  if (!fits(feeds.front())) {
    if (!fits(feeds.back())) return std::nullopt;
    feeds.splice(feeds.begin(), feeds, std::prev(feeds.end()));
  }
  if (queue->shut(now, gate) || !feeds.front()->fill(spool_, kReadRows)) return std::nullopt;
  auto pulled = pull_from(*queue);
  if (!feeds.empty()) return pulled;
  Class& accounts = classes_[static_cast<std::size_t>(job->priority)];
  const auto account = accounts.by_name.find(job->account);
  const auto by_key = account->second->by_key.find(queue->key);
  const auto ended = by_key->second;
  account->second->by_key.erase(by_key);
  account->second->jobs.erase(ended);
  if (!account->second->jobs.empty()) return pulled;
  accounts.accounts.erase(account->second);
  accounts.by_name.erase(account);
  return pulled;
}

std::uint64_t FairQueue::waiting(Priority priority, std::uint64_t enough, TimePoint now, const Gate& gate) const {
  std::uint64_t rows = 0;
  for (const AccountQueue& account : classes_[static_cast<std::size_t>(priority)].accounts) {
    for (const JobQueue& queue : account.jobs) {
      if (rows >= enough) return enough;
      rows += queue.paused() || queue.shut(now, gate) ? 0 : queue.rows;
    }
  }
  return std::min(rows, enough);
}

template <class Wanted>
std::vector<FeedPtr> FairQueue::take(Wanted wanted) {
  std::vector<FeedPtr> taken;
  earliest_end_ = TimePoint::max();
  for (Class& accounts : classes_) {
    for (AccountQueue& account : accounts.accounts) {
      for (JobQueue& queue : account.jobs) {
        for (FeedPtr& feed : queue.feeds) {
          if (wanted(*feed)) {
            queue.rows -= feed->size();
            taken.push_back(std::move(feed));
          } else {
            earliest_end_ = std::min(earliest_end_, feed->job->ends());
          }
        }
        std::erase(queue.feeds, nullptr);
        if (queue.feeds.empty()) account.by_key.erase(queue.key);
      }
      std::erase_if(account.jobs, [](const JobQueue& queue) { return queue.feeds.empty(); });
      if (account.jobs.empty()) accounts.by_name.erase(account.account);
    }
    std::erase_if(accounts.accounts, [](const AccountQueue& account) { return account.jobs.empty(); });
  }
  return taken;
}

std::vector<FeedPtr> FairQueue::take_ended(TimePoint now) {
  return take([now](const Feed& feed) { return feed.job->ends() <= now; });
}

std::vector<FeedPtr> FairQueue::take_older(TimePoint since) {
  return take([since](const Feed& feed) { return feed.since <= since && !feed.job->paused; });
}

std::vector<FeedPtr> FairQueue::take_if(const std::function<bool(const Feed&)>& wanted) { return take(wanted); }

std::vector<FeedPtr> FairQueue::take_all() {
  return take([](const Feed&) { return true; });
}

}  // namespace mailsbuddy::engine
