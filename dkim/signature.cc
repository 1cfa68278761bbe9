// RFC 6376 3.5:
//   v= "1"              a= "rsa-sha1" / "rsa-sha256" / "ed25519-sha256"      b=, bh= base64string
//   c= form ["/" form]  form = "simple" / "relaxed"; the body's, if left out, is simple
//   d= domain-name      domain-name = sub-domain 1*("." sub-domain)
//   s= selector         selector = sub-domain *("." sub-domain)
//   h= hdr-name *( [FWS] ":" [FWS] hdr-name )
//   i= [ Local-part ] "@" domain-name, in dkim-quoted-printable; its domain is that of d= or below
//   l= 1*76DIGIT        t=, x= 1*12DIGIT        q= method *( ":" method ), of which dns/txt is known
// RFC 8617 4.1: ARC-Message-Signature has i= 1*2DIGIT from 1 to 50 and no v=; ARC-Seal has also cv= and neither bh=, c=
// nor h=. "Verifiers MUST meticulously validate the format and values in the DKIM-Signature header field; any
// inconsistency or unexpected values MUST cause the header field to be completely ignored" (6.1.1).
#include "dkim/signature.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "core/base/ascii.h"
#include "dkim/canonicalise.h"
#include "dkim/tag_list.h"

namespace mailsbuddy::dkim {
namespace {

constexpr std::size_t kDnsNameMax = 253;         // RFC 1035 2.3.4, as text.
constexpr std::size_t kLabelMax = 63;            // RFC 1035 2.3.4
constexpr std::size_t kLengthDigitsMax = 76;     // RFC 6376 3.5, l=
constexpr std::size_t kTimeDigitsMax = 12;       // RFC 6376 3.5, t= and x=
constexpr std::size_t kInstanceDigitsMax = 2;    // RFC 8617 4.2.1
constexpr std::size_t kSignatureStringMax = 16;  // Of what a peer wrote and a detail quotes.

constexpr SignatureAlgorithm kAlgorithms[] = {
    {"rsa-sha256", "rsa", "sha256", Hash::kSha256},
    {"ed25519-sha256", "ed25519", "sha256", Hash::kSha256},
    {"rsa-sha1", "rsa", "sha1", Hash::kSha1},
};

std::string quoted(std::string_view value) {
  return fmt::format("\"{}{}\"", value.substr(0, kSignatureStringMax), value.size() > kSignatureStringMax ? "..." : "");
}

Finding bad(std::string detail) { return {Reason::kBadSyntax, std::move(detail)}; }

// Underscores are no part of RFC 5321's sub-domain; but DNS has them, so do names in use, and nothing is misled by
// them.
bool is_sub_domain(std::string_view label) noexcept {
  return !label.empty() && label.size() <= kLabelMax && label.front() != '-' && label.back() != '-' &&
         std::ranges::all_of(label, [](char c) { return ascii::is_alnum(c) || c == '-' || c == '_'; });
}

bool is_domain(std::string_view name, std::size_t labels_min) noexcept {
  if (name.size() > kDnsNameMax) return false;
  for (std::size_t labels = 1;; ++labels) {
    const std::string_view label = name.substr(0, name.find('.'));
    if (!is_sub_domain(label)) return false;
    if (label.size() == name.size()) return labels >= labels_min;
    name.remove_prefix(label.size() + 1);
  }
}

bool is_same_or_below(std::string_view domain, std::string_view top) noexcept {
  if (domain.size() <= top.size()) return ascii::iequals(domain, top);
  const std::size_t at = domain.size() - top.size();
  return domain[at - 1] == '.' && ascii::iequals(domain.substr(at), top);
}

// 1*digits_maxDIGIT; what is too much for 64 bits is the most they hold.
std::optional<std::uint64_t> parse_number(std::string_view text, std::size_t digits_max) noexcept {
  if (text.empty() || text.size() > digits_max || !std::ranges::all_of(text, ascii::is_digit)) return std::nullopt;
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t number = 0;
  for (const char c : text) {
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (number > (kMost - digit) / 10) return kMost;
    number = number * 10 + digit;
  }
  return number;
}

std::optional<Canonicalisation> parse_form(std::string_view word) noexcept {
  for (const auto form : {Canonicalisation::kSimple, Canonicalisation::kRelaxed}) {
    if (word == to_string(form)) return form;
  }
  return std::nullopt;
}

class Parser {
 public:
  Parser(const TagList& tags, SignatureKind kind, Signature& out) : tags_(tags), kind_(kind), out_(out) {}

