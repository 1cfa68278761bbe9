// Records of the store as damage may leave them: read without a crash, and nothing is believed that does not fit.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "spool/chunk.h"
#include "spool/ledger.h"
#include "spool/suppressions.h"

using namespace mailsbuddy::spool;

namespace {

void check(bool good) {
  if (!good) std::abort();
}

void read_chunk(std::string_view record) {
  ChunkReader chunk(record);
  std::uint32_t rows = 0;
  while (chunk.next()) ++rows;
  check(rows <= chunk.rows() && chunk.next_row() == rows);
}

void replay(std::string_view record, bool page) {
  Ledger ledger;
  JobLedger& job = ledger.jobs()[1];
  job.append(0, 5000);
  job.append(3, 10);
  if (page) {
    ledger.load_page(job, 0, 4096, record);
  } else {
    ledger.replay(record);
  }
  ledger.recount();
  check(job.rows() == 5010);
  std::size_t pages = 0;
  ledger.write_pages([&](const RowKey& first, const std::string& value) {
    ++pages;
    check(ledger.load_page(job, first.domain, first.row, value));
  });
  check(pages <= 3);
  const Counts before = job.counts;
  ledger.recount();
  check(job.counts == before);
}

void read_suppression(std::string_view record) {
  const auto suppression = decode_suppression(record);
  if (!suppression) return;
  const auto again = decode_suppression(encode_suppression(*suppression));
  check(again && again->who.address == suppression->who.address &&
        again->suppression.since == suppression->suppression.since);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view record(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      read_chunk(record);
      break;
    case 1:
      replay(record, false);
      break;
    case 2:
      replay(record, true);
      break;
    default:
      read_suppression(record);
  }
  return 0;
}
