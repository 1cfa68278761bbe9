// libopendkim 2.11 verifies, with our keys and our clock. What it has no word for is as in verifier.cc: the header as a
// whole, how many signatures are looked at, and that SHA-1 is worth nothing.
#include <fmt/format.h>
#include <sys/types.h>

#define _Bool bool  // C99's word, which their header uses in C++ too.
#include <opendkim/dkim.h>
#undef _Bool

#include <algorithm>

#include "dkim/verifier.h"

namespace mailsbuddy::dkim {
namespace {

struct Close {
  void operator()(DKIM_LIB* library) const noexcept { dkim_close(library); }
  void operator()(DKIM* message) const noexcept { dkim_free(message); }
};

constexpr std::uint64_t kDriftMax = 1'000'000'000;  // Thirty years: no signature in use is so old or so far ahead.

struct Row {
  DKIM_SIGERROR error;
  Reason reason;
};

constexpr Row kRows[] = {
    {DKIM_SIGERROR_VERSION, Reason::kVersion},
    {DKIM_SIGERROR_DOMAIN, Reason::kDomainMismatch},
    {DKIM_SIGERROR_EXPIRED, Reason::kExpired},
    {DKIM_SIGERROR_FUTURE, Reason::kFuture},
    {DKIM_SIGERROR_INVALID_HC, Reason::kUnknownCanonicalisation},
    {DKIM_SIGERROR_INVALID_BC, Reason::kUnknownCanonicalisation},
    {DKIM_SIGERROR_MISSING_A, Reason::kMissingTag},
    {DKIM_SIGERROR_INVALID_A, Reason::kUnknownAlgorithm},
    {DKIM_SIGERROR_MISSING_H, Reason::kMissingTag},
    {DKIM_SIGERROR_INVALID_Q, Reason::kUnknownQueryMethod},
    {DKIM_SIGERROR_INVALID_QO, Reason::kUnknownQueryMethod},
    {DKIM_SIGERROR_MISSING_D, Reason::kMissingTag},
    {DKIM_SIGERROR_MISSING_S, Reason::kMissingTag},
    {DKIM_SIGERROR_MISSING_B, Reason::kMissingTag},
    {DKIM_SIGERROR_NOKEY, Reason::kNoKey},
    {DKIM_SIGERROR_DNSSYNTAX, Reason::kKeySyntax},
    {DKIM_SIGERROR_KEYFAIL, Reason::kKeyLookupFailed},
    {DKIM_SIGERROR_MISSING_BH, Reason::kMissingTag},
    {DKIM_SIGERROR_SUBDOMAIN, Reason::kSubdomainNotAllowed},
    {DKIM_SIGERROR_INVALID_H, Reason::kFromNotSigned},
    {DKIM_SIGERROR_TOOLARGE_L, Reason::kBodyTooShort},
    {DKIM_SIGERROR_KEYVERSION, Reason::kKeySyntax},
    {DKIM_SIGERROR_KEYUNKNOWNHASH, Reason::kHashNotAllowed},
    {DKIM_SIGERROR_KEYHASHMISMATCH, Reason::kHashNotAllowed},
    {DKIM_SIGERROR_NOTEMAILKEY, Reason::kServiceNotEmail},
    {DKIM_SIGERROR_KEYTYPEMISSING, Reason::kKeyTypeMismatch},
    {DKIM_SIGERROR_KEYTYPEUNKNOWN, Reason::kKeyTypeMismatch},
    {DKIM_SIGERROR_KEYREVOKED, Reason::kKeyRevoked},
    {DKIM_SIGERROR_KEYDECODE, Reason::kKeySyntax},
    {DKIM_SIGERROR_MISSING_V, Reason::kMissingTag},
    {DKIM_SIGERROR_KEYTOOSMALL, Reason::kKeyTooShort},
};

unsigned char* octets(std::string_view text) noexcept {
  return reinterpret_cast<unsigned char*>(const_cast<char*>(text.data()));  // Their C has no const; nothing is written.
}

std::string text_of(const char* text) { return text == nullptr ? "" : text; }
std::string text_of(const unsigned char* text) { return text_of(reinterpret_cast<const char*>(text)); }

// It takes one record for a name: the first that is a key record.
std::string_view first_key(const KeyAnswer& answer) {
  for (const std::string& record : answer.records) {
    if (KeyRecord::parse(record)) return record;
  }
  return answer.records.front();
}

struct Keys {
  const KeyLookup& lookup;
  std::vector<const DKIM_SIGINFO*>
      failed{};  // Those whose key cannot be had now; their status says no more than "unknown".
};

DKIM_CBSTAT look_up(DKIM* dkim, DKIM_SIGINFO* signature, u_char* buffer, size_t size) noexcept {
  Keys& keys = *static_cast<Keys*>(dkim_get_user_context(dkim));
  const KeyAnswer answer = keys.lookup(fmt::format("{}._domainkey.{}", text_of(dkim_sig_getselector(signature)),
                                                   text_of(dkim_sig_getdomain(signature))));
  if (answer.kind == KeyAnswer::Kind::kTemporaryFailure) {
    keys.failed.push_back(signature);
    return DKIM_CBSTAT_TRYAGAIN;
  }
  if (answer.kind == KeyAnswer::Kind::kNoSuchName || answer.records.empty()) return DKIM_CBSTAT_NOTFOUND;
  const std::string_view record = first_key(answer);
  if (record.size() + 1 > size) return DKIM_CBSTAT_ERROR;
  std::ranges::copy(record, buffer);
  buffer[record.size()] = '\0';
  return DKIM_CBSTAT_CONTINUE;
}

std::optional<std::uint64_t> time_in(DKIM_SIGINFO* signature, const char* tag) {
  const std::string text = text_of(dkim_sig_gettagvalue(signature, false, octets(tag)));
  return text.empty() ? std::nullopt : std::optional<std::uint64_t>(std::strtoull(text.c_str(), nullptr, 10));
}

Finding find(DKIM_SIGINFO* signature, const Keys& keys, const VerifyOptions& options) {
  if (std::ranges::find(keys.failed, signature) != keys.failed.end()) return {Reason::kKeyLookupFailed, ""};
  const DKIM_SIGERROR error = dkim_sig_geterror(signature);
  if (error == DKIM_SIGERROR_OK || error == DKIM_SIGERROR_BADSIG) {
    if (text_of(dkim_sig_getalgorithm(signature)) == "rsa-sha1" && !options.allow_sha1) return {Reason::kSha1, ""};
    if (Finding times = check_times(time_in(signature, "t"), time_in(signature, "x"), options); !times.ok())
      return times;
    if (dkim_sig_getbh(signature) == DKIM_SIGBH_MISMATCH) return {Reason::kBodyHashMismatch, ""};
    return {DKIM_SIG_CHECK(signature) ? Reason::kOk : Reason::kSignatureMismatch, ""};
  }
  const auto row = std::ranges::find(kRows, error, &Row::error);
  return {row == std::end(kRows) ? Reason::kBadSyntax : row->reason, text_of(dkim_sig_geterrorstr(error))};
}

SignatureResult judge(DKIM* dkim, DKIM_SIGINFO* signature, const Keys& keys, const VerifyOptions& options) {
  if ((dkim_sig_getflags(signature) & DKIM_SIGFLAG_PROCESSED) == 0) dkim_sig_process(dkim, signature);
  Finding found = find(signature, keys, options);
  SignatureResult result{.status = status_of(found.reason), .reason = found.reason, .detail = std::move(found.detail)};
  result.domain = text_of(dkim_sig_getdomain(signature));
  result.selector = text_of(dkim_sig_getselector(signature));
  result.algorithm = text_of(dkim_sig_getalgorithm(signature));
  result.testing = (dkim_sig_getflags(signature) & DKIM_SIGFLAG_TESTKEY) != 0;
  unsigned bits = 0;
  if (dkim_sig_getkeysize(signature, &bits) == DKIM_STAT_OK) result.key_bits = static_cast<int>(bits);
  return result;
}

// It asks the clock of the system, whatever time is set, so it gets a margin in which everything passes, and we ask
// ours. It takes the margin from t= without a sign: one that is larger would make it the future. The price is that a
// very old t= on one signature, with a now far from the system's, spoils an x= on another.
std::uint64_t drift_for(const CutMessage& cut) {
  std::uint64_t drift = kDriftMax;
  for (const Field& field : cut.fields) {
    if (!is_signature(field)) continue;
    Signature signature;
    static_cast<void>(parse_signature(field, SignatureKind::kDkim, signature));
    drift = std::min(drift, signature.signed_at.value_or(drift));
  }
  return drift;
}

std::unique_ptr<DKIM_LIB, Close> make_library(const VerifyOptions& options, std::uint64_t drift) {
  std::unique_ptr<DKIM_LIB, Close> library(dkim_init(nullptr, nullptr));
  const auto set = [&](dkim_opts_t option, auto value) {
    if (library && dkim_options(library.get(), DKIM_OP_SETOPT, option, &value, sizeof value) != DKIM_STAT_OK) {
      library.reset();
    }
  };
  set(DKIM_OPTS_FLAGS, unsigned{DKIM_LIBFLAGS_BADSIGHANDLES});  // Also what is malformed is to be reported.
  set(DKIM_OPTS_MINKEYBITS, static_cast<unsigned>(options.rsa_bits_min));
  set(DKIM_OPTS_CLOCKDRIFT, drift);
  if (library) dkim_set_key_lookup(library.get(), look_up);
  return library;
}

}  // namespace

Verification verify_with_libopendkim(std::string_view message, const KeyLookup& lookup, const VerifyOptions& options) {
  CutMessage cut;
  if (auto verdict = settled_by_header(message, cut)) return *std::move(verdict);
  // A library handle for each message: its options are the caller's, and may differ with each call.
  const auto library = make_library(options, drift_for(cut));
  DKIM_STAT status = DKIM_STAT_OK;
  const std::unique_ptr<DKIM, Close> dkim(library ? dkim_verify(library.get(), octets("mailsbuddy"), nullptr, &status)
                                                  : nullptr);
  if (!dkim) return refused({Reason::kUnavailable, "libopendkim: out of memory"});
  Keys keys{.lookup = lookup};
  dkim_set_user_context(dkim.get(), &keys);
  for (const Field& field : cut.fields) {
    if (status == DKIM_STAT_OK) status = dkim_header(dkim.get(), octets(field.whole), field.whole.size());
  }
  // The header can be cut, so it is a signature that it does not like; which one, it does not say.
  if (status != DKIM_STAT_OK) return refused({Reason::kBadSyntax, text_of(dkim_getresultstr(status))});
  // From here on what is wrong stands with each signature.
  static_cast<void>(dkim_eoh(dkim.get()));
  if (!cut.body.empty()) static_cast<void>(dkim_body(dkim.get(), octets(cut.body), cut.body.size()));
  // It does not add the CRLF of RFC 6376 3.4.3 and 3.4.4 itself in all forms, and a short last line is "syntax" to it.
  if (!cut.body.empty() && !cut.body.ends_with("\r\n")) static_cast<void>(dkim_body(dkim.get(), octets("\r\n"), 2));
  status = dkim_eom(dkim.get(), nullptr);

  Verification verification;
  DKIM_SIGINFO** signatures = nullptr;
  int count = 0;
  if (dkim_getsiglist(dkim.get(), &signatures, &count) != DKIM_STAT_OK || count == 0) {
    return refused({Reason::kBadSyntax, text_of(dkim_getresultstr(status))});
  }
  for (DKIM_SIGINFO* signature : std::span(signatures, static_cast<std::size_t>(count))) {
    if (verification.signatures.size() == options.signatures_max) {
      add_too_many(cut, options, verification);
      break;
    }
    verification.signatures.push_back(judge(dkim.get(), signature, keys, options));
  }
  return settled(std::move(verification));
}

}  // namespace mailsbuddy::dkim
