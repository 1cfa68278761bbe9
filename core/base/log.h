// log.h - one line to a LogSink. The line is built only when there is a sink and its level admits it.
#pragma once

#include <fmt/core.h>

#include "mailsbuddy/base.h"

namespace mailsbuddy {

// Builds the line and writes it. Control characters are written as \xNN: what a peer said cannot forge a second line.
void write_log(LogSink& sink, LogLevel level, std::string_view room, fmt::string_view format, fmt::format_args args);

// log(sink, LogLevel::kInfo, "smtp", "{} closed the connection", peer). A null sink: nothing happens. The arguments are
// evaluated in any case, so they should cost nothing to name.
template <class... Args>
void log(LogSink* sink, LogLevel level, std::string_view room, fmt::format_string<Args...> format, Args&&... args) {
  if (sink == nullptr || level < sink->level()) return;
  write_log(*sink, level, room, format, fmt::make_format_args(args...));
}

}  // namespace mailsbuddy
