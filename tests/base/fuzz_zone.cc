// A file or a rule: what is taken must have days in order that begin when they say.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "mailsbuddy/zone.h"

namespace {

void check(const mailsbuddy::Zone& zone) {
  for (std::int64_t day = -30'000; day < 60'000; day += 997) {
    const mailsbuddy::TimePoint start = zone.day_start(day);
    if (zone.day_start(day + 1) < start || zone.day(start) < day) std::abort();
    if (zone.local(start) < mailsbuddy::Zone::Local(std::chrono::days(day))) std::abort();
    if (zone.day(start - std::chrono::nanoseconds(1)) >= day) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto zone = mailsbuddy::Zone::read(text, "fuzz")) check(*zone);
  if (const auto zone = mailsbuddy::Zone::parse(text)) check(*zone);
  return 0;
}
