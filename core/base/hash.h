// hash.h - SipHash-2-4, a keyed hash that who does not know the key can neither predict nor forge: hash tables over
// what peers send, and short authentication codes. Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012);
// the 128-bit form is that of the authors' reference code.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace mailsbuddy {

struct SipKey {
  std::uint64_t k0 = 0;
  std::uint64_t k1 = 0;

  static SipKey from_bytes(std::span<const std::uint8_t, 16> bytes) noexcept;  // Little-endian, as in the paper.
};

std::uint64_t siphash64(const SipKey& key, std::string_view bytes) noexcept;
// The 16 bytes of the reference code are the two numbers in little-endian form, the first one first.
std::array<std::uint64_t, 2> siphash128(const SipKey& key, std::string_view bytes) noexcept;

}  // namespace mailsbuddy
