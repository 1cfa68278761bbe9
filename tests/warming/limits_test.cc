#include <boost/test/unit_test.hpp>
#include <fstream>
#include <sstream>

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

// ---------------------------------------------------------------------------------------------------------------------
// Data

const ProviderId kGoogle{"google"};

Settings settings_of(std::string_view text) {
  Settings settings;
  const auto added = settings.add(text, "test.tsv");
  BOOST_REQUIRE_MESSAGE(added.has_value(), (added ? "" : added.error().detail));
  return settings;
}

BOOST_AUTO_TEST_CASE(default_then_provider_then_ip_then_both) {
  struct Resolved {
    std::string_view name, text;
    int connections;
  };
  const Resolved cases[] = {
      {"nothing: the default of all receivers", "", 10},
      {"for everybody", "* ip connections=1", 1},
      {"the provider before everybody, whatever the order", "google ip connections=2\n* ip connections=1", 2},
      {"the IP before the provider", "* ip:192.0.2.1 connections=3\ngoogle ip connections=2", 3},
      {"both before the IP", "google ip:192.0.2.1 connections=4\n* ip:192.0.2.1 connections=3", 4},
      {"of one rank the later", "google ip connections=2\ngoogle ip connections=5", 5},
      {"another provider's", "yahoo ip connections=2", 10},
      {"another IP's", "google ip:192.0.2.2 connections=2", 10},
      {"another subject's", "google total connections=2\ngoogle site connections=3", 10},
      {"letter case of the provider", "GOOGLE ip connections=2", 2},
  };
  for (const Resolved& c : cases) {
    BOOST_TEST_CONTEXT(c.name) {
      BOOST_TEST(settings_of(c.text).limits(kGoogle, Subject::kIp, "192.0.2.1").connections == c.connections);
    }
  }
}

BOOST_AUTO_TEST_CASE(each_setting_is_resolved_by_itself_and_says_where_it_is_from) {
  const Settings settings = settings_of(
      "# a comment\n\n* ip connections=1 messages_per_hour=1k\n"
      "google\tip\tconnections=2\r\ngoogle ip:2001:db8::1 messages_per_day=0.5M\n"
      "google control deferral_hold=0.5% restart_pause=20m\n");
  const Limits limits = settings.limits(kGoogle, Subject::kIp, "2001:db8::1");
  BOOST_TEST(limits.connections == 2);
  BOOST_TEST(limits.messages_per_hour == 1'000U);
  BOOST_TEST(limits.messages_per_day == 500'000U);
  BOOST_TEST(settings.thresholds(kGoogle).deferral_hold == 0.005);
  BOOST_TEST((settings.thresholds(kGoogle).restart_pause == std::chrono::minutes(20)));
  BOOST_TEST((settings.thresholds(ProviderId{"yahoo"}) == Thresholds{}));
  std::string text;
  for (const auto& origin : settings.origins(kGoogle, Subject::kIp, "2001:db8::1")) {
    text += origin.setting + "=" + origin.value + " " + origin.where + "\n";
  }
  BOOST_TEST(text ==
             "connections=2 test.tsv:4, for google\n"
             "messages_per_hour=1k test.tsv:3, for everybody\n"
             "messages_per_day=0.5M test.tsv:5, for ip 2001:db8::1 at google\n"
             "deferral_hold=0.5% test.tsv:6, for google\n"
             "restart_pause=20m test.tsv:6, for google\n");
}

BOOST_AUTO_TEST_CASE(subjects_without_a_line_are_unlimited) {
  const Settings settings = settings_of("* account:acme messages_per_day=100\n* campaign messages_per_second=5");
  BOOST_TEST((settings.limits(kGoogle, Subject::kAccount, "other") == Limits::unlimited()));
  BOOST_TEST(settings.limits(kGoogle, Subject::kAccount, "acme").messages_per_day == 100U);
  BOOST_TEST(settings.limits(kGoogle, Subject::kCampaign, "spring").messages_per_second == 5.0);
  BOOST_TEST((settings.limits(kGoogle, Subject::kTotal) == Limits::unlimited()));
  BOOST_TEST(settings.any(Subject::kAccount));
  BOOST_TEST(!settings.any(Subject::kSite));
}

BOOST_AUTO_TEST_CASE(what_is_wrong_is_told_with_its_line) {
  struct Wrong {
    std::string_view name, text, error;
  };
  const Wrong cases[] = {
      {"too few words", "google ip", "t:1: PROVIDER SUBJECT"},
      {"the line is counted", "# one\n\ngoogle ip connections=1\ngoogle ip\n", "t:4: "},
      {"unknown subject", "google host connections=1", "no subject \"host\""},
      {"unknown setting", "google ip speed=1", "no setting \"speed\""},
      {"a threshold of an ip", "google ip deferral_hold=1%", "no setting \"deferral_hold\" here"},
      {"a limit of control", "google control connections=1", "no setting \"connections\" here"},
      {"no value", "google ip connections", "NAME=VALUE"},
      {"an empty value", "google ip connections=", "not a value"},
      {"a word", "google ip connections=many", "not a value"},
      {"negative", "google ip connections=-1", "not a value"},
      {"exponent", "google ip messages_per_day=1e9", "not a value"},
      {"infinite", "google ip messages_per_second=inf", "not a value"},
      {"zero connections", "google ip connections=0", "is not from 1"},
      {"too many connections", "google ip connections=1M", "is not from"},
      {"half a connection", "google ip connections=1.5", "whole number"},
      {"no unit of time", "google control restart_pause=600", "not a value"},
      {"no share", "google control sent_share=75", "is not from"},
      {"an empty name", "google ip: connections=1", "a name is missing"},
      {"no such provider", "gogle ip connections=1", "no provider \"gogle\", but \"google\""},
      {"a brand", "gmail ip connections=1", "no provider \"gmail\", but \"google\""},
      {"no messages on a connection", "* account messages_per_connection=0", "is not from 1"},
      {"a window is of an IP's connections", "* site messages_in_flight=1", "a setting of ip alone"},
      {"total with a name", "google total:x connections=1", "total has no name"},
  };
  for (const Wrong& c : cases) {
    BOOST_TEST_CONTEXT(c.name) {
      Settings settings;
      const auto added = settings.add(c.text, "t");
      BOOST_REQUIRE(!added);
      BOOST_TEST((added.error().code == ErrorCode::kInvalidArgument));
      BOOST_TEST(added.error().detail.find(c.error) != std::string::npos, added.error().detail);
      BOOST_TEST((settings.limits(kGoogle) == Limits{}));  // All or nothing.
    }
  }
}

BOOST_AUTO_TEST_CASE(the_shipped_data_is_read_whole) {
  std::ifstream file(MAILSBUDDY_SOURCE_DIR "/warming/providers.tsv");
  std::ostringstream text;
  text << file.rdbuf();
  Settings read;
  const auto added = read.add(text.str(), "providers.tsv");
  BOOST_REQUIRE_MESSAGE(added.has_value(), (added ? "" : added.error().detail));
  for (const Case& c : kCases) {
    const ProviderId id{std::string(c.provider)};
    BOOST_TEST((read.limits(id) == Settings::shipped().limits(id)));
  }
  BOOST_TEST(Settings::shipped().thresholds(ProviderId{"microsoft"}).curve_multiplier == 0.5);
}

}  // namespace
}  // namespace mailsbuddy::warming
