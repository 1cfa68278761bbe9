#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "smtp/proto/capabilities.h"
#include "smtp/proto/reply_parser.h"

using namespace mailsbuddy;
using smtp::ReplyParser;

namespace {

struct Read {
  int code = 0;
  std::string enhanced;
  std::string text;
  bool operator==(const Read&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Read& read) {
  return out << read.code << " [" << read.enhanced << "] '" << read.text << "'";
}

// Everything in `pieces`, and the error that ends it, as a last Read with code -1.
std::vector<Read> parse(const std::vector<std::string_view>& pieces, bool enhanced) {
  ReplyParser parser;
  std::vector<Read> found;
  for (std::string_view bytes : pieces) {
    while (!bytes.empty()) {
      const auto status = parser.parse(bytes, enhanced);
      if (status == ReplyParser::Status::kMore) break;
      if (status == ReplyParser::Status::kError) {
        found.push_back({-1, "", std::string(parser.error())});
        return found;
      }
      const Reply& reply = parser.reply();
      std::string code;
      if (const auto& e = reply.enhanced) {
        code = std::to_string(e->klass) + "." + std::to_string(e->subject) + "." + std::to_string(e->detail);
      }
      found.push_back({reply.code, code, reply.text});
    }
  }
  return found;
}

struct Case {
  std::string_view name;
  std::string bytes;
  std::vector<Read> replies;
  bool enhanced = true;
};

const Case kValid[] = {
    {.name = "one line", .bytes = "250 Ok\r\n", .replies = {{250, "", "Ok"}}},
    {.name = "code alone", .bytes = "250\r\n", .replies = {{250, "", ""}}},
    {.name = "code and space", .bytes = "250 \r\n", .replies = {{250, "", ""}}},
    {.name = "bare LF", .bytes = "250 Ok\n", .replies = {{250, "", "Ok"}}},
    {.name = "multi-line", .bytes = "250-a\r\n250-b\r\n250 c\r\n", .replies = {{250, "", "a\nb\nc"}}},
    {.name = "multi-line, empty lines", .bytes = "250-\r\n250-\r\n250\r\n", .replies = {{250, "", "\n\n"}}},
    {.name = "two replies", .bytes = "250 a\r\n354 b\r\n", .replies = {{250, "", "a"}, {354, "", "b"}}},
    {.name = "text of the one before is gone",
     .bytes = "550-5.1.1 a\r\n550 b\r\n550 c\r\n",
     .replies = {{550, "5.1.1", "a\nb"}, {550, "", "c"}}},
    {.name = "enhanced", .bytes = "550 5.1.1 No such user\r\n", .replies = {{550, "5.1.1", "No such user"}}},
    {.name = "enhanced alone", .bytes = "250 2.0.0\r\n", .replies = {{250, "2.0.0", ""}}},
    {.name = "enhanced on each line", .bytes = "550-5.7.1 a\r\n550 5.7.1 b\r\n", .replies = {{550, "5.7.1", "a\nb"}}},
    {.name = "another enhanced code stays in the text",
     .bytes = "550-5.7.1 a\r\n550 5.1.1 b\r\n",
     .replies = {{550, "5.7.1", "a\n5.1.1 b"}}},
    {.name = "enhanced on a later line",
     .bytes = "421-try\r\n421 4.7.0 later\r\n",
     .replies = {{421, "4.7.0", "try\nlater"}}},
    {.name = "three digits", .bytes = "550 5.100.999 x\r\n", .replies = {{550, "5.100.999", "x"}}},
    {.name = "class differs", .bytes = "550 4.1.1 x\r\n", .replies = {{550, "", "4.1.1 x"}}},
    {.name = "four digits", .bytes = "550 5.1000.1 x\r\n", .replies = {{550, "", "5.1000.1 x"}}},
    {.name = "an address is no code", .bytes = "550 5.6.7.8 blocked\r\n", .replies = {{550, "", "5.6.7.8 blocked"}}},
    {.name = "too short", .bytes = "550 5.1 x\r\n", .replies = {{550, "", "5.1 x"}}},
    {.name = "no class 3", .bytes = "354 3.0.0 x\r\n", .replies = {{354, "", "3.0.0 x"}}},
    {.name = "positive before EHLO", .bytes = "220 2.0.0 x\r\n", .replies = {{220, "", "2.0.0 x"}}, .enhanced = false},
    {.name = "refusal before EHLO", .bytes = "554 5.7.1 x\r\n", .replies = {{554, "5.7.1", "x"}}, .enhanced = false},
    {.name = "control characters",
     .bytes = std::string("250 a\x1b\0b\rc\x7f\r\n", 13),
     .replies = {{250, "", "a??b?c?"}}},
    {.name = "8 bit text", .bytes = "550 caf\xc3\xa9\r\n", .replies = {{550, "", "caf\xc3\xa9"}}},
    {.name = "longest line",
     .bytes = "250 " + std::string(smtp::kReplyLineMax - 6, 'x') + "\r\n",
     .replies = {{250, "", std::string(smtp::kReplyLineMax - 6, 'x')}}},
};

std::string lines(std::size_t count, std::size_t length) {
  std::string bytes;
  for (std::size_t i = 0; i < count; ++i) bytes += "250-" + std::string(length, 'x') + "\r\n";
  return bytes;
}

const Case kInvalid[] = {
    {.name = "no code", .bytes = "hello\r\n", .replies = {{-1, "", "not an SMTP reply"}}},
    {.name = "empty line", .bytes = "\r\n", .replies = {{-1, "", "not an SMTP reply"}}},
    {.name = "two digits", .bytes = "25\r\n", .replies = {{-1, "", "not an SMTP reply"}}},
    {.name = "four digits", .bytes = "2500 x\r\n", .replies = {{-1, "", "not an SMTP reply"}}},
    {.name = "code 100", .bytes = "100 x\r\n", .replies = {{-1, "", "not an SMTP reply"}}},
    {.name = "code 600", .bytes = "600 x\r\n", .replies = {{-1, "", "not an SMTP reply"}}},
    {.name = "codes differ", .bytes = "250-a\r\n251 b\r\n", .replies = {{-1, "", "reply lines with different codes"}}},
    {.name = "second line without code", .bytes = "250-a\r\nb\r\n", .replies = {{-1, "", "not an SMTP reply"}}},
    {.name = "line too long",
     .bytes = "250 " + std::string(smtp::kReplyLineMax - 5, 'x') + "\r\n",
     .replies = {{-1, "", "reply line too long"}}},
    {.name = "line without end",
     .bytes = std::string(smtp::kReplyLineMax + 1, '2'),
     .replies = {{-1, "", "reply line too long"}}},
    {.name = "too many lines",
     .bytes = lines(smtp::kReplyLinesMax + 1, 1),
     .replies = {{-1, "", "reply with too many lines"}}},
    {.name = "too many octets", .bytes = lines(20, 1000), .replies = {{-1, "", "reply too long"}}},
    {.name = "a good one first", .bytes = "250 a\r\nx\r\n", .replies = {{250, "", "a"}, {-1, "", "not an SMTP reply"}}},
};

void check(const Case& c) {
  BOOST_TEST_CONTEXT(c.name) {
    const std::string_view bytes = c.bytes;
    BOOST_TEST(parse({bytes}, c.enhanced) == c.replies, boost::test_tools::per_element());
    std::vector<std::string_view> octets;
    for (std::size_t i = 0; i < bytes.size(); ++i) octets.push_back(bytes.substr(i, 1));
    BOOST_TEST(parse(octets, c.enhanced) == c.replies, boost::test_tools::per_element());
    if (bytes.size() > 300) return;  // Cutting is quadratic.
    for (std::size_t i = 1; i < bytes.size(); ++i) {
      BOOST_TEST(parse({bytes.substr(0, i), bytes.substr(i)}, c.enhanced) == c.replies,
                 boost::test_tools::per_element());
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(valid_replies_cut_anywhere) {
  for (const Case& c : kValid) check(c);
}

BOOST_AUTO_TEST_CASE(invalid_replies_cut_anywhere) {
  for (const Case& c : kInvalid) check(c);
}

BOOST_AUTO_TEST_CASE(every_prefix_is_incomplete) {
  const std::string_view bytes = "550-5.7.1 a\r\n550 5.7.1 b\r\n";
  for (std::size_t i = 0; i < bytes.size(); ++i) BOOST_TEST(parse({bytes.substr(0, i)}, true).empty());
}

BOOST_AUTO_TEST_CASE(an_error_is_final) {
  ReplyParser parser;
  std::string_view bad = "x\r\n";
  BOOST_TEST((parser.parse(bad, true) == ReplyParser::Status::kError));
  std::string_view good = "250 Ok\r\n";
  BOOST_TEST((parser.parse(good, true) == ReplyParser::Status::kError));
  BOOST_TEST(good.size() == 8);
}

BOOST_AUTO_TEST_CASE(capabilities) {
  const auto all = smtp::parse_capabilities(
      "mx.example.net at your service\nPIPELINING\nsize "
      "35882577\n8BITMIME\nStartTLS\nENHANCEDSTATUSCODES\nCHUNKING\nSMTPUTF8\nX-OTHER a b");
  BOOST_TEST((all.esmtp && all.pipelining && all.size && all.eight_bit_mime && all.start_tls));
  BOOST_TEST((all.enhanced_status_codes && all.chunking && all.smtputf8));
  BOOST_TEST(all.size_max == 35882577U);

  // The first line names the server, whatever its name is.
  const auto none = smtp::parse_capabilities("PIPELINING");
  BOOST_TEST((none.esmtp && !none.pipelining));

  struct Size {
    std::string_view name, text;
    bool offered;
    std::uint64_t max;
  };
  const Size sizes[] = {
      {"without limit", "h\nSIZE", true, 0},        {"zero", "h\nSIZE 0", true, 0},
      {"unreadable", "h\nSIZE x", true, 0},         {"beyond 64 bits", "h\nSIZE 99999999999999999999", true, 0},
      {"prefix of a word", "h\nSIZES 5", false, 0}, {"last line wins nothing", "h\n\nSIZE 7\n", true, 7},
  };
  for (const Size& c : sizes) {
    BOOST_TEST_CONTEXT(c.name) {
      const auto found = smtp::parse_capabilities(c.text);
      BOOST_TEST(found.size == c.offered);
      BOOST_TEST(found.size_max == c.max);
    }
  }
}
