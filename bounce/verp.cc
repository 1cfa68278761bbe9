// The local part: "b-" and 48 characters of base 32, which is 30 octets exactly, so that no bit of it is free:
//   campaign (8) recipient (8) day (4), big-endian; then the first 10 of HMAC-SHA-256 over a label and those 20.
// Ten octets are 80 bits (RFC 2104 5 asks for no fewer), and who guesses has one try a message.
#define OPENSSL_SUPPRESS_DEPRECATED  // Of SHA256_CTX: see VerpKey::make().
#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "core/base/encoding.h"
#include "mailsbuddy/bounce.h"

namespace mailsbuddy::bounce {
namespace {

constexpr std::string_view kPrefix = "b-";
constexpr std::string_view kLabel = "mailsbuddy verp 1:";  // No other use of the same key makes these codes.
constexpr std::size_t kTokenBytes = 8 + 8 + 4;
constexpr std::size_t kMacBytes = 10;
static_assert((kTokenBytes + kMacBytes) % 5 == 0);
static_assert(kVerpBytes == kPrefix.size() + (kTokenBytes + kMacBytes) * 8 / 5 && kVerpBytes <= kLocalPartMax);

using Block = std::array<unsigned char, SHA256_CBLOCK>;

unsigned char* put_number(unsigned char* to, std::uint64_t number, int octets) {
  while (octets-- > 0) *to++ = static_cast<unsigned char>(number >> (octets * 8));
  return to;
}

std::uint64_t take_number(std::string_view& bytes, std::size_t octets) {
  std::uint64_t number = 0;
  for (const char c : bytes.substr(0, octets)) number = number << 8 | static_cast<unsigned char>(c);
  bytes.remove_prefix(octets);
  return number;
}

// SHA-256 that goes on from `state`, which has taken one block.
SHA256_CTX after_block(const std::array<std::uint32_t, 8>& state) {
  SHA256_CTX context;
  SHA256_Init(&context);
  std::copy(state.begin(), state.end(), context.h);
  context.Nl = SHA256_CBLOCK * 8;
  return context;
}

}  // namespace

// RFC 2104: H(K xor opad, H(K xor ipad, text)). Both begin with a block that the key alone decides; it is hashed here,
// once. With OpenSSL's functions for that (EVP_MAC_dup, EVP_MD_CTX_copy_ex) each token would allocate and could fail;
// the deprecated structure is a plain value.
Result<VerpKey> VerpKey::make(std::string_view secret) {
  if (secret.size() < kVerpKeyBytesMin) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("VERP key: {} octets, at least {} are needed", secret.size(), kVerpKeyBytesMin)};
  }
  Block key{};
  if (secret.size() <= key.size()) {
    std::copy(secret.begin(), secret.end(), key.begin());
  } else {
    SHA256(reinterpret_cast<const unsigned char*>(secret.data()), secret.size(), key.data());
  }
  const auto hash_padded = [&key](unsigned char pad) {
    Block block;
    std::transform(key.begin(), key.end(), block.begin(), [pad](unsigned char c) { return c ^ pad; });
    SHA256_CTX context;
    SHA256_Init(&context);
    SHA256_Update(&context, block.data(), block.size());
    OPENSSL_cleanse(block.data(), block.size());
    Hash state;
    std::copy(std::begin(context.h), std::end(context.h), state.begin());
    return state;
  };
  VerpKey made;
  made.inner_ = hash_padded(0x36);
  made.outer_ = hash_padded(0x5c);
  OPENSSL_cleanse(key.data(), key.size());
  return made;
}

void VerpKey::sign(const unsigned char* token, unsigned char* mac) const {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> hash;
  SHA256_CTX inner = after_block(inner_);
  SHA256_Update(&inner, kLabel.data(), kLabel.size());
  SHA256_Update(&inner, token, kTokenBytes);
  SHA256_Final(hash.data(), &inner);
  SHA256_CTX outer = after_block(outer_);
  SHA256_Update(&outer, hash.data(), hash.size());
  SHA256_Final(hash.data(), &outer);
  std::memcpy(mac, hash.data(), kMacBytes);
}

void VerpKey::encode(const VerpToken& token, std::string& out) const {
  std::array<unsigned char, kTokenBytes + kMacBytes> bytes;
  unsigned char* to = put_number(bytes.data(), token.campaign, 8);
  to = put_number(to, token.recipient, 8);
  to = put_number(to, token.day, 4);
  sign(bytes.data(), to);
  out.append(kPrefix);
  append_base32(out, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

Result<VerpToken> VerpKey::decode(std::string_view local_part, std::uint32_t today, std::uint32_t days_max) const {
  const bool ours =
      local_part.size() == kVerpBytes && (local_part[0] == 'b' || local_part[0] == 'B') && local_part[1] == '-';
  const auto bytes = ours ? decode_base32(local_part.substr(kPrefix.size())) : std::nullopt;
  if (!bytes || bytes->size() != kTokenBytes + kMacBytes) return Error{ErrorCode::kNotFound, "not a VERP local part"};
  std::array<unsigned char, kMacBytes> mac;
  sign(reinterpret_cast<const unsigned char*>(bytes->data()), mac.data());
  if (CRYPTO_memcmp(mac.data(), bytes->data() + kTokenBytes, kMacBytes) != 0) {
    return Error{ErrorCode::kInvalidArgument, "VERP local part is forged or damaged"};
  }
  std::string_view token = *bytes;
  VerpToken decoded;
  decoded.campaign = take_number(token, 8);
  decoded.recipient = take_number(token, 8);
  decoded.day = static_cast<std::uint32_t>(take_number(token, 4));
  if (decoded.day > today && decoded.day - today > kVerpSkewDays) {
    return Error{ErrorCode::kUnavailable, fmt::format("VERP token is {} days ahead", decoded.day - today)};
  }
  if (decoded.day < today && today - decoded.day > days_max) {
    return Error{ErrorCode::kResourceExhausted,
                 fmt::format("VERP token is {} days old, {} are taken", today - decoded.day, days_max)};
  }
  return decoded;
}

}  // namespace mailsbuddy::bounce
