// dot_reader.h - the message after DATA out of a byte stream that may be cut anywhere: finds its end, takes stuffed
// dots out.
#pragma once

#include <cstdint>
#include <string_view>

namespace mailsbuddy::smtp {

// Threads: one owner. Invariants: only CRLF "." CRLF ends the message (RFC 5321 4.1.1.4). Every form with a bare CR or
// a bare LF in it is content and goes through unchanged: another server may see an end there, this one must not.
class DotReader {
 public:
  // Takes content off the front of `bytes` and returns it: a view into `bytes`, or into static storage. Call until
  // `bytes` is empty or done(). May return an empty view on the way.
  std::string_view read(std::string_view& bytes) noexcept;
  bool done() const noexcept { return state_ == State::kDone; }
  void restart() noexcept { state_ = State::kLineStart; }  // The next byte begins a message.

 private:
  enum class State : std::uint8_t {
    kLine,       // Inside a line.
    kCr,         // After a CR inside a line.
    kLineStart,  // After CRLF, or at the message's beginning.
    kDot,        // After CRLF ".": held back, it is the end or was stuffed.
    kDotCr,      // After CRLF "." CR: likewise.
    kDone,
  };

  std::string_view read_lines(std::string_view& bytes) noexcept;

  State state_ = State::kLineStart;
};

}  // namespace mailsbuddy::smtp
