#include "core/base/encoding.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/base/ascii.h"

namespace mailsbuddy {
namespace {

constexpr std::string_view kHexLower = "0123456789abcdef";
constexpr std::string_view kHexUpper = "0123456789ABCDEF";  // RFC 2045 6.7 (1) wants upper case.
constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kBase32 = "abcdefghijklmnopqrstuvwxyz234567";

constexpr std::uint8_t byte(char c) noexcept { return static_cast<std::uint8_t>(c); }

// The value of every character of an alphabet, and kNone for all others.
using Values = std::array<std::uint8_t, 256>;
constexpr std::uint8_t kNone = 0xff;
constexpr Values values_of(std::string_view alphabet, bool any_case = false) {
  Values values{};
  values.fill(kNone);
  for (std::size_t i = 0; i < alphabet.size(); ++i) {
    values[byte(alphabet[i])] = static_cast<std::uint8_t>(i);
    if (any_case) values[byte(ascii::to_upper(alphabet[i]))] = static_cast<std::uint8_t>(i);
  }
  return values;
}
constexpr Values kBase64Values = values_of(kBase64);
constexpr Values kBase32Values = values_of(kBase32, true);

// Makes room for `size` more bytes and returns where they go.
char* grow(std::string& out, std::size_t size) {
  const std::size_t before = out.size();
  out.resize(before + size);
  return out.data() + before;
}

std::uint64_t load_word(const char* at) noexcept {
  std::uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}
constexpr std::uint64_t kEveryByte = 0x0101010101010101U;
constexpr std::uint64_t kHighBits = 0x80 * kEveryByte;

}  // namespace

// ---------------------------------------------------------------------------------------------------------------------
// Hex

void append_hex(std::string& out, std::string_view bytes) {
  char* to = grow(out, bytes.size() * 2);
  for (const char c : bytes) {
    *to++ = kHexLower[byte(c) >> 4];
    *to++ = kHexLower[byte(c) & 15];
  }
}

std::optional<std::string> decode_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::string bytes(text.size() / 2, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const int high = ascii::hex_value(text[2 * i]);
    const int low = ascii::hex_value(text[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes[i] = static_cast<char>(high * 16 + low);
  }
  return bytes;
}

// ---------------------------------------------------------------------------------------------------------------------
// Base 64

namespace {

// Two characters for every 12 bits: half the look-ups of a table of 64.
using Pair = std::array<char, 2>;
constexpr std::array<Pair, 4096> kBase64Pairs = [] {
  std::array<Pair, 4096> pairs{};
  for (std::size_t i = 0; i < pairs.size(); ++i) pairs[i] = {kBase64[i >> 6], kBase64[i & 63]};
  return pairs;
}();

constexpr std::size_t base64_size(std::size_t bytes) noexcept { return (bytes + 2) / 3 * 4; }

char* encode_base64(char* to, std::string_view bytes) noexcept {
  const char* from = bytes.data();
  for (std::size_t groups = bytes.size() / 3; groups > 0; --groups, from += 3, to += 4) {
    const std::uint32_t group = std::uint32_t{byte(from[0])} << 16 | std::uint32_t{byte(from[1])} << 8 | byte(from[2]);
    std::memcpy(to, kBase64Pairs[group >> 12].data(), 2);
    std::memcpy(to + 2, kBase64Pairs[group & 0xfff].data(), 2);
  }
  const std::size_t rest = bytes.size() % 3;
  if (rest == 0) return to;
  const std::uint32_t group = std::uint32_t{byte(from[0])} << 16 | (rest == 2 ? std::uint32_t{byte(from[1])} << 8 : 0);
  std::memcpy(to, kBase64Pairs[group >> 12].data(), 2);
  to[2] = rest == 2 ? kBase64[group >> 6 & 63] : '=';
  to[3] = '=';
  return to + 4;
}

}  // namespace

void append_base64(std::string& out, std::string_view bytes) {
  encode_base64(grow(out, base64_size(bytes.size())), bytes);
}

void append_base64_lines(std::string& out, std::string_view bytes) {
  constexpr std::size_t kLineBytes = 57;  // 76 characters, the most that RFC 2045 6.8 allows.
  const std::size_t lines = (bytes.size() + kLineBytes - 1) / kLineBytes;
  char* to = grow(out, base64_size(bytes.size()) + lines * 2);
  for (; !bytes.empty(); bytes.remove_prefix(std::min(kLineBytes, bytes.size()))) {
    to = encode_base64(to, bytes.substr(0, kLineBytes));
    *to++ = '\r';
    *to++ = '\n';
  }
}

std::optional<std::string> decode_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::size_t padding = 0;
  while (padding < 2 && text.ends_with('=')) {
    text.remove_suffix(1);
    ++padding;
  }
  std::string bytes(text.size() * 3 / 4, '\0');
  char* to = bytes.data();
  std::uint32_t group = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::uint8_t value = kBase64Values[byte(text[i])];
    if (value == kNone) return std::nullopt;
    group = group << 6 | value;
    if (i % 4 != 3) continue;
    *to++ = static_cast<char>(group >> 16);
    *to++ = static_cast<char>(group >> 8);
    *to++ = static_cast<char>(group);
  }
  // What padding stands for: 18 bits are two bytes and two unused bits, 12 bits are one byte and four.
  const std::uint32_t unused = padding == 1 ? group & 3 : padding == 2 ? group & 15 : 0;
  if (unused != 0) return std::nullopt;
  if (padding == 1) *to++ = static_cast<char>(group >> 10);
  if (padding > 0) *to++ = static_cast<char>(padding == 1 ? group >> 2 : group >> 4);
  return bytes;
}

