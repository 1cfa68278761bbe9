#include "core/mail/liquid_escape.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <optional>

#include "core/base/ascii.h"

namespace mailsbuddy::liquid {
namespace {

using Table = std::array<bool, 256>;

constexpr Table table_of(std::string_view characters) {
  Table table{};
  for (const char c : characters) table[static_cast<unsigned char>(c)] = true;
  return table;
}

constexpr bool in(const Table& table, char c) { return table[static_cast<unsigned char>(c)]; }

constexpr Table kHtmlSpecial = table_of("&<>\"'");
constexpr Table kUnquotedSpecial = table_of("&<>\"'=` \t\r\n\f");  // WHATWG HTML, attribute value (unquoted) state.

std::string_view entity(char c) {
  switch (c) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '"':
      return "&quot;";
    case '\'':
      return "&#39;";
    case '=':
      return "&#61;";
    case '`':
      return "&#96;";
    case ' ':
      return "&#32;";
    case '\t':
      return "&#9;";
    case '\n':
      return "&#10;";
    case '\f':
      return "&#12;";
    default:
      return "&#13;";
  }
}

void append_entities(std::string& out, std::string_view text, const Table& special) {
  std::size_t from = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!in(special, text[i])) continue;
    out.append(text, from, i - from).append(entity(text[i]));
    from = i + 1;
  }
  out.append(text, from);
}

// Whether `text`, which begins with '&', begins with a character reference.
bool begins_entity(std::string_view text) {
  constexpr std::size_t kReferenceMax = 33;  // The longest named one is 31 characters, then the semicolon.
  std::size_t i = 1;
  if (i < text.size() && text[i] == '#') ++i;
  const std::size_t name = i;
  while (i < text.size() && i < kReferenceMax && ascii::is_alnum(text[i])) ++i;
  return i > name && i < text.size() && text[i] == ';';
}

// Each run of control characters becomes one space, so that words stay apart.
void append_control_free(std::string& out, std::string_view text) {
  while (!text.empty()) {
    std::size_t end = 0;
    while (end < text.size() && !ascii::is_control(text[end])) ++end;
    out.append(text, 0, end);
    if (end == text.size()) return;
    out.push_back(' ');
    while (end < text.size() && ascii::is_control(text[end])) ++end;
    text.remove_prefix(end);
  }
}

void append_percent(std::string& out, char c) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  const auto octet = static_cast<unsigned char>(c);
  out.push_back('%');
  out.push_back(kDigits[octet >> 4]);
  out.push_back(kDigits[octet & 15]);
}

constexpr bool is_unreserved(char c) { return ascii::is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~'; }

// A whole URL as a field holds it. Readers skip white space before it and control characters anywhere in it, and so
// does the check: what is checked is what is written.
std::string url_of(std::string_view text) {
  std::string url;
  for (const char c : ascii::trim(text)) {
    if (!ascii::is_control(c) && !(url.empty() && c == ' ')) url.push_back(c);
  }
  return url;
}

// What stands before a colon that comes before all that could end a scheme. Empty: `url` is relative.
std::optional<std::string_view> scheme_of(std::string_view url) {
  const std::size_t end = url.find_first_of(":/?#");
  if (end == std::string_view::npos || url[end] != ':') return std::nullopt;
  return url.substr(0, end);
}

// RFC 3986's characters stay, % too, since the URL is encoded already; all else, and quotes and parentheses for the
// sake of CSS, is percent-encoded.
void append_url(std::string& out, std::string_view url) {
  constexpr std::string_view kStay = "%:/?#[]@!$&*+,;=";
  append_percent_encoded(out, url, kStay);
}

bool is_any_of(std::string_view scheme, std::initializer_list<std::string_view> schemes) {
  return std::ranges::any_of(schemes, [&](std::string_view known) { return ascii::iequals(scheme, known); });
}

bool append_header_url(std::string& out, std::string_view text) {
  const std::string url = url_of(text);
  const auto scheme = scheme_of(url);
  if (!scheme || !is_any_of(*scheme, {"http", "https", "mailto"})) return false;
  append_url(out, url);
  return true;
}

void append_url_start(std::string& out, std::string_view text) {
  const std::string url = url_of(text);
  const auto scheme = scheme_of(url);
  if (!scheme || is_any_of(*scheme, {"http", "https", "mailto", "tel"})) return append_url(out, url);
  out.push_back('#');
}

void append_css(std::string& out, std::string_view text) {
  for (const char c : text) {
    if (!ascii::is_alnum(c) && std::string_view(" #%.,-_+!").find(c) == std::string_view::npos) return;
  }
  if (text.find("--") == std::string_view::npos) out.append(text);  // "-->" ends things.
}

void append_attribute_safe(std::string& out, std::string_view text, Place place) {
  append_entities(out, text, place.unquoted ? kUnquotedSpecial : kHtmlSpecial);
}

void append_in_html(std::string& out, std::string_view text, Form form, Place place) {
  std::string made;
  switch (place.escape) {
    case Escape::kUrl:
    case Escape::kUrlOpaque:
      if (form == Form::kUrl) return append_attribute_safe(out, text, place);
      return append_percent_encoded(out, text, place.escape == Escape::kUrlOpaque ? "@+" : "");
    case Escape::kUrlStart:
      append_url_start(made, text);
      return append_attribute_safe(out, made, place);
    case Escape::kCss:
      append_css(made, text);
      return append_attribute_safe(out, made, place);
    default:
      if (form == Form::kHtml && !place.unquoted) return void(out.append(text));
      return append_attribute_safe(out, text, place);
  }
}

}  // namespace

void append_html(std::string& out, std::string_view text) { append_entities(out, text, kHtmlSpecial); }

void append_html_once(std::string& out, std::string_view text) {
  std::size_t from = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!in(kHtmlSpecial, text[i]) || (text[i] == '&' && begins_entity(text.substr(i)))) continue;
    out.append(text, from, i - from).append(entity(text[i]));
    from = i + 1;
  }
  out.append(text, from);
}

void append_percent_encoded(std::string& out, std::string_view text, std::string_view also) {
  for (const char c : text) {
    if (is_unreserved(c) || also.find(c) != std::string_view::npos) {
      out.push_back(c);
    } else {
      append_percent(out, c);
    }
  }
}

bool append_escaped(std::string& out, std::string_view text, Form form, Place place) {
  switch (place.escape) {
    case Escape::kNone:
      out.append(text);
      return true;
    case Escape::kHeader:
      append_control_free(out, text);
      return true;
    case Escape::kHeaderUrl:
      append_percent_encoded(out, text, form == Form::kUrl ? "%+" : "");
      return true;
    case Escape::kHeaderUrlStart:
      return append_header_url(out, text);
    default:
      break;
  }
  if (form == Form::kRaw) {
    out.append(text);
    return true;
  }
  const std::size_t before = out.size();
  append_in_html(out, text, form, place);
  if (place.starts_value && out.size() == before) out.append("\"\"");  // Else the next attribute would be the value.
  return true;
}

}  // namespace mailsbuddy::liquid
