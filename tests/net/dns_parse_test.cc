#include "core/net/dns_parse.h"

#include <fmt/format.h>
#include <boost/test/unit_test.hpp>

#include "tests/net/dns_message.h"

namespace mailsbuddy::net {
namespace {

using namespace test;  // NOLINT: the builders are the language of these cases.

std::span<const std::uint8_t> bytes_of(const std::string& message) {
  return {reinterpret_cast<const std::uint8_t*>(message.data()), message.size()};
}

template <class R, class Write>
std::string describe(const DnsAnswer<R>& answer, Write write) {
  std::string text;
  switch (answer.status) {
    case DnsStatus::kFailed:
      return "failed: " + answer.detail;
    case DnsStatus::kNoData:
      text = "no data";
      break;
    case DnsStatus::kNxDomain:
      text = "no name";
      break;
    case DnsStatus::kOk:
      for (const R& record : answer.records) text += (text.empty() ? "" : ", ") + write(record);
  }
  return text + fmt::format(" ttl {}", answer.ttl.count());
}

std::string describe(int type, const std::string& message) {
  const auto of_address = [](const IpAddress& a) { return a.str(); };
  switch (type) {
    case ns_t_mx:
      return describe(parse_mx(bytes_of(message)),
                      [](const MxRecord& r) { return fmt::format("{} \"{}\"", r.preference, r.host); });
    case ns_t_a:
      return describe(parse_a(bytes_of(message)), of_address);
    case ns_t_aaaa:
      return describe(parse_aaaa(bytes_of(message)), of_address);
    case ns_t_cname:
      return describe(parse_cname(bytes_of(message)), [](const std::string& s) { return s; });
    default:
      return describe(parse_txt(bytes_of(message)), [](const std::string& s) { return '"' + s + '"'; });
  }
}

struct Case {
  const char* name;
  int type;
  Answer with;
  std::string read;
};

std::vector<Record> chain(int length) {
  std::vector<Record> records;
  for (int i = 0; i < length; ++i)
    records.push_back(cname(i == 0 ? "a.test" : fmt::format("c{}.test", i), 60, fmt::format("c{}.test", i + 1)));
  records.push_back(mx(fmt::format("c{}.test", length), 60, 10, "mx.test"));
  return records;
}

const std::vector<Case> kCases = {
    {"MX sorted by preference, then name; lower case",
     ns_t_mx,
     {.answer = {mx("a.test", 300, 20, "C.test"), mx("A.TEST", 600, 10, "b.test"), mx("a.test", 900, 10, "MX.A.test")}},
     "10 \"b.test\", 10 \"mx.a.test\", 20 \"c.test\" ttl 300"},
    {"the same MX twice",
     ns_t_mx,
     {.answer = {mx("a.test", 9, 1, "b.test"), mx("a.test", 9, 1, "B.test")}},
     "1 \"b.test\" ttl 9"},
    {"null MX", ns_t_mx, {.answer = {mx("a.test", 300, 0, "")}}, "0 \"\" ttl 300"},
    {"records of others and of other types are passed over",
     ns_t_mx,
     {.answer = {mx("b.test", 1, 5, "evil.test"), address("a.test", 1, "192.0.2.1"), mx("a.test", 300, 10, "mx.test")}},
     "10 \"mx.test\" ttl 300"},
    {"CNAME, whose TTL counts",
     ns_t_mx,
     {.answer = {cname("a.test", 30, "b.test"), mx("b.test", 300, 10, "mx.test")}},
     "10 \"mx.test\" ttl 30"},
    {"CNAMEs in any order",
     ns_t_mx,
     {.answer = {mx("c.test", 300, 10, "mx.test"), cname("b.test", 200, "c.test"), cname("a.test", 100, "b.test")}},
     "10 \"mx.test\" ttl 100"},
    {"CNAME to nothing",
     ns_t_mx,
     {.answer = {cname("a.test", 300, "b.test")}, .authority = {soa("test", 900, 60)}},
     "no data ttl 60"},
    {"CNAME to no name (RFC 6604)",
     ns_t_mx,
     {.rcode = ns_r_nxdomain, .answer = {cname("a.test", 30, "b.test")}, .authority = {soa("test", 900, 60)}},
     "no name ttl 30"},
    {"as many CNAMEs as are followed", ns_t_mx, {.answer = chain(kDnsAliasesMax)}, "10 \"mx.test\" ttl 60"},
    {"one more", ns_t_mx, {.answer = chain(kDnsAliasesMax + 1)}, "failed: CNAME chain that leads nowhere"},
    {"CNAME circle",
     ns_t_mx,
     {.answer = {cname("a.test", 30, "b.test"), cname("b.test", 30, "a.test")}},
     "failed: CNAME chain that leads nowhere"},
    {"no name; the SOA's minimum is less than its TTL",
     ns_t_mx,
     {.rcode = ns_r_nxdomain, .authority = {soa("test", 900, 60)}},
     "no name ttl 60"},
    {"no name; the SOA's TTL is less",
     ns_t_mx,
     {.rcode = ns_r_nxdomain, .authority = {soa("test", 30, 60)}},
     "no name ttl 30"},
    {"no name without SOA", ns_t_mx, {.rcode = ns_r_nxdomain}, "no name ttl 0"},
    {"no data", ns_t_mx, {.authority = {soa("test", 900, 60)}}, "no data ttl 60"},
    {"SOA without numbers", ns_t_mx, {.authority = {{"test", ns_t_soa, 900, "abc"}}}, "no data ttl 0"},
    {"TTL with the highest bit (RFC 2181 8)",
     ns_t_mx,
     {.answer = {mx("a.test", 0x80000000U, 1, "b.test")}},
     "1 \"b.test\" ttl 0"},
    {"SERVFAIL", ns_t_mx, {.rcode = ns_r_servfail}, "failed: answered SERVFAIL"},
    {"REFUSED", ns_t_mx, {.rcode = ns_r_refused}, "failed: answered REFUSED"},
    {"an odd code", ns_t_mx, {.rcode = 11}, "failed: answered an unknown code"},
    {"truncated",
     ns_t_mx,
     {.answer = {mx("a.test", 300, 10, "b.test")}, .truncated = true},
     "failed: truncated answer"},
    {"MX without a host", ns_t_mx, {.answer = {{"a.test", ns_t_mx, 300, u16(10)}}}, "failed: malformed record"},
    {"MX with bytes after the host",
     ns_t_mx,
     {.answer = {{"a.test", ns_t_mx, 300, u16(10) + wire_name("b.test") + "x"}}},
     "failed: malformed record"},
    {"MX whose name points forward out of the message",
     ns_t_mx,
     {.answer = {{"a.test", ns_t_mx, 300, u16(10) + "\xff\xff"}}},
     "failed: malformed record"},
    {"A",
     ns_t_a,
     {.answer = {address("a.test", 60, "192.0.2.2"), address("a.test", 50, "192.0.2.1")}},
     "192.0.2.2, 192.0.2.1 ttl 50"},
    {"A of three octets", ns_t_a, {.answer = {{"a.test", ns_t_a, 60, "abc"}}}, "failed: malformed record"},
    {"AAAA", ns_t_aaaa, {.answer = {address("a.test", 60, "2001:db8::1")}}, "2001:db8::1 ttl 60"},
    {"AAAA of four octets", ns_t_aaaa, {.answer = {{"a.test", ns_t_aaaa, 60, "abcd"}}}, "failed: malformed record"},
    {"TXT joined",
     ns_t_txt,
     {.answer = {txt("a.test", 60, {"v=DKIM1; ", "p=MII", "", "BIj"}), txt("a.test", 60, {"x"})}},
     "\"v=DKIM1; p=MIIBIj\", \"x\" ttl 60"},
    {"TXT that ends in the middle",
     ns_t_txt,
     {.answer = {{"a.test", ns_t_txt, 60,
                  "\x05"
                  "abc"}}},
     "failed: malformed record"},
    {"CNAME itself, not what it leads to",
     ns_t_cname,
     {.answer = {cname("a.test", 30, "B.test"), cname("b.test", 60, "c.test")}},
     "b.test ttl 30"},
    {"CNAME with bytes after the name",
     ns_t_cname,
     {.answer = {{"a.test", ns_t_cname, 300, wire_name("b.test") + "x"}}},
     "failed: malformed record"},
    {"no alias", ns_t_cname, {.authority = {soa("test", 900, 60)}}, "no data ttl 60"},
    {"another type than was asked", ns_t_txt, {.answer = {address("a.test", 60, "192.0.2.2")}}, "no data ttl 0"},
};

BOOST_AUTO_TEST_CASE(answers) {
  for (const Case& c : kCases) BOOST_TEST_CONTEXT(c.name) {
      BOOST_TEST(describe(c.type, message(1, "A.test", c.type, c.with)) == c.read);
    }
}

BOOST_AUTO_TEST_CASE(every_prefix_is_malformed) {
  for (const Case& c : kCases) BOOST_TEST_CONTEXT(c.name) {
      const std::string whole = message(1, "a.test", c.type, c.with);
      for (std::size_t size = 0; size < whole.size(); ++size)
        BOOST_TEST(describe(c.type, whole.substr(0, size)).starts_with("failed: "));
      BOOST_TEST(describe(c.type, whole + "x") == "failed: malformed answer");
    }
}

BOOST_AUTO_TEST_CASE(an_answer_to_another_question) {
  BOOST_TEST(describe(ns_t_mx, message(1, "a.test", ns_t_a, {})) == "failed: malformed answer");
}

// Compression: both the owner and the host point back to the question (RFC 1035 4.1.4).
BOOST_AUTO_TEST_CASE(compressed_names) {
  std::string bytes = message(1, "a.test", ns_t_mx, {});
  bytes[7] = 1;  // ANCOUNT
  bytes +=
      std::string("\xc0\x0c", 2) + u16(ns_t_mx) + u16(ns_c_in) + u32(60) + u16(7) + u16(10) + "\x02mx" + "\xc0\x0c";
  BOOST_TEST(describe(ns_t_mx, bytes) == "10 \"mx.a.test\" ttl 60");
  std::string circle = bytes;
  circle[circle.size() - 1] = static_cast<char>(circle.size() - 5);  // The host's tail points to itself.
  BOOST_TEST(describe(ns_t_mx, circle) == "failed: malformed record");
}

BOOST_AUTO_TEST_CASE(more_records_than_are_looked_at) {
  Answer many;
  for (int i = 0; i < kDnsRecordsMax + 50; ++i)
    many.answer.push_back(mx("a.test", 60, static_cast<unsigned>(i), "mx.test"));
  BOOST_TEST(parse_mx(bytes_of(message(1, "a.test", ns_t_mx, many))).records.size() ==
             static_cast<std::size_t>(kDnsRecordsMax));
}

struct Merge {
  const char* name;
  DnsAnswer<IpAddress> v6;
  DnsAnswer<IpAddress> v4;
  const char* merged;
};

const std::vector<IpAddress> kSix = {IpAddress::parse("2001:db8::1").value()};
const std::vector<IpAddress> kFour = {IpAddress::parse("192.0.2.1").value()};
constexpr std::chrono::seconds kMinute{60};
constexpr std::chrono::seconds kHour{3600};

const std::vector<Merge> kMerges = {
    {"both", {DnsStatus::kOk, kSix, kHour, ""}, {DnsStatus::kOk, kFour, kMinute, ""}, "2001:db8::1, 192.0.2.1 ttl 60"},
    {"IPv6 alone", {DnsStatus::kOk, kSix, kHour, ""}, {DnsStatus::kNoData, {}, kMinute, ""}, "2001:db8::1 ttl 3600"},
    {"IPv4 alone, IPv6 without SOA",
     {DnsStatus::kNoData, {}, {}, ""},
     {DnsStatus::kOk, kFour, kHour, ""},
     "192.0.2.1 ttl 3600"},
    {"IPv6 failed", {DnsStatus::kFailed, {}, {}, "x"}, {DnsStatus::kOk, kFour, kHour, ""}, "192.0.2.1 ttl 5"},
    {"IPv4 failed", {DnsStatus::kOk, kSix, kHour, ""}, {DnsStatus::kFailed, {}, {}, "x"}, "2001:db8::1 ttl 5"},
    {"no name", {DnsStatus::kNxDomain, {}, kHour, ""}, {DnsStatus::kNxDomain, {}, kMinute, ""}, "no name ttl 60"},
    {"no data", {DnsStatus::kNoData, {}, kMinute, ""}, {DnsStatus::kNoData, {}, kHour, ""}, "no data ttl 60"},
    {"they differ about the name",
     {DnsStatus::kNxDomain, {}, kHour, ""},
     {DnsStatus::kNoData, {}, kHour, ""},
     "no data ttl 3600"},
    {"the other way round",
     {DnsStatus::kNoData, {}, kHour, ""},
     {DnsStatus::kNxDomain, {}, kHour, ""},
     "no data ttl 3600"},
    {"IPv6 failed, no IPv4", {DnsStatus::kFailed, {}, {}, "six"}, {DnsStatus::kNoData, {}, kHour, ""}, "failed: six"},
    {"IPv4 failed, no IPv6", {DnsStatus::kNoData, {}, kHour, ""}, {DnsStatus::kFailed, {}, {}, "four"}, "failed: four"},
    {"both failed", {DnsStatus::kFailed, {}, {}, "six"}, {DnsStatus::kFailed, {}, {}, "four"}, "failed: six"},
};

BOOST_AUTO_TEST_CASE(two_answers_become_one) {
  for (const Merge& c : kMerges) BOOST_TEST_CONTEXT(c.name) {
      const auto merged = merge(c.v6, c.v4, std::chrono::seconds(5));
      BOOST_TEST(describe(merged, [](const IpAddress& a) { return a.str(); }) == c.merged);
      BOOST_TEST(merged.records.empty() == (merged.status != DnsStatus::kOk));
    }
}

}  // namespace
}  // namespace mailsbuddy::net
