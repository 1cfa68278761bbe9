// A DKIM-Signature, ARC-Message-Signature or ARC-Seal field alone: whatever it says, what is taken out of it is b=
// alone.
#include <cstdlib>

#include "core/base/ascii.h"
#include "dkim/signature.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mailsbuddy;
  using namespace mailsbuddy::dkim;
  constexpr std::string_view kName = "DKIM-Signature";
  const std::string whole = std::string(kName) + ":" + std::string(reinterpret_cast<const char*>(data), size);
  const std::string_view view = whole;
  const Field field{.name = view.substr(0, kName.size()), .value = view.substr(kName.size() + 1), .whole = view};
  for (const auto kind : {SignatureKind::kDkim, SignatureKind::kArcMessage, SignatureKind::kArcSeal}) {
    Signature signature;
    if (!parse_signature(field, kind, signature).ok()) continue;
    if (signature.algorithm == nullptr || signature.signature.empty() || signature.domain.empty()) std::abort();
    if (kind == SignatureKind::kDkim &&
        !ascii::iequals(
            signature.identity_domain().substr(signature.identity_domain().size() - signature.domain.size()),
            signature.domain)) {
      std::abort();
    }
    std::string without;
    signature.append_unsigned_field(without, Canonicalisation::kSimple);
    if (without.size() + signature.signature_text.size() > whole.size() || !without.starts_with(kName)) std::abort();
    Signature again;
    const std::string_view rest = without;
    const Field emptied{.name = rest.substr(0, kName.size()), .value = rest.substr(kName.size() + 1), .whole = rest};
    if (parse_signature(emptied, kind, again).ok() || again.domain != signature.domain) std::abort();
  }
  return 0;
}
