// tag_list.h - tag=value lists (RFC 6376 3.2), as in DKIM-Signature fields and key records, and the forms their values
// take.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mailsbuddy/base.h"

namespace mailsbuddy::dkim {

constexpr std::size_t kTagsMax =
    64;  // Of one list. RFC 6376 has 16 for signatures, 8 for keys; duplicates are sought in pairs.

// Views into the text that was parsed.
struct Tag {
  std::string_view name;   // Letter case counts (RFC 6376 3.2).
  std::string_view value;  // Without the white space at its ends; that inside stays, folds too.
};

class TagList {
 public:
  // Errors: kInvalidArgument: not the grammar; a name twice ("the entire tag-list is invalid"); more than kTagsMax.
  static Result<TagList> parse(std::string_view text);

  std::optional<std::string_view> find(std::string_view name) const noexcept;
  std::span<const Tag> tags() const noexcept { return tags_; }  // In their order.

 private:
  std::vector<Tag> tags_;
};

// base64string (RFC 6376 2.10): white space may stand anywhere, padding is complete or left out. Empty: other
// characters.
std::optional<std::string> decode_tag_base64(std::string_view value);

// dkim-quoted-printable (RFC 6376 2.11). decode: empty: an "=" without two hexadecimal digits, or a character that has
// to be encoded. encode: `also` are further characters to encode, as z= has for "|".
std::optional<std::string> decode_tag_quoted(std::string_view value);
void append_tag_quoted(std::string& out, std::string_view bytes, std::string_view also = {});

// Takes the part before the next colon off the front of `list`, trimmed; empty: no part is left.
// For h= and s= of keys, h= and q= of signatures: part *( [FWS] ":" [FWS] part ).
std::optional<std::string_view> take_colon_part(std::optional<std::string_view>& list) noexcept;

}  // namespace mailsbuddy::dkim
