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

constexpr std::uint32_t kDays = 30;

VerpKey key(std::string_view secret = kKey) { return VerpKey::make(secret).value(); }

std::string encoded(const VerpToken& token, const VerpKey& by = key()) {
  std::string local_part;
  by.encode(token, local_part);
  return local_part;
}

// Why it is refused, on the day of kToken.
ErrorCode refusal(std::string_view local_part, std::string_view secret = kKey) {
  const auto decoded = key(secret).decode(local_part, kToken.day, kDays);
  BOOST_TEST(!decoded);
  return decoded ? ErrorCode::kInternal : decoded.error().code;
}

BOOST_AUTO_TEST_CASE(comes_back_in_any_letter_case) {
  for (const VerpToken& token : kTokens) {
    const std::string local_part = encoded(token);
    BOOST_TEST_CONTEXT(local_part) {
      BOOST_TEST(local_part.size() == kVerpBytes);
      BOOST_TEST(local_part.starts_with("b-"));
      BOOST_TEST(local_part == ascii::to_lower(local_part));
      BOOST_TEST((key().decode(local_part, token.day, 0).value() == token));
      std::string upper = local_part;
      for (char& c : upper) c = ascii::to_upper(c);
      BOOST_TEST((key().decode(upper, token.day, 0).value() == token));
    }
  }
}

BOOST_AUTO_TEST_CASE(appends) {
  std::string out = "x";
  key().encode(kToken, out);
  BOOST_TEST(out == "x" + encoded(kToken));
}

// Return paths live as long as the mail that carries them: the form must not change. Computed with Python's hmac, with
// keys of less than, exactly and more than a block of SHA-256.
BOOST_AUTO_TEST_CASE(the_form_stays) {
  const std::string block(64, 'k');
  BOOST_TEST(encoded(kToken) == "b-aaaaaaaaaaaaoaaaaaaaaewwq4aaaujmgnb3rogsgmf6fdmx");
  BOOST_TEST(encoded(kToken, key(block)) == "b-aaaaaaaaaaaaoaaaaaaaaewwq4aaaujmfs7qig5f2a7255cd");
  BOOST_TEST(encoded(kToken, key(block + "k")) == "b-aaaaaaaaaaaaoaaaaaaaaewwq4aaaujmyrhrhe4q3bdgdfm2");
}

BOOST_AUTO_TEST_CASE(any_other_character_anywhere_is_refused) {
  const std::string local_part = encoded(kToken);
  for (std::size_t i = 0; i < local_part.size(); ++i) {
    for (const char c : kBase32) {
      if (c == local_part[i]) continue;
      std::string forged = local_part;
      forged[i] = c;
      BOOST_TEST_CONTEXT(forged) {
        BOOST_TEST((refusal(forged) == (i < 2 ? ErrorCode::kNotFound : ErrorCode::kInvalidArgument)));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(any_other_length_is_refused) {
  const std::string local_part = encoded(kToken);
  for (std::size_t size = 0; size < local_part.size(); ++size) {
    BOOST_TEST((refusal(local_part.substr(0, size)) == ErrorCode::kNotFound));
  }
  BOOST_TEST((refusal(local_part + "a") == ErrorCode::kNotFound));
  BOOST_TEST((refusal(local_part + local_part) == ErrorCode::kNotFound));
}

BOOST_AUTO_TEST_CASE(what_is_not_base32_is_refused) {
  const std::string local_part = encoded(kToken);
  for (int c = 0; c < 256; ++c) {
    std::string other = local_part;
    other[20] = static_cast<char>(c);
    const char lower = ascii::to_lower(static_cast<char>(c));
    if (lower == local_part[20]) continue;
    BOOST_TEST_CONTEXT(c) {
      const bool base32 = kBase32.find(lower) != std::string_view::npos;
      BOOST_TEST((refusal(other) == (base32 ? ErrorCode::kInvalidArgument : ErrorCode::kNotFound)));
    }
  }
}

BOOST_AUTO_TEST_CASE(another_key_is_refused) {
  BOOST_TEST((refusal(encoded(kToken), "0123456789abcdeg") == ErrorCode::kInvalidArgument));
  BOOST_TEST((refusal(encoded(kToken), "0123456789abcdef0") == ErrorCode::kInvalidArgument));
}

BOOST_AUTO_TEST_CASE(a_short_key_is_refused) {
  for (std::size_t size = 0; size < kVerpKeyBytesMin; ++size) {
    BOOST_TEST((VerpKey::make(kKey.substr(0, size)).error().code == ErrorCode::kInvalidArgument));
  }
}

BOOST_AUTO_TEST_CASE(days) {
  struct Case {
    std::string_view name;
    std::uint32_t day, today;
    std::optional<ErrorCode> refused;
    std::string_view detail;
  };
  constexpr std::uint32_t kLast = std::numeric_limits<std::uint32_t>::max();
  constexpr Case kCases[] = {
      {"of today", 1000, 1000, {}, ""},
      {"of the last day that is taken", 970, 1000, {}, ""},
      {"a day too old", 969, 1000, ErrorCode::kResourceExhausted, "VERP token is 31 days old, 30 are taken"},
      {"of the first day of all", 0, 1000, ErrorCode::kResourceExhausted, "VERP token is 1000 days old, 30 are taken"},
      {"of a clock that is ahead", 1001, 1000, {}, ""},
      {"from the future", 1002, 1000, ErrorCode::kUnavailable, "VERP token is 2 days ahead"},
      {"from the end of time", kLast, 1000, ErrorCode::kUnavailable, "VERP token is 4294966295 days ahead"},
      {"at the end of time", kLast, kLast, {}, ""},
      {"at the beginning of time", 1, 0, {}, ""},
  };
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      const auto decoded = key().decode(encoded({.campaign = 1, .recipient = 2, .day = c.day}), c.today, kDays);
      BOOST_TEST(decoded.has_value() == !c.refused);
      if (c.refused && !decoded) {
        BOOST_TEST((decoded.error().code == *c.refused));
        BOOST_TEST(decoded.error().detail == c.detail);
      }
    }
  }
}

}  // namespace
}  // namespace mailsbuddy::bounce
