#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "core/net/dns_parse.h"

namespace mailsbuddy::net {
namespace {

struct Text {
  std::string name;
  std::string text;
  std::string again{};  // What str() makes of it; empty: refused.
  bool usable = false;
};

const std::string kSha256(64, 'a');
const std::string kSha512(128, 'b');

const std::vector<Text> kTexts = {
    {"DANE-EE, key, SHA-256", "3 1 1 " + kSha256, "3 1 1 " + kSha256, true},
    {"DANE-TA, certificate, SHA-512", "2 0 2 " + kSha512, "2 0 2 " + kSha512, true},
    {"as it is", "3 0 0 30820122", "3 0 0 30820122", true},
    {"blanks in the digits", "3  1\t1 " + kSha256.substr(0, 32) + " " + kSha256.substr(32), "3 1 1 " + kSha256, true},
    {"upper case", "3 1 1 " + std::string(64, 'F'), "3 1 1 " + std::string(64, 'f'), true},
    {"PKIX-TA", "0 0 1 " + kSha256, "0 0 1 " + kSha256},
    {"PKIX-EE", "1 1 1 " + kSha256, "1 1 1 " + kSha256},
    {"unknown usage", "4 1 1 " + kSha256, "4 1 1 " + kSha256},
    {"unknown selector", "3 2 1 " + kSha256, "3 2 1 " + kSha256},
    {"unknown matching", "3 1 3 " + kSha256, "3 1 3 " + kSha256},
    {"short digest", "3 1 1 aabb", "3 1 1 aabb"},
    {"SHA-256 where SHA-512 is said", "3 1 2 " + kSha256, "3 1 2 " + kSha256},
    {"empty", ""},
    {"numbers alone", "3 1 1"},
    {"no digits", "3 1 1 "},
    {"half a byte", "3 1 1 abc"},
    {"not hex", "3 1 1 xx"},
    {"too large a number", "300 1 1 aa"},
    {"negative", "-1 1 1 aa"},
    {"two numbers", "3 1 " + kSha256},
    {"too long", "3 0 0 " + std::string(2 * kTlsaBytesMax + 2, 'a')},
};

BOOST_AUTO_TEST_CASE(as_text) {
  for (const Text& c : kTexts) BOOST_TEST_CONTEXT(c.name) {
      const auto record = TlsaRecord::parse(c.text);
      BOOST_TEST(record.has_value() == !c.again.empty());
      if (!record) {
        BOOST_TEST((record.error().code == ErrorCode::kInvalidArgument));
        continue;
      }
      BOOST_TEST(record->str() == c.again);
      BOOST_TEST(record->usable() == c.usable);
      BOOST_TEST((TlsaRecord::parse(record->str()).value() == *record));
    }
}

BOOST_AUTO_TEST_CASE(as_octets) {
  std::vector<std::uint8_t> data{3, 1, 1};
  BOOST_TEST(!parse_tlsa_data({}).has_value());
  BOOST_TEST(!parse_tlsa_data(data).has_value());
  data.insert(data.end(), 32, 0xaa);
  BOOST_REQUIRE(parse_tlsa_data(data).has_value());
  BOOST_TEST(parse_tlsa_data(data)->str() == "3 1 1 " + kSha256);
  data.resize(3 + kTlsaBytesMax);
  BOOST_TEST(parse_tlsa_data(data).has_value());
  data.push_back(0);
  BOOST_TEST(!parse_tlsa_data(data).has_value());
}

}  // namespace
}  // namespace mailsbuddy::net
