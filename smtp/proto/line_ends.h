// line_ends.h - CR and LF that are not CRLF: what smuggling is made of. RFC 5321 2.3.8: neither may be sent alone.
#pragma once

#include <string>
#include <string_view>

namespace mailsbuddy::smtp {

// Looks at a message that comes in pieces, cut anywhere. Threads: one owner.
class LineEnds {
 public:
  void restart() noexcept { after_cr_ = bare_ = false; }
  void read(std::string_view piece) noexcept;
  bool bare() const noexcept { return bare_ || after_cr_; }  // Of the complete message: a CR at its very end counts.
  bool bare_before_end() const noexcept { return bare_; }    // So far.

 private:
  bool after_cr_ = false;  // The last octet was a CR.
  bool bare_ = false;
};

}  // namespace mailsbuddy::smtp
