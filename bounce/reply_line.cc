// RFC 5321 4.2 and RFC 3464 2.3.6, on one line, as logs and reports have them:
//   line       = [ atom ";" ] [ *CHAR ": " ] [ code ( SP / "-" ) ] text
//   code       = %x32-35 2DIGIT
// A text may have further codes where the server's lines began ("550-Sorry 550 no such user"); they stay in it, since
// only one who knows the words could tell them from numbers, and fold() passes over them.
#include "bounce/fold.h"
#include "core/base/ascii.h"
#include "mailsbuddy/bounce.h"

namespace mailsbuddy::bounce {
namespace {

// The code `text` begins with; 0: none. One that ends where the text does counts.
int leading_code(std::string_view text) noexcept {
  if (text.size() < 3 || text[0] < '2' || text[0] > '5' || !ascii::is_digit(text[1]) || !ascii::is_digit(text[2]))
    return 0;
  if (text.size() > 3 && std::string_view(" -;:\t").find(text[3]) == std::string_view::npos) return 0;
  return (text[0] - '0') * 100 + (text[1] - '0') * 10 + text[2] - '0';
}

// "smtp; 550 ..."
std::string_view without_type(std::string_view line) noexcept {
  const std::size_t semicolon = line.find(';');
  if (semicolon == std::string_view::npos || semicolon == 0 || leading_code(line) != 0) return line;
  for (const char c : line.substr(0, semicolon)) {
    if (!ascii::is_alnum(c) && c != '-') return line;
  }
  const std::string_view rest = ascii::trim(line.substr(semicolon + 1));
  return leading_code(rest) != 0 || ascii::iequals(line.substr(0, semicolon), "smtp") ? rest : line;
}

// "host mx.example.net[192.0.2.1] said: 550 ...", "Remote host said: 550 ...": Postfix, qmail and others, quoting;
// "5.1.0 - Unknown address error 550-'...'": Cisco, whose own words before it are the same for any 550.
std::string_view from_quoted(std::string_view line) noexcept {
  if (leading_code(line) != 0) return line;
  for (const std::string_view lead : {": ", " error "}) {
    for (std::size_t at = line.find(lead); at != std::string_view::npos; at = line.find(lead, at + 1)) {
      const std::string_view rest = line.substr(at + lead.size());
      if (leading_code(rest) >= 400 && rest.size() > 3 && (rest[3] == ' ' || rest[3] == '-')) return rest;
    }
  }
  return line;
}

// "220-laposte 421 4.2.1 Service refused": the greeting's beginning is not what refused.
std::string_view from_refusal(std::string_view line) noexcept {
  const int code = leading_code(line);
  if (code == 0 || code >= 400) return line;
  for (std::size_t at = line.find(' '); at != std::string_view::npos; at = line.find(' ', at + 1)) {
    const std::string_view rest = line.substr(at + 1);
    if (leading_code(rest) >= 400 && rest.size() > 5 && (rest[5] == '.' || rest[3] == '-')) return rest;
  }
  return line;
}

std::optional<Stage> stage_named_in(std::string_view text) noexcept {
  struct Row {
    std::string_view words;
    Stage stage;
  };
  // Postfix, Sendmail and Exim say after which command they were refused.
  static constexpr Row kRows[] = {
      {"end of DATA", Stage::kFinalDot}, {"DATA", Stage::kData}, {"RCPT", Stage::kRcptTo}, {"MAIL", Stage::kMailFrom},
      {"STARTTLS", Stage::kStartTls},    {"AUTH", Stage::kAuth}, {"EHLO", Stage::kEhlo},   {"HELO", Stage::kEhlo},
  };
  static constexpr std::string_view kLeads[] = {"in reply to ", "after ", "response to "};
  for (const std::string_view lead : kLeads) {
    for (std::size_t at = text.find(lead); at != std::string_view::npos; at = text.find(lead, at + 1)) {
      const std::string_view rest = text.substr(at + lead.size());
      for (const Row& row : kRows) {
        if (rest.starts_with(row.words)) return row.stage;
      }
    }
  }
  return std::nullopt;
}

}  // namespace

Reply parse_reply_line(std::string_view line) {
  line = without_type(ascii::trim(line));
  if (line.starts_with('#')) line.remove_prefix(1);  // Exchange: "#550 5.1.1 ... ##".
  line = from_refusal(from_quoted(line));
  Reply reply;
  reply.code = leading_code(line);
  if (reply.code != 0) line.remove_prefix(std::min<std::size_t>(line.size(), 4));
  const int klass = reply.code == 0 ? 5 : reply.code / 100;
  reply.enhanced = find_status(line, klass);
  // "421 5.7.32", "551 4.7.18": they exist.
  if (!reply.enhanced && klass >= 4) reply.enhanced = find_status(line, 9 - klass);
  line = ascii::trim(line);
  if (reply.enhanced) {
    if (const std::string status = reply.enhanced->str(); line.starts_with(status)) line.remove_prefix(status.size());
  }
  reply.text = ascii::trim(line);
  return reply;
}

Stage likely_stage(const Reply& reply) noexcept {
  if (const auto named = stage_named_in(reply.text)) return *named;
  const bool about_sender =
      reply.enhanced && reply.enhanced->subject == 1 && (reply.enhanced->detail == 7 || reply.enhanced->detail == 8);
  return about_sender ? Stage::kMailFrom : Stage::kRcptTo;
}

}  // namespace mailsbuddy::bounce
