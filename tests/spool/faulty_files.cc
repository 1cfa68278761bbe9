#include "tests/spool/faulty_files.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace mailsbuddy::spool {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

namespace {

std::string contents_of(const std::string& name) {
  std::ifstream file(name, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_contents(const std::string& name, const std::string& text) {
  std::ofstream file(name, std::ios::binary | std::ios::trunc);
  file << text;
}

}  // namespace

bool FaultyFiles::may_read() {
  ++reads_;
  std::function<void()> task;
  {
    const std::lock_guard lock(mutex_);
    task = on_read_;
  }
  if (task) task();
  return fault_ != Fault::kUnreadable;
}

IOStatus FaultyFiles::may_write(std::uint64_t bytes) {
  if (down_) return IOStatus::IOError("the power is off");
  switch (fault_.load()) {
    case Fault::kFull:
      return IOStatus::NoSpace("No space left on device");
    case Fault::kReadOnly:
      return IOStatus::IOError("Read-only file system");
    case Fault::kBroken:
      return IOStatus::IOError("Input/output error");
    default:
      break;
  }
  if ((bytes_left_ -= static_cast<std::int64_t>(bytes)) < 0) {
    fault_ = Fault::kFull;
    bytes_left_ = INT64_MAX;
    return IOStatus::NoSpace("No space left on device");
  }
  return IOStatus::OK();
}

IOStatus FaultyFiles::sync(const std::function<IOStatus()>& real, const std::function<void()>& synced) {
  if (down_) return IOStatus::IOError("the power is off");
  if (fault_ == Fault::kSyncBroken) return IOStatus::IOError("Input/output error");
  if (auto may = may_write(0); !may.ok()) return may;
  const bool cut_here = ++syncs_ == cut_at_;
  if (cut_here && !cut_after_) {
    down_ = true;
    return IOStatus::IOError("the power is off");
  }
  auto status = real();
  if (status.ok()) synced();
  if (cut_here) down_ = true;
  return down_ ? IOStatus::IOError("the power is off") : status;
}

class FaultyFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  FaultyFile(std::unique_ptr<rocksdb::FSWritableFile> file, FaultyFiles& files, std::string name)
      : FSWritableFileOwnerWrapper(std::move(file)), files_(files), name_(std::move(name)) {}

  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options, IODebugContext* debug) override {
    if (auto may = files_.may_write(data.size()); !may.ok()) return may;
    return written(target()->Append(data, options, debug), data.size());
  }
  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options, const rocksdb::DataVerificationInfo& info,
                  IODebugContext* debug) override {
    if (auto may = files_.may_write(data.size()); !may.ok()) return may;
    return written(target()->Append(data, options, info, debug), data.size());
  }
  IOStatus Flush(const IOOptions& options, IODebugContext* debug) override {
    if (files_.down()) return IOStatus::IOError("the power is off");
    return target()->Flush(options, debug);
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
    const std::uint64_t size = size_now();
    return files_.sync([&] { return target()->Flush(options, debug); }, [&] { synced(size); });
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override { return Sync(options, debug); }
  IOStatus RangeSync(std::uint64_t, std::uint64_t, const IOOptions&, IODebugContext*) override {
    return IOStatus::OK();
  }
  IOStatus Allocate(std::uint64_t, std::uint64_t, const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }

 private:
  IOStatus written(IOStatus status, std::uint64_t bytes) {
    const std::lock_guard lock(files_.mutex_);
    if (status.ok()) files_.files_[name_].size += bytes;
    return status;
  }
  std::uint64_t size_now() {
    const std::lock_guard lock(files_.mutex_);
    return files_.files_[name_].size;
  }
  void synced(std::uint64_t size) {
    const std::lock_guard lock(files_.mutex_);
    auto& file = files_.files_[name_];
    file.synced = std::max(file.synced, size);
  }

  FaultyFiles& files_;
  std::string name_;
};

class FaultyReader final : public rocksdb::FSRandomAccessFileOwnerWrapper {
 public:
  FaultyReader(std::unique_ptr<rocksdb::FSRandomAccessFile> file, FaultyFiles& files)
      : FSRandomAccessFileOwnerWrapper(std::move(file)), files_(files) {}
  IOStatus Read(std::uint64_t offset, std::size_t size, const IOOptions& options, rocksdb::Slice* result, char* scratch,
                IODebugContext* debug) const override {
    if (!files_.may_read()) return IOStatus::IOError("Input/output error");
    return FSRandomAccessFileWrapper::Read(offset, size, options, result, scratch, debug);
  }
  IOStatus MultiRead(rocksdb::FSReadRequest* requests, std::size_t count, const IOOptions& options,
                     IODebugContext* debug) override {
    if (!files_.may_read()) return IOStatus::IOError("Input/output error");
    return FSRandomAccessFileWrapper::MultiRead(requests, count, options, debug);
  }
  IOStatus Prefetch(std::uint64_t offset, std::size_t size, const IOOptions& options, IODebugContext* debug) override {
    if (!files_.may_read()) return IOStatus::IOError("Input/output error");
    return FSRandomAccessFileWrapper::Prefetch(offset, size, options, debug);
  }

