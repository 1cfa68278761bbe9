// RFC 8617 4.1:
//   ARC-Authentication-Results: [CFWS] "i" [CFWS] "=" [CFWS] 1*2DIGIT [CFWS] ";" authres-payload
//   ARC-Message-Signature:      tag-list, as DKIM-Signature but for i= and v=
//   ARC-Seal:                   tag-list of i, a, b, cv, d, s, t
// Each set has one of each, all with the same instance from 1 to 50; instances have no gap. cv= is "none" in the first
// set and "pass" in all others, or "fail" in the last, which ends the chain.
#include "dkim/arc.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/ascii.h"
#include "dkim/canonicalise.h"
#include "dkim/verifier.h"

namespace mailsbuddy::dkim {
namespace {

constexpr std::string_view kNames[] = {kAuthenticationResultsName, kArcMessageName, kArcSealName};

// RFC 5322 3.2.2 CFWS. Comments nest and have quoted pairs; one that does not end takes all.
std::string_view skip_cfws(std::string_view text) noexcept {
  std::size_t depth = 0;
  std::size_t i = 0;
  for (; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '(') {
      ++depth;
    } else if (depth > 0) {
      if (c == '\\') ++i;
      if (c == ')') --depth;
    } else if (!ascii::is_space(c)) {
      break;
    }
  }
  return text.substr(std::min(i, text.size()));
}

bool take(std::string_view& text, char wanted) noexcept {
  text = skip_cfws(text);
  if (text.empty() || text.front() != wanted) return false;
  text.remove_prefix(1);
  return true;
}

// The instance of an ARC-Authentication-Results field; 0: it has none.
int results_instance(std::string_view value) noexcept {
  if (!take(value, 'i') || !take(value, '=')) return 0;
  value = skip_cfws(value);
  int instance = 0;
  std::size_t digits = 0;
  for (; digits < 2 && digits < value.size() && ascii::is_digit(value[digits]); ++digits) {
    instance = instance * 10 + (value[digits] - '0');
  }
  value.remove_prefix(digits);
  return digits > 0 && take(value, ';') && instance <= kArcInstancesMax ? instance : 0;
}

// Sorts fields into sets; the first thing that is wrong stands in `out.finding`.
class Collector {
 public:
  explicit Collector(ArcSets& out) : out_(out) {}

  void add(const Field& field) {
    for (std::size_t kind = 0; kind < std::size(kNames); ++kind) {
      if (ascii::iequals(field.name, kNames[kind])) return add(field, kind);
    }
  }

  void finish() {
    const auto count = static_cast<std::size_t>(out_.highest);
    for (std::size_t i = 0; i < count; ++i) {
      for (std::size_t kind = 0; kind < std::size(kNames); ++kind) {
        if (!seen_[i][kind]) fault({Reason::kArcSet, fmt::format("set {} has no {}", i + 1, kNames[kind])}, i + 1);
      }
    }
    out_.sets.resize(count);
    // Step 2 before step 3: a chain that says itself that it is broken is no worse for what else is wrong with it.
    if (count > 0 && seen_[count - 1][2] && sets_[count - 1].seal.chain_status == "fail") {
      out_.finding = {Reason::kArcChainFailed, ""};
      out_.failed_instance = out_.highest;
    }
    for (std::size_t i = 0; i < count; ++i) {
      const std::string_view status = sets_[i].seal.chain_status;
      if (seen_[i][2] && status != (i == 0 ? "none" : "pass")) {
        fault({Reason::kArcChainStatus, fmt::format("cv={} in set {}", status, i + 1)}, i + 1);
      }
      out_.sets[i] = std::move(sets_[i]);
    }
  }

 private:
  void add(const Field& field, std::size_t kind) {
    out_.any = true;
    ArcSet parsed;
    int instance = 0;
    if (kind == 0) {
      instance = results_instance(field.value);
      if (instance == 0) return fault({Reason::kArcSet, fmt::format("{} without instance", kNames[kind])}, 0);
    } else {
      Signature& signature = kind == 1 ? parsed.message : parsed.seal;
      Finding found =
          parse_signature(field, kind == 1 ? SignatureKind::kArcMessage : SignatureKind::kArcSeal, signature);
      instance = signature.instance;
      if (!found.ok()) {
        out_.highest = std::max(out_.highest, instance);
        return fault({found.reason, fmt::format("{}: {}", kNames[kind], found.detail)},
                     static_cast<std::size_t>(instance));
      }
    }
    out_.highest = std::max(out_.highest, instance);
    const auto at = static_cast<std::size_t>(instance - 1);
    if (seen_[at][kind]) {
      return fault({Reason::kArcSet, fmt::format("set {} has two {}", instance, kNames[kind])}, at + 1);
    }
    seen_[at][kind] = true;
    if (kind == 0) sets_[at].authentication_results = &field;
    if (kind == 1) sets_[at].message = std::move(parsed.message);
    if (kind == 2) sets_[at].seal = std::move(parsed.seal);
  }

  void fault(Finding finding, std::size_t instance) {
    if (!out_.finding.ok()) return;
    out_.finding = std::move(finding);
    out_.failed_instance = static_cast<int>(instance);
  }

