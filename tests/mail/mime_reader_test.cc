#include "core/mail/mime_reader.h"

#include <boost/test/unit_test.hpp>
#include <string>

#include "core/base/encoding.h"

namespace mailsbuddy {
namespace {

// "type[body]" of each leaf, "type(number of parts)" of each multipart, in reading order.
std::string outline(std::string_view message) {
  std::string text;
  for (const MimePart& part : read_mime(message).parts) {
    text += text.empty() ? "" : " ";
    text += part.type.value;
    text += part.multipart() ? "(" + std::to_string(part.parts) + ")" : "[" + std::string(part.body) + "]";
  }
  return text;
}

BOOST_AUTO_TEST_CASE(trees_are_read) {
  struct Case {
    const char* name;
    std::string_view message, outline;
  };
  constexpr Case kCases[] = {
      {"empty", "", "text/plain[]"},
      {"a body", "A: b\r\n\r\nx\r\n", "text/plain[x\r\n]"},
      {"from an mbox, lines of LF", "From a@b.c Mon Nov 23\nA: b\n\nx", "text/plain[x]"},
      {"rubbish between fields", "rubbish\nContent-Type: text/html\nmore\n\nx", "text/html[x]"},
      {"two parts", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b\nContent-Type: a/b\n\ny\n--b--\nz",
       "multipart/mixed(2) text/plain[x] a/b[y]"},
      {"not closed", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n", "multipart/mixed(1) text/plain[x\n]"},
      {"an inner multipart that the outer one closes",
       "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/alternative; "
       "boundary=c\n\n--c\n\nx\n--b\n\ny\n--b--\n",
       "multipart/mixed(2) multipart/alternative(1) text/plain[x] text/plain[y]"},
      {"no empty line after a part's fields",
       "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: a/b\n--b\n\ny\n--b--\n",
       "multipart/mixed(2) a/b[] text/plain[y]"},
      {"a returned message is not entered",
       "Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/rfc822\n\nContent-Type: "
       "multipart/mixed; boundary=c\n\n--c\n\nx\n--b--\n",
       "multipart/report(1) message/rfc822[Content-Type: multipart/mixed; boundary=c\n\n--c\n\nx]"},
      {"no boundary declared", "Content-Type: multipart/report\n\npreamble\n--b\nContent-Type: a/b\n\nx\n--b--\n",
       "multipart/report(1) a/b[x]"},
      {"another boundary declared",
       "Content-Type: multipart/report; boundary=c\n\n--b\nContent-Type: a/b\n\nx\n--b--\n",
       "multipart/report(1) a/b[x]"},
      {"no boundary anywhere", "Content-Type: multipart/report; boundary=c\n\nx\n", "multipart/report(0)"},
      {"dashes in a text", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n--bc\n-- \n--\nx --b\n--b--",
       "multipart/mixed(1) text/plain[--bc\n-- \n--\nx --b]"},
  };
  for (const Case& c : kCases) BOOST_TEST_CONTEXT(c.name) BOOST_TEST(outline(c.message) == c.outline);
}

BOOST_AUTO_TEST_CASE(texts_become_utf8) {
  struct Case {
    const char* name;
    std::string_view headers, body, text;
  };
  constexpr Case kCases[] = {
      {"ASCII", "", "x", "x"},
      {"UTF-8 undeclared", "", "\xc3\xb6", "\u00f6"},
      {"neither declared nor UTF-8", "", "\xf6", "\u00f6"},
      {"an unknown charset", "Content-Type: text/plain; charset=x-what\n", "\xf6", "\u00f6"},
      {"ISO-2022-JP undeclared", "", "\x1b$B8+\x1b(B.", "\u898b."},
      {"Shift_JIS", "Content-Type: text/plain; charset=Shift_JIS\n", "\x8c\xa9", "\u898b"},
      {"EUC-JP", "Content-Type: text/plain; charset=EUC-JP\n", "\xb8\xab", "\u898b"},
      {"KOI8-R", "Content-Type: text/plain; charset=koi8-r\n", "\xc1", "\u0430"},
      {"Windows-1251", "Content-Type: text/plain; charset=windows-1251\n", "\xe0", "\u0430"},
      {"GB2312 that is GBK", "Content-Type: text/plain; charset=gb2312\n", "\x81\x40", "\u4e02"},
      {"Big5", "Content-Type: text/plain; charset=big5\n", "\xa4\xa4", "\u4e2d"},
      {"EUC-KR", "Content-Type: text/plain; charset=euc-kr\n", "\xb0\xa1", "\uac00"},
      {"quoted-printable", "Content-Transfer-Encoding: QUOTED-PRINTABLE\n", "=C3=B6", "\u00f6"},
      {"base64", "Content-Transfer-Encoding: base64\n", "w7Y=", "\u00f6"},
      {"an unknown encoding stays", "Content-Transfer-Encoding: x-what\n", "=C3", "=C3"},
  };
  for (const Case& c : kCases) BOOST_TEST_CONTEXT(c.name) {
      const std::string message = std::string(c.headers) + "\n" + std::string(c.body);
      const MimeTree tree = read_mime(message);
      BOOST_TEST(text_of(tree.parts.front(), tree.parts.front().body) == c.text);
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Hostile messages

std::string repeated(std::string_view text, int times) {
  std::string all;
  while (times-- > 0) all += text;
  return all;
}

std::string nested(int depth) {
  std::string message;
  for (int i = 0; i < depth; ++i) {
    const std::string boundary = "b" + std::to_string(i) + ".";
    message += "Content-Type: multipart/mixed; boundary=" + boundary + "\n\n--" + boundary + "\n";
  }
  return message + "\nx\n";
}

BOOST_AUTO_TEST_CASE(limits_cut_off) {
  struct Case {
    const char* name;
    std::string message;
    MimeCut cut;
    std::size_t parts_max;
  };
  const std::string mixed = "Content-Type: multipart/mixed; boundary=b\n\n";
  const Case kCases[] = {
      {"as deep as allowed", nested(16), MimeCut::kNone, 17},
      {"too deep", nested(17), MimeCut::kDepth, 17},
      {"far too deep", nested(5000), MimeCut::kDepth, 17},
      {"as many parts as allowed", mixed + repeated("--b\n\nx\n", 1000), MimeCut::kNone, 1001},
      {"too many parts", mixed + repeated("--b\n\nx\n", 1001), MimeCut::kParts, 1002},
      {"a bomb of boundaries", mixed + repeated("--b\n", 1'000'000), MimeCut::kParts, 1002},
      {"multiparts whose boundaries never come",
       mixed + repeated("--b\nContent-Type: multipart/mixed; boundary=never\n\n", 900) + repeated("--x\n", 100'000),
       MimeCut::kNone, 901},
      {"too many fields", repeated("A: b\n", 1001), MimeCut::kHeaders, 1},
      {"headers without end", repeated("A: b\n c\n", 1'000'000), MimeCut::kHeaders, 1},
  };
  for (const Case& c : kCases) BOOST_TEST_CONTEXT(c.name) {
      const MimeTree tree = read_mime(c.message);
      BOOST_TEST((tree.cut == c.cut));
      BOOST_TEST(tree.parts.size() <= c.parts_max);
    }
}

BOOST_AUTO_TEST_CASE(every_prefix_is_read) {
  const std::string message =
      "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\nContent-Type: multipart/report; "
      "boundary=c\r\n\r\n--c\r\n\r\ny\r\n--c--\r\n--b--\r\n";
  for (std::size_t i = 0; i <= message.size(); ++i) {
    const std::string prefix = message.substr(0, i);
    const MimeTree tree = read_mime(prefix);
    BOOST_REQUIRE(!tree.parts.empty());
    for (const MimePart& part : tree.parts) BOOST_TEST(part.body.size() <= prefix.size());
  }
}

}  // namespace
}  // namespace mailsbuddy
