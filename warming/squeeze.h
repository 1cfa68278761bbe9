// squeeze.h - a snapshot without its zeros, of which it has many: what is kept of providers that are forgotten.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mailsbuddy::warming {

//   squeezed = "MBWZ" *(1*%x01-FF / run)
//   run      = %x00 count        ; so many zeros, 1 to 255
std::string squeeze(std::string_view bytes);
std::optional<std::string> unsqueeze(std::string_view bytes);  // Empty: squeeze() did not make it.

}  // namespace mailsbuddy::warming