 private:
  FaultyFiles& files_;
};

class FaultyDirectory final : public rocksdb::FSDirectoryWrapper {
 public:
  FaultyDirectory(std::unique_ptr<rocksdb::FSDirectory> directory, FaultyFiles& files)
      : FSDirectoryWrapper(std::move(directory)), files_(files) {}
  IOStatus Fsync(const IOOptions&, IODebugContext*) override { return sync(); }
  IOStatus FsyncWithDirOptions(const IOOptions&, IODebugContext*, const rocksdb::DirFsyncOptions&) override {
    return sync();
  }

 private:
  IOStatus sync() {
    return files_.sync([] { return IOStatus::OK(); },
                       [&] {
                         const std::lock_guard lock(files_.mutex_);
                         for (auto& [name, file] : files_.files_) file.named = true;
                         files_.renamed_.clear();
                       });
  }
  FaultyFiles& files_;
};

IOStatus FaultyFiles::NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext* debug) {
  if (auto may = may_write(0); !may.ok()) return may;
  if (fault_ == Fault::kOpenFiles) return IOStatus::IOError("Too many open files");
  auto status = target()->NewWritableFile(name, options, result, debug);
  if (!status.ok()) return status;
  *result = std::make_unique<FaultyFile>(std::move(*result), *this, name);
  const std::lock_guard lock(mutex_);
  files_[name] = {};
  return status;
}

IOStatus FaultyFiles::NewRandomAccessFile(const std::string& name, const rocksdb::FileOptions& options,
                                          std::unique_ptr<rocksdb::FSRandomAccessFile>* result, IODebugContext* debug) {
  if (fault_ == Fault::kOpenFiles) return IOStatus::IOError("Too many open files");
  auto status = target()->NewRandomAccessFile(name, options, result, debug);
  if (status.ok()) *result = std::make_unique<FaultyReader>(std::move(*result), *this);
  return status;
}

IOStatus FaultyFiles::NewDirectory(const std::string& name, const IOOptions& options,
                                   std::unique_ptr<rocksdb::FSDirectory>* result, IODebugContext* debug) {
  auto status = target()->NewDirectory(name, options, result, debug);
  if (status.ok()) *result = std::make_unique<FaultyDirectory>(std::move(*result), *this);
  return status;
}

IOStatus FaultyFiles::RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                                 IODebugContext* debug) {
  if (auto may = may_write(0); !may.ok()) return may;
  Renamed renamed{.from = from, .to = to, .replaced = std::filesystem::exists(to), .before = contents_of(to)};
  auto status = target()->RenameFile(from, to, options, debug);
  if (!status.ok()) return status;
  const std::lock_guard lock(mutex_);
  if (files_.contains(from)) files_[to] = files_[from];
  files_.erase(from);
  renamed_.push_back(std::move(renamed));
  return status;
}

IOStatus FaultyFiles::DeleteFile(const std::string& name, const IOOptions& options, IODebugContext* debug) {
  if (down_) return IOStatus::IOError("the power is off");
  auto status = target()->DeleteFile(name, options, debug);
  const std::lock_guard lock(mutex_);
  if (status.ok()) files_.erase(name);
  return status;
}

IOStatus FaultyFiles::GetFreeSpace(const std::string&, const IOOptions&, std::uint64_t* free, IODebugContext*) {
  *free = free_bytes_;
  return IOStatus::OK();
}

void FaultyFiles::restore(Random& random) {
  const std::lock_guard lock(mutex_);
  const bool names_kept = random.below(2) == 0;
  for (auto renamed = renamed_.rbegin(); !names_kept && renamed != renamed_.rend(); ++renamed) {
    std::error_code ignored;
    if (std::filesystem::exists(renamed->to)) std::filesystem::rename(renamed->to, renamed->from, ignored);
    if (renamed->replaced) write_contents(renamed->to, renamed->before);
    if (const auto file = files_.find(renamed->to); file != files_.end()) {
      files_[renamed->from] = file->second;
      files_.erase(renamed->to);
    }
  }
  for (const auto& [name, file] : files_) {
    std::error_code ignored;
    if (!file.named && random.below(2) == 0) {
      std::filesystem::remove(name, ignored);
    } else if (std::filesystem::exists(name)) {
      const std::uint64_t kept =
          random.below(3) == 0 ? file.size : file.synced + random.below(file.size - file.synced + 1);
      if (std::filesystem::file_size(name) > kept) std::filesystem::resize_file(name, kept, ignored);
    }
  }
  files_.clear();
  renamed_.clear();
  down_ = false;
  cut_at_ = INT64_MAX;
  fault_ = Fault::kNone;
}

}  // namespace mailsbuddy::spool
