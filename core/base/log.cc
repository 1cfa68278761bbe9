#include "core/base/log.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "core/base/ascii.h"

namespace mailsbuddy {

void write_log(LogSink& sink, LogLevel level, std::string_view room, fmt::string_view format, fmt::format_args args) {
  fmt::memory_buffer line;
  fmt::vformat_to(std::back_inserter(line), format, args);
  if (std::none_of(line.begin(), line.end(), ascii::is_control)) {
    sink.write(level, room, {line.data(), line.size()});
    return;
  }
  fmt::memory_buffer escaped;
  for (const char c : line) {
    if (ascii::is_control(c)) {
      fmt::format_to(std::back_inserter(escaped), "\\x{:02x}", static_cast<unsigned>(c));
    } else {
      escaped.push_back(c);
    }
  }
  sink.write(level, room, {escaped.data(), escaped.size()});
}

}  // namespace mailsbuddy
