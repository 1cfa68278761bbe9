#include "spool/suppressions.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "core/base/encoding.h"

namespace mailsbuddy::spool {

std::optional<Error> refuses_hashed(const SuppressionKey& key, const AccountAddress& who) {
  if (!key.empty() || !who.address.starts_with(kHashedPrefix)) return std::nullopt;
  return Error{ErrorCode::kInvalidArgument, "a hashed address is of no use without the key that it was hashed with: suppression_key"};
}

std::string hashed_address(const SuppressionKey& key, std::string_view address) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(address.data()),
       address.size(), digest.data(), &size);
  std::string out(kHashedPrefix);
  append_hex(out, {reinterpret_cast<const char*>(digest.data()), size});
  return out;
}

std::string encode_suppression(const NewSuppression& suppression) {
  const std::int64_t since = suppression.suppression.since.time_since_epoch().count();
  std::string value;
  value.push_back(static_cast<char>(suppression.suppression.reason));
  put_varint(value, static_cast<std::uint64_t>(since) << 1 ^ static_cast<std::uint64_t>(since >> 63));
  put_string(value, suppression.who.account);
  put_string(value, suppression.who.address);
  return value;
}

std::optional<NewSuppression> decode_suppression(std::string_view value) {
  Reader reader(value);
  NewSuppression out;
  out.suppression.reason = reader.byte();
  const std::uint64_t since = reader.varint();
  out.suppression.since = TimePoint(Duration(static_cast<std::int64_t>(since >> 1 ^ (~(since & 1) + 1))));
  out.who.account = reader.string();
  out.who.address = reader.string();
  if (!reader.good() || !reader.at_end()) return std::nullopt;
  return out;
}

}  // namespace mailsbuddy::spool
