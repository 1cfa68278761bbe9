// report_signs.h - the words by which reports are told apart, in the languages they are written in.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace mailsbuddy::bounce {

enum class Sign : std::uint8_t {
  kFailure,        // Something was not delivered.
  kFailureTitle,   // The same, in words that only a subject says.
  kDelay,          // It will be tried again.
  kFinal,          // It will not be tried again.
  kSuccess,        // It was delivered.
  kAutoReply,      // In a subject: an auto-responder speaks.
  kAutoReplyText,  // In a text: the same.
  kChallenge,      // The sender is to prove to be a person.
  kUnsubscribe,    // A subject or first line that is this and nothing more.
  kCount,
};
using Signs = std::bitset<static_cast<std::size_t>(Sign::kCount)>;

// ASCII in lower case, each run of white space one space.
std::string folded(std::string_view text);

// All signs in a folded text, in one pass; its words are compared from their beginnings.
Signs signs_in(std::string_view folded_text);
inline bool has(const Signs& signs, Sign sign) noexcept { return signs[static_cast<std::size_t>(sign)]; }

// Whether the folded text is one of the phrases of that sign, or begins with one and then a word ends.
bool begins_with_sign(std::string_view folded_text, Sign sign);

// Whether a trimmed line says that the message that was sent follows, or is the beginning of its header section.
bool announces_original(std::string_view line);

}  // namespace mailsbuddy::bounce
