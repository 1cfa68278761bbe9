// opendkim_signer.h - libopendkim as the engine that signs. In builds without it make() refuses.
#pragma once

#include <memory>

#include "dkim/identity.h"

namespace mailsbuddy::dkim {

// Threads: sign() from any number at once.
class OpenDkimSigner {
 public:
  virtual ~OpenDkimSigner() = default;
  // Errors: kUnsupported: the build has no libopendkim, or it cannot sign as `options` say.
  static Result<std::shared_ptr<const OpenDkimSigner>> make(const Signer::Identity& identity, const PrivateKey& key,
                                                            const SignOptions& options);
  // As Signer::sign().
  virtual Result<void> sign(std::string_view message, TimePoint now, std::string& out) const = 0;
};

}  // namespace mailsbuddy::dkim
