#include <cstdlib>

#include "core/net/dns_parse.h"

namespace {

template <class Record>
void check(const mailsbuddy::net::DnsAnswer<Record>& answer) {
  using mailsbuddy::net::DnsStatus;
  if ((answer.status == DnsStatus::kOk) == answer.records.empty()) std::abort();
  if ((answer.status == DnsStatus::kFailed) == answer.detail.empty()) std::abort();
  if (answer.ttl.count() < 0) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check(mailsbuddy::net::parse_mx({data, size}));
  check(mailsbuddy::net::parse_a({data, size}));
  check(mailsbuddy::net::parse_aaaa({data, size}));
  check(mailsbuddy::net::parse_txt({data, size}));
  check(mailsbuddy::net::parse_cname({data, size}));
  return 0;
}
