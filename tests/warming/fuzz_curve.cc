// Whatever is read as a curve has days within the caps, and its own name reads as the same curve.
#include <cstdlib>
#include <string_view>

#include "mailsbuddy/warming.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mailsbuddy::warming;
  const auto curve = Curve::parse(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!curve) return 0;
  if (curve->daily.empty() || curve->daily.size() > kCurveDaysMax) std::abort();
  for (const std::uint64_t day : curve->daily) {
    if (day > kCurveMessagesMax) std::abort();
  }
  const auto again = Curve::parse(curve->name);
  if (!again || again->daily != curve->daily || again->hour_share != curve->hour_share) std::abort();
  return 0;
}
