// text_scan.h - what a text has in it that needs care on the wire, in one pass over vectors of octets.
#pragma once

#include <string_view>

namespace mailsbuddy {

struct TextScan {
  bool eight_bit = false;  // An octet above 127.
  bool control = false;    // An octet that is neither printable ASCII nor HT, CR, LF.
  bool bare = false;       // A CR or LF that is not of a CRLF.
  bool dot = false;        // A line that begins with a dot.
  bool long_line = false;  // Perhaps a line of more than kSureLineMax octets; false: surely none.
};

inline constexpr std::size_t kSureLineMax = 998;  // RFC 5322 2.1.1, without CRLF.

// Of `text` as whole lines. Cost: some cycles for 16 octets, whatever is in it.
TextScan scan_text(std::string_view text) noexcept;

}  // namespace mailsbuddy
