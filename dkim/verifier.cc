// RFC 6376 6.1, in its order: the signature field (6.1.1), the key (6.1.2), the sums (6.1.3).
#include "dkim/verifier.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/ascii.h"
#include "dkim/canonicalise.h"

namespace mailsbuddy::dkim {
namespace {

constexpr std::string_view kSignatureName = "DKIM-Signature";
constexpr std::string_view kCrlf = "\r\n";
constexpr std::size_t kSignatureStartBytes = 8;  // RFC 6008 4

// A body with bare CRs or LFs, which RFC 5322 2.3 forbids but some signers sign all the same: they are octets as any
// other. Half the pace of canonical_body(), for the few that need it.
template <class Sink>
void octet_body(Canonicalisation form, std::string_view body, Sink&& sink) {
  const bool relaxed = form == Canonicalisation::kRelaxed;
  std::size_t empty_lines = 0;  // Held back: they count only when another line follows.
  bool any = false;
  std::string line;
  while (!body.empty()) {
    const std::size_t end = std::min(body.find(kCrlf), body.size());
    std::string_view text = body.substr(0, end);
    body.remove_prefix(std::min(end + kCrlf.size(), body.size()));
    if (relaxed) {
      line.clear();
      for (const char c : text) {
        if (!ascii::is_wsp(c)) line += c;
        if (ascii::is_wsp(c) && (line.empty() || line.back() != ' ')) line += ' ';
      }
      if (line.ends_with(' ')) line.pop_back();
      text = line;
    }
    if (text.empty()) {
      ++empty_lines;
      continue;
    }
    for (; empty_lines > 0; --empty_lines) sink(kCrlf);
    sink(text);
    sink(kCrlf);
    any = true;
  }
  if (!any && !relaxed) sink(kCrlf);  // 3.4.3: "a single CRLF"
}

// Passes on to a hash no more than the octets that l= counts.
class LimitedHash {
 public:
  LimitedHash(Hasher& hasher, Hash hash, std::optional<std::uint64_t> length)
      : hasher_(hasher), hash_(hash), length_(length) {
    start();
  }
  void start() {
    hasher_.start(hash_);
    size_bytes_ = 0;
  }
  void operator()(std::string_view piece) {
    const std::uint64_t left = !length_ ? piece.size() : *length_ > size_bytes_ ? *length_ - size_bytes_ : 0;
    size_bytes_ += piece.size();
    hasher_.update(piece.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left, piece.size()))));
  }
  std::uint64_t size_bytes() const noexcept { return size_bytes_; }

 private:
  Hasher& hasher_;
  const Hash hash_;
  const std::optional<std::uint64_t> length_;
  std::uint64_t size_bytes_ = 0;
};

int rank(Status status) noexcept {
  switch (status) {
    case Status::kPass:
      return 6;
    case Status::kTempError:
      return 5;
    case Status::kFail:
      return 4;
    case Status::kPermError:
      return 3;
    case Status::kPolicy:
      return 2;
    case Status::kNeutral:
      return 1;
    case Status::kNone:
      break;
  }
  return 0;
}

void show(const Signature& signature, SignatureResult& result) {
  result.domain = signature.domain;
  result.selector = signature.selector;
  result.algorithm = signature.algorithm_text;
  result.identity = signature.identity;
  result.body_length = signature.body_length;
  result.signature_start = signature.signature_text.substr(0, kSignatureStartBytes);
}

Finding judge(const Signature& signature, Examination& examination, const VerifyOptions& options,
              SignatureResult& result) {
  if (auto found = check_times_and_hash(signature, options); !found.ok()) return found;
  const FoundKeys keys = examination.find_keys(signature);
  if (keys.shown) {
    result.key_bits = keys.shown->bits();
    result.testing = keys.shown->record().has_flag("y");
  }
  if (!keys.finding.ok()) return keys.finding;
  if (auto found = examination.check_body(signature); !found.ok()) return found;
  return examination.check_fields(signature, keys);
}

SignatureResult judge_field(const Field& field, Examination& examination, const VerifyOptions& options) {
  SignatureResult result;
  Signature signature;
  Finding found = parse_signature(field, SignatureKind::kDkim, signature);
  show(signature, result);
  if (found.ok()) found = judge(signature, examination, options, result);
  result.status = status_of(found.reason);
  result.reason = found.reason;
  result.detail = std::move(found.detail);
  return result;
}

