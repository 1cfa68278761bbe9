// providers_data.h - warming/providers.tsv as the build found it: the library reads no files.
#pragma once

#include <string_view>

namespace mailsbuddy::warming {

extern const std::string_view kProvidersText;

}  // namespace mailsbuddy::warming
