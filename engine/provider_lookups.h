// provider_lookups.h - the domains whose providers commands want to know, asked of the DNS: some at once, and for a
// bounded time in all. What it did not tell is not asked again for a while. Threads: any.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "mailsbuddy/spool.h"

namespace mailsbuddy::engine {

class ProviderLookups {
 public:
  static constexpr std::size_t kAtOnce = 256;
  static constexpr Duration kPatience = std::chrono::seconds(30);  // With all that are asked together.
  static constexpr Duration kNotAgain = std::chrono::minutes(1);

  // Asks of one, and calls answered() when it is; not from inside.
  explicit ProviderLookups(std::function<void(spool::DomainNumber)> ask) : ask_(std::move(ask)) {}

  void add(const std::vector<spool::DomainNumber>& domains, TimePoint now) {
    {
      const std::lock_guard lock(mutex_);
      give_up(now);
      if (pending_.empty()) {
        until_ = now + kPatience;
        std::erase_if(not_before_, [now](const auto& each) { return each.second <= now; });
      }
      for (const spool::DomainNumber domain : domains) {
        if (!not_before_.contains(domain) && pending_.insert(domain).second) waiting_.push_back(domain);
      }
    }
    ask_more();
  }

  void answered(spool::DomainNumber domain, TimePoint now) {
    {
      const std::lock_guard lock(mutex_);
      --under_way_;
      if (pending_.erase(domain) > 0) not_before_[domain] = now + kNotAgain;
      if (pending_.empty()) all_.notify_all();
    }
    ask_more();
  }

  // Waits for the answers, for `time` at most. How many are to come yet.
  std::size_t wait(Duration time, const Clock& clock) {
    std::unique_lock lock(mutex_);
    all_.wait_for(lock, std::min(time, until_ - clock.now()), [this] { return pending_.empty(); });
    give_up(clock.now());
    return pending_.size();
  }

 private:
  void give_up(TimePoint now) {
    if (now < until_) return;
    for (const spool::DomainNumber domain : pending_) not_before_[domain] = now + kNotAgain;
    pending_.clear();
    waiting_.clear();
    all_.notify_all();
  }

  void ask_more() {
    std::vector<spool::DomainNumber> next;
    {
      const std::lock_guard lock(mutex_);
      for (; !waiting_.empty() && under_way_ < kAtOnce; ++under_way_) {
        next.push_back(waiting_.front());
        waiting_.pop_front();
      }
    }
    for (const spool::DomainNumber domain : next) ask_(domain);
  }

  const std::function<void(spool::DomainNumber)> ask_;
  std::mutex mutex_;
  std::condition_variable all_;
  std::unordered_set<spool::DomainNumber> pending_;  // To be asked, or not answered yet.
  std::deque<spool::DomainNumber> waiting_;          // Those to be asked.
  std::size_t under_way_ = 0;                        // Questions, also of what was given up.
  TimePoint until_{};
  std::unordered_map<spool::DomainNumber, TimePoint> not_before_;
};

}  // namespace mailsbuddy::engine
