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
  bool space = false;
  for (const char c : ascii::trim(value)) {
    if (ascii::is_space(c)) {
      space = true;
      continue;
    }
    if (space) out += ' ';
    space = false;
    out += c;
  }
}

}  // namespace mailsbuddy::dkim
