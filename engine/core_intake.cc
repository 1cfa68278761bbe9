// Whether what is submitted can be taken. What was taken goes on in any case.
#include <fmt/format.h>
#include <malloc.h>

#include <chrono>

#include "engine/core.h"

namespace mailsbuddy {

// Asking takes every arena's lock: once in a while is enough.
std::uint64_t Engine::Core::memory_used() const {
  constexpr std::int64_t kBelieved = 100'000'000;
  const std::int64_t now = std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
  std::int64_t asked = memory_asked_;
  if (now - asked >= kBelieved && memory_asked_.compare_exchange_strong(asked, now)) {
    const struct mallinfo2 info = mallinfo2();
    memory_used_ = info.uordblks + info.hblkhd;
  }
  return memory_used_;
}

IntakePressure Engine::Core::pressure() const {
  const spool::Pressure stored = spool().pressure();
  if (stored.kind != spool::Pressure::Kind::kNone) return {true, stored.detail};
  if (options_.outbox_events_max != 0 && spool().event_count() > options_.outbox_events_max) {
    return {true, fmt::format("{} events wait for the sinks, and {} may (outbox_events_max)", spool().event_count(),
                              options_.outbox_events_max)};
  }
  if (options_.memory_max_bytes != 0 && memory_used() > options_.memory_max_bytes) {
    return {true, fmt::format("{} MB of memory are used, and {} MB may be (memory_max_bytes)", memory_used() >> 20,
                              options_.memory_max_bytes >> 20)};
  }
  return {};
}

Result<void> Engine::Core::check_intake() const {
  if (!options_.deliver) return Error{ErrorCode::kUnavailable, "this engine was opened without delivery"};
  IntakePressure now = pressure();
  if (!now.refuses) return {};
  return Error{ErrorCode::kResourceExhausted, "no mail is taken now: " + std::move(now.detail)};
}

}  // namespace mailsbuddy
