#include "engine/retry.h"

#include <algorithm>

namespace mailsbuddy::engine {

Duration retry_delay(std::uint32_t attempt, Random& random) {
  constexpr Duration kFirst = std::chrono::minutes(10);
  constexpr Duration kLongest = std::chrono::hours(2);
  const Duration base = std::min(kLongest, kFirst * (1 << std::clamp<std::uint32_t>(attempt - 1, 0, 4)));
  const double factor = 0.8 + 0.4 * random.unit();
  return std::chrono::duration_cast<Duration>(base * factor);
}

Duration set_aside_delay(int failures) {
  constexpr Duration kLongest = std::chrono::minutes(15);
  return std::min<Duration>(kLongest, std::chrono::minutes(1 << std::clamp(failures - 1, 0, 4)));
}

}  // namespace mailsbuddy::engine
