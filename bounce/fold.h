// fold.h - brings a reply's text, and the phrases that are looked for in it, into one form: lower-case words without
// accents, single spaces between them, and nothing of what differs from reply to reply.
//
//   words          letters of ASCII, Latin and Cyrillic in lower case and without accents, digits; apostrophes vanish
//                  ("doesn't" is "doesnt"); all other punctuation is a space, and so are line ends
//   left out       addresses, single words in angle brackets, IP addresses, enhanced codes, the codes at the beginning
//   of
//                  lines: "User <ann@example.net> unknown" is "user unknown", and spam@example.net says nothing of spam
//   names          host names and URLs are no words, but a name of their own, that only a phrase for names can match:
//                  "zen.spamhaus.org" is "^zen^spamhaus^org^"; the words before and after it stand side by side
//   other scripts  UTF-8 as it is; full-width forms become ASCII. Octets that are not UTF-8 are read as Latin-1: a
//   reply
//                  has no charset, and in KOI8-R or Shift_JIS that gives words which match nothing. ISO-2022-JP, whose
//                  octets look like ASCII, is left out.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "mailsbuddy/mail.h"

namespace mailsbuddy::bounce {

inline constexpr char kNameMark = '^';  // Before, between and after the labels of a name.

// What fold() writes to. `end`: where in the text the octet's source ends.
//   word_begins(begin)   a space comes, or the beginning, and then a word whose source begins there
//   put(octet, end)      an octet of a word
//   put_ascii(text, begin, end)   ASCII letters, of any case, and digits of a word: the most of any text, at once
//   name_begins(begin)   put() is for a name from here, ...
//   name_ends()          ... to here
template <class Sink>
void fold(std::string_view text, Sink& sink);

// The first "4.x.y" or "5.x.y" in `text`, of class `klass`, that is no part of an address or of another number.
std::optional<EnhancedCode> find_status(std::string_view text, int klass) noexcept;

namespace folding {

enum Kind : std::uint8_t {
  kBreak = 0,  // Ends a run.
  kAlpha = 1,
  kDigit = 2,
  kHigh = 4,  // Above 127.
  kDot = 8,
  kAt = 16,
  kJoin = 32,   // Punctuation within addresses and names.
  kQuote = 64,  // An apostrophe.
};

consteval std::array<std::uint8_t, 256> make_kinds() {
  std::array<std::uint8_t, 256> kinds{};
  for (int c = '0'; c <= '9'; ++c) kinds[static_cast<std::size_t>(c)] = kDigit;
  for (int c = 'a'; c <= 'z'; ++c) kinds[static_cast<std::size_t>(c)] = kAlpha;
  for (int c = 'A'; c <= 'Z'; ++c) kinds[static_cast<std::size_t>(c)] = kAlpha;
  for (std::size_t c = 128; c < 256; ++c) kinds[c] = kHigh;
  for (const char c : std::string_view("-_+=/%&~#*$")) kinds[static_cast<unsigned char>(c)] = kJoin;
  kinds['.'] = kDot;
  kinds['@'] = kAt;
  kinds['\''] = kQuote;
  return kinds;
}
inline constexpr auto kKinds = make_kinds();

// The letters of Latin-1 from U+00C0 and of Latin Extended-A from U+0100 (two rows of 64) without their accents; a
// space: no letter. Ligatures lose a letter, which phrases lose as well.
inline constexpr std::string_view kLatin =
    "aaaaaaaceeeeiiiidnooooo ouuuuytsaaaaaaaceeeeiiiidnooooo ouuuuyty"
    "aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiiiiijjkkklllllll"
    "lllnnnnnnnnnoooooooorrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs";
static_assert(kLatin.size() == 192);

constexpr std::uint8_t kind(char c) noexcept { return kKinds[static_cast<unsigned char>(c)]; }
constexpr bool word_part(std::uint8_t kind) noexcept { return (kind & (kAlpha | kDigit | kHigh)) != 0; }

// What one character outside ASCII becomes.
struct Folded {
  std::uint8_t taken = 1;  // Octets of the source.
  enum : std::uint8_t { kNothing, kSpace, kLetter, kAsItIs } becomes = kSpace;
  std::array<char, 2> letter{};  // kLetter: one octet, or two of UTF-8.
  std::uint8_t letters = 1;
};
Folded fold_high(std::string_view text, std::size_t at) noexcept;

}  // namespace folding

template <class Sink>
class Folder {
 public:
  Folder(std::string_view text, Sink& sink) : text_(text), sink_(sink) {}

