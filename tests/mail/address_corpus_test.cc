// Every row of the shared address corpus whose label says something about SMTP.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "mailsbuddy/mail.h"

namespace mailsbuddy {
namespace {

std::filesystem::path corpora() {
  if (const char* given = std::getenv("MAILSBUDDY_CORPORA")) return given;
  return std::filesystem::path(MAILSBUDDY_SOURCE_DIR) / ".." / "shared" / "corpora";
}

void append_utf8(std::string& out, unsigned long c) {
  if (c < 0x80) {
    out.push_back(static_cast<char>(c));
  } else if (c < 0x800) {
    out.push_back(static_cast<char>(0xc0 | c >> 6));
    out.push_back(static_cast<char>(0x80 | (c & 63)));
  } else {
    out.push_back(static_cast<char>(0xe0 | c >> 12));
    out.push_back(static_cast<char>(0x80 | (c >> 6 & 63)));
    out.push_back(static_cast<char>(0x80 | (c & 63)));
  }
}

// "\\", "\t", "\r", "\n" and "\uXXXX", as the corpus's README says.
std::string unescape(std::string_view field) {
  std::string text;
  for (std::size_t i = 0; i < field.size(); ++i) {
    if (field[i] != '\\' || i + 1 == field.size()) {
      text.push_back(field[i]);
      continue;
    }
    const char kind = field[++i];
    if (kind == 'u') {
      append_utf8(text, std::stoul(std::string(field.substr(i + 1, 4)), nullptr, 16));
      i += 4;
    } else {
      text.push_back(kind == 't' ? '\t' : kind == 'r' ? '\r' : kind == 'n' ? '\n' : kind);
    }
  }
  return text;
}

// Rows whose label cannot be kept, each with the sentence that decides.
struct Argued {
  std::string_view address, why;
};
constexpr Argued kArgued[] = {
    {"test@[IPv6:1111:2222:3333:4444:5555:6666::8888]",
     "\"::\" for one group. The corpus labels five other such addresses valid, among them "
     "[IPv6:1111:2222:3333::4444:5555:6666:7777], all with isemail's same verdict. RFC 5952 4: \"all implementations "
     "MUST "
     "accept and be able to handle any legitimate [RFC4291] format\"."},
    {"\"Display Name\" <me@example.com>",
     "A name-addr, refused upstream for an option's sake. The corpus labels three others valid, as in 'My Name "
     "<me@example.org>'. RFC 5322 3.4: \"name-addr = [display-name] angle-addr\"."},
};

bool is_argued(std::string_view address) {
  return std::any_of(std::begin(kArgued), std::end(kArgued), [&](const Argued& row) { return row.address == address; });
}

// The corpus has name-addrs among the addresses; RFC 5321's Mailbox has no display name, so they are NamedAddress's.
bool accepted(const std::string& text, std::string& reason) {
  if (text.ends_with('>')) {
    const auto named = NamedAddress::parse(text);
    if (!named) reason = named.error().detail;
    return named.has_value();
  }
  const auto address = Address::parse(text);
  if (!address) reason = address.error().detail;
  return address.has_value();
}

BOOST_AUTO_TEST_CASE(addresses_for_smtp_are_judged_as_labelled) {
  std::ifstream file(corpora() / "addresses.tsv");
  if (!file) {
    BOOST_TEST_MESSAGE("skipped: no corpora at " << corpora());
    return;
  }
  std::size_t judged = 0;
  std::string line;
  std::getline(file, line);  // The column names.
  while (std::getline(file, line)) {
    const std::string address = unescape(line.substr(0, line.find('\t')));
    const std::string rest = line.substr(line.find('\t') + 1);
    const std::string label = rest.substr(0, rest.find('\t'));
    if (label == "disputed" || label == "valid-rfc5322") continue;
    const bool wanted = label == "valid" || label == "valid-syntax-special-domain" || label == "needs-smtputf8";
    std::string reason;
    const bool got = accepted(address, reason);
    ++judged;
    BOOST_TEST_CONTEXT(line << "\n  " << reason) BOOST_TEST(got == (wanted != is_argued(address)));
  }
  BOOST_TEST(judged > 300U);
}

// What is accepted is a fixed point: its wire form is accepted and stays as it is.
BOOST_AUTO_TEST_CASE(accepted_addresses_are_in_their_final_form) {
  std::ifstream file(corpora() / "addresses.tsv");
  std::string line;
  while (std::getline(file, line)) {
    const auto address = Address::parse(unescape(line.substr(0, line.find('\t'))));
    if (!address) continue;
    BOOST_TEST_CONTEXT(line) {
      const auto again = Address::parse(address->str());
      BOOST_REQUIRE(again);
      BOOST_TEST((*again == *address));
      BOOST_TEST(again->str() == address->str());
    }
  }
}

}  // namespace
}  // namespace mailsbuddy
