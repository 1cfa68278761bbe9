#include "dkim/rsa_lanes_kernel.h"

#include <immintrin.h>

namespace mailsbuddy::dkim {
namespace {

using Vector = __m512i;
constexpr std::uint64_t kDigitMask = (std::uint64_t{1} << 52) - 1;

// Not memcpy() of a struct: what is compiled here must be ours alone.
Vector load(const std::uint64_t (&digit)[kLanes]) { return _mm512_load_si512(digit); }
void store(std::uint64_t (&digit)[kLanes], Vector value) { _mm512_store_si512(digit, value); }

// Carries what is above 52 bits, or below 0, to the next digit; what the last one carries.
template <int kCount>
Vector carry(Vector (&digits)[kCount]) {
  const Vector mask = _mm512_set1_epi64(kDigitMask);
  Vector over = _mm512_setzero_si512();
  for (Vector& digit : digits) {
    const Vector sum = _mm512_add_epi64(digit, over);
    over = _mm512_srai_epi64(sum, 52);
    digit = _mm512_and_si512(sum, mask);
  }
  return over;
}

// Almost Montgomery multiplication: out = a * b / R modulo `n`, below 2n as long as a * b is below n * R. `out` may be
// `a` or `b`. An iteration adds at most four products of 52 bits to a digit: after 20 of them it is below 2^59.
__attribute__((noinline)) void multiply(LaneNumbers& out, const LaneNumbers& a, const LaneNumbers& b,
                                        const LaneNumbers& n, Vector k0) {
  const Vector zero = _mm512_setzero_si512();
  Vector sum[kLaneDigits];
  for (Vector& digit : sum) digit = zero;
  for (int i = 0; i < kLaneDigits; ++i) {
    const Vector x = load(a.digit[i]);
    sum[0] = _mm512_madd52lo_epu64(sum[0], x, load(b.digit[0]));
    const Vector u = _mm512_madd52lo_epu64(zero, sum[0], k0);  // So that the lowest digit becomes 0, and goes.
    sum[0] = _mm512_madd52lo_epu64(sum[0], u, load(n.digit[0]));
    const Vector over = _mm512_srli_epi64(sum[0], 52);
#pragma GCC unroll 20
    for (int j = 1; j < kLaneDigits; ++j) {
      sum[j - 1] = _mm512_madd52lo_epu64(_mm512_madd52lo_epu64(sum[j], x, load(b.digit[j])), u, load(n.digit[j]));
    }
    sum[0] = _mm512_add_epi64(sum[0], over);
    sum[kLaneDigits - 1] = zero;
#pragma GCC unroll 20
    for (int j = 0; j < kLaneDigits; ++j) {
      sum[j] = _mm512_madd52hi_epu64(_mm512_madd52hi_epu64(sum[j], x, load(b.digit[j])), u, load(n.digit[j]));
    }
  }
  carry(sum);
  for (int j = 0; j < kLaneDigits; ++j) store(out.digit[j], sum[j]);
}

// From below 2n to below n.
void reduce(LaneNumbers& value, const LaneNumbers& n) {
  Vector less[kLaneDigits];
  for (int j = 0; j < kLaneDigits; ++j) less[j] = _mm512_sub_epi64(load(value.digit[j]), load(n.digit[j]));
  const __mmask8 negative = _mm512_movepi64_mask(carry(less));
  for (int j = 0; j < kLaneDigits; ++j) {
    store(value.digit[j], _mm512_mask_mov_epi64(less[j], negative, load(value.digit[j])));
  }
}

// Each lane's power of the table. All of it is read, whatever the exponents.
void pick(LaneNumbers& out, const LaneNumbers (&table)[kLaneTable], std::uint64_t window) {
  const Vector wanted = _mm512_cvtepu8_epi64(_mm_cvtsi64_si128(static_cast<long long>(window)));
  Vector found[kLaneDigits];
  for (int j = 0; j < kLaneDigits; ++j) found[j] = load(table[0].digit[j]);
  for (int power = 1; power < kLaneTable; ++power) {
    const __mmask8 here = _mm512_cmpeq_epi64_mask(wanted, _mm512_set1_epi64(power));
#pragma GCC unroll 20
    for (int j = 0; j < kLaneDigits; ++j) found[j] = _mm512_mask_mov_epi64(found[j], here, load(table[power].digit[j]));
  }
  for (int j = 0; j < kLaneDigits; ++j) store(out.digit[j], found[j]);
}

// What lanes 0 to 3 have goes to 4 to 7, and the other way round.
Vector swap(Vector value) { return _mm512_shuffle_i64x2(value, value, 0x4e); }

// low + high * R modulo each lane's prime, in Montgomery form. Either product is below 2n, their sum below 4n, which
// multiply() takes: R is 65,536 n.
void begin(LaneWork& work, Vector k0) {
  multiply(work.low, work.low, work.r2, work.modulus, k0);
  multiply(work.high, work.high, work.r3, work.modulus, k0);
  Vector sum[kLaneDigits];
  for (int j = 0; j < kLaneDigits; ++j) sum[j] = _mm512_add_epi64(load(work.low.digit[j]), load(work.high.digit[j]));
  carry(sum);
  for (int j = 0; j < kLaneDigits; ++j) store(work.low.digit[j], sum[j]);
  for (int j = 0; j < kLaneDigits; ++j) store(work.one.digit[j], _mm512_set1_epi64(j == 0 ? 1 : 0));
}

// power = low ^ exponent, out of Montgomery form, below n.
void raise(LaneWork& work, Vector k0) {
  multiply(work.table[0], work.r2, work.one, work.modulus, k0);
  for (int j = 0; j < kLaneDigits; ++j) store(work.table[1].digit[j], load(work.low.digit[j]));
  for (int i = 2; i < kLaneTable; ++i) multiply(work.table[i], work.table[i - 1], work.low, work.modulus, k0);
  pick(work.power, work.table, work.exponent[0]);
  for (int i = 1; i < kLaneWindows; ++i) {
    for (int square = 0; square < 4; ++square) multiply(work.power, work.power, work.power, work.modulus, k0);
    pick(work.factor, work.table, work.exponent[i]);
    multiply(work.power, work.power, work.factor, work.modulus, k0);
  }
  multiply(work.power, work.power, work.one, work.modulus, k0);
  reduce(work.power, work.modulus);
}

// Garner: signature = m2 + q * ((m1 - m2) / q modulo p). Lanes 4 to 7 compute what nobody reads.
void combine(LaneWork& work, Vector k0) {
  Vector difference[kLaneDigits];  // And 2p, so that it is above 0: q is below 2p.
  for (int j = 0; j < kLaneDigits; ++j) {
    const Vector m1 = load(work.power.digit[j]);
    difference[j] = _mm512_add_epi64(_mm512_sub_epi64(m1, swap(m1)), _mm512_slli_epi64(load(work.modulus.digit[j]), 1));
  }
  carry(difference);
  for (int j = 0; j < kLaneDigits; ++j) store(work.other.digit[j], difference[j]);
  multiply(work.factor, work.q_inverse, work.r2, work.modulus, k0);
  multiply(work.factor, work.factor, work.other, work.modulus, k0);
  reduce(work.factor, work.modulus);

  Vector sum[2 * kLaneDigits];
  for (int j = 0; j < 2 * kLaneDigits; ++j) sum[j] = _mm512_setzero_si512();
  for (int j = 0; j < kLaneDigits; ++j) sum[j] = swap(load(work.power.digit[j]));
  for (int i = 0; i < kLaneDigits; ++i) {
    const Vector x = load(work.factor.digit[i]);
    for (int j = 0; j < kLaneDigits; ++j) {
      const Vector y = swap(load(work.modulus.digit[j]));
      sum[i + j] = _mm512_madd52lo_epu64(sum[i + j], x, y);
      sum[i + j + 1] = _mm512_madd52hi_epu64(sum[i + j + 1], x, y);
    }
  }
  carry(sum);
  for (int j = 0; j < 2 * kLaneDigits; ++j) store(work.signature[j], sum[j]);
}

__attribute__((noinline)) void compute(LaneWork& work) {
  const Vector k0 = load(work.k0);
  begin(work, k0);
  raise(work, k0);
  combine(work, k0);
}

// The compiler keeps digits in registers and, where those are too few, below this file's frames: the largest is of some
// 4 KB, with sanitizers more.
__attribute__((noinline)) void wipe_spills() {
  alignas(64) unsigned char below[16 << 10];
  __builtin_memset(below, 0, sizeof below);
  asm volatile("" : : "r"(below) : "memory");
  asm volatile(
      "vpxorq %%zmm16, %%zmm16, %%zmm16\n\t"
      "vmovdqa64 %%zmm16, %%zmm17\n\tvmovdqa64 %%zmm16, %%zmm18\n\tvmovdqa64 %%zmm16, %%zmm19\n\t"
      "vmovdqa64 %%zmm16, %%zmm20\n\tvmovdqa64 %%zmm16, %%zmm21\n\tvmovdqa64 %%zmm16, %%zmm22\n\t"
      "vmovdqa64 %%zmm16, %%zmm23\n\tvmovdqa64 %%zmm16, %%zmm24\n\tvmovdqa64 %%zmm16, %%zmm25\n\t"
      "vmovdqa64 %%zmm16, %%zmm26\n\tvmovdqa64 %%zmm16, %%zmm27\n\tvmovdqa64 %%zmm16, %%zmm28\n\t"
      "vmovdqa64 %%zmm16, %%zmm29\n\tvmovdqa64 %%zmm16, %%zmm30\n\tvmovdqa64 %%zmm16, %%zmm31\n\t"
      "vzeroall"
      :
      :
      : "memory");
}

}  // namespace

void rsa_lanes_kernel(LaneWork& work) noexcept {
  compute(work);  // In a frame of its own, where wipe_spills() wipes.
  wipe_spills();
}

}  // namespace mailsbuddy::dkim
