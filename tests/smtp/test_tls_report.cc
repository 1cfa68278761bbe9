// TLS reports: what counts as what, and how it is written. Python reads what we wrote.
#include <boost/test/unit_test.hpp>

#include "mailsbuddy/smtp.h"

using namespace mailsbuddy;
using smtp::RouteTls;
using smtp::TlsReports;
using smtp::TlsResult;
using smtp::TlsResultType;

namespace {

net::IpAddress ip(std::string_view text) { return *net::IpAddress::parse(text); }

TlsResult good() {
  return {.mx_host = "mx.example.net",
          .local = ip("192.0.2.1"),
          .remote = ip("198.51.100.1"),
          .tls = true,
          .verified = true};
}

TlsResult bad(net::TlsFailure failure) {
  TlsResult result = good();
  result.verified = false;
  result.failure = failure;
  return result;
}

TlsResult trouble(TlsResult::Trouble what, net::TlsFailure failure = net::TlsFailure::kNone, bool dane = false) {
  TlsResult result = bad(failure);
  result.tls = false;
  result.trouble = what;
  result.dane = dane;
  return result;
}

RouteTls sts(std::string_view mx = "mx.example.net") {
  return {.sts = std::make_shared<const smtp::StsPolicy>(smtp::StsPolicy{
              .mode = smtp::StsMode::kTesting, .mx = {std::string(mx)}, .max_age = std::chrono::seconds(5)})};
}

TlsResult by_dane(TlsResult result) {
  result.dane = true;
  result.tlsa = {net::TlsaRecord::parse("3 1 1 " + std::string(64, 'a')).value()};
  return result;
}

struct Case {
  std::string_view name;
  RouteTls tls;
  TlsResult result;
  std::string_view says;  // "sts certificate-expired"
};

using Trouble = TlsResult::Trouble;
using Failure = net::TlsFailure;

const Case kCases[] = {
    {"no policy", {}, good(), "no-policy-found success"},
    {"no policy, nobody's certificate", {}, bad(Failure::kUntrusted), "no-policy-found success"},
    {"no policy, in clear", {}, trouble(Trouble::kNotOffered), "no-policy-found starttls-not-supported"},
    {"no policy, no handshake",
     {},
     trouble(Trouble::kHandshake, Failure::kHandshake),
     "no-policy-found validation-failure"},
    {"STS", sts(), good(), "sts success"},
    {"STS, expired", sts(), bad(Failure::kExpired), "sts certificate-expired"},
    {"STS, expired, enforced", sts(), trouble(Trouble::kHandshake, Failure::kExpired), "sts certificate-expired"},
    {"STS, wrong name", sts(), bad(Failure::kNameMismatch), "sts certificate-host-mismatch"},
    {"STS, self-signed", sts(), bad(Failure::kSelfSigned), "sts certificate-not-trusted"},
    {"STS, untrusted", sts(), bad(Failure::kUntrusted), "sts certificate-not-trusted"},
    {"STS, in clear", sts(), trouble(Trouble::kNotOffered), "sts starttls-not-supported"},
    {"STS, another host", sts("other.example.net"), good(), "sts validation-failure"},
    {"STS, not to be had",
     {.sts_failure = "sts-policy-fetch-error: HTTP status 404"},
     good(),
     "sts sts-policy-fetch-error"},
    {"STS, invalid", {.sts_failure = "sts-policy-invalid: no mode"}, good(), "sts sts-policy-invalid"},
    {"STS, its host's certificate", {.sts_failure = "sts-webpki-invalid: tls"}, good(), "sts sts-webpki-invalid"},
    {"DANE", {.dane = true}, by_dane(good()), "tlsa success"},
    {"DANE before STS", sts("other.example.net"), by_dane(good()), "tlsa success"},
    {"DANE, mismatch",
     {.dane = true},
     by_dane(trouble(Trouble::kHandshake, Failure::kTlsaMismatch)),
     "tlsa validation-failure"},
    {"DANE, in clear", {.dane = true}, by_dane(trouble(Trouble::kNotOffered)), "tlsa starttls-not-supported"},
    {"DANE, bogus", {.dane = true}, trouble(Trouble::kDnssec, Failure::kNone, true), "tlsa dnssec-invalid"},
    {"DANE, no answer", {.dane = true}, trouble(Trouble::kTlsa, Failure::kNone, true), "tlsa tlsa-invalid"},
};

constexpr TimePoint kBegin{std::chrono::seconds(1'800'000'000)};
constexpr TimePoint kEnd = kBegin + std::chrono::hours(24);

}  // namespace

BOOST_AUTO_TEST_CASE(what_counts_as_what) {
  for (const Case& c : kCases) BOOST_TEST_CONTEXT(c.name) {
      TlsReports reports;
      reports.record("example.net", c.tls, c.result);
      const auto taken = reports.take(kBegin, kEnd);
      BOOST_REQUIRE(taken.size() == 1U);
      BOOST_REQUIRE(taken[0].policies.size() == 1U);
      const smtp::TlsReportPolicy& policy = taken[0].policies[0];
      const auto type = policy.details.empty() ? TlsResultType::kSuccess : policy.details[0].type;
      BOOST_TEST(policy.type + " " + std::string(to_string(type)) == c.says);
      BOOST_TEST(policy.successful == (type == TlsResultType::kSuccess ? 1U : 0U));
      BOOST_TEST(policy.failed == (type == TlsResultType::kSuccess ? 0U : 1U));
      BOOST_TEST(reports.empty());
    }
}

BOOST_AUTO_TEST_CASE(counted_merged_and_capped) {
  TlsReports a, b;
  for (int i = 0; i < 3; ++i) a.record("example.net", sts(), good());
  for (int i = 0; i < 2; ++i) b.record("example.net", sts(), bad(Failure::kExpired));
  b.record("example.org", {}, good());
  for (int i = 0; i < 300; ++i) {
    TlsResult many = bad(Failure::kExpired);
    many.remote = net::IpAddress::v4({198, 51, static_cast<std::uint8_t>(i / 100), static_cast<std::uint8_t>(i % 100)});
    b.record("example.net", sts(), many);
  }
  a.merge(std::move(b));
  const auto taken = a.take(kBegin, kEnd);
  BOOST_REQUIRE(taken.size() == 2U);
  BOOST_TEST(taken[0].domain == "example.net");
  BOOST_TEST(taken[1].domain == "example.org");
  BOOST_REQUIRE(taken[0].policies.size() == 1U);
  BOOST_TEST(taken[0].policies[0].successful == 3U);
  BOOST_TEST(taken[0].policies[0].failed == 302U);
  BOOST_TEST(taken[0].policies[0].details.size() <= smtp::kReportDetailsMax + 1);
  std::uint64_t sessions = 0;
  for (const auto& detail : taken[0].policies[0].details) sessions += detail.sessions;
  BOOST_TEST(sessions == 302U);
}

BOOST_AUTO_TEST_CASE(as_json) {
  TlsReports reports;
  reports.record("example.net", sts(), good());
  TlsResult failed = bad(Failure::kExpired);
  failed.detail = "a \"quote\" and a\nline";
  reports.record("example.net", sts(), failed);
  const auto report = reports.take(kBegin, kEnd).front();
  BOOST_TEST(
      tls_report_json(report, {"Brand \\ Inc.", "tlsrpt@brand.example", "brand.example"}, "1@brand.example") ==
      "{\"organization-name\":\"Brand \\\\ Inc.\",\"date-range\":{\"start-datetime\":\"2027-01-15T08:00:00Z\","
      "\"end-datetime\":\"2027-01-16T08:00:00Z\"},\"contact-info\":\"tlsrpt@brand.example\",\"report-id\":"
      "\"1@brand.example\",\"policies\":[{\"policy\":{\"policy-type\":\"sts\",\"policy-string\":[\"version: STSv1\","
      "\"mode: testing\",\"mx: mx.example.net\",\"max_age: 5\"],\"policy-domain\":\"example.net\",\"mx-host\":"
      "[\"mx.example.net\"]},\"summary\":{\"total-successful-session-count\":1,\"total-failure-session-count\":1},"
      "\"failure-details\":[{\"result-type\":\"certificate-expired\",\"sending-mta-ip\":\"192.0.2.1\","
      "\"receiving-mx-hostname\":\"mx.example.net\",\"receiving-ip\":\"198.51.100.1\",\"failed-session-count\":1,"
      "\"failure-reason-code\":\"a \\\"quote\\\" and a\\u000aline\"}]}]}");
}

BOOST_AUTO_TEST_CASE(as_mail) {
  TlsReports reports;
  reports.record("example.net", {}, good());
  const auto report = reports.take(kBegin, kEnd).front();
  const smtp::TlsReporter reporter{"Brand", "tlsrpt@brand.example", "brand.example"};
  Random random(1);
  const std::string id = tls_report_id(report, reporter, random);
  const auto mail = tls_report_mail(report, reporter, *Address::parse("tlsrpt@brand.example"),
                                    *Address::parse("reports@example.net"), id, kEnd, random);
  BOOST_REQUIRE(mail.has_value());
  for (const std::string& line :
       {std::string("From: tlsrpt@brand.example\r\n"), std::string("To: reports@example.net\r\n"),
        std::string("TLS-Report-Domain: example.net\r\n"), std::string("TLS-Report-Submitter: brand.example\r\n"),
        std::string("Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n"),
        std::string("Content-Type: application/tlsrpt+gzip\r\n"),
        std::string("brand.example!example.net!1800000000!1800086400!")})
    BOOST_TEST(mail->find(line) != std::string::npos, line);
  const auto content = Content::parse_eml(*mail);
  BOOST_REQUIRE(content.has_value());
  BOOST_REQUIRE(content->attachments.size() == 1U);
  BOOST_TEST(content->attachments[0].content_type == "application/tlsrpt+gzip");
  BOOST_TEST(content->attachments[0].data == smtp::gzip(tls_report_json(report, reporter, id)).value());
}

BOOST_AUTO_TEST_CASE(where_reports_go) {
  struct {
    std::string_view name;
    std::vector<std::string> texts;
    std::string_view says;
  } const cases[] = {
      {"mail", {"v=TLSRPTv1; rua=mailto:reports@example.net"}, "reports@example.net"},
      {"both", {"v=TLSRPTv1;rua=mailto:a@example.net,https://example.net/v1"}, "a@example.net https://example.net/v1"},
      {"blanks", {"v=TLSRPTv1 ; rua=mailto:a@example.net , mailto:b@example.net ;"}, "a@example.net b@example.net"},
      {"percent", {"v=TLSRPTv1; rua=mailto:a%2Bb@example.net?subject=x"}, "a+b@example.net"},
      {"extension", {"v=TLSRPTv1; x=y; rua=mailto:a@example.net"}, "a@example.net"},
      {"others beside it", {"v=spf1", "v=TLSRPTv1; rua=mailto:a@example.net"}, "a@example.net"},
      {"one is bad", {"v=TLSRPTv1; rua=mailto:nobody,ftp://x,http://x/,mailto:a@example.net"}, "a@example.net"},
      {"none", {}, ""},
      {"two", {"v=TLSRPTv1; rua=mailto:a@example.net", "v=TLSRPTv1; rua=mailto:a@example.net"}, ""},
      {"another version", {"v=TLSRPTv2; rua=mailto:a@example.net"}, ""},
      {"no rua", {"v=TLSRPTv1;"}, ""},
      {"nothing that is good", {"v=TLSRPTv1; rua=mailto:a%0d%0aDATA@example.net"}, ""},
      {"half a percent", {"v=TLSRPTv1; rua=mailto:a%4"}, ""},
  };
  for (const auto& c : cases) BOOST_TEST_CONTEXT(c.name) {
      std::string said;
      if (const auto record = smtp::parse_tlsrpt_record(c.texts)) {
        for (const Address& address : record->mailto) said += (said.empty() ? "" : " ") + address.str();
        for (const std::string& url : record->https) said += (said.empty() ? "" : " ") + url;
      }
      BOOST_TEST(said == c.says);
    }
}

BOOST_AUTO_TEST_CASE(where_reports_are_posted) {
  struct {
    std::string_view url;
    std::string_view says;
  } const cases[] = {
      {"https://example.net/v1/tlsrpt", "example.net /v1/tlsrpt"},
      {"https://example.net", "example.net /"},
      {"https://example.net?a=b#c", "example.net /?a=b"},
      {"https://example.net:8080/", ""},
      {"https://user@example.net/", ""},
      {"https://[::1]/", ""},
      {"https:///x", ""},
      {"http://example.net/", ""},
  };
  for (const auto& c : cases) BOOST_TEST_CONTEXT(c.url) {
      const auto post = smtp::tls_report_post(c.url, "x");
      BOOST_TEST((post ? post->host + " " + post->path : "") == c.says);
    }
}
