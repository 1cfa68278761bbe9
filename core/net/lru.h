// lru.h - a map from text to values that keeps the most recently used ones.
#pragma once

#include <cstddef>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace mailsbuddy::net {

// Threads: one owner. Invariants: never more than `max` values. A returned pointer lives until the next put() or
// erase().
template <class Value>
class Lru {
 public:
  explicit Lru(std::size_t max) : max_(max) {}

  std::size_t size() const noexcept { return by_use_.size(); }

  Value* find(std::string_view key) {  // Null: not there. Counts as a use.
    const auto found = index_.find(key);
    if (found == index_.end()) return nullptr;
    by_use_.splice(by_use_.begin(), by_use_, found->second);
    return &found->second->second;
  }

  void put(std::string_view key, Value value) {
    if (Value* there = find(key)) {
      *there = std::move(value);
      return;
    }
    if (max_ == 0) return;
    if (size() == max_) {
      index_.erase(by_use_.back().first);
      by_use_.pop_back();
    }
    by_use_.emplace_front(std::string(key), std::move(value));
    index_.emplace(by_use_.front().first, by_use_.begin());
  }

  template <class Call>
  void each(Call call) const {  // call(key, value), the least recently used first. Counts as no use.
    for (auto entry = by_use_.rbegin(); entry != by_use_.rend(); ++entry) call(entry->first, entry->second);
  }

  void erase(std::string_view key) {
    const auto found = index_.find(key);
    if (found == index_.end()) return;
    const auto entry = found->second;
    index_.erase(found);  // First: its key is a view of the entry's.
    by_use_.erase(entry);
  }

 private:
  using Entries = std::list<std::pair<std::string, Value>>;
  std::size_t max_;
  Entries by_use_;  // Most recent first.
  std::unordered_map<std::string_view, typename Entries::iterator> index_;
};

}  // namespace mailsbuddy::net
