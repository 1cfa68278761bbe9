// reference.h - RFC 6376 3.4.4 as it is written, line by line and copying freely: what the one-pass form must equal.
#pragma once

#include <string>
#include <string_view>

namespace mailsbuddy::dkim {

// `body`'s line ends are all CRLF, but for the last, which may be missing.
inline std::string reference_relaxed_body(std::string_view body) {
  std::string canonical;
  while (!body.empty()) {
    const std::size_t end = body.find("\r\n");
    const std::string_view line = body.substr(0, end);
    body.remove_prefix(end == std::string_view::npos ? body.size() : end + 2);
    std::string reduced;
    for (const char c : line) {
      const bool wsp = c == ' ' || c == '\t';
      if (!wsp) reduced += c;
      if (wsp && (reduced.empty() || reduced.back() != ' ')) reduced += ' ';
    }
    while (!reduced.empty() && reduced.back() == ' ') reduced.pop_back();
    canonical += reduced + "\r\n";
  }
  while (canonical.ends_with("\r\n\r\n")) canonical.resize(canonical.size() - 2);
  return canonical == "\r\n" ? "" : canonical;
}

}  // namespace mailsbuddy::dkim
