// In DER (X.690):
//   PrivateKeyInfo ::= SEQUENCE { version INTEGER, privateKeyAlgorithm SEQUENCE { OBJECT IDENTIFIER, ANY OPTIONAL },
//                                 privateKey OCTET STRING, ... }                                      RFC 5208 5, RFC
//                                 5958 2
//   RSAPrivateKey  ::= SEQUENCE { version, n, e, d, p, q, d mod p-1, d mod q-1, q^-1 mod p }  -- INTEGERs: RFC 8017
//   A.1.2 CurvePrivateKey ::= OCTET STRING                                                          -- of 32 octets:
//   RFC 8410 7
// and in PEM (RFC 7468): base 64 between "-----BEGIN label-----" and "-----END label-----".
#include "dkim/key_der.h"

#include <openssl/core_names.h>
#include <openssl/params.h>

#include <algorithm>
#include <bit>
#include <optional>
#include <vector>

#include "core/base/ascii.h"

namespace mailsbuddy::dkim {
namespace {

constexpr unsigned char kInteger = 0x02;
constexpr unsigned char kOctetString = 0x04;
constexpr unsigned char kObjectIdentifier = 0x06;
constexpr unsigned char kSequence = 0x30;
constexpr std::string_view kRsaEncryption = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";  // 1.2.840.113549.1.1.1
constexpr std::string_view kEd25519 = "\x2b\x65\x70";                                // 1.3.101.112
constexpr std::size_t kSeedBytes = 32;                                               // RFC 8032 5.1.5

// Takes one value of the type `tag` off the front of `der`; empty: there is none.
std::optional<std::string_view> take(std::string_view& der, unsigned char tag) {
  const auto octet = [&der](std::size_t at) { return static_cast<unsigned char>(der[at]); };
  if (der.size() < 2 || octet(0) != tag) return std::nullopt;
  std::size_t head = 2;
  std::size_t size = octet(1);
  if (size >= 0x80) {
    const std::size_t octets = size - 0x80;  // Two are enough for every key that is taken at all.
    if (octets < 1 || octets > 2 || der.size() < head + octets) return std::nullopt;
    size = 0;
    for (std::size_t i = 0; i < octets; ++i) size = size << 8 | octet(head++);
  }
  if (der.size() - head < size) return std::nullopt;
  const std::string_view value = der.substr(head, size);
  der.remove_prefix(head + size);
  return value;
}

// A positive INTEGER's octets as OpenSSL's parameters take numbers: in the machine's order.
bool take_number(std::string_view& der, std::string& out) {
  const auto value = take(der, kInteger);
  if (!value || value->empty() || static_cast<unsigned char>(value->front()) >= 0x80) return false;
  out.assign(*value);
  if constexpr (std::endian::native == std::endian::little) std::reverse(out.begin(), out.end());
  return true;
}

OpenSslPtr<EVP_PKEY> read_rsa(std::string_view der) {
  constexpr const char* kNames[] = {OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,
                                    OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
                                    OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
                                    OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1};
  auto fields = take(der, kSequence);
  const auto version = fields ? take(*fields, kInteger) : std::nullopt;
  if (!version || *version != std::string_view("\0", 1) || !der.empty()) return nullptr;  // 1: more than two primes.

  std::array<WipedString, std::size(kNames)> numbers;
  std::array<OSSL_PARAM, std::size(kNames) + 1> params;
  for (std::size_t i = 0; i < std::size(kNames); ++i) {
    std::string& number = numbers[i].text();
    if (!take_number(*fields, number)) return nullptr;
    params[i] = OSSL_PARAM_construct_BN(kNames[i], reinterpret_cast<unsigned char*>(number.data()), number.size());
  }
  params.back() = OSSL_PARAM_construct_end();
  if (!fields->empty()) return nullptr;
  const OpenSslPtr<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  EVP_PKEY* made = nullptr;
  if (!context || EVP_PKEY_fromdata_init(context.get()) <= 0 ||
      EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_KEYPAIR, params.data()) <= 0) {
    return nullptr;
  }
  return OpenSslPtr<EVP_PKEY>(made);
}

OpenSslPtr<EVP_PKEY> read_ed25519(std::string_view der) {
  const auto seed = take(der, kOctetString);
  if (!seed || seed->size() != kSeedBytes || !der.empty()) return nullptr;
  return OpenSslPtr<EVP_PKEY>(EVP_PKEY_new_raw_private_key_ex(
      nullptr, "ED25519", nullptr, reinterpret_cast<const unsigned char*>(seed->data()), seed->size()));
}

OpenSslPtr<EVP_PKEY> read_pkcs8(std::string_view der) {
  auto fields = take(der, kSequence);
  if (!fields || !der.empty() || !take(*fields, kInteger)) return nullptr;
  auto algorithm = take(*fields, kSequence);
  const auto identifier = algorithm ? take(*algorithm, kObjectIdentifier) : std::nullopt;
  const auto key = identifier ? take(*fields, kOctetString) : std::nullopt;
  if (!key) return nullptr;
  if (*identifier == kRsaEncryption) return read_rsa(*key);
  return *identifier == kEd25519 ? read_ed25519(*key) : nullptr;
}

// The octets between a label's lines; false: it is not there, or not in base 64 alone.
bool decode_pem(std::string_view pem, std::string_view label, std::string& der) {
  const std::string begin = "-----BEGIN " + std::string(label) + "-----";
  const std::string end = "-----END " + std::string(label) + "-----";
  const std::size_t at = pem.find(begin);
  const std::size_t stop = pem.find(end);
  if (at == std::string_view::npos || stop == std::string_view::npos || stop < at + begin.size()) return false;
  pem = pem.substr(at + begin.size(), stop - at - begin.size());
  WipedString packed;
  packed.text().reserve(pem.size());
  for (const char c : pem) {
    if (!ascii::is_space(c)) packed.text() += c;
  }
  const std::string_view text = packed.text();
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  if (text.size() < 4 || text.size() % 4 != 0) return false;
  der.resize(text.size() / 4 * 3);
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(der.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (size < 0) return false;
  der.resize(static_cast<std::size_t>(size) - padding);
  return true;
}

}  // namespace

OpenSslPtr<EVP_PKEY> read_pem_key(std::string_view pem) {
  WipedString der;
  if (decode_pem(pem, "PRIVATE KEY", der.text())) return read_pkcs8(der.text());
  if (decode_pem(pem, "RSA PRIVATE KEY", der.text())) return read_rsa(der.text());
  return nullptr;
}

OpenSslPtr<EVP_PKEY> read_der_key(std::string_view der) {
  auto key = read_pkcs8(der);
  return key ? std::move(key) : read_rsa(der);
}

}  // namespace mailsbuddy::dkim
