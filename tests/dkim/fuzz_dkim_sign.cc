// Any message is signed or refused; the one-pass canonical body is that of the reference; the header field that comes
// out cannot break the message it is put before.
#include <cstdlib>

#include "dkim/canonicalise.h"
#include "mailsbuddy/dkim.h"
#include "tests/dkim/reference.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mailsbuddy;
  using namespace mailsbuddy::dkim;
  static const Signer signer =
      Signer::make("brand.example", "s1", PrivateKey::generate_rsa(1024, {.allow_short_rsa = true}).value()).value();
  const std::string_view message(reinterpret_cast<const char*>(data), size);

  std::string canonical;
  const bool canonicalised = relaxed_body(message, [&](std::string_view piece) { canonical += piece; });
  if (canonicalised != only_crlf(message)) std::abort();
  if (canonicalised && canonical != reference_relaxed_body(message)) std::abort();

  const auto field = signer.sign(message, TimePoint(std::chrono::seconds(1'700'000'000)));
  if (!field) return 0;
  if (!canonicalised || !field->starts_with("DKIM-Signature: ") || !field->ends_with("\r\n") ||
      field->find("\r\n\r\n") != std::string::npos || !only_crlf(*field)) {
    std::abort();
  }
  return 0;
}