// A header that cannot be cut has to be asked in another way whether it was signed at all.
bool looks_signed(std::string_view message) noexcept {
  for (std::string_view rest = message; !rest.empty() && !rest.starts_with(kCrlf);) {
    if (ascii::istarts_with(rest, kSignatureName)) return true;
    const std::size_t end = rest.find('\n');
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  }
  return false;
}

Verification verify_natively(std::string_view message, const KeyLookup& lookup, const VerifyOptions& options) {
  CutMessage cut;
  if (auto settled = settled_by_header(message, cut)) return *std::move(settled);
  Examination examination(cut, lookup, options);
  Verification verification;
  for (const Field& field : cut.fields) {
    if (!is_signature(field)) continue;
    if (verification.signatures.size() == options.signatures_max) {
      add_too_many(cut, options, verification);
      break;
    }
    verification.signatures.push_back(judge_field(field, examination, options));
  }
  return settled(std::move(verification));
}

}  // namespace

Verification refused(Finding found) {
  Verification verification{.status = status_of(found.reason)};
  verification.signatures.push_back(
      {.status = verification.status, .reason = found.reason, .detail = std::move(found.detail)});
  return verification;
}

std::optional<Verification> settled_by_header(std::string_view message, CutMessage& cut) {
  if (const auto done = cut_message(message, cut, kHeaderFieldsMax); !done) {
    if (!looks_signed(message)) return Verification{};
    const bool many = done.error().code == ErrorCode::kResourceExhausted;
    return refused({many ? Reason::kTooManyFields : Reason::kMessageSyntax, done.error().detail});
  }
  if (std::ranges::none_of(cut.fields, is_signature)) return Verification{};
  const auto is_from = [](const Field& field) { return ascii::iequals(field.name, "From"); };
  const auto froms = std::ranges::count_if(cut.fields, is_from);
  if (froms != 1) return refused({Reason::kFromCount, froms == 0 ? "none" : fmt::format("{} of them", froms)});
  return std::nullopt;
}

void add_too_many(const CutMessage& cut, const VerifyOptions& options, Verification& verification) {
  const auto count = static_cast<std::size_t>(std::ranges::count_if(cut.fields, is_signature));
  verification.signatures.push_back({.status = status_of(Reason::kTooManySignatures),
                                     .reason = Reason::kTooManySignatures,
                                     .detail = fmt::format("{} more", count - options.signatures_max)});
}

bool is_signature(const Field& field) noexcept { return ascii::iequals(field.name, kSignatureName); }

std::string key_name(const Signature& signature) {
  return fmt::format("{}._domainkey.{}", signature.selector, signature.domain);
}

Verification settled(Verification verification) {
  for (const SignatureResult& result : verification.signatures) {
    if (rank(result.status) > rank(verification.status)) verification.status = result.status;
  }
  return verification;
}

Examination::Examination(const CutMessage& message, const KeyLookup& lookup, const VerifyOptions& options)
    : message_(message),
      lookup_(lookup),
      options_(options),
      own_cache_(),
      cache_((options.key_cache != nullptr ? *options.key_cache : own_cache_.emplace(kSignaturesMaxDefault)).impl()),
      index_(message.fields),
      hasher_(cache_.digests) {}

const KeyAnswer& Examination::look_up(std::string name) {
  const auto found = std::ranges::find(answers_, name, &Answer::name);
  if (found != answers_.end()) return found->answer;
  KeyAnswer answer = lookup_(name);
  answers_.push_back({std::move(name), std::move(answer)});
  return answers_.back().answer;
}

