// liquid_escape.h - a value written so that it stays a value where it stands.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/mail/liquid_value.h"

namespace mailsbuddy::liquid {

enum class Escape : std::uint8_t {
  kNone,            // Plain text, captures, and what `raw` ends.
  kHeader,          // A header value: control characters become a space.
  kHeaderUrl,       // Inside the angle brackets of a List-* header: percent-encoded.
  kHeaderUrlStart,  // The same at the URL's start: a whole URL, of http, https or mailto.
  kHtml,            // HTML text, or an attribute's value: entities for & < > " '
  kUrl,             // After a URL's start: percent-encoded but for RFC 3986's unreserved characters.
  kUrlOpaque,       // The same after mailto:, tel: and sms:, where @ and + stand for themselves.
  kUrlStart,        // A URL's start: relative, http, https, mailto or tel, or else "#".
  kCss,             // In style: letters, digits and harmless punctuation, or else nothing.
};

// Where a placeholder stands.
struct Place {
  Escape escape = Escape::kNone;
  bool unquoted = false;      // In an attribute's value without quotes.
  bool starts_value = false;  // The first thing in such a value: must not be nothing.
};

// False: refused, which only kHeaderUrlStart does; `out` may have grown.
bool append_escaped(std::string& out, std::string_view text, Form form, Place place);

// & < > " ' as entities; with `once`, an & that begins an entity stays.
void append_html(std::string& out, std::string_view text);
void append_html_once(std::string& out, std::string_view text);
// Percent-encoded but for RFC 3986 2.3's unreserved characters and those of `also`.
void append_percent_encoded(std::string& out, std::string_view text, std::string_view also = {});

}  // namespace mailsbuddy::liquid