  void run() {
    std::size_t at = 0;
    while (at < text_.size()) {
      if (folding::kind(text_[at]) == folding::kBreak) {
        at = after_break(at);
      } else {
        at = after_run(at);
      }
    }
  }

  // All of it is a name, whatever it looks like.
  void name(std::size_t begin, std::size_t end) {
    sink_.name_begins(begin);
    put_name(begin, end);
    sink_.name_ends();
  }

 private:
  static constexpr std::size_t kQuotedMax = 70;  // A quoted local part (RFC 5321 4.5.3.1.1) and its quotes.

  std::size_t run_end(std::size_t at, std::uint8_t& kinds) const {
    while (at < text_.size()) {
      const std::uint8_t kind = folding::kind(text_[at]);
      if (kind == folding::kBreak) break;
      kinds |= kind;
      ++at;
    }
    return at;
  }

  std::size_t after_break(std::size_t at) {
    between_words_ = true;
    const char c = text_[at];
    if (c == '<') return after_angle(at);
    if (c == '"') return after_quote(at);
    if (c == '\x1b' && text_.substr(at + 1, 1) == "$") {  // ISO-2022-JP, to where it is ASCII again.
      const std::size_t back = text_.find("\x1b(", at);
      return back == std::string_view::npos ? text_.size() : back + 3;
    }
    return at + 1;
  }

  // "<ann>": a local part. "<mx.example.net[192.0.2.1]>" and "<https://...>" are not.
  std::size_t after_angle(std::size_t at) {
    std::uint8_t kinds = 0;
    const std::size_t end = run_end(at + 1, kinds);
    const bool plain = end > at + 1 && end < text_.size() && text_[end] == '>';
    return plain && (kinds & (folding::kDot | folding::kAt)) == 0 ? end + 1 : at + 1;
  }

  // "\"ann smith\"@example.net"
  std::size_t after_quote(std::size_t at) {
    const std::size_t end = text_.substr(0, at + kQuotedMax).find("\"@", at + 1);
    return end == std::string_view::npos ? at + 1 : end + 1;
  }

  std::size_t after_run(std::size_t begin) {
    std::uint8_t kinds = 0;
    const std::size_t end = run_end(begin, kinds);
    if (end < text_.size() && text_[end] == ':' && is_scheme_end(end)) return after_url(end + 3);
    if ((kinds & folding::kAt) != 0) return after_address(begin, end);
    if ((kinds & folding::kDot) != 0) return after_dotted(begin, end, kinds);
    if ((kinds & folding::kDigit) != 0 && end < text_.size() && text_[end] == ':') {
      if (const std::size_t after = after_ipv6(begin); after != begin) return after;
    }
    words(after_code(begin, end), end);
    return end;
  }

  bool is_scheme_end(std::size_t colon) const { return text_.substr(colon, 3) == "://"; }

  std::size_t after_url(std::size_t begin) {
    const std::size_t end = std::min(text_.size(), text_.find_first_of(" \t\r\n<>\"'()[]{}|,", begin));
    if (end > begin) name(begin, end);
    between_words_ = true;
    return end;
  }

  std::size_t after_address(std::size_t begin, std::size_t end) {
    std::size_t at = text_.find('@', begin) + 1;
    if (at - begin == 1 && at == end) return end;  // A lone "@".
    while (at < end && (folding::word_part(folding::kind(text_[at])) || text_[at] == '-' || text_[at] == '_' ||
                        (text_[at] == '.' && text_.substr(at, 2) != ".."))) {
      ++at;
    }
    between_words_ = true;
    return at;
  }

  static bool is_sentence_end(std::string_view around) {  // "unknown.Please"
    const auto lower = [](char c) { return c >= 'a' && c <= 'z'; };
    return (lower(around[0]) || folding::kind(around[0]) == folding::kDigit) && around[2] >= 'A' && around[2] <= 'Z' &&
           lower(around[3]);
  }
  bool is_name(std::string_view run) const {
    if (run.find('.') == std::string_view::npos || run.find("..") != std::string_view::npos) return false;
    for (std::size_t dot = run.find('.'); dot != std::string_view::npos; dot = run.find('.', dot + 1)) {
      if (dot > 0 && dot + 2 < run.size() && is_sentence_end(run.substr(dot - 1, 4))) return false;
    }
    return true;
  }

