#include "core/base/filter_text.h"

#include <fmt/format.h>

#include <algorithm>

namespace mailsbuddy {
namespace {

Error bad(std::string_view part, std::span<const FilterField> fields) {
  std::string names;
  for (std::size_t i = 0; i < fields.size(); ++i)
    names += fmt::format("{}{}=", i == 0 ? "" : i + 1 == fields.size() ? " and " : ", ", fields[i].name);
  return {ErrorCode::kInvalidArgument, fmt::format("\"{}\": each of {} once, or none", part, names)};
}

}  // namespace

Result<void> parse_filter(std::string_view text, std::span<const FilterField> fields) {
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(','));
    text.remove_prefix(std::min(part.size() + 1, text.size()));
    const std::size_t equals = part.find('=');
    const std::string_view name = part.substr(0, equals);
    const std::string_view value = equals == std::string_view::npos ? "" : part.substr(equals + 1);
    const auto known = std::find_if(fields.begin(), fields.end(), [name](const FilterField& f) { return f.name == name; });
    if (known == fields.end() || value.empty() || !known->value.empty()) return bad(part, fields);
    known->value = value;
  }
  return {};
}

}  // namespace mailsbuddy
