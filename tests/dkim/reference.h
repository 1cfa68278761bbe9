// reference.h - RFC 6376 3.4 as it is written, line by line and copying freely: what the one-pass form must equal.
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

// 3.4.3: nothing but empty lines at the end goes.
inline std::string reference_simple_body(std::string_view body) {
  std::string canonical(body);
  if (!canonical.ends_with("\r\n")) canonical += "\r\n";
  while (canonical.ends_with("\r\n\r\n")) canonical.resize(canonical.size() - 2);
  return canonical;
}

// 3.4.2: of a field's value.
inline std::string reference_relaxed_value(std::string_view value) {
  std::string reduced;
  for (const char c : value) {
    if (c == '\r' || c == '\n') continue;  // "Unfold all header field continuation lines."
    const bool wsp = c == ' ' || c == '\t';
    if (!wsp) reduced += c;
    if (wsp && !reduced.empty() && reduced.back() != ' ') reduced += ' ';
  }
  while (reduced.ends_with(' ')) reduced.pop_back();
  return reduced;
}

}  // namespace mailsbuddy::dkim
