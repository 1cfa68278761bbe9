// store.h - the database under the durable spool: RocksDB, which nothing but store.cc sees. Opens it with the settings
// of each column family, checks the format, reads, writes and syncs, and gets it going again after the disk refused.
// Threads: reading from any; write(), sync_log(), recover() from one.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mailsbuddy/spool.h"
#include "spool/changes.h"

namespace rocksdb {
class ColumnFamilyHandle;
class DB;
class Env;
class Iterator;
}  // namespace rocksdb

namespace mailsbuddy::spool {

inline constexpr std::uint32_t kFormat = 1;  // docs/spool_format.md

class Store;

// What tests change.
struct StoreSettings {
  rocksdb::Env* env = nullptr;  // Null: the system's.
  bool compress = true;
  std::size_t write_buffer_bytes = 16u << 20;
  std::size_t pages_after = 32u << 10;  // Rows changed since the last pages: what an opening process replays at most,
                                        // about; a page costs one write for as many of its rows as changed.
  std::size_t merge_after =
      64u << 10;  // Entries of a job's extents beyond two a domain, after which they are written anew.
  std::uint32_t format = kFormat;
  // By format: what makes the next one of it.
  std::vector<std::pair<std::uint32_t, std::function<Result<void>(Store&)>>> upgrades{};
};

enum class Found : std::uint8_t {
  kYes,
  kNo,
  kCorrupt,  // It is there, and no more what was written.
  kError,    // The disk cannot be read now.
};

class Store {
 public:
  static Result<std::unique_ptr<Store>> open(const RocksSpoolOptions& options, StoreSettings settings);
  ~Store();

  Found get(Family family, std::string_view key, std::string& value, std::string* reason = nullptr) const;

  // Values in the order of their keys. Threads: one owner. Views: until it moves. The store is not reopened meanwhile.
  class Scan {
   public:
    Scan(Scan&&) noexcept;
    ~Scan();
    void seek(std::string_view key);       // The first that is not before it.
    void seek_back(std::string_view key);  // The last that is not after it.
    void next();
    bool valid() const;
    bool valid_in(std::string_view prefix) const;  // And its key begins with it.
    std::string_view key() const;
    std::string_view value() const;
    Found state() const;  // Once it is not valid: kNo: the end; else why.
    std::string reason() const;

   private:
    friend class Store;
    Scan(std::shared_lock<std::shared_mutex> lock, std::unique_ptr<rocksdb::Iterator> iterator);
    std::shared_lock<std::shared_mutex> lock_;
    std::unique_ptr<rocksdb::Iterator> iterator_;  // Null: the store is closed.
  };
  Scan scan(Family family, bool fill_cache = true) const;

  // Each of `changes` whole or not at all. `sync`: all that was written is on the disk.
  Result<void> write(std::span<const Changes* const> changes, bool sync);
  Result<void> sync_log();
  // After a refusal. Error: it still does not take writes.
  Result<void> recover();
  // After a compaction that came to changed octets: from then on files stay as they are. Says what was found; empty:
  // nothing since it was asked last. For who writes.
  std::string leave_damaged();
  // Rewrites all files, so that erased octets are in none of them.
  Result<void> rewrite();

  std::uint64_t free_bytes() const;  // Of the disk; the largest number: unknown.
  const std::string& directory() const noexcept { return options_.directory; }

 private:
  Store(RocksSpoolOptions options, StoreSettings settings);
  Result<void> open_database();
  Result<bool> check_format();  // True: the directory is new.
  Result<void> write_format(std::uint32_t format);
  Result<void> upgrade();
  void close_database();

  RocksSpoolOptions options_;
  StoreSettings settings_;
  rocksdb::Env* env_;
  std::uint32_t found_format_ = 0;
  struct Shared;  // Cache and the like: kept when the database is opened again.
  std::unique_ptr<Shared> shared_;
  mutable std::shared_mutex mutex_;  // Held alone while the database is opened again.
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;  // By Family.
};

// What tests open.
Result<std::unique_ptr<Spool>> open_rocks_spool(RocksSpoolOptions options, StoreSettings settings);

}  // namespace mailsbuddy::spool
