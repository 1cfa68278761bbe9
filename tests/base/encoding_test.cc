// Hex, base 64 and base 32.
#include "core/base/encoding.h"

#include <openssl/evp.h>

#include <boost/test/unit_test.hpp>
#include <vector>

#include "mailsbuddy/base.h"

namespace mailsbuddy {
namespace {

using namespace std::string_view_literals;

std::string some_bytes(Random& random, std::size_t size) {
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

template <class Append>
std::string appended(Append append, std::string_view bytes) {
  std::string out = "before ";  // Encoders append and leave alone what is there.
  append(out, bytes);
  BOOST_TEST(out.starts_with("before "));
  return out.substr(7);
}

// Hex

BOOST_AUTO_TEST_CASE(hex_both_ways) {
  BOOST_TEST(appended(append_hex, "\x00\x7f\x80\xff\n"sv) == "007f80ff0a");
  BOOST_TEST(appended(append_hex, "").empty());
  BOOST_TEST((decode_hex("007f80fF0A") == "\x00\x7f\x80\xff\n"sv));
  BOOST_TEST((decode_hex("") == ""));
  for (const std::string_view bad : {"0"sv, "0g"sv, "g0"sv, "0x"sv, " 00 "sv, "00 0"sv, "\xff\xff"sv, "00\0\0"sv}) {
    BOOST_TEST_CONTEXT(bad) { BOOST_TEST(!decode_hex(bad).has_value()); }
  }
}

// Base 64

struct Text {
  const char* name;
  std::string_view bytes;
  std::string_view text;
};

// RFC 4648 10.
constexpr Text kBase64Vectors[] = {
    {.name = "nothing", .bytes = "", .text = ""},
    {.name = "one byte", .bytes = "f", .text = "Zg=="},
    {.name = "two bytes", .bytes = "fo", .text = "Zm8="},
    {.name = "three bytes", .bytes = "foo", .text = "Zm9v"},
    {.name = "four bytes", .bytes = "foob", .text = "Zm9vYg=="},
    {.name = "five bytes", .bytes = "fooba", .text = "Zm9vYmE="},
    {.name = "six bytes", .bytes = "foobar", .text = "Zm9vYmFy"},
    {.name = "the end of the alphabet", .bytes = "\xff\xef\xbe"sv, .text = "/+++"},
};

BOOST_AUTO_TEST_CASE(base64_both_ways) {
  for (const Text& c : kBase64Vectors) {
    BOOST_TEST_CONTEXT(c.name) {
      BOOST_TEST(appended(append_base64, c.bytes) == c.text);
      BOOST_TEST((decode_base64(c.text) == c.bytes));
      BOOST_TEST(decode_base64_lenient(c.text) == c.bytes);
    }
  }
}

BOOST_AUTO_TEST_CASE(base64_agrees_with_openssl) {
  Random random(1);
  for (std::size_t size = 0; size < 300; ++size) {
    const std::string bytes = some_bytes(random, size);
    std::vector<unsigned char> expected(size * 4 / 3 + 8);
    const std::vector<unsigned char> data(bytes.begin(), bytes.end());
    const int length = EVP_EncodeBlock(expected.data(), data.data(), static_cast<int>(size));
    const std::string text = appended(append_base64, bytes);
    BOOST_REQUIRE(text == std::string(expected.begin(), expected.begin() + length));
    BOOST_REQUIRE((decode_base64(text) == bytes));
  }
}

BOOST_AUTO_TEST_CASE(strict_base64_refuses) {
  struct Case {
    const char* name;
    std::string_view text;
  };
  constexpr Case kCases[] = {
      {.name = "one character", .text = "Z"},
      {.name = "no padding", .text = "Zg"},
      {.name = "too little padding", .text = "Zg="},
      {.name = "too much padding", .text = "Zm9v===="},
      {.name = "three of padding", .text = "Z==="},
      {.name = "nothing but padding", .text = "===="},
      {.name = "padding in the middle", .text = "Zg==Zg=="},
      {.name = "padding before a character", .text = "Zg=v"},
      {.name = "unused bits after one byte", .text = "Zh=="},
      {.name = "unused bits after two bytes", .text = "Zm9="},
      {.name = "a line end", .text = "Zm9v\r\nZm9v\r\n"},
      {.name = "a space", .text = "Zm9 "},
      {.name = "the URL alphabet", .text = "-_-_"},
      {.name = "a byte above 127", .text = "Zm9\xff"},
      {.name = "a zero byte", .text = "Zm9\0"sv},
  };
  for (const Case& c : kCases) BOOST_TEST_CONTEXT(c.name) {
      BOOST_TEST(!decode_base64(c.text).has_value());
    }
}

BOOST_AUTO_TEST_CASE(lenient_base64_takes_anything) {
  constexpr Text kCases[] = {
      {.name = "line ends", .bytes = "foobar", .text = "Zm9v\r\nYmFy\r\n"},
      {.name = "a line end within four", .bytes = "foobar", .text = "Zm\r\n9vY\nmFy"},
      {.name = "strangers",
       .bytes = "foo",
       .text = "Z!m\xff"
               "9\0-v"sv},
      {.name = "no padding", .bytes = "f", .text = "Zg"},
      {.name = "unused bits", .bytes = "f", .text = "Zh=="},
      {.name = "a lone last character", .bytes = "foo", .text = "Zm9vY"},
      {.name = "what follows the padding", .bytes = "f", .text = "Zg==Zm9v"},
      {.name = "nothing of use", .bytes = "", .text = "!?\r\n"},
      {.name = "padding first", .bytes = "", .text = "=Zm9v"},
  };
  for (const Text& c : kCases) BOOST_TEST_CONTEXT(c.name) {
      BOOST_TEST(decode_base64_lenient(c.text) == c.bytes);
    }
}

BOOST_AUTO_TEST_CASE(base64_lines_are_76_long_and_all_ended) {
  Random random(2);
  for (std::size_t size = 0; size < 400; ++size) {
    const std::string bytes = some_bytes(random, size);
    const std::string text = appended(append_base64_lines, bytes);
    BOOST_REQUIRE(decode_base64_lenient(text) == bytes);
    std::string joined;
    for (std::string_view rest = text; !rest.empty();) {
      const std::size_t end = rest.find("\r\n");
      BOOST_REQUIRE(end != std::string_view::npos);
      const bool last = end + 2 == rest.size();
      BOOST_REQUIRE((last ? end > 0 && end <= 76 : end == 76));
      joined += rest.substr(0, end);
      rest.remove_prefix(end + 2);
    }
    BOOST_REQUIRE((decode_base64(joined) == bytes));
  }
}

// Base 32

BOOST_AUTO_TEST_CASE(base32_both_ways) {
  // RFC 4648 10, in lower case and without padding.
  constexpr Text kCases[] = {
      {.name = "nothing", .bytes = "", .text = ""},
      {.name = "one byte", .bytes = "f", .text = "my"},
      {.name = "two bytes", .bytes = "fo", .text = "mzxq"},
      {.name = "three bytes", .bytes = "foo", .text = "mzxw6"},
      {.name = "four bytes", .bytes = "foob", .text = "mzxw6yq"},
      {.name = "five bytes", .bytes = "fooba", .text = "mzxw6ytb"},
      {.name = "six bytes", .bytes = "foobar", .text = "mzxw6ytboi"},
      {.name = "the end of the alphabet", .bytes = "\xff\xff\xff\xff\xff"sv, .text = "77777777"},
  };
  for (const Text& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      BOOST_TEST(appended(append_base32, c.bytes) == c.text);
      BOOST_TEST((decode_base32(c.text) == c.bytes));
    }
  }
  BOOST_TEST((decode_base32("MZxW6") == "foo"));
  Random random(3);
  for (std::size_t size = 0; size < 200; ++size) {
    const std::string bytes = some_bytes(random, size);
    BOOST_REQUIRE((decode_base32(appended(append_base32, bytes)) == bytes));
  }
}

BOOST_AUTO_TEST_CASE(base32_refuses) {
  struct Case {
    const char* name;
    std::string_view text;
  };
  constexpr Case kCases[] = {
      {.name = "one character", .text = "m"},
      {.name = "three characters", .text = "mzx"},
      {.name = "six characters", .text = "mzxw6y"},
      {.name = "nine characters", .text = "mzxw6ytbo"},
      {.name = "unused bits", .text = "mz"},
      {.name = "one unused bit", .text = "mzxw7"},
      {.name = "0, 1, 8 and 9 are not of the alphabet", .text = "m1"},
      {.name = "padding", .text = "my======"},
      {.name = "a byte above 127", .text = "m\xf9"},
  };
  for (const Case& c : kCases) BOOST_TEST_CONTEXT(c.name) {
      BOOST_TEST(!decode_base32(c.text).has_value());
    }
}

}  // namespace
}  // namespace mailsbuddy
