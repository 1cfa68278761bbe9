#include "core/mail/liquid_utf8.h"

#include <cstdint>
#include <cstring>

#include "core/base/ascii.h"

namespace mailsbuddy::liquid {

std::size_t utf8_first(std::string_view text) noexcept {
  const auto lead = static_cast<unsigned char>(text.front());
  const std::size_t size = lead < 0xc2 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 1;
  if (size > text.size()) return 1;
  for (std::size_t i = 1; i < size; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) return 1;
  }
  return size;
}

std::size_t utf8_length(std::string_view text) noexcept {
  std::size_t length = 0;
  for (; !text.empty(); text.remove_prefix(utf8_first(text))) ++length;
  return length;
}

std::string_view utf8_prefix(std::string_view text, std::size_t characters) noexcept {
  std::size_t end = 0;
  for (; characters > 0 && end < text.size(); --characters) end += utf8_first(text.substr(end));
  return text.substr(0, end);
}

namespace {

// Capitals `first` to `last` (by `step`) and their small letters `distance` further on. Unicode Character Database,
// simple case mappings. In the blocks with step 2 capital and small letter alternate.
struct CaseRange {
  std::uint32_t first;
  std::uint32_t last;
  std::uint32_t distance;
  std::uint32_t step;
};
constexpr CaseRange kCaseRanges[] = {
    {0xc0, 0xd6, 32, 1},   {0xd8, 0xde, 32, 1},                                                   // Latin-1
    {0x100, 0x12e, 1, 2},  {0x132, 0x136, 1, 2},  {0x139, 0x147, 1, 2},                           // Latin Extended-A
    {0x14a, 0x176, 1, 2},  {0x179, 0x17d, 1, 2},  {0x218, 0x21a, 1, 2},                           // and S, T with comma
    {0x386, 0x386, 38, 1}, {0x388, 0x38a, 37, 1}, {0x38c, 0x38c, 64, 1},  {0x38e, 0x38f, 63, 1},  // Greek
    {0x391, 0x3a1, 32, 1}, {0x3a3, 0x3ab, 32, 1},                                                 //
    {0x400, 0x40f, 80, 1}, {0x410, 0x42f, 32, 1}, {0x460, 0x480, 1, 2},   {0x48a, 0x4be, 1, 2},   // Cyrillic
    {0x4d0, 0x52e, 1, 2},  {0x531, 0x556, 48, 1}, {0x1e00, 0x1e94, 1, 2}, {0x1ea0, 0x1efe, 1, 2},  // Armenian, Latin
};

std::uint32_t convert(std::uint32_t c, LetterCase to) noexcept {
  if (to == LetterCase::kUpper && c == 0xff) return 0x178;
  if (to == LetterCase::kLower && c == 0x178) return 0xff;
  if (to == LetterCase::kUpper && c == 0x3c2) return 0x3a3;  // Final sigma.
  for (const CaseRange& range : kCaseRanges) {
    const std::uint32_t offset = to == LetterCase::kLower ? 0 : range.distance;
    if (c < range.first + offset || c > range.last + offset || (c - range.first - offset) % range.step != 0) continue;
    return to == LetterCase::kLower ? c + range.distance : c - range.distance;
  }
  return c;
}

}  // namespace

std::size_t utf8_convert(std::string_view character, LetterCase to, char* out) noexcept {
  if (character.size() == 1) {
    *out = to == LetterCase::kUpper ? ascii::to_upper(character[0]) : ascii::to_lower(character[0]);
    return 1;
  }
  std::memcpy(out, character.data(), character.size());
  if (character.size() > 3) return character.size();
  const auto octet = [&](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(character[i]));
  };
  const bool two = character.size() == 2;
  const std::uint32_t from = two ? (octet(0) & 0x1f) << 6 | (octet(1) & 0x3f)
                                 : (octet(0) & 0x0f) << 12 | (octet(1) & 0x3f) << 6 | (octet(2) & 0x3f);
  const std::uint32_t c = convert(from, to);
  if (c == from) return character.size();
  // Of the ranges above, none crosses from two octets to three or back.
  if (two) {
    out[0] = static_cast<char>(0xc0 | c >> 6);
    out[1] = static_cast<char>(0x80 | (c & 0x3f));
  } else {
    out[0] = static_cast<char>(0xe0 | c >> 12);
    out[1] = static_cast<char>(0x80 | (c >> 6 & 0x3f));
    out[2] = static_cast<char>(0x80 | (c & 0x3f));
  }
  return character.size();
}

}  // namespace mailsbuddy::liquid
