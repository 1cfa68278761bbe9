// A PROXY header from a hostile proxy, or from a client that reaches the port. However it is cut, it is the same
// header.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "smtp/proxy_header.h"

using mailsbuddy::smtp::parse_proxy_header;
using mailsbuddy::smtp::ProxyHeader;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto require = [](bool held) {
    if (!held) std::abort();
  };
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const ProxyHeader whole = parse_proxy_header(bytes);
  require(whole.status != ProxyHeader::Status::kDone || (whole.size > 0 && whole.size <= bytes.size()));
  require(whole.status != ProxyHeader::Status::kIncomplete || size < mailsbuddy::smtp::kProxyV2Max);
  for (std::size_t i = 0; i < size; ++i) {
    const ProxyHeader part = parse_proxy_header(bytes.substr(0, i));
    if (part.status == ProxyHeader::Status::kIncomplete) continue;
    require(part.status == whole.status && part.size == whole.size && part.source == whole.source);
    break;
  }
  return 0;
}
