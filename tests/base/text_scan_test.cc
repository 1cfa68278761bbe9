#include "core/base/text_scan.h"

#include <boost/test/unit_test.hpp>
#include <string>

#include "mailsbuddy/base.h"

namespace mailsbuddy {
namespace {

// The same octet by octet. Of long lines it says what is certain.
struct Plain {
  explicit Plain(std::string_view text) {
    std::size_t line = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const auto c = static_cast<unsigned char>(text[i]);
      scan.eight_bit = scan.eight_bit || c > 127;
      scan.control = scan.control || c > '~' || (c < ' ' && c != '\t' && c != '\r' && c != '\n');
      scan.bare =
          scan.bare || (c == '\r' && text.substr(i + 1, 1) != "\n") || (c == '\n' && (i == 0 || text[i - 1] != '\r'));
      scan.dot = scan.dot || (c == '.' && (i == 0 || text[i - 1] == '\n'));
      line = c == '\n' ? 0 : line + 1;
      longest = std::max(longest, line - (c == '\r' ? 1 : 0));
    }
  }
  TextScan scan;
  std::size_t longest = 0;
};

void check(const std::string& text) {
  const TextScan scan = scan_text(text);
  const Plain plain(text);
  const bool same = scan.eight_bit == plain.scan.eight_bit && scan.control == plain.scan.control &&
                    scan.bare == plain.scan.bare && scan.dot == plain.scan.dot;
  const bool long_line = plain.longest > kSureLineMax ? scan.long_line : plain.longest >= 256 || !scan.long_line;
  if (same && long_line) return;
  BOOST_TEST(long_line);
  BOOST_TEST(scan.eight_bit == plain.scan.eight_bit);
  BOOST_TEST(scan.control == plain.scan.control);
  BOOST_TEST(scan.bare == plain.scan.bare);
  BOOST_TEST(scan.dot == plain.scan.dot);
}

// `count` octets of lines of 60.
std::string lines(std::size_t count) {
  std::string text;
  while (text.size() < count) text += text.size() % 60 == 58 ? '\r' : text.size() % 60 == 59 ? '\n' : 'a';
  return text;
}

BOOST_AUTO_TEST_CASE(each_octet_at_each_place) {
  for (const std::size_t size : {1, 31, 32, 33, 255, 256, 257, 513}) {
    for (std::size_t at = 0; at < size; ++at) {
      if (at > 40 && at + 40 < size && at % 256 > 2 && at % 256 < 254) continue;
      for (int octet = 0; octet < 256; ++octet) {
        std::string text = lines(size);
        text[at] = static_cast<char>(octet);
        check(text);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(texts) {
  for (const std::string_view text : {"", ".", "\r\n", "\n", "\r", ".\r\n", "a\r\n.\r\n", "a\r\n..", "\r\r\n", "\r\n\n",
                                      "a.b\r\n", "\n.", "\r.", "caf\xc3\xa9\r\n", "\x7f", "\t\r\n"}) {
    BOOST_TEST_CONTEXT('"' << text << '"') { check(std::string(text)); }
  }
}

BOOST_AUTO_TEST_CASE(lines_of_every_length) {
  for (std::size_t length = 0; length < 1300; ++length) {
    for (const std::size_t before : {0, 1, 100, 255, 256}) {
      const std::string text = std::string(before, 'b') + "\r\n" + std::string(length, 'a') + "\r\nend\r\n";
      BOOST_TEST_CONTEXT(length << " after " << before) { check(text); }
    }
    check(std::string(length, 'a'));
  }
}

BOOST_AUTO_TEST_CASE(random_texts) {
  Random random(1);
  constexpr std::string_view kOctets = "aaaaaaab.\r\n\r\n\r\n\t\x01\xc3";
  for (int run = 0; run < 5'000; ++run) {
    const std::size_t rare = 1 + random.below(200);
    std::string text = lines(random.below(700));
    for (char& c : text) {
      if (random.below(rare) == 0) c = kOctets[random.below(kOctets.size())];
    }
    check(text);
  }
}

}  // namespace
}  // namespace mailsbuddy
