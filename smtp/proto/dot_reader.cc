#include "smtp/proto/dot_reader.h"

#include <cstring>

namespace mailsbuddy::smtp {
namespace {
std::string_view take(std::string_view& bytes, std::size_t count) noexcept {
  const std::string_view taken = bytes.substr(0, count);
  bytes.remove_prefix(count);
  return taken;
}
}  // namespace

std::string_view DotReader::read(std::string_view& bytes) noexcept {
  while (!bytes.empty()) {
    switch (state_) {
      case State::kLineStart:
        if (bytes.front() != '.') return read_lines(bytes);
        bytes.remove_prefix(1);
        state_ = State::kDot;
        break;
      case State::kDot:
        if (bytes.front() != '\r') return read_lines(bytes);  // The dot was stuffed: it is gone.
        bytes.remove_prefix(1);
        state_ = State::kDotCr;
        break;
      case State::kDotCr:
        if (bytes.front() != '\n') {  // The dot was stuffed, the CR is content.
          state_ = State::kCr;
          return "\r";
        }
        bytes.remove_prefix(1);
        state_ = State::kDone;
        return {};
      case State::kLine:
      case State::kCr:
        return read_lines(bytes);
      case State::kDone:
        return {};
    }
  }
  return {};
}

// Up to the next line that begins with a dot, in one piece. A line feed is all that is looked for: one memchr a line.
std::string_view DotReader::read_lines(std::string_view& bytes) noexcept {
  const char* const begin = bytes.data();
  const char* const end = begin + bytes.size();
  bool after_cr = state_ == State::kCr;  // Of the byte before `begin`.
  for (const char* at = begin; at != end;) {
    const void* const found = std::memchr(at, '\n', static_cast<std::size_t>(end - at));
    if (found == nullptr) break;
    const char* const lf = static_cast<const char*>(found);
    const bool crlf = lf == begin ? after_cr : lf[-1] == '\r';
    at = lf + 1;
    if (crlf && (at == end || *at == '.')) {
      state_ = State::kLineStart;
      return take(bytes, static_cast<std::size_t>(at - begin));
    }
  }
  state_ = end[-1] == '\r' ? State::kCr : State::kLine;
  return take(bytes, bytes.size());
}

}  // namespace mailsbuddy::smtp
