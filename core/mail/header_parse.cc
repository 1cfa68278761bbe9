// Header fields as read. Nothing here fails: what makes no sense stays as it is.
//
//   encoded-word = "=?" charset ["*" language] "?" encoding "?" encoded-text "?="    ; RFC 2047 2, RFC 2231 5
//   content      = value *( ";" parameter )                                         ; RFC 2045 5.1
//   parameter    = name ["*" section] ["*"] "=" ( token / quoted-string )           ; RFC 2231 7
#include <algorithm>
#include <charconv>
#include <iterator>
#include <span>
#include <tuple>

#include "core/base/ascii.h"
#include "core/base/encoding.h"
#include "core/mail/header.h"

namespace mailsbuddy {
namespace {

constexpr std::size_t kParametersMax =
    256;  // Sections count; no honest field comes near it, and joining them is quadratic.

std::string valid_utf8(std::string text) { return is_valid_utf8(text) ? std::move(text) : *to_utf8("utf-8", text); }

}  // namespace

// ---------------------------------------------------------------------------------------------------------------------
// Fields

std::optional<RawField> next_field(std::string_view& headers) noexcept {
  if (headers.empty()) return std::nullopt;
  const std::size_t line_end = std::min(headers.find('\n'), headers.size() - 1) + 1;
  const bool empty_line = headers.starts_with('\n') || headers.starts_with("\r\n");
  if (empty_line) {  // What follows is no continuation, even if it starts with white space.
    headers.remove_prefix(line_end);
    return std::nullopt;
  }
  std::size_t end = line_end;
  while (end < headers.size() && ascii::is_wsp(headers[end])) {
    end = std::min(headers.find('\n', end), headers.size() - 1) + 1;
  }
  std::string_view field = headers.substr(0, end);
  headers.remove_prefix(end);
  if (field.ends_with('\n')) field.remove_suffix(1);
  if (field.ends_with('\r')) field.remove_suffix(1);
  const std::size_t colon = field.find(':');
  if (colon == std::string_view::npos) return RawField{.name = {}, .value = field};
  std::string_view name = field.substr(0, colon);
  while (!name.empty() && ascii::is_wsp(name.back())) name.remove_suffix(1);  // obs-optional, RFC 5322 4.5.8
  if (!is_header_name(name)) return RawField{.name = {}, .value = field};
  return RawField{.name = name, .value = field.substr(colon + 1)};
}

std::string unfold(std::string_view value) {
  value = ascii::trim(value);
  std::string line;
  line.reserve(value.size());
  std::copy_if(value.begin(), value.end(), std::back_inserter(line), [](char c) { return c != '\r' && c != '\n'; });
  return line;
}

std::optional<std::string> find_header(std::string_view message, std::string_view name) {
  while (const auto field = next_field(message)) {
    if (ascii::iequals(field->name, name)) return unfold(field->value);
  }
  return std::nullopt;
}

// ---------------------------------------------------------------------------------------------------------------------
// Encoded words

namespace {

struct EncodedWord {
  std::string_view charset;
  std::string bytes;
};

std::string decode_q(std::string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '=' && i + 2 < text.size() ? ascii::hex_value(text[i + 1]) : -1;
    const int low = high >= 0 ? ascii::hex_value(text[i + 2]) : -1;
    if (low >= 0) {
      bytes.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    } else {
      bytes.push_back(text[i] == '_' ? ' ' : text[i]);
    }
  }
  return bytes;
}

// Takes an encoded word off the front of `rest`, which starts with "=?". Empty: it is none.
std::optional<EncodedWord> take_encoded_word(std::string_view& rest) {
  const std::size_t charset_end = rest.find('?', 2);
  if (charset_end == std::string_view::npos || charset_end + 2 >= rest.size() || rest[charset_end + 2] != '?') {
    return std::nullopt;
  }
  std::string_view charset = rest.substr(2, charset_end - 2);
  charset = charset.substr(0, charset.find('*'));
  const char encoding = ascii::to_lower(rest[charset_end + 1]);
  const std::string_view text = rest.substr(charset_end + 3);
  const std::size_t end = text.find('?');
  const bool known = encoding == 'q' || encoding == 'b';
  if (charset.empty() || !known || end == std::string_view::npos || !text.substr(end).starts_with("?=")) {
    return std::nullopt;
  }
  rest.remove_prefix(charset_end + 3 + end + 2);
  const std::string_view encoded = text.substr(0, end);
  return EncodedWord{.charset = charset, .bytes = encoding == 'q' ? decode_q(encoded) : decode_base64_lenient(encoded)};
}

// The encoded words at the front of `rest` and the white space between them, as text. Neighbours of one charset are
// joined before they are converted, since many programs split characters (against RFC 2047 5).
std::optional<std::string> take_encoded_words(std::string_view& rest) {
  std::string text;
  EncodedWord pending;
  std::string_view after = rest;  // What follows the words taken so far.
  while (after.starts_with("=?")) {
    std::string_view next = after;
    auto word = take_encoded_word(next);
    if (!word) break;
    if (ascii::iequals(word->charset, pending.charset)) {
      pending.bytes += word->bytes;
    } else {
      if (!to_utf8(word->charset, {})) break;  // A charset that nobody knows.
      if (!pending.charset.empty()) text += *to_utf8(pending.charset, pending.bytes);
      pending = *std::move(word);
    }
    rest = after = next;
    after.remove_prefix(std::min(after.find_first_not_of(" \t\r\n"), after.size()));
  }
  if (pending.charset.empty()) return std::nullopt;
  return text + *to_utf8(pending.charset, pending.bytes);
}

}  // namespace

