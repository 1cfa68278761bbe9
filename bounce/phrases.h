// phrases.h - finds which of many phrases stand in a text, in one pass over it (Aho and Corasick, "Efficient string
// matching", 1975), whatever the letter case and the white space between words.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace mailsbuddy::bounce {

inline constexpr std::size_t kPhraseIdsMax = 256;
using PhraseHits = std::bitset<kPhraseIdsMax>;

struct Phrase {
  std::string_view text;  // Lower case, single spaces. A space at its end also means the text's own end.
  std::uint16_t id;       // Below kPhraseIdsMax; several phrases may share one.
};

// Threads: immutable after construction. Cost: 160 bytes a character of phrases; a look-up a character of text.
class Phrases {
 public:
  explicit Phrases(std::span<const Phrase> phrases);
  PhraseHits find(std::string_view text) const;

 private:
  using State = std::uint16_t;
  static constexpr std::size_t kSymbolsMax = 64;  // Letters, digits and the punctuation that phrases have; 0: others.
  struct Node {
    std::array<State, kSymbolsMax> next{};
    State longest_suffix = 0;  // The state of the longest proper suffix that is also a beginning of a phrase.
    std::vector<std::uint16_t> ids;
  };

  std::uint8_t symbol(char c) const noexcept { return symbols_[static_cast<unsigned char>(c)]; }
  void insert(const Phrase& phrase);
  void link();

  std::array<std::uint8_t, 256> symbols_{};
  std::size_t symbol_count_ = 1;
  std::vector<Node> nodes_;
};

}  // namespace mailsbuddy::bounce
