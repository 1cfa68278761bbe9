// Sink profiles as people write them.
#include <boost/test/unit_test.hpp>

#include "services/cli/sink_profiles.h"

namespace mailsbuddy::cli {
namespace {

using smtp::SinkProfile;
using std::chrono::milliseconds;

bool same(const SinkProfile& a, const SinkProfile& b) {
  return a.name == b.name && a.banner_host == b.banner_host && a.latency == b.latency &&
         a.defer_chance == b.defer_chance && a.defer_reply == b.defer_reply && a.reject_chance == b.reject_chance &&
         a.reject_reply == b.reject_reply && a.data_reject_chance == b.data_reject_chance &&
         a.data_reject_reply == b.data_reject_reply && a.sticky == b.sticky &&
         a.messages_per_connection == b.messages_per_connection && a.connections_max == b.connections_max &&
         a.start_tls == b.start_tls && a.pipelining == b.pipelining && a.chunking == b.chunking &&
         a.smtputf8 == b.smtputf8 && a.size_max == b.size_max;
}

const SinkProfile kEverything{.name = "p",
                              .banner_host = "mx.example",
                              .latency = milliseconds(1500),
                              .defer_chance = 0.05,
                              .defer_reply = "451 4.7.1 Wait, \"please\"",
                              .reject_chance = 0.125,
                              .reject_reply = "550 no",
                              .data_reject_chance = 1,
                              .data_reject_reply = "554 spam",
                              .sticky = false,
                              .messages_per_connection = 3,
                              .connections_max = 4,
                              .start_tls = true,
                              .pipelining = false,
                              .chunking = true,
                              .smtputf8 = false,
                              .size_max = 2U << 20};

}  // namespace

BOOST_AUTO_TEST_CASE(profiles_on_the_command_line) {
  struct Case {
    std::string_view text;
    SinkProfile expected;
  };
  const Case kCases[] = {
      {"p", {.name = "p"}},
      {"p:", {.name = "p"}},
      {"p:starttls,latency=0", {.name = "p", .start_tls = true}},
      {"p:latency=250us,size=1000", {.name = "p", .latency = std::chrono::microseconds(250), .size_max = 1000}},
      {R"(p:banner-host=mx.example,latency=1.5s,defer=5%,defer-reply="451 4.7.1 Wait, ""please""",reject=12.5%,)"
       R"(reject-reply=550 no,data-reject=1,data-reject-reply="554 spam",sticky=off,messages-per-connection=3,)"
       R"(connections=4,starttls,pipelining=no,chunking=on,smtputf8=false,size=2M)",
       kEverything},
  };
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.text) {
      const auto profile = parse_profile(c.text);
      BOOST_REQUIRE(profile.has_value());
      BOOST_TEST(same(*profile, c.expected));
    }
  }
}

BOOST_AUTO_TEST_CASE(profiles_in_a_file) {
  const auto profiles = parse_profiles_json(
      R"({"p": {"banner-host": "mx.example", "latency": "1.5s", "defer": 0.05, "defer-reply": "451 4.7.1 Wait, \"please\"",
          "reject": "12.5%", "reject-reply": "550 no", "data-reject": 1, "data-reject-reply": "554 spam", "sticky": false,
          "messages-per-connection": 3, "connections": "4", "starttls": true, "pipelining": "off", "chunking": true,
          "smtputf8": false, "size": 2097152},
          "q": {}})");
  BOOST_REQUIRE(profiles.has_value());
  BOOST_REQUIRE_EQUAL(profiles->size(), 2U);
  BOOST_TEST(same((*profiles)[0], kEverything));
  BOOST_TEST(same((*profiles)[1], SinkProfile{.name = "q"}));
}

BOOST_AUTO_TEST_CASE(what_is_wrong_is_named) {
  struct Case {
    std::string_view text;
    std::string_view detail;  // Its beginning.
  };
  const Case kCases[] = {
      {"", "profile \"\" has no name"},
      {":latency=1s", "profile \":latency=1s\" has no name"},
      {"p:latency=20", "profile \"p\": latency takes a time as 20ms or 1.5s, not \"20\""},
      {"p:latency=-1s", "profile \"p\": latency takes a time"},
      {"p:latency=1e300h", "profile \"p\": latency takes a time"},
      {"p:latency=nans", "profile \"p\": latency takes a time"},
      {"p:latency", "profile \"p\": latency takes a time as 20ms or 1.5s, not \"\""},
      {"p:defer=101%", "profile \"p\": defer takes a chance as 5% or 0.05, not \"101%\""},
      {"p:defer=5", "profile \"p\": defer takes a chance"},
      {"p:connections=-1", "profile \"p\": connections takes a number, 0 for no limit, not \"-1\""},
      {"p:connections=99999999999", "profile \"p\": connections takes a number"},
      {"p:starttls=maybe", "profile \"p\": starttls takes on or off, not \"maybe\""},
      {"p:size=1T", "profile \"p\": size takes bytes"},
      {"p:speed=1", "profile \"p\": no setting is called \"speed\"; there are latency, defer, "},
      {"p:,", "profile \"p\": no setting is called \"\""},
      {"p:defer-reply=\"451 x", "profile \"p\": the value of defer-reply ends with no closing quotation mark"},
      {"p:defer-reply=\"451 x\"y", "profile \"p\": the value of defer-reply ends with no closing quotation mark"},
  };
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.text) {
      const auto profile = parse_profile(c.text);
      BOOST_REQUIRE(!profile.has_value());
      BOOST_TEST(profile.error().detail.substr(0, c.detail.size()) == c.detail);
    }
  }
  for (const std::string_view json : {"", "[]", "{\"p\": 1}", "{\"p\": {\"latency\": []}}", "{\"p\": {\"x\": 1}}", "{"})
    BOOST_TEST_CONTEXT(json) { BOOST_TEST(!parse_profiles_json(json).has_value()); }
}

}  // namespace mailsbuddy::cli
