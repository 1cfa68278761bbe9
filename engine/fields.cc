#include "engine/fields.h"

namespace mailsbuddy::engine {

void append_field(std::string& packed, std::string_view value) {
  std::size_t size = value.size();
  for (; size >= 0x80; size >>= 7) packed.push_back(static_cast<char>((size & 0x7f) | 0x80));
  packed.push_back(static_cast<char>(size));
  packed += value;
}

std::string pack_report(std::uint8_t notify, std::string_view orcpt) {
  std::string packed;
  if (notify == 0 && orcpt.empty()) return packed;
  packed.push_back(static_cast<char>(notify));
  return packed.append(orcpt);
}

smtp::RecipientDsn unpack_report(std::string_view packed) {
  if (packed.empty()) return {};
  return {.notify = static_cast<std::uint8_t>(packed.front()), .orcpt = packed.substr(1)};
}

void unpack_fields(std::string_view packed, std::vector<std::string_view>& out) {
  std::size_t at = 0;
  while (at < packed.size()) {
    std::size_t size = 0;
    for (int shift = 0; at < packed.size(); shift += 7) {
      const auto octet = static_cast<unsigned char>(packed[at++]);
      size |= static_cast<std::size_t>(octet & 0x7f) << shift;
      if ((octet & 0x80) == 0) break;
    }
    out.push_back(packed.substr(at, size));
    at += size;
  }
}

}  // namespace mailsbuddy::engine
