// Whatever the bytes, the parts lie within them, within the limits, and each in its parent.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/base/encoding.h"
#include "core/mail/mime_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mailsbuddy;
  const std::string_view message(reinterpret_cast<const char*>(data), size);
  const MimeTree tree = read_mime(message);
  if (tree.parts.empty() || tree.parts.size() > kMimePartsMax + 2) std::abort();
  for (std::size_t i = 0; i < tree.parts.size(); ++i) {
    const MimePart& part = tree.parts[i];
    if (part.depth > kMimeDepthMax || part.parent > i || (i > 0 && part.parent == i)) std::abort();
    const MimePart& parent = tree.parts[part.parent];
    if (i > 0 && !part.body.empty() && part.body.data() + part.body.size() > parent.body.data() + parent.body.size()) {
      std::abort();
    }
    if (!part.multipart() && !is_valid_utf8(text_of(part, part.body))) std::abort();
  }
  return 0;
}
