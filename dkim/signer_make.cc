// Checks what a signer is made of.
#include <fmt/format.h>

#include <algorithm>

#include "core/base/ascii.h"
#include "dkim/identity.h"
#include "dkim/message.h"
#include "dkim/opendkim_signer.h"
#include "dkim/tag_list.h"

namespace mailsbuddy::dkim {
namespace {

constexpr std::size_t kLabelMax = 63;     // RFC 1035 2.3.4
constexpr std::size_t kDnsNameMax = 253;  // RFC 1035 2.3.4, as text.

Error invalid(std::string detail) { return {ErrorCode::kInvalidArgument, std::move(detail)}; }

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

Result<void> check_names(std::string_view domain, std::string_view selector) {
  if (!is_dns_name(domain)) return invalid(fmt::format("domain \"{}\" is not a DNS name", domain));
  if (!is_dns_name(selector)) return invalid(fmt::format("selector \"{}\" is not a DNS name", selector));
  if (selector.size() + std::string_view("._domainkey.").size() + domain.size() > kDnsNameMax) {
    return invalid("selector and domain are too long for one DNS name");
  }
  return {};
}

// sig-i-tag = [ Local-part ] "@" domain-name, and "the domain part MUST be the same as, or a subdomain of, the value of
// the d= tag" (RFC 6376 3.5). What comes out is that in dkim-quoted-printable.
Result<std::string> make_auid(std::string_view identity, std::string_view domain) {
  if (identity.empty()) return std::string();
  const std::size_t at = identity.rfind('@');
  const std::string_view host = at == std::string_view::npos ? identity : identity.substr(at + 1);
  if (at == std::string_view::npos || !is_dns_name(host)) {
    return invalid(fmt::format("identity \"{}\" is not an address or \"@\" and a domain", identity));
  }
  const bool below = host.size() > domain.size() && host[host.size() - domain.size() - 1] == '.' &&
                     ascii::iequals(host.substr(host.size() - domain.size()), domain);
  if (!below && !ascii::iequals(host, domain)) {
    return invalid(fmt::format("identity \"{}\" is not in {} or below it (RFC 6376 3.5)", identity, domain));
  }
  std::string auid;
  append_tag_quoted(auid, identity);
  return auid;
}

std::vector<std::string> warnings_of(const SignOptions& options, const PrivateKey& key) {
  std::vector<std::string> warnings;
  if (options.body_length) {
    warnings.push_back(fmt::format(
        "l={}: what anyone adds after these octets of the body passes as signed (RFC 6376 8.2)", *options.body_length));
  }
  const bool from = std::ranges::any_of(options.oversigned, [](auto& name) { return ascii::iequals(name, "From"); });
  if (!from)
    warnings.emplace_back("From is not oversigned: a second From can be added to a signed message (RFC 6376 8.15)");
  if (key.algorithm() == Algorithm::kRsaSha256 && key.bits() < kRsaBitsDefault) {
    warnings.push_back(
        fmt::format("RSA key of {} bits: receivers may take it as no signature (RFC 8301 3.2)", key.bits()));
  }
  return warnings;
}

}  // namespace

void Signer::Identity::add_name(std::string_view name, bool oversigned) {
  const auto same = [name](const SignedName& other) { return ascii::iequals(other.name, name); };
  const auto found = std::ranges::find_if(names, same);
  if (found == names.end()) {
    names.push_back({std::string(name), oversigned});
  } else {
    found->oversigned |= oversigned;
  }
}

Result<Signer> Signer::make(std::string_view domain, std::string_view selector, PrivateKey key, SignOptions options) {
  if (key.key() == nullptr) return invalid("no private key");
  if (auto checked = check_names(domain, selector); !checked) return std::move(checked).error();
  if (options.expires_after && *options.expires_after <= std::chrono::seconds(0)) {
    return invalid("expires_after must be positive (RFC 6376 3.5, x=)");
  }
  auto auid = make_auid(options.identity, domain);
  if (!auid) return std::move(auid).error();

  auto identity = std::make_shared<Identity>();
  identity->domain = ascii::to_lower(domain);
  identity->selector = selector;
  identity->auid = *std::move(auid);
  identity->warnings = warnings_of(options, key);
  for (const auto* list : {&options.headers, &options.oversigned}) {
    for (const std::string& name : *list) {
      // A semicolon is lawful in a name (RFC 5322 3.6.8) but ends the list in h=.
      if (!is_field_name(name) || name.find(';') != std::string::npos) {
        return invalid(fmt::format("\"{}\" is not a header name that can be signed", name));
      }
      // Verifiers would take the signature itself for the one that must not be there.
      if (list == &options.oversigned && ascii::iequals(name, "DKIM-Signature")) {
        return invalid("DKIM-Signature cannot be oversigned (RFC 6376 3.5, h=)");
      }
      identity->add_name(name, list == &options.oversigned);
    }
  }
  const auto is_from = [](const Identity::SignedName& name) { return ascii::iequals(name.name, "From"); };
  if (std::ranges::none_of(identity->names, is_from)) return invalid("From must be signed (RFC 6376 5.4)");

  if (options.backend == Backend::kLibopendkim) {
    auto opendkim = OpenDkimSigner::make(*identity, key, options);
    if (!opendkim) return std::move(opendkim).error();
    identity->opendkim = *std::move(opendkim);
  }
  identity->key = key.key();
  identity->options = std::move(options);
  Signer signer;
  signer.identity_ = std::move(identity);
  return signer;
}

const std::string& Signer::domain() const noexcept { return identity_->domain; }
const std::string& Signer::selector() const noexcept { return identity_->selector; }
Algorithm Signer::algorithm() const noexcept { return identity_->key->algorithm; }
std::span<const std::string> Signer::warnings() const noexcept { return identity_->warnings; }

}  // namespace mailsbuddy::dkim
