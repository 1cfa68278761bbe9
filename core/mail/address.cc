// RFC 5321 4.1.2 and 4.1.3, with RFC 6531 3.3 on top (marked =/):
//
//   Mailbox         = Local-part "@" ( Domain / address-literal )
//   Local-part      = Dot-string / Quoted-string          ; at most 64 octets
//   Dot-string      = Atom *("." Atom)
//   Atom            = 1*atext                              ; atext =/ UTF8-non-ascii
//   Quoted-string   = DQUOTE *QcontentSMTP DQUOTE
//   QcontentSMTP    = qtextSMTP / quoted-pairSMTP          ; qtextSMTP =/ UTF8-non-ascii
//   quoted-pairSMTP = %d92 %d32-126
//   qtextSMTP       = %d32-33 / %d35-91 / %d93-126
//   Domain          = sub-domain *("." sub-domain)         ; sub-domain =/ U-label
//   sub-domain      = Let-dig [Ldh-str]                    ; at most 63 octets, RFC 1035 2.3.4
//   Ldh-str         = *( ALPHA / DIGIT / "-" ) Let-dig
//   address-literal = "[" ( IPv4-address-literal / IPv6-address-literal / General-address-literal ) "]"
//   IPv4-address-literal = Snum 3("."  Snum)               ; Snum = 1*3DIGIT, 0 to 255
//   IPv6-address-literal = "IPv6:" IPv6-addr
#include <idn2.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>

#include "core/base/ascii.h"
#include "core/base/encoding.h"
#include "mailsbuddy/mail.h"

