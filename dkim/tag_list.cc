// RFC 6376 3.2:
//   tag-list  = tag-spec *( ";" tag-spec ) [ ";" ]
//   tag-spec  = [FWS] tag-name [FWS] "=" [FWS] tag-value [FWS]
//   tag-name  = ALPHA *ALNUMPUNC
//   tag-value = [ tval *( 1*(WSP / FWS) tval ) ]
//   tval      = 1*VALCHAR
//   VALCHAR   = %x21-3A / %x3C-7E            ; and UTF-8 (RFC 8616 4)
//   ALNUMPUNC = ALPHA / DIGIT / "_"
#include "dkim/tag_list.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/ascii.h"
#include "core/base/encoding.h"

namespace mailsbuddy::dkim {
namespace {

Error invalid(std::string detail) { return {ErrorCode::kInvalidArgument, std::move(detail)}; }

bool is_tag_name(std::string_view name) noexcept {
  return !name.empty() && ascii::is_alpha(name.front()) &&
         std::ranges::all_of(name, [](char c) { return ascii::is_alnum(c) || c == '_'; });
}

// Folded white space is WSP, or a CRLF that WSP follows; anything else below space is no part of a value.
bool is_value(std::string_view value) noexcept {
  for (std::size_t i = 0; i < value.size(); ++i) {
    const char c = value[i];
    const bool fold = c == '\r' && i + 2 < value.size() && value[i + 1] == '\n' && ascii::is_wsp(value[i + 2]);
    if (fold) ++i;
    if (!fold && ascii::is_control(c) && c != '\t') return false;
  }
  return true;
}

}  // namespace

Result<TagList> TagList::parse(std::string_view text) {
  TagList list;
  while (true) {
    const std::size_t semicolon = std::min(text.find(';'), text.size());
    const std::string_view spec = ascii::trim(text.substr(0, semicolon));
    const bool last = semicolon == text.size();
    // White space after the last semicolon is not in the grammar, but in many records.
    if (last && spec.empty() && !list.tags_.empty()) return list;
    const std::size_t equals = spec.find('=');
    if (equals == std::string_view::npos) return invalid(fmt::format("tag {} has no \"=\"", list.tags_.size() + 1));
    const Tag tag{.name = ascii::trim(spec.substr(0, equals)), .value = ascii::trim(spec.substr(equals + 1))};
    if (!is_tag_name(tag.name)) return invalid(fmt::format("tag {} has no name", list.tags_.size() + 1));
    if (!is_value(tag.value)) return invalid(fmt::format("{}= has a character that no value may have", tag.name));
    if (list.find(tag.name)) return invalid(fmt::format("{}= stands twice", tag.name));
    if (list.tags_.size() == kTagsMax) return invalid(fmt::format("more than {} tags", kTagsMax));
    list.tags_.push_back(tag);
    if (last) return list;
    text.remove_prefix(semicolon + 1);
  }
}

std::optional<std::string_view> TagList::find(std::string_view name) const noexcept {
  const auto found = std::ranges::find(tags_, name, &Tag::name);
  return found == tags_.end() ? std::nullopt : std::optional(found->value);
}

std::optional<std::string> decode_tag_base64(std::string_view value) {
  std::string text;
  text.reserve(value.size());
  for (const char c : value) {
    if (!ascii::is_space(c)) text += c;
  }
  const std::size_t size = std::min(text.find('='), text.size());
  const std::size_t padding = text.size() - size;
  const bool alphabet = std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(size),
                                    [](char c) { return ascii::is_alnum(c) || c == '+' || c == '/'; });
  const bool padded = padding == 0 || (padding <= 2 && text.size() % 4 == 0 && text.back() == '=');
  if (!alphabet || !padded || size % 4 == 1) return std::nullopt;
  return decode_base64_lenient(text);
}

// RFC 6376 2.11: dkim-safe-char = %x21-3A / %x3C / %x3E-7E; FWS is ignored.
std::optional<std::string> decode_tag_quoted(std::string_view value) {
  std::string bytes;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const char c = value[i];
    if (ascii::is_space(c)) continue;
    if (c == '=') {
      const int high = i + 2 < value.size() ? ascii::hex_value(value[i + 1]) : -1;
      const int low = i + 2 < value.size() ? ascii::hex_value(value[i + 2]) : -1;
      if (high < 0 || low < 0) return std::nullopt;
      bytes += static_cast<char>(high * 16 + low);
      i += 2;
    } else if (c == ';' || ascii::is_control(c)) {
      return std::nullopt;
    } else {
      bytes += c;
    }
  }
  return bytes;
}

void append_tag_quoted(std::string& out, std::string_view bytes, std::string_view also) {
  constexpr std::string_view kHex = "0123456789ABCDEF";  // RFC 6376 2.11: upper case.
  for (const char c : bytes) {
    if (ascii::is_visible(c) && c != ';' && c != '=' && also.find(c) == std::string_view::npos) {
      out += c;
    } else {
      const auto octet = static_cast<unsigned char>(c);
      out += '=';
      out += kHex[octet >> 4];
      out += kHex[octet & 15];
    }
  }
}

std::optional<std::string_view> take_colon_part(std::optional<std::string_view>& list) noexcept {
  if (!list) return std::nullopt;
  const std::size_t colon = list->find(':');
  const std::string_view part = ascii::trim(list->substr(0, colon));
  list = colon == std::string_view::npos ? std::nullopt : std::optional(list->substr(colon + 1));
  return part;
}

}  // namespace mailsbuddy::dkim
