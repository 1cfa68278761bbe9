// dns_parse.cc - on glibc's ns_*() functions, which check every length and pointer against the message.
#include "core/net/dns_parse.h"

#include <arpa/nameser.h>
#include <fmt/format.h>
#include <resolv.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "core/base/ascii.h"

namespace mailsbuddy::net {
namespace {

using std::chrono::seconds;

struct Rr {
  std::string owner;
  int type = 0;
  seconds ttl{0};
  std::span<const std::uint8_t> data;
};

// A name as we keep it: lower case, no trailing dot; the root is empty.
std::string canonical(std::string_view name) {
  if (name.ends_with('.') && !name.ends_with("\\.")) name.remove_suffix(1);
  return ascii::to_lower(name);
}

seconds ttl_of(std::uint32_t raw) { return seconds(raw > INT32_MAX ? 0 : raw); }  // RFC 2181 8.

class Message {
 public:
  bool open(std::span<const std::uint8_t> bytes) {
    return ns_initparse(bytes.data(), static_cast<int>(bytes.size()), &handle_) == 0 &&
           ns_msg_count(handle_, ns_s_qd) == 1;
  }
  int rcode() { return ns_msg_getflag(handle_, ns_f_rcode); }
  bool truncated() { return ns_msg_getflag(handle_, ns_f_tc) != 0; }

  // The name and the type that were asked.
  std::optional<Rr> question() {
    ns_rr rr;
    if (ns_parserr(&handle_, ns_s_qd, 0, &rr) != 0) return std::nullopt;
    return Rr{canonical(ns_rr_name(rr)), ns_rr_type(rr), seconds(0), {}};
  }

  // Those of class IN; the first kDnsRecordsMax. Empty optional: the section cannot be read.
  std::optional<std::vector<Rr>> section(ns_sect which) {
    std::vector<Rr> records;
    const int count = std::min<int>(ns_msg_count(handle_, which), kDnsRecordsMax);
    for (int i = 0; i < count; ++i) {
      ns_rr rr;
      if (ns_parserr(&handle_, which, i, &rr) != 0) return std::nullopt;
      if (ns_rr_class(rr) != ns_c_in) continue;
      const std::span<const std::uint8_t> data(ns_rr_rdata(rr), ns_rr_rdlen(rr));
      records.push_back({canonical(ns_rr_name(rr)), ns_rr_type(rr), ttl_of(ns_rr_ttl(rr)), data});
    }
    return records;
  }

  // The name that takes up `data` to its end; in the message it may point elsewhere (RFC 1035 4.1.4).
  std::optional<std::string> name(std::span<const std::uint8_t> data) {
    std::array<char, NS_MAXDNAME> text;
    const int length =
        ns_name_uncompress(ns_msg_base(handle_), ns_msg_end(handle_), data.data(), text.data(), text.size());
    if (length < 0 || static_cast<std::size_t>(length) != data.size()) return std::nullopt;
    return canonical(text.data());
  }

