// RFC 5321 4.5.2 (transparency) and 2.3.8 (CR and LF stand together or not at all): a bare CR or LF that some receiver
// takes for a line end would let a message end itself and smuggle a second one.
#include <cstring>

#include "core/base/text_scan.h"
#include "mailsbuddy/smtp.h"

namespace mailsbuddy::smtp {
namespace {

// The first `c` in [from, end), or `end`.
const char* find(const char* from, const char* end, char c) noexcept {
  const void* at = from == end ? nullptr : std::memchr(from, c, static_cast<std::size_t>(end - from));
  return at == nullptr ? end : static_cast<const char*>(at);
}

}  // namespace

// A clean message, as nearly all are, is one look and one copy. Of others the runs that need no change are copied
// whole. `lf` is looked for again only once passed, so that a message of CRs alone is not quadratic.
bool dot_stuff(std::string_view message, std::string& out) {
  constexpr std::string_view kLineEnd = "\r\n";
  constexpr std::string_view kEndOfData = ".\r\n";
  const TextScan scan = scan_text(message);
  if (!scan.dot && !scan.bare && (message.empty() || message.ends_with(kLineEnd))) {
    out.reserve(out.size() + message.size() + kEndOfData.size());
    out.append(message).append(kEndOfData);
    return scan.eight_bit;
  }
  const char* const end = message.data() + message.size();
  const char* run = message.data();  // What is before it is in `out`.
  const char* line = run;
  const char* lf = find(line, end, '\n');
  out.reserve(out.size() + message.size() + message.size() / 64 + 8);

  while (line != end) {
    if (*line == '.') {
      out.append(run, line).append(1, '.');
      run = line;
    }
    const char* const stop = find(line, lf, '\r');
    if (stop == end || lf == end || stop + 1 != lf) {  // Not a line that ends in CRLF.
      out.append(run, stop).append(kLineEnd);
      run = line = stop == end ? end : stop + 1;
    } else {
      line = lf + 1;
    }
    if (line > lf) lf = find(line, end, '\n');
  }
  out.append(run, end).append(kEndOfData);
  return scan.eight_bit;
}

}  // namespace mailsbuddy::smtp
