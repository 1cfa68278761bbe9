// snapshots.h - the snapshots that a spool keeps in memory, by name.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "mailsbuddy/spool.h"

namespace mailsbuddy::spool {

// Threads: the spool's lock.
class Snapshots {
 public:
  void set(Snapshot snapshot) {
    if (snapshot.bytes.empty()) {
      by_name_.erase(snapshot.name);
    } else {
      by_name_.insert_or_assign(std::move(snapshot.name), std::move(snapshot.bytes));
    }
  }
  std::optional<std::string> find(std::string_view name) const {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? std::nullopt : std::optional(found->second);
  }
  std::optional<std::string> next(std::string_view after) const {
    const auto found = by_name_.upper_bound(after);
    return found == by_name_.end() ? std::nullopt : std::optional(found->first);
  }

 private:
  std::map<std::string, std::string, std::less<>> by_name_;
};

}  // namespace mailsbuddy::spool
