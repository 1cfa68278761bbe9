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

// Threads: immutable after construction. Cost: four octets for each state and each different octet of all phrases; a
// state is a beginning that some phrase has.
class Phrases {
 public:
  using State = std::uint32_t;  // Where its row of steps begins; the highest bit: some phrase ends here.
  static constexpr State kRoot = 0;

  Phrases() : Phrases(std::span<const std::string>()) {}
  explicit Phrases(std::span<const std::string> phrases);  // A phrase's number is its place. None is empty.

  State step(State state, char octet) const noexcept {
    return steps_[(state & ~kEnds) + symbols_[static_cast<unsigned char>(octet)]];
  }
  static bool ends(State state) noexcept { return (state & kEnds) != 0; }
  // The phrases that end in `state`, for which ends() is true: also those that are ends of longer ones.
  std::span<const std::uint32_t> ending(State state) const noexcept {
    const std::size_t row = (state & ~kEnds) >> shift_;
    return std::span(ending_).subspan(ending_from_[row], ending_from_[row + 1] - ending_from_[row]);
  }

 private:
  static constexpr State kEnds = 1U << 31;
  using Endings = std::vector<std::vector<std::uint32_t>>;  // By row.

  void number_symbols(std::span<const std::string> phrases);
  void insert(std::string_view phrase, std::uint32_t number, Endings& endings);
  void link(Endings& endings);
  void flatten(const Endings& endings);

  std::array<std::uint8_t, 256> symbols_{};  // 0: in no phrase. The commoner an octet is in phrases, the lower.
  unsigned shift_ = 0;                       // A row has 1 << shift_ steps.
  std::vector<State> steps_;
  std::vector<std::uint32_t> ending_from_;  // By row, and one more.
  std::vector<std::uint32_t> ending_;
};

}  // namespace mailsbuddy::bounce
