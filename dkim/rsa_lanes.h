// rsa_lanes.h - RSA-2048 private-key operations (RSASP1, RFC 8017 5.2.1) of four messages at once, where the processor
// has AVX-512 IFMA: two fifths of the time that OpenSSL takes for one after the other.
//
// A register holds one digit of eight numbers: for each of four messages its power modulo p, and that modulo q, of a
// key of its own. Where it signs, no branch and no address depends on a number of a key. After S. Gueron, "Efficient
// software implementations of modular exponentiation", J. Cryptographic Engineering 2 (2012).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "dkim/openssl.h"

namespace mailsbuddy::dkim {

constexpr std::size_t kRsaLanesBits = 2048;
constexpr std::size_t kRsaLanesMax = 4;  // Messages at once.

using RsaBlock =
    std::array<unsigned char, kRsaLanesBits / 8>;  // A number below the modulus, its first octet the highest.

constexpr int kRsaDigits = 20;  // Of 52 bits, as IFMA multiplies: 1040 for the 1024 of a prime.
constexpr int kRsaDigitBits = 52;
constexpr int kRsaWindows = 256;  // Of four bits of the exponent, the highest first.
using RsaDigits = std::array<std::uint64_t, kRsaDigits>;

// A private key's numbers as the lanes take them. Threads: immutable. Wiped at its end.
class RsaLanesKey {
 public:
  // Null: the processor cannot, OpenSSL is to keep to FIPS, or it is no RSA key of 2048 bits with two primes of 1024.
  static std::unique_ptr<const RsaLanesKey> make(EVP_PKEY& pkey);
  ~RsaLanesKey();
  RsaLanesKey(const RsaLanesKey&) = delete;
  RsaLanesKey& operator=(const RsaLanesKey&) = delete;

  struct Prime {
    RsaDigits modulus;
    RsaDigits r2, r3;      // R^2 and R^3 modulo it, where R is 2^1040.
    std::uint64_t k0 = 0;  // -1/modulus modulo 2^52.
    std::array<std::uint8_t, kRsaWindows> exponent;
  };
  Prime p, q;
  RsaDigits q_inverse;  // Modulo p.

 private:
  RsaLanesKey() = default;
};

struct RsaLane {
  const RsaLanesKey* key;
  RsaBlock* block;  // The message's representative, below the modulus; then its signature's.
};

// 1 to kRsaLanesMax of them. The time is that of kRsaLanesMax.
void rsa_lanes_sign(std::span<const RsaLane> lanes) noexcept;

}  // namespace mailsbuddy::dkim
