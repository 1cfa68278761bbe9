// RFC 5321 4.2:
//   Reply-line  = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF
//   Reply-code  = %x32-35 %x30-35 %x30-39
//   textstring  = 1*(%d09 / %d32-126)
// More liberal than that: a bare LF ends a line, the second digit may be any, the text may hold any octet; control
// characters in it become "?", so that a reply can be logged as it is.
// RFC 3463 2:
//   status-code = class "." subject "." detail ; class "2" / "4" / "5", the others 1*3digit
#include "smtp/proto/reply_parser.h"

#include <span>

namespace mailsbuddy::smtp {
namespace {

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool is_space(char c) noexcept { return c == ' ' || c == '\t'; }

// 1*3digit off the front of `text`.
std::optional<std::uint16_t> take_number(std::string_view& text) noexcept {
  std::size_t digits = 0;
  std::uint16_t value = 0;
  while (digits < text.size() && is_digit(text[digits])) {
    if (digits == 3) return std::nullopt;
    value = static_cast<std::uint16_t>(value * 10 + (text[digits] - '0'));
    ++digits;
  }
  if (digits == 0) return std::nullopt;
  text.remove_prefix(digits);
  return value;
}

bool take(std::string_view& text, char c) noexcept {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

// Reply-code; 0 when there is none.
int code_of(std::string_view line) noexcept {
  if (line.size() < 3 || line[0] < '2' || line[0] > '5' || !is_digit(line[1]) || !is_digit(line[2])) return 0;
  return (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
}

}  // namespace

std::optional<EnhancedCode> take_enhanced_code(std::string_view& text, int klass) noexcept {
  std::string_view rest = text;
  if ((klass != 2 && klass != 4 && klass != 5) || !take(rest, static_cast<char>('0' + klass)) || !take(rest, '.')) {
    return std::nullopt;
  }
  const auto subject = take_number(rest);
  if (!subject || !take(rest, '.')) return std::nullopt;
  const auto detail = take_number(rest);
  if (!detail || !(rest.empty() || is_space(rest.front()))) return std::nullopt;
  while (!rest.empty() && is_space(rest.front())) rest.remove_prefix(1);
  text = rest;
  return EnhancedCode{static_cast<std::uint8_t>(klass), *subject, *detail};
}

ReplyParser::Status ReplyParser::parse(std::string_view& bytes, bool enhanced) {
  while (error_.empty()) {
    const std::size_t end = bytes.find('\n');
    const std::size_t count = end == std::string_view::npos ? bytes.size() : end + 1;
    if (line_.size() + count > kReplyLineMax) return fail("reply line too long");
    if (end == std::string_view::npos) {
      line_.append(bytes);
      bytes = {};
      return Status::kMore;
    }
    std::string_view line = bytes.substr(0, end);
    bytes.remove_prefix(count);
    if (!line_.empty()) line = line_.append(line);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    const Status status = on_line(line, enhanced);
    line_.clear();
    if (status != Status::kMore) return status;
  }
  return Status::kError;
}

ReplyParser::Status ReplyParser::on_line(std::string_view line, bool enhanced) {
  const int code = code_of(line);
  if (code == 0) return fail("not an SMTP reply");
  if (lines_ == 0) {
    reply_.code = code;
    reply_.enhanced.reset();
    reply_.text.clear();
    bytes_ = 0;
  }
  if (code != reply_.code) return fail("reply lines with different codes");
  if (++lines_ > kReplyLinesMax) return fail("reply with too many lines");
  bytes_ += line.size();
  if (bytes_ > kReplyBytesMax) return fail("reply too long");
  const char separator = line.size() > 3 ? line[3] : ' ';
  if (separator != ' ' && separator != '-') return fail("not an SMTP reply");

  std::string_view text = line.substr(line.size() > 3 ? 4 : 3);
  if (enhanced || code >= 400) {
    // Servers repeat the code on every line; only a repetition of the first is dropped from the text.
    std::string_view rest = text;
    const auto found = take_enhanced_code(rest, code / 100);
    if (found && (!reply_.enhanced || *found == *reply_.enhanced)) {
      reply_.enhanced = found;
      text = rest;
    }
  }
  append_text(text);
  if (separator == '-') return Status::kMore;
  lines_ = 0;
  return Status::kReply;
}

void ReplyParser::append_text(std::string_view text) {
  if (lines_ > 1) reply_.text += '\n';
  const std::size_t before = reply_.text.size();
  reply_.text.append(text);  // As a whole: most have nothing to be replaced.
  for (char& c : std::span(reply_.text).subspan(before)) {
    const auto octet = static_cast<unsigned char>(c);
    c = (octet < 0x20 && c != '\t') || octet == 0x7f ? '?' : c;
  }
}

ReplyParser::Status ReplyParser::fail(std::string_view why) noexcept {
  error_ = why;
  return Status::kError;
}

}  // namespace mailsbuddy::smtp
