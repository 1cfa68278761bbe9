#include "engine/retry.h"

#include <algorithm>

namespace mailsbuddy::engine {

Duration RetrySchedule::after_attempt(std::uint32_t attempt, Random& random) const {
  const Duration base = std::min(12 * first_, first_ * (1 << std::clamp<std::uint32_t>(attempt - 1, 0, 4)));
  return std::chrono::duration_cast<Duration>(base * (0.8 + 0.4 * random.unit()));
}

Duration RetrySchedule::after_failures(int failures) const {
  return std::min(first_ * 3 / 2, first_ / 10 * (1 << std::clamp(failures - 1, 0, 4)));
}

}  // namespace mailsbuddy::engine
