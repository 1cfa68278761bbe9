#include "dkim/canonicalise.h"

#include <bit>
#include <cstdint>
#include <cstring>

namespace mailsbuddy::dkim {
namespace {

// Sixteen octets in one register: gcc's and clang's portable form of SSE2 and NEON.
using Octets = unsigned char __attribute__((vector_size(16)));
using Halves = std::uint64_t __attribute__((vector_size(16)));
constexpr std::size_t kStep = sizeof(Octets);

Octets load(const char* at) noexcept {
  Octets octets;
  std::memcpy(&octets, at, kStep);
  return octets;
}

// The first octet of `found` that is not zero; kStep: all are.
std::size_t first_of(Octets found) noexcept {
  Halves halves;
  std::memcpy(&halves, &found, kStep);
  if ((halves[0] | halves[1]) == 0) [[likely]]
    return kStep;
  if constexpr (std::endian::native == std::endian::little) {
    if (halves[0] != 0) return static_cast<std::size_t>(std::countr_zero(halves[0])) / 8;
    return 8 + static_cast<std::size_t>(std::countr_zero(halves[1])) / 8;
  } else {
    if (halves[0] != 0) return static_cast<std::size_t>(std::countl_zero(halves[0])) / 8;
    return 8 + static_cast<std::size_t>(std::countl_zero(halves[1])) / 8;
  }
}

// Each octet is judged with the one after it.
struct LineEnds {
  static bool odd(char c, char next) noexcept { return (c == '\r') != (next == '\n'); }
  static Octets odd(Octets c, Octets next) noexcept { return Octets(c == '\r') ^ Octets(next == '\n'); }
};
struct Relaxed {
  static bool odd(char c, char next) noexcept {
    return c == '\t' || (c == ' ' && (ascii::is_wsp(next) || next == '\r')) || LineEnds::odd(c, next);
  }
  static Octets odd(Octets c, Octets next) noexcept {
    const auto space = Octets(next == ' ') | Octets(next == '\t') | Octets(next == '\r');
    return Octets(c == '\t') | (Octets(c == ' ') & space) | LineEnds::odd(c, next);
  }
};

// For a field's value without the white space at its ends: folds are white space too.
struct Value {
  static bool odd(char c, char next) noexcept {
    return c == '\t' || c == '\r' || c == '\n' || (c == ' ' && ascii::is_space(next));
  }
  static Octets odd(Octets c, Octets next) noexcept {
    const auto space = Octets(next == ' ') | Octets(next == '\t') | Octets(next == '\r') | Octets(next == '\n');
    return Octets(c == '\t') | Octets(c == '\r') | Octets(c == '\n') | (Octets(c == ' ') & space);
  }
};

template <class Rule>
std::size_t find_odd(std::string_view text, std::size_t at) noexcept {
  for (; at + kStep < text.size(); at += kStep) {
    const std::size_t found = first_of(Rule::odd(load(text.data() + at), load(text.data() + at + 1)));
    if (found != kStep) return at + found;
  }
  for (; at < text.size(); ++at) {
    const char next = at + 1 < text.size() ? text[at + 1] : '\0';
    if (Rule::odd(text[at], next)) break;
  }
  return at;
}

}  // namespace

bool only_crlf(std::string_view text) noexcept {
  return !text.starts_with('\n') && find_odd<LineEnds>(text, 0) == text.size();
}

std::size_t find_unrelaxed(std::string_view text, std::size_t at) noexcept { return find_odd<Relaxed>(text, at); }

void append_relaxed_header(std::string& out, std::string_view name, std::string_view value) {
  for (const char c : ascii::trim(name)) out += ascii::to_lower(c);
  out += ':';
  const std::string_view text = ascii::trim(value);
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t odd = find_odd<Value>(text, i);
    out += text.substr(i, odd - i);
    i = odd;
    if (i == text.size()) break;
    out += ' ';
    while (ascii::is_space(text[i])) ++i;  // No white space stands at the end.
  }
}

}  // namespace mailsbuddy::dkim
