// Whatever is read as settings gives limits that a pacer can run under.
#include <cstdlib>
#include <string_view>

#include "mailsbuddy/warming.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mailsbuddy;
  using namespace mailsbuddy::warming;
  auto settings = std::make_shared<Settings>();
  if (!settings->add(std::string_view(reinterpret_cast<const char*>(data), size), "fuzz")) return 0;
  Pacer pacer({.provider = {"google"}, .ips = {{"192.0.2.1", *Curve::preset("adaptive")}}, .settings = settings});
  TimePoint now{std::chrono::days(20'800)};
  for (int i = 0; i < 50; ++i) {
    const Draw draw{.bytes = 5'000, .site = "s", .campaign = "c", .account = "a", .sender_domain = "d"};
    const TimePoint at = pacer.next(0, draw, now);
    if (at < now) std::abort();
    if (at == kNever) break;
    now = std::min(at, now + std::chrono::days(400));
    pacer.take(0, draw, now);
    pacer.learn(0, {.kind = i % 3 == 0 ? SignalKind::kReputation : SignalKind::kDelivered, .count = 40}, now);
    if (pacer.connections(0, now) < 0) std::abort();
  }
  if (pacer.explain("192.0.2.1", now)->str().empty()) std::abort();
  return 0;
}
