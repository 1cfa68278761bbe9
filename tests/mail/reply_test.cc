#include <boost/test/unit_test.hpp>
#include <set>
#include <string>

#include "mailsbuddy/mail.h"

namespace mailsbuddy {
namespace {

BOOST_AUTO_TEST_CASE(stages_and_causes_have_names_of_their_own) {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(Stage::kFinalDot); ++i) names.insert(to_string(static_cast<Stage>(i)));
  BOOST_TEST(names.size() == 11U);
  BOOST_TEST(to_string(Stage::kMake) == "make");
  BOOST_TEST(to_string(Stage::kStartTls) == "start_tls");
  BOOST_TEST(to_string(Stage::kFinalDot) == "final_dot");
  names.clear();
  for (int i = 0; i <= static_cast<int>(Cause::kOverCap); ++i) names.insert(to_string(static_cast<Cause>(i)));
  BOOST_TEST(names.size() == static_cast<std::size_t>(Cause::kOverCap) + 1);
  BOOST_TEST(to_string(Cause::kReply) == "reply");
  BOOST_TEST(to_string(Cause::kCancelled) == "cancelled");
}

BOOST_AUTO_TEST_CASE(replies_are_one_line_for_people) {
  struct Case {
    const char* name;
    Reply reply;
    std::string_view line;
  };
  const Case kCases[] = {
      {.name = "all of it", .reply = {550, EnhancedCode{5, 1, 1}, "No such user"}, .line = "550 5.1.1 No such user"},
      {.name = "no enhanced code", .reply = {250, {}, "ok"}, .line = "250 ok"},
      {.name = "no text", .reply = {421, EnhancedCode{4, 7, 28}, ""}, .line = "421 4.7.28"},
      {.name = "several lines", .reply = {550, {}, "one\ntwo"}, .line = "550 one two"},
      {.name = "none", .reply = {}, .line = "no reply"},
  };
  for (const Case& c : kCases) BOOST_TEST_CONTEXT(c.name) BOOST_TEST(c.reply.str() == c.line);
  BOOST_TEST((EnhancedCode{5, 999, 0}.str()) == "5.999.0");
}

BOOST_AUTO_TEST_CASE(outcomes_are_one_line_for_people) {
  struct Case {
    const char* name;
    Outcome outcome;
    std::string_view line;
  };
  const Reply user{550, EnhancedCode{5, 1, 1}, "No such user"};
  const Case kCases[] = {
      {"a reply", {Stage::kRcptTo, Cause::kReply, user, ""}, "rcpt_to: 550 5.1.1 No such user"},
      {"no reply",
       {Stage::kConnect, Cause::kConnectFailed, {}, "connection refused"},
       "connect: connect_failed (connection refused)"},
      {"neither detail nor reply", {Stage::kFinalDot, Cause::kTimeout, {}, ""}, "final_dot: timeout"},
      {"last words",
       {Stage::kData, Cause::kConnectionLost, {421, {}, "bye"}, ""},
       "data: connection_lost after 421 bye"},
  };
  for (const Case& c : kCases) BOOST_TEST_CONTEXT(c.name) BOOST_TEST(c.outcome.str() == c.line);
}

BOOST_AUTO_TEST_CASE(dates_are_those_of_rfc_5322) {
  struct Case {
    const char* name;
    std::int64_t unix_seconds;
    std::string_view date;
  };
  constexpr Case kCases[] = {
      {"epoch", 0, "Thu, 01 Jan 1970 00:00:00 +0000"},
      {"a leap day", 1709210096, "Thu, 29 Feb 2024 12:34:56 +0000"},
      {"end of a year", 1798761599, "Thu, 31 Dec 2026 23:59:59 +0000"},
      {"start of a year", 1798761600, "Fri, 01 Jan 2027 00:00:00 +0000"},
      {"not a leap year", 4107542400, "Mon, 01 Mar 2100 00:00:00 +0000"},
      {"before the epoch", -1, "Wed, 31 Dec 1969 23:59:59 +0000"},
  };
  for (const Case& c : kCases) BOOST_TEST_CONTEXT(c.name) {
      BOOST_TEST(format_date(TimePoint(std::chrono::seconds(c.unix_seconds))) == c.date);
    }
  BOOST_TEST(format_date(TimePoint(std::chrono::nanoseconds(-1))) == "Wed, 31 Dec 1969 23:59:59 +0000");
}

BOOST_AUTO_TEST_CASE(providers_are_found_from_their_hosts) {
  struct Case {
    const char* name;
    std::string_view host, provider;
  };
  constexpr Case kCases[] = {
      {"Gmail", "gmail-smtp-in.l.google.com", "google"},
      {"Workspace, old", "ASPMX2.GoogleMail.com", "google"},
      {"Workspace, new", "smtp.google.com", "google"},
      {"a trailing dot", "alt1.aspmx.l.google.com.", "google"},
      {"the suffix itself", "google.com", "google"},
      {"whole labels only", "mx.notgoogle.com", "notgoogle.com"},
      {"not in the middle", "google.com.example.net", "example.net"},
      {"Outlook.com", "outlook-com.olc.protection.outlook.com", "microsoft"},
      {"Exchange Online", "brand-example.mail.protection.outlook.com", "microsoft365"},
      {"Exchange Online with DNSSEC", "brand-example.a-v1.mx.microsoft", "microsoft365"},
      {"Yahoo", "mta7.am0.yahoodns.net", "yahoo"},
      {"AOL", "mx-aol.mail.gm0.yahoodns.net", "yahoo"},
      {"iCloud", "mx01.mail.icloud.com", "apple"},
      {"Comcast", "mx1.comcast.net", "comcast"},
      {"GMX", "mx00.gmx.net", "gmx"},
      {"web.de", "mx-ha02.web.de", "gmx"},
      {"Orange", "smtp-in.orange.fr", "orange"},
      {"Mail.ru", "mxs.mail.ru", "mailru"},
      {"Yandex", "mx.yandex.ru", "yandex"},
      {"Zoho", "mx2.zoho.com", "zoho"},
      {"Proofpoint", "mx0a-0012ab01.pphosted.com", "proofpoint"},
      {"Mimecast", "eu-smtp-inbound-1.mimecast.com", "mimecast"},
      {"Barracuda", "d1234a.ess.barracudanetworks.com", "barracuda"},
      {"QQ", "mx3.qq.com", "qq"},
      {"NetEase", "163mx01.mxmail.netease.com", "netease"},
      {"registrable domain", "mx1.mail.example.co.uk", "example.co.uk"},
      {"a domain of its own", "example.org", "example.org"},
      {"unknown top level", "mx1.sink.test", "sink.test"},
      {"a public suffix has no registrable domain", "co.uk", "co.uk"},
      {"one label", "MX1", "mx1"},
      {"an address", "192.0.2.1", "192.0.2.1"},
      {"nothing", "", ""},
  };
  for (const Case& c : kCases) BOOST_TEST_CONTEXT(c.name) BOOST_TEST(provider_of(c.host).name == c.provider);
}

BOOST_AUTO_TEST_CASE(providers_that_are_meant) {
  const std::pair<std::string_view, std::string_view> kCases[] = {
      {"google", ""},        {"gmail", "google"},   {"gogle", "google"},        {"googel", "google"},
      {"goggle", "google"},  {"googlle", "google"}, {"gmial", "google"},        {"outlok", "microsoft"},
      {"aol", "yahoo"},      {"yaho", "yahoo"},     {"micorsoft", "microsoft"}, {"mail", ""},
      {"example.net", ""},   {"gmail.com", ""},     {"2001:db8::1", ""},        {"localhost", ""},
      {"relay", ""},         {"", ""},              {"q", ""},                  {"microsoft365", ""}};
  for (const auto& [name, meant] : kCases) BOOST_TEST(meant_provider(name) == meant, name);
  BOOST_TEST(provider_of_brand("office365") == "microsoft365");
  BOOST_TEST(provider_of_brand("gmail") == "google");
  for (const std::string_view none : {"google", "gmial", ""}) BOOST_TEST(provider_of_brand(none) == "");
}

}  // namespace
}  // namespace mailsbuddy
