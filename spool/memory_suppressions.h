// memory_suppressions.h - what is suppressed, in memory: found in constant time, and gone through in order, a page at
// what a page costs. Threads: one at a time.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>

#include "mailsbuddy/spool.h"

namespace mailsbuddy::spool::memory {

template <class Less = std::less<>>
class Suppressions {
 public:
  bool empty() const noexcept { return all_.empty(); }
  const Suppression* find(const std::string& key) const {  // Null: it is not there.
    const auto found = all_.find(key);
    return found == all_.end() ? nullptr : &found->second;
  }
  void add(std::string key, const Suppression& suppression) {  // What is there stays.
    const auto [entry, added] = all_.try_emplace(std::move(key), suppression);
    if (added) in_order_.insert(entry->first);
  }
  bool erase(const std::string& key) {
    in_order_.erase(std::string_view(key));
    return all_.erase(key) > 0;
  }
  template <class Wanted>
  std::size_t erase_if(Wanted wanted) {  // wanted(key)
    std::erase_if(in_order_, wanted);
    return std::erase_if(all_, [&wanted](const auto& each) { return wanted(each.first); });
  }
  // Up to `max` behind the key `after`, which becomes the last one that was visited. False: the end.
  template <class Visit>
  bool page(std::string& after, std::size_t max, Visit visit) const {
    auto next = after.empty() ? in_order_.begin() : in_order_.upper_bound(std::string_view(after));
    auto last = in_order_.end();
    for (; max > 0 && next != in_order_.end(); --max) {
      visit(*next, all_.at(std::string(*next)));
      last = next++;
    }
    if (last != in_order_.end()) after = *last;
    return next != in_order_.end();
  }

 private:
  std::unordered_map<std::string, Suppression> all_;
  std::set<std::string_view, Less> in_order_;  // Views of its keys.
};

}  // namespace mailsbuddy::spool::memory
