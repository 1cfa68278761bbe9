#include "spool/store.h"

#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <limits>
#include <mutex>
#include <utility>

namespace mailsbuddy::spool {
namespace {

constexpr std::string_view kFormatFile = "/FORMAT";
constexpr std::string_view kFormatLine = "mailsbuddy spool ";
constexpr std::uint64_t kLogBytesMax = 32u
                                       << 20;  // Bounds what is read again at opening, and what the log takes on disk.
constexpr int kOpenFilesMax = 512;             // The engine's connections need descriptors too.
constexpr std::uint64_t kProbeBytes = 256u << 10;
constexpr std::size_t kJobPrefixBytes = 5;  // Of keys in "rows": the job, and what it is.
constexpr int kCacheShardBits = 2;  // By default 64 shards: the filter of a large file would fit into none, and be read
                                    // again for every look-up.

rocksdb::Slice slice(std::string_view text) { return {text.data(), text.size()}; }
std::string_view view(const rocksdb::Slice& text) { return {text.data(), text.size()}; }

bool says(const std::string& text, std::string_view words) { return text.find(words) != std::string::npos; }

Error error_of(const std::string& directory, const rocksdb::Status& status) {
  const std::string words = status.ToString();
  ErrorCode code = ErrorCode::kIo;
  if (status.IsNoSpace() || says(words, "No space left") || says(words, "Too many open files") ||
      says(words, "quota exceeded") || status.IsMemoryLimit()) {
    code = ErrorCode::kResourceExhausted;
  }
  return {code, fmt::format("spool {}: {}", directory, words)};
}

rocksdb::ColumnFamilyOptions family_options(Family family, const StoreSettings& settings,
                                            const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = settings.write_buffer_bytes;
  options.max_write_buffer_number = 3;
  options.compression = settings.compress ? rocksdb::kLZ4Compression : rocksdb::kNoCompression;
  if (family == Family::kRows && settings.compress) options.bottommost_compression = rocksdb::kZSTD;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.block_size = 16u << 10;
  table.cache_index_and_filter_blocks = true;  // So that cache_bytes bounds them.
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  if (family == Family::kRows) {  // Chunks of one append come in the order of their keys: each is looked for near the last.
    options.memtable_insert_with_hint_prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(kJobPrefixBytes));
  }
  if (family == Family::kSuppression) {
    table.block_size = 4u << 10;  // Looked up one by one.
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    options.memtable_whole_key_filtering = true;
    options.memtable_prefix_bloom_size_ratio = 0.02;
  }
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

// A changed block ends each compaction that comes to it. RocksDB would take no write from then on; but what was written
// is as well off in many files as in few.
class Damage final : public rocksdb::EventListener {
 public:
  void OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status* error) override {
    if (reason != rocksdb::BackgroundErrorReason::kCompaction || !error->IsCorruption()) return;
    const std::lock_guard lock(mutex_);
    reason_ = error->ToString();
    found_ = true;
    *error = rocksdb::Status::OK();
  }
  bool found() const noexcept { return found_; }
  std::string take() {
    const std::lock_guard lock(mutex_);
    found_ = false;
    return std::exchange(reason_, {});
  }

 private:
  std::mutex mutex_;
  std::string reason_;
  std::atomic<bool> found_{false};
};

rocksdb::DBOptions database_options(rocksdb::Env* env, std::shared_ptr<Damage> damage) {
  rocksdb::DBOptions options;
  options.env = env;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.max_open_files = kOpenFilesMax;
  options.max_background_jobs = 2;
  options.max_total_wal_size = kLogBytesMax;
  options.bytes_per_sync = 1u << 20;
  options.max_bgerror_resume_count = 0;  // Store::recover() does it.
  options.max_manifest_file_size = 8u << 20;
  options.keep_log_file_num = 2;
  options.info_log_level = rocksdb::WARN_LEVEL;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.listeners.push_back(std::move(damage));
  return options;
}

}  // namespace

struct Store::Shared {
  std::shared_ptr<rocksdb::Cache> cache;
  std::shared_ptr<Damage> damage = std::make_shared<Damage>();
};