std::string decode_base64_lenient(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 2);
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    if (c == '=') break;
    const std::uint8_t value = kBase64Values[byte(c)];
    if (value == kNone) continue;
    bits = bits << 6 | value;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes.push_back(static_cast<char>(bits >> count));
  }
  return bytes;
}

// ---------------------------------------------------------------------------------------------------------------------
// Base 32

void append_base32(std::string& out, std::string_view bytes) {
  char* to = grow(out, (bytes.size() * 8 + 4) / 5);
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : bytes) {
    bits = bits << 8 | byte(c);
    for (count += 8; count >= 5; count -= 5) *to++ = kBase32[bits >> (count - 5) & 31];
  }
  if (count > 0) *to++ = kBase32[bits << (5 - count) & 31];
}

std::optional<std::string> decode_base32(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size() * 5 / 8);
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const std::uint8_t value = kBase32Values[byte(c)];
    if (value == kNone) return std::nullopt;
    bits = bits << 5 | value;
    count += 5;
    if (count < 8) continue;
    count -= 8;
    bytes.push_back(static_cast<char>(bits >> count));
  }
  // Five bits or more left over are a character too many; fewer must be zero.
  if (count >= 5 || (bits & ((1U << count) - 1)) != 0) return std::nullopt;
  return bytes;
}

// ---------------------------------------------------------------------------------------------------------------------
// Quoted-printable (RFC 2045 6.7)
//
//   qp-line   = *(qp-segment transport-padding CRLF) qp-part transport-padding
//   qp-octet  = "=" 2("0"-"9" / "A"-"F")
//   safe-char = any octet of 33 to 60 and 62 to 126; white space too, but not at the end of a line

namespace {

constexpr std::size_t kQpLineMax = 76;  // RFC 2045 6.7 (5), the "=" of a soft line break included.

constexpr std::array<bool, 256> kQpLiteral = [] {
  std::array<bool, 256> literal{};
  for (std::size_t c = ' '; c < 0x7f; ++c) literal[c] = c != '=';
  literal['\t'] = true;
  return literal;
}();

// How many characters at the front stand for themselves. Eight at a time: a byte is not literal if it is below space,
// is
// "=", or is DEL or above. Borrows and carries spoil only bytes after the first such one, which is all that is asked
// for. Tabs leave this path; they are rare.
std::size_t literal_run(std::string_view text) noexcept {
  std::size_t at = 0;
  if constexpr (std::endian::native == std::endian::little) {
    for (; at + 8 <= text.size(); at += 8) {
      const std::uint64_t word = load_word(text.data() + at);
      const std::uint64_t hits =
          (word | (word + kEveryByte) | (word - ' ' * kEveryByte) | ((word ^ '=' * kEveryByte) - kEveryByte)) &
          kHighBits;
      if (hits == 0) continue;
      at += static_cast<std::size_t>(std::countr_zero(hits)) / 8;
      break;
    }
  }
  while (at < text.size() && kQpLiteral[byte(text[at])]) ++at;
  return at;
}

bool at_line_end(std::string_view text) noexcept { return text.empty() || text.starts_with("\r\n"); }

void append_qp_octet(std::string& out, char c) {
  const std::array<char, 3> octet = {'=', kHexUpper[byte(c) >> 4], kHexUpper[byte(c) & 15]};
  out.append(octet.data(), octet.size());
}

// A line of quoted-printable without its line end and transport padding.
void append_qp_decoded(std::string& out, std::string_view line) {
  while (true) {
    const std::size_t run = std::min(line.find('='), line.size());
    out.append(line.substr(0, run));
    line.remove_prefix(run);
    if (line.empty()) return;
    const int high = line.size() > 2 ? ascii::hex_value(line[1]) : -1;
    const int low = line.size() > 2 ? ascii::hex_value(line[2]) : -1;
    const bool octet = high >= 0 && low >= 0;
    out.push_back(octet ? static_cast<char>(high * 16 + low) : '=');
    line.remove_prefix(octet ? 3 : 1);
  }
}

}  // namespace

