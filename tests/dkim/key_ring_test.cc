#include <boost/test/unit_test.hpp>

#include "mailsbuddy/dkim.h"

namespace mailsbuddy::dkim {
namespace {

Signer signer(std::string_view domain) {
  static const PrivateKey key = PrivateKey::generate(1024).value();
  return Signer::make(domain, "s1", key).value();
}

struct Case {
  std::string_view name;
  std::string_view domain;
  std::string_view found;  // Empty: none.
};
constexpr Case kCases[] = {
    {.name = "itself", .domain = "brand.example", .found = "brand.example"},
    {.name = "letter case", .domain = "BRAND.Example", .found = "brand.example"},
    {.name = "its child", .domain = "news.brand.example", .found = "brand.example"},
    {.name = "its grandchild", .domain = "a.News.brand.example", .found = "brand.example"},
    {.name = "the nearest parent", .domain = "x.shop.brand.example", .found = "shop.brand.example"},
    {.name = "a name that only ends alike", .domain = "otherbrand.example", .found = ""},
    {.name = "a parent", .domain = "example", .found = ""},
    {.name = "another", .domain = "other.test", .found = ""},
    {.name = "empty", .domain = "", .found = ""},
    {.name = "dots", .domain = "..", .found = ""},
    {.name = "the first in order", .domain = "a.test", .found = "a.test"},
    {.name = "the last in order", .domain = "z.test", .found = "z.test"},
};

BOOST_AUTO_TEST_CASE(finds_the_domain_or_its_nearest_parent) {
  KeyRing ring;
  BOOST_TEST(ring.empty());
  for (const auto* domain : {"z.test", "Brand.Example", "a.test", "shop.brand.example"}) {
    BOOST_TEST(ring.add(signer(domain)).has_value());
  }
  BOOST_TEST(!ring.empty());
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      const Signer* found = ring.find(c.domain);
      BOOST_TEST((found == nullptr ? "" : found->domain()) == c.found);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_domain_has_one_signer) {
  KeyRing ring;
  BOOST_TEST(ring.add(signer("brand.example")).has_value());
  const auto again = ring.add(signer("BRAND.example"));
  BOOST_REQUIRE(!again);
  BOOST_TEST((again.error().code == ErrorCode::kAlreadyExists));
  BOOST_TEST(again.error().detail == "brand.example has a signer already");
}

BOOST_AUTO_TEST_CASE(an_empty_ring_finds_nothing) { BOOST_TEST(KeyRing().find("brand.example") == nullptr); }

}  // namespace
}  // namespace mailsbuddy::dkim
