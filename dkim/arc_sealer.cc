// RFC 8617 5.1: the fields of a new set, which stand from top to bottom as ARC-Seal, ARC-Message-Signature and
// ARC-Authentication-Results. The message signature signs the message; the seal signs all sets and no message. A chain
// that is broken is sealed once more, with cv=fail and over the new set alone (5.1.2), and never again.
#include <fmt/format.h>

#include <algorithm>

#include "core/base/ascii.h"
#include "core/base/encoding.h"
#include "dkim/arc.h"
#include "dkim/body_hash.h"
#include "dkim/canonicalise.h"
#include "dkim/folder.h"
#include "dkim/header_index.h"
#include "dkim/identity.h"

namespace mailsbuddy::dkim {
namespace {

constexpr std::string_view kCrlf = "\r\n";

Error invalid(std::string detail) { return {ErrorCode::kInvalidArgument, std::move(detail)}; }
Error openssl_refused() { return {ErrorCode::kInternal, "OpenSSL refused to sign"}; }

// "name:value" as a Field.
Field field_of(std::string_view whole, std::string_view name) {
  return {.name = name, .value = whole.substr(name.size() + 1), .whole = whole};
}

// What goes into a field may not end it.
bool only_folds(std::string_view text) noexcept {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n' ||
        (text[i] == '\r' && (!crlf_at(text, i) || i + 2 >= text.size() || !ascii::is_wsp(text[i + 2])))) {
      return false;
    }
    if (text[i] == '\r') ++i;
  }
  return true;
}

std::string_view next_status(const ArcVerification& so_far) noexcept {
  switch (so_far.status) {
    case Status::kNone:
      return "none";
    case Status::kPass:
      return "pass";
    default:
      return "fail";
  }
}

}  // namespace

struct ArcSealer::Identity {
  std::shared_ptr<const Signer::Identity> signer;

  // Appends the signature of `signed_text` to `field`, which ends in "b=". False: OpenSSL refused.
  bool sign(std::string_view signed_text, std::string& field) const {
    Sha256Hash hash;
    hash.begin();
    hash.update(signed_text);
    Sha256 digest;
    std::array<unsigned char, kSignatureBytesMax> signature;
    const std::size_t size = hash.finish(digest) ? signer->key->sign(digest, signature) : 0;
    std::string text;
    append_base64(text, {reinterpret_cast<const char*>(signature.data()), size});
    Folder(field, 0).stretch(text);
    return size > 0;
  }

  void append_signer(Folder& folder, TimePoint now) const {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch()).count();
    folder.word({"a=", to_string(signer->key->algorithm), ";"});
    folder.word({"d=", signer->domain, ";"});
    folder.word({"s=", signer->selector, ";"});
    folder.word({"t=", std::to_string(seconds), ";"});
  }

  // Empty: OpenSSL refused.
  std::string message_signature(const CutMessage& message, std::string_view instance, TimePoint now) const;
  std::string seal(std::string_view sealed_text, std::string_view instance, std::string_view status,
                   TimePoint now) const;
};

std::string ArcSealer::Identity::message_signature(const CutMessage& message, std::string_view instance,
                                                   TimePoint now) const {
  Sha256Hash hash;
  const auto body = hash_body(message.body, Canonicalisation::kRelaxed, std::nullopt, hash);
  if (!body) return {};
  const HeaderIndex index(message.fields);
  HeaderIndex::Walk walk(index);
  std::string canonical;
  std::string field = std::string(kArcMessageName) + ":";
  Folder folder(field, 0);
  folder.word({"i=", instance, ";"});
  append_signer(folder, now);
  folder.word({"c=relaxed/relaxed;"});
  std::string_view before = "h=";
  for (const auto& wanted : signer->names) {
    while (const Field* each = walk.take(wanted.name)) {
      append_relaxed_header(canonical, each->name, each->value);
      canonical += kCrlf;
      before == "h=" ? folder.word({before, wanted.name}) : folder.part({before, wanted.name});
      before = ":";
    }
  }
  std::string base64;
  append_base64(base64, {reinterpret_cast<const char*>(body->sha256.data()), body->sha256.size()});
  folder.part({";"});
  folder.word({"bh=", base64, ";"});
  folder.word({"b="});
  append_relaxed_header(canonical, kArcMessageName, std::string_view(field).substr(kArcMessageName.size() + 1));
  return sign(canonical, field) ? field : std::string();
}