Store::Store(RocksSpoolOptions options, StoreSettings settings)
    : options_(std::move(options)),
      settings_(std::move(settings)),
      env_(settings_.env != nullptr ? settings_.env : rocksdb::Env::Default()),
      shared_(std::make_unique<Shared>()) {
  shared_->cache = rocksdb::NewLRUCache(options_.cache_bytes, kCacheShardBits);
}

Store::~Store() { close_database(); }

// ---------------------------------------------------------------------------------------------------------------------
// Opening

Result<std::unique_ptr<Store>> Store::open(const RocksSpoolOptions& options, StoreSettings settings) {
  if (options.directory.empty()) return Error{ErrorCode::kInvalidArgument, "spool: the directory is not given"};
  std::unique_ptr<Store> store(new Store(options, std::move(settings)));
  auto fresh = store->check_format();
  if (!fresh) return std::move(fresh).error();
  if (auto opened = store->open_database(); !opened) return std::move(opened).error();
  if (*fresh) {
    if (auto written = store->write_format(store->settings_.format); !written) return std::move(written).error();
  } else if (auto upgraded = store->upgrade(); !upgraded) {
    return std::move(upgraded).error();
  }
  return store;
}

// FORMAT is written last when a spool is made, and read first: a directory without it is new, was never finished, or is
// something else.
Result<bool> Store::check_format() {
  const std::string& directory = options_.directory;
  if (const auto made = env_->CreateDirIfMissing(directory); !made.ok()) return error_of(directory, made);
  std::string text;
  const std::string file = directory + std::string(kFormatFile);
  if (const auto read = rocksdb::ReadFileToString(env_, file, &text); !read.ok()) {
    if (!read.IsNotFound() && !read.IsPathNotFound() && env_->FileExists(file).ok()) return error_of(directory, read);
    std::vector<std::string> names;
    if (const auto listed = env_->GetChildren(directory, &names); !listed.ok()) return error_of(directory, listed);
    for (const std::string& name : names) {
      static constexpr std::string_view kUnfinished[] = {".", "..", "LOCK", "CURRENT", "IDENTITY", "FORMAT.new"};
      const bool ours = std::find(std::begin(kUnfinished), std::end(kUnfinished), name) != std::end(kUnfinished) ||
                        name.starts_with("LOG") || name.starts_with("MANIFEST-") || name.starts_with("OPTIONS-") ||
                        name.ends_with(".log") || name.ends_with(".sst") || name.ends_with(".dbtmp");
      if (!ours) {
        return Error{
            ErrorCode::kInvalidArgument,
            fmt::format("spool {}: the directory holds '{}' and no spool; give an empty one", directory, name)};
      }
    }
    return true;
  }
  const char* const end = text.data() + text.size();
  const auto [rest, failed] = text.starts_with(kFormatLine)
                                  ? std::from_chars(text.data() + kFormatLine.size(), end, found_format_)
                                  : std::from_chars_result{text.data(), std::errc::invalid_argument};
  if (failed != std::errc() || rest == end || *rest != '\n' || found_format_ == 0) {
    return Error{ErrorCode::kIo,
                 fmt::format("spool {}: FORMAT does not say '{}' and a number", directory, kFormatLine)};
  }
  if (found_format_ > settings_.format) {
    return Error{ErrorCode::kUnavailable,
                 fmt::format("spool {}: it is of format {}, made by a newer mailsbuddy; this one reads up to {}",
                             directory, found_format_, settings_.format)};
  }
  return false;
}

Result<void> Store::write_format(std::uint32_t format) {
  const std::string file = options_.directory + std::string(kFormatFile);
  const std::string line = fmt::format("{}{}\n", kFormatLine, format);
  auto status = rocksdb::WriteStringToFile(env_, line, file + ".new", true);
  if (status.ok()) status = env_->RenameFile(file + ".new", file);
  std::unique_ptr<rocksdb::Directory> directory;
  if (status.ok()) status = env_->NewDirectory(options_.directory, &directory);
  if (status.ok()) status = directory->Fsync();
  if (!status.ok()) return error_of(options_.directory, status);
  found_format_ = format;
  return {};
}