  // What tells whose signature it is comes first, so that also a bad one can be named.
  Finding parse() {
    out_.domain = tags_.find("d").value_or(std::string_view());
    out_.selector = tags_.find("s").value_or(std::string_view());
    out_.algorithm_text = tags_.find("a").value_or(std::string_view());
    out_.signature_text = tags_.find("b").value_or(std::string_view());
    static constexpr Step kDkim[] = {&Parser::version,  &Parser::required, &Parser::algorithm, &Parser::domain,
                                     &Parser::selector, &Parser::identity, &Parser::forms,     &Parser::names,
                                     &Parser::hashes,   &Parser::numbers,  &Parser::query};
    static constexpr Step kArcMessage[] = {&Parser::required, &Parser::algorithm, &Parser::domain, &Parser::selector,
                                           &Parser::instance, &Parser::forms,     &Parser::names,  &Parser::hashes,
                                           &Parser::numbers,  &Parser::query};
    static constexpr Step kArcSeal[] = {&Parser::required, &Parser::algorithm, &Parser::domain, &Parser::selector,
                                        &Parser::instance, &Parser::chain,     &Parser::hashes, &Parser::numbers};
    switch (kind_) {
      case SignatureKind::kDkim:
        return run(kDkim);
      case SignatureKind::kArcMessage:
        return run(kArcMessage);
      case SignatureKind::kArcSeal:
        break;
    }
    return run(kArcSeal);
  }

 private:
  using Step = Finding (Parser::*)();

  template <std::size_t N>
  Finding run(const Step (&steps)[N]) {
    for (const Step step : steps) {
      if (Finding found = (this->*step)(); !found.ok()) return found;
    }
    return {};
  }

  Finding version() {
    const auto v = tags_.find("v");
    if (!v) return {Reason::kMissingTag, "v="};
    if (*v != "1") return {Reason::kVersion, "v=" + quoted(*v)};
    return {};
  }

  Finding required() {
    static constexpr std::string_view kMessage[] = {"a", "b", "bh", "d", "h", "s"};
    static constexpr std::string_view kSeal[] = {"a", "b", "cv", "d", "i", "s"};
    for (const std::string_view name : kind_ == SignatureKind::kArcSeal ? kSeal : kMessage) {
      const auto value = tags_.find(name);
      if (!value) return {Reason::kMissingTag, fmt::format("{}=", name)};
      if (value->empty()) return bad(fmt::format("{}= is empty", name));
    }
    return {};
  }

  Finding algorithm() {
    const auto found = std::ranges::find(kAlgorithms, out_.algorithm_text, &SignatureAlgorithm::text);
    if (found == std::end(kAlgorithms)) return {Reason::kUnknownAlgorithm, "a=" + quoted(out_.algorithm_text)};
    out_.algorithm = found;
    return {};
  }

  Finding domain() {
    if (!is_domain(out_.domain, 2)) return bad("d= is not a domain name");
    return {};
  }

  Finding selector() {
    if (!is_domain(out_.selector, 1)) return bad("s= is not a selector");
    if (out_.selector.size() + std::string_view("._domainkey.").size() + out_.domain.size() > kDnsNameMax) {
      return bad("s= and d= are too long for a DNS name");
    }
    return {};
  }

  Finding identity() {
    const auto i = tags_.find("i");
    if (!i) return {};
    const auto decoded = decode_tag_quoted(*i);
    if (!decoded) return bad("i= is not quoted-printable");
    if (decoded->rfind('@') == std::string::npos) return bad("i= has no \"@\"");
    out_.identity = *decoded;
    if (!is_same_or_below(out_.identity_domain(), out_.domain) || !is_domain(out_.identity_domain(), 2)) {
      return {Reason::kDomainMismatch, ""};
    }
    return {};
  }

  Finding instance() {
    const auto i = tags_.find("i");
    if (!i) return {Reason::kMissingTag, "i="};
    const auto number = parse_number(*i, kInstanceDigitsMax);
    if (!number || *number < 1 || *number > kArcInstancesMax) return {Reason::kArcSet, "i=" + quoted(*i)};
    out_.instance = static_cast<int>(*number);
    return {};
  }

  Finding chain() {
    if (tags_.find("h")) return {Reason::kArcSealHasNames, "h= in an ARC-Seal"};
    out_.chain_status = *tags_.find("cv");
    for (const std::string_view word : {"none", "pass", "fail"}) {
      if (out_.chain_status == word) return {};
    }
    return {Reason::kArcChainStatus, "cv=" + quoted(out_.chain_status)};
  }

  Finding forms() {
    const auto c = tags_.find("c");
    if (!c) return {};
    const std::size_t slash = c->find('/');
    const auto header = parse_form(c->substr(0, slash));
    const auto body = slash == std::string_view::npos ? Canonicalisation::kSimple : parse_form(c->substr(slash + 1));
    if (!header || !body) return {Reason::kUnknownCanonicalisation, "c=" + quoted(*c)};
    out_.header_form = *header;
    out_.body_form = *body;
    return {};
  }