  std::size_t after_dotted(std::size_t begin, std::size_t end, std::uint8_t kinds) {
    std::size_t first = begin, last = end;
    while (first < last && !folding::word_part(folding::kind(text_[first]))) ++first;
    while (last > first && !folding::word_part(folding::kind(text_[last - 1])) && text_[last - 1] != '/') --last;
    const std::string_view run = text_.substr(first, last - first);
    if (!is_name(run)) {
      words(after_code(first, last), last);
    } else if ((kinds & (folding::kAlpha | folding::kHigh)) != 0) {
      name(first, last);
    }  // Else an IP address, an enhanced code, a number.
    between_words_ = true;
    return end;
  }

  // "2001:db8::1"; `begin` where it is none.
  std::size_t after_ipv6(std::size_t begin) const {
    std::size_t at = begin, colons = 0;
    for (; at < text_.size(); ++at) {
      const char c = static_cast<char>(text_[at] | 0x20);
      const bool hex = folding::kind(text_[at]) == folding::kDigit || (c >= 'a' && c <= 'f');
      if (text_[at] == ':') ++colons;
      if (!hex && text_[at] != ':' && text_[at] != '.') break;
    }
    return colons >= 2 && (at == text_.size() || folding::kind(text_[at]) == folding::kBreak) ? at : begin;
  }

  // Behind "550-" before a word, or "550" before an enhanced code, which begin a line of a reply.
  std::size_t after_code(std::size_t begin, std::size_t end) const {
    const std::string_view run = text_.substr(begin, end - begin);
    const bool code = run.size() >= 3 && (run[0] == '4' || run[0] == '5') && folding::kind(run[1]) == folding::kDigit &&
                      folding::kind(run[2]) == folding::kDigit;
    if (!code) return begin;
    if (run.size() > 3) return run[3] == '-' ? begin + 4 : begin;
    const std::string_view next = text_.substr(end, 4);
    const bool status = next.size() == 4 && (next[0] == ' ' || next[0] == '-') && next[1] == run[0] && next[2] == '.';
    return status ? end : begin;
  }

  void words(std::size_t begin, std::size_t end) {
    for (std::size_t at = begin; at < end;) {
      const std::uint8_t kind = folding::kind(text_[at]);
      if ((kind & (folding::kAlpha | folding::kDigit)) != 0) {
        at = ascii(at, end);
      } else if (kind == folding::kHigh) {
        at = high(at);
      } else {
        if (kind != folding::kQuote) between_words_ = true;
        ++at;
      }
    }
  }

  std::size_t ascii(std::size_t begin, std::size_t end) {
    std::size_t at = begin + 1;
    while (at < end && (folding::kind(text_[at]) & (folding::kAlpha | folding::kDigit)) != 0) ++at;
    if (between_words_) {
      sink_.word_begins(begin);
      between_words_ = false;
    }
    sink_.put_ascii(text_, begin, at);
    return at;
  }

  void letter(char octet, std::size_t begin, std::size_t end) {
    if (between_words_) {
      sink_.word_begins(begin);
      between_words_ = false;
    }
    sink_.put(octet, end);
  }

  std::size_t high(std::size_t at) {
    const folding::Folded folded = folding::fold_high(text_, at);
    const std::size_t end = at + folded.taken;
    switch (folded.becomes) {
      case folding::Folded::kNothing:
        break;
      case folding::Folded::kSpace:
        between_words_ = true;
        break;
      case folding::Folded::kLetter:
        for (std::size_t i = 0; i < folded.letters; ++i) letter(folded.letter[i], at, end);
        break;
      case folding::Folded::kAsItIs:
        for (std::size_t i = at; i < end; ++i) letter(text_[i], at, end);
        break;
    }
    return end;
  }

  void put_name(std::size_t begin, std::size_t end) {
    sink_.put(kNameMark, begin);
    bool mark = true;  // The last octet was one.
    for (std::size_t at = begin; at < end; ++at) {
      const std::uint8_t kind = folding::kind(text_[at]);
      const bool part = folding::word_part(kind);
      if (!part && mark) continue;
      mark = !part;
      sink_.put(!part ? kNameMark : kind == folding::kHigh ? text_[at] : static_cast<char>(text_[at] | 0x20), at + 1);
    }
    if (!mark) sink_.put(kNameMark, end);
  }

  std::string_view text_;
  Sink& sink_;
  bool between_words_ = true;
};

template <class Sink>
void fold(std::string_view text, Sink& sink) {
  Folder<Sink>(text, sink).run();
}

// For patterns, tests and people: " user unknown " and, of names, "^zen^spamhaus^org^".
struct FoldedText {
  std::string words;
  std::string names;
};
FoldedText folded(std::string_view text);
std::string folded_name(std::string_view text);  // All of `text` as one name.

}  // namespace mailsbuddy::bounce
