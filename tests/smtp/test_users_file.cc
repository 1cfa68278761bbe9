// The file of those who may submit.
#include <boost/test/unit_test.hpp>

#include <string>

#include "services/cli/users_file.h"

namespace mailsbuddy::cli {
namespace {

// openssl passwd -5 -salt abc secret
const std::string kHash = "$5$abc$qsg6EHbUzHQzF1POlD7zUwBINSELQxypPaeDcZe6vH0";

std::string line(const std::string& user, const std::string& rest = "") { return user + ":" + kHash + rest + "\n"; }

}  // namespace

BOOST_AUTO_TEST_CASE(users_with_accounts_and_rights) {
  const auto users =
      UsersFile::parse("# a comment\n\n" + line("ann") + line("bob", ":acme:route,from=b.example,from=x@c.example") +
                       "carol:" + kHash + ":acme\r\n");
  BOOST_REQUIRE(users.has_value());
  const auto ann = users->judge("ann", "secret");
  BOOST_REQUIRE(ann.has_value());
  BOOST_TEST(ann->user == "ann");
  BOOST_TEST(ann->account == "");
  BOOST_TEST(!ann->may_route);
  BOOST_TEST(ann->senders.empty());
  const auto bob = users->judge("bob", "secret");
  BOOST_REQUIRE(bob.has_value());
  BOOST_TEST(bob->account == "acme");
  BOOST_TEST(bob->may_route);
  BOOST_TEST(bob->senders == (std::vector<std::string>{"b.example", "x@c.example"}), boost::test_tools::per_element());
  BOOST_TEST(users->judge("carol", "secret").has_value());
  for (const auto& [user, password] : std::initializer_list<std::pair<std::string_view, std::string_view>>{
           {"ann", "Secret"}, {"ann", ""}, {"ann", kHash}, {"Ann", "secret"}, {"dave", "secret"}, {"", "secret"}}) {
    BOOST_TEST_CONTEXT(user << " " << password) { BOOST_TEST(!users->judge(user, password).has_value()); }
  }
}

BOOST_AUTO_TEST_CASE(lines_that_are_none) {
  struct Case {
    std::string name, text, detail;
  };
  const Case kCases[] = {
      {"nobody", "# nobody\n", "no users are in it"},
      {"no hash", "ann\n", "line 1: USER:HASH[:ACCOUNT[:RIGHTS]] is expected"},
      {"no name", line(""), "line 1: USER:HASH[:ACCOUNT[:RIGHTS]] is expected"},
      {"a password in clear", line("bob") + "ann:secret\n",
       "line 2: the hash is none that crypt(3) knows; openssl passwd -6 makes one"},
      {"a right that is none", line("ann", ":acme:admin"), "line 1: a right is neither route nor from=DOMAIN"},
      {"a right to nothing", line("ann", ":acme:from="), "line 1: a right is neither route nor from=DOMAIN"},
      {"one user twice", line("ann") + line("ann"), "line 2: this user was there before"},
  };
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      const auto users = UsersFile::parse(c.text);
      BOOST_REQUIRE(!users.has_value());
      BOOST_TEST(users.error().detail == c.detail);
    }
  }
}

}  // namespace mailsbuddy::cli
