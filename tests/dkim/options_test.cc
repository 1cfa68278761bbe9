// Every option of a signature, several signatures on a message, and the two-step form.
#include <boost/test/unit_test.hpp>

#include "core/base/ascii.h"
#include "dkim/canonicalise.h"
#include "dkim/tag_list.h"
#include "mailsbuddy/dkim.h"
#include "tests/dkim/known_leak.h"

namespace mailsbuddy::dkim {
namespace {

constexpr TimePoint kNow{std::chrono::seconds(1'700'000'000)};
constexpr std::string_view kMessage = "From: a@brand.example\r\nTo: b@example.net\r\nSubject: s\r\n\r\nbody\r\n";

const PrivateKey& rsa() {
  static const PrivateKey made = PrivateKey::generate_rsa(1024, {.allow_short_rsa = true}).value();
  return made;
}
const PrivateKey& ed25519() {
  static const PrivateKey made = PrivateKey::generate_ed25519().value();
  return made;
}

Signer signer(SignOptions options = {}, const PrivateKey& key = rsa()) {
  return Signer::make("brand.example", "s1", key, std::move(options)).value();
}

// The value of one tag without its folds; "(none)": the field has no such tag.
std::string tag(std::string_view field, std::string_view name) {
  BOOST_REQUIRE((field.starts_with("DKIM-Signature: ") && field.ends_with("\r\n")));
  field.remove_suffix(2);
  const auto tags = TagList::parse(field.substr(field.find(':') + 1));
  BOOST_REQUIRE(tags.has_value());
  const auto value = tags->find(name);
  if (!value) return "(none)";
  std::string text;
  for (const char c : *value) {
    if (!ascii::is_space(c)) text += c;
  }
  return text;
}

std::string signed_tag(const Signer& by, std::string_view name) { return tag(by.sign(kMessage, kNow).value(), name); }

BOOST_AUTO_TEST_CASE(nothing_optional_unless_asked_for) {
  for (const std::string_view name : {"x", "i", "l", "z", "q"}) BOOST_TEST(signed_tag(signer(), name) == "(none)");
}

BOOST_AUTO_TEST_CASE(algorithm_and_canonicalisation) {
  BOOST_TEST(signed_tag(signer(), "a") == "rsa-sha256");
  BOOST_TEST(signed_tag(signer({}, ed25519()), "a") == "ed25519-sha256");
  BOOST_TEST(signed_tag(signer({}, ed25519()), "b").size() == 88U);  // 64 octets.
  using enum Canonicalisation;
  BOOST_TEST(signed_tag(signer(), "c") == "relaxed/relaxed");
  BOOST_TEST(signed_tag(signer({.header = kSimple, .body = kRelaxed}), "c") == "simple/relaxed");
  BOOST_TEST(signed_tag(signer({.header = kRelaxed, .body = kSimple}), "c") == "relaxed/simple");
  BOOST_TEST(signed_tag(signer({.header = kSimple, .body = kSimple}), "c") == "simple/simple");
}

BOOST_AUTO_TEST_CASE(times) {
  BOOST_TEST(signed_tag(signer({.timestamp = false}), "t") == "(none)");
  BOOST_TEST(signed_tag(signer({.expires_after = std::chrono::hours(1), .timestamp = false}), "x") == "1700003600");
}

struct IdentityCase {
  std::string_view name;
  std::string_view identity;
  std::string_view tag;  // "! reason": refused.
};
constexpr IdentityCase kIdentities[] = {
    {.name = "address", .identity = "news@brand.example", .tag = "news@brand.example"},
    {.name = "domain alone", .identity = "@brand.example", .tag = "@brand.example"},
    {.name = "subdomain", .identity = "a@x.Brand.example", .tag = "a@x.Brand.example"},
    {.name = "what a tag may not have", .identity = "a;b=c@brand.example", .tag = "a=3Bb=3Dc@brand.example"},
    {.name = "quoted local part", .identity = "\"a b@c\"@brand.example", .tag = "\"a=20b@c\"@brand.example"},
    {.name = "no @",
     .identity = "brand.example",
     .tag = "! identity \"brand.example\" is not an address or \"@\" and a domain"},
    {.name = "no domain", .identity = "a@", .tag = "! identity \"a@\" is not an address or \"@\" and a domain"},
    {.name = "another domain",
     .identity = "a@other.test",
     .tag = "! identity \"a@other.test\" is not in brand.example or below it (RFC 6376 3.5)"},
    {.name = "a domain that ends alike",
     .identity = "a@xbrand.example",
     .tag = "! identity \"a@xbrand.example\" is not in brand.example or below it (RFC 6376 3.5)"},
    {.name = "its parent",
     .identity = "a@example",
     .tag = "! identity \"a@example\" is not in brand.example or below it (RFC 6376 3.5)"},
};

BOOST_AUTO_TEST_CASE(identities) {
  for (const IdentityCase& c : kIdentities) {
    BOOST_TEST_CONTEXT(c.name) {
      const auto made = Signer::make("brand.example", "s1", rsa(), {.identity = std::string(c.identity)});
      BOOST_TEST((made ? signed_tag(*made, "i") : "! " + made.error().detail) == c.tag);
    }
  }
}

BOOST_AUTO_TEST_CASE(query_method) { BOOST_TEST(signed_tag(signer({.query_method = true}), "q") == "dns/txt"); }

BOOST_AUTO_TEST_CASE(body_length) {
  BOOST_TEST(signed_tag(signer({.body_length = 3}), "l") == "3");
  BOOST_TEST(signed_tag(signer({.body_length = 0}), "l") == "0");
  BOOST_TEST(signed_tag(signer({.body_length = 6}), "l") == "6");
  BOOST_TEST(signed_tag(signer({.body_length = 7}), "l") == "6");  // Not more than there are (RFC 6376 3.5).
  BOOST_TEST(signed_tag(signer({.body_length = 6}), "bh") == signed_tag(signer(), "bh"));
  BOOST_TEST(signed_tag(signer({.body_length = 0}), "bh") == "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
  const Signer three = signer({.body_length = 3});
  const std::string longer = std::string(kMessage) + "and more\r\n";
  BOOST_TEST(three.sign(longer, kNow).value() == three.sign(kMessage, kNow).value());
}

BOOST_AUTO_TEST_CASE(copied_headers) {
  const Signer copying = signer({.headers = {"From", "To", "Subject"}, .oversigned = {"From"}, .copied_headers = true});
  BOOST_TEST(signed_tag(copying, "z") == "From:=20a@brand.example|To:=20b@example.net|Subject:=20s");
  const auto field = copying.sign("From: a\r\nsubject: x|y;\r\n =\xc3\xa9\r\n\r\n", kNow).value();
  BOOST_TEST(tag(field, "z") == "From:=20a|subject:=20x=7Cy=3B=0D=0A=20=3D=C3=A9");
}

BOOST_AUTO_TEST_CASE(long_copies_are_folded_and_cut_no_octet_in_two) {
  const Signer copying = signer({.headers = {"From", "Subject"}, .copied_headers = true});
  for (std::size_t size = 100; size < 140; ++size) {
    const std::string subject = std::string(size, 'a') + std::string(100, '=');
    const auto field = copying.sign("From: a\r\nSubject: " + subject + "\r\n\r\n", kNow).value();
    std::string_view rest = field;
    while (!rest.empty()) {
      const std::size_t end = rest.find("\r\n");
      if (end > 78) BOOST_ERROR("a line of " << end);
      const std::string_view line = rest.substr(0, end);
      const bool copies = line.find("=3D") != std::string_view::npos && line.find("bh=") == std::string_view::npos;
      if (copies && !line.ends_with("=3D") && !line.ends_with(";")) BOOST_ERROR("cut at " << line);
      rest.remove_prefix(end + 2);
    }
    BOOST_TEST(tag(field, "z").ends_with("a" + [] {
      std::string text;
      for (int i = 0; i < 100; ++i) text += "=3D";
      return text;
    }()));
  }
}

BOOST_AUTO_TEST_CASE(warnings) {
  BOOST_TEST(signer({}, ed25519()).warnings().empty());
  const auto with = [](SignOptions options, const PrivateKey& key) {
    const Signer made = signer(std::move(options), key);
    return made.warnings().empty() ? "" : made.warnings().front();
  };
  BOOST_TEST(with({.body_length = 10}, ed25519()).starts_with("l=10: "));
  BOOST_TEST(with({.oversigned = {"Subject"}}, ed25519()).starts_with("From is not oversigned"));
  BOOST_TEST(with({}, rsa()).starts_with("RSA key of 1024 bits"));
}

// ---------------------------------------------------------------------------------------------------------------------
// Several at once

BOOST_AUTO_TEST_CASE(all_of_several_sign_what_each_would_alone) {
  using enum Canonicalisation;
  const std::vector<Signer> signers{signer(), signer({}, ed25519()), signer({.header = kSimple, .body = kSimple}),
                                    signer({.body_length = 2}),
                                    Signer::make("platform.test", "p1", ed25519(), {.body = kSimple}).value()};
  std::vector<const Signer*> pointers;
  std::string expected = "before";
  for (const Signer& each : signers) {
    pointers.push_back(&each);
    expected += each.sign(kMessage, kNow).value();
  }
  std::string out = "before";
  BOOST_TEST(sign_all(pointers, kMessage, kNow, out).has_value());
  BOOST_TEST(out == expected);
  out.clear();
  BOOST_TEST(sign_all({}, kMessage, kNow, out).has_value());
  BOOST_TEST(out == "");
}

BOOST_AUTO_TEST_CASE(what_cannot_be_signed_leaves_nothing) {
  const Signer one = signer();
  const Signer two = signer({}, ed25519());
  const std::vector<const Signer*> both{&one, &two};
  std::string out = "before";
  for (const std::string_view message : {"To: b\r\n\r\n", "From: a\r\n\r\nbody\n", "From: a\n\nbody", ""}) {
    BOOST_TEST(!sign_all(both, message, kNow, out));
    BOOST_TEST(!one.sign(message, kNow, out));
    BOOST_TEST(out == "before");
  }
}

BOOST_AUTO_TEST_CASE(a_body_hashed_once_serves_many_headers) {
  for (const SignOptions& options :
       {SignOptions{}, SignOptions{.body = Canonicalisation::kSimple}, SignOptions{.body_length = 3}}) {
    const Signer by = signer(options);
    const BodyHash body = by.hash_body("body\r\n").value();
    for (const std::string_view to : {"b@example.net", "c@example.net"}) {
      const std::string header = "From: a@brand.example\r\nTo: " + std::string(to) + "\r\n\r\n";
      std::string out;
      BOOST_TEST(by.sign_header(header, body, kNow, out).has_value());
      BOOST_TEST(out == by.sign(header + "body\r\n", kNow).value());
    }
  }
}

BOOST_AUTO_TEST_CASE(a_body_hashed_for_other_options_is_refused) {
  const Signer by = signer();
  std::string out;
  const auto simple = signer({.body = Canonicalisation::kSimple}).hash_body("body\r\n").value();
  const auto part = signer({.body_length = 3}).hash_body("body\r\n").value();
  BOOST_TEST(by.sign_header("From: a\r\n", simple, kNow, out).error().detail ==
             "the body was hashed for other options");
  BOOST_TEST(by.sign_header("From: a\r\n", part, kNow, out).error().detail == "the body was hashed for other options");
  BOOST_TEST(by.sign_header("To: a\r\n", by.hash_body("").value(), kNow, out).error().detail == "no From field");
  BOOST_TEST(by.hash_body("a\n").error().detail == "bare CR or LF in the body");
  BOOST_TEST(out == "");
}

// ---------------------------------------------------------------------------------------------------------------------
// The other engine

BOOST_AUTO_TEST_CASE(libopendkim_is_there_or_says_so) {
  const auto made = Signer::make("brand.example", "s1", rsa(), {.backend = Backend::kLibopendkim});
  BOOST_TEST(available(Backend::kNative));
  BOOST_REQUIRE(made.has_value() == available(Backend::kLibopendkim));
  if (!made) {
    BOOST_TEST((made.error().code == ErrorCode::kUnsupported));
    BOOST_TEST(made.error().detail == "this build of mailsbuddy has no libopendkim");
  }
}

BOOST_AUTO_TEST_CASE(libopendkim_writes_the_same_tags,
                     *boost::unit_test::precondition([](auto) { return available(Backend::kLibopendkim); })) {
  const KnownLeak known;
  using enum Canonicalisation;
  const SignOptions kinds[] = {{},
                               {.header = kSimple, .body = kSimple},
                               {.header = kSimple, .expires_after = std::chrono::hours(1)},
                               {.body = kSimple, .identity = "@news.brand.example"},
                               {.body_length = 3}};
  for (const PrivateKey* key : {&rsa(), &ed25519()}) {
    for (const SignOptions& options : kinds) {
      SignOptions other = options;
      other.backend = Backend::kLibopendkim;
      const auto native = signer(options, *key).sign(kMessage, kNow).value();
      const auto opendkim = signer(other, *key).sign(kMessage, kNow).value();
      BOOST_TEST_CONTEXT(opendkim) {
        for (const std::string_view name : {"v", "a", "c", "d", "s", "t", "x", "i", "l", "bh"}) {
          BOOST_TEST(tag(opendkim, name) == tag(native, name));
        }
        BOOST_TEST(only_crlf(opendkim));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(libopendkim_refuses_what_the_native_engine_refuses,
                     *boost::unit_test::precondition([](auto) { return available(Backend::kLibopendkim); })) {
  const Signer native = signer();
  const Signer opendkim = signer({.backend = Backend::kLibopendkim});
  for (const std::string_view message : {"", "To: b\r\n\r\n", "From: a\r\nFrom: b\r\n\r\n", "From: a\r\n\r\nbody\n",
                                         "From: a\n\nbody", "From: a\r\n\r\nbo\rdy\r\n"}) {
    BOOST_TEST(opendkim.sign(message, kNow).error().detail == native.sign(message, kNow).error().detail);
  }
  BOOST_TEST((
      Signer::make("brand.example", "s1", rsa(), {.timestamp = false, .backend = Backend::kLibopendkim}).error().code ==
      ErrorCode::kUnsupported));
  std::string out;
  BOOST_TEST((opendkim.sign_header("From: a\r\n", native.hash_body("").value(), kNow, out).error().code ==
              ErrorCode::kUnsupported));
}

}  // namespace
}  // namespace mailsbuddy::dkim
