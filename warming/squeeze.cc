#include "warming/squeeze.h"

#include <algorithm>

namespace mailsbuddy::warming {
namespace {

constexpr std::string_view kMagic = "MBWZ";
constexpr std::size_t kRunMax = 255;
constexpr std::size_t kWholeBytesMax = 64 << 20;  // More than any snapshot: what is damaged takes no more memory.

}  // namespace

std::string squeeze(std::string_view bytes) {
  std::string out(kMagic);
  while (!bytes.empty()) {
    const std::size_t zeros = std::min({bytes.find_first_not_of('\0'), bytes.size(), kRunMax});
    if (zeros > 0) {
      out += '\0';
      out += static_cast<char>(zeros);
      bytes.remove_prefix(zeros);
    }
    const std::size_t others = std::min(bytes.find('\0'), bytes.size());
    out += bytes.substr(0, others);
    bytes.remove_prefix(others);
  }
  out.shrink_to_fit();  // A million may be kept.
  return out;
}

std::optional<std::string> unsqueeze(std::string_view bytes) {
  if (!bytes.starts_with(kMagic)) return std::nullopt;
  std::string out;
  for (std::size_t at = kMagic.size(); at < bytes.size(); ++at) {
    if (bytes[at] != '\0') {
      out += bytes[at];
      continue;
    }
    if (++at == bytes.size() || bytes[at] == '\0') return std::nullopt;
    if (out.size() > kWholeBytesMax) return std::nullopt;
    out.append(static_cast<unsigned char>(bytes[at]), '\0');
  }
  return out;
}

}  // namespace mailsbuddy::warming
