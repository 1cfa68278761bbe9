// rsa_lanes_kernel.h - what rsa_lanes_sign() computes with vector instructions. Its source is compiled for AVX-512, so
// that it includes nothing whose functions others share: the linker keeps one copy of each.
#pragma once

#include <cstdint>

namespace mailsbuddy::dkim {

constexpr int kLanes = 8;  // 0 to 3: modulo p, 4 to 7: modulo q of the same four messages.
constexpr int kLaneDigits = 20;
constexpr int kLaneWindows = 256;
constexpr int kLaneTable = 16;  // Powers 0 to 15.

// One digit of all lanes after the other.
struct alignas(64) LaneNumbers {
  std::uint64_t digit[kLaneDigits][kLanes];
};

// All that is computed with, in one place for the caller to wipe.
struct LaneWork {
  // Given.
  LaneNumbers modulus, r2, r3, q_inverse;
  LaneNumbers low, high;  // The message's representative: low + high * 2^1040.
  alignas(64) std::uint64_t k0[kLanes];
  std::uint64_t exponent[kLaneWindows];  // An octet a lane, the lowest for lane 0.
  // Found, in lanes 0 to 3.
  alignas(64) std::uint64_t signature[2 * kLaneDigits][kLanes];
  // Under way.
  LaneNumbers one, power, factor, other, table[kLaneTable];
};

// Wipes the registers and what the compiler put on the stack.
void rsa_lanes_kernel(LaneWork& work) noexcept;

}  // namespace mailsbuddy::dkim
