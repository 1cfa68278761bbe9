// liquid_filter.h - the filters, one table.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/mail/liquid_value.h"

namespace mailsbuddy::liquid {

struct FilterInput {
  Scratch& scratch;  // Holds what the filter makes; a filter that cannot go on stops it.
  const Value& value;
  std::span<const Value> arguments;
  bool html;  // The template is HTML.

  Value argument(std::size_t i) const { return i < arguments.size() ? arguments[i] : Value(); }
};

struct Filter {
  std::string_view name;
  std::uint8_t min_arguments;
  std::uint8_t max_arguments;
  Value (*apply)(const FilterInput& in);
};

inline constexpr std::size_t kFilterArgumentsMax = 2;

const Filter* find_filter(std::string_view name);  // Null: there is none.
std::string filter_names();                        // "append, capitalize, ...", for people.

// The `date` filter: `value` is an ISO 8601 date or date-time, or Unix time; `format` as strftime(3), the subset in
// docs/templates.md. Times are printed in the zone they are given in. What is no time comes back as it is.
Value format_date(Scratch& scratch, const Value& value, std::string_view format);

}  // namespace mailsbuddy::liquid