  ArcSets& out_;
  std::array<std::array<bool, std::size(kNames)>, kArcInstancesMax> seen_{};
  std::array<ArcSet, kArcInstancesMax> sets_{};
};

// What the seal of set `i` signs hashes to. Each seal signs all that came before it, so one running hash serves them
// all.
std::vector<std::string> seal_digests(const std::vector<ArcSet>& sets, Hasher& hasher) {
  std::vector<std::string> digests;
  std::string text;
  hasher.start(Hash::kSha256);
  for (const ArcSet& set : sets) {
    text.clear();
    append_sealed_part(text, *set.authentication_results, set.message.field);
    hasher.update(text);
    text.clear();
    set.seal.append_unsigned_field(text, Canonicalisation::kRelaxed);
    digests.emplace_back(hasher.sum_with(text));
    text.clear();
    append_relaxed_header(text, set.seal.field.name, set.seal.field.value);
    text += "\r\n";
    hasher.update(text);
  }
  return digests;
}

// Whether everything about a signature of ARC but its sums allows to look at them.
FoundKeys keys_for(const Signature& signature, Examination& examination, const VerifyOptions& options) {
  VerifyOptions strict = options;
  strict.allow_sha1 = false;  // RFC 8617 is younger than RFC 8301.
  if (Finding found = check_times_and_hash(signature, strict); !found.ok()) return {std::move(found), {}, nullptr};
  return examination.find_keys(signature);
}

Finding check_message(const ArcSet& set, Examination& examination, const VerifyOptions& options) {
  const FoundKeys keys = keys_for(set.message, examination, options);
  if (!keys.finding.ok()) return keys.finding;
  if (Finding found = examination.check_body(set.message); !found.ok()) return found;
  return examination.check_fields(set.message, keys);
}

Finding check_seal(const ArcSet& set, std::string_view digest, Examination& examination, const VerifyOptions& options) {
  const FoundKeys keys = keys_for(set.seal, examination, options);
  if (!keys.finding.ok()) return keys.finding;
  return examination.check_digest(digest, set.seal, keys);
}

void fail(ArcVerification& verification, Finding found, int instance, std::string_view which) {
  verification.status = Status::kFail;
  verification.reason = found.reason;
  verification.failed_instance = instance;
  verification.temporary = status_of(found.reason) == Status::kTempError;
  verification.detail = which.empty() ? std::move(found.detail) : fmt::format("{}: {}", which, found.detail);
}

// RFC 8617 5.2, steps 4 to 7.
void check_sums(const ArcSets& arc, Examination& examination, const VerifyOptions& options, ArcVerification& out) {
  Finding found = check_message(arc.sets.back(), examination, options);
  if (!found.ok()) return fail(out, std::move(found), out.instances, kArcMessageName);
  const auto digests = seal_digests(arc.sets, examination.hasher());
  for (std::size_t i = arc.sets.size(); i > 0; --i) {
    found = check_seal(arc.sets[i - 1], digests[i - 1], examination, options);
    if (!found.ok()) return fail(out, std::move(found), static_cast<int>(i), kArcSealName);
  }
  out.status = Status::kPass;
  for (std::size_t i = arc.sets.size() - 1; i > 0 && out.oldest_pass == 0; --i) {
    if (!check_message(arc.sets[i - 1], examination, options).ok()) out.oldest_pass = static_cast<int>(i) + 1;
  }
}

}  // namespace

ArcSets collect_arc_sets(std::span<const Field> fields) {
  ArcSets sets;
  Collector collector(sets);
  for (const Field& field : fields) collector.add(field);
  collector.finish();
  return sets;
}

void append_sealed_part(std::string& out, const Field& authentication_results, const Field& message_signature) {
  for (const Field* field : {&authentication_results, &message_signature}) {
    append_relaxed_header(out, field->name, field->value);
    out += "\r\n";
  }
}

void append_sealed_sets(std::string& out, std::span<const ArcSet> sets) {
  for (const ArcSet& set : sets) {
    append_sealed_part(out, *set.authentication_results, set.message.field);
    append_relaxed_header(out, set.seal.field.name, set.seal.field.value);
    out += "\r\n";
  }
}

std::vector<std::string> arc_keys_needed(std::string_view message) {
  std::vector<std::string> names;
  CutMessage cut;
  if (!cut_message(message, cut, kHeaderFieldsMax)) return names;
  const ArcSets arc = collect_arc_sets(cut.fields);
  if (!arc.finding.ok()) return names;
  for (const ArcSet& set : arc.sets) {
    for (const Signature* signature : {&set.message, &set.seal}) {
      if (auto name = key_name(*signature); std::ranges::find(names, name) == names.end())
        names.push_back(std::move(name));
    }
  }
  return names;
}

ArcVerification verify_arc(std::string_view message, const KeyLookup& lookup, const VerifyOptions& options) {
  ArcVerification out;
  CutMessage cut;
  if (const auto done = cut_message(message, cut, kHeaderFieldsMax); !done) {
    const bool many = done.error().code == ErrorCode::kResourceExhausted;
    fail(out, {many ? Reason::kTooManyFields : Reason::kMessageSyntax, done.error().detail}, 0, "");
    return out;
  }
  ArcSets arc = collect_arc_sets(cut.fields);
  if (!arc.any) return out;
  out.instances = arc.highest;
  if (!arc.finding.ok()) {
    fail(out, std::move(arc.finding), arc.failed_instance, "");
    return out;
  }
  for (const ArcSet& set : arc.sets) {
    out.seals.push_back({set.seal.instance, std::string(set.seal.domain), std::string(set.seal.selector)});
  }
  Examination examination(cut, lookup, options);
  if (examination.index().count("From") != 1) {
    fail(out, {Reason::kFromCount, ""}, 0, "");
    return out;
  }
  check_sums(arc, examination, options, out);
  return out;
}

}  // namespace mailsbuddy::dkim
