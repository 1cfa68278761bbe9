#include <boost/test/unit_test.hpp>
#include <string>

#include "core/net/sockaddr.h"
#include "mailsbuddy/net.h"

namespace mailsbuddy::net {
namespace {

struct Text {
  const char* name;
  const char* in;
  const char* out;  // Null: refused.
};

constexpr Text kAddresses[] = {
    {"v4", "192.0.2.1", "192.0.2.1"},
    {"v4 zero", "0.0.0.0", "0.0.0.0"},
    {"v4 highest", "255.255.255.255", "255.255.255.255"},
    {"loopback", "::1", "::1"},
    {"all zero", "0:0:0:0:0:0:0:0", "::"},
    {"zeros at the end", "2001:db8:0:0:0:0:0:0", "2001:db8::"},
    {"leading zeros go", "2001:0db8:0000:0000:0000:0000:0002:0001", "2001:db8::2:1"},
    {"lower case", "2001:DB8::ABCD", "2001:db8::abcd"},
    {"one zero group stays", "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
    {"one zero group written as ::", "2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
    {"the longest run", "2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
    {"the first of equal runs", "2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
    {"no zeros", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
    {"two groups are not IPv4", "::1:2", "::1:2"},
    {"IPv4-mapped", "::ffff:192.0.2.1", "::ffff:192.0.2.1"},
    {"IPv4-mapped in hexadecimal", "::ffff:c000:201", "::ffff:192.0.2.1"},
    {"empty", "", nullptr},
    {"name", "localhost", nullptr},
    {"three parts", "192.0.2", nullptr},
    {"five parts", "192.0.2.1.1", nullptr},
    {"over 255", "192.0.2.256", nullptr},
    {"leading zero, which some read as octal", "192.0.2.010", nullptr},
    {"space", "192.0.2.1 ", nullptr},
    {"zone", "fe80::1%eth0", nullptr},
    {"two ::", "1::2::3", nullptr},
    {"nine groups", "1:2:3:4:5:6:7:8:9", nullptr},
    {"five digits", "12345::", nullptr},
    {"brackets", "[::1]", nullptr},
    {"very long", "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa", nullptr},
};

BOOST_AUTO_TEST_CASE(addresses) {
  for (const Text& c : kAddresses) BOOST_TEST_CONTEXT(c.name) {
      const auto parsed = IpAddress::parse(c.in);
      BOOST_REQUIRE_EQUAL(parsed.has_value(), c.out != nullptr);
      if (!parsed) {
        BOOST_TEST(parsed.error().detail.find(c.in) != std::string::npos);
        continue;
      }
      BOOST_TEST(parsed->str() == c.out);
      BOOST_TEST((IpAddress::parse(parsed->str()).value() == *parsed));
      BOOST_TEST(parsed->bytes().size() == (parsed->is_v4() ? 4U : 16U));
      const SockAddr socket_form = to_sockaddr({*parsed, 2525});
      BOOST_TEST((from_sockaddr(socket_form.storage) == Endpoint{*parsed, 2525}));
    }
  BOOST_TEST(!IpAddress::parse(std::string_view("127.0.0.1\0", 10)));
  BOOST_TEST(IpAddress().str() == "*");
  BOOST_TEST(to_sockaddr({}).size == 0U);
}

constexpr Text kEndpoints[] = {
    {"v4", "127.0.0.1", "127.0.0.1:25"},
    {"v4 with port", "127.0.0.1:53", "127.0.0.1:53"},
    {"port 0", "127.0.0.1:0", "127.0.0.1:0"},
    {"highest port", "127.0.0.1:65535", "127.0.0.1:65535"},
    {"v6", "::1", "[::1]:25"},
    {"v6 in brackets", "[::1]", "[::1]:25"},
    {"v6 with port", "[2001:db8::1]:53", "[2001:db8::1]:53"},
    {"port over 65535", "127.0.0.1:65536", nullptr},
    {"port of six digits", "127.0.0.1:000053", nullptr},
    {"no digits", "127.0.0.1:", nullptr},
    {"sign", "127.0.0.1:+53", nullptr},
    {"words", "127.0.0.1:dns", nullptr},
    {"v4 in brackets", "[127.0.0.1]:53", nullptr},
    {"open bracket", "[::1", nullptr},
    {"no colon after the bracket", "[::1]53", nullptr},
    {"bracket without port", "[::1]:", nullptr},
    {"empty", "", nullptr},
    {"port alone", ":53", nullptr},
    {"name", "localhost:53", nullptr},
};

BOOST_AUTO_TEST_CASE(endpoints) {
  for (const Text& c : kEndpoints) BOOST_TEST_CONTEXT(c.name) {
      const auto parsed = Endpoint::parse(c.in, 25);
      BOOST_REQUIRE_EQUAL(parsed.has_value(), c.out != nullptr);
      if (parsed) {
        BOOST_TEST(parsed->str() == c.out);
      } else {
        BOOST_TEST((parsed.error().code == ErrorCode::kInvalidArgument));
      }
    }
}

}  // namespace
}  // namespace mailsbuddy::net
