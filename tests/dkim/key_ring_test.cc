#include <boost/test/unit_test.hpp>

#include "mailsbuddy/dkim.h"

namespace mailsbuddy::dkim {
namespace {

const PrivateKey& ed25519() {
  static const PrivateKey key = PrivateKey::generate_ed25519().value();
  return key;
}

Signer signer(std::string_view domain, std::string_view selector, const PrivateKey& key) {
  return Signer::make(domain, selector, key).value();
}

Signer signer(std::string_view domain, std::string_view selector = "s1") {
  static const PrivateKey key = PrivateKey::generate_rsa(1024, {.allow_short_rsa = true}).value();
  return signer(domain, selector, key);
}

constexpr TimePoint at(int second) { return TimePoint(std::chrono::seconds(second)); }

std::string joined(const KeyRing& ring, std::string_view domain, TimePoint now,
                   const std::string& (Signer::*what)() const noexcept) {
  std::string text;
  const auto signers = ring.signers_for(domain, now).value();
  for (const Signer* each : signers.view()) text += (text.empty() ? "" : " ") + (each->*what)();
  return text;
}
std::string names(const KeyRing& ring, std::string_view domain) { return joined(ring, domain, at(0), &Signer::domain); }
std::string selectors(const KeyRing& ring, std::string_view domain, TimePoint now = at(0)) {
  return joined(ring, domain, now, &Signer::selector);
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
    BOOST_TEST_CONTEXT(c.name) { BOOST_TEST(names(ring, c.domain) == c.found); }
  }
}

BOOST_AUTO_TEST_CASE(a_domain_has_one_signer) {
  KeyRing ring;
  BOOST_TEST(ring.add(signer("brand.example")).has_value());
  const auto again = ring.add(signer("BRAND.example"));
  BOOST_REQUIRE(!again);
  BOOST_TEST((again.error().code == ErrorCode::kAlreadyExists));
  BOOST_TEST(again.error().detail == "brand.example has a signer of type RSA from that time on already");
}

BOOST_AUTO_TEST_CASE(an_empty_ring_finds_nothing) { BOOST_TEST(names(KeyRing(), "brand.example") == ""); }

// From the middle of the old key's life to the end of its overlap.
BOOST_AUTO_TEST_CASE(the_youngest_that_has_begun_signs) {
  KeyRing ring;
  BOOST_TEST(ring.add(signer("brand.example", "new"), at(2000)).has_value());
  BOOST_TEST(ring.add(signer("brand.example", "old"), at(1000)).has_value());
  BOOST_TEST(ring.add(signer("brand.example", "next"), at(3000)).has_value());
  BOOST_TEST(selectors(ring, "brand.example", at(999)) == "");
  BOOST_TEST(selectors(ring, "brand.example", at(1000)) == "old");
  BOOST_TEST(selectors(ring, "brand.example", at(1999)) == "old");
  BOOST_TEST(selectors(ring, "brand.example", at(2000)) == "new");
  BOOST_TEST(selectors(ring, "news.brand.example", at(2999)) == "new");
  BOOST_TEST(selectors(ring, "brand.example", at(3000)) == "next");
}

BOOST_AUTO_TEST_CASE(a_domain_without_one_that_has_begun_is_passed_over) {
  KeyRing ring;
  BOOST_TEST(ring.add(signer("news.brand.example", "future"), at(2000)).has_value());
  BOOST_TEST(ring.add(signer("brand.example", "parent"), at(1000)).has_value());
  BOOST_TEST(selectors(ring, "news.brand.example", at(1999)) == "parent");
  BOOST_TEST(selectors(ring, "news.brand.example", at(2000)) == "future");
}

BOOST_AUTO_TEST_CASE(rsa_and_ed25519_rotate_apart) {
  KeyRing ring;
  BOOST_TEST(ring.add(signer("brand.example", "r1"), at(1000)).has_value());
  BOOST_TEST(ring.add(signer("brand.example", "r2"), at(2000)).has_value());
  BOOST_TEST(ring.add(signer("brand.example", "e1", ed25519()), at(1500)).has_value());
  BOOST_TEST(selectors(ring, "brand.example", at(1000)) == "r1");
  BOOST_TEST(selectors(ring, "brand.example", at(1500)) == "r1 e1");
  BOOST_TEST(selectors(ring, "brand.example", at(2000)) == "r2 e1");
}

BOOST_AUTO_TEST_CASE(the_platform_signs_besides) {
  KeyRing ring;
  BOOST_TEST(ring.add(signer("brand.example", "s1")).has_value());
  BOOST_TEST(ring.add(signer("platform.test", "own")).has_value());
  BOOST_TEST(ring.add_for_all(signer("platform.test", "p2"), at(2000)).has_value());
  BOOST_TEST(ring.add_for_all(signer("platform.test", "p1"), at(1000)).has_value());
  BOOST_TEST(ring.add_for_all(signer("platform.test", "pe", ed25519())).has_value());
  BOOST_TEST(selectors(ring, "brand.example", at(1000)) == "s1 p1 pe");
  BOOST_TEST(selectors(ring, "brand.example", at(2000)) == "s1 p2 pe");
  BOOST_TEST(selectors(ring, "other.test", at(2000)) == "p2 pe");
  BOOST_TEST(selectors(ring, "platform.test", at(2000)) == "own pe");  // Not twice for one domain with one algorithm.
  BOOST_TEST(ring.add_for_all(signer("PLATFORM.test"), at(2000)).error().detail ==
             "platform.test has a signer of type RSA from that time on already");
}

BOOST_AUTO_TEST_CASE(identities_for_all_are_few) {
  KeyRing ring;
  for (const auto* domain : {"a.test", "b.test", "c.test", "d.test"}) {
    BOOST_TEST(ring.add_for_all(signer(domain)).has_value());
  }
  const auto fifth = ring.add_for_all(signer("e.test"));
  BOOST_REQUIRE(!fifth);
  BOOST_TEST((fifth.error().code == ErrorCode::kResourceExhausted));
  BOOST_TEST(ring.add_for_all(signer("a.test"), at(1)).has_value());  // The same identity later.
  BOOST_TEST(ring.signers_for("brand.example", at(2)).value().view().size() == 4U);
}

BOOST_AUTO_TEST_CASE(a_lazy_key_is_fetched_once_when_needed) {
  int asked = 0;
  const std::string pem = ed25519().pem();
  KeyRing ring;
  BOOST_TEST(ring.add_lazy("Brand.example", "lazy", Algorithm::kEd25519Sha256,
                           [&]() -> Result<std::string> {
                             ++asked;
                             return pem;
                           })
                 .has_value());
  BOOST_TEST(selectors(ring, "other.test") == "");
  BOOST_TEST(asked == 0);
  BOOST_TEST(selectors(ring, "brand.example") == "lazy");
  BOOST_TEST(selectors(ring, "news.brand.example") == "lazy");
  BOOST_TEST(asked == 1);
}

BOOST_AUTO_TEST_CASE(a_lazy_key_that_fails_is_asked_for_again) {
  bool sealed = true;
  const std::string pem = ed25519().pem();
  KeyRing ring;
  BOOST_TEST(ring.add_lazy("brand.example", "s1", Algorithm::kEd25519Sha256,
                           [&]() -> Result<std::string> {
                             if (sealed) return Error{ErrorCode::kUnavailable, "the vault is sealed"};
                             return pem;
                           })
                 .has_value());
  const auto failed = ring.signers_for("brand.example", at(0));
  BOOST_REQUIRE(!failed);
  BOOST_TEST((failed.error().code == ErrorCode::kUnavailable));
  BOOST_TEST(failed.error().detail == "the key of s1._domainkey.brand.example: the vault is sealed");
  sealed = false;
  BOOST_TEST(selectors(ring, "brand.example") == "s1");
}

BOOST_AUTO_TEST_CASE(what_is_wrong_with_a_lazy_key) {
  const std::string pem = ed25519().pem();
  const auto source = [&]() -> Result<std::string> { return pem; };
  KeyRing ring;
  BOOST_TEST(ring.add_lazy("brand.example", "s1", Algorithm::kRsaSha256, source).has_value());
  BOOST_TEST(ring.signers_for("brand.example", at(0)).error().detail ==
             "the key of s1._domainkey.brand.example: is of type Ed25519, not RSA");
  BOOST_TEST(ring.add_lazy("brand example", "s1", Algorithm::kRsaSha256, source).error().detail ==
             "domain \"brand example\" is not a DNS name");
  BOOST_TEST(ring.add_lazy("a.test", "s1", Algorithm::kRsaSha256, nullptr).error().detail == "no source of the key");
  BOOST_TEST(!ring.add_lazy("brand.example", "s2", Algorithm::kRsaSha256, source));
}

}  // namespace
}  // namespace mailsbuddy::dkim
