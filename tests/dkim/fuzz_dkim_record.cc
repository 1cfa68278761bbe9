// A key record that parses has a text that parses to the same, in strings that a zone file takes; one that does not
// match a key is said not to.
#include <cstdlib>

#include "mailsbuddy/dkim.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mailsbuddy::dkim;
  static const PrivateKey key = PrivateKey::generate_ed25519().value();
  static const PrivateKey rsa = PrivateKey::generate_rsa(1024, {.allow_short_rsa = true}).value();
  const std::string_view text(reinterpret_cast<const char*>(data), size);

  if (check_record(key, text) || check_record(rsa, text)) std::abort();  // Nobody guesses a key.
  const auto record = KeyRecord::parse(text);
  if (!record) return 0;
  const std::string canonical = record->str();
  const auto again = KeyRecord::parse(canonical);
  if (!again || again->str() != canonical || again->public_key != record->public_key ||
      again->revoked() != record->revoked() || again->allows_hash("sha256") != record->allows_hash("sha256") ||
      again->serves_email() != record->serves_email()) {
    std::abort();
  }
  if (zone_file_strings(canonical).find_first_of("\r\n") != std::string::npos) std::abort();
  return 0;
}
