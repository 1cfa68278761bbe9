// job.h - a campaign or a single message while the engine works on it: what all its recipients share.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/windows.h"
#include "mailsbuddy/engine.h"

namespace mailsbuddy::engine {

// How many recipients were settled in each of the last seconds. Threads: any.
class SettleRate {
 public:
  void count(TimePoint now, std::uint64_t settled);
  double per_second(
      TimePoint now) const;  // Over the last kWindow seconds, or since the first count if that is shorter.

 private:
  static constexpr std::int64_t kWindow = 10;
  mutable std::mutex mutex_;
  std::array<std::uint64_t, kWindow> counts_{};  // Ring by Unix second.
  std::int64_t newest_ = 0;
  std::int64_t first_ = 0;
};

// What making a message takes: an average that forgets an eighth with each message. What took more than four times as
// long counts as four times, so that one message in the midst of which the system stopped the thread says little about
// the template. Threads: any.
class MakeCost {
 public:
  void count(Duration took) noexcept {
    const std::int64_t before = nanoseconds_.load(std::memory_order_relaxed);
    const std::int64_t counted = std::min<std::int64_t>(took.count(), 4 * before + 1'000);
    nanoseconds_.store(before + (counted - before) / 8, std::memory_order_relaxed);
  }
  // Handing it to another thread, which wakes up for it on another core and leaves its octets there, would cost more.
  bool small() const noexcept { return nanoseconds_.load(std::memory_order_relaxed) < kSmall; }

 private:
  static constexpr std::int64_t kSmall = 20'000;
  std::atomic<std::int64_t> nanoseconds_{1'000'000};  // As a signature with RSA-2048 takes, until one was made.
};

// A message's octets: in memory while it is new, on the disk alone while it waits for a later time, or while those in
// memory are many. Threads: any.
class MessageData {
 public:
  MessageData() = default;
  ~MessageData() { drop(); }
  MessageData(const MessageData&) = delete;
  MessageData& operator=(const MessageData&) = delete;

  // `total`: of all messages in memory, which these are counted in from now on. Null: they are not.
  void set(std::string data, std::shared_ptr<std::atomic<std::uint64_t>> total = {});
  void drop() noexcept;  // It is in the spool.
  std::shared_ptr<const std::string> get() const;  // Null: it is not in memory.

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const std::string> data_;
  std::shared_ptr<std::atomic<std::uint64_t>> total_;
};

// Threads: what is const after start is read from any; `paused`, `cancelled`, `moved_to`, `data`, `rate` and
// `make_cost` change under way.
struct Job {
  spool::JobNumber number = 0;
  Id128 uid;  // In Message-IDs, the same for every attempt, so that a second copy can be told.
  std::string id;
  std::string account;
  std::string pool;  // As it was started. Where it is now: current_pool().
  Priority priority = Priority::kBulk;
  OnUnknown on_unknown = OnUnknown::kResend;
  TimePoint created{};
  TimePoint not_before{};
  TimePoint expires{};
  std::uint64_t attempts_max = 0;  // 0: as the engine has it.
  std::string from_domain;         // Of From: who signs is looked up by it.

  // A campaign: rendered per row.
  bool campaign = false;
  Template content;
  std::string from_header;  // "From: ...CRLF", complete.
  std::string return_path_domain;
  std::vector<std::string> columns;  // The row's fields, then the engine's own (kEngineFields), then address_field.
  std::size_t row_columns = 0;       // How many are the row's.
  TimePoint not_after{};             // 0: `expires` alone.
  std::vector<DeliveryWindow> windows;
  std::string zone_name;             // Of the windows.
  Zone zone;
  std::uint64_t zone_column = 0;     // From 1: the row's field that names its zone; 0: none.
  std::shared_ptr<const ZoneBook> zones;  // If there is one.

  // A message: sent as it is.
  std::string tag;                 // Message::campaign.
  std::string sender;
  MessageData data;       // Lines end in CRLF; unsigned.
  bool smtputf8 = false;  // Sender or headers are not ASCII.
  bool require_tls = false;
  smtp::DsnReturn ret = smtp::DsnReturn::kUnspecified;
  std::string envid;

  std::atomic<bool> paused{false};
  std::atomic<bool> cancelled{false};
  std::atomic<const std::string*> moved_to{nullptr};  // A name that lives as long as the engine; null: nowhere.

  const std::string& current_pool() const noexcept {
    const std::string* moved = moved_to.load(std::memory_order_acquire);
    return moved != nullptr ? *moved : pool;
  }
  // From then on its rows are settled and no more tried.
  TimePoint ends() const noexcept { return cancelled ? TimePoint::min() : expires; }
  // From `at` on its mail may go, as far as all rows share a clock.
  TimePoint opens(TimePoint at) const { return zone_column != 0 ? at : engine::opens(windows, zone, at); }
  TimePoint opens(std::string_view fields, TimePoint at) const;  // The same for a row.
  std::string_view campaign_id() const noexcept { return campaign ? id : tag; }  // As in events.
  SettleRate rate;
  MakeCost make_cost;
};

using JobPtr = std::shared_ptr<Job>;

// The number that stands for a campaign in VERP tokens. Random, not JobNumber: that begins at 1 again in every process,
// and with a key that stays, a bounce of yesterday's first campaign would be taken for one of today's.
inline std::uint64_t token_number(const Job& job) noexcept { return job.uid.low; }

}  // namespace mailsbuddy::engine
