// say.h - words for whoever runs the command, on standard error.
#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <string>
#include <utility>

namespace mailsbuddy::cli {

// Standard error may be a file on a full disk, or, on a thread with block_sigpipe(), a pipe whose reader is gone: what
// cannot be said is not said, and what the command does goes on. Threads: any.
template <class... Values>
void say(fmt::format_string<Values...> format, Values&&... values) noexcept {
  try {
    const std::string text = fmt::format(format, std::forward<Values>(values)...);
    static_cast<void>(std::fwrite(text.data(), 1, text.size(), stderr));
  } catch (...) {  // No memory for the words.
  }
}

}  // namespace mailsbuddy::cli
