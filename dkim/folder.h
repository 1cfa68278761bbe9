// folder.h - writes a header field's value in lines of at most 78 columns, as far as what may not be cut allows.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>

namespace mailsbuddy::dkim {

constexpr std::size_t kColumns = 78;  // RFC 5322 2.1.1

// Appends to `out`, which must outlive it and in which the field begins at `start`. Takes no memory of its own.
class Folder {
 public:
  Folder(std::string& out, std::size_t start)
      : out_(out), column_(out.size() - std::max(start, out.rfind('\n') + 1)) {}  // npos + 1 is 0.

  // The pieces as one word, after a space or a fold.
  void word(std::initializer_list<std::string_view> pieces) {
    if (column_ + 1 + size(pieces) > kColumns) {
      fold();
    } else {
      append(" ");
    }
    append(pieces);
  }
  // The same, after what stands before it or a fold.
  void part(std::initializer_list<std::string_view> pieces) {
    if (column_ + size(pieces) > kColumns) fold();
    append(pieces);
  }
  // May be cut anywhere.
  void stretch(std::string_view text) {
    while (!text.empty()) {
      if (column_ >= kColumns) fold();
      const std::string_view some = text.substr(0, kColumns - column_);
      append(some);
      text.remove_prefix(some.size());
    }
  }

 private:
  static std::size_t size(std::initializer_list<std::string_view> pieces) {
    std::size_t sum = 0;
    for (const std::string_view piece : pieces) sum += piece.size();
    return sum;
  }
  void fold() {
    out_ += "\r\n ";
    column_ = 1;
  }
  void append(std::string_view text) {
    out_ += text;
    column_ += text.size();
  }
  void append(std::initializer_list<std::string_view> pieces) {
    for (const std::string_view piece : pieces) append(piece);
  }

  std::string& out_;
  std::size_t column_;
};

}  // namespace mailsbuddy::dkim
