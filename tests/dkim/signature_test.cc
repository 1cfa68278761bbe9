// A DKIM-Signature field alone: what RFC 6376 3.5 and 6.1.1 say about its tags.
#include "dkim/signature.h"

#include <boost/test/unit_test.hpp>

namespace mailsbuddy::dkim {
namespace {

struct Parsed {
  std::string text;
  Signature signature;
  Finding finding;
};

std::unique_ptr<Parsed> parse(std::string_view value, SignatureKind kind = SignatureKind::kDkim) {
  auto parsed = std::make_unique<Parsed>();
  parsed->text = "DKIM-Signature:" + std::string(value);
  Field field{.name = std::string_view(parsed->text).substr(0, 14),
              .value = std::string_view(parsed->text).substr(15),
              .whole = parsed->text};
  parsed->finding = parse_signature(field, kind, parsed->signature);
  return parsed;
}

constexpr std::string_view kGood = "v=1; a=rsa-sha256; d=brand.example; s=s1; h=from:to; bh=aGFzaA==; b=c2ln";

// `kGood` with one tag replaced, added ("x=1" where there is none) or, if it ends in "!", taken out.
std::string with(std::string_view tag) {
  const std::string name(tag.substr(0, tag.find_first_of("=!")));
  std::string made;
  bool replaced = false;
  std::string_view rest = kGood;
  while (!rest.empty()) {
    std::string_view each = rest.substr(0, rest.find(';'));
    rest.remove_prefix(std::min(rest.size(), each.size() + 1));
    while (each.starts_with(' ')) each.remove_prefix(1);
    if (each.starts_with(name + "=")) {
      replaced = true;
      if (tag.ends_with('!')) continue;
      each = tag;
    }
    made += (made.empty() ? "" : "; ") + std::string(each);
  }
  return replaced ? made : made + "; " + std::string(tag);
}

struct Case {
  std::string_view name;
  std::string_view tag;
  Reason reason = Reason::kOk;
};

constexpr Case kAccepted[] = {
    {"as it is", "v=1"},
    {"another algorithm", "a=ed25519-sha256"},
    {"SHA-1, which is for another to judge", "a=rsa-sha1"},
    {"both forms", "c=simple/relaxed"},
    {"one form", "c=relaxed"},
    {"a selector of labels", "s=2026.jan.s_1"},
    {"an underscore in a domain", "d=_mail.brand.example"},
    {"letter case of the domain", "d=Brand.EXAMPLE"},
    {"identity without local part", "i=@brand.example"},
    {"identity of a subdomain", "i=news@eu.Brand.example"},
    {"identity in quoted-printable", "i=ne=20ws=40home@brand.example"},
    {"length", "l=0"},
    {"length of 76 digits", "l=9999999999999999999999999999999999999999999999999999999999999999999999999999"},
    {"query method among others", "q=http/xml : dns/txt"},
    {"time", "t=1"},
    {"expiry", "x=2"},
    {"copied fields", "z=From:a@b|To:c"},
    {"a tag nobody knows", "r=y"},
    {"white space in base 64", "b=c2 \r\n ln"},
    {"no padding", "bh=aGFzaA"},
    {"white space around names", "h=from \r\n\t:\tto : subject"},
    {"a name that is not there", "h=from:x-!#$%&'*+-/=?^_`{|}~"},
};

constexpr Case kRefused[] = {
    {"no version", "v!", Reason::kMissingTag},
    {"no algorithm", "a!", Reason::kMissingTag},
    {"no domain", "d!", Reason::kMissingTag},
    {"no selector", "s!", Reason::kMissingTag},
    {"no names", "h!", Reason::kMissingTag},
    {"no body hash", "bh!", Reason::kMissingTag},
    {"no signature", "b!", Reason::kMissingTag},
    {"a later version", "v=2", Reason::kVersion},
    {"version in other words", "v=01", Reason::kVersion},
    {"an unknown algorithm", "a=rsa-md5", Reason::kUnknownAlgorithm},
    {"letter case counts in values (3.2)", "a=RSA-SHA256", Reason::kUnknownAlgorithm},
    {"a hash of the other key", "a=ed25519-sha1", Reason::kUnknownAlgorithm},
    {"unknown form of fields", "c=future/simple", Reason::kUnknownCanonicalisation},
    {"unknown form of body", "c=simple/future", Reason::kUnknownCanonicalisation},
    {"three forms", "c=simple/simple/simple", Reason::kUnknownCanonicalisation},
    {"no form", "c=", Reason::kUnknownCanonicalisation},
    {"empty domain", "d=", Reason::kBadSyntax},
    {"domain of one label", "d=example", Reason::kBadSyntax},
    {"domain with a comment", "d=brand.example(.evil.example", Reason::kBadSyntax},
    {"domain with a dot at its end", "d=brand.example.", Reason::kBadSyntax},
    {"domain with white space", "d=brand .example", Reason::kBadSyntax},
    {"label with a hyphen at its end", "d=brand-.example", Reason::kBadSyntax},
    {"selector that is none", "s=s..1", Reason::kBadSyntax},
    {"selector that leaves its place", "s=s1/../x", Reason::kBadSyntax},
    {"identity without @", "i=brand.example", Reason::kBadSyntax},
    {"identity of another domain", "i=news@other.example", Reason::kDomainMismatch},
    {"identity of a domain that ends the same", "i=news@mybrand.example", Reason::kDomainMismatch},
    {"identity of the parent domain", "i=news@example", Reason::kDomainMismatch},
    {"identity that is not encoded", "i==zz@brand.example", Reason::kBadSyntax},
    {"identity with an empty label", "i=a@.brand.example", Reason::kDomainMismatch},
    {"names without From", "h=to:subject", Reason::kFromNotSigned},
    {"an empty name", "h=from::to", Reason::kBadSyntax},
    {"a name with a space", "h=from:x y", Reason::kBadSyntax},
    {"empty signature", "b=", Reason::kBadSyntax},
    {"signature of padding", "b====", Reason::kBadSyntax},
    {"signature that is not base 64", "b=c2l*", Reason::kBadSyntax},
    {"body hash that is not base 64", "bh=a", Reason::kBadSyntax},
    {"negative length", "l=-1", Reason::kBadSyntax},
    {"no length", "l=", Reason::kBadSyntax},
    {"length of 77 digits", "l=99999999999999999999999999999999999999999999999999999999999999999999999999999",
     Reason::kBadSyntax},
    {"time with a fraction", "t=1.5", Reason::kBadSyntax},
    {"time of 13 digits", "t=1000000000000", Reason::kBadSyntax},
    {"expiry in words", "x=never", Reason::kBadSyntax},
    {"another query method", "q=http/xml", Reason::kUnknownQueryMethod},
    {"no query method", "q=", Reason::kUnknownQueryMethod},
};

BOOST_AUTO_TEST_CASE(accepts) {
  for (const Case& c : kAccepted) {
    BOOST_TEST_CONTEXT(c.name) {
      const auto parsed = parse(with(c.tag));
      BOOST_TEST(to_string(parsed->finding.reason) == "ok");
      BOOST_TEST(parsed->finding.detail == "");
    }
  }
}

BOOST_AUTO_TEST_CASE(refuses) {
  for (const Case& c : kRefused) {
    BOOST_TEST_CONTEXT(c.name) {
      const auto parsed = parse(with(c.tag));
      BOOST_TEST(to_string(parsed->finding.reason) == to_string(c.reason));
    }
  }
}

BOOST_AUTO_TEST_CASE(refuses_lists_that_are_none) {
  for (const std::string_view text : {"", ";", "v", "v=1;;a=rsa-sha256", "v=1; v=1", "v=1; =x", "v=1; a=\x01"}) {
    BOOST_TEST_CONTEXT(text) { BOOST_TEST((parse(text)->finding.reason == Reason::kBadSyntax)); }
  }
  BOOST_TEST((parse(std::string(kGood) + "; d=other.example")->finding.reason == Reason::kBadSyntax));
  BOOST_TEST((parse(with("t=5") + "; x=5")->finding.reason == Reason::kBadSyntax));
  BOOST_TEST((parse(with("t=5") + "; x=6")->finding.reason == Reason::kOk));
}

// Also a bad signature is somebody's: a report wants to say whose.
BOOST_AUTO_TEST_CASE(names_the_signer_of_what_it_refuses) {
  const auto parsed = parse(with("v=9"));
  BOOST_TEST(parsed->signature.domain == "brand.example");
  BOOST_TEST(parsed->signature.selector == "s1");
}

BOOST_AUTO_TEST_CASE(caps_the_names) {
  std::string names = "h=from";
  for (std::size_t i = 1; i < kSignedNamesMax; ++i) names += ":x";
  BOOST_TEST((parse(with(names))->finding.reason == Reason::kOk));
  BOOST_TEST((parse(with(names + ":x"))->finding.reason == Reason::kBadSyntax));
}

struct Removed {
  std::string_view name;
  std::string_view value;
  std::string_view simple;
  std::string_view relaxed;
};

// RFC 6376 3.5: "the value of the b= tag (including all surrounding whitespace) deleted".
constexpr Removed kRemoved[] = {
    {"at the end", " a=x; b=c2ln", "DKIM-Signature: a=x; b=", "dkim-signature:a=x; b="},
    {"in the middle", " b=c2ln; a=x", "DKIM-Signature: b=; a=x", "dkim-signature:b=; a=x"},
    {"with white space around it", " b = \r\n\tc2\r\n ln \t; a=x ", "DKIM-Signature: b =; a=x ",
     "dkim-signature:b =; a=x"},
    {"beside bh=", " bh=c2ln;\r\n b=c2ln;", "DKIM-Signature: bh=c2ln;\r\n b=;", "dkim-signature:bh=c2ln; b=;"},
    {"with white space at the end", " b=c2ln \t", "DKIM-Signature: b=", "dkim-signature:b="},
};

BOOST_AUTO_TEST_CASE(takes_the_signature_out) {
  for (const Removed& c : kRemoved) {
    BOOST_TEST_CONTEXT(c.name) {
      const auto parsed = parse(c.value);  // Refused for what it lacks; what matters is found all the same.
      std::string simple;
      std::string relaxed;
      parsed->signature.append_unsigned_field(simple, Canonicalisation::kSimple);
      parsed->signature.append_unsigned_field(relaxed, Canonicalisation::kRelaxed);
      BOOST_TEST(simple == c.simple);
      BOOST_TEST(relaxed == c.relaxed);
    }
  }
}

struct TimeCase {
  std::string_view name;
  std::string_view tags;
  std::int64_t now;
  Reason reason;
};

constexpr TimeCase kTimes[] = {
    {"no times", "", 0, Reason::kOk},
    {"made now", "; t=1000", 1000, Reason::kOk},
    {"made by a clock that is ahead", "; t=1300", 1000, Reason::kOk},
    {"made in the future", "; t=1301", 1000, Reason::kFuture},
    {"made in the far future", "; t=999999999999", 1000, Reason::kFuture},
    {"expires now", "; x=1000", 1000, Reason::kOk},
    {"expired by a clock that is ahead", "; x=700", 1000, Reason::kOk},
    {"expired", "; x=699", 1000, Reason::kExpired},
    {"expired long ago", "; t=1; x=2", 1'800'000'000, Reason::kExpired},
};

BOOST_AUTO_TEST_CASE(judges_times) {
  for (const TimeCase& c : kTimes) {
    BOOST_TEST_CONTEXT(c.name) {
      const auto parsed = parse(std::string(kGood) + std::string(c.tags));
      BOOST_REQUIRE(parsed->finding.ok());
      const VerifyOptions options{.now = TimePoint(std::chrono::seconds(c.now))};
      BOOST_TEST(to_string(check_times_and_hash(parsed->signature, options).reason) == to_string(c.reason));
    }
  }
}

constexpr std::string_view kSeal = "i=2; a=rsa-sha256; cv=pass; d=brand.example; s=s1; t=12; b=c2ln";

BOOST_AUTO_TEST_CASE(reads_arc_seals) {
  const auto good = parse(kSeal, SignatureKind::kArcSeal);
  BOOST_TEST(to_string(good->finding.reason) == "ok");
  BOOST_TEST(good->signature.instance == 2);
  BOOST_TEST(good->signature.chain_status == "pass");
  const auto reason = [](std::string_view from, std::string_view to) {
    std::string text(kSeal);
    text.replace(text.find(from), from.size(), to);
    return std::string(to_string(parse(text, SignatureKind::kArcSeal)->finding.reason));
  };
  BOOST_TEST(reason("i=2; ", "") == "missing-tag");
  BOOST_TEST(reason("i=2", "i=0") == "arc-set");
  BOOST_TEST(reason("i=2", "i=51") == "arc-set");
  BOOST_TEST(reason("i=2", "i=002") == "arc-set");
  BOOST_TEST(reason("cv=pass", "cv=maybe") == "arc-chain-status");
  BOOST_TEST(reason("t=12", "h=from") == "arc-seal-signed");
}

BOOST_AUTO_TEST_CASE(reads_arc_message_signatures) {
  const auto parse_message = [](std::string text) {
    return std::string(to_string(parse(text, SignatureKind::kArcMessage)->finding.reason));
  };
  BOOST_TEST(parse_message(with("i=50")) == "ok");
  BOOST_TEST(parse_message(with("v!")) == "missing-tag");  // i=
  BOOST_TEST(parse_message(with("i=50").replace(4, 1, " ")) == "ok");
  BOOST_TEST(parse_message(with("i=@brand.example")) == "arc-set");
  BOOST_TEST(parse_message(with("h=from:arc-seal") + "; i=1") == "arc-seal-signed");
}

}  // namespace
}  // namespace mailsbuddy::dkim
