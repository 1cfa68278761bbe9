// In place of opendkim_signer.cc and opendkim_verifier.cc where libopendkim is not there.
#include "dkim/opendkim_signer.h"
#include "dkim/verifier.h"

namespace mailsbuddy::dkim {

bool available(Backend backend) noexcept { return backend == Backend::kNative; }

Result<std::shared_ptr<const OpenDkimSigner>> OpenDkimSigner::make(const Signer::Identity&, const PrivateKey&,
                                                                   const SignOptions&) {
  return Error{ErrorCode::kUnsupported, "this build of mailsbuddy has no libopendkim"};
}

Verification verify_with_libopendkim(std::string_view, const KeyLookup&, const VerifyOptions&) {
  return refused({Reason::kUnavailable, "this build of mailsbuddy has no libopendkim"});
}

}  // namespace mailsbuddy::dkim
