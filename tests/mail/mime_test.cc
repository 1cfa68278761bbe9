#include "core/mail/mime.h"

#include <boost/test/unit_test.hpp>
#include <string>

#include "core/base/encoding.h"
#include "tests/mail/mime_samples.h"

namespace mailsbuddy {
namespace {

std::string body_of(std::string_view body) {
  std::string out;
  append_encoded_body(out, body);
  return out;
}
const std::string k7bit = "Content-Transfer-Encoding: 7bit\r\n\r\n";
const std::string kQuoted = "Content-Transfer-Encoding: quoted-printable\r\n\r\n";

BOOST_AUTO_TEST_CASE(bodies_are_7bit_if_they_can_be) {
  struct Case {
    const char* name;
    std::string in, out;
  };
  const std::string line(998, 'x');
  const Case kCases[] = {
      {"empty", "", k7bit},
      {"CRLF already", "a\r\nb\r\n", k7bit + "a\r\nb\r\n"},
      {"LF", "a\nb\n", k7bit + "a\r\nb\r\n"},
      {"lone CR", "a\rb\r", k7bit + "a\r\nb\r\n"},
      {"all three", "a\r\nb\nc\rd", k7bit + "a\r\nb\r\nc\r\nd\r\n"},
      {"CRs before a CRLF", "a\r\r\nb", k7bit + "a\r\n\r\nb\r\n"},
      {"LF before CR", "a\n\rb", k7bit + "a\r\n\r\nb\r\n"},
      {"no line end at the end", "a", k7bit + "a\r\n"},
      {"empty lines", "\n\n\r\n\r\n", k7bit + "\r\n\r\n\r\n\r\n"},
      {"tabs", "\ta\t\r\n", k7bit + "\ta\t\r\n"},
      {"a line of 998", line + "\r\n" + line, k7bit + line + "\r\n" + line + "\r\n"},
      {"UTF-8", "\u00f6\n", kQuoted + "=C3=B6\r\n"},
      {"UTF-8 far behind", std::string(500, '\n') + "\u00f6",
       kQuoted +
           [] {
             std::string lines;
             for (int i = 0; i < 500; ++i) lines += "\r\n";
             return lines + "=C3=B6\r\n";
           }()},
      {"NUL", std::string("a\0b\r\n", 5), kQuoted + "a=00b\r\n"},
      {"DEL", "a\x7f\r\n", kQuoted + "a=7F\r\n"},
      {"escape", "a\x1b\r\n", kQuoted + "a=1B\r\n"},
  };
  for (const Case& c : kCases) BOOST_TEST_CONTEXT(c.name) BOOST_TEST(body_of(c.in) == c.out);
}

// Whatever octet stands at whatever place of a word of eight, it decides.
BOOST_AUTO_TEST_CASE(every_octet_is_judged_at_every_place) {
  for (int octet = 0; octet < 256; ++octet) {
    for (std::size_t at = 0; at < 17; ++at) {
      std::string body(17, 'x');
      body[at] = static_cast<char>(octet);
      const bool fits = (octet >= 0x20 && octet < 0x7f) || octet == '\t' || octet == '\r' || octet == '\n';
      BOOST_TEST_CONTEXT(octet << " at " << at) BOOST_TEST(body_of(body).starts_with(fits ? k7bit : kQuoted));
    }
  }
}

BOOST_AUTO_TEST_CASE(long_lines_are_quoted_printable) {
  for (const char* end : {"\r\n", "\n", "\r", ""}) {
    const std::string body = body_of("short\r\n" + std::string(999, 'x') + end);
    BOOST_TEST(body.starts_with(kQuoted));
    BOOST_TEST(decode_quoted_printable(body.substr(kQuoted.size())) == "short\r\n" + std::string(999, 'x') + "\r\n");
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Structure

// The Content-Type lines and boundaries of a message, one letter a boundary, in order.
std::string skeleton(std::string_view message) {
  std::string all, boundaries;
  std::vector<std::string> seen;
  for (std::size_t end; (end = message.find("\r\n")) != std::string_view::npos; message.remove_prefix(end + 2)) {
    const std::string_view line = message.substr(0, end);
    if (line.starts_with("Content-Type: ")) all += std::string(line.substr(14, line.find(';') - 14)) + " ";
    if (!line.starts_with("--=_")) continue;
    const std::string boundary(line.substr(2, 34));
    std::size_t letter = 0;
    while (letter < seen.size() && seen[letter] != boundary) ++letter;
    if (letter == seen.size()) seen.push_back(boundary);
    all += std::string(1, static_cast<char>('A' + letter)) + (line.ends_with("--") ? "-- " : " ");
  }
  return all;
}

BOOST_AUTO_TEST_CASE(the_structure_follows_the_content) {
  const Attachment pdf{.filename = "a.pdf", .content_type = "application/pdf", .data = "x"};
  const Attachment image{.filename = "i.png", .content_type = "image/png", .data = "y", .content_id = "i@b.c"};
  struct Case {
    const char* name;
    Content content;
    std::string_view skeleton;
  };
  const Case kCases[] = {
      {"nothing", {}, "text/plain "},
      {"text", {.text = "t"}, "text/plain "},
      {"HTML", {.html = "h"}, "text/html "},
      {"text and HTML", {.text = "t", .html = "h"}, "multipart/alternative A text/plain A text/html A-- "},
      {"text and attachment",
       {.text = "t", .attachments = {pdf}},
       "multipart/mixed A text/plain A application/pdf A-- "},
      {"attachments alone", {.attachments = {pdf, pdf}}, "multipart/mixed A application/pdf A application/pdf A-- "},
      {"HTML with an image", {.html = "h", .attachments = {image}}, "multipart/related A text/html A image/png A-- "},
      {"an inline image without HTML",
       {.text = "t", .attachments = {image}},
       "multipart/mixed A text/plain A image/png A-- "},
      {"all of it",
       {.text = "t", .html = "h", .attachments = {pdf, image, pdf}},
       "multipart/mixed A multipart/alternative B text/plain B multipart/related C text/html C image/png C-- B-- "
       "A application/pdf A application/pdf A-- "},
  };
  for (const Case& c : kCases) BOOST_TEST_CONTEXT(c.name) {
      Random random(1);
      const auto message = build_message(c.content, "", random);
      BOOST_REQUIRE(message);
      BOOST_TEST(skeleton(*message) == c.skeleton);
      BOOST_TEST(message->starts_with("MIME-Version: 1.0\r\n"));
      BOOST_TEST(message->ends_with("\r\n"));
    }
}

BOOST_AUTO_TEST_CASE(one_layout_serves_many_bodies) {
  Random random(7);
  const auto layout = MimeLayout::make({.text = "{{ t }}", .html = "{{ h }}"}, random);
  BOOST_REQUIRE(layout);
  BOOST_TEST((layout->has_text() && layout->has_html()));
  std::string first = "before ", second;
  layout->append("one", "<p>\u00f6", first);
  layout->append("", "two\r\n", second);
  BOOST_TEST(first.starts_with("before MIME-Version: 1.0\r\n"));
  BOOST_TEST(first.find(k7bit + "one\r\n\r\n--=_") != std::string::npos);
  BOOST_TEST(first.find(kQuoted + "<p>=C3=B6\r\n\r\n--=_") != std::string::npos);
  BOOST_TEST(second.find(k7bit + "\r\n--=_") != std::string::npos);
  BOOST_TEST(skeleton(first.substr(7)) == skeleton(second));
  const std::size_t fixed = second.size() - 2 * k7bit.size() - std::string("two\r\n").size();
  BOOST_TEST(layout->fixed_bytes() == fixed);
}

BOOST_AUTO_TEST_CASE(boundaries_come_from_random) {
  const Content content{.text = "t", .html = "h"};
  Random one(1), same(1), other(2);
  BOOST_TEST(*build_message(content, "", one) == *build_message(content, "", same));
  BOOST_TEST(*build_message(content, "", one) != *build_message(content, "", other));
}

BOOST_AUTO_TEST_CASE(what_cannot_be_written_is_refused) {
  struct Case {
    const char* name;
    Content content;
    std::string_view reason;
  };
  const auto with = [](Attachment attachment) { return Content{.attachments = {std::move(attachment)}}; };
  const auto header = [](std::string name, std::string value) {
    return Content{.headers = {{std::move(name), std::move(value)}}};
  };
  const Case kCases[] = {
      {"a space in a name", header("X Y", "a"), "header 'X Y': not a field name (RFC 5322 3.6.8)"},
      {"no name", header("", "a"), "header '': not a field name (RFC 5322 3.6.8)"},
      {"a line end in a value", header("X", "a\r\nBcc: v@w.x"), "header X: a line end or NUL in its value"},
      {"NUL in a value", header("X", std::string("a\0", 2)), "header X: a line end or NUL in its value"},
      {"a value not in UTF-8", header("X", "\xff"), "header X: not UTF-8"},
      {"content type without subtype", with({.filename = "f", .content_type = "text"}),
       "attachment 'f': content type is not type/subtype"},
      {"content type with a line end", with({.filename = "f", .content_type = "a/b;\r\nX: y"}),
       "attachment 'f': content type is not type/subtype"},
      {"content type with a space", with({.filename = "f", .content_type = "a b/c"}),
       "attachment 'f': content type is not type/subtype"},
      {"Content-ID with a bracket", with({.filename = "f", .content_id = "a>b"}),
       "attachment 'f': a character in the Content-ID that none may have"},
      {"Content-ID with a line end", with({.filename = "f", .content_id = "a\r\nb"}),
       "attachment 'f': a character in the Content-ID that none may have"},
      {"a message that is not 7bit", with({.filename = "f", .content_type = "message/rfc822", .data = "A: \xff"}),
       "attachment 'f': messages and multiparts may not be encoded (RFC 2046 5.2.1) and this one is not 7bit"},
  };
  for (const Case& c : kCases) BOOST_TEST_CONTEXT(c.name) {
      Random random(1);
      const auto message = build_message(c.content, "", random);
      BOOST_REQUIRE(!message);
      BOOST_TEST((message.error().code == ErrorCode::kInvalidArgument));
      BOOST_TEST(message.error().detail == c.reason);
    }
}

BOOST_AUTO_TEST_CASE(lines_are_never_too_long_nor_bare) {
  Random random(11);
  for (int i = 0; i < 300; ++i) {
    const auto built = build_message(random_content(random), "From: a@b.c\r\n", random);
    BOOST_REQUIRE(built);
    std::string_view message = *built;
    BOOST_TEST(is_ascii(message));
    while (!message.empty()) {
      const std::size_t end = message.find("\r\n");
      BOOST_REQUIRE(end <= kLineMax);
      BOOST_REQUIRE(message.substr(0, end).find_first_of("\r\n") == std::string_view::npos);
      message.remove_prefix(end + 2);
    }
  }
}

}  // namespace
}  // namespace mailsbuddy
