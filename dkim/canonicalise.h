// canonicalise.h - the canonical forms of RFC 6376 3.4, and what is wrong with a line end.
// The body goes piece by piece to a sink, so that nobody holds a second copy of it; header fields are short and are
// appended to a string.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/base/ascii.h"
#include "dkim/message.h"
#include "mailsbuddy/dkim.h"

namespace mailsbuddy::dkim {

// Whether a CRLF stands at `at`.
constexpr bool crlf_at(std::string_view text, std::size_t at) noexcept {
  return at + 1 < text.size() && text[at] == '\r' && text[at + 1] == '\n';
}

// Whether every CR and LF in `text` is half of a CRLF.
bool only_crlf(std::string_view text) noexcept;

// Where, from `at` on, the first octet stands that the relaxed form may not keep as it is or that is or precedes a bare
// line end: a tab, a space before white space or CR, a CR before anything but LF, anything but CR before LF.
// text.size(): none. An LF at `at` itself is not judged. Sixteen octets at a time: most of a body is passed over here.
std::size_t find_unrelaxed(std::string_view text, std::size_t at) noexcept;

// RFC 6376 3.4.2: "Subject : a \r\n\t b " becomes "subject:a b", here without the CRLF that ends it. `name` is what
// stands before the colon, `value` what stands after it; both may have white space at their ends.
void append_relaxed_header(std::string& out, std::string_view name, std::string_view value);

// A field in the given form (3.4.1: as it is), without the CRLF that ends it.
inline void append_canonical_header(std::string& out, Canonicalisation form, const Field& field) {
  if (form == Canonicalisation::kRelaxed) return append_relaxed_header(out, field.name, field.value);
  out += field.whole;
}

// RFC 6376 3.4.4, in one pass: calls `sink(std::string_view)` with the pieces of the canonical form, which are as long
// as they can be: a body that is canonical already is one piece and its last CRLF. Returns false at a bare CR or LF.
template <class Sink>
bool relaxed_body(std::string_view body, Sink&& sink) {
  // Where the last line that is not empty ends; "Ignore all empty lines at the end of the message body."
  std::size_t end = body.size();
  while (end > 0 && ascii::is_space(body[end - 1])) --end;
  const std::string_view text = body.substr(0, end);
  if (text.starts_with('\n')) return false;

  std::size_t piece = 0;  // Where what `sink` has not seen begins.
  const auto cut = [&](std::size_t from, std::size_t to) {
    if (from > piece) sink(text.substr(piece, from - piece));
    piece = to;
  };
  for (std::size_t i = 0; (i = find_unrelaxed(text, i)) < end;) {
    if (!ascii::is_wsp(text[i])) return false;  // A bare CR, or what stands before a bare LF.
    std::size_t next = i + 1;
    while (ascii::is_wsp(text[next])) ++next;  // What stands before `end` is no white space.
    if (text[next] == '\n') return false;
    if (text[next] == '\r') {
      cut(i, next);  // "Ignore all whitespace at the end of lines."
    } else if (text[i] == ' ') {
      cut(i + 1, next);  // "Reduce all sequences of WSP within a line to a single SP character."
    } else {
      cut(i, next);
      sink(std::string_view(" "));
    }
    i = next;
  }
  cut(end, end);
  // "If the body is non-empty but does not end with a CRLF, a CRLF is added."
  if (end > 0) sink(std::string_view("\r\n"));
  return only_crlf(body.substr(end));
}

// RFC 6376 3.4.3, as relaxed_body(): "the canonicalized body is [...] a single CRLF" where there is none.
template <class Sink>
bool simple_body(std::string_view body, Sink&& sink) {
  if (!only_crlf(body)) return false;
  while (body.ends_with("\r\n")) body.remove_suffix(2);
  if (!body.empty()) sink(body);
  sink(std::string_view("\r\n"));
  return true;
}

template <class Sink>
bool canonical_body(Canonicalisation form, std::string_view body, Sink&& sink) {
  return form == Canonicalisation::kRelaxed ? relaxed_body(body, sink) : simple_body(body, sink);
}

}  // namespace mailsbuddy::dkim
