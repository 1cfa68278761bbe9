#include <cstdlib>

#include "mailsbuddy/smtp.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mailsbuddy;
  const std::string texts[] = {std::string(reinterpret_cast<const char*>(data), size)};
  const auto record = smtp::parse_tlsrpt_record(texts);
  if (!record) return 0;
  if (record->mailto.empty() && record->https.empty()) std::abort();
  if (record->mailto.size() + record->https.size() > 10) std::abort();
  for (const Address& address : record->mailto)
    if (!Address::parse(address.str())) std::abort();
  for (const std::string& url : record->https) {
    const auto post = smtp::tls_report_post(url, "x");
    if (!post) continue;
    if (post->host.empty() || !post->path.starts_with('/')) std::abort();
    if ((post->host + post->path).find_first_of("\r\n ") != std::string::npos) std::abort();
  }
  return 0;
}