std::string ArcSealer::Identity::seal(std::string_view sealed_text, std::string_view instance, std::string_view status,
                                      TimePoint now) const {
  std::string field = std::string(kArcSealName) + ":";
  Folder folder(field, 0);
  folder.word({"i=", instance, ";"});
  append_signer(folder, now);
  folder.word({"cv=", status, ";"});
  folder.word({"b="});
  std::string canonical(sealed_text);
  append_relaxed_header(canonical, kArcSealName, std::string_view(field).substr(kArcSealName.size() + 1));
  return sign(canonical, field) ? field : std::string();
}

Result<ArcSealer> ArcSealer::make(std::string_view domain, std::string_view selector, PrivateKey key,
                                  ArcSealerOptions options) {
  for (const std::string& name : options.headers) {
    if (ascii::iequals(name, kArcSealName)) return invalid("ARC-Seal cannot be signed (RFC 8617 4.1.2)");
  }
  SignOptions sign_options;
  sign_options.headers = std::move(options.headers);
  sign_options.oversigned.clear();
  auto signer = Signer::make(domain, selector, std::move(key), std::move(sign_options));
  if (!signer) return std::move(signer).error();
  auto identity = std::make_shared<Identity>();
  identity->signer = signer->identity_;
  ArcSealer sealer;
  sealer.identity_ = std::move(identity);
  return sealer;
}

Result<std::string> ArcSealer::seal(std::string_view message, std::string_view authentication_results,
                                    const ArcVerification& so_far, TimePoint now) const {
  if (so_far.temporary) {
    return Error{ErrorCode::kUnavailable, "the chain could not be judged for want of a key: try again later"};
  }
  if (so_far.reason == Reason::kArcChainFailed || so_far.instances >= kArcInstancesMax) {
    return Error{ErrorCode::kUnsupported, "the chain has ended: it says cv=fail, or has as many sets as there may be"};
  }
  if (authentication_results.empty() || !only_folds(authentication_results)) {
    return invalid("authentication_results is empty, or has a line end that is no fold");
  }
  CutMessage cut;
  if (auto done = cut_message(message, cut, kHeaderFieldsMax); !done) return std::move(done).error();
  const auto is_from = [](const Field& field) { return ascii::iequals(field.name, "From"); };
  if (std::ranges::count_if(cut.fields, is_from) != 1) return invalid("not exactly one From field");
  if (!only_crlf(cut.body)) return invalid("bare CR or LF in the body");

  const std::string instance = std::to_string(so_far.instances + 1);
  const std::string results =
      fmt::format("{}: i={};\r\n {}", kAuthenticationResultsName, instance, authentication_results);
  const std::string signature = identity_->message_signature(cut, instance, now);
  if (signature.empty()) return openssl_refused();
  std::string sealed;
  const std::string_view status = next_status(so_far);
  if (status == "pass") {
    const ArcSets before = collect_arc_sets(cut.fields);
    if (!before.finding.ok() || before.highest != so_far.instances) return invalid("so_far is of another message");
    append_sealed_sets(sealed, before.sets);
  }
  append_sealed_part(sealed, field_of(results, kAuthenticationResultsName), field_of(signature, kArcMessageName));
  const std::string seal = identity_->seal(sealed, instance, status, now);
  if (seal.empty()) return openssl_refused();
  return fmt::format("{}\r\n{}\r\n{}\r\n", seal, signature, results);
}

}  // namespace mailsbuddy::dkim
