#include "engine/suppressor.h"

#include "core/base/ascii.h"

namespace mailsbuddy {

std::string_view to_string(SuppressionReason reason) noexcept {
  static constexpr std::string_view kNames[] = {"manual", "unsubscribe", "complaint", "hard_bounce", "soft_bounces"};
  static_assert(std::size(kNames) == static_cast<std::size_t>(SuppressionReason::kSoftBounces) + 1);
  return kNames[static_cast<std::size_t>(reason)];
}

namespace engine {
namespace {

// A run as the spool's number: its four parts of 16 bits, the count lowest, which is never 0.
std::uint64_t pack(const bounce::SoftRun& run) {
  return std::uint64_t{run.bounces} | std::uint64_t{run.first_day} << 16 | std::uint64_t{run.last_day} << 32 |
         std::uint64_t{run.delivered_day} << 48;
}

bounce::SoftRun unpack(std::uint64_t tally) {
  const auto part = [tally](int bit) { return static_cast<std::uint16_t>(tally >> bit); };
  return {.bounces = part(0), .first_day = part(16), .last_day = part(32), .delivered_day = part(48)};
}

}  // namespace

bounce::Day day_of(TimePoint time) {
  return static_cast<bounce::Day>(std::chrono::floor<std::chrono::days>(time).time_since_epoch().count());
}

bool Suppressor::bounced(const Evidence& evidence, TimePoint now, spool::Batch& batch) const {
  const bounce::Advice advice = bounce::advise(evidence.verdict);
  if (advice == bounce::Advice::kNone) return false;
  spool::AccountAddress who{std::string(evidence.account), ascii::to_lower(evidence.address)};
  const bounce::SoftRun before = unpack(spool_.any_tally() ? spool_.tally(who.account, who.address) : 0);
  const auto decision = bounce::after_bounce(evidence.verdict, before, day_of(now), evidence.sent, policy_);
  if (decision.suppress) {
    const auto reason = advice == bounce::Advice::kCount ? SuppressionReason::kSoftBounces : evidence.at_once;
    batch.suppressions.push_back({who, {.reason = static_cast<std::uint8_t>(reason), .since = now}});
  }
  if (decision.run != before) keep(std::move(who), decision.run, now, batch);
  return decision.suppress;
}

void Suppressor::delivered(std::string_view account, std::string_view address, TimePoint now,
                           spool::Batch& batch) const {
  if (!spool_.any_tally()) return;
  spool::AccountAddress who{std::string(account), ascii::to_lower(address)};
  const std::uint64_t tally = spool_.tally(who.account, who.address);
  if (tally == 0) return;
  const bounce::SoftRun run = bounce::after_delivery(unpack(tally), day_of(now));
  if (pack(run) != tally) keep(std::move(who), run, now, batch);
}

void Suppressor::keep(spool::AccountAddress who, const bounce::SoftRun& run, TimePoint now, spool::Batch& batch) const {
  batch.tallies.push_back({.who = std::move(who),
                           .value = pack(run),
                           .as_of = now,
                           .forget = now + policy_.soft_memory + std::chrono::days(1)});
}

}  // namespace engine
}  // namespace mailsbuddy
