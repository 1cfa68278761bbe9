#include "bounce/report_address.h"

#include <algorithm>

#include "core/base/ascii.h"
#include "mailsbuddy/mail.h"

namespace mailsbuddy::bounce {
namespace {

// Return paths with a signature in them pass RFC 5321's 64 octets; nothing honest passes this.
constexpr std::size_t kLocalMax = 2 * kLocalPartMax;

// RFC 5322 3.2.3 and the dot, and RFC 6532's bytes.
bool is_local(char c) noexcept {
  return ascii::is_alnum(c) || static_cast<unsigned char>(c) >= 0x80 ||
         std::string_view("!#$%&'*+-/=?^_`{|}~.").find(c) != std::string_view::npos;
}

bool is_domain(char c) noexcept {
  return ascii::is_alnum(c) || c == '-' || c == '.' || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

std::size_t local_begin(std::string_view line, std::size_t at) noexcept {
  std::size_t from = at;
  if (at > 0 && line[at - 1] == '"') {  // A quoted string; an opening quote of "ann"@... too.
    const std::size_t open = at > 1 ? line.rfind('"', at - 2) : std::string_view::npos;
    if (open != std::string_view::npos && at - open <= kLocalMax) return open;
    return at;
  }
  while (from > 0 && at - from < kLocalMax && is_local(line[from - 1])) --from;
  // What stands before an address more often than at its beginning.
  while (from < at && std::string_view("'`*=|.&/#?").find(line[from]) != std::string_view::npos) ++from;
  for (const std::string_view key : {"to=", "smtp=", "for=", "rcpt=", "address=", "email=", "recipient="}) {
    if (ascii::istarts_with(line.substr(from, at - from), key)) return from + key.size();
  }
  return from;
}

std::size_t domain_end(std::string_view line, std::size_t at) noexcept {
  if (at < line.size() && line[at] == '[') {
    const std::size_t close = line.find(']', at);
    return close == std::string_view::npos || close - at > kDomainMax ? at : close + 1;
  }
  std::size_t to = at;
  while (to < line.size() && to - at < kDomainMax && is_domain(line[to])) ++to;
  // Sentences in scripts without spaces go on where a domain ends; a domain in one script seldom changes to another.
  if (to > at && ascii::is_alnum(line[at])) {
    const auto other =
        std::find_if(line.begin() + static_cast<std::ptrdiff_t>(at), line.begin() + static_cast<std::ptrdiff_t>(to),
                     [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
    if (other != line.begin() + static_cast<std::ptrdiff_t>(to)) to = static_cast<std::size_t>(other - line.begin());
  }
  while (to > at && !ascii::is_alnum(line[to - 1]) && static_cast<unsigned char>(line[to - 1]) < 0x80) --to;
  return to;
}

bool is_domain_name(std::string_view domain) noexcept {
  if (domain.starts_with('[')) return domain.size() > 2;
  const std::size_t dot = domain.find('.');
  return dot != std::string_view::npos && dot > 0 && domain.find("..") == std::string_view::npos;
}

std::string decode_utf8_escapes(std::string_view text) {  // RFC 6533 3: "\x{HEX}"
  std::string decoded;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t close = text.substr(i).starts_with("\\x{") ? text.find('}', i) : std::string_view::npos;
    if (close == std::string_view::npos || close - i > 9) {
      decoded += text[i++];
      continue;
    }
    std::uint32_t point = 0;
    for (std::size_t h = i + 3; h < close; ++h)
      point = point * 16 + static_cast<std::uint32_t>(std::max(0, ascii::hex_value(text[h])));
    if (point < 0x80) {
      decoded += static_cast<char>(point);
    } else if (point < 0x800) {
      decoded += {static_cast<char>(0xc0 | point >> 6), static_cast<char>(0x80 | (point & 0x3f))};
    } else if (point < 0x10000) {
      decoded += {static_cast<char>(0xe0 | point >> 12), static_cast<char>(0x80 | (point >> 6 & 0x3f)),
                  static_cast<char>(0x80 | (point & 0x3f))};
    } else {
      decoded += {static_cast<char>(0xf0 | (point >> 18 & 7)), static_cast<char>(0x80 | (point >> 12 & 0x3f)),
                  static_cast<char>(0x80 | (point >> 6 & 0x3f)), static_cast<char>(0x80 | (point & 0x3f))};
    }
    i = close + 1;
  }
  return decoded;
}

}  // namespace

std::optional<FoundAddress> next_address(std::string_view line, std::size_t from) noexcept {
  for (std::size_t at = line.find('@', from); at != std::string_view::npos; at = line.find('@', at + 1)) {
    const std::size_t begin = std::max(local_begin(line, at), from);
    const std::size_t end = domain_end(line, at + 1);
    const std::string_view local = line.substr(begin, at - begin);
    if (local.empty() || local.find("//") != std::string_view::npos) continue;
    if (begin > 2 && line.substr(begin - 3, 3) == "://") continue;
    if (!is_domain_name(line.substr(at + 1, end - at - 1))) continue;
    return FoundAddress{.text = line.substr(begin, end - begin), .from = begin, .to = end};
  }
  return std::nullopt;
}

std::string typed_address(std::string_view value) {
  const std::size_t semicolon = value.find(';');
  if (semicolon != std::string_view::npos &&
      value.substr(0, semicolon).find_first_of("@<\"") == std::string_view::npos) {
    value.remove_prefix(semicolon + 1);
  }
  value = ascii::trim(value);
  if (value.empty()) return {};
  std::string text = value.find("\\x{") == std::string_view::npos ? std::string(value) : decode_utf8_escapes(value);
  if (text.starts_with('@'))
    text.erase(0, text.find(':') == std::string::npos ? 1 : text.find(':') + 1);  // A source route.
  if (const auto found = next_address(text, 0)) return std::string(found->text);
  std::erase_if(text, [](char c) { return c == '<' || c == '>' || c == '"' || ascii::is_control(c); });
  return std::string(ascii::trim(text.substr(0, kAddressMax)));
}

bool same_address(std::string_view a, std::string_view b) noexcept { return ascii::iequals(a, b); }

}  // namespace mailsbuddy::bounce
