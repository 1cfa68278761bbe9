// The file of records that `mailsbuddy dkim verify --records` reads: any bytes are records or refused.
#include <cstdlib>
#include <string_view>

#include "services/cli/key_records.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mailsbuddy;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto records = cli::KeyRecords::parse(text);
  if (!records && records.error().detail.empty()) std::abort();
  if (!records) return 0;
  const auto answer = records->find(text.substr(0, text.find('\t')));
  if (answer.records.empty() == (answer.kind == dkim::KeyAnswer::Kind::kFound)) std::abort();
  return 0;
}
