// The words of the door's small enums.
#include "mailsbuddy/dkim.h"

namespace mailsbuddy::dkim {

std::string_view to_string(Algorithm algorithm) noexcept {
  return algorithm == Algorithm::kEd25519Sha256 ? "ed25519-sha256" : "rsa-sha256";
}

std::string_view to_string(Canonicalisation form) noexcept {
  return form == Canonicalisation::kSimple ? "simple" : "relaxed";
}

std::string_view to_string(Backend backend) noexcept {
  return backend == Backend::kLibopendkim ? "opendkim" : "native";
}

}  // namespace mailsbuddy::dkim
