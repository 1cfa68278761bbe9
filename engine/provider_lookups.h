// provider_lookups.h - the domains whose providers commands want to know, asked of the DNS, some at once. Each command
// waits for its own, as long as it likes. What the DNS did not tell is not asked again for a while. Threads: any.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "mailsbuddy/spool.h"

namespace mailsbuddy::engine {

class ProviderLookups {
 public:
  static constexpr std::size_t kAtOnce = 256;
  static constexpr Duration kPatience = std::chrono::seconds(30);  // With the DNS about one, and of those who want to know.
  static constexpr Duration kNotAgain = std::chrono::minutes(1);

  // Asks of one, and calls answered() when it is; not from inside.
  explicit ProviderLookups(std::function<void(spool::DomainNumber)> ask) : ask_(std::move(ask)) {}

  // Asks of those that are not under way already, nor were asked lately.
  void add(const std::vector<spool::DomainNumber>& domains, TimePoint now) {
    {
      const std::lock_guard lock(mutex_);
      std::erase_if(not_before_, [now](const auto& each) { return each.second <= now; });
      for (const spool::DomainNumber domain : domains) {
        if (not_before_.contains(domain)) continue;
        const auto [question, is_new] = questions_.try_emplace(domain);
        question->second.wanted_until = now + kPatience;
        if (is_new) waiting_.push_back(domain);
      }
    }
    ask_more(now);
  }

  void answered(spool::DomainNumber domain, TimePoint now) {
    {
      const std::lock_guard lock(mutex_);
      --under_way_;
      questions_.erase(domain);
      not_before_[domain] = now + kNotAgain;
    }
    ask_more(now);
    answer_.notify_all();
  }

  // Waits for the answers about these, for `time` at most. How many are to come yet.
  std::size_t wait(std::vector<spool::DomainNumber> domains, Duration time, const Clock& clock) {
    const TimePoint until = clock.now() + time;
    std::unique_lock lock(mutex_);
    for (bool late = time.count() <= 0; !late;) {
      const TimePoint now = clock.now();
      while (!domains.empty() && given_up_at(domains.back()) <= now) domains.pop_back();
      if (domains.empty()) return 0;
      const TimePoint end = std::min(until, given_up_at(domains.back()));
      late = answer_.wait_for(lock, end - now) == std::cv_status::timeout && end == until;
    }
    const TimePoint now = clock.now();
    return static_cast<std::size_t>(std::ranges::count_if(domains, [&](auto each) { return given_up_at(each) > now; }));
  }

 private:
  struct Question {
    TimePoint wanted_until{};  // By the last that wants to know.
    TimePoint given_up_at = TimePoint::max();
  };

  // The last to come are asked first: who wants a few does not wait for a command with many before it.
  void ask_more(TimePoint now) {
    std::vector<spool::DomainNumber> next;
    {
      const std::lock_guard lock(mutex_);
      while (!waiting_.empty() && under_way_ < kAtOnce) {
        const spool::DomainNumber domain = waiting_.back();
        waiting_.pop_back();
        Question& question = questions_.at(domain);
        if (question.wanted_until < now) {
          questions_.erase(domain);
          continue;
        }
        question.given_up_at = now + kPatience;
        ++under_way_;
        next.push_back(domain);
      }
    }
    for (const spool::DomainNumber domain : next) ask_(domain);
  }

  // No answer is waited for from then on: TimePoint{}: there is none to wait for; max(): it has not been asked yet.
  TimePoint given_up_at(spool::DomainNumber domain) const {
    const auto found = questions_.find(domain);
    return found == questions_.end() ? TimePoint{} : found->second.given_up_at;
  }

  const std::function<void(spool::DomainNumber)> ask_;
  std::mutex mutex_;
  std::condition_variable answer_;
  std::unordered_map<spool::DomainNumber, Question> questions_;  // To be asked, or not answered yet.
  std::vector<spool::DomainNumber> waiting_;                     // Those to be asked.
  std::size_t under_way_ = 0;
  std::unordered_map<spool::DomainNumber, TimePoint> not_before_;
};

}  // namespace mailsbuddy::engine
