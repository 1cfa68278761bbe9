#include "bounce/fold.h"

#include <algorithm>

namespace mailsbuddy::bounce {
namespace folding {
namespace {

constexpr unsigned octet_at(std::string_view text, std::size_t at) noexcept {
  return at < text.size() ? static_cast<unsigned char>(text[at]) : 0U;
}
constexpr bool continues(unsigned octet) noexcept { return (octet & 0xC0U) == 0x80U; }

Folded letter(std::uint8_t taken, char base) noexcept {
  return base == ' ' ? Folded{.taken = taken} : Folded{.taken = taken, .becomes = Folded::kLetter, .letter = {base, 0}};
}

// By place in kLatin. Sharp s is two letters, as people write it who have none.
Folded latin(std::uint8_t taken, std::size_t place) noexcept {
  constexpr std::size_t kSharpS = 0xDF - 0xC0;
  if (place == kSharpS) return {.taken = taken, .becomes = Folded::kLetter, .letter = {'s', 's'}, .letters = 2};
  return letter(taken, kLatin[place]);
}

// U+0400 to U+047F: capitals, and io, become small letters of the common 32.
Folded cyrillic(unsigned first, unsigned second) noexcept {
  unsigned point = (first & 0x1FU) << 6U | (second & 0x3FU);
  if (point >= 0x410 && point <= 0x42F) point += 0x20;
  if (point >= 0x400 && point <= 0x40F) point += 0x50;
  if (point == 0x451) point = 0x435;
  return {.taken = 2,
          .becomes = Folded::kLetter,
          .letter = {static_cast<char>(0xC0U | point >> 6U), static_cast<char>(0x80U | (point & 0x3FU))},
          .letters = 2};
}

Folded two_octets(unsigned first, unsigned second) noexcept {
  if (first == 0xC2) return {.taken = 2};  // Punctuation of Latin-1.
  if (first >= 0xC3 && first <= 0xC5) return latin(2, (first - 0xC3) * 64 + (second & 0x3FU));
  if (first == 0xCC || (first == 0xCD && second < 0xB0)) return {.taken = 2, .becomes = Folded::kNothing};  // Accents.
  if (first == 0xD0 || first == 0xD1) return cyrillic(first, second);
  return {.taken = 2, .becomes = Folded::kAsItIs};
}

Folded three_octets(unsigned first, unsigned second, unsigned third) noexcept {
  const unsigned point = (first & 0x0FU) << 12U | (second & 0x3FU) << 6U | (third & 0x3FU);
  if (point == 0x2018 || point == 0x2019 || point == 0x200B || point == 0xFEFF) {
    return {.taken = 3, .becomes = Folded::kNothing};
  }
  if (point >= 0x2000 && point <= 0x206F) return {.taken = 3};  // General punctuation.
  if (point >= 0x3000 && point <= 0x303F) return {.taken = 3};  // That of CJK.
  if (point >= 0xFF01 && point <= 0xFF5E) {                     // Full-width ASCII.
    const char c = static_cast<char>(point - 0xFEE0);
    return (kind(c) & (kAlpha | kDigit)) != 0 ? letter(3, static_cast<char>(c | 0x20)) : Folded{.taken = 3};
  }
  return {.taken = 3, .becomes = Folded::kAsItIs};
}

}  // namespace

Folded fold_high(std::string_view text, std::size_t at) noexcept {
  const unsigned first = octet_at(text, at), second = octet_at(text, at + 1);
  const unsigned third = octet_at(text, at + 2), fourth = octet_at(text, at + 3);
  if (first >= 0xC2 && first <= 0xDF && continues(second)) return two_octets(first, second);
  if ((first & 0xF0U) == 0xE0 && continues(second) && continues(third)) return three_octets(first, second, third);
  if (first >= 0xF0 && first <= 0xF4 && continues(second) && continues(third) && continues(fourth)) {
    return {.taken = 4, .becomes = Folded::kAsItIs};
  }
  return first < 0xC0 ? Folded{} : latin(1, first - 0xC0);
}

}  // namespace folding

namespace {

// Digits of a number below 1000 from `at`; 0: there is none.
std::size_t number(std::string_view text, std::size_t at, std::uint16_t& value) noexcept {
  std::size_t digits = 0;
  unsigned sum = 0;
  while (digits < 3 && at + digits < text.size() && folding::kind(text[at + digits]) == folding::kDigit) {
    sum = sum * 10 + static_cast<unsigned>(text[at + digits++] - '0');
  }
  value = static_cast<std::uint16_t>(sum);
  return digits;
}

bool ends_number(std::string_view text, std::size_t at) noexcept {
  if (at >= text.size()) return true;
  const std::uint8_t kind = folding::kind(text[at]);
  if (kind == folding::kDot) return at + 1 == text.size() || folding::kind(text[at + 1]) == folding::kBreak;
  return kind == folding::kBreak || text[at] == '-' || text[at] == '/';
}

struct TextSink {
  FoldedText out;
  bool name = false;
  void word_begins(std::size_t) { out.words += ' '; }
  void name_begins(std::size_t) { name = true; }
  void name_ends() { name = false; }
  void put(char octet, std::size_t) { (name ? out.names : out.words) += octet; }
  void put_ascii(std::string_view text, std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) out.words += static_cast<char>(text[i] | 0x20);
  }
};

}  // namespace

std::optional<EnhancedCode> find_status(std::string_view text, int klass) noexcept {
  for (std::size_t dot = text.find('.'); dot != std::string_view::npos; dot = text.find('.', dot + 1)) {
    if (dot == 0 || text[dot - 1] - '0' != klass) continue;
    const char before = dot < 2 ? ' ' : text[dot - 2];
    if (folding::kind(before) != folding::kBreak && before != '#' && before != '-' && before != '/' && before != '\'')
      continue;
    EnhancedCode code{.klass = static_cast<std::uint8_t>(klass)};
    const std::size_t subject = number(text, dot + 1, code.subject);
    if (subject == 0 || text.substr(dot + 1 + subject, 1) != ".") continue;
    const std::size_t detail = number(text, dot + 2 + subject, code.detail);
    if (detail != 0 && ends_number(text, dot + 2 + subject + detail)) return code;
  }
  return std::nullopt;
}

FoldedText folded(std::string_view text) {
  TextSink sink;
  fold(text, sink);
  sink.out.words += ' ';
  return sink.out;
}

std::string folded_name(std::string_view text) {
  TextSink sink;
  Folder<TextSink>(text, sink).name(0, text.size());
  return sink.out.names;
}

}  // namespace mailsbuddy::bounce
