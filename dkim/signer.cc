// RFC 6376 3.5:
//   DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=domain; s=selector; t=seconds [; x=seconds];
//     h=name *( ":" name ); bh=base64; b=base64
// and 3.7: the signature is over the hash of the signed fields in the order of h=, and of this field itself with an
// empty b=, which has no CRLF.
#include <fmt/format.h>

#include <algorithm>

#include "core/base/ascii.h"
#include "core/base/encoding.h"
#include "dkim/canonicalise.h"
#include "dkim/key.h"
#include "dkim/message.h"
#include "mailsbuddy/dkim.h"

namespace mailsbuddy::dkim {
namespace {

constexpr std::size_t kColumns = 78;      // RFC 5322 2.1.1
constexpr std::size_t kLabelMax = 63;     // RFC 1035 2.3.4
constexpr std::size_t kDnsNameMax = 253;  // RFC 1035 2.3.4, as text.
constexpr std::string_view kName = "DKIM-Signature";

Error invalid(std::string detail) { return {ErrorCode::kInvalidArgument, std::move(detail)}; }
Error openssl_refused() { return {ErrorCode::kInternal, "OpenSSL refused to sign"}; }

// sub-domain *( "." sub-domain ) of RFC 5321 4.1.2.
bool is_dns_name(std::string_view name) {
  if (name.size() > kDnsNameMax) return false;
  while (true) {
    const std::string_view label = name.substr(0, name.find('.'));
    const bool ldh = std::ranges::all_of(label, [](char c) { return ascii::is_alnum(c) || c == '-'; });
    if (label.empty() || label.size() > kLabelMax || !ldh || label.front() == '-' || label.back() == '-') return false;
    if (label.size() == name.size()) return true;
    name.remove_prefix(label.size() + 1);
  }
}

// Writes a header field's value in lines of at most kColumns, as far as what may not be cut allows.
class Folder {
 public:
  explicit Folder(std::string& out) : out_(out), column_(out.size() - (out.rfind('\n') + 1)) {}  // npos + 1 is 0.

  // Follows a space or a fold.
  void word(std::string_view text) {
    if (column_ + 1 + text.size() > kColumns) return fold(text);
    out_ += ' ';
    column_ += 1;
    append(text);
  }
  // Follows what stands before it, or a fold.
  void part(std::string_view text) {
    if (column_ + text.size() > kColumns) return fold(text);
    append(text);
  }
  // May be cut anywhere.
  void stretch(std::string_view text) {
    while (!text.empty()) {
      if (column_ >= kColumns) fold({});
      const std::string_view some = text.substr(0, kColumns - column_);
      append(some);
      text.remove_prefix(some.size());
    }
  }

 private:
  void fold(std::string_view text) {
    out_ += "\r\n ";
    column_ = 1;
    append(text);
  }
  void append(std::string_view text) {
    out_ += text;
    column_ += text.size();
  }

  std::string& out_;
  std::size_t column_;
};

std::string_view view(const Sha256& digest) { return {reinterpret_cast<const char*>(digest.data()), digest.size()}; }

}  // namespace

struct Signer::Identity {
  struct SignedName {
    std::string name;
    bool oversigned;
  };

  std::string domain;
  std::string selector;
  std::shared_ptr<const PrivateKey::Key> key;
  std::vector<SignedName> names;  // In the order of h=, each once.
  std::optional<std::chrono::seconds> expires_after;

