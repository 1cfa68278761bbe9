#include "core/base/hash.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <boost/test/unit_test.hpp>
#include <memory>
#include <string>
#include <vector>

#include "mailsbuddy/base.h"

namespace mailsbuddy {
namespace {

constexpr std::array<std::uint8_t, 16> kKeyBytes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

// 0, 1, 2, ... as in the published vectors.
std::string counting(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i);
  return bytes;
}

std::vector<std::uint8_t> little_endian(std::span<const std::uint64_t> words) {
  std::vector<std::uint8_t> bytes;
  for (const std::uint64_t word : words) {
    for (int shift = 0; shift < 64; shift += 8) bytes.push_back(static_cast<std::uint8_t>(word >> shift));
  }
  return bytes;
}

// The first is worked out step by step in appendix A of the paper (15 bytes); the others are from the authors'
// vectors.h.
BOOST_AUTO_TEST_CASE(published_vectors) {
  struct Case {
    std::size_t size;
    std::uint64_t hash;
  };
  constexpr Case kCases[] = {
      {.size = 15, .hash = 0xa129ca6149be45e5U}, {.size = 0, .hash = 0x726fdb47dd0e0e31U},
      {.size = 1, .hash = 0x74f839c593dc67fdU},  {.size = 7, .hash = 0xab0200f58b01d137U},
      {.size = 8, .hash = 0x93f5f5799a932462U},  {.size = 63, .hash = 0x958a324ceb064572U},
  };
  const SipKey key = SipKey::from_bytes(kKeyBytes);
  BOOST_TEST(key.k0 == 0x0706050403020100U);
  BOOST_TEST(key.k1 == 0x0f0e0d0c0b0a0908U);
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.size << " bytes") { BOOST_TEST(siphash64(key, counting(c.size)) == c.hash); }
  }
}

BOOST_AUTO_TEST_CASE(published_vectors_of_128_bits) {
  const SipKey key = SipKey::from_bytes(kKeyBytes);
  const std::vector<std::uint8_t> none = {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6,
                                          0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93};
  const std::vector<std::uint8_t> one = {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44,
                                         0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc, 0x45};
  BOOST_TEST(little_endian(siphash128(key, "")) == none, boost::test_tools::per_element());
  BOOST_TEST(little_endian(siphash128(key, counting(1))) == one, boost::test_tools::per_element());
}

// What OpenSSL says.
std::vector<std::uint8_t> oracle(std::span<const std::uint8_t> key, std::string_view bytes, std::size_t size) {
  const std::unique_ptr<EVP_MAC, decltype(&EVP_MAC_free)> mac(EVP_MAC_fetch(nullptr, "SIPHASH", nullptr), EVP_MAC_free);
  BOOST_REQUIRE(mac != nullptr);
  const std::unique_ptr<EVP_MAC_CTX, decltype(&EVP_MAC_CTX_free)> context(EVP_MAC_CTX_new(mac.get()), EVP_MAC_CTX_free);
  const std::array<OSSL_PARAM, 2> parameters = {OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
                                                OSSL_PARAM_construct_end()};
  BOOST_REQUIRE(EVP_MAC_init(context.get(), key.data(), key.size(), parameters.data()) == 1);
  const std::vector<unsigned char> data(bytes.begin(), bytes.end());
  BOOST_REQUIRE(EVP_MAC_update(context.get(), data.data(), data.size()) == 1);
  std::vector<std::uint8_t> hash(size);
  std::size_t written = 0;
  BOOST_REQUIRE(EVP_MAC_final(context.get(), hash.data(), &written, hash.size()) == 1);
  BOOST_REQUIRE(written == size);
  return hash;
}

BOOST_AUTO_TEST_CASE(agrees_with_openssl) {
  Random random(1);
  for (std::size_t size = 0; size < 200; ++size) {
    std::array<std::uint8_t, 16> key_bytes{};
    for (std::uint8_t& byte : key_bytes) byte = static_cast<std::uint8_t>(random());
    std::string bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    const SipKey key = SipKey::from_bytes(key_bytes);
    BOOST_TEST_CONTEXT(size << " bytes") {
      const std::array<std::uint64_t, 1> short_hash = {siphash64(key, bytes)};
      BOOST_TEST(little_endian(short_hash) == oracle(key_bytes, bytes, 8), boost::test_tools::per_element());
      BOOST_TEST(little_endian(siphash128(key, bytes)) == oracle(key_bytes, bytes, 16),
                 boost::test_tools::per_element());
    }
  }
}

}  // namespace
}  // namespace mailsbuddy
