// liquid_lexer.h - a template's source cut into literal text, {{ output }} and {% tags %}, and an expression into
// tokens.
#pragma once

#include <cstdint>
#include <string_view>

namespace mailsbuddy::liquid {

// One piece of the source. A '-' inside a delimiter has taken the white space beside it off the literal text already.
struct Piece {
  enum class Kind : std::uint8_t { kEnd, kText, kOutput, kTag, kUnclosed };
  Kind kind = Kind::kEnd;
  std::string_view text;   // Literal text; what is between the delimiters; for kUnclosed the opening delimiter.
  std::size_t offset = 0;  // Of `text` in the source.
  std::size_t begin = 0;   // Of the piece: its opening delimiter, or as `offset`.
};

class Pieces {
 public:
  explicit Pieces(std::string_view source) : source_(source) {}
  Piece next();
  // After the tag {% name %} has been read: its content up to {% endname %}, as one kText piece. kUnclosed: there is no
  // end.
  Piece raw_until(std::string_view end_tag);

 private:
  Piece delimited(Piece::Kind kind, std::string_view close);
  Piece literal(std::size_t end);

  std::string_view source_;
  std::size_t at_ = 0;
  bool trim_next_ = false;
};

// The first word of a tag, and the rest.
std::string_view tag_name(std::string_view tag);

struct Token {
  enum class Kind : std::uint8_t { kEnd, kName, kString, kInt, kFloat, kPunctuation, kBad };
  Kind kind = Kind::kEnd;
  std::string_view text;  // Of a string: without its quotes.
  std::size_t offset = 0;
  bool is(std::string_view word) const { return kind == Kind::kPunctuation && text == word; }
  bool is_word(std::string_view word) const { return kind == Kind::kName && text == word; }
};

class Tokens {
 public:
  // `offset`: where `text` is in the source.
  Tokens(std::string_view text, std::size_t offset) : text_(text), offset_(offset) { advance(); }
  const Token& peek() const { return token_; }
  Token take();
  bool take(std::string_view punctuation);
  bool take_word(std::string_view word);

 private:
  void advance();
  std::string_view read(Token::Kind& kind);

  std::string_view text_;
  std::size_t offset_;
  std::size_t at_ = 0;
  Token token_;
};

}  // namespace mailsbuddy::liquid