Result<void> Store::upgrade() {
  while (found_format_ < settings_.format) {
    const auto step = std::find_if(settings_.upgrades.begin(), settings_.upgrades.end(),
                                   [this](const auto& each) { return each.first == found_format_; });
    if (step == settings_.upgrades.end()) {
      return Error{ErrorCode::kUnsupported,
                   fmt::format("spool {}: it is of format {}, which this mailsbuddy does not read", options_.directory,
                               found_format_)};
    }
    if (auto done = step->second(*this); !done) return done;
    if (auto written = write_format(found_format_ + 1); !written) return written;
  }
  return {};
}

Result<void> Store::open_database() {
  static constexpr const char* kNames[kFamilies] = {"default", "rows", "queue", "suppression"};
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (std::size_t i = 0; i < kFamilies; ++i) {
    families.emplace_back(kNames[i], family_options(static_cast<Family>(i), settings_, shared_->cache));
  }
  rocksdb::DB* db = nullptr;
  const auto status = rocksdb::DB::Open(database_options(env_, shared_->damage), options_.directory, families, &handles_, &db);
  db_.reset(db);
  if (status.ok()) return {};
  handles_.clear();
  const std::string words = status.ToString();
  if (says(words, "lock") && (says(words, "LOCK") || says(words, "held"))) {
    return Error{
        ErrorCode::kUnavailable,
        fmt::format("spool {}: another process has it open, or this one twice; end that one, or give this one a "
                    "directory of its own ({})",
                    options_.directory, words)};
  }
  return error_of(options_.directory, status);
}

void Store::close_database() {
  if (db_ == nullptr) return;
  for (rocksdb::ColumnFamilyHandle* handle : handles_) db_->DestroyColumnFamilyHandle(handle);
  handles_.clear();
  db_->Close();
  db_.reset();
}

// ---------------------------------------------------------------------------------------------------------------------
// Reading

Found Store::get(Family family, std::string_view key, std::string& value, std::string* reason) const {
  const std::shared_lock lock(mutex_);
  if (db_ == nullptr) {
    if (reason != nullptr) *reason = "it is closed since the disk refused";
    return Found::kError;
  }
  const auto status = db_->Get(rocksdb::ReadOptions(), handles_[static_cast<std::size_t>(family)], slice(key), &value);
  if (status.ok()) return Found::kYes;
  if (status.IsNotFound()) return Found::kNo;
  if (reason != nullptr) *reason = status.ToString();
  return status.IsCorruption() ? Found::kCorrupt : Found::kError;
}

Store::Scan Store::scan(Family family, bool fill_cache) const {
  std::shared_lock lock(mutex_);
  std::unique_ptr<rocksdb::Iterator> iterator;
  if (db_ != nullptr) {
    rocksdb::ReadOptions options;
    options.fill_cache = fill_cache;
    if (!fill_cache) options.readahead_size = 1u << 20;
    iterator.reset(db_->NewIterator(options, handles_[static_cast<std::size_t>(family)]));
  }
  return {std::move(lock), std::move(iterator)};
}

Store::Scan::Scan(std::shared_lock<std::shared_mutex> lock, std::unique_ptr<rocksdb::Iterator> iterator)
    : lock_(std::move(lock)), iterator_(std::move(iterator)) {}
Store::Scan::Scan(Scan&&) noexcept = default;
Store::Scan::~Scan() { iterator_.reset(); }  // Before the lock goes.
void Store::Scan::seek(std::string_view key) {
  if (iterator_ != nullptr) iterator_->Seek(slice(key));
}
void Store::Scan::seek_back(std::string_view key) {
  if (iterator_ != nullptr) iterator_->SeekForPrev(slice(key));
}
void Store::Scan::next() { iterator_->Next(); }
bool Store::Scan::valid() const { return iterator_ != nullptr && iterator_->Valid(); }
bool Store::Scan::valid_in(std::string_view prefix) const { return valid() && key().starts_with(prefix); }
std::string_view Store::Scan::key() const { return view(iterator_->key()); }
std::string_view Store::Scan::value() const { return view(iterator_->value()); }
Found Store::Scan::state() const {
  if (iterator_ == nullptr) return Found::kError;
  const auto status = iterator_->status();
  if (status.ok()) return Found::kNo;
  return status.IsCorruption() ? Found::kCorrupt : Found::kError;
}
std::string Store::Scan::reason() const {
  return iterator_ == nullptr ? "it is closed since the disk refused" : iterator_->status().ToString();
}

