#include "core/base/text_scan.h"

#include <cstdint>
#include <cstring>

namespace mailsbuddy {
namespace {

// GCC's and Clang's vectors: SSE2, NEON or plain words, as the target has them. A comparison gives 0 or all ones.
using Vector = std::uint8_t __attribute__((vector_size(32)));

constexpr std::size_t kStep = 256;  // Octets between two looks for a line end. Two steps without one: perhaps too long.
constexpr std::size_t kVectors = kStep / sizeof(Vector);
static_assert((kStep - 1) + kStep + (kStep - 1) <= kSureLineMax);

bool any(const Vector& vector) noexcept {
  std::uint64_t words[sizeof(Vector) / 8];
  std::memcpy(words, &vector, sizeof vector);
  return (words[0] | words[1] | words[2] | words[3]) != 0;
}

struct Found {
  Vector all{};  // Or of the octets.
  Vector control{};
  Vector bare{};
  Vector dot{};
};

// Octet i beside octet i + 1 of kStep, of which kStep + 1 can be read. True: there is a LF.
[[gnu::always_inline]] inline bool step(const char* text, Found& found) noexcept {
  Vector lines{};
  for (std::size_t i = 0; i < kVectors; ++i) {
    Vector at;
    Vector next;
    std::memcpy(&at, text + i * sizeof(Vector), sizeof at);
    std::memcpy(&next, text + i * sizeof(Vector) + 1, sizeof next);
    const auto lf = at == '\n';
    const auto cr = at == '\r';
    found.all |= at;
    found.control |= Vector((at - ' ' > Vector{} + ('~' - ' ')) & ~(lf | cr | (at == '\t')));
    found.bare |= Vector(cr ^ (next == '\n'));
    found.dot |= Vector(lf & (next == '.'));
    lines |= Vector(lf);
  }
  return any(lines);
}

}  // namespace

// Twice as fast with AVX2, where the processor has it. Sanitizers start too late for the choice that the linker makes.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
[[gnu::target_clones("avx2", "default")]]
#endif
TextScan
scan_text(std::string_view text) noexcept {
  Found found;
  const char* const begin = text.data();
  std::size_t at = 0;
  std::size_t without_lf = 0;
  TextScan scan;
  const auto count = [&](bool lf) {
    without_lf = lf ? 0 : without_lf + 1;
    scan.long_line = scan.long_line || without_lf >= 2;
  };
  for (; at + kStep < text.size(); at += kStep) count(step(begin + at, found));
  // The rest, which is never empty but for an empty text, with spaces behind it: a CR at the end is bare.
  char rest[kStep + 1];
  std::memset(rest, ' ', sizeof rest);
  if (at < text.size()) std::memcpy(rest, begin + at, text.size() - at);
  count(step(rest, found));

  scan.eight_bit = any(found.all & 0x80);
  scan.control = any(found.control);
  scan.dot = any(found.dot) || text.starts_with('.');
  scan.bare = any(found.bare) || text.starts_with('\n');
  return scan;
}

}  // namespace mailsbuddy
