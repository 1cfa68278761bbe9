// The local part: "b-" and 48 characters of base 32, which is 30 octets exactly, so that no bit of it is free:
//   campaign (8) recipient (8) day (4), big-endian; then the first 10 of HMAC-SHA-256 over a label and those 20.
// Ten octets are 80 bits (RFC 2104 5 asks for no fewer), and who guesses has one try a message.
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>

#include "core/base/encoding.h"
#include "mailsbuddy/bounce.h"

namespace mailsbuddy::bounce {
namespace {

constexpr std::string_view kPrefix = "b-";
constexpr std::string_view kLabel = "mailsbuddy verp 1:";  // No other use of the same key makes these codes.
constexpr std::size_t kTokenBytes = 8 + 8 + 4;
constexpr std::size_t kMacBytes = 10;
constexpr std::size_t kLocalPartBytes = kPrefix.size() + (kTokenBytes + kMacBytes) * 8 / 5;
static_assert((kTokenBytes + kMacBytes) % 5 == 0 && kLocalPartBytes <= kLocalPartMax);

Error invalid(std::string detail) { return {ErrorCode::kInvalidArgument, std::move(detail)}; }

void append_number(std::string& out, std::uint64_t number, int octets) {
  while (octets-- > 0) out += static_cast<char>(number >> (octets * 8));
}

std::uint64_t take_number(std::string_view& bytes, std::size_t octets) {
  std::uint64_t number = 0;
  for (const char c : bytes.substr(0, octets)) number = number << 8 | static_cast<unsigned char>(c);
  bytes.remove_prefix(octets);
  return number;
}

// The truncated code of `token`; empty: OpenSSL refused.
std::string mac_of(std::string_view token, std::string_view key) {
  std::string input(kLabel);
  input += token;
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac;
  unsigned size = 0;
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(input.data()),
           input.size(), mac.data(), &size) == nullptr) {
    return {};
  }
  return {reinterpret_cast<const char*>(mac.data()), kMacBytes};
}

Result<std::string> checked_mac(std::string_view token, std::string_view key) {
  if (key.size() < kVerpKeyBytesMin) return invalid("VERP key is too short");
  std::string mac = mac_of(token, key);
  if (mac.empty()) return Error{ErrorCode::kInternal, "OpenSSL: HMAC failed"};
  return mac;
}

}  // namespace

Result<std::string> verp_encode(const VerpToken& token, std::string_view key) {
  std::string bytes;
  append_number(bytes, token.campaign, 8);
  append_number(bytes, token.recipient, 8);
  append_number(bytes, token.day, 4);
  const auto mac = checked_mac(bytes, key);
  if (!mac) return mac.error();
  bytes += *mac;
  std::string local_part(kPrefix);
  append_base32(local_part, bytes);
  return local_part;
}

Result<VerpToken> verp_decode(std::string_view local_part, std::string_view key) {
  const bool ours =
      local_part.size() == kLocalPartBytes && (local_part[0] == 'b' || local_part[0] == 'B') && local_part[1] == '-';
  const auto bytes = ours ? decode_base32(local_part.substr(kPrefix.size())) : std::nullopt;
  if (!bytes || bytes->size() != kTokenBytes + kMacBytes) return invalid("not a VERP local part");
  std::string_view token = std::string_view(*bytes).substr(0, kTokenBytes);
  const auto mac = checked_mac(token, key);
  if (!mac) return mac.error();
  if (CRYPTO_memcmp(mac->data(), bytes->data() + kTokenBytes, kMacBytes) != 0) {
    return invalid("VERP local part is forged or damaged");
  }
  VerpToken decoded;
  decoded.campaign = take_number(token, 8);
  decoded.recipient = take_number(token, 8);
  decoded.day = static_cast<std::uint32_t>(take_number(token, 4));
  return decoded;
}

}  // namespace mailsbuddy::bounce
