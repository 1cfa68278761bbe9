#include "smtp/proto/line_ends.h"

#include <cstring>

namespace mailsbuddy::smtp {

// Two searches for one octet each, instead of one loop over all octets: memchr reads 32 of them at once.
void LineEnds::read(std::string_view piece) noexcept {
  if (piece.empty() || bare_) return;
  if (after_cr_ && piece.front() != '\n') bare_ = true;
  const char* const end = piece.data() + piece.size();
  for (const char* at = piece.data(); at != end;) {
    const void* const found = std::memchr(at, '\n', static_cast<std::size_t>(end - at));
    if (found == nullptr) break;
    const char* const lf = static_cast<const char*>(found);
    if (lf == piece.data() ? !after_cr_ : lf[-1] != '\r') bare_ = true;
    at = lf + 1;
  }
  for (const char* at = piece.data(); at != end;) {
    const void* const found = std::memchr(at, '\r', static_cast<std::size_t>(end - at));
    if (found == nullptr) break;
    at = static_cast<const char*>(found) + 1;
    if (at != end && *at != '\n') bare_ = true;
  }
  after_cr_ = piece.back() == '\r';
}

}  // namespace mailsbuddy::smtp
