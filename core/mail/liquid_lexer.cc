// source     = *( literal / output / tag )
// output     = "{{" ["-"] expression ["-"] "}}"        ; ends at the first "}}", as in Shopify's Liquid
// tag        = "{%" ["-"] name [arguments] ["-"] "%}"
// name       = (ALPHA / "_" / UTF8-non-ascii) *( ALPHA / DIGIT / "_" / "-" / UTF8-non-ascii ) ["?"]
// string     = DQUOTE *any-but-DQUOTE DQUOTE / "'" *any-but-' "'"      ; no escapes
// number     = ["-"] 1*DIGIT ["." 1*DIGIT]
#include "core/mail/liquid_lexer.h"

#include "core/base/ascii.h"

namespace mailsbuddy::liquid {
namespace {

bool is_space(char c) { return ascii::is_space(c) || c == '\f' || c == '\v'; }

bool begins_name(char c) { return ascii::is_alpha(c) || c == '_' || static_cast<unsigned char>(c) >= 0x80; }
bool in_name(char c) { return begins_name(c) || ascii::is_digit(c) || c == '-'; }

}  // namespace

Piece Pieces::next() {
  if (at_ == source_.size()) return {};
  std::size_t open = at_;
  for (;; ++open) {
    open = source_.find('{', open);
    if (open == std::string_view::npos || open + 1 >= source_.size()) return literal(source_.size());
    if (source_[open + 1] == '{' || source_[open + 1] == '%') break;
  }
  if (open > at_) return literal(open);
  trim_next_ = false;
  return source_[open + 1] == '{' ? delimited(Piece::Kind::kOutput, "}}") : delimited(Piece::Kind::kTag, "%}");
}

Piece Pieces::literal(std::size_t end) {
  std::size_t begin = at_;
  at_ = end;
  std::size_t stop = end;
  if (trim_next_) {
    while (begin < stop && is_space(source_[begin])) ++begin;
  }
  trim_next_ = false;
  if (end + 2 < source_.size() && source_[end + 2] == '-') {
    while (stop > begin && is_space(source_[stop - 1])) --stop;
  }
  return {Piece::Kind::kText, source_.substr(begin, stop - begin), begin, begin};
}

Piece Pieces::delimited(Piece::Kind kind, std::string_view close) {
  const std::size_t open = at_;
  std::size_t begin = open + 2;
  std::size_t end = source_.find(close, begin);
  if (end == std::string_view::npos) {
    at_ = source_.size();
    return {Piece::Kind::kUnclosed, source_.substr(open, 2), open, open};
  }
  at_ = end + 2;
  if (source_[begin] == '-') ++begin;
  if (end > begin && source_[end - 1] == '-') {
    --end;
    trim_next_ = true;
  }
  return {kind, source_.substr(begin, end - begin), begin, open};
}

Piece Pieces::raw_until(std::string_view end_tag) {
  const std::size_t begin = at_;
  std::size_t close = 0;
  for (std::size_t open = source_.find("{%", at_); open != std::string_view::npos;
       open = source_.find("{%", open + 2)) {
    if (close < open + 2) close = source_.find("%}", open + 2);  // Not looked for twice: the cost is linear.
    if (close == std::string_view::npos) break;
    std::string_view tag = source_.substr(open + 2, close - open - 2);
    if (tag.starts_with('-')) tag.remove_prefix(1);
    if (tag.ends_with('-')) tag.remove_suffix(1);
    if (tag_name(tag) == end_tag) {
      const Piece piece = literal(open);
      trim_next_ = source_[close - 1] == '-';
      at_ = close + 2;
      return piece;
    }
  }
  at_ = source_.size();
  return {Piece::Kind::kUnclosed, source_.substr(begin, 0), begin, begin};
}

std::string_view tag_name(std::string_view tag) {
  std::size_t begin = 0;
  while (begin < tag.size() && is_space(tag[begin])) ++begin;
  if (begin < tag.size() && tag[begin] == '#') return tag.substr(begin, 1);
  std::size_t end = begin;
  while (end < tag.size() && in_name(tag[end])) ++end;
  return tag.substr(begin, end - begin);
}

// ---------------------------------------------------------------------------------------------------------------------

Token Tokens::take() {
  const Token token = token_;
  advance();
  return token;
}

bool Tokens::take(std::string_view punctuation) {
  if (!token_.is(punctuation)) return false;
  advance();
  return true;
}

bool Tokens::take_word(std::string_view word) {
  if (!token_.is_word(word)) return false;
  advance();
  return true;
}

void Tokens::advance() {
  while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  token_ = {Token::Kind::kEnd, {}, offset_ + at_};
  if (at_ == text_.size()) return;
  const char first = text_[at_];
  const std::string_view whole = read(token_.kind);
  at_ += whole.size();
  token_.text = first == '"' || first == '\'' ? whole.substr(1, whole.size() - (whole.size() > 1 ? 2 : 1)) : whole;
}

// The token at `at_`, quotes included.
std::string_view Tokens::read(Token::Kind& kind) {
  const std::string_view rest = text_.substr(at_);
  const char c = rest.front();
  std::size_t end = 1;
  if (begins_name(c)) {
    kind = Token::Kind::kName;
    while (end < rest.size() && in_name(rest[end])) ++end;
    if (end < rest.size() && rest[end] == '?') ++end;
    return rest.substr(0, end);
  }
  if (c == '"' || c == '\'') {
    end = rest.find(c, 1);
    kind = end == std::string_view::npos ? Token::Kind::kBad : Token::Kind::kString;
    return end == std::string_view::npos ? rest.substr(0, 1) : rest.substr(0, end + 1);
  }
  if (ascii::is_digit(c) || (c == '-' && rest.size() > 1 && ascii::is_digit(rest[1]))) {
    kind = Token::Kind::kInt;
    while (end < rest.size() && ascii::is_digit(rest[end])) ++end;
    if (end + 1 < rest.size() && rest[end] == '.' && ascii::is_digit(rest[end + 1])) {
      kind = Token::Kind::kFloat;
      for (++end; end < rest.size() && ascii::is_digit(rest[end]);) ++end;
    }
    return rest.substr(0, end);
  }
  kind = Token::Kind::kPunctuation;
  for (const std::string_view two : {"==", "!=", "<>", "<=", ">=", ".."}) {
    if (rest.starts_with(two)) return rest.substr(0, 2);
  }
  if (std::string_view("|:,.[]()<>=").find(c) == std::string_view::npos) kind = Token::Kind::kBad;
  return rest.substr(0, 1);
}

}  // namespace mailsbuddy::liquid
