// fair_slots.h - a bounded number of slots that many ask for, of whom some may be slow: a share for each.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

namespace mailsbuddy {

// Who waits is given a slot in turns by key, and no key has more than `each` of them: whoever holds what it was given
// for long holds up its own alone, as long as those who are slow have fewer than all / each keys. Against more, see
// starved(). Threads: one owner. Invariants: keys that have and want nothing take no memory.
template <class Waiting>
class FairSlots {
 public:
  FairSlots(std::size_t all, std::size_t each) : all_(all), each_(each) {}

  void wait(const std::string& key, Waiting what) {
    Asker& asker = askers_[key];
    asker.waiting.push_back(std::move(what));
    enlist(key, asker);
  }
  // Gives a slot to the next in turn, until leave() with its key. Empty: there is none to give, or nobody who may have
  // it.
  std::optional<Waiting> next() {
    if (used_ == all_ || turns_.empty()) return std::nullopt;
    const std::string key = std::move(turns_.front());
    turns_.pop_front();
    Asker& asker = askers_.at(key);
    asker.in_turn = false;
    Waiting what = std::move(asker.waiting.front());
    asker.waiting.pop_front();
    ++asker.used;
    ++used_;
    enlist(key, asker);
    return what;
  }
  void leave(const std::string& key) {
    const auto found = askers_.find(key);
    --found->second.used;
    --used_;
    if (found->second.used == 0 && found->second.waiting.empty())
      askers_.erase(found);
    else
      enlist(key, found->second);
  }
  // How many keys could have a slot if others had not taken them all: so many who have had one for long should end.
  std::size_t starved() const noexcept { return used_ == all_ ? turns_.size() : 0; }

 private:
  struct Asker {
    std::deque<Waiting> waiting;
    std::size_t used = 0;
    bool in_turn = false;
  };

  void enlist(const std::string& key, Asker& asker) {
    if (asker.in_turn || asker.waiting.empty() || asker.used == each_) return;
    asker.in_turn = true;
    turns_.push_back(key);
  }

  const std::size_t all_;
  const std::size_t each_;
  std::size_t used_ = 0;
  std::unordered_map<std::string, Asker> askers_;
  std::deque<std::string> turns_;  // Those who wait and may have one more.
};

}  // namespace mailsbuddy
