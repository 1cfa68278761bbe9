#include "core/base/hash.h"

#include <bit>
#include <cstddef>

namespace mailsbuddy {
namespace {

// Byte by byte, so that it says the same on every machine; the compiler makes one load of it where that is right.
template <class Byte>
std::uint64_t load_little_endian(const Byte* bytes) noexcept {
  std::uint64_t word = 0;
  for (int i = 7; i >= 0; --i) word = word << 8 | static_cast<std::uint8_t>(bytes[i]);
  return word;
}

class SipState {
 public:
  explicit SipState(const SipKey& key) noexcept
      : v0(key.k0 ^ 0x736f6d6570736575U),
        v1(key.k1 ^ 0x646f72616e646f6dU),
        v2(key.k0 ^ 0x6c7967656e657261U),
        v3(key.k1 ^ 0x7465646279746573U) {}

  void absorb(std::string_view bytes) noexcept {
    const std::size_t whole = bytes.size() / 8 * 8;
    for (std::size_t at = 0; at < whole; at += 8) compress(load_little_endian(bytes.data() + at));
    std::uint64_t last = static_cast<std::uint64_t>(bytes.size()) << 56;
    for (std::size_t i = whole; i < bytes.size(); ++i) {
      last |= std::uint64_t{static_cast<std::uint8_t>(bytes[i])} << (8 * (i - whole));
    }
    compress(last);
  }

  std::uint64_t squeeze() noexcept {
    for (int i = 0; i < 4; ++i) round();
    return v0 ^ v1 ^ v2 ^ v3;
  }

  std::uint64_t v0, v1, v2, v3;

 private:
  void compress(std::uint64_t word) noexcept {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }

  void round() noexcept {
    v0 += v1;
    v2 += v3;
    v1 = std::rotl(v1, 13) ^ v0;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 = std::rotl(v0, 32);
    v2 += v1;
    v0 += v3;
    v1 = std::rotl(v1, 17) ^ v2;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 = std::rotl(v2, 32);
  }
};

}  // namespace

SipKey SipKey::from_bytes(std::span<const std::uint8_t, 16> bytes) noexcept {
  return {.k0 = load_little_endian(bytes.data()), .k1 = load_little_endian(bytes.data() + 8)};
}

std::uint64_t siphash64(const SipKey& key, std::string_view bytes) noexcept {
  SipState state(key);
  state.absorb(bytes);
  state.v2 ^= 0xff;
  return state.squeeze();
}

std::array<std::uint64_t, 2> siphash128(const SipKey& key, std::string_view bytes) noexcept {
  SipState state(key);
  state.v1 ^= 0xee;
  state.absorb(bytes);
  state.v2 ^= 0xee;
  const std::uint64_t first = state.squeeze();
  state.v1 ^= 0xdd;
  return {first, state.squeeze()};
}

}  // namespace mailsbuddy
