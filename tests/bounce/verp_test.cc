#include <boost/test/unit_test.hpp>
#include <limits>

#include "core/base/ascii.h"
#include "mailsbuddy/bounce.h"

namespace mailsbuddy::bounce {
namespace {

constexpr std::string_view kKey = "0123456789abcdef";
constexpr std::string_view kBase32 = "abcdefghijklmnopqrstuvwxyz234567";
constexpr VerpToken kToken{.campaign = 7, .recipient = 1'234'567, .day = 20'780};

constexpr VerpToken kTokens[] = {
    {},
    kToken,
    {.campaign = std::numeric_limits<std::uint64_t>::max(), .recipient = 0, .day = 0},
    {.campaign = 0, .recipient = std::numeric_limits<std::uint64_t>::max(), .day = 0},
    {.campaign = 0, .recipient = 0, .day = std::numeric_limits<std::uint32_t>::max()},
};

bool refused(std::string_view local_part, std::string_view key = kKey) {
  const auto decoded = verp_decode(local_part, key);
  return !decoded && decoded.error().code == ErrorCode::kInvalidArgument;
}

BOOST_AUTO_TEST_CASE(comes_back_in_any_letter_case) {
  for (const VerpToken& token : kTokens) {
    const std::string local_part = verp_encode(token, kKey).value();
    BOOST_TEST_CONTEXT(local_part) {
      BOOST_TEST(local_part.size() <= kLocalPartMax);
      BOOST_TEST(local_part.starts_with("b-"));
      BOOST_TEST(local_part == ascii::to_lower(local_part));
      BOOST_TEST((verp_decode(local_part, kKey).value() == token));
      std::string upper = local_part;
      for (char& c : upper) c = ascii::to_upper(c);
      BOOST_TEST((verp_decode(upper, kKey).value() == token));
    }
  }
}

// Return paths live as long as the mail that carries them: the form must not change. Computed with Python's hmac.
BOOST_AUTO_TEST_CASE(the_form_stays) {
  BOOST_TEST(verp_encode(kToken, kKey).value() == "b-aaaaaaaaaaaaoaaaaaaaaewwq4aaaujmgnb3rogsgmf6fdmx");
}

BOOST_AUTO_TEST_CASE(any_other_character_anywhere_is_refused) {
  const std::string local_part = verp_encode(kToken, kKey).value();
  for (std::size_t i = 0; i < local_part.size(); ++i) {
    for (const char c : kBase32) {
      if (c == local_part[i]) continue;
      std::string forged = local_part;
      forged[i] = c;
      BOOST_TEST_CONTEXT(forged) { BOOST_TEST(refused(forged)); }
    }
  }
}

BOOST_AUTO_TEST_CASE(any_other_length_is_refused) {
  const std::string local_part = verp_encode(kToken, kKey).value();
  for (std::size_t size = 0; size < local_part.size(); ++size) BOOST_TEST(refused(local_part.substr(0, size)));
  BOOST_TEST(refused(local_part + "a"));
  BOOST_TEST(refused(local_part + local_part));
}

BOOST_AUTO_TEST_CASE(what_is_not_base32_is_refused) {
  const std::string local_part = verp_encode(kToken, kKey).value();
  for (int c = 0; c < 256; ++c) {
    std::string other = local_part;
    other[20] = static_cast<char>(c);
    const bool same = ascii::to_lower(static_cast<char>(c)) == local_part[20];
    BOOST_TEST_CONTEXT(c) { BOOST_TEST(refused(other) == !same); }
  }
}

BOOST_AUTO_TEST_CASE(another_key_is_refused) {
  BOOST_TEST(refused(verp_encode(kToken, kKey).value(), "0123456789abcdeg"));
  BOOST_TEST(refused(verp_encode(kToken, kKey).value(), "0123456789abcdef0"));
}

BOOST_AUTO_TEST_CASE(a_short_key_is_refused) {
  const std::string_view short_key = kKey.substr(1);
  BOOST_TEST((verp_encode(kToken, short_key).error().code == ErrorCode::kInvalidArgument));
  BOOST_TEST(refused(verp_encode(kToken, kKey).value(), short_key));
}

}  // namespace
}  // namespace mailsbuddy::bounce
