// filter_text.h - filters as people write them: filter = name "=" value *("," name "=" value), each name once at most.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "mailsbuddy/base.h"

namespace mailsbuddy {

struct FilterField {
  std::string_view name;
  std::string& value;  // Empty before; set to what stands there.
};

// Errors: kInvalidArgument with the part that is wrong, and all names.
Result<void> parse_filter(std::string_view text, std::span<const FilterField> fields);

}  // namespace mailsbuddy
