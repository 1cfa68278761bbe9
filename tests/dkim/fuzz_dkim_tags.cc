// A tag list's tags are parts of its text, are found again by name, and make the same list when put together; its value
// forms decode what they encode.
#include <cstdlib>

#include "core/base/ascii.h"
#include "dkim/tag_list.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mailsbuddy::dkim;
  const std::string_view text(reinterpret_cast<const char*>(data), size);

  std::string encoded;
  append_tag_quoted(encoded, text, "|");
  if (decode_tag_quoted(encoded) != text || encoded.find_first_of(";| \t\r\n") != std::string::npos) std::abort();
  if (const auto decoded = decode_tag_quoted(text); decoded && decoded->size() > size) std::abort();
  if (const auto decoded = decode_tag_base64(text); decoded && decoded->size() > size) std::abort();

  const auto list = TagList::parse(text);
  if (!list) return 0;
  std::string again;
  for (const Tag& tag : list->tags()) {
    if (list->find(tag.name) != tag.value || tag.name.data() < text.data()) std::abort();
    again += std::string(tag.name) + "=" + std::string(tag.value) + ";";
    std::optional<std::string_view> parts = tag.value;
    std::size_t octets = 0;
    while (const auto part = take_colon_part(parts)) octets += part->size() + 1;
    if (octets > tag.value.size() + 1) std::abort();
  }
  const auto second = TagList::parse(again);
  if (!second || second->tags().size() != list->tags().size()) std::abort();
  return 0;
}