 private:
  ns_msg handle_{};
};

template <class Record>
DnsAnswer<Record> failed(std::string detail) {
  return {.status = DnsStatus::kFailed, .records = {}, .ttl = seconds(0), .detail = std::move(detail)};
}

const char* rcode_name(int rcode) {
  static constexpr std::array<const char*, 6> kNames = {"NOERROR",  "FORMERR", "SERVFAIL",
                                                        "NXDOMAIN", "NOTIMP",  "REFUSED"};
  return rcode >= 0 && rcode < static_cast<int>(kNames.size()) ? kNames[static_cast<std::size_t>(rcode)]
                                                               : "an unknown code";
}

// RFC 2308 5: the lesser of the SOA's TTL and its MINIMUM. Without an SOA nothing says how long: 0.
seconds negative_ttl(const std::vector<Rr>& authority) {
  for (const Rr& rr : authority) {
    if (rr.type != ns_t_soa || rr.data.size() < 4) continue;
    return std::min(rr.ttl, ttl_of(static_cast<std::uint32_t>(ns_get32(rr.data.data() + rr.data.size() - 4))));
  }
  return seconds(0);
}

struct Owner {
  std::string name;
  seconds ttl{INT32_MAX};
};

// Where the CNAMEs lead from `name`; nothing: too far, in a circle, or unreadable.
std::optional<Owner> follow_aliases(Message& message, const std::vector<Rr>& answer, std::string name) {
  Owner owner{std::move(name)};
  for (int i = 0; i <= kDnsAliasesMax; ++i) {
    const auto alias = std::find_if(answer.begin(), answer.end(),
                                    [&](const Rr& rr) { return rr.type == ns_t_cname && rr.owner == owner.name; });
    if (alias == answer.end()) return owner;
    const auto target = message.name(alias->data);
    if (!target) return std::nullopt;
    owner = {*target, std::min(owner.ttl, alias->ttl)};
  }
  return std::nullopt;
}

// `read`: optional<Record>(Message&, rdata); none: the record is malformed.
template <class Record, class Read>
DnsAnswer<Record> parse(std::span<const std::uint8_t> bytes, int type, Read read) {
  Message message;
  if (bytes.size() > NS_MAXMSG || !message.open(bytes)) return failed<Record>("malformed answer");
  const int rcode = message.rcode();
  if (rcode != ns_r_noerror && rcode != ns_r_nxdomain)
    return failed<Record>(fmt::format("answered {}", rcode_name(rcode)));
  const auto question = message.question();
  const auto answer = message.section(ns_s_an);
  if (message.truncated()) return failed<Record>("truncated answer");
  if (!question || question->type != type || !answer) return failed<Record>("malformed answer");
  const auto owner = type == ns_t_cname ? Owner{question->owner} : follow_aliases(message, *answer, question->owner);
  if (!owner) return failed<Record>("CNAME chain that leads nowhere");
  DnsAnswer<Record> out{.status = DnsStatus::kOk, .records = {}, .ttl = owner->ttl, .detail = {}};
  for (const Rr& rr : *answer) {
    if (rr.type != type || rr.owner != owner->name) continue;
    auto record = read(message, rr.data);
    if (!record) return failed<Record>("malformed record");
    out.records.push_back(std::move(*record));
    out.ttl = std::min(out.ttl, rr.ttl);
  }
  if (!out.records.empty()) return out;
  const auto authority = message.section(ns_s_ns);
  if (!authority) return failed<Record>("malformed answer");
  out.status = rcode == ns_r_nxdomain ? DnsStatus::kNxDomain : DnsStatus::kNoData;
  out.ttl = std::min(out.ttl, negative_ttl(*authority));
  return out;
}

}  // namespace

// RFC 1035 3.3.9.
DnsAnswer<MxRecord> parse_mx(std::span<const std::uint8_t> bytes) {
  auto answer = parse<MxRecord>(bytes, ns_t_mx, [](Message& message, std::span<const std::uint8_t> data) {
    std::optional<MxRecord> record;
    if (data.size() < 3) return record;
    if (auto host = message.name(data.subspan(2)))
      record = {static_cast<std::uint16_t>(ns_get16(data.data())), std::move(*host)};
    return record;
  });
  std::sort(answer.records.begin(), answer.records.end());
  answer.records.erase(std::unique(answer.records.begin(), answer.records.end()), answer.records.end());
  return answer;
}

DnsAnswer<IpAddress> parse_a(std::span<const std::uint8_t> bytes) {
  return parse<IpAddress>(bytes, ns_t_a, [](Message&, std::span<const std::uint8_t> data) {
    std::array<std::uint8_t, 4> address{};
    if (data.size() != address.size()) return std::optional<IpAddress>();
    std::copy(data.begin(), data.end(), address.begin());
    return std::optional(IpAddress::v4(address));
  });
}

DnsAnswer<IpAddress> parse_aaaa(std::span<const std::uint8_t> bytes) {
  return parse<IpAddress>(bytes, ns_t_aaaa, [](Message&, std::span<const std::uint8_t> data) {
    std::array<std::uint8_t, 16> address{};
    if (data.size() != address.size()) return std::optional<IpAddress>();
    std::copy(data.begin(), data.end(), address.begin());
    return std::optional(IpAddress::v6(address));
  });
}

// RFC 1035 3.3.14: one or more character-strings, each a length octet and that many octets.
DnsAnswer<std::string> parse_txt(std::span<const std::uint8_t> bytes) {
  return parse<std::string>(bytes, ns_t_txt, [](Message&, std::span<const std::uint8_t> data) {
    std::optional<std::string> text(std::in_place);
    while (text && !data.empty()) {
      const std::size_t length = data.front();
      if (length + 1 > data.size()) {
        text.reset();
      } else {
        text->append(reinterpret_cast<const char*>(data.data()) + 1, length);
        data = data.subspan(length + 1);
      }
    }
    return text;
  });
}

DnsAnswer<TlsaRecord> parse_tlsa(std::span<const std::uint8_t> bytes) {
  constexpr int kTypeTlsa = 52;  // RFC 6698 7.1; older headers do not name it.
  auto answer = parse<TlsaRecord>(bytes, kTypeTlsa,
                                  [](Message&, std::span<const std::uint8_t> data) { return parse_tlsa_data(data); });
  std::sort(answer.records.begin(), answer.records.end());
  answer.records.erase(std::unique(answer.records.begin(), answer.records.end()), answer.records.end());
  return answer;
}

// RFC 1035 3.3.1.
DnsAnswer<std::string> parse_cname(std::span<const std::uint8_t> bytes) {
  return parse<std::string>(bytes, ns_t_cname,
                            [](Message& message, std::span<const std::uint8_t> data) { return message.name(data); });
}

DnsAnswer<IpAddress> merge(DnsAnswer<IpAddress> v6, const DnsAnswer<IpAddress>& v4, std::chrono::seconds failure_ttl) {
  const bool v6_failed = v6.status == DnsStatus::kFailed;
  const bool v4_failed = v4.status == DnsStatus::kFailed;
  if (v6.records.empty() && v4.records.empty()) {
    if (v6_failed) return v6;
    if (v4_failed || v4.status == DnsStatus::kNoData) v6.status = v4.status;  // Only both together say "no such name".
    v6.detail = v4.detail;
    v6.ttl = std::min(v6.ttl, v4.ttl);
    return v6;
  }
  // The side that has no records does not say for how long the other's are good: the host may gain an IPv6 address
  // meanwhile, and is still reached.
  DnsAnswer<IpAddress> out{
      .status = DnsStatus::kOk, .records = std::move(v6.records), .ttl = seconds(INT32_MAX), .detail = {}};
  if (v6_failed || v4_failed) out.ttl = failure_ttl;
  if (!out.records.empty()) out.ttl = std::min(out.ttl, v6.ttl);
  if (!v4.records.empty()) out.ttl = std::min(out.ttl, v4.ttl);
  out.records.insert(out.records.end(), v4.records.begin(), v4.records.end());
  return out;
}

}  // namespace mailsbuddy::net
