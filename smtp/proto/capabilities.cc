// RFC 5321 4.1.1.1:
//   ehlo-line    = ehlo-keyword *( SP ehlo-param )
//   ehlo-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")   ; in any letter case
//   auth-line    = "AUTH" 1*( SP mechanism )                ; RFC 4954 3; "AUTH=" of servers older than that too
//   limits-line  = "LIMITS" *( SP name "=" value )          ; RFC 9422 4
#include "smtp/proto/capabilities.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "core/base/ascii.h"

namespace mailsbuddy::smtp {
namespace {

struct Row {
  std::string_view keyword;
  bool Capabilities::*offered;
};

constexpr std::array kKeywords = {
    Row{"PIPELINING", &Capabilities::pipelining},
    Row{"8BITMIME", &Capabilities::eight_bit_mime},
    Row{"SMTPUTF8", &Capabilities::smtputf8},
    Row{"ENHANCEDSTATUSCODES", &Capabilities::enhanced_status_codes},
    Row{"STARTTLS", &Capabilities::start_tls},
    Row{"CHUNKING", &Capabilities::chunking},
    Row{"SIZE", &Capabilities::size},
    Row{"DSN", &Capabilities::dsn},
    Row{"REQUIRETLS", &Capabilities::require_tls},
};

constexpr std::array kMechanisms = {
    Row{"PLAIN", &Capabilities::auth_plain},
    Row{"LOGIN", &Capabilities::auth_login},
    Row{"XOAUTH2", &Capabilities::auth_xoauth2},
};

struct LimitRow {
  std::string_view name;
  std::uint64_t Capabilities::*limit;
};

constexpr std::array kLimits = {
    LimitRow{"MAILMAX", &Capabilities::mails_max},
    LimitRow{"RCPTMAX", &Capabilities::recipients_max},
    LimitRow{"RCPTDOMAINMAX", &Capabilities::recipient_domains_max},
};

// The next word off the front of `text`; empty: the end.
std::string_view take_word(std::string_view& text) noexcept {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  const std::string_view word = text.substr(0, text.find_first_of(" \t"));
  text.remove_prefix(word.size());
  return word;
}

// 1*20DIGIT (RFC 1870 4, RFC 9422 4.1). 0, missing or unreadable: no limit stated.
std::uint64_t number(std::string_view param) noexcept {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(param.data(), param.data() + param.size(), value);
  return error == std::errc{} ? value : 0;
}

template <class Rows>
void note(const Rows& rows, std::string_view word, Capabilities& found) noexcept {
  for (const Row& row : rows) {
    if (ascii::iequals(word, row.keyword)) found.*row.offered = true;
  }
}

void note_limit(std::string_view word, Capabilities& found) noexcept {
  const std::size_t equals = std::min(word.find('='), word.size());
  for (const LimitRow& row : kLimits) {
    if (equals < word.size() && ascii::iequals(word.substr(0, equals), row.name))
      found.*row.limit = number(word.substr(equals + 1));
  }
}

void note_line(std::string_view line, Capabilities& found) noexcept {
  const std::string_view keyword = take_word(line);
  note(kKeywords, keyword, found);
  if (ascii::iequals(keyword, "SIZE")) {
    found.size_max = number(take_word(line));
  } else if (ascii::iequals(keyword, "LIMITS")) {
    for (std::string_view word = take_word(line); !word.empty(); word = take_word(line)) note_limit(word, found);
  } else if (ascii::istarts_with(keyword, "AUTH") && (keyword.size() == 4 || keyword[4] == '=')) {
    note(kMechanisms, keyword.substr(std::min<std::size_t>(5, keyword.size())), found);
    for (std::string_view word = take_word(line); !word.empty(); word = take_word(line)) note(kMechanisms, word, found);
  }
}

}  // namespace

Capabilities parse_capabilities(std::string_view text) noexcept {
  Capabilities found;
  found.esmtp = true;
  std::size_t at = text.find('\n');
  while (at != std::string_view::npos) {
    const std::size_t end = text.find('\n', at + 1);
    note_line(text.substr(at + 1, end - at - 1), found);
    at = end;
  }
  return found;
}

}  // namespace mailsbuddy::smtp
