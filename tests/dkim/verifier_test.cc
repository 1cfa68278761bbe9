// Whole messages, signed by raw_signer.h: every Reason has its message.
#include <boost/test/unit_test.hpp>
#include <chrono>

#include "mailsbuddy/dkim.h"
#include "tests/dkim/raw_signer.h"

namespace mailsbuddy::dkim {
namespace {

const RawKey& rsa() {
  static const RawKey key = RawKey::rsa(1024);
  return key;
}
const RawKey& ed25519() {
  static const RawKey key = RawKey::ed25519();
  return key;
}

constexpr TimePoint kNow{std::chrono::seconds(1'790'000'000)};
constexpr std::string_view kName = "s1._domainkey.brand.example";
constexpr std::string_view kTags = "v=1; a=rsa-sha256; c=relaxed/relaxed; d=brand.example; s=s1; h=From:To:Subject";
const std::vector<std::string> kNames{"From", "To", "Subject"};

std::string signed_message(const std::string& more_tags = "", const Draft& draft = {}) {
  return raw_signed(draft, rsa(), std::string(kTags) + more_tags, "relaxed/relaxed", kNames);
}

Verification verify_with(std::string_view message, std::vector<std::string> records,
                         VerifyOptions options = {.now = kNow}) {
  return verify(message, records_of({{std::string(kName), std::move(records)}}), options);
}

std::string reason_of(const Verification& verification) {
  BOOST_REQUIRE(!verification.signatures.empty());
  return std::string(to_string(verification.signatures.front().reason));
}

struct RecordCase {
  std::string_view name;
  std::vector<std::string> records;  // "{}" stands for the key in base 64.
  std::string_view reason;
  std::string_view more_tags = "";
};

std::string filled(std::string text) {
  const std::size_t at = text.find("{}");
  return at == std::string::npos ? text : text.replace(at, 2, rsa().public_base64());
}

const RecordCase kRecords[] = {
    {"a record", {"v=DKIM1; k=rsa; p={}"}, "ok"},
    {"the least of a record", {"p={}"}, "ok"},
    {"all its tags", {"v=DKIM1; h=sha1:sha256; k=rsa; n=for=20people; p={}; s=*; t=y:s"}, "ok"},
    {"for e-mail", {"v=DKIM1; s=other:email; p={}"}, "ok"},
    {"a flag nobody knows", {"v=DKIM1; t=z; p={}"}, "ok"},
    {"g= of RFC 4871, for another local part", {"v=DKIM1; g=nobody; p={}"}, "ok"},
    {"strict, and no identity", {"v=DKIM1; t=s; p={}"}, "ok"},
    {"strict, and the domain itself", {"v=DKIM1; t=s; p={}"}, "ok", "; i=ann@BRAND.example"},
    {"not strict, and a subdomain", {"v=DKIM1; p={}"}, "ok", "; i=ann@eu.brand.example"},
    {"another record before it", {"v=spf1 -all", "v=DKIM1; p={}"}, "ok"},
    {"another key before it", {"v=DKIM1; p=", "v=DKIM1; p={}"}, "ok"},

    {"no record", {}, "no-key"},
    {"revoked", {"v=DKIM1; p="}, "key-revoked"},
    {"revoked, beside what is no key", {"hello", "v=DKIM1; p="}, "key-revoked"},
    {"no p=", {"v=DKIM1; k=rsa"}, "key-syntax"},
    {"v= in second place", {"k=rsa; v=DKIM1; p={}"}, "key-syntax"},
    {"another version", {"v=DKIM2; p={}"}, "key-syntax"},
    {"a tag twice", {"v=DKIM1; p={}; p="}, "key-syntax"},
    {"not base 64", {"v=DKIM1; p=***"}, "key-syntax"},
    {"base 64 of nothing", {"v=DKIM1; p=BARF"}, "key-syntax"},
    {"not a list", {"hello world"}, "key-syntax"},
    {"an Ed25519 key of another form", {"v=DKIM1; k=ed25519; p={}"}, "key-syntax"},
    {"an unknown key type", {"v=DKIM1; k=rsa2; p={}"}, "key-type-mismatch"},
    {"another hash", {"v=DKIM1; h=sha1; p={}"}, "hash-not-allowed"},
    {"another service", {"v=DKIM1; s=tlsrpt; p={}"}, "service-not-email"},
    {"strict, and a subdomain", {"v=DKIM1; t=y:s; p={}"}, "subdomain-not-allowed", "; i=ann@eu.brand.example"},
};

BOOST_AUTO_TEST_CASE(judges_key_records) {
  for (const RecordCase& c : kRecords) {
    BOOST_TEST_CONTEXT(c.name) {
      std::vector<std::string> records;
      for (const std::string& record : c.records) records.push_back(filled(record));
      BOOST_TEST(reason_of(verify_with(signed_message(std::string(c.more_tags)), records)) == c.reason);
    }
  }
}

struct FormCase {
  std::string_view name;
  std::string_view tag;
  std::string_view forms;
};

constexpr FormCase kForms[] = {
    {"default", "", "simple/simple"},
    {"simple/simple", "; c=simple/simple", "simple/simple"},
    {"simple/relaxed", "; c=simple/relaxed", "simple/relaxed"},
    {"relaxed", "; c=relaxed", "relaxed/simple"},
    {"relaxed/simple", "; c=relaxed/simple", "relaxed/simple"},
    {"relaxed/relaxed", "; c=relaxed/relaxed", "relaxed/relaxed"},
};

const std::string kBodies[] = {"",
                               "\r\n",
                               "\r\n\r\n",
                               "text",
                               "text\r\n",
                               " \r\n\t\r\n",
                               "text\r\n\r\n\r\n",
                               "a  b\t\tc \r\n\r\nd",
                               "\r\n\r\nx\r\n",
                               "bare\nline feed \n\r\n",
                               "bare\rcarriage  return\r\r\n",
                               "\n",
                               "x\r",
                               " \t \n \t \r\n",
                               "\xff\xfe 8 bits\r\n",
                               std::string("nul \0 in it\r\n", 13),
                               std::string(5000, 'L') + "\r\n"};

BOOST_AUTO_TEST_CASE(verifies_every_form_of_every_body_with_both_keys) {
  const auto lookup =
      records_of({{std::string(kName), {rsa().record()}}, {"e1._domainkey.brand.example", {ed25519().record()}}});
  for (const FormCase& c : kForms) {
    for (const std::string& body : kBodies) {
      BOOST_TEST_CONTEXT(c.name << " " << body.substr(0, 20)) {
        Draft draft;
        draft.body = body;
        const std::string tail = "; d=brand.example; h=From:To:Subject:Subject:Cc" + std::string(c.tag);
        const std::vector<std::string> names{"From", "To", "Subject", "Subject", "Cc"};
        const std::string by_rsa = raw_signed(draft, rsa(), "v=1; a=rsa-sha256; s=s1" + tail, c.forms, names);
        const std::string by_ed = raw_signed(draft, ed25519(), "v=1; a=ed25519-sha256; s=e1" + tail, c.forms, names);
        BOOST_TEST(reason_of(verify(by_rsa, lookup, {.now = kNow})) == "ok");
        BOOST_TEST(reason_of(verify(by_ed, lookup, {.now = kNow})) == "ok");
        BOOST_TEST(reason_of(verify(by_rsa + "more\r\n", lookup, {.now = kNow})) == "body-hash-mismatch");
      }
    }
  }
}

struct Tampered {
  std::string_view name;
  std::string_view from;
  std::string_view to;
  std::string_view reason;
};

constexpr Tampered kTampered[] = {
    {"nothing", "", "", "ok"},
    {"letter case of a name", "Subject:", "sUBJECT:", "ok"},
    {"white space in a field", "Hello  there", "Hello\r\n\tthere  ", "ok"},
    {"white space in the body", "this is   text", "this  is text", "ok"},
    {"another unsigned field", "Date: Mon", "Date: Tue", "ok"},
    {"a field on top", "DKIM-Signature:", "Received: by mx\r\nDKIM-Signature:", "ok"},
    {"white space after the base 64", "\r\nFrom:", " \r\nFrom:", "ok"},
    {"a letter of a field", "Hello  there", "Hello  therf", "signature-mismatch"},
    {"letter case of a value", "Hello  there", "hello  there", "signature-mismatch"},
    {"white space gone from a field", "Hello  there", "Hellothere", "signature-mismatch"},
    {"another Subject below", "\r\nDate:", "\r\nSubject: win\r\nDate:", "signature-mismatch"},
    {"another Subject above, which is not signed", "\r\nFrom:", "\r\nSubject: win\r\nFrom:", "ok"},
    {"a field taken out", "To: bob@example.net\r\n", "", "signature-mismatch"},
    {"a tag of the signature", "s=s1;", "s=s1; x=1890000000;", "signature-mismatch"},
    {"a letter of the body", "text.", "text!", "body-hash-mismatch"},
    {"a second From above", "\r\nFrom:", "\r\nFrom: eve@evil.example\r\nFrom:", "from-count"},
    {"a second From below", "\r\nDate:", "\r\nfrom : eve@evil.example\r\nDate:", "from-count"},
    {"no From", "\r\nFrom:", "\r\nX-From:", "from-count"},
    {"a bare LF in the header", "Date: Mon", "Date:\nMon", "message-syntax"},
    {"a bare CR in the header", "Date: Mon", "Date:\rMon", "message-syntax"},
    {"a line that is no field", "Date: Mon", "Date Mon", "message-syntax"},
    {"a second version", "v=1;", "v=1; v=1;", "bad-syntax"},
};

BOOST_AUTO_TEST_CASE(tells_what_was_changed) {
  for (const Tampered& c : kTampered) {
    BOOST_TEST_CONTEXT(c.name) {
      std::string message = signed_message();
      const std::size_t at = message.find(c.from);
      BOOST_REQUIRE(at != std::string::npos);
      message.replace(at, c.from.size(), c.to);
      BOOST_TEST(reason_of(verify_with(message, {rsa().record()})) == c.reason);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_message_without_signatures_is_none) {
  for (const std::string_view text :
       {"", "\r\n", "From: a@b.example\r\n\r\nbody", "From: a@b.example", "no field\r\n\r\n",
        "X-DKIM-Signature: v=1\r\n\r\n", "From: a@b.example\r\n\r\nDKIM-Signature: v=1\r\n"}) {
    BOOST_TEST_CONTEXT(text) {
      const auto got = verify_with(text, {});
      BOOST_TEST(to_string(got.status) == "none");
      BOOST_TEST(got.signatures.empty());
    }
  }
}

BOOST_AUTO_TEST_CASE(another_key_is_a_mismatch) {
  BOOST_TEST(reason_of(verify_with(signed_message(), {RawKey::rsa(1024).record()})) == "signature-mismatch");
  BOOST_TEST(reason_of(verify_with(signed_message(), {RawKey::rsa(2048).record()})) == "signature-mismatch");
  // Two keys that may both be it: one that is.
  BOOST_TEST(reason_of(verify_with(signed_message(), {RawKey::rsa(1024).record(), rsa().record()})) == "ok");
  BOOST_TEST(reason_of(verify_with(signed_message(), {ed25519().record()})) == "key-type-mismatch");
}

BOOST_AUTO_TEST_CASE(tells_failed_lookups_from_missing_keys) {
  const auto failing = [](std::string_view) {
    return KeyAnswer{.kind = KeyAnswer::Kind::kTemporaryFailure, .records = {}, .detail = "no answer"};
  };
  const Verification later = verify(signed_message(), failing, {.now = kNow});
  BOOST_TEST(to_string(later.status) == "temperror");
  BOOST_TEST(reason_of(later) == "key-lookup-failed");
  BOOST_TEST(later.signatures.front().detail == "no answer");
  const Verification never = verify(signed_message(), [](std::string_view) { return KeyAnswer{}; }, {.now = kNow});
  BOOST_TEST(to_string(never.status) == "permerror");
  BOOST_TEST(reason_of(never) == "no-key");
}

BOOST_AUTO_TEST_CASE(sha1_and_short_keys_only_when_allowed) {
  const RawKey short_key = RawKey::rsa(768);
  const std::string tags = "v=1; c=relaxed/relaxed; d=brand.example; s=s1; h=From; a=";
  const std::string with_sha1 = raw_signed({}, rsa(), tags + "rsa-sha1", "relaxed/relaxed", {"From"}, EVP_sha1());
  const std::string with_short = raw_signed({}, short_key, tags + "rsa-sha256", "relaxed/relaxed", {"From"});
  VerifyOptions old{.now = kNow};
  old.allow_sha1 = true;
  old.rsa_bits_min = 512;
  BOOST_TEST(reason_of(verify_with(with_sha1, {rsa().record()})) == "sha1");
  BOOST_TEST(reason_of(verify_with(with_sha1, {rsa().record()}, old)) == "ok");
  BOOST_TEST(reason_of(verify_with(with_short, {short_key.record()})) == "key-too-short");
  BOOST_TEST(reason_of(verify_with(with_short, {short_key.record()}, old)) == "ok");
}

// RFC 6376 3.6.1 names RSAPublicKey; appendix C publishes SubjectPublicKeyInfo.
BOOST_AUTO_TEST_CASE(takes_both_forms_of_rsa_keys) {
  const std::string spki = *decode_base64(rsa().public_base64());
  std::string bare;
  append_base64(bare,
                std::string_view(spki).substr(22));  // After AlgorithmIdentifier and BIT STRING of a 1024-bit key.
  BOOST_TEST(reason_of(verify_with(signed_message(), {"v=DKIM1; p=" + bare})) == "ok");
  std::string junk;
  append_base64(junk, spki + "junk");
  BOOST_TEST(reason_of(verify_with(signed_message(), {"v=DKIM1; p=" + junk})) == "key-syntax");
}

BOOST_AUTO_TEST_CASE(counts_the_octets_of_l) {
  Draft draft;
  draft.body = "signed part\r\nnot signed\r\n";  // 13 octets, then 12.
  const auto signed_to = [&](std::string_view tag, std::size_t length) {
    return raw_signed(draft, rsa(), std::string(kTags) + std::string(tag), "relaxed/relaxed", kNames, EVP_sha256(),
                      length);
  };
  const Verification part = verify_with(signed_to("; l=13", 13), {rsa().record()});
  BOOST_TEST(to_string(part.status) == "pass");
  BOOST_TEST(part.signatures.front().body_length.value_or(0) == 13U);
  BOOST_TEST(reason_of(verify_with(signed_to("; l=13", 13) + "added\r\n", {rsa().record()})) == "ok");
  BOOST_TEST(reason_of(verify_with(signed_to("; l=0", 0), {rsa().record()})) == "ok");
  BOOST_TEST(reason_of(verify_with(signed_to("; l=25", 25), {rsa().record()})) == "ok");
  BOOST_TEST(reason_of(verify_with(signed_to("; l=26", 25), {rsa().record()})) == "body-too-short");
  BOOST_TEST(reason_of(verify_with(signed_to("; l=12", 13), {rsa().record()})) == "body-hash-mismatch");
}

BOOST_AUTO_TEST_CASE(one_good_signature_is_enough) {
  const std::string good = signed_message();
  const std::string field = good.substr(0, good.find("\r\nFrom:") + 2);
  std::string broken = field;
  broken.replace(broken.find("bh=") + 3, 4, "AAAA");
  const std::string expired =
      "DKIM-Signature: v=1; a=rsa-sha256; d=brand.example; s=s1; h=from; x=1; bh=aaaa; b=aaaa\r\n";
  const std::string lost = "DKIM-Signature: v=1; a=rsa-sha256; d=other.example; s=s1; h=from; bh=aaaa; b=aaaa\r\n";
  const auto lookup = [](std::string_view name) {
    if (name == kName) return KeyAnswer{.kind = KeyAnswer::Kind::kFound, .records = {rsa().record()}};
    return KeyAnswer{.kind = KeyAnswer::Kind::kTemporaryFailure};
  };
  const std::string draft = Draft().str();
  const auto status = [&](const std::string& fields) {
    return std::string(to_string(verify(fields + draft, lookup, {.now = kNow}).status));
  };
  BOOST_TEST(status(expired + broken + lost + field) == "pass");
  BOOST_TEST(status(expired + broken + lost) == "temperror");
  BOOST_TEST(status(expired + broken) == "fail");
  BOOST_TEST(status(expired) == "permerror");
}

BOOST_AUTO_TEST_CASE(signatures_beyond_the_cap_are_policy) {
  const std::string good = signed_message();
  std::string fields;
  for (int i = 0; i < 12; ++i) fields += "DKIM-Signature: v=1\r\n";
  const Verification got = verify_with(fields + good, {rsa().record()});
  BOOST_TEST(to_string(got.status) == "permerror");
  BOOST_TEST(got.signatures.size() == kSignaturesMaxDefault + 1);
  BOOST_TEST(to_string(got.signatures.back().reason) == "too-many-signatures");
  BOOST_TEST(to_string(got.signatures.back().status) == "policy");
  BOOST_TEST(got.signatures.back().detail == "3 more");
  VerifyOptions options{.now = kNow};
  options.signatures_max = 0;
  BOOST_TEST(to_string(verify_with(good, {rsa().record()}, options).status) == "policy");
}

BOOST_AUTO_TEST_CASE(asks_for_each_name_once) {
  const std::string good = signed_message();
  const std::string field = good.substr(0, good.find("\r\nFrom:") + 2);
  int asked = 0;
  const auto lookup = [&](std::string_view name) {
    ++asked;
    BOOST_TEST(name == kName);
    return KeyAnswer{.kind = KeyAnswer::Kind::kFound, .records = {rsa().record()}};
  };
  BOOST_TEST(to_string(verify(field + field + good, lookup, {.now = kNow}).status) == "pass");
  BOOST_TEST(asked == 1);
  BOOST_TEST((keys_needed(field + field + good) == std::vector<std::string>{std::string(kName)}));
  BOOST_TEST(keys_needed("DKIM-Signature: v=2\r\n" + Draft().str()).empty());
}

BOOST_AUTO_TEST_CASE(reports_what_it_saw) {
  const Verification got = verify_with(signed_message("; i=ann@eu.brand.example; l=5"), {rsa().record() + "; t=y"});
  const SignatureResult& result = got.signatures.front();
  BOOST_TEST(result.domain == "brand.example");
  BOOST_TEST(result.selector == "s1");
  BOOST_TEST(result.identity == "ann@eu.brand.example");
  BOOST_TEST(result.algorithm == "rsa-sha256");
  BOOST_TEST(result.key_bits == 1024);
  BOOST_TEST(result.testing);
}

// Both its answers: what it holds and what it has let go.
BOOST_AUTO_TEST_CASE(a_cache_changes_nothing_but_the_time) {
  KeyCache cache(2);
  VerifyOptions options{.now = kNow};
  options.key_cache = &cache;
  const std::string message = signed_message();
  const std::vector<std::string> records{rsa().record(), RawKey::rsa(1024).record(), "v=DKIM1; p=", ed25519().record()};
  constexpr std::string_view kReasons[] = {"ok", "signature-mismatch", "key-revoked", "key-type-mismatch"};
  for (int round = 0; round < 3; ++round) {
    for (const std::size_t i : {0, 0, 1, 2, 0, 3, 3, 1}) {
      BOOST_TEST(reason_of(verify_with(message, {records[i]}, options)) == kReasons[i]);
    }
  }
}

// RFC 6376 5.4.2: a field is signed once for each time that its name stands in h=, from the bottom up.
BOOST_AUTO_TEST_CASE(takes_fields_from_the_bottom_up) {
  Draft draft;
  for (const char* each : {"X-A: 1", "X-B: 1", "X-A: 2", "x-a: 3"}) draft.fields.emplace_back(each);
  const std::string tags = "v=1; a=rsa-sha256; d=brand.example; s=s1; h=From:X-A:X-B:x-A";
  const std::string message = raw_signed(draft, rsa(), tags, "simple/simple", {"From", "X-A", "X-B", "X-A"});
  BOOST_TEST(reason_of(verify_with(message, {rsa().record()})) == "ok");
  std::string changed = message;
  changed.replace(changed.find("X-A: 1"), 6, "X-A: 9");
  BOOST_TEST(reason_of(verify_with(changed, {rsa().record()})) == "ok");
  changed = message;
  changed.replace(changed.find("X-A: 2"), 6, "X-A: 9");
  BOOST_TEST(reason_of(verify_with(changed, {rsa().record()})) == "signature-mismatch");
}

// Every name looked for in vain among as many fields as there may be, by as many signatures: their sum and not their
// product.
BOOST_AUTO_TEST_CASE(many_names_over_many_fields) {
  std::string message;
  for (std::size_t i = 0; i < kSignaturesMaxDefault; ++i) {
    message +=
        "DKIM-Signature: v=1; a=rsa-sha256; d=brand.example; s=s1; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;"
        " c=relaxed/relaxed; b=aaaa; h=from";
    for (std::size_t name = 1; name < kSignedNamesMax; ++name) message += ":x" + std::to_string(name % 7);
    message += "\r\n";
  }
  message += "From: a@brand.example\r\n";
  for (std::size_t i = kSignaturesMaxDefault + 1; i < kHeaderFieldsMax; ++i)
    message += "y" + std::to_string(i) + ": z\r\n";
  message += "\r\n";
  const Verification got = verify_with(message, {rsa().record()});
  BOOST_TEST(reason_of(got) == "signature-mismatch");
  BOOST_TEST(reason_of(verify_with("z: z\r\n" + message, {rsa().record()})) == "too-many-fields");
  BOOST_TEST(to_string(verify_with("z: z\r\n" + message, {rsa().record()}).status) == "policy");
}

}  // namespace
}  // namespace mailsbuddy::dkim
