#include "bounce/phrases.h"

#include <algorithm>
#include <bit>
#include <map>
#include <numeric>

namespace mailsbuddy::bounce {

// A trie, then the fallbacks of its nodes breadth first, then each node as a row or as a link.
class Phrases::Builder {
 public:
  explicit Builder(Phrases& phrases) : out_(phrases), nodes_(1) {}

  void run(std::span<const std::string> phrases) {
    number_symbols(phrases);
    for (std::size_t i = 0; i < phrases.size(); ++i) insert(phrases[i], static_cast<std::uint32_t>(i));
    find_fallbacks();
    place();
    for (const std::uint32_t node : order_) write(node);
  }

 private:
  struct Node {
    std::map<std::uint8_t, std::uint32_t> children;  // By symbol.
    std::uint32_t fallback = 0;
    std::vector<std::uint32_t> ending;
    State state = kRoot;
  };

  template <class Each>
  static void each_unit(std::string_view phrase, const Each& each) {
    for (const char c : phrase) {
      const auto octet = static_cast<unsigned char>(c);
      if (octet < 0x80) {
        each(octet);
      } else {
        each(high_half(octet));
        each(low_half(octet));
      }
    }
  }

  // Common ones stand together, so that most steps of a row are in one or two cache lines.
  void number_symbols(std::span<const std::string> phrases) {
    std::array<std::size_t, 256> count{};
    for (const std::string& phrase : phrases) each_unit(phrase, [&](unsigned char unit) { ++count[unit]; });
    std::array<std::size_t, 256> order;
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return count[a] > count[b]; });
    unsigned symbols = 1;
    for (const std::size_t unit : order) {
      if (count[unit] != 0) out_.symbols_[unit] = static_cast<std::uint8_t>(symbols++);
    }
    for (std::size_t c = 'A'; c <= 'Z'; ++c) out_.symbols_[c] = out_.symbols_[c | 0x20];
    out_.shift_ = static_cast<unsigned>(std::bit_width(symbols - 1));
  }

  void insert(std::string_view phrase, std::uint32_t number) {
    std::uint32_t at = 0;
    each_unit(phrase, [&](unsigned char unit) {
      const auto next = static_cast<std::uint32_t>(nodes_.size());
      const auto [child, made] = nodes_[at].children.try_emplace(out_.symbols_[unit], next);
      at = child->second;  // Before nodes_ may move.
      if (made) nodes_.emplace_back();
    });
    nodes_[at].ending.push_back(number);
  }

  // The child of `node` by `symbol`, or that of its longest fallback which has one.
  std::uint32_t step(std::uint32_t node, std::uint8_t symbol) const {
    while (true) {
      const auto child = nodes_[node].children.find(symbol);
      if (child != nodes_[node].children.end()) return child->second;
      if (node == 0) return 0;
      node = nodes_[node].fallback;
    }
  }

  // Breadth first: a fallback, which is shorter, is complete before the nodes that have it.
  void find_fallbacks() {
    order_.assign(1, 0);
    for (std::size_t i = 0; i < order_.size(); ++i) {
      const std::uint32_t from = order_[i];
      for (const auto& [symbol, child] : nodes_[from].children) {
        Node& node = nodes_[child];
        node.fallback = from == 0 ? 0 : step(nodes_[from].fallback, symbol);
        const auto& inherited = nodes_[node.fallback].ending;
        node.ending.insert(node.ending.end(), inherited.begin(), inherited.end());
        order_.push_back(child);
      }
    }
  }

  bool is_row(std::uint32_t node) const { return node == 0 || nodes_[node].children.size() > 1; }

  // Rows breadth first, for the shallow ones are where texts are most; the links of a chain one after another.
  void place() {
    State rows = 0, links = 0;
    const auto mark = [&](std::uint32_t node) { return nodes_[node].ending.empty() ? State{0} : kEnds; };
    for (const std::uint32_t node : order_) {
      if (is_row(node)) {
        nodes_[node].state = (rows++ << out_.shift_) | mark(node);
        continue;
      }
      std::uint32_t at = node;
      while (nodes_[at].state == kRoot && !is_row(at)) {
        nodes_[at].state = links++ | kLink | mark(at);
        if (nodes_[at].children.empty()) break;
        at = nodes_[at].children.begin()->second;
      }
    }
    out_.steps_.resize(std::size_t{rows} << out_.shift_);
    out_.row_ending_.resize(rows);
    out_.links_.resize(links);
    out_.link_ending_.resize(links);
  }

  void write(std::uint32_t which) {
    const Node& node = nodes_[which];
    const Span ending{static_cast<std::uint32_t>(out_.ending_.size()), static_cast<std::uint32_t>(node.ending.size())};
    out_.ending_.insert(out_.ending_.end(), node.ending.begin(), node.ending.end());
    if (is_row(which)) {
      const std::size_t row = node.state & ~kEnds;
      out_.row_ending_[row >> out_.shift_] = ending;
      for (std::size_t symbol = 1; symbol < std::size_t{1} << out_.shift_; ++symbol) {
        out_.steps_[row + symbol] = nodes_[step(which, static_cast<std::uint8_t>(symbol))].state;
      }
      return;
    }
    const std::size_t number = node.state & ~(kLink | kEnds);
    out_.link_ending_[number] = ending;
    Link& link = out_.links_[number];
    link.fallback = nodes_[node.fallback].state;
    // At a chain's end any symbol falls back: 255 is none.
    link.symbol = node.children.empty() ? std::uint8_t{255} : node.children.begin()->first;
    link.next = node.children.empty() ? kRoot : nodes_[node.children.begin()->second].state;
  }

  Phrases& out_;
  std::vector<Node> nodes_;
  std::vector<std::uint32_t> order_;
};

Phrases::Phrases(std::span<const std::string> phrases) { Builder(*this).run(phrases); }

std::span<const std::uint32_t> Phrases::ending(State state) const noexcept {
  const Span& span =
      (state & kLink) != 0 ? link_ending_[state & ~(kLink | kEnds)] : row_ending_[(state & ~kEnds) >> shift_];
  return std::span(ending_).subspan(span.from, span.size);
}

}  // namespace mailsbuddy::bounce
