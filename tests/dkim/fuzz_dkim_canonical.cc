// Both forms of a body are those of the reference or the body is refused, whatever pieces it came in; canonical again
// it is the same. A field's relaxed value is that of the reference.
#include <cstdlib>

#include "dkim/body_hash.h"
#include "dkim/canonicalise.h"
#include "tests/dkim/reference.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mailsbuddy::dkim;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static Sha256Hash hash;

  for (const auto form : {Canonicalisation::kSimple, Canonicalisation::kRelaxed}) {
    std::string canonical;
    const bool good = canonical_body(form, text, [&](std::string_view piece) { canonical += piece; });
    if (good != only_crlf(text)) std::abort();
    const auto hashed = hash_body(text, form, std::nullopt, hash);
    if (hashed.has_value() != good) std::abort();
    if (!good) continue;
    if (canonical != (form == Canonicalisation::kSimple ? reference_simple_body(text) : reference_relaxed_body(text))) {
      std::abort();
    }
    Sha256 digest;
    hash.begin();
    hash.update(canonical);
    if (!hash.finish(digest) || digest != hashed->sha256) std::abort();
    std::string again;
    if (!canonical_body(form, canonical, [&](std::string_view piece) { again += piece; }) || again != canonical) {
      std::abort();
    }
  }
  std::string value;
  append_relaxed_header(value, "A", text);
  // The reference unfolds by dropping CR and LF, which is the same where white space follows each.
  std::string folded;
  for (const char c : text) folded += c == '\r' || c == '\n' ? ' ' : c;
  if (value != "a:" + reference_relaxed_value(folded)) std::abort();
  return 0;
}
