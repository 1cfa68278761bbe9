// identity.h - what a Signer shares between its copies: a key with its names and its options, checked and made ready.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dkim/key.h"
#include "mailsbuddy/dkim.h"

namespace mailsbuddy::dkim {

class OpenDkimSigner;

// Threads: immutable after Signer::make().
struct Signer::Identity {
  struct SignedName {
    std::string name;
    bool oversigned;
  };

  std::string domain;
  std::string selector;
  std::shared_ptr<const PrivateKey::Key> key;
  SignOptions options;            // Its lists of headers are in `names`.
  std::vector<SignedName> names;  // In the order of h=, each once.
  std::string auid;               // i= as it stands in the field; empty: none.
  std::vector<std::string> warnings;
  std::shared_ptr<const OpenDkimSigner> opendkim;  // Null: the native one signs.

  void add_name(std::string_view name, bool oversigned);
};

}  // namespace mailsbuddy::dkim
