// sink_policy.h - what a sink does under one profile: whom it refuses, how many it serves, what it has counted.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <vector>

#include "mailsbuddy/smtp.h"
#include "smtp/proto/server_session.h"

namespace mailsbuddy::smtp {

// Recipients a profile remembers to have deferred, at 16 bytes or less each; those beyond are taken at once.
inline constexpr std::size_t kDeferredMax = 10'000'000;

// 64-bit hashes, at 8 to 16 bytes each. Threads: one owner.
class HashSet {
 public:
  bool insert(std::uint64_t hash);  // False: it was there, or the set is full.

 private:
  bool place(std::uint64_t hash) noexcept;

  std::vector<std::uint64_t> slots_;  // A power of two of them; 0: free.
  std::size_t size_ = 0;
};

// One thread's counts of one profile. Threads: add() its owner's; read from any. On a cache line of its own.
struct alignas(64) SinkCounters {
  std::atomic<std::uint64_t> connections{0}, connections_refused{0}, accepted{0}, deferred{0}, rejected{0},
      data_rejected{0}, tls_handshakes{0}, bytes{0}, protocol_errors{0};

  static void add(std::atomic<std::uint64_t>& count, std::uint64_t more) noexcept {
    count.store(count.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
  }
  void merge_into(SinkCounts& counts) const noexcept;
};

// Threads: all methods from any thread. Invariants: never more than connections_max are served at once; with `sticky`
// the draws depend on the seed and the recipient alone, so neither threads nor the order of arrival change a result.
class SinkPolicy {
 public:
  enum class Verdict : std::uint8_t { kAccept, kDefer, kReject };

  // Errors: kInvalidArgument naming the profile and the field.
  static Result<void> check(const SinkProfile& profile);
  SinkPolicy(const SinkProfile& profile, std::uint64_t seed);

  const SinkProfile& profile() const noexcept { return profile_; }
  const ServerOptions& server_options() const noexcept { return server_options_; }

  bool take_connection() noexcept;  // False: connections_max are open.
  void release_connection() noexcept { open_.fetch_sub(1, std::memory_order_relaxed); }

  // A recipient in this policy's draws: the same in any letter case.
  std::uint64_t key(std::string_view recipient) const noexcept;
  Verdict on_recipient(std::uint64_t key, Random& random);
  bool refuses_data(std::uint64_t key, Random& random) const noexcept;
  bool sampled(std::uint64_t key, double share, Random& random) const noexcept;  // For the maildir.

 private:
  enum class Draw : std::uint64_t { kDefer = 1, kReject, kData, kSample };
  bool happens(double chance, Draw draw, std::uint64_t key, Random& random) const noexcept;

  SinkProfile profile_;
  ServerOptions server_options_;
  std::uint64_t seed_;
  std::atomic<int> open_{0};
  std::mutex mutex_;
  HashSet deferred_;  // Guarded by mutex_.
};

}  // namespace mailsbuddy::smtp
