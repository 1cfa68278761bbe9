// bench_inject_raw DIR ROWS SMALL_DOMAINS row|batch: RocksDB as it comes, given the same octets with the same syncs: one Put a
// row, as anyone would begin, or one Put a batch, which is the least that it can do for them.
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <cstdio>

#include "bench/inject/rows.h"
#include "bench/support/send.h"

namespace mailsbuddy::bench {
namespace {

void need_ok(const rocksdb::Status& status) {
  need(status.ok() ? Result<void>() : Result<void>(Error{ErrorCode::kIo, status.ToString()}));
}

void inject(const std::string& directory, std::uint64_t rows, std::uint64_t small_domains, bool by_row) {
  rocksdb::Options options;
  options.create_if_missing = true;
  rocksdb::DB* db = nullptr;
  need_ok(rocksdb::DB::Open(options, directory, &db));
  Watch watch;
  for (std::uint64_t from = 0; from < rows; from += kBatchRows) {
    const auto batch = inject_batch(from, rows, small_domains);
    watch.start();
    rocksdb::WriteBatch writes;
    std::string value;
    std::uint64_t number = from;
    for (const InjectRow& row : batch) {
      if (by_row) value.clear();
      value += row.local + '@' + row.domain + '\0' + row.fields;
      if (!by_row) continue;
      char key[8];
      for (int i = 0; i < 8; ++i) key[i] = static_cast<char>(number >> (56 - 8 * i));
      ++number;
      need_ok(writes.Put(rocksdb::Slice(key, sizeof key), value));
    }
    if (!by_row) need_ok(writes.Put(std::to_string(from), value));
    rocksdb::WriteOptions write;
    write.sync = true;
    need_ok(db->Write(write, &writes));
    watch.stop();
  }
  std::printf("{\"rows\": %llu, \"seconds\": %f, \"cpu_seconds\": %f}\n", static_cast<unsigned long long>(rows), watch.wall,
              watch.cpu_seconds);
  need_ok(db->Close());
  delete db;
}

}  // namespace
}  // namespace mailsbuddy::bench

int main(int argc, char** argv) {
  using namespace mailsbuddy::bench;
  if (argc != 5) return 2;
  inject(argv[1], to_number(argv[2]), to_number(argv[3]), std::string_view(argv[4]) == "row");
}