std::string decode_header(std::string_view value) {
  std::string text;
  while (!value.empty()) {
    const std::size_t start = std::min(value.find("=?"), value.size());
    text.append(value.substr(0, start));
    value.remove_prefix(start);
    if (value.empty()) break;
    if (auto words = take_encoded_words(value)) {
      text.append(*words);
    } else {
      text.append("=?");
      value.remove_prefix(2);
    }
  }
  for (char& c : text) {
    if (c == '\r' || c == '\n' || c == '\0') c = ' ';  // Only an encoded word can have brought it.
  }
  return valid_utf8(std::move(text));
}

// ---------------------------------------------------------------------------------------------------------------------
// Parameters

namespace {

struct Section {
  std::string name;  // In lower case, without the asterisks.
  std::size_t number = 0;
  bool extended = false;  // RFC 2231: percent-encoded; the first one names the charset.
  bool plain = true;      // No asterisk at all.
  std::string value;
};

std::string take_value(std::string_view& rest) {
  std::string value;
  if (!rest.starts_with('"')) {
    const std::size_t end = std::min(rest.find(';'), rest.size());
    value = ascii::trim(rest.substr(0, end));
    rest.remove_prefix(end);
    return value;
  }
  for (rest.remove_prefix(1); !rest.empty() && rest.front() != '"'; rest.remove_prefix(1)) {
    if (rest.front() == '\\' && rest.size() > 1) rest.remove_prefix(1);
    value.push_back(rest.front());
  }
  rest.remove_prefix(std::min(rest.find(';'), rest.size()));
  return value;
}

// Takes one parameter and the ";" before it off the front of `rest`.
Section take_section(std::string_view& rest) {
  rest.remove_prefix(1);
  const std::size_t name_end = std::min(rest.find_first_of("=;"), rest.size());
  std::string_view name = ascii::trim(rest.substr(0, name_end));
  Section section;
  section.extended = name.ends_with('*');
  if (section.extended) name.remove_suffix(1);
  const std::size_t star = name.find('*');
  section.plain = !section.extended && star == std::string_view::npos;
  if (star != std::string_view::npos) {
    const std::string_view number = name.substr(star + 1);
    std::from_chars(number.data(), number.data() + number.size(), section.number);
    name = name.substr(0, star);
  }
  section.name = ascii::to_lower(name);
  rest.remove_prefix(name_end);
  if (!rest.starts_with('=')) return section;
  rest.remove_prefix(1);
  rest.remove_prefix(std::min(rest.find_first_not_of(" \t\r\n"), rest.size()));
  section.value = take_value(rest);
  return section;
}

std::string decode_percent(std::string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && i + 2 < text.size() ? ascii::hex_value(text[i + 1]) : -1;
    const int low = high >= 0 ? ascii::hex_value(text[i + 2]) : -1;
    bytes.push_back(low >= 0 ? static_cast<char>(high * 16 + low) : text[i]);
    if (low >= 0) i += 2;
  }
  return bytes;
}

// All sections of one parameter, in their order, as text.
std::string join(std::span<const Section> sections) {
  if (sections.front().plain) return decode_header(sections.front().value);  // Encoded words there are common if wrong.
  std::string charset = "utf-8";
  std::string bytes;
  for (const Section& section : sections) {
    std::string_view value = section.value;
    if (&section == &sections.front() && section.extended) {
      const std::size_t charset_end = value.find('\'');
      const std::size_t language_end =
          charset_end == std::string_view::npos ? charset_end : value.find('\'', charset_end + 1);
      if (language_end != std::string_view::npos) {
        charset = value.substr(0, charset_end);
        value.remove_prefix(language_end + 1);
      }
    }
    bytes += section.extended ? decode_percent(value) : std::string(value);
  }
  return to_utf8(charset, bytes).value_or(valid_utf8(bytes));
}

}  // namespace

ParameterizedValue parse_parameters(std::string_view raw) {
  const std::string unfolded = unfold(raw);
  std::string_view rest = unfolded;
  ParameterizedValue parsed;
  const std::size_t value_end = std::min(rest.find(';'), rest.size());
  parsed.value = ascii::to_lower(ascii::trim(rest.substr(0, value_end)));
  rest.remove_prefix(value_end);

  std::vector<Section> sections;
  while (!rest.empty() && sections.size() < kParametersMax) sections.push_back(take_section(rest));
  // Sections of one name together, extended before plain: RFC 2231 4 gives the plain one to older readers only.
  std::stable_sort(sections.begin(), sections.end(), [](const Section& a, const Section& b) {
    return std::tie(a.name, a.plain, a.number) < std::tie(b.name, b.plain, b.number);
  });
  for (auto from = sections.begin(); from != sections.end();) {
    const auto to = std::find_if(from, sections.end(), [&](const Section& s) { return s.name != from->name; });
    const auto same = std::find_if(from, to, [&](const Section& s) { return s.plain != from->plain; });
    if (!from->name.empty()) parsed.parameters.push_back({.name = from->name, .value = join({from, same})});
    from = to;
  }
  return parsed;
}

std::string_view ParameterizedValue::parameter(std::string_view name) const noexcept {
  const auto found =
      std::find_if(parameters.begin(), parameters.end(), [&](const HeaderField& p) { return p.name == name; });
  return found == parameters.end() ? std::string_view() : std::string_view(found->value);
}

}  // namespace mailsbuddy