// ---------------------------------------------------------------------------------------------------------------------
// Writing

Result<void> Store::write(std::span<const Changes* const> changes, bool sync) {
  const std::shared_lock lock(mutex_);
  if (db_ == nullptr)
    return Error{ErrorCode::kIo, fmt::format("spool {}: it is closed since the disk refused", options_.directory)};
  rocksdb::WriteBatch batch;
  for (const Changes* each : changes) {
    each->each([&](Changes::Kind kind, Family family, std::string_view key, std::string_view value) {
      rocksdb::ColumnFamilyHandle* handle = handles_[static_cast<std::size_t>(family)];
      switch (kind) {
        case Changes::Kind::kPut:
          batch.Put(handle, slice(key), slice(value));
          break;
        case Changes::Kind::kErase:
          batch.Delete(handle, slice(key));
          break;
        case Changes::Kind::kEraseRange:
          batch.DeleteRange(handle, slice(key), slice(value));
          break;
      }
    });
  }
  rocksdb::WriteOptions options;
  options.sync = sync;
  const auto status = db_->Write(options, &batch);
  return status.ok() ? Result<void>() : error_of(options_.directory, status);
}

Result<void> Store::sync_log() {
  const std::shared_lock lock(mutex_);
  if (db_ == nullptr)
    return Error{ErrorCode::kIo, fmt::format("spool {}: it is closed since the disk refused", options_.directory)};
  const auto status = db_->SyncWAL();
  return status.ok() ? Result<void>() : error_of(options_.directory, status);
}

// Without compactions no number of files holds up a write.
std::string Store::leave_damaged() {
  if (!shared_->damage->found()) return {};
  const std::shared_lock lock(mutex_);
  if (db_ == nullptr) return {};
  for (rocksdb::ColumnFamilyHandle* handle : handles_) {
    if (!db_->SetOptions(handle, {{"disable_auto_compactions", "true"}}).ok()) return {};  // The next write tries it again.
  }
  return fmt::format("files: {}; they are merged no more until the spool is opened again", shared_->damage->take());
}

// A refused write stops RocksDB. For some reasons it can go on where it is; for others it must be opened again, which
// is tried only once the disk takes a file, for without it there would be nothing to read from either.
Result<void> Store::recover() {
  {
    const std::shared_lock lock(mutex_);
    if (db_ != nullptr && db_->Resume().ok()) return {};
  }
  const std::string probe = options_.directory + "/PROBE.dbtmp";
  const auto taken = rocksdb::WriteStringToFile(env_, std::string(kProbeBytes, 'p'), probe, true);
  env_->DeleteFile(probe).PermitUncheckedError();
  if (!taken.ok()) return error_of(options_.directory, taken);
  const std::unique_lock lock(mutex_);
  close_database();
  return open_database();
}

Result<void> Store::rewrite() {
  const std::shared_lock lock(mutex_);
  if (db_ == nullptr)
    return Error{ErrorCode::kIo, fmt::format("spool {}: it is closed since the disk refused", options_.directory)};
  rocksdb::FlushOptions flush;
  auto status = db_->Flush(flush, handles_);
  for (std::size_t i = 0; status.ok() && i < handles_.size(); ++i) {
    rocksdb::CompactRangeOptions options;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
    status = db_->CompactRange(options, handles_[i], nullptr, nullptr);
  }
  if (status.ok()) status = db_->EnableFileDeletions(true);  // Removes what is not needed any more before it returns.
  return status.ok() ? Result<void>() : error_of(options_.directory, status);
}

std::uint64_t Store::free_bytes() const {
  std::uint64_t free = 0;
  const auto status = env_->GetFileSystem()->GetFreeSpace(options_.directory, rocksdb::IOOptions(), &free, nullptr);
  return status.ok() ? free : std::numeric_limits<std::uint64_t>::max();
}

}  // namespace mailsbuddy::spool