// Step 4: of several records "the Verifier [...] may cycle through the key records". A record that is no key record at
// all is the least telling reason: a wildcard may have put it there.
FoundKeys Examination::find_keys(const Signature& signature) {
  const KeyAnswer& answer = look_up(key_name(signature));
  FoundKeys keys;
  if (answer.kind == KeyAnswer::Kind::kTemporaryFailure) keys.finding = {Reason::kKeyLookupFailed, answer.detail};
  if (answer.kind == KeyAnswer::Kind::kNoSuchName || (keys.finding.ok() && answer.records.empty())) {
    keys.finding = {Reason::kNoKey, key_name(signature)};
  }
  if (!keys.finding.ok()) return keys;

  Finding refusal;
  std::shared_ptr<const PublicKey> refused;
  for (const std::string& text : std::span(answer.records).first(std::min(answer.records.size(), kKeyRecordsMax))) {
    auto key = cache_.find(text);
    Finding found = key->check(signature, options_);
    if (found.ok()) {
      keys.usable.push_back(std::move(key));
    } else if (refusal.ok() || (refusal.reason == Reason::kKeySyntax && found.reason != Reason::kKeySyntax)) {
      refusal = std::move(found);
      refused = std::move(key);
    }
  }
  keys.shown = keys.usable.empty() ? std::move(refused) : keys.usable.front();
  if (keys.usable.empty()) keys.finding = std::move(refusal);
  return keys;
}

const Examination::Body& Examination::body_of(const Signature& signature) {
  const Hash hash = signature.algorithm->hash;
  for (const Body& body : bodies_) {
    if (body.form == signature.body_form && body.hash == hash && body.length == signature.body_length) return body;
  }
  LimitedHash sink(hasher_, hash, signature.body_length);
  if (!canonical_body(signature.body_form, message_.body, sink)) {
    sink.start();
    octet_body(signature.body_form, message_.body, sink);
  }
  bodies_.push_back(
      {signature.body_form, hash, signature.body_length, std::string(hasher_.finish()), sink.size_bytes()});
  return bodies_.back();
}

Finding Examination::check_body(const Signature& signature) {
  const Body& body = body_of(signature);
  if (body.digest.empty()) return {Reason::kUnavailable, "OpenSSL refused to hash"};
  // "The value MUST NOT be larger than the actual number of octets in the canonicalized message body."
  if (signature.body_length && *signature.body_length > body.size_bytes) {
    return {Reason::kBodyTooShort, fmt::format("l={}, but {} octets", *signature.body_length, body.size_bytes)};
  }
  if (body.digest != signature.body_hash) return {Reason::kBodyHashMismatch, ""};
  return {};
}

// RFC 6376 3.7. A name that stands more often than there are fields is "treated as the null string" (5.4.2).
Finding Examination::check_fields(const Signature& signature, const FoundKeys& keys) {
  canonical_.clear();
  HeaderIndex::Walk walk(index_);
  for (const std::string_view name : signature.names) {
    const Field* field = walk.take(name);
    if (field == nullptr) continue;
    append_canonical_header(canonical_, signature.header_form, *field);
    canonical_ += kCrlf;
  }
  signature.append_unsigned_field(canonical_, signature.header_form);
  hasher_.start(signature.algorithm->hash);
  hasher_.update(canonical_);
  return check_digest(hasher_.finish(), signature, keys);
}

Finding Examination::check_digest(std::string_view digest, const Signature& signature, const FoundKeys& keys) const {
  if (digest.empty()) return {Reason::kUnavailable, "OpenSSL refused to hash"};
  for (const auto& key : keys.usable) {
    if (key->verifies(signature.algorithm->hash, digest, signature.signature)) return {};
  }
  return {Reason::kSignatureMismatch, ""};
}

std::vector<std::string> keys_needed(std::string_view message, std::size_t signatures_max) {
  std::vector<std::string> names;
  CutMessage cut;
  if (!cut_message(message, cut, kHeaderFieldsMax)) return names;
  for (const Field& field : cut.fields) {
    if (!is_signature(field)) continue;
    if (signatures_max-- == 0) break;
    Signature signature;
    if (!parse_signature(field, SignatureKind::kDkim, signature).ok()) continue;
    if (auto name = key_name(signature); std::ranges::find(names, name) == names.end())
      names.push_back(std::move(name));
  }
  return names;
}

Verification verify(std::string_view message, const KeyLookup& lookup, const VerifyOptions& options) {
  return options.backend == Backend::kNative ? verify_natively(message, lookup, options)
                                             : verify_with_libopendkim(message, lookup, options);
}

}  // namespace mailsbuddy::dkim
