// RFC 5322 3.4, as read:
//
//   mailbox    = name-addr / addr-spec
//   name-addr  = [display-name] "<" addr-spec ">"
//   display-name = *( atom / quoted-string / "." / encoded-word )   ; "." is obs-phrase
//   comment    = "(" *( ctext / quoted-pair / comment ) ")"         ; anywhere between the others, ignored
#include <algorithm>

#include "core/base/ascii.h"
#include "core/base/encoding.h"
#include "core/mail/header.h"
#include "mailsbuddy/mail.h"

namespace mailsbuddy {
namespace {

constexpr std::size_t kCommentDepthMax = 16;  // Deeper ones exist in attacks alone.

Error invalid(std::string_view why) { return {ErrorCode::kInvalidArgument, "mailbox: " + std::string(why)}; }

// Takes a quoted string off the front of `rest`, quotes and all.
std::optional<std::string_view> take_quoted(std::string_view& rest) {
  for (std::size_t i = 1; i < rest.size(); ++i) {
    if (rest[i] == '\\') {
      ++i;
    } else if (rest[i] == '"') {
      const std::string_view quoted = rest.substr(0, i + 1);
      rest.remove_prefix(i + 1);
      return quoted;
    }
  }
  return std::nullopt;
}

std::string unquote(std::string_view quoted) {
  quoted.remove_prefix(1);
  quoted.remove_suffix(1);
  std::string content;
  for (std::size_t i = 0; i < quoted.size(); ++i) {
    if (quoted[i] == '\\' && i + 1 < quoted.size()) ++i;
    content.push_back(quoted[i]);
  }
  return content;
}

bool skip_comment(std::string_view& rest) {
  std::size_t depth = 0;
  for (std::size_t i = 0; i < rest.size(); ++i) {
    if (rest[i] == '\\')
      ++i;
    else if (rest[i] == '(' && ++depth > kCommentDepthMax)
      return false;
    else if (rest[i] == ')' && --depth == 0) {
      rest.remove_prefix(i + 1);
      return true;
    }
  }
  return false;
}

// What stands before, in and after the angle brackets, comments taken out. Without brackets all is `before`.
struct Pieces {
  std::string before, address, after;
  std::string name;  // `before` with quoted strings unquoted.
  bool bracketed = false;
};

void add_word(std::string& name, std::string_view word) {
  if (!name.empty()) name += ' ';
  name += word;
}

// Encoded words mean something outside quotes alone; white space between words counts as one space.
void add_unquoted(std::string& name, std::string_view run) {
  std::string words;
  for (std::string_view rest = ascii::trim(run); !rest.empty(); rest = ascii::trim(rest)) {
    const std::size_t end = std::min(rest.find_first_of(" \t\r\n"), rest.size());
    add_word(words, rest.substr(0, end));
    rest.remove_prefix(end);
  }
  if (!words.empty()) add_word(name, decode_header(words));
}

Result<Pieces> take_apart(std::string_view text) {
  Pieces pieces;
  std::string run;  // Of unquoted words of the name.
  std::string* piece = &pieces.before;
  while (!text.empty()) {
    const char c = text.front();
    if (c == '(') {
      if (!skip_comment(text)) return invalid("a comment without its end");
      piece->push_back(' ');
      if (piece == &pieces.before) run.push_back(' ');
      continue;
    }
    if (c == '"') {
      const auto quoted = take_quoted(text);
      if (!quoted) return invalid("no closing quote");
      piece->append(*quoted);
      if (piece == &pieces.before) {
        add_unquoted(pieces.name, run);
        run.clear();
        add_word(pieces.name, unquote(*quoted));
      }
      continue;
    }
    text.remove_prefix(1);
    if (c == '<') {
      if (pieces.bracketed) return invalid("two addresses in angle brackets");
      pieces.bracketed = true;
      piece = &pieces.address;
    } else if (c == '>' && piece == &pieces.address) {
      piece = &pieces.after;
    } else {
      piece->push_back(c);
      if (piece == &pieces.before) run.push_back(c);
    }
  }
  if (piece == &pieces.address) return invalid("no closing angle bracket");
  add_unquoted(pieces.name, run);
  return pieces;
}

bool is_phrase_char(char c) noexcept {
  return ascii::is_alnum(c) || std::string_view(" !#$%&'*+-/=?^_`{|}~").find(c) != std::string_view::npos;
}

}  // namespace

Result<NamedAddress> NamedAddress::parse(std::string_view text) {
  if (!is_valid_utf8(text)) return invalid("not UTF-8");
  auto pieces = take_apart(text);
  if (!pieces) return std::move(pieces).error();
  if (!ascii::trim(pieces->after).empty()) return invalid("text after the address");
  auto address = Address::parse(ascii::trim(pieces->bracketed ? pieces->address : pieces->before));
  if (!address) return std::move(address).error();
  if (!pieces->bracketed) return NamedAddress{.name = {}, .address = *std::move(address)};
  for (char& c : pieces->name) {
    if (ascii::is_control(c)) c = ' ';
  }
  return NamedAddress{.name = std::string(ascii::trim(pieces->name)), .address = *std::move(address)};
}

std::string NamedAddress::header_value() const {
  std::string value;
  // "=?" would be read as an encoded word; two spaces in a row, or one at an end, would be lost outside quotes.
  const bool encode = !is_ascii(name) || name.find("=?") != std::string::npos;
  const bool plain = std::all_of(name.begin(), name.end(), is_phrase_char) && name.find("  ") == std::string::npos &&
                     !name.starts_with(' ') && !name.ends_with(' ');
  if (name.empty()) return address.str();
  if (encode) {
    append_encoded_words(value, name);
  } else if (plain) {
    value = name;
  } else {
    value += '"';
    for (const char c : name) {
      if (c == '"' || c == '\\') value += '\\';
      value += ascii::is_control(c) ? ' ' : c;
    }
    value += '"';
  }
  return value + " <" + address.str() + ">";
}

}  // namespace mailsbuddy
