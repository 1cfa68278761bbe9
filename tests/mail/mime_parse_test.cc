#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <string>

#include "core/base/encoding.h"
#include "tests/mail/mime_samples.h"

namespace mailsbuddy {
namespace {

std::string header(const Content& content, std::string_view name) {
  for (const HeaderField& field : content.headers) {
    if (field.name == name) return field.value;
  }
  return "(none)";
}

BOOST_AUTO_TEST_CASE(contents_come_back_as_they_were) {
  Random random(3);
  for (int i = 0; i < 500; ++i) BOOST_TEST_CONTEXT("content " << i) {
      const Content given = random_content(random);
      const auto message = build_message(given, "From: a@b.c\r\nDate: Mon, 23 Nov 2026 19:57:48 +0000\r\n", random);
      BOOST_REQUIRE(message);
      const auto read = Content::parse_eml(*message);
      BOOST_REQUIRE_MESSAGE(read.has_value(), (read ? "" : read.error().detail));
      BOOST_REQUIRE(read->headers.size() == given.headers.size());
      for (std::size_t h = 0; h < given.headers.size(); ++h) {
        BOOST_TEST(read->headers[h].name == given.headers[h].name);
        BOOST_TEST(read->headers[h].value == given.headers[h].value);
      }
      BOOST_TEST(read->text == given.text);
      BOOST_TEST(read->html == given.html);
      BOOST_REQUIRE(read->attachments.size() == given.attachments.size());
      // Inline images of an HTML body come before the others.
      std::vector<Attachment> wanted = given.attachments;
      if (!given.html.empty()) {
        std::stable_partition(wanted.begin(), wanted.end(), [](const Attachment& a) { return !a.content_id.empty(); });
      }
      for (std::size_t a = 0; a < wanted.size(); ++a) {
        BOOST_TEST(read->attachments[a].filename == wanted[a].filename);
        BOOST_TEST(read->attachments[a].content_type == wanted[a].content_type);
        BOOST_TEST((read->attachments[a].data == wanted[a].data));
        BOOST_TEST(read->attachments[a].content_id == wanted[a].content_id);
      }
    }
}

struct Bodies {
  const char* name;
  std::string_view eml, text, html;
};
constexpr Bodies kBodies[] = {
    {"no body", "Subject: s\r\n", "", ""},
    {"text", "Subject: s\r\n\r\na\r\nb\r\n", "a\nb\n", ""},
    {"lines of LF", "Subject: s\n\na\nb", "a\nb", ""},
    {"no headers", "\r\na\r\n", "a\n", ""},
    {"from an mbox", "From a@b.c Mon Nov 23\nSubject: s\n\na\n", "a\n", ""},
    {"HTML", "Content-Type: TEXT/HTML\r\n\r\n<p>\r\n", "", "<p>\n"},
    {"Latin-1", "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xf6", "\u00f6",
     ""},
    {"UTF-8 that says nothing", "Subject: s\r\n\r\n\u00f6", "\u00f6", ""},
    {"quoted-printable", "Content-Transfer-Encoding: Quoted-Printable\r\n\r\na=C3=B6=\r\nb  \r\n", "a\u00f6b\n", ""},
    {"base64", "Content-Transfer-Encoding: base64\r\n\r\nw7YK\r\n", "\u00f6\n", ""},
    {"both",
     "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\nt\r\n--b\r\nContent-Type: "
     "text/html\r\n\r\nh\r\n--b--\r\n",
     "t", "h"},
    {"preamble, epilogue, padding after a boundary",
     "Content-Type: multipart/mixed; boundary=\"b c\"\r\n\r\npre\r\n--b c \t\r\n\r\nt\r\n--b c--\r\npost\r\n--b "
     "c\r\n\r\nx\r\n",
     "t", ""},
    {"a boundary that begins like another",
     "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/mixed; "
     "boundary=bb\r\n\r\n--bb\r\n\r\nt\r\n"
     "--bb--\r\n--b--\r\n",
     "t", ""},
    {"no close delimiter", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nt\r\n", "t\n", ""},
    {"a boundary in the middle of a line", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx --b\n--b--\n",
     "x --b", ""},
};

BOOST_AUTO_TEST_CASE(bodies_are_read) {
  for (const Bodies& c : kBodies) BOOST_TEST_CONTEXT(c.name) {
      const auto content = Content::parse_eml(c.eml);
      BOOST_REQUIRE_MESSAGE(content.has_value(), (content ? "" : content.error().detail));
      BOOST_TEST(content->text == c.text);
      BOOST_TEST(content->html == c.html);
      BOOST_TEST(content->attachments.empty());
    }
}

BOOST_AUTO_TEST_CASE(headers_of_delivery_and_structure_go) {
  const auto content = Content::parse_eml(
      "Received: from x\r\n by y\r\nReturn-Path: <a@b.c>\r\nDKIM-Signature: v=1\r\nARC-Seal: i=1\r\nFrom: a@b.c\r\n"
      "To: d@e.f\r\nDate: now\r\nMessage-ID: <i@b.c>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n"
      "Subject: =?utf-8?Q?=C3=B6?=\r\n {{ name }}\r\nReply-To: g@h.i\r\nX-A: 1\r\n\r\nx");
  BOOST_REQUIRE(content);
  BOOST_REQUIRE(content->headers.size() == 3U);
  BOOST_TEST(header(*content, "Subject") == "\u00f6 {{ name }}");
  BOOST_TEST(header(*content, "Reply-To") == "g@h.i");
  BOOST_TEST(header(*content, "X-A") == "1");
}

BOOST_AUTO_TEST_CASE(attachments_are_read) {
  const auto content = Content::parse_eml(
      "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
      "--b\r\nContent-Type: text/html\r\n\r\n<img src=cid:i1@x>\r\n"
      "--b\r\nContent-Type: image/png; name=\"p.png\"\r\nContent-ID: <i1@x>\r\nContent-Transfer-Encoding: "
      "base64\r\n\r\nAAE=\r\n"
      "--b\r\nContent-Type: application/pdf\r\nContent-ID: <habit@x>\r\n"
      "Content-Disposition: attachment; filename*=utf-8''%C3%B6.pdf\r\n\r\nx\r\n"
      "--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Disposition: attachment; "
      "filename=t.txt\r\n\r\n\xf6\r\n"
      "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ny\r\n"
      "--b\r\nContent-Type: text/html\r\n\r\nsecond\r\n"
      "--b--\r\n");
  BOOST_REQUIRE(content);
  BOOST_TEST(content->text == "");
  BOOST_TEST(content->html == "<img src=cid:i1@x>");
  struct Case {
    const char* name;
    std::string_view filename, content_type, data, content_id;
  };
  constexpr Case kCases[] = {
      {"inline image", "p.png", "image/png", std::string_view("\0\1", 2), "i1@x"},
      {"a PDF with a Content-ID by habit", "\u00f6.pdf", "application/pdf", "x", ""},
      {"a text file, in its own charset", "t.txt", "text/plain; charset=\"iso-8859-1\"", "\xf6", ""},
      {"a message", "", "message/rfc822", "Subject: inner\r\n\r\ny", ""},
      {"a second HTML body", "", "text/html", "second", ""},
  };
  BOOST_REQUIRE(content->attachments.size() == std::size(kCases));
  for (std::size_t i = 0; i < std::size(kCases); ++i) BOOST_TEST_CONTEXT(kCases[i].name) {
      const Attachment& attachment = content->attachments[i];
      BOOST_TEST(attachment.filename == kCases[i].filename);
      BOOST_TEST(attachment.content_type == kCases[i].content_type);
      BOOST_TEST(attachment.data == kCases[i].data);
      BOOST_TEST(attachment.content_id == kCases[i].content_id);
    }
  Random random(1);
  BOOST_TEST(build_message(*content, "", random).has_value());
}

// ---------------------------------------------------------------------------------------------------------------------
// Refusals

std::string nested(int depth) {
  std::string eml;
  for (int i = 0; i < depth; ++i) {
    const std::string boundary = "b" + std::to_string(i) + ".";
    eml += "Content-Type: multipart/mixed; boundary=" + boundary + "\r\n\r\n--" + boundary + "\r\n";
  }
  return eml + "\r\nx\r\n";
}

std::string many_parts(int count) {
  std::string eml = "Content-Type: multipart/mixed; boundary=b\n\n";
  for (int i = 0; i < count; ++i) eml += "--b\n\nx\n";
  return eml;
}

BOOST_AUTO_TEST_CASE(refusals_name_the_place) {
  struct Case {
    const char* name;
    std::string eml, reason;
  };
  const std::string multipart = "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b\n";
  const Case kCases[] = {
      {"no header line", "<html>\n", "line 1: not a header field"},
      {"no header line in the third line", "A: b\n c\nrubbish\n", "line 3: not a header field"},
      {"unknown charset", "Content-Type: text/plain; charset=x-what\n\nx", "body: unknown charset 'x-what'"},
      {"unknown charset in a part", multipart + "Content-Type: text/html; charset=x-what\n\nx\n--b--",
       "part 2: unknown charset 'x-what'"},
      {"unknown transfer encoding", multipart + "Content-Transfer-Encoding: uuencode\n\nx\n--b--",
       "part 2: unknown transfer encoding 'uuencode'"},
      {"no boundary", "Content-Type: multipart/mixed\n\n--b\n\nx", "body: multipart without a boundary"},
      {"no parts", "Content-Type: multipart/mixed; boundary=b\n\nx\n", "body: multipart without parts"},
      {"no parts in a part", multipart + "Content-Type: multipart/mixed; boundary=c\n\nx\n--b--",
       "part 2: multipart without parts"},
      {"too deep", nested(17), "part 1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1: multiparts nested deeper than 16"},
      {"too many parts", many_parts(1001), "part 1001: more than 1000 parts"},
      {"too many headers",
       [] {
         std::string eml;
         for (int i = 0; i < 1001; ++i) eml += "A: b\n";
         return eml;
       }(),
       "more than 1000 header fields"},
  };
  for (const Case& c : kCases) BOOST_TEST_CONTEXT(c.name) {
      const auto content = Content::parse_eml(c.eml);
      BOOST_REQUIRE(!content);
      BOOST_TEST((content.error().code == ErrorCode::kInvalidArgument));
      BOOST_TEST(content.error().detail == c.reason);
    }
  BOOST_TEST(Content::parse_eml(nested(16)).has_value());
  BOOST_TEST(Content::parse_eml(many_parts(1000)).has_value());
}

BOOST_AUTO_TEST_CASE(every_prefix_is_read_without_harm) {
  Random random(5);
  const Attachment image{.filename = "\u00f6.png", .data = "x", .content_id = "i@b.c"};
  const std::string eml = *build_message(
      {.headers = {{"Subject", "\u00f6"}}, .text = "t\u00f6", .html = "h", .attachments = {image}}, "", random);
  for (std::size_t i = 0; i <= eml.size(); ++i) {
    const auto content = Content::parse_eml(std::string_view(eml).substr(0, i));
    if (content) BOOST_TEST((is_valid_utf8(content->text) && is_valid_utf8(content->html)));
  }
}

}  // namespace
}  // namespace mailsbuddy
