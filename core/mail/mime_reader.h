// mime_reader.h - any bytes as the tree of a message's parts, in one pass over them.
// Takes what mail programs really write: lines that end in LF, an mbox's "From " line, rubbish between header fields,
// boundaries that are not declared, parts that are never closed. Nothing here fails; what is beyond a limit is left
// unread, and the tree says so.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/mail/header.h"

namespace mailsbuddy {

inline constexpr std::size_t kMimeDepthMax = 16;      // Multiparts in multiparts; mail programs nest four deep.
inline constexpr std::size_t kMimePartsMax = 1000;    // In the whole message.
inline constexpr std::size_t kMimeHeadersMax = 1000;  // Fields of one header section.
inline constexpr std::size_t kMimeHeaderBytesMax = 1 << 20;
inline constexpr std::size_t kMimePreambleMax = 64 * 1024;  // Where a multipart's first delimiter is looked for.
inline constexpr std::size_t kBoundaryMax = 200;            // RFC 2046 5.1.1 allows 70; some programs write more.

// One entity (RFC 2045 2.4). All views are into the message.
struct MimePart {
  std::string_view headers;  // The header section as it stands; next_field() takes it apart.
  std::string_view body;     // In its transfer encoding; of a multipart, all of it.
  ParameterizedValue type{.value = "text/plain", .parameters = {}};  // RFC 2045 5.2
  ParameterizedValue disposition{};
  std::string encoding{};    // In lower case; empty: none given.
  std::string content_id{};  // Without its angle brackets.
  std::size_t parent = 0;    // Its index; the message itself is its own parent.
  std::size_t number = 0;    // Among its parent's parts, from 1; the message itself: 0.
  std::size_t depth = 0;     // Multiparts around it.
  std::size_t parts = 0;     // Those directly in it.
  bool guessed = false;      // A multipart whose declared boundary, if any, is nowhere to be seen.

  bool multipart() const noexcept { return type.value.starts_with("multipart/"); }
};

enum class MimeCut : unsigned char { kNone, kDepth, kParts, kHeaders };

struct MimeTree {
  std::vector<MimePart> parts;   // In reading order; the first is the message itself.
  MimeCut cut = MimeCut::kNone;  // The first limit that was met,
  std::size_t cut_at = 0;        // and the part that met it.
};

// Threads: any. Cost: a pass over `message`, and for each multipart kMimePreambleMax octets at most.
// What is nested deeper than kMimeDepthMax stays one part. message/rfc822 is a part like any other: not entered.
MimeTree read_mime(std::string_view message);

// The value of the first field of that name, unfolded; empty: none.
std::string header_of(const MimePart& part, std::string_view name);

// The body without its transfer encoding; in an unknown one it stays as it is.
std::string decoded_body(const MimePart& part);
// `body`, a piece of the part's body from its front, as UTF-8. A charset that is missing or unknown is guessed.
std::string text_of(const MimePart& part, std::string_view body);

}  // namespace mailsbuddy
