// liquid_utf8.h - texts counted, cut and put in another letter case by characters (code points), whatever the locale.
// Bytes that are not UTF-8 count as one character each and stay as they are.
#pragma once

#include <cstddef>
#include <string_view>

namespace mailsbuddy::liquid {

// Octets of the first character of `text`, which is not empty: 1 to 4.
std::size_t utf8_first(std::string_view text) noexcept;
std::size_t utf8_length(std::string_view text) noexcept;                               // In characters.
std::string_view utf8_prefix(std::string_view text, std::size_t characters) noexcept;  // All of it if it has fewer.

// The other letter case of one character, of the alphabets that have a simple one in Latin-1, Latin Extended-A, Greek,
// Cyrillic and Armenian; others stay. Written to `out`, which has room for 4 octets; returns how many.
enum class LetterCase { kUpper, kLower };
std::size_t utf8_convert(std::string_view character, LetterCase to, char* out) noexcept;

}  // namespace mailsbuddy::liquid
