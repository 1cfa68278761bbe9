// SMTP replies as reports quote them, anywhere in a text:
//
//   reply = code ( SP / "-" / ":" ) [ enhanced ] words      ; RFC 5321 4.2, RFC 2034 4
#include <algorithm>

#include "bounce/report.h"
#include "core/base/ascii.h"

namespace mailsbuddy::bounce {
namespace {

bool is_word(char c) noexcept { return ascii::is_alnum(c) || static_cast<unsigned char>(c) >= 0x80; }

std::string_view strip_front(std::string_view text, std::string_view characters) noexcept {
  text.remove_prefix(std::min(text.find_first_not_of(characters), text.size()));
  return text;
}

bool digits_at(std::string_view text, std::size_t at, std::size_t count) noexcept {
  return at + count <= text.size() && std::ranges::all_of(text.substr(at, count), ascii::is_digit);
}

struct FoundCode {
  int code = 0;
  std::size_t from = std::string_view::npos;
  std::size_t to = 0;
};

// The first 4yz or 5yz, or only those of that first digit, that a text goes on after.
FoundCode find_code(std::string_view text, char digit) noexcept {
  for (std::size_t at = text.find(digit); at != std::string_view::npos; at = text.find(digit, at + 1)) {
    if (!digits_at(text, at, 3) || text[at + 1] > '7') continue;
    const char before = at == 0 ? ' ' : text[at - 1];
    if (is_word(before) || std::string_view(".-_/@=,$").find(before) != std::string_view::npos) continue;
    const std::string_view after = text.substr(at + 3);
    if (!after.empty() && !ascii::is_space(after.front()) && after.front() != '-' && after.front() != '\'' &&
        std::string_view(":#;,").find(after.front()) == std::string_view::npos)
      continue;
    if (before == ':' && after.starts_with(':')) continue;  // A time or an IPv6 address.
    const std::string_view word = ascii::trim(after.substr(0, 12));
    if (ascii::istarts_with(word, "kb") || ascii::istarts_with(word, "mb") || ascii::istarts_with(word, "bytes") ||
        ascii::istarts_with(word, "attempt")) {
      continue;
    }
    return {(text[at] - '0') * 100 + (text[at + 1] - '0') * 10 + text[at + 2] - '0', at, at + 3};
  }
  return {};
}

std::size_t take_digits(std::string_view text, std::size_t at, int& number) noexcept {
  std::size_t end = at;
  number = 0;
  for (; end < text.size() && end < at + 3 && ascii::is_digit(text[end]); ++end) number = number * 10 + text[end] - '0';
  return end < text.size() && ascii::is_digit(text[end]) ? at : end;  // More than three: none.
}

struct FoundStatus {
  std::optional<EnhancedCode> status;
  std::size_t to = 0;
};

// An enhanced code at `at`: "5.1.1".
FoundStatus status_at(std::string_view text, std::size_t at) noexcept {
  if (at + 4 >= text.size() || (text[at] != '4' && text[at] != '5' && text[at] != '2') || text[at + 1] != '.')
    return {};
  int subject = 0;
  int detail = 0;
  const std::size_t dot = take_digits(text, at + 2, subject);
  if (dot == at + 2 || dot >= text.size() || text[dot] != '.') return {};
  const std::size_t end = take_digits(text, dot + 1, detail);
  if (end == dot + 1 ||
      (end < text.size() && (is_word(text[end]) || (text[end] == '.' && digits_at(text, end + 1, 1)))))
    return {};
  return {EnhancedCode{static_cast<std::uint8_t>(text[at] - '0'), static_cast<std::uint16_t>(subject),
                       static_cast<std::uint16_t>(detail)},
          end};
}

FoundStatus find_status(std::string_view text) noexcept {
  for (std::size_t at = text.find('.'); at != std::string_view::npos; at = text.find('.', at + 1)) {
    if (at == 0 || (at > 1 && (is_word(text[at - 2]) || text[at - 2] == '.'))) continue;
    if (FoundStatus found = status_at(text, at - 1); found.status) return found;
  }
  return {};
}

}  // namespace

Reply reply_in(std::string_view text, std::size_t text_max) {
  text = ascii::trim(text);
  Reply reply;
  FoundCode code = find_code(text, '5');
  if (code.code == 0) code = find_code(text, '4');
  reply.code = code.code;
  std::string_view said = code.code == 0 ? text : strip_front(text.substr(code.to), " -\t#'");
  if (FoundStatus first = status_at(said, 0); first.status) {
    reply.enhanced = first.status;
    said = strip_front(said.substr(first.to), " -\t:");
  } else {
    reply.enhanced = find_status(said).status;
    if (!reply.enhanced && code.code != 0) reply.enhanced = find_status(text.substr(0, code.from)).status;
  }
  reply.text = said.substr(0, text_max);
  return reply;
}

}  // namespace mailsbuddy::bounce
