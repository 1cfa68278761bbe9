#include <boost/test/unit_test.hpp>

#include "mailsbuddy/warming.h"

namespace mailsbuddy::warming {
namespace {

struct Case {
  std::string_view provider;
  int connections;
  int messages_per_connection;
};
constexpr Case kCases[] = {
    {.provider = "google", .connections = 5, .messages_per_connection = 50},
    {.provider = "microsoft", .connections = 5, .messages_per_connection = 50},
    {.provider = "microsoft365", .connections = 5, .messages_per_connection = 50},
    {.provider = "yahoo", .connections = 10, .messages_per_connection = 20},
    {.provider = "apple", .connections = 10, .messages_per_connection = 5},
    {.provider = "comcast", .connections = 25, .messages_per_connection = 1000},
    {.provider = "mimecast", .connections = 10, .messages_per_connection = 100},
    {.provider = "orange", .connections = 2, .messages_per_connection = 100},
    {.provider = "example.net", .connections = 10, .messages_per_connection = 100},
    {.provider = "", .connections = 10, .messages_per_connection = 100},
};

BOOST_AUTO_TEST_CASE(each_provider_has_its_limits) {
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.provider) {
      const Limits limits = default_limits(ProviderId{std::string(c.provider)});
      BOOST_TEST(limits.connections == c.connections);
      BOOST_TEST(limits.messages_per_connection == c.messages_per_connection);
      BOOST_TEST(limits.messages_per_second == 100.0);
      BOOST_TEST(limits.burst == 10.0);
    }
  }
}

// A limit under a name that no MX host leads to would never be used.
BOOST_AUTO_TEST_CASE(the_names_are_those_that_mx_hosts_lead_to) {
  constexpr std::pair<std::string_view, std::string_view> kHosts[] = {
      {"gmail-smtp-in.l.google.com", "google"},
      {"outlook-com.olc.protection.outlook.com", "microsoft"},
      {"brand-example.mail.protection.outlook.com", "microsoft365"},
      {"mta5.am0.yahoodns.net", "yahoo"},
      {"mx01.mail.icloud.com", "apple"},
      {"mx2.comcast.net", "comcast"},
      {"eu-smtp-inbound-1.mimecast.com", "mimecast"},
      {"smtp-in.orange.fr", "orange"},
  };
  for (const auto& [host, provider] : kHosts) BOOST_TEST(provider_of(host).name == provider);
}

}  // namespace
}  // namespace mailsbuddy::warming