void append_quoted_printable(std::string& out, std::string_view text) {
  std::size_t copied =
      0;  // What lies between here and `at` is to be copied as it is, many lines at once if they allow it.
  std::size_t column = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t run = literal_run(text.substr(at, kQpLineMax - 1 - column));
    at += run;
    column += run;
    if (at_line_end(text.substr(at))) {
      if (run == 0 || !ascii::is_wsp(text[at - 1])) {
        at = std::min(at + 2, text.size());
        column = 0;
        continue;
      }
      --at;  // White space may not end a line (3).
      --column;
    }
    const bool last = at_line_end(text.substr(at + 1));
    const bool literal = kQpLiteral[byte(text[at])] && !(last && ascii::is_wsp(text[at]));
    const std::size_t width = literal ? 1 : 3;
    if (column + width > (last ? kQpLineMax : kQpLineMax - 1)) {  // The 76th column is for "=", unless nothing follows.
      out.append(text.substr(copied, at - copied));
      out.append("=\r\n");
      copied = at;
      column = 0;
      continue;
    }
    if (!literal) {
      out.append(text.substr(copied, at - copied));
      append_qp_octet(out, text[at]);
      copied = at + 1;
    }
    ++at;
    column += width;
  }
  out.append(text.substr(copied));
}

std::string decode_quoted_printable(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  while (!text.empty()) {
    std::string_view line = text.substr(0, std::min(text.find('\n'), text.size() - 1) + 1);
    text.remove_prefix(line.size());
    const std::string_view end = line.ends_with("\r\n") ? "\r\n" : line.ends_with('\n') ? "\n" : "";
    line.remove_suffix(end.size());
    while (!line.empty() && ascii::is_wsp(line.back())) line.remove_suffix(1);
    const bool soft_break = line.ends_with('=');
    if (soft_break) line.remove_suffix(1);
    append_qp_decoded(bytes, line);
    if (!soft_break) bytes.append(end);
  }
  return bytes;
}

// ---------------------------------------------------------------------------------------------------------------------
// UTF-8 (RFC 3629 4)
//
//   UTF8-2 = %xC2-DF UTF8-tail
//   UTF8-3 = %xE0 %xA0-BF UTF8-tail / %xE1-EC 2( UTF8-tail ) / %xED %x80-9F UTF8-tail / %xEE-EF 2( UTF8-tail )
//   UTF8-4 = %xF0 %x90-BF 2( UTF8-tail ) / %xF1-F3 3( UTF8-tail ) / %xF4 %x80-8F 2( UTF8-tail )
//   UTF8-tail = %x80-BF

namespace {

// What may follow a first byte: how many bytes, and between which bounds the first of them lies. The others are tails.
struct Utf8Rule {
  std::uint8_t length = 0;  // 0: not a first byte.
  std::uint8_t lowest = 0x80;
  std::uint8_t highest = 0xbf;
};

constexpr Utf8Rule utf8_rule(std::uint8_t first) noexcept {
  if (first >= 0xc2 && first <= 0xdf) return {.length = 1};
  if (first == 0xe0) return {.length = 2, .lowest = 0xa0};
  if (first == 0xed) return {.length = 2, .highest = 0x9f};
  if (first >= 0xe1 && first <= 0xef) return {.length = 2};
  if (first == 0xf0) return {.length = 3, .lowest = 0x90};
  if (first >= 0xf1 && first <= 0xf3) return {.length = 3};
  if (first == 0xf4) return {.length = 3, .highest = 0x8f};
  return {};
}

// How many characters at the front are ASCII.
std::size_t ascii_run(std::string_view text) noexcept {
  std::size_t at = 0;
  while (at + 8 <= text.size() && (load_word(text.data() + at) & kHighBits) == 0) at += 8;
  while (at < text.size() && byte(text[at]) < 0x80) ++at;
  return at;
}

}  // namespace

// Without an early end, so that the compiler makes vectors of it: whole messages pass here.
bool is_ascii(std::string_view text) noexcept {
  std::uint8_t all = 0;
  for (const char c : text) all |= byte(c);
  return all < 0x80;
}

bool is_valid_utf8(std::string_view text) noexcept {
  while (true) {
    text.remove_prefix(ascii_run(text));
    if (text.empty()) return true;
    const Utf8Rule rule = utf8_rule(byte(text[0]));
    if (rule.length == 0 || text.size() <= rule.length) return false;
    if (byte(text[1]) < rule.lowest || byte(text[1]) > rule.highest) return false;
    for (std::size_t i = 2; i <= rule.length; ++i) {
      if ((byte(text[i]) & 0xc0) != 0x80) return false;
    }
    text.remove_prefix(rule.length + 1U);
  }
}

}  // namespace mailsbuddy
