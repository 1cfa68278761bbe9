#include "dkim/message.h"

#include <fmt/format.h>

#include "dkim/canonicalise.h"

namespace mailsbuddy::dkim {
namespace {

constexpr std::string_view kCrlf = "\r\n";

// Takes one field with its folded lines and its CRLF off the front of `header`.
std::string_view take_field(std::string_view& header) {
  std::size_t end = 0;
  do {
    end = header.find(kCrlf, end);
    end = end == std::string_view::npos ? header.size() : end + kCrlf.size();
  } while (end < header.size() && ascii::is_wsp(header[end]));
  const std::string_view field = header.substr(0, end);
  header.remove_prefix(end);
  return field.ends_with(kCrlf) ? field.substr(0, field.size() - kCrlf.size()) : field;
}

}  // namespace

Result<void> cut_message(std::string_view message, CutMessage& cut, std::size_t fields_max) {
  constexpr std::string_view kEmptyLine = "\r\n\r\n";
  const std::size_t empty_line = message.starts_with(kCrlf) ? 0 : message.find(kEmptyLine);
  std::string_view header = message;
  cut.fields.clear();
  cut.body = {};
  if (empty_line == 0) {
    header = {};
    cut.body = message.substr(kCrlf.size());
  } else if (empty_line != std::string_view::npos) {
    header = message.substr(0, empty_line + kCrlf.size());
    cut.body = message.substr(empty_line + kEmptyLine.size());
  }
  if (!only_crlf(header)) return Error{ErrorCode::kInvalidArgument, "bare CR or LF in the header"};

  while (!header.empty()) {
    const std::string_view field = take_field(header);
    const std::size_t colon = field.find(':');
    std::string_view name = field.substr(0, colon);
    while (!name.empty() && ascii::is_wsp(name.back())) name.remove_suffix(1);
    if (colon == std::string_view::npos || !is_field_name(name)) {
      return Error{ErrorCode::kInvalidArgument, fmt::format("header field {} has no name", cut.fields.size() + 1)};
    }
    if (cut.fields.size() == fields_max) {
      return Error{ErrorCode::kResourceExhausted, fmt::format("more than {} header fields", fields_max)};
    }
    cut.fields.push_back({.name = name, .value = field.substr(colon + 1), .whole = field});
  }
  return {};
}

}  // namespace mailsbuddy::dkim