namespace mailsbuddy {
namespace {

constexpr std::size_t kLabelMax = 63;        // RFC 1035 2.3.4, octets.
constexpr std::size_t kInputMax = 4 * 1024;  // No UTF-8 spelling of an address is longer; keeps libidn2's work bounded.

Error invalid(const char* part, std::string_view why) {
  return {ErrorCode::kInvalidArgument, std::string(part) + ": " + std::string(why)};
}
Error bad_local(std::string_view why) { return invalid("local part", why); }
Error bad_domain(std::string_view why) { return invalid("domain", why); }

bool non_ascii(char c) noexcept { return static_cast<unsigned char>(c) >= 0x80; }

// ---------------------------------------------------------------------------------------------------------------------
// Characters

bool is_atext(char c) noexcept {
  return ascii::is_alnum(c) || non_ascii(c) ||
         std::string_view("!#$%&'*+-/=?^_`{|}~").find(c) != std::string_view::npos;
}

bool is_qtext(char c) noexcept { return (c >= ' ' && c <= '~' && c != '"' && c != '\\') || non_ascii(c); }

// Characters that RFC 6531 lets into a local part and that no mailbox has: nobody could type them or tell them apart.
struct Unfit {
  char32_t first, last;
  std::string_view why;
};
constexpr Unfit kUnfit[] = {
    {0x80, 0x9f, "a control character"},
    {0xa0, 0xa0, "an unusual space"},
    {0x2000, 0x200b, "an unusual space"},
    {0x200e, 0x200f, "a writing direction mark"},
    {0x2028, 0x2029, "a line separator"},
    {0x202a, 0x202e, "a writing direction mark"},
    {0x202f, 0x202f, "an unusual space"},
    {0x205f, 0x2065, "an invisible character"},
    {0x2066, 0x2069, "a writing direction mark"},
    {0x2500, 0x257f, "a box drawing character"},  // Accented letters of another code page, read as CP437.
    {0x3000, 0x3000, "an unusual space"},
    {0xfb00, 0xfdff, "a presentation form"},  // No keyboard has them, and NFC takes the Hebrew ones apart.
    {0xfe70, 0xfefe, "a presentation form"},
    {0xfeff, 0xfeff, "a byte order mark"},
    {0xfff0, 0xffff, "a replacement character"},
};

// The character at the front of valid UTF-8, taken off.
char32_t next_character(std::string_view& text) noexcept {
  const auto first = static_cast<unsigned char>(text.front());
  const std::size_t length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  char32_t character = length == 1 ? first : first & (0xffU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) character = character << 6 | (static_cast<unsigned char>(text[i]) & 0x3f);
  text.remove_prefix(length);
  return character;
}

Result<void> fit_for_local(std::string_view local) {
  for (std::string_view rest = local; !rest.empty();) {
    const char32_t c = next_character(rest);
    if (c < 0x80) continue;
    const auto* unfit = std::find_if(std::begin(kUnfit), std::end(kUnfit),
                                     [c](const Unfit& range) { return c >= range.first && c <= range.last; });
    if (unfit != std::end(kUnfit)) return bad_local(unfit->why);
  }
  return {};
}

// ---------------------------------------------------------------------------------------------------------------------
// Local part. Each production takes what it matches off the front of `rest`.

Result<void> dot_string(std::string_view& rest) {
  while (true) {
    std::size_t atom = 0;
    while (atom < rest.size() && is_atext(rest[atom])) ++atom;
    if (atom == 0) {
      if (rest.empty()) return bad_local("no @ after it");
      if (rest.front() == '@') return bad_local("empty, or a dot at its end");
      return bad_local(rest.front() == '.' ? "a dot at its start, or two in a row" : "a character that needs quoting");
    }
    rest.remove_prefix(atom);
    if (!rest.starts_with('.')) return {};
    rest.remove_prefix(1);
  }
}

// The content, without its quotes and backslashes.
Result<std::string> quoted_string(std::string_view& rest) {
  std::string content;
  for (rest.remove_prefix(1); !rest.empty(); rest.remove_prefix(1)) {
    if (rest.front() == '"') {
      rest.remove_prefix(1);
      return content;
    }
    if (rest.front() == '\\') {  // quoted-pairSMTP
      rest.remove_prefix(1);
      if (rest.empty()) break;
      if (rest.front() < ' ' || rest.front() > '~') return bad_local("a backslash before a character that takes none");
    } else if (!is_qtext(rest.front())) {
      return bad_local("a control character in quotes");
    }
    content.push_back(rest.front());
  }
  return bad_local("no closing quote");
}

// In quotes only if it needs them.
std::string spell_local(const std::string& content) {
  std::string_view rest = content;
  if (dot_string(rest).has_value() && rest.empty()) return content;
  std::string quoted = "\"";
  for (const char c : content) {
    if (c == '"' || c == '\\') quoted.push_back('\\');
    quoted.push_back(c);
  }
  return quoted + '"';
}

Result<std::string> local_part(std::string_view& rest) {
  const std::string_view start = rest;
  std::string local;
  if (rest.starts_with('"')) {
    auto content = quoted_string(rest);
    if (!content) return content;
    local = spell_local(*content);
  } else {
    if (auto matched = dot_string(rest); !matched) return std::move(matched).error();
    local = start.substr(0, start.size() - rest.size());
  }
  // As written: what is over the limit only in its quotes was still no RFC 5321 address.
  if (start.size() - rest.size() > kLocalPartMax) return bad_local("longer than 64 octets");
  if (!is_ascii(local)) {
    if (auto fit = fit_for_local(local); !fit) return std::move(fit).error();
  }
  return local;
}

// ---------------------------------------------------------------------------------------------------------------------
// Domain

Result<void> sub_domain(std::string_view label) {
  if (label.empty()) return bad_domain("a dot at its start or end, or two in a row");
  if (label.size() > kLabelMax) return bad_domain("a label longer than 63 octets");
  if (label.front() == '-' || label.back() == '-') return bad_domain("a label that starts or ends with a hyphen");
  if (!std::all_of(label.begin(), label.end(), [](char c) { return ascii::is_alnum(c) || c == '-'; })) {
    return bad_domain("a character that no host name has");
  }
  // RFC 5890 2.3.1: of the labels with hyphens in the third and fourth place only those of IDNA have a meaning.
  if (label.size() > 3 && label.substr(2, 2) == "--" && !ascii::istarts_with(label, "xn--")) {
    return bad_domain("a label with hyphens in the third and fourth place");
  }
  return {};
}

// What the grammar lets through and no mail can reach.
Result<void> reachable(std::string_view domain) {
  const std::size_t dot = domain.rfind('.');
  const std::string_view top = domain.substr(dot + 1);
  // RFC 6761 6.3: localhost and the names under it are the machine that reads them, whoever that is.
  if (top == "localhost") return bad_domain("localhost is no destination");
  // RFC 1123 2.1: "at least the highest-level component label will be alphabetic". RFC 5321 dropped that, and ".123" or
  // ".x2" are left to DNS; but what ends like "tld-2" is a numbered copy of something and never was a domain.
  if (dot != std::string_view::npos && top.find('-') != std::string_view::npos && ascii::is_digit(top.back())) {
    return bad_domain("a top-level domain that ends in a number after a hyphen");
  }
  return {};
}

// U-labels to A-labels; A-labels are checked by being decoded and encoded again.
Result<std::string> to_a_labels(std::string_view domain) {
  const std::string terminated(domain);
  std::uint8_t* found = nullptr;
  const int rc = idn2_lookup_u8(reinterpret_cast<const std::uint8_t*>(terminated.c_str()), &found,
                                IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
  const std::unique_ptr<std::uint8_t, decltype(&idn2_free)> owner(found, [](void* p) { idn2_free(p); });
  if (rc != IDN2_OK) return bad_domain(idn2_strerror(rc));
  return std::string(reinterpret_cast<const char*>(found));
}

Result<std::string> domain_name(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) return bad_domain("a character that no host name has");
  std::string domain = ascii::to_lower(text);
  if (!is_ascii(domain) || domain.find("xn--") != std::string::npos) {
    auto a_labels = to_a_labels(domain);
    if (!a_labels) return a_labels;
    domain = ascii::to_lower(*a_labels);
  }
  if (domain.empty()) return bad_domain("empty");
  if (domain.size() > kDomainMax) return bad_domain("longer than 255 octets");
  for (std::size_t at = 0; at <= domain.size();) {
    const std::size_t end = std::min(domain.find('.', at), domain.size());
    if (auto matched = sub_domain(std::string_view(domain).substr(at, end - at)); !matched)
      return std::move(matched).error();
    at = end + 1;
  }
  if (auto checked = reachable(domain); !checked) return std::move(checked).error();
  return domain;
}

// ---------------------------------------------------------------------------------------------------------------------
// Address literals

struct Groups {  // The 16-bit groups of an IPv6 address, or two of them for IPv4.
  std::array<std::uint16_t, 8> at{};
  std::size_t count = 0;
};

bool push(Groups& groups, unsigned value) noexcept {
  if (groups.count == groups.at.size()) return false;
  groups.at[groups.count++] = static_cast<std::uint16_t>(value);
  return true;
}

bool ipv4_address(std::string_view text, Groups& groups) noexcept {
  std::array<unsigned, 4> octets{};
  for (std::size_t i = 0; i < octets.size(); ++i) {
    const std::string_view snum = text.substr(0, text.find('.'));
    if (snum.empty() || snum.size() > 3 || !std::all_of(snum.begin(), snum.end(), ascii::is_digit)) return false;
    for (const char c : snum) octets[i] = octets[i] * 10 + static_cast<unsigned>(c - '0');
    if (octets[i] > 255) return false;
    text.remove_prefix(snum.size());
    if (text.empty() != (i == 3)) return false;
    if (i < 3) text.remove_prefix(1);
  }
  return push(groups, octets[0] << 8 | octets[1]) && push(groups, octets[2] << 8 | octets[3]);
}

// IPv6-hex *( ":" IPv6-hex ), or nothing; the last may be an IPv4 address.
bool hex_groups(std::string_view text, bool at_end, Groups& groups) noexcept {
  while (!text.empty()) {
    const std::string_view hex = text.substr(0, text.find(':'));
    if (at_end && hex.size() == text.size() && hex.find('.') != std::string_view::npos)
      return ipv4_address(hex, groups);
    if (hex.empty() || hex.size() > 4) return false;
    unsigned value = 0;
    for (const char c : hex) {
      if (ascii::hex_value(c) < 0) return false;
      value = value * 16 + static_cast<unsigned>(ascii::hex_value(c));
    }
    if (!push(groups, value)) return false;
    if (hex.size() == text.size()) return true;
    text.remove_prefix(hex.size() + 1);
    if (text.empty()) return false;
  }
  return true;
}

// RFC 5321 wants "::" to stand for two groups or more. RFC 5952 4 is younger, and "all implementations MUST accept and
// be able to handle any legitimate [RFC4291] format", where it may stand for one.
bool ipv6_address(std::string_view text, Groups& groups) noexcept {
  const std::size_t gap = text.find("::");
  if (gap == std::string_view::npos) return hex_groups(text, true, groups) && groups.count == 8;
  if (text.find("::", gap + 1) != std::string_view::npos) return false;
  Groups tail;
  if (!hex_groups(text.substr(0, gap), false, groups) || !hex_groups(text.substr(gap + 2), true, tail)) return false;
  if (groups.count + tail.count > 7) return false;
  std::copy_n(tail.at.begin(), tail.count, groups.at.end() - static_cast<std::ptrdiff_t>(tail.count));
  groups.count = 8;
  return true;
}

// RFC 1122 3.2.1.3 (g): addresses 127.* "MUST NOT appear outside a host"; RFC 4291 2.5.3 says as much of ::1.
bool is_loopback(const Groups& groups) noexcept {
  if (groups.count == 2) return groups.at[0] >> 8 == 127;
  if (std::any_of(groups.at.begin(), groups.at.begin() + 5, [](std::uint16_t group) { return group != 0; }))
    return false;
  if (groups.at[5] == 0xffff) return groups.at[6] >> 8 == 127;  // IPv4-mapped.
  return groups.at[5] == 0 && groups.at[6] == 0 && groups.at[7] == 1;
}

// General-address-literal = Standardized-tag ":" 1*dcontent, where the tag "MUST be specified in a Standards-Track RFC
// and registered with IANA" (RFC 5321 4.1.3). The registry has one tag, IPv6; so there are no others to accept.
Result<std::string> address_literal(std::string_view text) {
  if (text.back() != ']' || text.size() < 2) return bad_domain("no ] at the end of an address literal");
  const std::string_view inner = text.substr(1, text.size() - 2);
  Groups groups;
  const bool tagged = ascii::istarts_with(inner, "IPv6:");
  if (tagged ? !ipv6_address(inner.substr(5), groups) : !ipv4_address(inner, groups)) {
    return bad_domain("not an IPv4 or IPv6 address literal");
  }
  if (is_loopback(groups)) return bad_domain("the loopback address is no destination");
  return ascii::to_lower(text);
}

}  // namespace

Result<Address> Address::parse(std::string_view text) {
  if (text.size() > kInputMax) return invalid("address", "longer than 254 octets");
  if (!is_valid_utf8(text)) return invalid("address", "not UTF-8");
  std::string_view rest = text;
  auto local = local_part(rest);
  if (!local) return std::move(local).error();
  if (!rest.starts_with('@')) return bad_local(rest.empty() ? "no @ after it" : "a character that needs quoting");
  rest.remove_prefix(1);
  auto domain = rest.starts_with('[') ? address_literal(rest) : domain_name(rest);
  if (!domain) return std::move(domain).error();

  Address address;
  address.smtputf8_ = !is_ascii(*local);
  address.at_ = local->size();
  address.text_ = *std::move(local) + "@" + *domain;
  if (address.text_.size() > kAddressMax) return invalid("address", "longer than 254 octets");
  return address;
}

}  // namespace mailsbuddy
