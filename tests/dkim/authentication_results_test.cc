// Authentication-Results (RFC 8601): the text, and that nothing in a message can break out of its place in it.
#include <boost/test/unit_test.hpp>

#include "mailsbuddy/dkim.h"

namespace mailsbuddy::dkim {
namespace {

SignatureResult passed() {
  return {.domain = "brand.example",
          .selector = "s1",
          .algorithm = "rsa-sha256",
          .status = Status::kPass,
          .reason = Reason::kOk,
          .signature_start = "AbCd0123",
          .key_bits = 2048};
}

std::string text_of(SignatureResult result) {
  const Verification verification{.status = result.status, .signatures = {std::move(result)}};
  return verification.authentication_results("mx.example");
}

BOOST_AUTO_TEST_CASE(a_pass) {
  BOOST_TEST(text_of(passed()) ==
             "mx.example;\r\n\tdkim=pass (2048-bit key)\r\n\t header.d=brand.example\r\n\t header.s=s1"
             "\r\n\t header.a=rsa-sha256\r\n\t header.b=AbCd0123");
}

BOOST_AUTO_TEST_CASE(no_signature) {
  BOOST_TEST(Verification{}.authentication_results("mx.example") == "mx.example;\r\n\tdkim=none");
}

BOOST_AUTO_TEST_CASE(several_with_reasons) {
  SignatureResult failed{.domain = "other.example", .status = Status::kFail, .reason = Reason::kBodyHashMismatch};
  Verification verification{.status = Status::kPass, .signatures = {passed(), failed}};
  verification.signatures[0].testing = true;
  verification.signatures[0].body_length = 12;
  BOOST_TEST(verification.authentication_results("mx.example") ==
             "mx.example;\r\n\tdkim=pass (2048-bit key, testing, l=12)\r\n\t header.d=brand.example\r\n\t header.s=s1"
             "\r\n\t header.a=rsa-sha256\r\n\t header.b=AbCd0123;\r\n\tdkim=fail"
             " reason=\"the body was changed after it was signed\"\r\n\t header.d=other.example");
}

struct ValueCase {
  std::string_view name;
  std::string_view value;
  std::string_view written;
};

constexpr ValueCase kIdentities[] = {
    {"an address", "ann@brand.example", "ann@brand.example"},
    {"without local part", "@brand.example", "@brand.example"},
    {"a local part with a space", "ann lee@brand.example", "\"ann lee\"@brand.example"},
    {"a local part with quotes", "\"a\\b\"@brand.example", "\"\\\"a\\\\b\\\"\"@brand.example"},
    {"a local part that ends the result", "x;dkim=pass@brand.example", "\"x;dkim=pass\"@brand.example"},
    {"a line end", "a\r\nX-Evil: b@brand.example", "\"a??X-Evil: b\"@brand.example"},
    {"8-bit", "caf\xc3\xa9@brand.example", "\"caf??\"@brand.example"},
    {"a domain that is none", "ann@brand example", "\"ann@brand example\""},
    {"no address", "ann(", "\"ann(\""},
};

BOOST_AUTO_TEST_CASE(quotes_identities) {
  for (const ValueCase& c : kIdentities) {
    BOOST_TEST_CONTEXT(c.name) {
      SignatureResult result = passed();
      result.identity = c.value;
      const std::string text = text_of(result);
      BOOST_TEST(text.find("header.i=" + std::string(c.written) + "\r\n\t header.s") != std::string::npos, text);
    }
  }
}

constexpr ValueCase kDomains[] = {
    {"a comment in it", "brand.example(.evil.example", "\"brand.example(.evil.example\""},
    {"a line end in it", "brand\r\n.example", "\"brand??.example\""},
    {"a quote in it", "a\"b", "\"a\\\"b\""},
    {"a nul in it", std::string_view("a\0b", 3), "\"a?b\""},
};

BOOST_AUTO_TEST_CASE(quotes_domains_that_are_none) {
  for (const ValueCase& c : kDomains) {
    BOOST_TEST_CONTEXT(c.name) {
      SignatureResult result = passed();
      result.domain = c.value;
      const std::string text = text_of(result);
      BOOST_TEST(text.find("header.d=" + std::string(c.written) + "\r\n") != std::string::npos, text);
    }
  }
}

BOOST_AUTO_TEST_CASE(caps_what_was_made_to_be_long) {
  SignatureResult result = passed();
  result.domain = std::string(100'000, 'd');
  BOOST_TEST(text_of(result).size() < 1000U);
  result.identity = std::string(100'000, 'i') + "@" + std::string(100'000, 'd');
  BOOST_TEST(text_of(result).size() < 2000U);
}

BOOST_AUTO_TEST_CASE(chains) {
  ArcVerification arc;
  BOOST_TEST(arc.authentication_results("mx.example") == "mx.example;\r\n\tarc=none");
  arc = {.status = Status::kPass, .instances = 3, .oldest_pass = 2};
  BOOST_TEST(arc.authentication_results("mx.example") == "mx.example;\r\n\tarc=pass (i=3)\r\n\t header.oldest-pass=2");
  arc = {.status = Status::kFail, .reason = Reason::kArcSet, .detail = "set 2 has no ARC-Seal", .instances = 3};
  BOOST_TEST(arc.authentication_results("mx.example") ==
             "mx.example;\r\n\tarc=fail (i=3) reason=\"an ARC set is missing, incomplete or there twice: "
             "set 2 has no ARC-Seal\"");
}

// Every Reason has its words.
BOOST_AUTO_TEST_CASE(words) {
  for (int i = 0; i <= static_cast<int>(Reason::kUnavailable); ++i) {
    const auto reason = static_cast<Reason>(i);
    BOOST_TEST(!to_string(reason).empty());
    BOOST_TEST(describe(reason).size() > 10U);
  }
}

}  // namespace
}  // namespace mailsbuddy::dkim
