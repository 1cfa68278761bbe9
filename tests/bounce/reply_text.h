// reply_text.h - a Reply from one line, for tests: "550 5.1.1 No such user".
#pragma once

#include <string>
#include <string_view>

#include "core/base/ascii.h"
#include "mailsbuddy/mail.h"

namespace mailsbuddy::bounce {

// Takes a number and the character `after` it off the front; -1: there is none.
inline int take_number(std::string_view& text, char after) {
  std::size_t digits = 0;
  int number = 0;
  while (digits < text.size() && digits < 3 && ascii::is_digit(text[digits]))
    number = number * 10 + text[digits++] - '0';
  if (digits == 0 || digits >= text.size() || text[digits] != after) return -1;
  text.remove_prefix(digits + 1);
  return number;
}

inline Reply reply_of(std::string_view line) {
  Reply reply;
  if (line.size() >= 3 && ascii::is_digit(line[0]) && ascii::is_digit(line[1]) && ascii::is_digit(line[2])) {
    reply.code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + line[2] - '0';
    line.remove_prefix(line.size() > 3 ? 4 : 3);
  }
  std::string_view rest = line;
  const int klass = take_number(rest, '.');
  const int subject = klass < 0 ? -1 : take_number(rest, '.');
  const int detail = subject < 0 ? -1 : take_number(rest, ' ');
  if (detail >= 0) {
    reply.enhanced = EnhancedCode{static_cast<std::uint8_t>(klass), static_cast<std::uint16_t>(subject),
                                  static_cast<std::uint16_t>(detail)};
    line = rest;
  }
  reply.text = line;
  return reply;
}

}  // namespace mailsbuddy::bounce
