// faulty_files.h - a file system under RocksDB that fails as disks do: full, read-only, broken, out of descriptors; and
// whose power can be cut, after which only what was synced is sure to be there.
//
// When the power goes, everything fails from then on. restore() makes of the files what a disk may have kept: of each
// file what was synced and, at random, some of what came after; no file whose directory was not synced since it was
// made or named, at random again. Threads: any.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "mailsbuddy/base.h"

namespace mailsbuddy::spool {

class FaultyFiles final : public rocksdb::FileSystemWrapper {
 public:
  enum class Fault { kNone, kFull, kReadOnly, kBroken, kOpenFiles, kSyncBroken, kUnreadable };

  FaultyFiles() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "FaultyFiles"; }

  void set_fault(Fault fault) {
    fault_ = fault;
    bytes_left_ = INT64_MAX;
  }
  void set_free_bytes(std::uint64_t bytes) { free_bytes_ = bytes; }
  void fail_after_bytes(std::int64_t bytes) { bytes_left_ = bytes; }  // Then kFull, until set_fault().

  // The power goes at the sync of that number from now on, before it or right after it.
  void cut_at_sync(std::int64_t number, bool after) {
    syncs_ = 0;
    cut_at_ = number;
    cut_after_ = after;
  }
  void cut() { down_ = true; }
  bool down() const { return down_; }
  std::int64_t syncs() const { return syncs_; }
  std::int64_t reads() const { return reads_; }  // Of tables: blocks that were not in memory.
  void on_read(std::function<void()> task) {     // Called by who reads, before.
    const std::lock_guard lock(mutex_);
    on_read_ = std::move(task);
  }
  void restore(Random& random);

  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* result,
                                    rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewRandomAccessFile(const std::string& name, const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                                        rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewDirectory(const std::string& name, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* result,
                                 rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus DeleteFile(const std::string& name, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus GetFreeSpace(const std::string& path, const rocksdb::IOOptions& options, std::uint64_t* free,
                                 rocksdb::IODebugContext* debug) override;

 private:
  friend class FaultyFile;
  friend class FaultyReader;
  friend class FaultyDirectory;
  struct File {
    std::uint64_t size = 0;
    std::uint64_t synced = 0;
    bool named = false;  // Its directory was synced since.
  };
  struct Renamed {
    std::string from;
    std::string to;
    bool replaced = false;
    std::string before;  // What was there.
  };

  rocksdb::IOStatus may_write(std::uint64_t bytes);
  bool may_read();
  rocksdb::IOStatus sync(const std::function<rocksdb::IOStatus()>& real, const std::function<void()>& synced);

  std::atomic<Fault> fault_{Fault::kNone};
  std::atomic<std::uint64_t> free_bytes_{1ULL << 40};
  std::atomic<std::int64_t> bytes_left_{INT64_MAX};
  std::atomic<bool> down_{false};
  std::atomic<std::int64_t> syncs_{0};
  std::atomic<std::int64_t> reads_{0};
  std::function<void()> on_read_;
  std::atomic<std::int64_t> cut_at_{INT64_MAX};
  std::atomic<bool> cut_after_{false};
  std::mutex mutex_;
  std::map<std::string, File> files_;
  std::vector<Renamed> renamed_;  // Since the directory was synced.
};

}  // namespace mailsbuddy::spool
