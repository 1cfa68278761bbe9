// phrases.h - finds which of many phrases stand in a folded text, octet by octet and in one pass (Aho and Corasick,
// "Efficient string matching", 1975): a look-up an octet, however many phrases there are.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mailsbuddy::bounce {

// Most states have one way on. Those are links of a chain, side by side in memory; the others, where phrases part, have
// a row of steps for every symbol. Where a link does not fit, the text goes on from its fallback, the longest end of
// what was read that begins a phrase: never back in the text, and as a fallback is shorter, at most as often as there
// are octets. Threads: immutable after construction. Cost: 12 octets a link, 256 a row. What is above 127 is taken as
// two halves, so that a row has 64 places for all scripts.
class Phrases {
 public:
  using State =
      std::uint32_t;  // Where its row begins, or its link's number with kLink; with kEnds: some phrase ends here.
  static constexpr State kRoot = 0;

  Phrases() : Phrases(std::span<const std::string>()) {}
  explicit Phrases(std::span<const std::string> phrases);  // A phrase's number is its place. None is empty.

  State step(State state, char octet) const noexcept {
    const auto value = static_cast<unsigned char>(octet);
    if (value < 0x80) return step_ascii(state, octet);
    return take(take(state, high_half(value)), low_half(value));
  }
  // Below 128; a capital is taken as its small letter.
  State step_ascii(State state, char octet) const noexcept { return take(state, static_cast<unsigned char>(octet)); }
  static bool ends(State state) noexcept { return (state & kEnds) != 0; }
  // The phrases that end in `state`, for which ends() is true: also those that are ends of longer ones.
  std::span<const std::uint32_t> ending(State state) const noexcept;

 private:
  static constexpr State kEnds = 1U << 31;
  static constexpr State kLink = 1U << 30;
  struct Link {
    State next;
    State fallback;
    std::uint8_t symbol;
  };
  struct Span {
    std::uint32_t from = 0, size = 0;
  };
  class Builder;

  static constexpr unsigned char high_half(unsigned char octet) noexcept {
    return static_cast<unsigned char>(0x80U | octet >> 4U);
  }
  static constexpr unsigned char low_half(unsigned char octet) noexcept {
    return static_cast<unsigned char>(0x90U | (octet & 0x0FU));
  }
  State take(State state, unsigned char unit) const noexcept {
    const std::uint8_t symbol = symbols_[unit];
    while ((state & kLink) != 0) {
      const Link& link = links_[state & ~(kLink | kEnds)];
      if (link.symbol == symbol) return link.next;
      state = link.fallback;
    }
    return steps_[(state & ~kEnds) + symbol];
  }

  // By octet, or half of one: 0: in no phrase. The commoner one is in phrases, the lower.
  std::array<std::uint8_t, 256> symbols_{};
  unsigned shift_ = 0;  // A row has 1 << shift_ steps.
  std::vector<State> steps_;
  std::vector<Link> links_;
  std::vector<Span> row_ending_;   // By row; spans of ending_.
  std::vector<Span> link_ending_;  // By link.
  std::vector<std::uint32_t> ending_;
};

}  // namespace mailsbuddy::bounce
