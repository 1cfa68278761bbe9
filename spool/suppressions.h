// suppressions.h - one suppression as it is stored, and those whose write is not through yet.
//
// Stored: key: the 16 octets of its AddressHash; value: reason (octet) since (varint, zigzag, ns) account address
// (strings).
#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "mailsbuddy/spool.h"
#include "spool/bytes.h"
#include "spool/tallies.h"

namespace mailsbuddy::spool {

using SuppressionHash = AddressHash;

std::string encode_suppression(const NewSuppression& suppression);
std::optional<NewSuppression> decode_suppression(std::string_view value);

// Why `who` is not taken: an address that comes hashed is never found without a key.
std::optional<Error> refuses_hashed(const SuppressionKey& key, const AccountAddress& who);

// Threads: any.
class PendingSuppressions {
 public:
  struct Entry {
    std::optional<Suppression> now{};  // Empty: removed.
    std::uint32_t writes = 0;          // Not through yet.
  };

  // Empty: nothing is pending about it.
  std::optional<Entry> find(const SuppressionHash& hash) const {
    if (count_.load(std::memory_order_acquire) == 0) return std::nullopt;
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(hash);
    if (found == entries_.end()) return std::nullopt;
    return found->second;
  }
  void put(const SuppressionHash& hash, std::optional<Suppression> now) {
    const std::lock_guard lock(mutex_);
    Entry& entry = entries_[hash];
    entry.now = now;
    ++entry.writes;
    count_.store(entries_.size(), std::memory_order_release);
  }
  void written(const SuppressionHash& hash) {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(hash);
    if (found == entries_.end() || --found->second.writes > 0) return;
    entries_.erase(found);
    count_.store(entries_.size(), std::memory_order_release);
  }

 private:
  mutable std::mutex mutex_;
  std::unordered_map<SuppressionHash, Entry, AddressHashHash> entries_;
  std::atomic<std::size_t> count_{0};
};

}  // namespace mailsbuddy::spool