  void add_name(std::string_view name, bool oversigned);
  Result<Sha256> body_hash(std::string_view body) const;
  std::vector<std::string_view> select(const std::vector<Field>& fields, std::string& canonical) const;
  std::string unsigned_field(const std::vector<std::string_view>& names, const Sha256& body_hash, TimePoint now) const;
};

void Signer::Identity::add_name(std::string_view name, bool oversigned) {
  const auto same = [name](const SignedName& other) { return ascii::iequals(other.name, name); };
  const auto found = std::ranges::find_if(names, same);
  if (found == names.end()) {
    names.push_back({std::string(name), oversigned});
  } else {
    found->oversigned |= oversigned;
  }
}

// RFC 6376 3.7 step 1, the body passing straight into the hash.
Result<Sha256> Signer::Identity::body_hash(std::string_view body) const {
  const auto hash = key->new_hash();
  if (!hash) return openssl_refused();
  bool hashed = true;
  const auto update = [&](std::string_view piece) {
    hashed = hashed && EVP_DigestUpdate(hash.get(), piece.data(), piece.size()) > 0;
  };
  if (!relaxed_body(body, update)) return invalid("bare CR or LF in the body");
  Sha256 digest;
  if (!hashed || EVP_DigestFinal_ex(hash.get(), digest.data(), nullptr) <= 0) return openssl_refused();
  return digest;
}

// Appends the canonical form of the fields to sign and returns what goes into h=. Fields of one name are taken from the
// bottom up (RFC 6376 5.4.2); a name that stands once more than there are fields means: no more of them (8.15).
std::vector<std::string_view> Signer::Identity::select(const std::vector<Field>& fields, std::string& canonical) const {
  std::vector<std::string_view> selected;
  selected.reserve(names.size() * 2);
  for (const SignedName& wanted : names) {
    for (auto field = fields.rbegin(); field != fields.rend(); ++field) {
      if (!ascii::iequals(field->name, wanted.name)) continue;
      append_relaxed_header(canonical, field->name, field->value);
      canonical += "\r\n";
      selected.push_back(wanted.name);
    }
    if (wanted.oversigned) selected.push_back(wanted.name);
  }
  return selected;
}

// "DKIM-Signature: ... b=", folded. `signed_names` has at least From.
std::string Signer::Identity::unsigned_field(const std::vector<std::string_view>& signed_names, const Sha256& body_hash,
                                             TimePoint now) const {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch());
  std::string field(kName);
  field += ':';
  Folder folder(field);
  folder.word("v=1;");
  folder.word("a=rsa-sha256;");
  folder.word("c=relaxed/relaxed;");
  folder.word(fmt::format("d={};", domain));
  folder.word(fmt::format("s={};", selector));
  folder.word(fmt::format("t={};", seconds.count()));
  if (expires_after) folder.word(fmt::format("x={};", (seconds + *expires_after).count()));
  std::string part = "h=";
  for (std::size_t i = 0; i < signed_names.size(); ++i) {
    part += signed_names[i];
    part += i + 1 < signed_names.size() ? ':' : ';';
    i == 0 ? folder.word(part) : folder.part(part);
    part.clear();
  }
  part = "bh=";
  append_base64(part, view(body_hash));
  part += ';';
  folder.word(part);
  folder.word("b=");
  return field;
}

Result<Signer> Signer::make(std::string_view domain, std::string_view selector, PrivateKey key, SignOptions options) {
  if (key.key_ == nullptr) return invalid("no private key");
  if (!is_dns_name(domain)) return invalid(fmt::format("domain \"{}\" is not a DNS name", domain));
  if (!is_dns_name(selector)) return invalid(fmt::format("selector \"{}\" is not a DNS name", selector));
  if (selector.size() + std::string_view("._domainkey.").size() + domain.size() > kDnsNameMax) {
    return invalid("selector and domain are too long for one DNS name");
  }
  if (options.expires_after && *options.expires_after <= std::chrono::seconds(0)) {
    return invalid("expires_after must be positive (RFC 6376 3.5, x=)");
  }
  auto identity = std::make_shared<Identity>();
  identity->domain = ascii::to_lower(domain);
  identity->selector = selector;
  identity->key = std::move(key.key_);
  identity->expires_after = options.expires_after;
  for (const auto* list : {&options.headers, &options.oversigned}) {
    for (const std::string& name : *list) {
      // A semicolon is lawful in a name (RFC 5322 3.6.8) but ends the list in h=.
      if (!is_field_name(name) || name.find(';') != std::string::npos) {
        return invalid(fmt::format("\"{}\" is not a header name that can be signed", name));
      }
      identity->add_name(name, list == &options.oversigned);
    }
  }
  const auto is_from = [](const Identity::SignedName& name) { return ascii::iequals(name.name, "From"); };
  if (std::ranges::none_of(identity->names, is_from)) return invalid("From must be signed (RFC 6376 5.4)");
  Signer signer;
  signer.identity_ = std::move(identity);
  return signer;
}

Result<std::string> Signer::sign(std::string_view message, TimePoint now) const {
  const auto cut = cut_message(message);
  if (!cut) return cut.error();
  const auto is_from = [](const Field& field) { return ascii::iequals(field.name, "From"); };
  const auto froms = std::ranges::count_if(cut->fields, is_from);
  if (froms != 1) return invalid(froms == 0 ? "no From field" : "more than one From field");

  const auto body_hash = identity_->body_hash(cut->body);
  if (!body_hash) return body_hash.error();
  std::string canonical;
  canonical.reserve(2048);
  const auto names = identity_->select(cut->fields, canonical);
  std::string field = identity_->unsigned_field(names, *body_hash, now);
  append_relaxed_header(canonical, kName, std::string_view(field).substr(kName.size() + 1));

  const auto hash = identity_->key->new_hash();
  Sha256 digest;
  if (!hash || EVP_DigestUpdate(hash.get(), canonical.data(), canonical.size()) <= 0 ||
      EVP_DigestFinal_ex(hash.get(), digest.data(), nullptr) <= 0) {
    return openssl_refused();
  }
  const std::string signature = identity_->key->sign(digest);
  if (signature.empty()) return openssl_refused();
  field.reserve(field.size() + signature.size() + 32);
  Folder(field).stretch(signature);
  field += "\r\n";
  return field;
}

const std::string& Signer::domain() const noexcept { return identity_->domain; }
const std::string& Signer::selector() const noexcept { return identity_->selector; }

}  // namespace mailsbuddy::dkim
