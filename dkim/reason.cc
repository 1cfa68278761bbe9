#include <array>
#include <cstddef>

#include "dkim/reason.h"

namespace mailsbuddy::dkim {
namespace {

constexpr std::array<std::string_view, 7> kStatusWords{"none",    "pass",      "fail",     "policy",
                                                       "neutral", "temperror", "permerror"};  // RFC 8601 2.7.1

struct Row {
  Reason reason;
  std::string_view name;
  Status status;
  std::string_view sentence;
};

constexpr Row kRows[] = {
    {Reason::kOk, "ok", Status::kPass, "the signature holds"},
    {Reason::kMessageSyntax, "message-syntax", Status::kPermError, "the header is not that of a message"},
    {Reason::kFromCount, "from-count", Status::kPermError, "the message has not exactly one From field"},
    {Reason::kTooManyFields, "too-many-fields", Status::kPolicy, "the header has more fields than are looked at"},
    {Reason::kTooManySignatures, "too-many-signatures", Status::kPolicy, "more signatures than are looked at"},
    {Reason::kBadSyntax, "bad-syntax", Status::kPermError, "the signature field is malformed"},
    {Reason::kMissingTag, "missing-tag", Status::kPermError, "the signature field lacks a tag it must have"},
    {Reason::kVersion, "version", Status::kPermError, "the signature is of another version of DKIM"},
    {Reason::kUnknownAlgorithm, "unknown-algorithm", Status::kPermError, "the signature's algorithm is not known"},
    {Reason::kUnknownCanonicalisation, "unknown-canonicalisation", Status::kPermError,
     "the signature's canonical form is not known"},
    {Reason::kUnknownQueryMethod, "unknown-query-method", Status::kPermError,
     "the key cannot be asked for by DNS, as q= has it"},
    {Reason::kDomainMismatch, "domain-mismatch", Status::kPermError,
     "the identity in i= is not of the signing domain in d="},
    {Reason::kFromNotSigned, "from-not-signed", Status::kPermError, "From is not among the signed fields"},
    {Reason::kFuture, "future", Status::kPermError, "the signature was made in the future"},
    {Reason::kExpired, "expired", Status::kPermError, "the signature has expired"},
    {Reason::kSha1, "sha1", Status::kPermError, "signatures with SHA-1 are worth nothing (RFC 8301)"},
    {Reason::kKeyLookupFailed, "key-lookup-failed", Status::kTempError, "the key could not be looked up now"},
    {Reason::kNoKey, "no-key", Status::kPermError, "no key is published for the selector"},
    {Reason::kKeySyntax, "key-syntax", Status::kPermError, "the published key record is malformed"},
    {Reason::kKeyRevoked, "key-revoked", Status::kPermError, "the key was revoked"},
    {Reason::kKeyTypeMismatch, "key-type-mismatch", Status::kPermError,
     "the published key is of another type than the signature"},
    {Reason::kHashNotAllowed, "hash-not-allowed", Status::kPermError,
     "the key record does not allow the signature's hash"},
    {Reason::kServiceNotEmail, "service-not-email", Status::kPermError, "the key is not for e-mail"},
    {Reason::kSubdomainNotAllowed, "subdomain-not-allowed", Status::kPermError,
     "the key record does not allow identities of subdomains"},
    {Reason::kKeyTooShort, "key-too-short", Status::kPermError, "the key is too short to trust (RFC 8301)"},
    {Reason::kKeyTooLong, "key-too-long", Status::kPermError, "the key is longer than is looked at"},
    {Reason::kBodyTooShort, "body-too-short", Status::kPermError, "the body is shorter than what was signed"},
    {Reason::kBodyHashMismatch, "body-hash-mismatch", Status::kFail, "the body was changed after it was signed"},
    {Reason::kSignatureMismatch, "signature-mismatch", Status::kFail,
     "the signed fields were changed, or another key signed"},
    {Reason::kArcSet, "arc-set", Status::kFail, "an ARC set is missing, incomplete or there twice"},
    {Reason::kArcChainStatus, "arc-chain-status", Status::kFail, "an ARC-Seal states what its place cannot have"},
    {Reason::kArcChainFailed, "arc-chain-failed", Status::kFail, "the chain was broken when it was last sealed"},
    {Reason::kArcSealHasNames, "arc-seal-signed", Status::kFail,
     "an ARC-Seal names fields, or is named where it must not be"},
    {Reason::kUnavailable, "unavailable", Status::kTempError, "this verifier could not do its work"},
};

constexpr bool in_order() {
  for (std::size_t i = 0; i < std::size(kRows); ++i) {
    if (static_cast<std::size_t>(kRows[i].reason) != i) return false;
  }
  return std::size(kRows) == static_cast<std::size_t>(Reason::kUnavailable) + 1;
}
static_assert(in_order());

const Row& row_of(Reason reason) noexcept { return kRows[static_cast<std::size_t>(reason)]; }

}  // namespace

std::string_view to_string(Status status) noexcept { return kStatusWords[static_cast<std::size_t>(status)]; }
std::string_view to_string(Reason reason) noexcept { return row_of(reason).name; }
std::string_view describe(Reason reason) noexcept { return row_of(reason).sentence; }
Status status_of(Reason reason) noexcept { return row_of(reason).status; }

}  // namespace mailsbuddy::dkim
