#include "bounce/phrases.h"

#include <cassert>
#include <limits>

#include "core/base/ascii.h"

namespace mailsbuddy::bounce {

Phrases::Phrases(std::span<const Phrase> phrases) : nodes_(1) {
  for (const Phrase& phrase : phrases) insert(phrase);
  link();
}

void Phrases::insert(const Phrase& phrase) {
  State state = 0;
  for (const char c : phrase.text) {
    std::uint8_t& symbol = symbols_[static_cast<unsigned char>(c)];
    if (symbol == 0) symbol = static_cast<std::uint8_t>(symbol_count_++);
    assert(symbol_count_ <= kSymbolsMax && nodes_.size() < std::numeric_limits<State>::max());
    if (nodes_[state].next[symbol] == 0) {
      nodes_[state].next[symbol] = static_cast<State>(nodes_.size());
      nodes_.emplace_back();
    }
    state = nodes_[state].next[symbol];
  }
  nodes_[state].ids.push_back(phrase.id);
}

// Breadth first, so that a state's longest suffix, which is shorter, is complete before the state is. Missing steps
// become those of the longest suffix: find() never goes back.
void Phrases::link() {
  std::vector<State> order{0};
  for (std::size_t i = 0; i < order.size(); ++i) {
    const State from = order[i];
    const State suffix = nodes_[from].longest_suffix;
    for (std::size_t symbol = 1; symbol < symbol_count_; ++symbol) {
      State& to = nodes_[from].next[symbol];
      const State through_suffix = from == 0 ? State{0} : nodes_[suffix].next[symbol];
      if (to == 0) {
        to = through_suffix;
        continue;
      }
      Node& node = nodes_[to];
      node.longest_suffix = through_suffix;
      const auto& inherited = nodes_[through_suffix].ids;
      node.ids.insert(node.ids.end(), inherited.begin(), inherited.end());
      order.push_back(to);
    }
  }
}

PhraseHits Phrases::find(std::string_view text) const {
  PhraseHits hits;
  State state = 0;
  bool space = false;
  const auto step = [&](char c) {
    if (space && c == ' ') return;
    space = c == ' ';
    state = nodes_[state].next[symbol(c)];
    for (const std::uint16_t id : nodes_[state].ids) hits.set(id);
  };
  step(' ');
  for (const char c : text) step(ascii::is_space(c) ? ' ' : ascii::to_lower(c));
  step(' ');
  return hits;
}

}  // namespace mailsbuddy::bounce
