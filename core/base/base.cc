#include "mailsbuddy/base.h"

#include <unistd.h>

#include <algorithm>
#include <bit>

namespace mailsbuddy {

std::string_view to_string(ErrorCode code) noexcept {
  static constexpr std::array<std::string_view, 9> kNames = {
      "invalid_argument", "not_found",   "already_exists", "unavailable", "resource_exhausted", "io",
      "closed",           "unsupported", "internal",
  };
  static_assert(kNames.size() == static_cast<std::size_t>(ErrorCode::kInternal) + 1);
  return kNames[std::min(static_cast<std::size_t>(code), kNames.size() - 1)];
}

SystemClock::SystemClock() noexcept
    : wall_(std::chrono::system_clock::now()), steady_(std::chrono::steady_clock::now()) {}

TimePoint SystemClock::now() const noexcept {
  return std::chrono::time_point_cast<Duration>(wall_) + (std::chrono::steady_clock::now() - steady_);
}

namespace {
// Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
std::uint64_t splitmix64(std::uint64_t& state) noexcept {
  std::uint64_t z = state += 0x9e3779b97f4a7c15U;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}
}  // namespace

Random::Random(std::uint64_t seed) noexcept {
  for (std::uint64_t& word : state_) word = splitmix64(seed);
}

Random::result_type Random::operator()() noexcept {
  const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const std::uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

// Lemire, "Fast random integer generation in an interval" (2019): a multiplication where the modulo would be, and
// another draw only for the few values that would favour some results.
std::uint64_t Random::below(std::uint64_t bound) noexcept {
  __extension__ using Wide = unsigned __int128;
  Wide product = Wide{(*this)()} * bound;
  if (static_cast<std::uint64_t>(product) < bound) {
    const std::uint64_t rejected = (0 - bound) % bound;
    while (static_cast<std::uint64_t>(product) < rejected) product = Wide{(*this)()} * bound;
  }
  return static_cast<std::uint64_t>(product >> 64);
}

double Random::unit() noexcept { return static_cast<double>((*this)() >> 11) * 0x1p-53; }

std::uint64_t system_seed() noexcept {
  std::uint64_t seed = 0;
  if (::getentropy(&seed, sizeof seed) == 0) return seed;
  // A kernel without getrandom(2). The promise is variety, not secrecy, and the clock gives that.
  seed = static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  return splitmix64(seed);
}

namespace {
constexpr std::size_t kIdDigits = 26;  // 130 bits of 5: the first digit carries 3.
constexpr std::string_view kCrockford = "0123456789abcdefghjkmnpqrstvwxyz";
}  // namespace

Id128 Id128::make(TimePoint now, Random& random) noexcept {
  const auto ms = std::chrono::floor<std::chrono::milliseconds>(now).time_since_epoch().count();
  Id128 id;
  id.high = static_cast<std::uint64_t>(ms) << 16 | random() >> 48;
  id.low = random();
  return id;
}

std::string Id128::str() const {
  std::string text(kIdDigits, '0');
  Id128 rest = *this;
  for (auto digit = text.rbegin(); digit != text.rend(); ++digit) {
    *digit = kCrockford[rest.low & 31];
    rest.low = rest.low >> 5 | rest.high << 59;
    rest.high >>= 5;
  }
  return text;
}

std::optional<Id128> Id128::parse(std::string_view text) noexcept {
  if (text.size() != kIdDigits || text[0] > '7') return std::nullopt;  // Above '7' it would need 129 bits.
  Id128 id;
  for (char c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    const std::size_t digit = kCrockford.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    id.high = id.high << 5 | id.low >> 59;
    id.low = id.low << 5 | digit;
  }
  return id;
}

std::string_view version() noexcept { return MAILSBUDDY_VERSION; }

}  // namespace mailsbuddy
