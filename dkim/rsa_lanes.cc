#include "dkim/rsa_lanes.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "dkim/rsa_lanes_kernel.h"

namespace mailsbuddy::dkim {
namespace {

static_assert(kRsaDigits == kLaneDigits && kRsaWindows == kLaneWindows && 2 * kRsaLanesMax == kLanes);

constexpr int kPrimeBits = kRsaLanesBits / 2;
constexpr std::size_t kPrimeBytes = kPrimeBits / 8;
constexpr int kRBits = kRsaDigits * kRsaDigitBits;

bool processor_can() noexcept {
#ifdef MAILSBUDDY_AVX512
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512ifma");
#else
  return false;
#endif
}

struct BnDelete {
  void operator()(BIGNUM* number) const noexcept { BN_clear_free(number); }
  void operator()(BN_CTX* context) const noexcept { BN_CTX_free(context); }
};
using Bn = std::unique_ptr<BIGNUM, BnDelete>;

Bn number_of(EVP_PKEY& pkey, const char* name) {
  BIGNUM* number = nullptr;
  if (EVP_PKEY_get_bn_param(&pkey, name, &number) <= 0) return nullptr;
  return Bn(number);
}

// Digit `index` of a number whose octets begin with the lowest, as this processor has them; seven more must follow the
// last that it takes from.
std::uint64_t digit_of(const unsigned char* octets, int index) {
  const int bit = index * kRsaDigitBits;
  std::uint64_t word = 0;
  std::memcpy(&word, octets + bit / 8, sizeof word);
  return word >> (bit % 8) & ((std::uint64_t{1} << kRsaDigitBits) - 1);
}

bool write_digits(const BIGNUM* number, RsaDigits& out) {
  std::array<unsigned char, kRBits / 8 + 8> octets{};
  if (BN_bn2lebinpad(number, octets.data(), kRBits / 8) < 0) return false;
  for (int i = 0; i < kRsaDigits; ++i) out[static_cast<std::size_t>(i)] = digit_of(octets.data(), i);
  OPENSSL_cleanse(octets.data(), octets.size());
  return true;
}

// R^power modulo `modulus`.
bool write_power_of_r(const BIGNUM* modulus, int power, BN_CTX* context, RsaDigits& out) {
  const Bn r(BN_new());
  return r && BN_set_bit(r.get(), power * kRBits) == 1 && BN_mod(r.get(), r.get(), modulus, context) == 1 &&
         write_digits(r.get(), out);
}

bool fill(RsaLanesKey::Prime& prime, const BIGNUM* modulus, const BIGNUM* exponent, BN_CTX* context) {
  if (BN_num_bits(modulus) != kPrimeBits || !BN_is_odd(modulus)) return false;
  std::array<unsigned char, kPrimeBytes> octets;
  if (BN_bn2binpad(exponent, octets.data(), octets.size()) < 0) return false;
  for (std::size_t i = 0; i < octets.size(); ++i) {
    prime.exponent[2 * i] = octets[i] >> 4;
    prime.exponent[2 * i + 1] = octets[i] & 15;
  }
  OPENSSL_cleanse(octets.data(), octets.size());
  if (!write_digits(modulus, prime.modulus)) return false;
  std::uint64_t inverse = 1;  // Each step doubles the bits that are right: 2^6 of them.
  for (int i = 0; i < 6; ++i) inverse *= 2 - prime.modulus[0] * inverse;
  prime.k0 = (0 - inverse) & ((std::uint64_t{1} << kRsaDigitBits) - 1);
  return write_power_of_r(modulus, 2, context, prime.r2) && write_power_of_r(modulus, 3, context, prime.r3);
}

void place(LaneNumbers& numbers, std::size_t lane, const RsaDigits& digits) {
  for (std::size_t i = 0; i < digits.size(); ++i) numbers.digit[i][lane] = digits[i];
}

void place(LaneWork& work, std::size_t lane, const RsaLanesKey::Prime& prime) {
  place(work.modulus, lane, prime.modulus);
  place(work.r2, lane, prime.r2);
  place(work.r3, lane, prime.r3);
  work.k0[lane] = prime.k0;
  for (std::size_t i = 0; i < prime.exponent.size(); ++i) {
    work.exponent[i] |= std::uint64_t{prime.exponent[i]} << (8 * lane);
  }
}

void place(LaneWork& work, std::size_t lane, const RsaLane& from) {
  place(work, lane, from.key->p);
  place(work, lane + kRsaLanesMax, from.key->q);
  place(work.q_inverse, lane, from.key->q_inverse);
  place(work.q_inverse, lane + kRsaLanesMax, from.key->q_inverse);
  std::array<unsigned char, 2 * kRBits / 8 + 8> octets{};
  std::reverse_copy(from.block->begin(), from.block->end(), octets.begin());
  for (const std::size_t half : {lane, lane + kRsaLanesMax}) {
    for (int i = 0; i < kRsaDigits; ++i) {
      work.low.digit[i][half] = digit_of(octets.data(), i);
      work.high.digit[i][half] = digit_of(octets.data(), kRsaDigits + i);
    }
  }
}

void take(const LaneWork& work, std::size_t lane, RsaBlock& out) {
  std::array<unsigned char, 2 * kRBits / 8 + 8> octets{};
  for (int i = 0; i < 2 * kRsaDigits; ++i) {
    const int bit = i * kRsaDigitBits;
    std::uint64_t word = 0;
    std::memcpy(&word, octets.data() + bit / 8, sizeof word);
    word |= work.signature[i][lane] << (bit % 8);
    std::memcpy(octets.data() + bit / 8, &word, sizeof word);
  }
  std::reverse_copy(octets.begin(), octets.begin() + out.size(), out.begin());
}

}  // namespace

std::unique_ptr<const RsaLanesKey> RsaLanesKey::make(EVP_PKEY& pkey) {
  if (!processor_can() || EVP_default_properties_is_fips_enabled(nullptr) != 0) return nullptr;
  if (EVP_PKEY_is_a(&pkey, "RSA") != 1) return nullptr;
  if (EVP_PKEY_get_bits(&pkey) != static_cast<int>(kRsaLanesBits)) return nullptr;
  const ErrorMark mark;
  const Bn p = number_of(pkey, OSSL_PKEY_PARAM_RSA_FACTOR1), q = number_of(pkey, OSSL_PKEY_PARAM_RSA_FACTOR2);
  const Bn dp = number_of(pkey, OSSL_PKEY_PARAM_RSA_EXPONENT1), dq = number_of(pkey, OSSL_PKEY_PARAM_RSA_EXPONENT2);
  const Bn q_inverse = number_of(pkey, OSSL_PKEY_PARAM_RSA_COEFFICIENT1);
  const Bn third = number_of(pkey, OSSL_PKEY_PARAM_RSA_FACTOR3);
  const std::unique_ptr<BN_CTX, BnDelete> context(BN_CTX_new());
  if (!p || !q || !dp || !dq || !q_inverse || third || !context) return nullptr;
  std::unique_ptr<RsaLanesKey> key(new RsaLanesKey());
  if (!fill(key->p, p.get(), dp.get(), context.get()) || !fill(key->q, q.get(), dq.get(), context.get()) ||
      !write_digits(q_inverse.get(), key->q_inverse)) {
    return nullptr;
  }
  return key;
}

RsaLanesKey::~RsaLanesKey() {
  for (Prime* prime : {&p, &q}) OPENSSL_cleanse(prime, sizeof *prime);
  OPENSSL_cleanse(q_inverse.data(), sizeof q_inverse);
}

// Lanes that nobody needs repeat the first.
void rsa_lanes_sign(std::span<const RsaLane> lanes) noexcept {
  LaneWork work;
  std::fill(std::begin(work.exponent), std::end(work.exponent), 0);
  for (std::size_t i = 0; i < kRsaLanesMax; ++i) place(work, i, lanes[i < lanes.size() ? i : 0]);
#ifdef MAILSBUDDY_AVX512
  rsa_lanes_kernel(work);
#else
  std::abort();  // There is no key to come here with.
#endif
  for (std::size_t i = 0; i < lanes.size(); ++i) take(work, i, *lanes[i].block);
  OPENSSL_cleanse(&work, sizeof work);
}

}  // namespace mailsbuddy::dkim
