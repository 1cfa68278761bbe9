// known_leak.h - what is allocated while one lives is not called leaked: libopendkim 2.11 beta 2 does not free an
// Ed25519 key that it has loaded.
#pragma once

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

namespace mailsbuddy::dkim {

class KnownLeak {
 public:
#ifdef __SANITIZE_ADDRESS__
  KnownLeak() { __lsan_disable(); }
  ~KnownLeak() { __lsan_enable(); }
#else
  KnownLeak() {}  // Not defaulted: an unused variable would be warned of.
  ~KnownLeak() {}
#endif
  KnownLeak(const KnownLeak&) = delete;
  KnownLeak& operator=(const KnownLeak&) = delete;
};

}  // namespace mailsbuddy::dkim
