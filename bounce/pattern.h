// pattern.h - what a rule looks for in a reply's text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mailsbuddy/base.h"

namespace mailsbuddy::bounce {

// RFC 5234; a letter stands for itself in any case, with or without accents:
//   pattern     = alternative *( "|" alternative )     ; any of them
//   alternative = phrase *( "&" phrase )               ; all of them, in any order
//   phrase      = words [ "*" ]                        ; whole words one after another; "*": the last one may go on
//               / "@" name [ "*" ]                     ; labels one after another, within a host name or a URL
// Both are folded as texts are (fold.h). There is nothing that could backtrack.
inline constexpr std::size_t kPhraseWordsMax = 15;  // What keeps its place in the text is short.
using Alternative = std::vector<std::string>;       // Folded phrases, as Phrases takes them.

// Errors: kInvalidArgument: what is wrong with which phrase.
Result<std::vector<Alternative>> parse_pattern(std::string_view pattern);

// A text that has what an alternative asks for and nothing else; of `alternative` as it stands in the pattern.
std::string text_of_alternative(std::string_view alternative);

// Takes what stands before the next `separator` off the front of `rest`.
std::string_view take_until(std::string_view& rest, char separator);

}  // namespace mailsbuddy::bounce
