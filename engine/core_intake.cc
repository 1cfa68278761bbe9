// Whether what is submitted can be taken. What was taken goes on in any case.
#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
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

engine::ImportChecks Engine::Core::import_checks(const engine::Job& job) const {
  return {.row = [&job](const RowView& row) -> Result<void> {
            if (job.zone_column == 0) return {};
            const auto zone = job.zones->zone(row.values[job.zone_column - 1]);
            return zone ? Result<void>() : Result<void>(zone.error());
          },
          .suppressed = [this, &job](std::string_view address) { return spool().suppressed(job.account, address).has_value(); }};
}

// Before any of its rows is handed out. What the process does not come to here is found when its turn comes.
void Engine::Core::settle_suppressed(engine::Job& job, const std::vector<engine::SuppressedRow>& rows) {
  constexpr std::size_t kAtOnce = 4096;
  const Outcome outcome{.stage = Stage::kMake, .cause = Cause::kSuppressed, .reply = {}, .detail = {}};
  const bounce::Verdict verdict = bounce::classify(outcome, {});
  std::uint64_t withdrawn = 0;
  for (std::size_t from = 0; from < rows.size(); from += kAtOnce) {
    std::vector<spool::Settlement> settled;
    for (std::size_t i = from; i < std::min(rows.size(), from + kAtOnce); ++i) {
      Event event{.kind = EventKind::kSuppressed,
                  .time = now(),
                  .job = job.id,
                  .campaign = std::string(job.campaign_id()),
                  .account = job.account,
                  .recipient = rows[i].address,
                  .row = engine::row_number(rows[i].key),
                  .outcome = outcome,
                  .verdict = verdict,
                  .rule = std::string(verdict.rule)};
      event.verdict.matched = {};
      settled.push_back({.key = rows[i].key, .state = spool::State::kSuppressed, .event = engine::encode_event(event)});
    }
    const std::vector<bool> done = spool().withdraw(std::move(settled));
    withdrawn += static_cast<std::uint64_t>(std::count(done.begin(), done.end(), true));
  }
  if (rows.empty()) return;
  static_cast<void>(spool().sync());  // What the disk refuses now the spool tries again.
  events_.notify();
  job.rate.count(now(), withdrawn);
}

}  // namespace mailsbuddy
