// Header fields as written. First the value is made ASCII, then it is folded at its white space:
//
//   field        = field-name ":" unstructured CRLF                                  ; RFC 5322 2.2, 3.6.8
//   encoded-word = "=?utf-8?" ( "B" / "Q" ) "?" encoded-text "?="                    ; RFC 2047 2
//   parameter    = name "=" ( token / quoted-string ) / name ["*" section] "*=" ext  ; RFC 2231 7
#include "core/mail/header.h"

#include <algorithm>
#include <array>

#include "core/base/ascii.h"
#include "core/base/encoding.h"
#include "core/mail/mime.h"

namespace mailsbuddy {
namespace {

constexpr std::size_t kColumnMax = 76;            // RFC 2047 2 for lines with encoded words; within RFC 5322's 78.
constexpr std::size_t kEncodedWordMax = 75;       // RFC 2047 2.
constexpr std::size_t kFirstEncodedWordMax = 64;  // So that it stands on the line of its field's name.
constexpr std::size_t kPlainWordMax = kLineMax - kHeaderNameMax - 2;

constexpr std::string_view kHexUpper = "0123456789ABCDEF";

// Fields that hold lists of addresses (RFC 5322 3.6.2, 3.6.3, 3.6.6; RFC 8098 2.1).
constexpr std::string_view kAddressFields[] = {"from",      "to",        "cc",          "bcc",
                                               "sender",    "reply-to",  "resent-from", "resent-sender",
                                               "resent-to", "resent-cc", "resent-bcc",  "disposition-notification-to",
                                               "errors-to"};

bool is_address_field(std::string_view name) noexcept {
  return std::any_of(std::begin(kAddressFields), std::end(kAddressFields),
                     [name](std::string_view field) { return ascii::iequals(field, name); });
}

// ---------------------------------------------------------------------------------------------------------------------
// Encoded words

// What RFC 2047 5 (3) lets stand for itself in a phrase; a space is "_".
bool is_q_literal(char c) noexcept {
  return ascii::is_alnum(c) || std::string_view("!*+-/ ").find(c) != std::string_view::npos;
}

void append_escaped(std::string& out, char escape, char c) {
  const auto byte = static_cast<unsigned char>(c);
  const std::array<char, 3> octet = {escape, kHexUpper[byte >> 4], kHexUpper[byte & 15]};
  out.append(octet.data(), octet.size());
}

void append_q(std::string& out, std::string_view text) {
  for (const char c : text) {
    if (!is_q_literal(c)) {
      append_escaped(out, '=', c);
    } else {
      out.push_back(c == ' ' ? '_' : c);
    }
  }
}

std::size_t q_size(std::string_view text) noexcept {
  std::size_t size = 0;
  for (const char c : text) size += is_q_literal(c) ? 1 : 3;
  return size;
}

std::size_t b_size(std::string_view text) noexcept { return (text.size() + 2) / 3 * 4; }

std::size_t character_size(std::string_view utf8) noexcept {
  std::size_t size = 1;
  while (size < utf8.size() && (static_cast<unsigned char>(utf8[size]) & 0xc0) == 0x80) ++size;
  return size;
}

// As many characters at the front as fit into one encoded word of `most` characters; at least one.
std::string_view word_prefix(std::string_view text, bool q, std::size_t most) noexcept {
  constexpr std::size_t kFrame = std::string_view(
                                     "=?utf-8?B?"
                                     "?=")
                                     .size();
  std::size_t end = character_size(text);
  std::size_t q_used = q_size(text.substr(0, end));
  while (end < text.size()) {
    const std::string_view character = text.substr(end, character_size(text.substr(end)));
    q_used += q_size(character);
    const std::size_t used = q ? q_used : b_size(text.substr(0, end + character.size()));
    if (used + kFrame > most) break;
    end += character.size();
  }
  return text.substr(0, end);
}

// ---------------------------------------------------------------------------------------------------------------------
// Making a value ASCII

// A reader would take it for an encoded word, and show something else: a merge value must not choose what.
bool looks_encoded(std::string_view text) noexcept {
  const std::size_t start = text.find("=?");
  return start != std::string_view::npos && text.find("?=", start + 2) != std::string_view::npos;
}

// Address fields come with their encoded words made (NamedAddress::header_value), other values as text.
bool needs_encoding(std::string_view word, bool is_text) noexcept {
  return word.size() > kPlainWordMax || !is_ascii(word) || std::any_of(word.begin(), word.end(), ascii::is_control) ||
         (is_text && looks_encoded(word));
}

std::size_t word_end(std::string_view text, std::size_t at) noexcept {
  return std::min(text.find_first_of(" \t", at), text.size());
}

// Each run of words that need it becomes encoded words, the white space within it too; all else is copied.
void append_encoded_runs(std::string& out, std::string_view text, bool is_text) {
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = word_end(text, at);
    if (end == at || !needs_encoding(text.substr(at, end - at), is_text)) {
      end = std::max(end, at + 1);
      out.append(text.substr(at, end - at));
      at = end;
      continue;
    }
    while (true) {
      const std::size_t next = std::min(text.find_first_not_of(" \t", end), text.size());
      const std::size_t next_end = word_end(text, next);
      if (next == next_end || !needs_encoding(text.substr(next, next_end - next), is_text)) break;
      end = next_end;
    }
    append_encoded_words(out, text.substr(at, end - at));
    at = end;
  }
}

// The commas that separate addresses are those outside quotes, comments and angle brackets.
std::size_t list_item_end(std::string_view list) noexcept {
  bool quoted = false;
  std::size_t depth = 0;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const char c = list[i];
    if (c == '\\')
      ++i;
    else if (c == '"')
      quoted = !quoted;
    else if (quoted)
      continue;
    else if (c == '(' || c == '<')
      ++depth;
    else if ((c == ')' || c == '>') && depth > 0)
      --depth;
    else if (c == ',' && depth == 0)
      return i;
  }
  return list.size();
}

