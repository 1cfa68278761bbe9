// header.h - header fields written and read: folding, RFC 2047 encoded words, RFC 2231 parameters.
// Writers append to `out` and never let a value end its field. Readers take anything.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mailsbuddy/mail.h"

namespace mailsbuddy {

inline constexpr std::size_t kHeaderNameMax = 76;  // So that a name and its colon leave room on a line of 78.

// RFC 5322 3.6.8: printable ASCII but the colon, and not empty; at most kHeaderNameMax octets.
bool is_header_name(std::string_view name) noexcept;

// format_header() at the end of `out`. Fields of addresses (From, To, Reply-To, ...) have their display names encoded
// and their domains made A-labels; of all others each run of words that are not ASCII is encoded.
void append_header(std::string& out, std::string_view name, std::string_view value);

// Appends `text` as RFC 2047 encoded words of at most 75 characters, separated by single spaces: B or Q, whichever is
// shorter, in the characters that are right in a phrase as well (RFC 2047 5 (3)). No word splits a character.
void append_encoded_words(std::string& out, std::string_view text);

// Appends ";", a fold and "name=value", quoted as needed, or RFC 2231's "name*=utf-8''...", in several continuations if
// long. Control characters become "_".
void append_parameter(std::string& out, std::string_view name, std::string_view value);

// The value of the first field of that name, in any letter case, in the header section of `message`, unfolded and
// trimmed. Lines may end in CRLF or LF.
std::optional<std::string> find_header(std::string_view message, std::string_view name);

// Takes the first field with its continuation lines off the front of `headers`. Lines may end in CRLF or LF.
// Empty: the end, or the empty line that ends a header section; that line is taken off as well.
struct RawField {
  std::string_view name;   // Without white space before the colon. Empty: the line is no field; `value` is the line.
  std::string_view value;  // What follows the colon, still folded, without the last line end.
};
std::optional<RawField> next_field(std::string_view& headers) noexcept;

// RFC 5322 2.2.3: without the line ends, which stand before white space, and without white space at the ends.
std::string unfold(std::string_view value);

// RFC 2047: encoded words become UTF-8, white space between two of them goes, what cannot be decoded stays as it is.
// The result is valid UTF-8.
std::string decode_header(std::string_view value);

// "text/plain; charset=utf-8" taken apart (RFC 2045 5.1), RFC 2231 continuations joined and decoded to UTF-8.
struct ParameterizedValue {
  std::string value;                                                 // In lower case: "text/plain", "attachment".
  std::vector<HeaderField> parameters;                               // Names in lower case.
  std::string_view parameter(std::string_view name) const noexcept;  // Empty: none.
};
ParameterizedValue parse_parameters(std::string_view value);

// Any charset that iconv knows to UTF-8; bytes that are not of the charset become U+FFFD. Empty: charset unknown.
std::optional<std::string> to_utf8(std::string_view charset, std::string_view bytes);

}  // namespace mailsbuddy
