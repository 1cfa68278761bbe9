#include "bounce/pattern.h"

#include <fmt/format.h>

#include <algorithm>

#include "bounce/fold.h"
#include "core/base/ascii.h"

namespace mailsbuddy::bounce {
namespace {

constexpr std::size_t kPhraseBytesMin = 2;    // Besides its spaces: what is shorter stands everywhere.
constexpr std::size_t kPhraseBytesMax = 200;  // Replies have lines of 512 (RFC 5321 4.5.3.1.5).

Error invalid(std::string_view phrase, std::string_view why) {
  return {ErrorCode::kInvalidArgument, fmt::format("\"{}\": {}", phrase, why)};
}

// Chinese, Japanese and Korean: no spaces between words, or endings on all of them.
bool unspaced(char octet) noexcept { return static_cast<unsigned char>(octet) >= 0xE0; }
bool ends_unspaced(std::string_view words) noexcept {
  std::size_t at = words.size();
  while (at > 0 && (static_cast<unsigned char>(words[at - 1]) & 0xC0U) == 0x80U) --at;
  return at > 0 && at < words.size() && unspaced(words[at - 1]);
}

Result<std::string> parse_name(std::string_view phrase) {
  const bool goes_on = phrase.ends_with('*');
  std::string name = folded_name(phrase.substr(1));
  if (goes_on) name.pop_back();
  if (name.size() < kPhraseBytesMin + 2) return invalid(phrase, "no name after @");
  return name;
}

Result<std::string> parse_words(std::string_view phrase) {
  const bool goes_on = phrase.ends_with('*');
  const std::string_view written = goes_on ? phrase.substr(0, phrase.size() - 1) : phrase;
  if (written.find_first_of("*@<>") != std::string_view::npos) return invalid(phrase, "* @ < > cannot stand there");
  const FoldedText text = folded(written);
  if (!text.names.empty()) return invalid(phrase, "a host name is written @name, and apart from words");
  std::string words = text.words;
  if (words.size() < kPhraseBytesMin + 2) return invalid(phrase, "too short, or all of it is left out of texts");
  if (static_cast<std::size_t>(std::ranges::count(words, ' ')) > kPhraseWordsMax + 1) {
    return invalid(phrase, fmt::format("over {} words", kPhraseWordsMax));
  }
  if (goes_on) words.pop_back();
  if (unspaced(words[1])) words.erase(0, 1);
  if (words.back() == ' ' && ends_unspaced(std::string_view(words).substr(0, words.size() - 1))) words.pop_back();
  return words;
}

Result<std::string> parse_phrase(std::string_view phrase) {
  if (phrase.empty()) return invalid(phrase, "an empty phrase");
  if (phrase.size() > kPhraseBytesMax)
    return invalid(phrase.substr(0, 40), fmt::format("over {} octets", kPhraseBytesMax));
  return phrase.starts_with('@') ? parse_name(phrase) : parse_words(phrase);
}

}  // namespace

std::string_view take_until(std::string_view& rest, char separator) {
  const std::string_view taken = rest.substr(0, rest.find(separator));
  rest.remove_prefix(std::min(rest.size(), taken.size() + 1));
  return taken;
}

Result<std::vector<Alternative>> parse_pattern(std::string_view pattern) {
  if (pattern.ends_with('|')) return invalid(pattern, "ends in a separator");
  std::vector<Alternative> alternatives;
  while (!pattern.empty()) {
    std::string_view phrases = take_until(pattern, '|');
    if (phrases.ends_with('&')) return invalid(phrases, "ends in a separator");
    Alternative alternative;
    do {
      auto phrase = parse_phrase(ascii::trim(take_until(phrases, '&')));
      if (!phrase) return phrase.error();
      alternative.push_back(std::move(*phrase));
    } while (!phrases.empty());
    std::sort(alternative.begin(), alternative.end());
    alternative.erase(std::unique(alternative.begin(), alternative.end()), alternative.end());
    alternatives.push_back(std::move(alternative));
  }
  return alternatives;
}

std::string text_of_alternative(std::string_view alternative) {
  std::string text;
  while (!alternative.empty()) {
    std::string_view phrase = ascii::trim(take_until(alternative, '&'));
    if (!text.empty()) text += " xx ";  // So that the words of two phrases do not make a third.
    if (phrase.ends_with('*')) phrase.remove_suffix(1);
    text += phrase.starts_with('@') ? "http://" + std::string(phrase.substr(1)) : std::string(phrase);
  }
  return text;
}

}  // namespace mailsbuddy::bounce
