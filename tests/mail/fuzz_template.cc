// A template and a row from anywhere: compiling and rendering end, within the limits, in an error or in a message whose
// headers are the template's. Input: the template, and after a NUL the value of every field.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "mailsbuddy/mail.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string_view source = input.substr(0, input.find('\0'));
  const std::string_view value = source.size() < size ? input.substr(source.size() + 1) : "";

  const std::string text(source);
  mailsbuddy::Content content{{{"Subject", text}, {"List-Help", text}}, text, text, {}};
  constexpr mailsbuddy::Template::Limits kLimits{.max_output_bytes = 1u << 18, .max_steps = 20'000, .max_nesting = 16};
  const auto made = mailsbuddy::Template::compile(std::move(content), kLimits);
  if (!made) {
    if (made.error().detail.empty()) std::abort();
    return 0;
  }
  const auto fields = made->field_names();
  const std::vector<std::string_view> names(fields.begin(), fields.end());
  const std::vector<std::string_view> values(names.size(), value);
  std::string out = "before";
  if (!made->render({names, values}, "", out)) {
    if (out != "before") std::abort();
    return 0;
  }
  if (out.size() > kLimits.max_output_bytes + 6) std::abort();
  for (std::size_t i = 0; i < out.size(); ++i) {  // No bare CR or LF.
    if (out[i] == '\n' && (i == 0 || out[i - 1] != '\r')) std::abort();
    if (out[i] == '\r' && (i + 1 == out.size() || out[i + 1] != '\n')) std::abort();
  }
  return 0;
}
