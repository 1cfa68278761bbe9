#include "dkim/verifier.h"

namespace mailsbuddy::dkim {

Verification verify_with_libopendkim(std::string_view, const KeyLookup&, const VerifyOptions&) {
  Verification verification{.status = status_of(Reason::kUnavailable)};
  verification.signatures.push_back({.status = verification.status, .reason = Reason::kUnavailable});
  return verification;
}

}  // namespace mailsbuddy::dkim