  Finding names() {
    for (auto list = tags_.find("h"); const auto name = take_colon_part(list);) {
      if (!is_field_name(*name)) return bad("h= has what is no field name");
      if (out_.names.size() == kSignedNamesMax) return bad(fmt::format("h= has more than {} names", kSignedNamesMax));
      out_.names.push_back(*name);
      if (kind_ == SignatureKind::kArcMessage && ascii::iequals(*name, "ARC-Seal")) {
        return {Reason::kArcSealHasNames, "an ARC-Message-Signature signs an ARC-Seal"};  // RFC 8617 4.1.2
      }
    }
    const auto is_from = [](std::string_view name) { return ascii::iequals(name, "From"); };
    if (std::ranges::none_of(out_.names, is_from)) return {Reason::kFromNotSigned, ""};
    return {};
  }

  Finding hashes() {
    auto signature = decode_tag_base64(out_.signature_text);
    if (!signature || signature->empty()) return bad("b= is not base 64");
    out_.signature = *std::move(signature);
    if (kind_ == SignatureKind::kArcSeal) return {};
    auto body_hash = decode_tag_base64(*tags_.find("bh"));
    if (!body_hash || body_hash->empty()) return bad("bh= is not base 64");
    out_.body_hash = *std::move(body_hash);
    return {};
  }

  Finding numbers() {
    struct Number {
      std::string_view name;
      std::size_t digits_max;
      std::optional<std::uint64_t>* to;
    };
    const Number numbers[] = {{"l", kLengthDigitsMax, &out_.body_length},
                              {"t", kTimeDigitsMax, &out_.signed_at},
                              {"x", kTimeDigitsMax, &out_.expires_at}};
    for (const auto& [name, digits_max, to] : numbers) {
      const auto value = tags_.find(name);
      if (!value) continue;
      *to = parse_number(*value, digits_max);
      if (!*to) return bad(fmt::format("{}= is not a number", name));
    }
    // "The value of the "x=" tag MUST be greater than the value of the "t=" tag if both are present."
    if (out_.signed_at && out_.expires_at && *out_.expires_at <= *out_.signed_at) return bad("x= is not after t=");
    return {};
  }

  Finding query() {
    auto methods = tags_.find("q");
    if (!methods) return {};
    while (const auto method = take_colon_part(methods)) {
      if (*method == "dns/txt") return {};
    }
    return {Reason::kUnknownQueryMethod, "q=" + quoted(*tags_.find("q"))};
  }

  const TagList& tags_;
  const SignatureKind kind_;
  Signature& out_;
};

}  // namespace

void Signature::append_unsigned_field(std::string& out, Canonicalisation form) const {
  const std::string_view whole = field.whole;
  auto from = static_cast<std::size_t>(signature_text.data() - whole.data());
  std::size_t to = from + signature_text.size();
  while (from > 0 && whole[from - 1] != '=') --from;
  while (to < whole.size() && whole[to] != ';') ++to;
  std::string without;
  without.reserve(whole.size());
  without.append(whole.substr(0, from)).append(whole.substr(to));
  if (form == Canonicalisation::kSimple) {
    out += without;
  } else {
    append_relaxed_header(out, field.name, std::string_view(without).substr(whole.size() - field.value.size()));
  }
}

std::string_view Signature::identity_domain() const noexcept {
  return identity.empty() ? domain : std::string_view(identity).substr(identity.rfind('@') + 1);
}

Finding parse_signature(const Field& field, SignatureKind kind, Signature& signature) {
  signature.field = field;
  const auto tags = TagList::parse(field.value);
  if (!tags) return bad(tags.error().detail);
  return Parser(*tags, kind, signature).parse();
}

Finding check_times_and_hash(const Signature& signature, const VerifyOptions& options) {
  if (signature.algorithm->hash == Hash::kSha1 && !options.allow_sha1) return {Reason::kSha1, ""};
  return check_times(signature.signed_at, signature.expires_at, options);
}

Finding check_times(std::optional<std::uint64_t> signed_at, std::optional<std::uint64_t> expires_at,
                    const VerifyOptions& options) {
  const auto now = std::chrono::floor<std::chrono::seconds>(options.now.time_since_epoch()).count();
  const auto skew = options.clock_skew.count();
  if (signed_at && static_cast<std::int64_t>(*signed_at) > now + skew) {
    return {Reason::kFuture, fmt::format("t={}, {} s ahead", *signed_at, static_cast<std::int64_t>(*signed_at) - now)};
  }
  if (expires_at && static_cast<std::int64_t>(*expires_at) + skew < now) {
    return {Reason::kExpired, fmt::format("x={}, {} s ago", *expires_at, now - static_cast<std::int64_t>(*expires_at))};
  }
  return {};
}

}  // namespace mailsbuddy::dkim
