// canonicalise.h - the relaxed canonical forms of RFC 6376 3.4, and what is wrong with a line end.
// The body goes piece by piece to a sink, so that nobody holds a second copy of it; header fields are short and are
// appended to a string.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/base/ascii.h"

namespace mailsbuddy::dkim {

// Whether a CRLF stands at `at`.
constexpr bool crlf_at(std::string_view text, std::size_t at) noexcept {
  return at + 1 < text.size() && text[at] == '\r' && text[at + 1] == '\n';
}

// Whether every CR and LF in `text` is half of a CRLF.
bool only_crlf(std::string_view text) noexcept;

// RFC 6376 3.4.2: "Subject : a \r\n\t b " becomes "subject:a b", here without the CRLF that ends it. `name` is what
// stands before the colon, `value` what stands after it; both may have white space at their ends.
void append_relaxed_header(std::string& out, std::string_view name, std::string_view value);

// RFC 6376 3.4.4, in one pass: calls `sink(std::string_view)` with the pieces of the canonical form, which are as long
// as they can be: a body that is canonical already is one piece and its last CRLF. Returns false at a bare CR or LF.
template <class Sink>
bool relaxed_body(std::string_view body, Sink&& sink) {
  // Where the last line that is not empty ends; "Ignore all empty lines at the end of the message body."
  std::size_t end = body.size();
  while (end > 0 && ascii::is_space(body[end - 1])) --end;

  std::size_t piece = 0;  // Where what `sink` has not seen begins.
  const auto cut = [&](std::size_t from, std::size_t to) {
    if (from > piece) sink(body.substr(piece, from - piece));
    piece = to;
  };
  for (std::size_t i = 0; i < end;) {
    const auto c = static_cast<unsigned char>(body[i]);
    if (c > ' ') [[likely]] {
      ++i;
    } else if (c == '\r') {
      if (!crlf_at(body, i)) return false;
      i += 2;
    } else if (c == '\n') {
      return false;
    } else if (ascii::is_wsp(body[i])) {
      std::size_t next = i + 1;
      while (ascii::is_wsp(body[next])) ++next;  // What stands before `end` is no white space.
      if (body[next] == '\r') {
        cut(i, next);  // "Ignore all whitespace at the end of lines."
      } else if (next > i + 1 || c == '\t') {
        cut(i, next);  // "Reduce all sequences of WSP within a line to a single SP character."
        sink(std::string_view(" "));
      }
      i = next;
    } else {
      ++i;
    }
  }
  cut(end, end);
  // "If the body is non-empty but does not end with a CRLF, a CRLF is added."
  if (end > 0) sink(std::string_view("\r\n"));
  return only_crlf(body.substr(end));
}

}  // namespace mailsbuddy::dkim
