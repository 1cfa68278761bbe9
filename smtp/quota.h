// quota.h - so many of something at once, in a whole process's part.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

namespace mailsbuddy::smtp {

// Threads: any. Ownership: shared with every Share of it, so that one may outlive whoever gave it out.
class Quota {
 public:
  // Some of a quota; given back by the destructor.
  class Share {
   public:
    Share() noexcept = default;
    Share(std::shared_ptr<Quota> of, std::uint64_t count) noexcept : of_(std::move(of)), count_(count) {}
    Share(Share&& other) noexcept : of_(std::move(other.of_)), count_(std::exchange(other.count_, 0)) {}
    Share& operator=(Share&& other) noexcept {
      give_back();
      of_ = std::move(other.of_);
      count_ = std::exchange(other.count_, 0);
      return *this;
    }
    ~Share() { give_back(); }

    void give_back() noexcept {
      if (of_) of_->give_back(std::exchange(count_, 0));
      of_.reset();
    }

   private:
    std::shared_ptr<Quota> of_;
    std::uint64_t count_ = 0;
  };

  explicit Quota(std::uint64_t most) noexcept : most_(most) {}

  bool take(std::uint64_t count) noexcept {  // False, and nothing is taken: there are not so many left.
    const std::uint64_t before = used_.fetch_add(count, std::memory_order_relaxed);
    if (before + count <= most_) return true;
    give_back(count);
    return false;
  }
  void give_back(std::uint64_t count) noexcept { used_.fetch_sub(count, std::memory_order_relaxed); }
  std::uint64_t used() const noexcept { return used_.load(std::memory_order_relaxed); }

 private:
  const std::uint64_t most_;
  std::atomic<std::uint64_t> used_{0};
};

}  // namespace mailsbuddy::smtp
