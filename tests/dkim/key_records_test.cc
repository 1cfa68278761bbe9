// Files of key records, as the command reads them.
#include "services/cli/key_records.h"

#include <boost/test/unit_test.hpp>

namespace mailsbuddy::cli {
namespace {

using Kind = dkim::KeyAnswer::Kind;

BOOST_AUTO_TEST_CASE(finds_what_is_listed) {
  const auto records = KeyRecords::parse(
      "name\ttype\tvalue\r\n"
      "a._domainkey.brand.example\tTXT\tv=DKIM1; p=one\r\n"
      "\n"
      "A._domainkey.Brand.example.\tTXT\tv=DKIM1;\tp=two\n"
      "b._domainkey.brand.example\tNXDOMAIN\t\n"
      "c._domainkey.brand.example\tSERVFAIL\t\n"
      "d._domainkey.brand.example\tTIMEOUT\n"
      "e._domainkey.brand.example\tTXT\t");
  BOOST_REQUIRE(records.has_value());
  const auto both = records->find("a._DOMAINKEY.brand.example");
  BOOST_TEST((both.kind == Kind::kFound));
  BOOST_TEST((both.records == std::vector<std::string>{"v=DKIM1; p=one", "v=DKIM1;\tp=two"}));
  BOOST_TEST((records->find("b._domainkey.brand.example").kind == Kind::kNoSuchName));
  BOOST_TEST((records->find("c._domainkey.brand.example").kind == Kind::kTemporaryFailure));
  BOOST_TEST(records->find("d._domainkey.brand.example").detail == "timeout");
  BOOST_TEST((records->find("e._domainkey.brand.example").records == std::vector<std::string>{""}));
  BOOST_TEST((records->find("f._domainkey.brand.example").kind == Kind::kNoSuchName));
}

BOOST_AUTO_TEST_CASE(refuses_other_lines) {
  for (const std::string_view text :
       {"a", "a\n", "a\tMX\t10 b", "\tTXT\tx", "a\tTXT\tx\nname\ttype\tvalue", "a txt x"}) {
    BOOST_TEST_CONTEXT(text) {
      const auto records = KeyRecords::parse(text);
      BOOST_REQUIRE(!records.has_value());
      BOOST_TEST(records.error().detail.starts_with("line "));
    }
  }
  BOOST_TEST(KeyRecords::parse("").has_value());
}

}  // namespace
}  // namespace mailsbuddy::cli
