#include "smtp/listen_reply.h"

#include <fmt/format.h>

#include "core/base/ascii.h"

namespace mailsbuddy::smtp {
namespace {
constexpr std::size_t kReplyMax = 510;  // RFC 5321 4.5.3.1.5, without CRLF.
}

std::string reply_line(const Reply& reply, std::string_view otherwise, MessageId id) {
  const int klass = reply.code / 100;
  if (klass != 2 && klass != 4 && klass != 5) return std::string(otherwise);
  EnhancedCode enhanced = reply.enhanced.value_or(EnhancedCode{static_cast<std::uint8_t>(klass), 0, 0});
  enhanced.klass = static_cast<std::uint8_t>(klass);  // RFC 2034 4: must match.
  std::string line = fmt::format("{} {} ", reply.code, enhanced.str());
  line += reply.text.empty() && klass == 2 ? fmt::format("Queued as {}", id.str()) : reply.text;
  if (line.size() > kReplyMax) line.resize(kReplyMax);
  for (char& c : line)
    if (c != ' ' && !ascii::is_visible(c)) c = ' ';
  return line;
}

}  // namespace mailsbuddy::smtp
