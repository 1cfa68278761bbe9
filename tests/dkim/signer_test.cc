#include <boost/test/unit_test.hpp>
#include <map>
#include <thread>

#include "core/base/ascii.h"
#include "mailsbuddy/dkim.h"

namespace mailsbuddy::dkim {
namespace {

constexpr TimePoint kNow{std::chrono::seconds(1'700'000'000) + std::chrono::milliseconds(999)};
constexpr std::string_view kMessage = "From: a@brand.example\r\nTo: b@example.net\r\nSubject: s\r\n\r\nbody\r\n";

const PrivateKey& key() {
  static const PrivateKey made = PrivateKey::generate_rsa(1024, {.allow_short_rsa = true}).value();
  return made;
}

Signer signer(SignOptions options = {}) {
  return Signer::make("brand.example", "s1", key(), std::move(options)).value();
}

// The tags of a signature, without the white space that RFC 6376 3.2 ignores.
std::map<std::string, std::string> tags(std::string_view field) {
  std::map<std::string, std::string> found;
  std::string text;
  for (const char c : field.substr(field.find(':') + 1)) {
    if (!ascii::is_space(c)) text += c;
  }
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view tag = rest.substr(0, rest.find(';'));
    rest.remove_prefix(std::min(rest.size(), tag.size() + 1));
    found[std::string(tag.substr(0, tag.find('=')))] = tag.substr(tag.find('=') + 1);
  }
  return found;
}

// Headers to sign, for the h= of a message with those of `lines`.
std::string signed_names(const Signer& signer, std::string_view lines) {
  return tags(signer.sign(std::string(lines) + "\r\n", kNow).value())["h"];
}

BOOST_AUTO_TEST_CASE(tags_of_a_signature) {
  auto found = tags(signer().sign(kMessage, kNow).value());
  BOOST_TEST(found["v"] == "1");
  BOOST_TEST(found["a"] == "rsa-sha256");
  BOOST_TEST(found["c"] == "relaxed/relaxed");
  BOOST_TEST(found["d"] == "brand.example");
  BOOST_TEST(found["s"] == "s1");
  BOOST_TEST(found["t"] == "1700000000");
  BOOST_TEST(!found.contains("x"));
  BOOST_TEST(found["b"].size() == 172U);  // 128 octets.
}

// SHA-256 of nothing in base 64, the value that RFC 6376 3.4.4 gives.
BOOST_AUTO_TEST_CASE(body_hash_of_an_empty_body) {
  for (const std::string_view message : {"From: a@b.example\r\n\r\n", "From: a@b.example\r\n\r\n \r\n\r\n",
                                         "From: a@b.example\r\n", "From: a@b.example"}) {
    BOOST_TEST(tags(signer().sign(message, kNow).value())["bh"] == "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
  }
}

BOOST_AUTO_TEST_CASE(expiry) {
  auto found = tags(signer({.expires_after = std::chrono::hours(24)}).sign(kMessage, kNow).value());
  BOOST_TEST(found["t"] == "1700000000");
  BOOST_TEST(found["x"] == "1700086400");
}

struct SelectCase {
  std::string_view name;
  std::string_view lines;
  std::string_view names;
};
constexpr SelectCase kSelects[] = {
    {.name = "only From", .lines = "From: a\r\n", .names = "From:From:Subject:List-Unsubscribe:List-Unsubscribe-Post"},
    {.name = "oversigned once more than it occurs",
     .lines = "From: a\r\nSubject: b\r\nSubject: c\r\n",
     .names = "From:From:Subject:Subject:Subject:List-Unsubscribe:List-Unsubscribe-Post"},
    {.name = "in our order, not the message's",
     .lines = "Date: d\r\nCc: c\r\nFrom: a\r\nTo: b\r\n",
     .names = "From:From:To:Cc:Subject:Date:List-Unsubscribe:List-Unsubscribe-Post"},
    {.name = "each of several",
     .lines = "To: b\r\nFrom: a\r\nTo: c\r\n",
     .names = "From:From:To:To:Subject:List-Unsubscribe:List-Unsubscribe-Post"},
    {.name = "others are left out",
     .lines = "Received: r\r\nFrom: a\r\nX-Mailer: m\r\nReturn-Path: p\r\n",
     .names = "From:From:Subject:List-Unsubscribe:List-Unsubscribe-Post"},
    {.name = "any letter case",
     .lines = "fROM: a\r\nDATE: d\r\n",
     .names = "From:From:Subject:Date:List-Unsubscribe:List-Unsubscribe-Post"},
    {.name = "white space before the colon",
     .lines = "From : a\r\nDate\t: d\r\n",
     .names = "From:From:Subject:Date:List-Unsubscribe:List-Unsubscribe-Post"},
    {.name = "a name in a folded line is no field",
     .lines = "From: a\r\n To: b\r\n",
     .names = "From:From:Subject:List-Unsubscribe:List-Unsubscribe-Post"},
};

BOOST_AUTO_TEST_CASE(selects_headers) {
  for (const SelectCase& c : kSelects) {
    BOOST_TEST_CONTEXT(c.name) { BOOST_TEST(signed_names(signer(), c.lines) == c.names); }
  }
}

BOOST_AUTO_TEST_CASE(given_header_lists) {
  BOOST_TEST(signed_names(signer({.headers = {"From"}, .oversigned = {}}), "From: a\r\nSubject: s\r\n") == "From");
  BOOST_TEST(signed_names(signer({.headers = {"From", "FROM", "X-A"}, .oversigned = {"from"}}), "From: a\r\n") ==
             "From:From");
  BOOST_TEST(signed_names(signer({.headers = {"From"}, .oversigned = {"X-A"}}), "X-A: 1\r\nFrom: a\r\n") ==
             "From:X-A:X-A");
}

BOOST_AUTO_TEST_CASE(lines_are_short_and_fold_to_nothing_else) {
  std::string lines = "From: a\r\n";
  for (int i = 0; i < 40; ++i) lines += "To: b\r\nReferences: c\r\n";
  const std::string field = signer().sign(lines + "\r\nbody", kNow).value();
  BOOST_TEST(field.starts_with("DKIM-Signature: v=1; "));
  BOOST_TEST(field.ends_with("\r\n"));
  for (std::string_view rest = field; !rest.empty();) {
    const std::size_t end = rest.find("\r\n");
    BOOST_REQUIRE(end != std::string_view::npos);
    BOOST_TEST(end <= 78U);
    BOOST_TEST(ascii::trim(rest.substr(0, end)) != "");
    rest.remove_prefix(end + 2);
    if (!rest.empty()) BOOST_TEST(ascii::is_wsp(rest.front()));
  }
}

// RSASSA-PKCS1-v1_5 has no randomness: what is the same to a verifier has the same signature.
BOOST_AUTO_TEST_CASE(what_relaxed_ignores_changes_nothing) {
  const std::string plain = signer().sign(kMessage, kNow).value();
  for (const std::string_view same : {
           "from:a@brand.example\r\nTo:   b@example.net  \r\nSUBJECT:\ts\r\n\r\nbody\r\n",
           "From:\r\n a@brand.example\r\nTo: b@example.net\r\nSubject: s\r\n\r\nbody \t\r\n\r\n\r\n",
           "Subject: s\r\nX-Other: 1\r\nTo: b@example.net\r\nFrom: a@brand.example\r\n\r\nbody",
       }) {
    BOOST_TEST(signer().sign(same, kNow).value() == plain);
  }
  BOOST_TEST(signer().sign("From: a@brand.example\r\nTo: b@example.net\r\nSubject: s\r\n\r\nBody\r\n", kNow).value() !=
             plain);
}

BOOST_AUTO_TEST_CASE(repeated_headers_are_signed_from_the_bottom_up) {
  const auto sign = [](std::string_view lines) {
    return signer({.headers = {"From", "To"}, .oversigned = {}}).sign(lines, kNow).value();
  };
  BOOST_TEST(sign("From: a\r\nTo: 1\r\nTo: 2\r\n\r\n") == sign("To: 1\r\nFrom: a\r\nTo: 2\r\n\r\n"));
  BOOST_TEST(sign("From: a\r\nTo: 1\r\nTo: 2\r\n\r\n") != sign("From: a\r\nTo: 2\r\nTo: 1\r\n\r\n"));
}

// Keys have no state that signing changes, so threads need not wait for each other and get the same.
BOOST_AUTO_TEST_CASE(many_threads_sign_at_once) {
  const Signer shared = signer();
  const std::string expected = shared.sign(kMessage, kNow).value();
  std::vector<int> wrong(4);
  {
    std::vector<std::jthread> threads;
    for (int& count : wrong) {
      threads.emplace_back([&shared, &expected, &count] {
        const Signer copy = shared;
        for (int i = 0; i < 100; ++i) count += copy.sign(kMessage, kNow).value() != expected;
      });
    }
  }
  for (const int count : wrong) BOOST_TEST(count == 0);
}

struct RefusedCase {
  std::string_view name;
  std::string_view message;
  std::string_view detail;
};
constexpr RefusedCase kRefused[] = {
    {.name = "empty", .message = "", .detail = "no From field"},
    {.name = "no header", .message = "\r\nFrom: a\r\n", .detail = "no From field"},
    {.name = "no From", .message = "To: b\r\n\r\nFrom: a\r\n", .detail = "no From field"},
    {.name = "two From", .message = "From: a\r\nTo: b\r\nfrom: c\r\n\r\n", .detail = "more than one From field"},
    {.name = "bare LF in the header", .message = "From: a\nTo: b\r\n\r\n", .detail = "bare CR or LF in the header"},
    {.name = "bare CR in the header", .message = "From: a\rb\r\n\r\n", .detail = "bare CR or LF in the header"},
    {.name = "LF lines", .message = "From: a\n\nbody\n", .detail = "bare CR or LF in the header"},
    {.name = "bare LF in the body", .message = "From: a\r\n\r\nbody\n", .detail = "bare CR or LF in the body"},
    {.name = "bare CR in the body", .message = "From: a\r\n\r\nbo\rdy\r\n", .detail = "bare CR or LF in the body"},
    {.name = "no colon", .message = "From: a\r\nhello\r\n\r\n", .detail = "header field 2 has no name"},
    {.name = "no name", .message = "From: a\r\n: x\r\n\r\n", .detail = "header field 2 has no name"},
    {.name = "space in a name", .message = "From: a\r\nA b: x\r\n\r\n", .detail = "header field 2 has no name"},
    {.name = "8-bit name", .message = "From: a\r\n\xc3\xa9: x\r\n\r\n", .detail = "header field 2 has no name"},
    {.name = "folded before the first field",
     .message = " x\r\nFrom: a\r\n\r\n",
     .detail = "header field 1 has no name"},
};

BOOST_AUTO_TEST_CASE(what_cannot_be_signed_is_refused_with_the_reason) {
  for (const RefusedCase& c : kRefused) {
    BOOST_TEST_CONTEXT(c.name) {
      const auto field = signer().sign(c.message, kNow);
      BOOST_REQUIRE(!field);
      BOOST_TEST((field.error().code == ErrorCode::kInvalidArgument));
      BOOST_TEST(field.error().detail == c.detail);
    }
  }
}

BOOST_AUTO_TEST_CASE(names_are_checked) {
  const std::string label63(63, 'a');
  const std::string name = label63 + '.' + label63 + '.' + label63;  // 191 octets.
  const auto made = [](std::string_view domain, std::string_view selector) {
    return Signer::make(domain, selector, key()).has_value();
  };
  BOOST_TEST(made("brand.example", "s1"));
  BOOST_TEST(made("Brand.EXAMPLE", "2026-11.eu"));
  BOOST_TEST(made("xn--bcher-kva.example", "s1"));
  BOOST_TEST(made(name, "s1"));
  for (const std::string_view bad :
       {"", ".", "brand.", ".brand", "a..b", "-a.example", "a-.example", "b\xc3\xbc.example", "a b", "a_b", "a;b"}) {
    BOOST_TEST_CONTEXT(bad) {
      BOOST_TEST(!made(bad, "s1"));
      BOOST_TEST(!made("brand.example", bad));
    }
  }
  BOOST_TEST(!made(label63 + "a.example", "s1"));
  BOOST_TEST(!made(name + '.' + label63, "s1"));
  BOOST_TEST(!made(name, label63));  // Each is short enough, both together are not.
}

BOOST_AUTO_TEST_CASE(options_are_checked) {
  const auto refused = [](SignOptions options) {
    const auto made = Signer::make("brand.example", "s1", key(), std::move(options));
    return made ? "" : made.error().detail;
  };
  BOOST_TEST(refused({.headers = {"To"}, .oversigned = {}}) == "From must be signed (RFC 6376 5.4)");
  BOOST_TEST(refused({.oversigned = {"dkim-signature"}}) ==
             "DKIM-Signature cannot be oversigned (RFC 6376 3.5, h=)");
  BOOST_TEST(refused({.headers = {"From", "A:"}}) == "\"A:\" is not a header name that can be signed");
  BOOST_TEST(refused({.headers = {"From", "A;b"}}) == "\"A;b\" is not a header name that can be signed");
  BOOST_TEST(refused({.headers = {"From", ""}}) == "\"\" is not a header name that can be signed");
  BOOST_TEST(refused({.headers = {"From"}, .oversigned = {"A b"}}) ==
             "\"A b\" is not a header name that can be signed");
  BOOST_TEST(refused({.expires_after = std::chrono::seconds(0)}) ==
             "expires_after must be positive (RFC 6376 3.5, x=)");
  BOOST_TEST(Signer::make("brand.example", "s1", PrivateKey()).error().detail == "no private key");
}

}  // namespace
}  // namespace mailsbuddy::dkim
