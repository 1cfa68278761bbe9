// TLS reports in a spool as damage may leave them. The checksum is made good, so that what is behind it is read.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/base/bytes.h"
#include "engine/tls_report_record.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mailsbuddy;
  BytesWriter writer;
  writer.raw({reinterpret_cast<const char*>(data), size});
  const std::string record = std::move(writer).finish();
  const auto read = engine::decode_tls_reports(record);
  if (read && engine::encode_tls_reports(*read) != record) std::abort();
  const auto reached = engine::decode_reached(record);
  if (reached && engine::encode_reached(*reached) != record) std::abort();
  return 0;
}
