// followers.h - those who follow what goes on elsewhere: each with a filter and a bounded feed of records.
//
// Whoever has something to report asks active() first, which is one atomic number; then all() for those whose filters
// it is to judge, anew when version() has changed.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace mailsbuddy {

// One follower's. Threads: any. Invariants: never more than kMax records wait; what comes then is counted.
template <class Filter, class Record, std::size_t kMax>
class Follower {
 public:
  explicit Follower(Filter filter) : filter_(std::move(filter)) {}
  const Filter& filter() const noexcept { return filter_; }

  void push(Record record) {
    if (closed_) return;
    {
      const std::lock_guard lock(mutex_);
      if (records_.size() >= kMax) {
        ++dropped_;
        return;
      }
      records_.push_back(std::move(record));
      if (records_.size() > 1) return;  // Woken by the first.
    }
    came_.notify_one();
  }
  std::vector<Record> take(std::chrono::milliseconds wait) {
    std::unique_lock lock(mutex_);
    if (wait.count() > 0) came_.wait_for(lock, wait, [this] { return !records_.empty(); });
    return std::exchange(records_, {});
  }
  std::uint64_t dropped() {
    const std::lock_guard lock(mutex_);
    return std::exchange(dropped_, 0);
  }
  void close() noexcept { closed_ = true; }  // Nobody takes any more.

 private:
  const Filter filter_;
  std::atomic<bool> closed_{false};
  std::mutex mutex_;
  std::condition_variable came_;
  std::vector<Record> records_;
  std::uint64_t dropped_ = 0;
};

// All of them. Threads: any.
template <class Filter, class Record, std::size_t kMax>
class Followers {
 public:
  using One = Follower<Filter, Record, kMax>;

  bool active() const noexcept { return active_.load(std::memory_order_relaxed); }  // There is somebody.
  std::uint64_t version() const noexcept { return version_; }                       // Changes with every add() and remove().
  std::uint64_t next_connection() noexcept { return ++connections_; }               // A number for what they see.
  std::vector<std::shared_ptr<One>> all() const {
    const std::lock_guard lock(mutex_);
    return followers_;
  }
  void add(std::shared_ptr<One> follower) {
    const std::lock_guard lock(mutex_);
    followers_.push_back(std::move(follower));
    active_ = true;
    ++version_;  // Last: who sees the change finds somebody.
  }
  void remove(const One* follower) {
    const std::lock_guard lock(mutex_);
    std::erase_if(followers_, [follower](const auto& each) { return each.get() == follower; });
    ++version_;
    active_ = !followers_.empty();
  }

 private:
  std::atomic<bool> active_{false};
  std::atomic<std::uint64_t> version_{0};
  std::atomic<std::uint64_t> connections_{0};
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<One>> followers_;
};

// A follower's end that takes, with the take() and dropped() of `Door`. Ownership: it may outlive those who report.
template <class Door, class All>
class Following final : public Door {
 public:
  template <class Filter>
  Following(std::shared_ptr<All> all, Filter filter)
      : all_(std::move(all)), one_(std::make_shared<typename All::One>(std::move(filter))) {
    all_->add(one_);
  }
  ~Following() override {
    one_->close();
    all_->remove(one_.get());
  }
  auto take(std::chrono::milliseconds wait) -> decltype(std::declval<typename All::One>().take(wait)) override {
    return one_->take(wait);
  }
  std::uint64_t dropped() override { return one_->dropped(); }

 private:
  std::shared_ptr<All> all_;
  std::shared_ptr<typename All::One> one_;
};

}  // namespace mailsbuddy
