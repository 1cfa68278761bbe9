// Chains of ARC sets (RFC 8617): sealed, passed on, and broken in every way.
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <functional>

#include "mailsbuddy/dkim.h"
#include "tests/dkim/raw_signer.h"

namespace mailsbuddy::dkim {
namespace {

constexpr TimePoint kNow{std::chrono::seconds(1'790'000'000)};
const std::string kMessage = Draft().str();

const PrivateKey& rsa() {
  static const PrivateKey key = PrivateKey::generate_rsa(1024, {.allow_short_rsa = true}).value();
  return key;
}
const PrivateKey& ed25519() {
  static const PrivateKey key = PrivateKey::generate_ed25519().value();
  return key;
}

ArcSealer sealer(bool by_rsa = true) {
  return ArcSealer::make(by_rsa ? "list.example" : "mx.example", by_rsa ? "s1" : "e1", by_rsa ? rsa() : ed25519())
      .value();
}

const KeyLookup& lookup() {
  static const KeyLookup records = records_of({{"s1._domainkey.list.example", {rsa().record().str()}},
                                               {"e1._domainkey.mx.example", {ed25519().record().str()}}});
  return records;
}

ArcVerification judged(const std::string& message) { return verify_arc(message, lookup(), {.now = kNow}); }

// With one more set, made by the two in turn.
std::string passed_on(const std::string& message) {
  const ArcVerification so_far = judged(message);
  const auto set = sealer(so_far.instances % 2 == 0)
                       .seal(message, "mx.example; dkim=pass header.d=brand.example;\r\n\tspf=none", so_far, kNow);
  BOOST_REQUIRE(set.has_value());
  return *set + message;
}

std::string chain(int sets) {
  std::string message = kMessage;
  while (sets-- > 0) message = passed_on(message);
  return message;
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  BOOST_REQUIRE_MESSAGE(at != std::string::npos, from);
  return text.replace(at, from.size(), to);
}

// The field with its CRLF that begins so, where it stands the first time.
std::string field_of(const std::string& message, std::string_view start) {
  const std::size_t at = message.find(start);
  BOOST_REQUIRE(at != std::string::npos);
  std::size_t end = at;
  do end = message.find("\r\n", end) + 2;
  while (message[end] == ' ' || message[end] == '\t');
  return message.substr(at, end - at);
}

BOOST_AUTO_TEST_CASE(a_chain_of_every_length_passes) {
  BOOST_TEST(to_string(judged(kMessage).status) == "none");
  std::string message = kMessage;
  for (int sets = 1; sets <= 5; ++sets) {
    message = passed_on(message);
    const ArcVerification got = judged(message);
    BOOST_TEST_CONTEXT(sets << " " << to_string(got.reason) << " " << got.detail) {
      BOOST_TEST(to_string(got.status) == "pass");
      BOOST_TEST(got.instances == sets);
      BOOST_TEST(got.oldest_pass == 0);
      BOOST_REQUIRE(got.seals.size() == static_cast<std::size_t>(sets));
      BOOST_TEST(got.seals.front().domain == "list.example");
      BOOST_TEST(got.seals.back().instance == sets);
    }
  }
}

BOOST_AUTO_TEST_CASE(fifty_sets_and_no_more) {
  const std::string full = chain(kArcInstancesMax);
  const ArcVerification got = judged(full);
  BOOST_TEST(to_string(got.status) == "pass");
  const auto more = sealer().seal(full, "mx.example; none", got, kNow);
  BOOST_REQUIRE(!more.has_value());
  BOOST_TEST((more.error().code == ErrorCode::kUnsupported));
}

// The list adds a footer and seals again: its own message signature holds, the one before no more.
BOOST_AUTO_TEST_CASE(says_since_when_the_message_is_as_it_is) {
  const std::string came = chain(2);
  const ArcVerification so_far = judged(came);
  const std::string changed = came + "-- \r\nThe list\r\n";
  const std::string sealed = *sealer().seal(changed, "mx.example; arc=pass", so_far, kNow) + changed;
  const ArcVerification got = judged(sealed);
  BOOST_TEST(to_string(got.status) == "pass");
  BOOST_TEST(got.oldest_pass == 3);
  BOOST_TEST(to_string(judged(passed_on(sealed)).status) == "pass");
}

struct Case {
  std::string_view name;
  std::function<std::string(std::string)> change;  // Of a chain of three.
  std::string_view reason;
  int failed_instance;
};

const Case kBroken[] = {
    {"the body was changed", [](std::string m) { return m + "more\r\n"; }, "body-hash-mismatch", 3},
    {"a signed field was changed", [](std::string m) { return replaced(m, "Hello  there", "Hello you"); },
     "signature-mismatch", 3},
    {"results of the last set were changed",
     [](std::string m) {
       return replaced(m, "ARC-Authentication-Results: i=3;\r\n mx", "ARC-Authentication-Results: i=3;\r\n my");
     },
     "signature-mismatch", 3},
    {"results of the first set were changed",
     [](std::string m) {
       return replaced(m, "ARC-Authentication-Results: i=1;\r\n mx", "ARC-Authentication-Results: i=1;\r\n my");
     },
     "signature-mismatch", 3},
    {"the last set is gone but for its seal",
     [](std::string m) { return replaced(m, field_of(m, "ARC-Message-Signature: i=3"), ""); }, "arc-set", 3},
    {"a seal is missing", [](std::string m) { return replaced(m, field_of(m, "ARC-Seal: i=2"), ""); }, "arc-set", 2},
    {"a whole set is missing",
     [](std::string m) {
       for (const char* name : {"ARC-Seal: i=2", "ARC-Message-Signature: i=2", "ARC-Authentication-Results: i=2"}) {
         m = replaced(m, field_of(m, name), "");
       }
       return m;
     },
     "arc-set", 2},
    {"the first set is missing",
     [](std::string m) {
       for (const char* name : {"ARC-Seal: i=1", "ARC-Message-Signature: i=1", "ARC-Authentication-Results: i=1"}) {
         m = replaced(m, field_of(m, name), "");
       }
       return m;
     },
     "arc-set", 1},
    {"a seal stands twice", [](std::string m) { return field_of(m, "ARC-Seal: i=1") + m; }, "arc-set", 1},
    {"results stand twice", [](std::string m) { return field_of(m, "ARC-Authentication-Results: i=3") + m; }, "arc-set",
     3},
    {"an instance is no number", [](std::string m) { return replaced(m, "ARC-Seal: i=3", "ARC-Seal: i=x"); }, "arc-set",
     0},
    {"an instance is too high", [](std::string m) { return replaced(m, "ARC-Seal: i=3", "ARC-Seal: i=51"); }, "arc-set",
     0},
    {"results without instance", [](std::string m) { return "ARC-Authentication-Results: mx.example; none\r\n" + m; },
     "arc-set", 0},
    {"the first set says pass", [](std::string m) { return replaced(m, "cv=none", "cv=pass"); }, "arc-chain-status", 1},
    {"a later set says none", [](std::string m) { return replaced(m, "cv=pass", "cv=none"); }, "arc-chain-status", 3},
    {"the last set says fail", [](std::string m) { return replaced(m, "cv=pass", "cv=fail"); }, "arc-chain-failed", 3},
    {"a seal names fields", [](std::string m) { return replaced(m, "ARC-Seal: i=2;", "ARC-Seal: i=2; h=from;"); },
     "arc-seal-signed", 2},
    {"a seal is no tag list", [](std::string m) { return replaced(m, "ARC-Seal: i=2;", "ARC-Seal: i=2; i=2;"); },
     "bad-syntax", 0},
    {"a seal with SHA-1",
     [](std::string m) {
       const std::string seal = field_of(m, "ARC-Seal: i=3");
       return replaced(m, seal, replaced(seal, "a=rsa-sha256", "a=rsa-sha1"));
     },
     "sha1", 3},
    {"a selector without key",
     [](std::string m) {
       const std::string seal = field_of(m, "ARC-Seal: i=3");
       return replaced(m, seal, replaced(seal, "s=s1", "s=s2"));
     },
     "no-key", 3},
    {"a second From", [](std::string m) { return "From: eve@evil.example\r\n" + m; }, "from-count", 0},
    {"a line that is no field", [](std::string m) { return "hello\r\n" + m; }, "message-syntax", 0},
};

BOOST_AUTO_TEST_CASE(a_broken_chain_fails) {
  const std::string whole = chain(3);
  for (const Case& c : kBroken) {
    BOOST_TEST_CONTEXT(c.name) {
      const ArcVerification got = judged(c.change(whole));
      BOOST_TEST(to_string(got.status) == "fail");
      BOOST_TEST(to_string(got.reason) == c.reason);
      BOOST_TEST(got.failed_instance == c.failed_instance);
    }
  }
}

// What RFC 8617 lets a relay do: fold anew, and other letter case of names.
BOOST_AUTO_TEST_CASE(white_space_and_letter_case_do_no_harm) {
  std::string message = chain(2);
  message = replaced(message, "ARC-Seal: i=2; a", "arc-seal:\r\n\ti=2;   a");
  message = replaced(message, "ARC-Authentication-Results: i=1;", "Arc-Authentication-Results:  i=1; ");
  BOOST_TEST(to_string(judged(message).status) == "pass");
}

// RFC 8617 5.1.2: the failure is sealed once, over the new set alone.
BOOST_AUTO_TEST_CASE(a_failure_is_sealed_once) {
  const std::string broken = chain(2) + "more\r\n";
  const ArcVerification so_far = judged(broken);
  const auto set = sealer().seal(broken, "mx.example; arc=fail", so_far, kNow);
  BOOST_REQUIRE(set.has_value());
  BOOST_TEST(set->find("cv=fail") != std::string::npos);
  BOOST_TEST(set->find("i=3") != std::string::npos);
  const ArcVerification got = judged(*set + broken);
  BOOST_TEST(to_string(got.reason) == "arc-chain-failed");
  const auto again = sealer().seal(*set + broken, "mx.example; arc=fail", got, kNow);
  BOOST_REQUIRE(!again.has_value());
  BOOST_TEST((again.error().code == ErrorCode::kUnsupported));
}

BOOST_AUTO_TEST_CASE(does_not_seal_what_it_could_not_judge) {
  const std::string message = chain(1);
  const auto failing = [](std::string_view) { return KeyAnswer{.kind = KeyAnswer::Kind::kTemporaryFailure}; };
  const ArcVerification got = verify_arc(message, failing, {.now = kNow});
  BOOST_TEST(to_string(got.status) == "fail");
  BOOST_TEST(got.temporary);
  const auto set = sealer().seal(message, "mx.example; none", got, kNow);
  BOOST_REQUIRE(!set.has_value());
  BOOST_TEST((set.error().code == ErrorCode::kUnavailable));
}

BOOST_AUTO_TEST_CASE(refuses_to_seal) {
  const ArcVerification none;
  BOOST_TEST(!sealer().seal(kMessage, "", none, kNow));
  BOOST_TEST(!sealer().seal(kMessage, "mx.example; none\r\nX: y", none, kNow));
  BOOST_TEST(!sealer().seal(kMessage, "mx.example; none\r\n", none, kNow));
  BOOST_TEST(!sealer().seal(kMessage, "mx.example;\nnone", none, kNow));
  BOOST_TEST(!sealer().seal("To: a@b.example\r\n\r\n", "mx.example; none", none, kNow));
  BOOST_TEST(!sealer().seal("From: a\r\nFrom: b\r\n\r\n", "mx.example; none", none, kNow));
  BOOST_TEST(!sealer().seal("From: a\r\n\r\nbare\n", "mx.example; none", none, kNow));
  BOOST_TEST(!ArcSealer::make("list.example", "s 1", rsa()));
  BOOST_TEST(!ArcSealer::make("list.example", "s1", rsa(), {.headers = {"To"}}));
  BOOST_TEST(!ArcSealer::make("list.example", "s1", rsa(), {.headers = {"From", "arc-seal"}}));
}

// The verification has to be of the message that is sealed.
BOOST_AUTO_TEST_CASE(does_not_seal_on_the_word_of_another_chain) {
  const ArcVerification two = judged(chain(2));
  BOOST_REQUIRE(to_string(two.status) == "pass");
  BOOST_TEST(!sealer().seal(kMessage, "mx.example; none", two, kNow));
  BOOST_TEST(!sealer().seal(chain(1), "mx.example; none", two, kNow));
  const std::string message = chain(2);
  BOOST_TEST(!sealer().seal(message.substr(message.find("ARC-Message-Signature:")), "mx.example; none", two, kNow));
  BOOST_TEST(sealer().seal(message, "mx.example; none", two, kNow).has_value());
}

BOOST_AUTO_TEST_CASE(keys_needed_for_a_chain) {
  const std::vector<std::string> expected{"s1._domainkey.list.example", "e1._domainkey.mx.example"};
  BOOST_TEST((arc_keys_needed(chain(3)) == expected));
  BOOST_TEST(arc_keys_needed(kMessage).empty());
}

}  // namespace
}  // namespace mailsbuddy::dkim
