#include <fmt/format.h>

#include <algorithm>

#include "core/base/ascii.h"
#include "mailsbuddy/dkim.h"

namespace mailsbuddy::dkim {
namespace {

// Signers keep their domain in lower case; what is looked up may come in any.
bool before(const Signer& signer, std::string_view domain) noexcept {
  return std::lexicographical_compare(
      signer.domain().begin(), signer.domain().end(), domain.begin(), domain.end(),
      [](char a, char b) { return static_cast<unsigned char>(a) < static_cast<unsigned char>(ascii::to_lower(b)); });
}

}  // namespace

Result<void> KeyRing::add(Signer signer) {
  const auto at = std::lower_bound(signers_.begin(), signers_.end(), signer.domain(), before);
  if (at != signers_.end() && at->domain() == signer.domain()) {
    return Error{ErrorCode::kAlreadyExists, fmt::format("{} has a signer already", signer.domain())};
  }
  signers_.insert(at, std::move(signer));
  return {};
}

const Signer* KeyRing::find(std::string_view from_domain) const noexcept {
  while (!from_domain.empty()) {
    const auto at = std::lower_bound(signers_.begin(), signers_.end(), from_domain, before);
    if (at != signers_.end() && ascii::iequals(at->domain(), from_domain)) return &*at;
    const std::size_t dot = from_domain.find('.');
    if (dot == std::string_view::npos) break;
    from_domain.remove_prefix(dot + 1);
  }
  return nullptr;
}

}  // namespace mailsbuddy::dkim
