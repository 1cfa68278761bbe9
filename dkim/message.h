// message.h - a message cut into header fields and body, as signers and verifiers see it (RFC 5322 2.1, 2.2).
#pragma once

#include <string_view>
#include <vector>

#include "mailsbuddy/base.h"

namespace mailsbuddy::dkim {

// Views into the message.
struct Field {
  std::string_view name;   // Without the white space that obsolete syntax allows before the colon (RFC 5322 4.5).
  std::string_view value;  // What follows the colon, folded as it is, without the last CRLF.
  std::string_view whole;  // All of it but the last CRLF.
};

// One is used for many messages: its memory is kept.
struct CutMessage {
  std::vector<Field> fields;  // From top to bottom.
  std::string_view body;      // What follows the empty line; empty when there is none.
};

// Errors: kInvalidArgument: a bare CR or LF in the header, or a line there that is no field; kResourceExhausted: more
// than `fields_max` fields.
Result<void> cut_message(std::string_view message, CutMessage& cut, std::size_t fields_max = std::string_view::npos);

// RFC 5322 3.6.8 field-name: 1*ftext, ftext = %d33-57 / %d59-126.
constexpr bool is_field_name(std::string_view name) noexcept {
  for (const char c : name) {
    if (c < 33 || c > 126 || c == ':') return false;
  }
  return !name.empty();
}

}  // namespace mailsbuddy::dkim
