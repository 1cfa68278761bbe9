#include <boost/test/unit_test.hpp>
#include <string>

#include "mailsbuddy/mail.h"

namespace mailsbuddy {
namespace {

struct Accepted {
  const char* name;
  std::string_view in, out;
  bool smtputf8 = false;
  bool literal = false;
};
constexpr Accepted kAccepted[] = {
    {.name = "plain", .in = "ann@example.net", .out = "ann@example.net"},
    {.name = "domain to lower case, local part as written", .in = "Ann.B@EXAMPLE.Net", .out = "Ann.B@example.net"},
    {.name = "every special of atext", .in = "!#$%&'*+-/=?^_`{|}~@b.c", .out = "!#$%&'*+-/=?^_`{|}~@b.c"},
    {.name = "quotes that are not needed", .in = "\"ann.b\"@b.c", .out = "ann.b@b.c"},
    {.name = "quotes that are needed", .in = "\"ann b\"@b.c", .out = "\"ann b\"@b.c"},
    {.name = "two dots need quotes", .in = "\"a..b\"@b.c", .out = "\"a..b\"@b.c"},
    {.name = "an at sign in quotes", .in = "\"a@b\"@b.c", .out = "\"a@b\"@b.c"},
    {.name = "backslash before what needs none", .in = "\"\\a \\b\"@b.c", .out = "\"a b\"@b.c"},
    {.name = "backslash before quote and backslash", .in = "\"\\\"\\\\\"@b.c", .out = "\"\\\"\\\\\"@b.c"},
    {.name = "empty in quotes, as the grammar has it", .in = "\"\"@b.c", .out = "\"\"@b.c"},
    {.name = "no dot", .in = "a@host", .out = "a@host"},
    {.name = "a host that ends in a digit", .in = "a@mx-1", .out = "a@mx-1"},
    {.name = "one letter labels", .in = "a@b.c.d", .out = "a@b.c.d"},
    {.name = "IPv4 literal", .in = "a@[192.0.2.1]", .out = "a@[192.0.2.1]", .literal = true},
    {.name = "IPv6 literal", .in = "a@[IPv6:2001:DB8::1]", .out = "a@[ipv6:2001:db8::1]", .literal = true},
    {.name = "IPv6 with IPv4 in it",
     .in = "a@[IPv6:::ffff:192.0.2.1]",
     .out = "a@[ipv6:::ffff:192.0.2.1]",
     .literal = true},
    {.name = "IPv6, eight groups",
     .in = "a@[IPv6:1:2:3:4:5:6:7:8]",
     .out = "a@[ipv6:1:2:3:4:5:6:7:8]",
     .literal = true},
    {.name = "U-label", .in = "ann@b\u00fccher.example", .out = "ann@xn--bcher-kva.example"},
    {.name = "U-label in upper case", .in = "ann@B\u00dcCHER.example", .out = "ann@xn--bcher-kva.example"},
    {.name = "sharp s stays, non-transitional", .in = "a@stra\u00dfe.de", .out = "a@xn--strae-oqa.de"},
    {.name = "A-label", .in = "ann@XN--BCHER-KVA.example", .out = "ann@xn--bcher-kva.example"},
    {.name = "ideographic full stop separates labels", .in = "a@b\u3002c", .out = "a@b.c"},
    {.name = "local part not ASCII", .in = "j\u00f6rg@b.c", .out = "j\u00f6rg@b.c", .smtputf8 = true},
    {.name = "an emoji", .in = "\U0001f44d@b.c", .out = "\U0001f44d@b.c", .smtputf8 = true},
    {.name = "quoted and not ASCII", .in = "\"j \u00f6\"@b.c", .out = "\"j \u00f6\"@b.c", .smtputf8 = true},
};

struct Refused {
  const char* name;
  std::string_view in, reason;
};
constexpr Refused kRefused[] = {
    {"empty", "", "local part: no @ after it"},
    {"no @", "ann", "local part: no @ after it"},
    {"nothing before @", "@b.c", "local part: empty, or a dot at its end"},
    {"nothing after @", "a@", "domain: empty"},
    {"dot at the start", ".a@b.c", "local part: a dot at its start, or two in a row"},
    {"dot at the end", "a.@b.c", "local part: empty, or a dot at its end"},
    {"two dots", "a..b@b.c", "local part: a dot at its start, or two in a row"},
    {"a space", "a b@b.c", "local part: a character that needs quoting"},
    {"two @", "a@b@c.d", "domain: a character that no host name has"},
    {"open quote", "\"a@b.c", "local part: no closing quote"},
    {"open quote after a backslash", "\"a\\", "local part: no closing quote"},
    {"text after quotes", "\"a\"b@b.c", "local part: a character that needs quoting"},
    {"control character in quotes", "\"a\tb\"@b.c", "local part: a control character in quotes"},
    {"backslash before a letter that is not ASCII", "\"\\\u00f6\"@b.c",
     "local part: a backslash before a character that takes none"},
    {"line end after it", "a@b.c\r\n", "domain: a character that no host name has"},
    {"NUL in the domain", std::string_view("a@b\0.c", 6), "domain: a character that no host name has"},
    {"NUL in the local part", std::string_view("a\0@b.c", 6), "local part: a character that needs quoting"},
    {"not UTF-8", "a\xff@b.c", "address: not UTF-8"},
    {"bidirectional override", "a\u202eb@b.c", "local part: a writing direction mark"},
    {"no-break space", "a\u00a0b@b.c", "local part: an unusual space"},
    {"dot at the domain's end", "a@b.c.", "domain: a dot at its start or end, or two in a row"},
    {"hyphen first", "a@-b.c", "domain: a label that starts or ends with a hyphen"},
    {"hyphen last", "a@b-.c", "domain: a label that starts or ends with a hyphen"},
    {"underscore", "a@b_c.d", "domain: a character that no host name has"},
    {"underscore beside a U-label", "a@b_\u00fc.d", "domain: a character that no host name has"},
    {"reserved label", "a@ab--c.d", "domain: a label with hyphens in the third and fourth place"},
    {"localhost", "a@LOCALHOST", "domain: localhost is no destination"},
    {"under localhost", "a@x.localhost", "domain: localhost is no destination"},
    {"IPv4 loopback", "a@[127.1.2.3]", "domain: the loopback address is no destination"},
    {"IPv6 loopback", "a@[IPv6:0::1]", "domain: the loopback address is no destination"},
    {"IPv4-mapped loopback", "a@[IPv6:::ffff:127.0.0.1]", "domain: the loopback address is no destination"},
    {"open bracket", "a@[", "domain: no ] at the end of an address literal"},
    {"empty brackets", "a@[]", "domain: not an IPv4 or IPv6 address literal"},
    {"IPv4 of three numbers", "a@[1.2.3]", "domain: not an IPv4 or IPv6 address literal"},
    {"IPv4 of five numbers", "a@[1.2.3.4.5]", "domain: not an IPv4 or IPv6 address literal"},
    {"IPv4 with a dot at its end", "a@[1.2.3.4.]", "domain: not an IPv4 or IPv6 address literal"},
    {"IPv4 above 255", "a@[1.2.3.256]", "domain: not an IPv4 or IPv6 address literal"},
    {"IPv6 without tag", "a@[2001:db8::1]", "domain: not an IPv4 or IPv6 address literal"},
    {"IPv6 with two gaps", "a@[IPv6:1::2::3]", "domain: not an IPv4 or IPv6 address literal"},
    {"IPv6 with eight groups and a gap", "a@[IPv6:1:2:3:4::5:6:7:8]", "domain: not an IPv4 or IPv6 address literal"},
    {"IPv6 with nine groups", "a@[IPv6:1:2:3:4:5:6:7:8:9]", "domain: not an IPv4 or IPv6 address literal"},
    {"IPv4 in the middle of IPv6", "a@[IPv6:1:1.2.3.4::5]", "domain: not an IPv4 or IPv6 address literal"},
    {"a tag that is not registered", "a@[x400:c=de]", "domain: not an IPv4 or IPv6 address literal"},
};

BOOST_AUTO_TEST_CASE(addresses_come_out_in_wire_form) {
  for (const Accepted& c : kAccepted) BOOST_TEST_CONTEXT(c.name) {
      const auto address = Address::parse(c.in);
      BOOST_REQUIRE_MESSAGE(address.has_value(), (address ? "" : address.error().detail));
      BOOST_TEST(address->str() == c.out);
      BOOST_TEST(std::string(address->local()) + "@" + std::string(address->domain()) == c.out);
      BOOST_TEST(address->needs_smtputf8() == c.smtputf8);
      BOOST_TEST(address->is_literal() == c.literal);
      BOOST_TEST((*Address::parse(address->str()) == *address));
    }
}

BOOST_AUTO_TEST_CASE(refusals_say_what_is_wrong) {
  for (const Refused& c : kRefused) BOOST_TEST_CONTEXT(c.name) {
      const auto address = Address::parse(c.in);
      BOOST_REQUIRE(!address);
      BOOST_TEST((address.error().code == ErrorCode::kInvalidArgument));
      BOOST_TEST(address.error().detail == c.reason);
    }
}

BOOST_AUTO_TEST_CASE(lengths_are_limited) {
  const std::string label(63, 'b');
  BOOST_TEST(Address::parse(std::string(64, 'a') + "@b.c").has_value());
  BOOST_TEST(Address::parse(std::string(65, 'a') + "@b.c").error().detail == "local part: longer than 64 octets");
  BOOST_TEST(Address::parse("a@" + label + ".c").has_value());
  BOOST_TEST(Address::parse("a@b" + label + ".c").error().detail == "domain: a label longer than 63 octets");
  const std::string domain = label + "." + label + "." + label + ".";  // 192 octets
  BOOST_TEST(Address::parse("a@" + domain + std::string(60, 'd')).has_value());
  BOOST_TEST(Address::parse("a@" + domain + std::string(61, 'd')).error().detail == "address: longer than 254 octets");
  BOOST_TEST(Address::parse("a@" + std::string(100'000, 'd')).error().detail == "address: longer than 254 octets");
  BOOST_TEST(!Address::parse("a@" + std::string(1000, '[')).has_value());
}

// No prefix of an address with a quoted local part and a literal is one itself.
BOOST_AUTO_TEST_CASE(prefixes_are_refused) {
  const std::string_view whole = "\"a b\"@[IPv6:2001:db8::192.0.2.1]";
  BOOST_REQUIRE(Address::parse(whole));
  for (std::size_t i = 0; i < whole.size(); ++i) BOOST_TEST_CONTEXT(whole.substr(0, i)) {
      BOOST_TEST(!Address::parse(whole.substr(0, i)));
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// With a display name

struct Named {
  const char* name;
  std::string_view in, display, address, header;
};
constexpr Named kNamed[] = {
    {"bare", "a@b.c", "", "a@b.c", "a@b.c"},
    {"in brackets", " <a@b.c> ", "", "a@b.c", "a@b.c"},
    {"atoms", "News Team <a@b.c>", "News Team", "a@b.c", "News Team <a@b.c>"},
    {"a dot in a name", "Ann B. See <a@b.c>", "Ann B. See", "a@b.c", "\"Ann B. See\" <a@b.c>"},
    {"quoted", "\"See, Ann\" <a@b.c>", "See, Ann", "a@b.c", "\"See, Ann\" <a@b.c>"},
    {"quoted, with quotes in it", R"("Ann \"B\" \\" <a@b.c>)", R"(Ann "B" \)", "a@b.c", R"("Ann \"B\" \\" <a@b.c>)"},
    {"quoted beside atoms", "The \"big\" one <a@b.c>", "The big one", "a@b.c", "The big one <a@b.c>"},
    {"angle brackets in quotes", "\"<x@y>\" <a@b.c>", "<x@y>", "a@b.c", "\"<x@y>\" <a@b.c>"},
    {"UTF-8", "J\u00f6rg <a@b.c>", "J\u00f6rg", "a@b.c", "=?utf-8?B?SsO2cmc=?= <a@b.c>"},
    {"encoded word", "=?ISO-8859-1?Q?J=F6rg?= X <a@b.c>", "J\u00f6rg X", "a@b.c", "=?utf-8?Q?J=C3=B6rg_X?= <a@b.c>"},
    {"encoded word in quotes is text", "\"=?utf-8?Q?x?=\" <a@b.c>", "=?utf-8?Q?x?=", "a@b.c",
     "=?utf-8?B?PT91dGYtOD9RP3g/PQ==?= <a@b.c>"},
    {"a comment after a bare address", "a@b.c (Ann (B))", "", "a@b.c", "a@b.c"},
    {"comments everywhere", "(x)Ann(y) (\\)) B <(z)a@b.c>(w)", "Ann B", "a@b.c", "Ann B <a@b.c>"},
    {"quoted local part", "Ann <\"a b\"@b.c>", "Ann", "\"a b\"@b.c", "Ann <\"a b\"@b.c>"},
    {"an encoded line end", "=?utf-8?Q?a=0D=0AX:b?= <a@b.c>", "a  X:b", "a@b.c", "\"a  X:b\" <a@b.c>"},
};

constexpr Refused kNamedRefused[] = {
    {"open bracket", "Ann <a@b.c", "mailbox: no closing angle bracket"},
    {"text after", "Ann <a@b.c> x", "mailbox: text after the address"},
    {"two addresses", "<a@b.c> <d@e.f>", "mailbox: two addresses in angle brackets"},
    {"open quote", "\"Ann <a@b.c>", "mailbox: no closing quote"},
    {"open comment", "(Ann <a@b.c>", "mailbox: a comment without its end"},
    {"no address", "Ann", "local part: no @ after it"},
    {"nothing in the brackets", "Ann <>", "local part: no @ after it"},
    {"a list", "a@b.c, d@e.f", "domain: a character that no host name has"},
    {"not UTF-8", "\xff <a@b.c>", "mailbox: not UTF-8"},
};

BOOST_AUTO_TEST_CASE(names_are_read_and_written) {
  for (const Named& c : kNamed) BOOST_TEST_CONTEXT(c.name) {
      const auto named = NamedAddress::parse(c.in);
      BOOST_REQUIRE_MESSAGE(named.has_value(), (named ? "" : named.error().detail));
      BOOST_TEST(named->name == c.display);
      BOOST_TEST(named->address.str() == c.address);
      BOOST_TEST(named->header_value() == c.header);
      const auto again = NamedAddress::parse(named->header_value());
      BOOST_REQUIRE(again);
      BOOST_TEST(again->name == c.display);
    }
}

BOOST_AUTO_TEST_CASE(what_is_no_mailbox_is_refused) {
  for (const Refused& c : kNamedRefused) BOOST_TEST_CONTEXT(c.name) {
      const auto named = NamedAddress::parse(c.in);
      BOOST_REQUIRE(!named);
      BOOST_TEST(named.error().detail == c.reason);
    }
  BOOST_TEST(!NamedAddress::parse(std::string(100'000, '(')));
}

BOOST_AUTO_TEST_CASE(a_name_cannot_end_its_header) {
  const NamedAddress named{.name = "x\r\nBcc: v@w.x", .address = *Address::parse("a@b.c")};
  BOOST_TEST(named.header_value() == "\"x  Bcc: v@w.x\" <a@b.c>");
}

}  // namespace
}  // namespace mailsbuddy
