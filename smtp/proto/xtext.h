// xtext.h - octets within an SMTP parameter, RFC 3461 4:
//
//   xtext   = *( xchar / hexchar )
//   xchar   = %d33-42 / %d44-60 / %d62-126     ; printable ASCII but "+" and "="
//   hexchar = "+" 2( DIGIT / "A" / "B" / "C" / "D" / "E" / "F" )
#pragma once

#include <string>
#include <string_view>

namespace mailsbuddy::smtp {

// Appends what `xtext` stands for to `out`. False: it is no xtext; `out` then ends in a part of it.
bool decode_xtext(std::string_view xtext, std::string& out);

void append_xtext(std::string& out, std::string_view octets);

}  // namespace mailsbuddy::smtp
