#include "bounce/phrases.h"

#include <algorithm>
#include <bit>
#include <numeric>

namespace mailsbuddy::bounce {

Phrases::Phrases(std::span<const std::string> phrases) {
  number_symbols(phrases);
  steps_.resize(std::size_t{1} << shift_);
  Endings endings(1);
  for (std::size_t i = 0; i < phrases.size(); ++i) insert(phrases[i], static_cast<std::uint32_t>(i), endings);
  link(endings);
  flatten(endings);
}

// Common octets stand together, so that most steps of a row are in one or two cache lines.
void Phrases::number_symbols(std::span<const std::string> phrases) {
  std::array<std::size_t, 256> count{};
  for (const std::string& phrase : phrases) {
    for (const char c : phrase) ++count[static_cast<unsigned char>(c)];
  }
  std::array<std::size_t, 256> order;
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return count[a] > count[b]; });
  unsigned symbols = 1;
  for (const std::size_t octet : order) {
    if (count[octet] != 0) symbols_[octet] = static_cast<std::uint8_t>(symbols++);
  }
  shift_ = static_cast<unsigned>(std::bit_width(symbols - 1));
}

void Phrases::insert(std::string_view phrase, std::uint32_t number, Endings& endings) {
  State state = kRoot;
  for (const char c : phrase) {
    const std::size_t place = state + symbols_[static_cast<unsigned char>(c)];
    if (steps_[place] == kRoot) {
      steps_[place] = static_cast<State>(steps_.size());
      steps_.resize(steps_.size() + (std::size_t{1} << shift_));
      endings.emplace_back();
    }
    state = steps_[place];
  }
  endings[state >> shift_].push_back(number);
}

// Breadth first, so that a state's longest proper suffix, which is shorter, is complete before the state is. Missing
// steps become those of the longest suffix: step() never goes back.
void Phrases::link(Endings& endings) {
  const std::size_t width = std::size_t{1} << shift_;
  std::vector<State> suffix(endings.size(), kRoot);
  std::vector<State> order{kRoot};
  for (std::size_t i = 0; i < order.size(); ++i) {
    const State from = order[i];
    for (std::size_t symbol = 1; symbol < width; ++symbol) {
      State& to = steps_[from + symbol];
      const State through_suffix = from == kRoot ? kRoot : steps_[suffix[from >> shift_] + symbol];
      if (to == kRoot) {
        to = through_suffix;
        continue;
      }
      suffix[to >> shift_] = through_suffix;
      const auto& inherited = endings[through_suffix >> shift_];
      auto& own = endings[to >> shift_];
      own.insert(own.end(), inherited.begin(), inherited.end());
      order.push_back(to);
    }
  }
}

void Phrases::flatten(const Endings& endings) {
  ending_from_.push_back(0);
  for (const auto& row : endings) {
    ending_.insert(ending_.end(), row.begin(), row.end());
    ending_from_.push_back(static_cast<std::uint32_t>(ending_.size()));
  }
  for (State& to : steps_) {
    if (!endings[to >> shift_].empty()) to |= kEnds;
  }
}

}  // namespace mailsbuddy::bounce
