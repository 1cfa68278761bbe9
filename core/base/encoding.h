// encoding.h - bytes as text and back: hex, base64, base32, quoted-printable; and what is valid UTF-8.
// Encoders append to `out`, so that a message is built in one buffer. Decoders of untrusted text never read past it and
// never produce more bytes than they are given.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mailsbuddy {

// Base 16 (RFC 4648 8), lower case.
void append_hex(std::string& out, std::string_view bytes);
std::optional<std::string> decode_hex(std::string_view text);  // Any letter case. Empty: not hex, or half a byte.

// Base 64 (RFC 4648 4), padded.
void append_base64(std::string& out, std::string_view bytes);
// The same in lines of 76 characters, each, also the last, ended by CRLF (RFC 2045 6.8). No bytes: no line.
void append_base64_lines(std::string& out, std::string_view bytes);
// Exactly what append_base64() gives: no other characters, padding complete, unused bits zero. Empty: anything else.
std::optional<std::string> decode_base64(std::string_view text);
// As RFC 2045 6.8 asks of readers of mail: ignores what is not of the alphabet, ends at the padding or at the end of
// the text, and drops a last lone character, which is less than a byte. Takes anything.
std::string decode_base64_lenient(std::string_view text);

// Base 32 (RFC 4648 6), lower case and without padding: safe where letter case may be lost, as in local parts.
void append_base32(std::string& out, std::string_view bytes);
// Any letter case. Empty: other characters, a length that no bytes have, or unused bits that are not zero.
std::optional<std::string> decode_base32(std::string_view text);

// Quoted-printable (RFC 2045 6.7) of text whose lines end in CRLF. Lines come out at most 76 characters long; CRs and
// LFs that are not a CRLF are encoded, as is white space at the end of a line or of the text.
void append_quoted_printable(std::string& out, std::string_view text);
// Takes anything, as RFC 2045 6.7 advises: "=" without two hex digits stays as it is, white space before a line end
// goes, a soft line break may end in LF alone. Line ends stay what they were.
std::string decode_quoted_printable(std::string_view text);

bool is_ascii(std::string_view text) noexcept;
// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_valid_utf8(std::string_view text) noexcept;

}  // namespace mailsbuddy
