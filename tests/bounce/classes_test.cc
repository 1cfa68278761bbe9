#include "bounce/classes.h"

#include <boost/test/unit_test.hpp>
#include <set>

namespace mailsbuddy::bounce {
namespace {

constexpr int kClassCount = static_cast<int>(Class::kUndetermined) + 1;

BOOST_AUTO_TEST_CASE(names_are_told_apart) {
  std::set<std::string_view> names;
  for (int i = 0; i < kClassCount; ++i) names.insert(to_string(static_cast<Class>(i)));
  BOOST_TEST(names.size() == kClassCount);
  BOOST_TEST(to_string(Class::kUserUnknown) == "user_unknown");
  BOOST_TEST(to_string(Class::kRfcNoncompliant) == "rfc_noncompliant");
  BOOST_TEST(to_string(Permanence::kUndetermined) == "undetermined");
  BOOST_TEST(to_string(Scope::kSourceIp) == "source_ip");
  BOOST_TEST(to_string(Reaction::kSuspendAlert) == "suspend_alert");
  BOOST_TEST(to_string(Reaction::kAlert) == "alert");
}

BOOST_AUTO_TEST_CASE(only_what_is_about_the_recipient_suppresses) {
  for (int i = 0; i < kClassCount; ++i) {
    const ClassRow& row = row_of(static_cast<Class>(i));
    BOOST_TEST_CONTEXT(row.name) {
      if (row.reaction == Reaction::kSuppress) BOOST_TEST((row.scope == Scope::kRecipient));
      if (row.permanence == Permanence::kBlock) BOOST_TEST((row.reaction != Reaction::kSuppress));
      if (row.scope == Scope::kSourceIp) BOOST_TEST((row.permanence == Permanence::kBlock));
    }
  }
}

}  // namespace
}  // namespace mailsbuddy::bounce
