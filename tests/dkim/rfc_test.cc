// The examples of RFC 6376 appendix A and RFC 8463 appendix A: neither RSASSA-PKCS1-v1_5 nor Ed25519 has randomness, so
// with the keys that the RFCs publish we must make their signatures, octet for octet.
#include <boost/test/unit_test.hpp>

#include "core/base/encoding.h"
#include "dkim/body_hash.h"
#include "dkim/canonicalise.h"
#include "dkim/key.h"
#include "dkim/tag_list.h"
#include "tests/dkim/rfc_keys.h"

namespace mailsbuddy::dkim {
namespace {

constexpr std::string_view kReceived =
    "Received: from client1.football.example.com  [192.0.2.1]\r\n"
    "      by submitserver.example.com with SUBMISSION;\r\n"
    "      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)\r\n";
constexpr std::string_view kHeader =
    "From: Joe SixPack <joe@football.example.com>\r\n"
    "To: Suzie Q <suzie@shopping.example.net>\r\n"
    "Subject: Is dinner ready?\r\n"
    "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
    "Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
    "\r\n";
constexpr std::string_view kBody = "Hi.\r\n\r\nWe lost the game. Are you hungry yet?\r\n\r\nJoe.\r\n";
constexpr std::string_view kBodyTwoSpaces = "Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n";

struct Example {
  std::string_view name;
  std::string key;
  std::string_view record;
  Canonicalisation form;
  std::string header;
  std::string_view body;
  std::string_view unsigned_value;  // Of the DKIM-Signature field, without what b= has.
  std::string_view after;           // What follows b= in it.
  std::string_view signature;
};

std::vector<Example> examples() {
  return {
      {.name = "RFC 6376 A.2",
       .key = std::string(kRfc6376Key),
       .record = kRfc6376Record,
       .form = Canonicalisation::kSimple,
       .header = std::string(kReceived) + std::string(kHeader),
       .body = kBody,
       .unsigned_value = " v=1; a=rsa-sha256; s=brisbane; d=example.com;\r\n"
                         "      c=simple/simple; q=dns/txt; i=joe@football.example.com;\r\n"
                         "      h=Received : From : To : Subject : Date : Message-ID;\r\n"
                         "      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
                         "      b=",
       .after = ";",
       .signature =
           "AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut"
           "KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV4bmp/YzhwvcubU4="},
      {.name = "RFC 8463 A.3, Ed25519",
       .key = ed25519_der(kRfc8463Ed25519Seed),
       .record = kRfc8463Ed25519Record,
       .form = Canonicalisation::kRelaxed,
       .header = std::string(kHeader),
       .body = kBodyTwoSpaces,
       .unsigned_value = " v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
                         " d=football.example.com; i=@football.example.com;\r\n"
                         " q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"
                         " subject : date : message-id : from : subject : date;\r\n"
                         " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
                         " b=",
       .after = "",
       .signature = "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw=="},
      {.name = "RFC 8463 A.3, RSA",
       .key = std::string(kRfc8463RsaKey),
       .record = "",
       .form = Canonicalisation::kRelaxed,
       .header = std::string(kHeader),
       .body = kBodyTwoSpaces,
       .unsigned_value = " v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n"
                         " d=football.example.com; i=@football.example.com;\r\n"
                         " q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n"
                         " date : message-id : from : subject : date;\r\n"
                         " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
                         " b=",
       .after = "",
       .signature =
           "F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGs"
           "geefOsk2JzdA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8="},
  };
}

// The fields that h= names, each name taking the next one upwards (RFC 6376 5.4.2).
std::string canonical_header(const Example& e, std::string_view names) {
  CutMessage cut;
  BOOST_REQUIRE(cut_message(e.header, cut).has_value());
  std::string canonical;
  std::optional<std::string_view> rest = names;
  while (const auto name = take_colon_part(rest)) {
    for (auto field = cut.fields.rbegin(); field != cut.fields.rend(); ++field) {
      if (!ascii::iequals(field->name, *name)) continue;
      append_canonical_header(canonical, e.form, *field);
      canonical += "\r\n";
      cut.fields.erase(std::next(field).base());
      break;
    }
  }
  const std::string value = std::string(e.unsigned_value) + std::string(e.after);
  const std::string whole = "DKIM-Signature:" + value;
  append_canonical_header(canonical, e.form, {.name = "DKIM-Signature", .value = value, .whole = whole});
  return canonical;
}

BOOST_AUTO_TEST_CASE(examples_are_signed_as_the_rfcs_have_them) {
  for (const Example& e : examples()) {
    BOOST_TEST_CONTEXT(e.name) {
      const auto key = PrivateKey::parse(e.key, {.allow_short_rsa = true}).value();
      if (!e.record.empty()) BOOST_TEST(key.record().str() == e.record);
      const std::string value = std::string(e.unsigned_value) + std::string(e.after);
      const auto tags = TagList::parse(value).value();

      Sha256Hash hash;
      const auto body = hash_body(e.body, e.form, std::nullopt, hash).value();
      std::string body_hash;
      append_base64(body_hash, {reinterpret_cast<const char*>(body.sha256.data()), body.sha256.size()});
      BOOST_TEST(body_hash == tags.find("bh").value());

      hash.begin();
      hash.update(canonical_header(e, tags.find("h").value()));
      Sha256 digest;
      BOOST_REQUIRE(hash.finish(digest));
      std::array<unsigned char, kSignatureBytesMax> signature;
      const std::size_t size = key.key()->sign(digest, signature);
      std::string text;
      append_base64(text, {reinterpret_cast<const char*>(signature.data()), size});
      BOOST_TEST(text == e.signature);
    }
  }
}

BOOST_AUTO_TEST_CASE(examples_verify) {
  for (const Example& e : examples()) {
    BOOST_TEST_CONTEXT(e.name) {
      const std::string record = PrivateKey::parse(e.key, {.allow_short_rsa = true}).value().record().str();
      const KeyLookup lookup = [&](std::string_view) {
        return KeyAnswer{.kind = KeyAnswer::Kind::kFound, .records = {record}};
      };
      const std::string message = "DKIM-Signature:" + std::string(e.unsigned_value) + std::string(e.signature) +
                                  std::string(e.after) + "\r\n" + e.header + std::string(e.body);
      const VerifyOptions options{.now = TimePoint(std::chrono::seconds(1'790'000'000))};
      const Verification got = verify(message, lookup, options);
      BOOST_REQUIRE(got.signatures.size() == 1U);
      BOOST_TEST(to_string(got.signatures.front().reason) == "ok");
      std::string changed = message;
      changed.replace(changed.find("dinner"), 6, "supper");
      BOOST_TEST(to_string(verify(changed, lookup, options).signatures.front().reason) == "signature-mismatch");
    }
  }
}

}  // namespace
}  // namespace mailsbuddy::dkim
