#include "dkim/body_hash.h"

#include "dkim/canonicalise.h"

namespace mailsbuddy::dkim {

Result<BodyHash> hash_body(std::string_view body, Canonicalisation form, std::optional<std::uint64_t> length,
                           Sha256Hash& hash) {
  hash.begin();
  HashSink sink(hash, length);
  if (!canonical_body(form, body, sink)) return Error{ErrorCode::kInvalidArgument, "bare CR or LF in the body"};
  sink.flush();
  BodyHash made{.form = form};
  // "The value MUST NOT be larger than the actual number of octets in the canonicalized message body" (RFC 6376 3.5,
  // l=).
  if (length) made.length = sink.count();
  if (!hash.finish(made.sha256)) return Error{ErrorCode::kInternal, "OpenSSL refused to hash"};
  return made;
}

}  // namespace mailsbuddy::dkim
