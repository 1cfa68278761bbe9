// body_hash.h - a body canonicalised and hashed in one pass (RFC 6376 3.7 step 1).
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string_view>

#include "dkim/openssl.h"
#include "mailsbuddy/dkim.h"

namespace mailsbuddy::dkim {

// A sink for canonical_body(): hashes at most `limit` octets of what comes. Each call into OpenSSL costs as much as
// hashing a hundred octets or so, and the lines of indented HTML come in pieces of a few: short ones are gathered.
class HashSink {
 public:
  HashSink(Sha256Hash& hash, std::optional<std::uint64_t> limit)
      : hash_(hash), room_(limit.value_or(~std::uint64_t{0})) {}

  void operator()(std::string_view piece) {
    if (piece.size() > room_) piece = piece.substr(0, room_);
    room_ -= piece.size();
    count_ += piece.size();
    if (gathered_ + piece.size() > buffer_.size()) flush();
    if (piece.size() > kShort) {
      flush();
      hash_.update(piece);
    } else if (!piece.empty()) {
      std::memcpy(buffer_.data() + gathered_, piece.data(), piece.size());
      gathered_ += piece.size();
    }
  }
  void flush() {
    if (gathered_ > 0) hash_.update({buffer_.data(), gathered_});
    gathered_ = 0;
  }
  std::uint64_t count() const noexcept { return count_; }

 private:
  static constexpr std::size_t kShort = 512;
  Sha256Hash& hash_;
  std::uint64_t room_;
  std::uint64_t count_ = 0;
  std::size_t gathered_ = 0;
  std::array<char, 4096> buffer_;
};

// Errors: kInvalidArgument: a bare CR or LF; kInternal: OpenSSL refused.
Result<BodyHash> hash_body(std::string_view body, Canonicalisation form, std::optional<std::uint64_t> length,
                           Sha256Hash& hash);

}  // namespace mailsbuddy::dkim
