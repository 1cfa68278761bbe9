#include "smtp/proto/command_parser.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "core/base/ascii.h"

namespace mailsbuddy::smtp {
namespace {

struct VerbRow {
  Verb verb;
  std::string_view name;
};
constexpr std::array kVerbs = {
    VerbRow{Verb::kEhlo, "EHLO"},         VerbRow{Verb::kHelo, "HELO"}, VerbRow{Verb::kMail, "MAIL"},
    VerbRow{Verb::kRcpt, "RCPT"},         VerbRow{Verb::kData, "DATA"}, VerbRow{Verb::kBdat, "BDAT"},
    VerbRow{Verb::kRset, "RSET"},         VerbRow{Verb::kNoop, "NOOP"}, VerbRow{Verb::kQuit, "QUIT"},
    VerbRow{Verb::kStartTls, "STARTTLS"}, VerbRow{Verb::kAuth, "AUTH"}, VerbRow{Verb::kXclient, "XCLIENT"},
    VerbRow{Verb::kVrfy, "VRFY"},         VerbRow{Verb::kExpn, "EXPN"}, VerbRow{Verb::kHelp, "HELP"},
};
static_assert(kVerbs.size() == static_cast<std::size_t>(Verb::kUnknown));

void skip_spaces(std::string_view& text) noexcept {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
}

// The length of the path at the front of `text`, with both brackets; 0: none. In a quoted local part ">" ends nothing.
std::size_t path_length(std::string_view text) noexcept {
  bool quoted = false;
  bool escaped = false;  // After a backslash in a quoted string.
  for (std::size_t i = 1; i < text.size(); ++i) {
    const char c = text[i];
    if (ascii::is_control(c) || (c == ' ' && !quoted)) return 0;
    if (c == '>' && !quoted) return i + 1;
    if (c == '"' && !escaped) quoted = !quoted;
    escaped = quoted && c == '\\' && !escaped;
  }
  return 0;
}

// The "@" that parts local part and domain: the last one, since a domain has none.
bool is_mailbox(std::string_view text) noexcept {
  const std::size_t at = text.rfind('@');
  return at != std::string_view::npos && at != 0 && at + 1 != text.size() &&
         text.find_first_of(" \"<>\\", at) == std::string_view::npos;
}

}  // namespace

Command parse_command(std::string_view line) noexcept {
  const std::string_view name = line.substr(0, line.find(' '));
  std::string_view argument = line.substr(name.size());
  skip_spaces(argument);
  argument = argument.substr(0, argument.find_last_not_of(' ') + 1);
  const auto* const row =
      std::find_if(kVerbs.begin(), kVerbs.end(), [&](const VerbRow& r) { return ascii::iequals(r.name, name); });
  return {row == kVerbs.end() ? Verb::kUnknown : row->verb, argument};
}

std::optional<Path> take_path(std::string_view& argument, std::string_view keyword, bool postmaster) noexcept {
  if (!ascii::iequals(argument.substr(0, keyword.size()), keyword)) return std::nullopt;
  std::string_view rest = argument.substr(keyword.size());
  skip_spaces(rest);
  if (rest.empty() || rest.front() != '<') return std::nullopt;
  const std::size_t length = path_length(rest);
  if (length == 0 || length > kPathMax) return std::nullopt;

  Path path{rest.substr(1, length - 2), true};
  if (!path.mailbox.empty() && path.mailbox.front() == '@') {
    const std::size_t colon = path.mailbox.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    path.mailbox.remove_prefix(colon + 1);
    if (path.mailbox.empty()) return std::nullopt;
  }
  const bool bare = postmaster ? ascii::iequals(path.mailbox, "postmaster") : path.mailbox.empty();
  if (!bare && !is_mailbox(path.mailbox)) return std::nullopt;
  path.ascii = std::none_of(path.mailbox.begin(), path.mailbox.end(), [](char c) { return (c & 0x80) != 0; });

  rest.remove_prefix(length);
  if (!rest.empty() && rest.front() != ' ') return std::nullopt;
  skip_spaces(rest);
  argument = rest;
  return path;
}

Parameter take_parameter(std::string_view& parameters) noexcept {
  const std::string_view whole = parameters.substr(0, parameters.find(' '));
  parameters.remove_prefix(whole.size());
  skip_spaces(parameters);
  const std::size_t equals = whole.find('=');
  if (equals == std::string_view::npos) return {whole, {}};
  return {whole.substr(0, equals), whole.substr(equals + 1)};
}

std::optional<std::uint64_t> parse_size(std::string_view digits) noexcept {
  std::uint64_t value = 0;
  const char* const end = digits.data() + digits.size();
  const auto [at, error] = std::from_chars(digits.data(), end, value);
  if (digits.empty() || digits.size() > 20 || error != std::errc{} || at != end) return std::nullopt;
  return value;
}

}  // namespace mailsbuddy::smtp
