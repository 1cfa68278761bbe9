// reply_parser.h - SMTP replies out of a byte stream that may be cut anywhere.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "mailsbuddy/mail.h"

namespace mailsbuddy::smtp {

inline constexpr std::size_t kReplyLineMax = 2048;  // RFC 5321 4.5.3.1.5 says 512; servers with long URLs say more.
inline constexpr std::size_t kReplyLinesMax = 100;  // An EHLO reply has about 15, the wordiest refusals about 10.
inline constexpr std::size_t kReplyBytesMax = 16 << 10;  // A reply is copied to every recipient it settles.

// "class.subject.detail" (RFC 3463 2) of class `klass` at the front of `text`, followed by white space or the end.
// Found: taken off `text` together with the white space.
std::optional<EnhancedCode> take_enhanced_code(std::string_view& text, int klass) noexcept;

// Threads: one owner. Invariants: memory is bounded by the caps above; after kError it stays in error.
class ReplyParser {
 public:
  enum class Status { kMore, kReply, kError };

  // Takes bytes off the front of `bytes`, at most to the end of one reply. `enhanced`: a positive reply may begin with
  // an enhanced code. Refusals are always looked at: servers do send "554 5.7.1 ..." as their greeting.
  Status parse(std::string_view& bytes, bool enhanced);

  const Reply& reply() const noexcept { return reply_; }      // After kReply, until the next parse().
  std::string_view error() const noexcept { return error_; }  // After kError.

 private:
  Status on_line(std::string_view line, bool enhanced);
  Status fail(std::string_view why) noexcept;
  void append_text(std::string_view text);

  Reply reply_;
  std::string line_;        // The beginning of a line whose end has not come yet.
  std::size_t lines_ = 0;   // Of the current reply; 0: the next line begins a new one.
  std::size_t bytes_ = 0;   // Likewise.
  std::string_view error_;  // A literal.
};

}  // namespace mailsbuddy::smtp
