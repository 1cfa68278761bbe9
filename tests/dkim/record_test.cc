#include <boost/test/unit_test.hpp>

#include "mailsbuddy/dkim.h"

namespace mailsbuddy::dkim {
namespace {

struct Case {
  std::string_view name;
  std::string_view text;
  std::string_view canonical;  // What str() of it gives; "! reason": refused.
};
constexpr Case kCases[] = {
    {.name = "least", .text = "p=AAAA", .canonical = "v=DKIM1; k=rsa; p=AAAA"},
    {.name = "usual", .text = "v=DKIM1; k=rsa; p=AAAA", .canonical = "v=DKIM1; k=rsa; p=AAAA"},
    {.name = "Ed25519", .text = "v=DKIM1;k=ed25519;p=AAAA", .canonical = "v=DKIM1; k=ed25519; p=AAAA"},
    {.name = "everything",
     .text = "v=DKIM1; h=sha1 : sha256; k=RSA; n=for=20people; s=email:x; t=y:s; p=AA AA;",
     .canonical = "v=DKIM1; h=sha1:sha256; k=rsa; n=for=20people; s=email:x; t=y:s; p=AAAA"},
    {.name = "revoked", .text = "v=DKIM1; p=", .canonical = "v=DKIM1; k=rsa; p="},
    {.name = "any order after v=", .text = "p=AAAA; k=rsa", .canonical = "v=DKIM1; k=rsa; p=AAAA"},
    {.name = "unknown tags", .text = "p=AAAA; zz=1; g=*", .canonical = "v=DKIM1; k=rsa; p=AAAA"},
    {.name = "a type that nobody knows", .text = "k=dsa; p=AAAA", .canonical = "v=DKIM1; k=dsa; p=AAAA"},
    {.name = "bad notes", .text = "n=a=b; p=AAAA", .canonical = "v=DKIM1; k=rsa; n=a=3Db; p=AAAA"},
    {.name = "empty", .text = "", .canonical = "! tag 1 has no \"=\""},
    {.name = "no list", .text = "hello", .canonical = "! tag 1 has no \"=\""},
    {.name = "no p=", .text = "v=DKIM1; k=rsa", .canonical = "! no p="},
    {.name = "p= is no base 64", .text = "p=!!", .canonical = "! p= is not base 64"},
    {.name = "v= not first", .text = "k=rsa; v=DKIM1; p=AAAA", .canonical = "! v= is not the first tag"},
    {.name = "other version", .text = "v=DKIM2; p=AAAA", .canonical = "! v=DKIM2 is not DKIM1"},
    {.name = "letter case of the version", .text = "v=dkim1; p=AAAA", .canonical = "! v=dkim1 is not DKIM1"},
    {.name = "p= twice", .text = "p=AAAA; p=AAAA", .canonical = "! p= stands twice"},
    {.name = "SPF", .text = "v=spf1 -all", .canonical = "! v=spf1 -all is not DKIM1"},
};

BOOST_AUTO_TEST_CASE(records) {
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      const auto record = KeyRecord::parse(c.text);
      BOOST_TEST((record ? record->str() : "! " + record.error().detail) == c.canonical);
      if (record) BOOST_TEST(KeyRecord::parse(record->str()).value().str() == c.canonical);
    }
  }
}

BOOST_AUTO_TEST_CASE(what_a_record_allows) {
  const auto all = KeyRecord::parse("p=AAAA").value();
  BOOST_TEST((all.allows_hash("sha256") && all.serves_email() && !all.has_flag("y") && !all.has_flag("s")));
  BOOST_TEST(!all.revoked());
  const auto some = KeyRecord::parse("h=sha1; s=tlsrpt; t=s; p=").value();
  BOOST_TEST((some.allows_hash("sha1") && !some.allows_hash("sha256") && !some.serves_email() && some.has_flag("s")));
  BOOST_TEST(some.revoked());
  BOOST_TEST(KeyRecord::parse("s=x:email; p=").value().serves_email());
}

BOOST_AUTO_TEST_CASE(a_record_that_is_too_long) {
  BOOST_TEST(KeyRecord::parse("p=" + std::string(20'000, 'A')).error().detail == "longer than 16384 octets");
}

}  // namespace
}  // namespace mailsbuddy::dkim
