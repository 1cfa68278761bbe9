#include <cstdlib>

#include "core/net/dns_parse.h"

// The same bytes as a record's octets, as its text, and as a whole answer.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mailsbuddy::net;
  const auto check = [](const TlsaRecord& record) {
    if (record.data.empty() || record.data.size() > kTlsaBytesMax) std::abort();
    const auto again = TlsaRecord::parse(record.str());
    if (!again || *again != record || again->usable() != record.usable()) std::abort();
  };
  if (const auto record = parse_tlsa_data({data, size})) check(*record);
  if (const auto record = TlsaRecord::parse({reinterpret_cast<const char*>(data), size})) check(*record);
  const auto answer = parse_tlsa({data, size});
  if ((answer.status == DnsStatus::kOk) == answer.records.empty()) std::abort();
  for (const TlsaRecord& record : answer.records) check(record);
  return 0;
}
