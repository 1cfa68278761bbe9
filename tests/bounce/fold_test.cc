#include "bounce/fold.h"

#include <boost/test/unit_test.hpp>

namespace mailsbuddy::bounce {
namespace {

struct Case {
  std::string_view name;
  std::string_view text;
  std::string_view words;
  std::string_view names{};
};

constexpr Case kCases[] = {
    {.name = "nothing", .text = "", .words = " "},
    {.name = "case and punctuation", .text = "User-Unknown, (mailbox_full)!", .words = " user unknown mailbox full "},
    {.name = "apostrophes vanish", .text = "doesn't isn\xe2\x80\x99t 'x'", .words = " doesnt isnt x "},
    {.name = "lines", .text = "over\r\n quota\n", .words = " over quota "},
    {.name = "an address between words", .text = "User <ann.smith+x@example.net> unknown", .words = " user unknown "},
    {.name = "bad words in an address", .text = "spam@full.example: rejected", .words = " rejected "},
    {.name = "an address without brackets", .text = "ann@example.net... User unknown", .words = " user unknown "},
    {.name = "no space behind it", .text = "ann@example.net...User unknown", .words = " user unknown "},
    {.name = "a word behind an address", .text = "(ann@example.net:blocked)", .words = " blocked "},
    {.name = "a quoted local part", .text = "<\"mailbox full\"@example.net> no", .words = " no "},
    {.name = "a domain without a local part", .text = "to @example.net no", .words = " to no "},
    {.name = "a local part in brackets", .text = "<spam>: unknown", .words = " unknown "},
    {.name = "words in brackets stay", .text = "<mailbox full>", .words = " mailbox full "},
    {.name = "an IPv4 address", .text = "IP [192.0.2.1] is blocked", .words = " ip is blocked "},
    {.name = "an IPv6 address", .text = "IP 2001:db8::dead:beef is blocked", .words = " ip is blocked "},
    {.name = "a time is none", .text = "at 12:30", .words = " at 12 30 "},
    {.name = "an enhanced code", .text = "#5.7.1 no (5.1.1)", .words = " no "},
    {.name = "a host name", .text = "using zen.spamhaus.org; no", .words = " using no ", .names = "^zen^spamhaus^org^"},
    {.name = "a URL",
     .text = "see http://x.example/full?p=Spam.",
     .words = " see ",
     .names = "^x^example^full^p^spam^"},
    {.name = "a URL in brackets", .text = "<https://x.example/>no", .words = " no ", .names = "^x^example^"},
    {.name = "a path without a scheme", .text = "x.example/spam/ no", .words = " no ", .names = "^x^example^spam^"},
    {.name = "no space behind a full stop", .text = "User unknown.Please go", .words = " user unknown please go "},
    {.name = "an ellipsis", .text = "user...unknown", .words = " user unknown "},
    {.name = "a queue id with a dot",
     .text = "mail A1b.5S2 is rejected",
     .words = " mail is rejected ",
     .names = "^a1b^5s2^"},
    {.name = "Exchange's names",
     .text = "RESOLVER.RST.NotFound; no",
     .words = " no ",
     .names = "^resolver^rst^notfound^"},
    {.name = "codes of further lines",
     .text = "no such 550-5.1.1 user, try 550 5.1.1 again 550-or not",
     .words = " no such user try again or not "},
    {.name = "a number like a code", .text = "550 messages", .words = " 550 messages "},
    {.name = "Latin-1 as UTF-8",
     .text = "\xc3\x89metteur GR\xc3\x96\xc3\x9f"
             "E",
     .words = " emetteur grosse "},
    {.name = "Latin-1 as it is", .text = "\xc9metteur Empf\xe4nger", .words = " emetteur empfanger "},
    {.name = "accents apart", .text = "e\xcc\x81metteur", .words = " emetteur "},
    {.name = "Latin Extended-A", .text = "Pe\xc5\x82na Schr\xc3\xa1nka \xc4\x8d", .words = " pelna schranka c "},
    {.name = "Cyrillic",
     .text = "\xd0\xaf\xd0\xa9\xd0\x98\xd0\x9a \xd0\x81",
     .words = " \xd1\x8f\xd1\x89\xd0\xb8\xd0\xba \xd0\xb5 "},
    {.name = "full-width letters", .text = "\xef\xbc\xb5ser\xe3\x80\x80\xef\xbd\x98", .words = " user x "},
    {.name = "Japanese", .text = "\xe5\xae\x9b\xe5\x85\x88\xe3\x80\x82x", .words = " \xe5\xae\x9b\xe5\x85\x88 x "},
    {.name = "ISO-2022-JP is left out", .text = "a \x1b$B$3spam\x1b(B b", .words = " a b "},
    {.name = "ISO-2022-JP to the end", .text = "a \x1b$B$3spam", .words = " a "},
    {.name = "cut within a character", .text = "a\xe5\xae", .words = " aa "},
    {.name = "a lone at sign", .text = "user @ home", .words = " user home "},
    {.name = "a scheme alone", .text = "http:// x", .words = " x "},
};

BOOST_AUTO_TEST_CASE(texts_become_words_and_names) {
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      const FoldedText text = folded(c.text);
      BOOST_TEST(text.words == c.words);
      BOOST_TEST(text.names == c.names);
    }
  }
}

// Nothing is read behind the end, wherever the end is: the sanitizers see it.
BOOST_AUTO_TEST_CASE(any_prefix_is_a_text) {
  for (const Case& c : kCases) {
    for (std::size_t size = 0; size <= c.text.size(); ++size) {
      const std::string exact(c.text.substr(0, size));
      BOOST_TEST(folded(exact).words.starts_with(' '));
    }
  }
}

struct StatusCase {
  std::string_view name;
  std::string_view text;
  std::string_view status;  // Empty: none.
};
constexpr StatusCase kStatuses[] = {
    {.name = "at the beginning", .text = "5.1.1 no", .status = "5.1.1"},
    {.name = "qmail's", .text = "no mailbox (#5.1.1)", .status = "5.1.1"},
    {.name = "behind a semicolon", .text = "; 5.7.515 denied", .status = "5.7.515"},
    {.name = "before a full stop", .text = "status is 5.2.2.", .status = "5.2.2"},
    {.name = "the first of two", .text = "5.0.0 (5.1.1)", .status = "5.0.0"},
    {.name = "behind a code", .text = "550-5.7.26 x", .status = "5.7.26"},
    {.name = "of another class", .text = "4.1.1 no", .status = ""},
    {.name = "part of an IP address", .text = "[5.1.1.1]", .status = ""},
    {.name = "the end of one", .text = "192.5.1.1", .status = ""},
    {.name = "two numbers", .text = "5.1 no", .status = ""},
    {.name = "too long a number", .text = "5.1.1234", .status = ""},
    {.name = "a version", .text = "v5.1.1 and x5.1.1", .status = ""},
    {.name = "a name", .text = "5.1.1x", .status = ""},
    {.name = "nothing", .text = "", .status = ""},
};

BOOST_AUTO_TEST_CASE(enhanced_codes_stand_anywhere) {
  for (const StatusCase& c : kStatuses) {
    const auto status = find_status(c.text, 5);
    BOOST_TEST_CONTEXT(c.name) { BOOST_TEST((status ? status->str() : "") == c.status); }
  }
}

}  // namespace
}  // namespace mailsbuddy::bounce
