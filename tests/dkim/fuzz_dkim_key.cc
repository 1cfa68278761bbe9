// Whatever the bytes, they are a key or refused; a key's own text is the same key.
#include <cstdlib>

#include "mailsbuddy/dkim.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mailsbuddy::dkim;
  const auto key = PrivateKey::parse({reinterpret_cast<const char*>(data), size}, {.allow_short_rsa = true});
  if (!key) return 0;
  const auto again = PrivateKey::parse(key->pem(), {.allow_short_rsa = true});
  if (!again || again->record().str() != key->record().str() || !check_record(*key, key->record().str())) std::abort();
  return 0;
}
