// What a listener is made of, alone: PROXY headers, ranges, the table of clients, replies, fix-ups.
#include <boost/test/unit_test.hpp>

#include <string>
#include <string_view>

#include "smtp/client_table.h"
#include "smtp/fix_ups.h"
#include "smtp/ip_range.h"
#include "smtp/listen_reply.h"
#include "smtp/proxy_header.h"
#include "smtp/quota.h"

namespace mailsbuddy::smtp {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using Status = ProxyHeader::Status;

net::IpAddress ip(std::string_view text) { return *net::IpAddress::parse(text); }
constexpr TimePoint kStart{std::chrono::seconds(1'800'000'000)};

const std::string kSignature = "\r\n\r\n\0\r\nQUIT\n"s;
const std::string kV4 = kSignature + "\x21\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\1\x30\x39\0\x19"s;
const std::string kV6 = kSignature + "\x21\x21\0\x24"s + "\x20\1\x0d\xb8"s + std::string(11, '\0') + "\1"s +
                        std::string(15, '\0') + "\1\x30\x39\0\x19"s;

struct Header {
  std::string_view name;
  std::string bytes;
  Status status;
  std::string source{};
};
const Header kHeaders[] = {
    {"version 1, IPv4", "PROXY TCP4 192.0.2.1 198.51.100.1 12345 25\r\n", Status::kDone, "192.0.2.1:12345"},
    {"version 1, IPv6", "PROXY TCP6 2001:db8::1 ::1 0 65535\r\n", Status::kDone, "[2001:db8::1]:0"},
    {"version 1, unknown", "PROXY UNKNOWN\r\n", Status::kDone},
    {"version 1, unknown, with words", "PROXY UNKNOWN ffff::1 ffff::1 1 1\r\n", Status::kDone},
    {"version 2, IPv4", kV4, Status::kDone, "192.0.2.1:12345"},
    {"version 2, IPv6", kV6, Status::kDone, "[2001:db8::1]:12345"},
    {"version 2, local", kSignature + "\x20\0\0\0"s, Status::kDone},
    {"version 2, a Unix socket", kSignature + "\x21\x31\0\2ab"s, Status::kDone},
    {"version 2, UDP: not a stream", kSignature + "\x21\x12\0\x0c"s + std::string(12, 'x'), Status::kDone},
    {"version 2, with a TLV", kSignature + "\x21\x11\0\x10\xc0\0\2\1\xc6\x33\x64\1\x30\x39\0\x19\4\0\1x"s,
     Status::kDone, "192.0.2.1:12345"},
    {"nothing", "", Status::kIncomplete},
    {"SMTP", "EHLO me\r\n", Status::kBad},
    {"lower case", "proxy TCP4 192.0.2.1 198.51.100.1 1 1\r\n", Status::kBad},
    {"another protocol", "PROXY UDP4 192.0.2.1 198.51.100.1 1 1\r\n", Status::kBad},
    {"family and address differ", "PROXY TCP4 ::1 ::1 1 1\r\n", Status::kBad},
    {"two spaces", "PROXY TCP4  192.0.2.1 198.51.100.1 1 1\r\n", Status::kBad},
    {"a word too many", "PROXY TCP4 192.0.2.1 198.51.100.1 1 1 1\r\n", Status::kBad},
    {"a word too few", "PROXY TCP4 192.0.2.1 198.51.100.1 1\r\n", Status::kBad},
    {"port too large", "PROXY TCP4 192.0.2.1 198.51.100.1 65536 1\r\n", Status::kBad},
    {"port with a zero before", "PROXY TCP4 192.0.2.1 198.51.100.1 01 1\r\n", Status::kBad},
    {"port with a sign", "PROXY TCP4 192.0.2.1 198.51.100.1 +1 1\r\n", Status::kBad},
    {"an octet too large", "PROXY TCP4 192.0.2.256 198.51.100.1 1 1\r\n", Status::kBad},
    {"a line feed alone", "PROXY TCP4 192.0.2.1 198.51.100.1 1 1\nEHLO\r\n", Status::kBad},
    {"a NUL", "PROXY UNKNOWN\0\r\n"s, Status::kBad},
    {"no end", "PROXY UNKNOWN " + std::string(kProxyV1Max, 'x'), Status::kBad},
    {"the end one octet too late", "PROXY UNKNOWN " + std::string(kProxyV1Max - 15, 'x') + "\r\n", Status::kBad},
    {"version 3", kSignature + "\x31\x11\0\0"s, Status::kBad},
    {"another command", kSignature + "\x22\x11\0\0"s, Status::kBad},
    {"too short for its family", kSignature + "\x21\x11\0\x0b"s + std::string(11, 'x'), Status::kBad},
    {"length beyond all reason", kSignature + "\x21\x11\xff\xff"s, Status::kBad},
    {"signature with a wrong octet", "\r\n\r\n\0\r\nQUIZ"s, Status::kBad},
};

}  // namespace

BOOST_AUTO_TEST_CASE(proxy_headers) {
  for (const Header& c : kHeaders) {
    BOOST_TEST_CONTEXT(c.name) {
      const ProxyHeader header = parse_proxy_header(c.bytes);
      BOOST_TEST((header.status == c.status));
      if (c.status != Status::kDone) continue;
      BOOST_TEST(header.size == c.bytes.size());
      BOOST_TEST((header.source ? header.source->str() : "") == c.source);
      BOOST_TEST(parse_proxy_header(c.bytes + "EHLO me\r\n").size == c.bytes.size());
      for (std::size_t i = 0; i < c.bytes.size(); ++i) {
        BOOST_TEST_CONTEXT("cut at " << i) {
          BOOST_TEST((parse_proxy_header(std::string_view(c.bytes).substr(0, i)).status == Status::kIncomplete));
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(ranges) {
  struct Case {
    std::string_view range, address;
    bool contained;
  };
  constexpr Case kCases[] = {
      {"192.0.2.0/24", "192.0.2.255", true},
      {"192.0.2.0/24", "192.0.3.0", false},
      {"192.0.2.1", "192.0.2.1", true},
      {"192.0.2.1", "192.0.2.2", false},
      {"0.0.0.0/0", "203.0.113.9", true},
      {"0.0.0.0/0", "::1", false},
      {"192.0.2.128/25", "192.0.2.127", false},
      {"2001:db8::/33", "2001:db8:7fff::1", true},
      {"2001:db8::/33", "2001:db8:8000::1", false},
      {"::/0", "192.0.2.1", false},
      {"192.0.2.0/24", "::ffff:192.0.2.9", true},
  };
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.range << " " << c.address) {
      const auto range = IpRange::parse(c.range);
      BOOST_REQUIRE(range.has_value());
      BOOST_TEST(range->contains(ip(c.address)) == c.contained);
      BOOST_TEST(!range->contains(net::IpAddress()));
    }
  }
  for (const std::string_view bad : {"", "192.0.2.0/33", "192.0.2.0/-1", "192.0.2.1/24", "::1/129", "x/8", "192.0.2.0/",
                                     "192.0.2.0/8x", "192.0.2.0/24/24", "2001:db8::1/64"}) {
    BOOST_TEST_CONTEXT(bad) { BOOST_TEST(!IpRange::parse(bad).has_value()); }
  }
}

BOOST_AUTO_TEST_CASE(a_client_has_so_many_connections_and_no_more) {
  ListenLimits limits;
  limits.connections_max = 4;
  limits.connections_per_client_max = 2;
  limits.connections_per_client = {.count = 3, .per = 60s};
  ClientTable table(limits, 1);
  using Verdict = ClientTable::Verdict;
  const auto take = [&](std::string_view address, TimePoint now) {
    return table.take_connection(ip(address), false, now);
  };
  BOOST_TEST((take("2001:db8::1", kStart) == Verdict::kTaken));
  BOOST_TEST((take("2001:db8::2", kStart) == Verdict::kTaken));  // The same /64.
  BOOST_TEST((take("2001:db8::3", kStart) == Verdict::kTooManyOfClient));
  BOOST_TEST((take("2001:db8:0:1::1", kStart) == Verdict::kTaken));  // Another.
  table.release_connection(ip("2001:db8::2"), false);
  BOOST_TEST((take("2001:db8::4", kStart + 59s) == Verdict::kTaken));  // The third within the minute.
  table.release_connection(ip("2001:db8::4"), false);
  BOOST_TEST((take("2001:db8::4", kStart + 59s) == Verdict::kTooFast));
  BOOST_TEST((take("2001:db8::4", kStart + 60s) == Verdict::kTaken));
  BOOST_TEST((table.take_connection(ip("192.0.2.1"), true, kStart + 60s) == Verdict::kTaken));
  BOOST_TEST((table.take_connection(ip("192.0.2.1"), true, kStart + 60s) == Verdict::kTooManyInAll));
  BOOST_TEST(
      (table.rename_connection(ip("192.0.2.1"), true, ip("2001:db8::9"), kStart + 60s) == Verdict::kTooManyOfClient));
  BOOST_TEST(table.open() == 4U);
}

BOOST_AUTO_TEST_CASE(messages_and_failures_are_counted_by_client) {
  ListenLimits limits;
  limits.messages_per_client = {.count = 2, .per = 10s};
  limits.auth_failures_per_client = {.count = 1, .per = 10s};
  ClientTable table(limits, 1);
  BOOST_TEST(table.take_message(ip("192.0.2.1"), kStart));
  BOOST_TEST(table.take_message(ip("::ffff:192.0.2.1"), kStart + 9s));
  BOOST_TEST(!table.take_message(ip("192.0.2.1"), kStart + 9s));
  BOOST_TEST(table.take_message(ip("192.0.2.2"), kStart + 9s));
  BOOST_TEST(table.take_message(ip("192.0.2.1"), kStart + 10s));
  BOOST_TEST(table.may_authenticate(ip("192.0.2.1"), kStart));
  table.authentication_failed(ip("192.0.2.1"), kStart);
  BOOST_TEST(!table.may_authenticate(ip("192.0.2.1"), kStart + 9s));
  BOOST_TEST(table.may_authenticate(ip("192.0.2.2"), kStart + 9s));
  BOOST_TEST(table.may_authenticate(ip("192.0.2.1"), kStart + 30s));  // Also swept by then.
}

BOOST_AUTO_TEST_CASE(a_quota_is_shared_and_given_back_once) {
  const auto quota = std::make_shared<Quota>(100);
  BOOST_TEST(quota->take(60));
  BOOST_TEST(!quota->take(41));
  BOOST_TEST(quota->take(40));
  Quota::Share share(quota, 60);
  {
    Quota::Share moved(std::move(share));
    BOOST_TEST(quota->used() == 100U);
  }
  BOOST_TEST(quota->used() == 40U);
  share.give_back();  // It has nothing.
  share = Quota::Share(quota, 30);
  share = Quota::Share(quota, 10);
  BOOST_TEST(quota->used() == 10U);
  share.give_back();
  share.give_back();
  BOOST_TEST(quota->used() == 0U);
}

BOOST_AUTO_TEST_CASE(replies_are_one_line_that_can_be_sent) {
  struct Case {
    std::string_view name;
    Reply reply;
    std::string_view line;
  };
  const Case kCases[] = {
      {"as it is", {550, EnhancedCode{5, 1, 1}, "No such user"}, "550 5.1.1 No such user"},
      {"no enhanced code", {451, {}, "Later"}, "451 4.0.0 Later"},
      {"enhanced code of another class", {450, EnhancedCode{5, 1, 1}, "x"}, "450 4.1.1 x"},
      {"two lines", {550, {}, "a\r\n250 b"}, "550 5.0.0 a  250 b"},
      {"no text", {250, EnhancedCode{2, 6, 0}, ""}, "250 2.6.0 Queued as 00000000000000000000000001"},
      {"3yz", {354, {}, "Go on"}, "451 otherwise"},
      {"no reply", {}, "451 otherwise"},
      {"600", {600, {}, "x"}, "451 otherwise"},
  };
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) { BOOST_TEST(reply_line(c.reply, "451 otherwise", MessageId{0, 1}) == c.line); }
  }
  BOOST_TEST(reply_line({550, {}, std::string(1000, 'x')}, "").size() == 510U);
}

BOOST_AUTO_TEST_CASE(fix_ups_add_what_is_missing) {
  struct Case {
    std::string_view name, data, expected;
    bool inbound = false;
  };
  const std::string received =
      "Received: from client.example ([IPv6:2001:db8::1])\r\n by mx.example with ESMTPSA id "
      "00000000000000000000000001;\r\n"
      " Fri, 15 Jan 2027 08:00:00 +0000\r\n";
  const std::string from_outside =
      "Received: from client.example ([IPv6:2001:db8::1])\r\n by mx.example with ESMTPS id "
      "00000000000000000000000001;\r\n"
      " Fri, 15 Jan 2027 08:00:00 +0000\r\n";
  const std::string date = "Date: Fri, 15 Jan 2027 08:00:00 +0000\r\n";
  const std::string id = "Message-ID: <00000000000000000000000001@mx.example>\r\n";
  const std::string with_both = received + "date: x\r\nMESSAGE-ID : <y>\r\n\r\nb\r\n";
  const std::string with_none = received + date + id + "Subject: x\r\n\r\nDate: in the body\r\n";
  const std::string body_alone = received + date + id + "\r\nhello\r\n";
  const std::string no_header = received + date + id + "\r\nbody\r\n";
  const std::string empty = received + date + id + "\r\n";
  const std::string inbound = from_outside + "Subject: x\r\n\r\n";
  const Case kCases[] = {
      {"nothing is missing", "date: x\r\nMESSAGE-ID : <y>\r\n\r\nb\r\n", with_both},
      {"both are", "Subject: x\r\n\r\nDate: in the body\r\n", with_none},
      {"a body without a header", "hello\r\n", body_alone},
      {"an empty header", "\r\nbody\r\n", no_header},
      {"an empty message", "", empty},
      {"from outside", "Subject: x\r\n\r\n", inbound, true},
  };
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      Submission submission{.id = {0, 1},
                            .data = std::string(c.data),
                            .inbound = c.inbound,
                            .client = ip("2001:db8::1"),
                            .hello = "client.example",
                            .tls = true};
      if (!c.inbound) submission.identity.user = "ann";
      apply_fix_ups(submission, {}, "mx.example", true, kStart);
      BOOST_TEST(submission.data == c.expected);
    }
  }
  Submission hostile{.id = {0, 1}, .client = ip("192.0.2.1"), .hello = "x) by evil (y"};
  BOOST_TEST(received_field(hostile, "mx.example", false, kStart).starts_with("Received: from unknown ([192.0.2.1])"));
  BOOST_TEST(secrets_equal("a", "a"));
  BOOST_TEST(!secrets_equal("a", "b"));
  BOOST_TEST(!secrets_equal("a", ""));
}

}  // namespace mailsbuddy::smtp
