#include "mailsbuddy/warming.h"
#include "warming/text.h"

namespace mailsbuddy::warming {

Way choose(const OverflowPolicy& policy, const OverflowFacts& facts) noexcept {
  if (facts.retry && facts.warm_permit) return Way::kWarm;
  if (facts.cold_permit) return Way::kCold;
  const bool too_long = policy.hold_max > Duration(0) && facts.waited >= policy.hold_max;
  switch (too_long ? policy.then : policy.when) {
    case Overflow::kWarmIps:
      return facts.warm_permit ? Way::kWarm : Way::kWait;
    case Overflow::kNamedPool:
      return facts.pool_permit ? Way::kNamedPool : Way::kWait;
    case Overflow::kWait:
      return Way::kWait;
    case Overflow::kSendAnyway:
      return facts.has_warm && facts.warm_permit ? Way::kWarm : Way::kColdAnyway;
    case Overflow::kFail:
      return Way::kFail;
  }
  return Way::kWait;
}

bool EngagedOnly::admits(std::uint64_t sending_day, std::string_view value) const noexcept {
  std::uint64_t days_max = kNoCap;
  for (const Phase& phase : phases) {
    if (phase.from_day <= sending_day) days_max = phase.days_max;
  }
  if (days_max == kNoCap) return true;
  if (value.empty() || value.size() > 9 || value.find_first_not_of("0123456789") != std::string_view::npos)
    return false;
  std::uint64_t days = 0;
  for (const char digit : value) days = days * 10 + static_cast<std::uint64_t>(digit - '0');
  return days <= days_max;
}

}  // namespace mailsbuddy::warming