void append_address_list(std::string& out, std::string_view list) {
  for (bool first = true; !list.empty(); first = false) {
    const std::size_t end = list_item_end(list);
    const std::string_view item = ascii::trim(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
    if (!first) out.append(", ");
    const auto mailbox = is_ascii(item) ? Result<NamedAddress>(Error{}) : NamedAddress::parse(item);
    if (mailbox) {
      out.append(mailbox->header_value());
    } else {
      append_encoded_runs(out, item, false);
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Folding

// Breaks lines before white space; the white space goes to the next line, which never consists of it alone.
void append_folded(std::string& out, std::size_t column, std::string_view value) {
  bool first = true;  // A break after the colon would only be ugly, unless the line would be too long for SMTP.
  while (!value.empty()) {
    const std::size_t start = std::min(value.find_first_not_of(" \t"), value.size());
    const std::size_t end = word_end(value, start);
    std::string_view space = first ? " " : value.substr(0, start);
    if (space.size() > kColumnMax / 2) space = " ";
    const std::string_view word = value.substr(start, end - start);
    if (column + space.size() + word.size() > (first ? kLineMax : kColumnMax)) {
      out.append("\r\n");
      column = 0;
    }
    out.append(space).append(word);
    column += space.size() + word.size();
    value.remove_prefix(end);
    first = false;
  }
}

bool is_plain(std::string_view value) noexcept {
  return std::all_of(value.begin(), value.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

}  // namespace

bool is_header_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= kHeaderNameMax &&
         std::all_of(name.begin(), name.end(), [](char c) { return ascii::is_visible(c) && c != ':'; });
}

void append_encoded_words(std::string& out, std::string_view text) {
  const bool q = q_size(text) <= b_size(text);
  for (std::size_t most = kFirstEncodedWordMax; !text.empty(); most = kEncodedWordMax) {
    const std::string_view prefix = word_prefix(text, q, most);
    text.remove_prefix(prefix.size());
    out.append(q ? "=?utf-8?Q?" : "=?utf-8?B?");
    if (q) {
      append_q(out, prefix);
    } else {
      append_base64(out, prefix);
    }
    out.append(text.empty() ? "?=" : "?= ");
  }
}

void append_header(std::string& out, std::string_view name, std::string_view value) {
  value = ascii::trim(value);
  out.append(name).push_back(':');
  if (name.size() + 2 + value.size() <= kColumnMax && is_plain(value) && !looks_encoded(value)) {  // Nearly all.
    if (!value.empty()) out.append(" ").append(value);
    out.append("\r\n");
    return;
  }
  std::string clean = is_valid_utf8(value) ? std::string(value) : *to_utf8("utf-8", value);
  for (char& c : clean) {
    if (c == '\r' || c == '\n' || c == '\0') c = ' ';
  }
  std::string encoded;
  if (is_address_field(name)) {
    append_address_list(encoded, clean);
  } else {
    append_encoded_runs(encoded, clean, !is_address_field(name));
  }
  append_folded(out, name.size() + 1, ascii::trim(encoded));
  out.append("\r\n");
}

std::string format_header(std::string_view name, std::string_view value) {
  std::string field;
  append_header(field, name, value);
  return field;
}

// ---------------------------------------------------------------------------------------------------------------------
// Parameters

namespace {

constexpr std::size_t kSectionMax = 56;  // Octets of a value on a line; with its name the line stays within 76.

// RFC 5987's attr-char, which is all that RFC 2231 lets through and a little less.
bool is_attribute_char(char c) noexcept {
  return ascii::is_alnum(c) || std::string_view("!#$&+-.^_`{}~").find(c) != std::string_view::npos;
}

void append_quoted(std::string& out, std::string_view value) {
  out.push_back('"');
  for (const char c : value) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  out.push_back('"');
}

// The value in pieces of kSectionMax characters. None splits a character: some readers decode each by itself.
std::vector<std::string> extended_sections(std::string_view value) {
  std::vector<std::string> sections = {"utf-8''"};
  while (!value.empty()) {
    const std::size_t size = character_size(value);
    if (sections.back().size() + 3 * size > kSectionMax) sections.emplace_back();
    for (const char c : value.substr(0, size)) {
      if (is_attribute_char(c)) {
        sections.back().push_back(c);
      } else {
        append_escaped(sections.back(), '%', c);
      }
    }
    value.remove_prefix(size);
  }
  return sections;
}

}  // namespace

void append_parameter(std::string& out, std::string_view name, std::string_view value) {
  std::string clean = is_valid_utf8(value) ? std::string(value) : *to_utf8("utf-8", value);
  std::replace_if(clean.begin(), clean.end(), ascii::is_control, '_');
  if (is_ascii(clean) && clean.size() <= kSectionMax && clean.find("=?") == std::string::npos) {
    append_quoted(out.append(";\r\n ").append(name).append("="), clean);
    return;
  }
  const std::vector<std::string> sections = extended_sections(clean);
  for (std::size_t i = 0; i < sections.size(); ++i) {
    out.append(";\r\n ").append(name);
    if (sections.size() > 1) out.append("*").append(std::to_string(i));
    out.append("*=").append(sections[i]);
  }
}

}  // namespace mailsbuddy
