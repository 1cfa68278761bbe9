// provider.h - what the egress IPs share at one mailbox provider: limits and warm-up count per (egress IP, provider).
#pragma once

#include <algorithm>
#include <deque>
#include <string>
#include <vector>

#include "mailsbuddy/engine.h"

namespace mailsbuddy::engine {

class Site;

// One egress IP at one provider. Threads: the provider's worker.
struct Egress {
  const EgressIp* ip = nullptr;       // Lives in the engine's options.
  net::IpAddress address;
  warming::Limits limits;
  warming::RateLimiter limiter;
  warming::Budget budget;
  int connections = 0;                // Open or opening, over all sites of the provider.
  TimePoint paused_until{};
  int pauses = 0;                     // In a row; a delivery ends the row.

  // When the next message may go: not before the pause, the rate and the day's budget all allow it.
  TimePoint ready_at(TimePoint now) {
    const TimePoint at = std::max(paused_until, limiter.next(now));
    return std::max(at, budget.next(now));
  }

  // A reply blames this IP: leave the provider alone for a while, longer each time in a row. What is told again during a
  // pause by connections that were open already changes nothing.
  void pause(bounce::Reaction reaction, TimePoint now) {
    if (now < paused_until) return;
    const Duration first = reaction == bounce::Reaction::kSlow    ? std::chrono::minutes(1)
                           : reaction == bounce::Reaction::kPause ? std::chrono::minutes(10)
                                                                  : std::chrono::minutes(30);
    paused_until = now + std::min<Duration>(first * (1 << std::min(pauses++, 4)), std::chrono::hours(4));
  }
};

// Threads: one worker's. Invariants: all sites of a provider live on that worker, so its limits are exact without locks.
struct Provider {
  ProviderId id;
  std::vector<Egress> egress;                 // As in EngineOptions::egress.
  TimePoint one_by_one_until{};               // It does not like messages that overlap.
  std::deque<Site*> waiting;                  // Sites that found every connection of an egress IP taken, first come first.
  int sites = 0;

  // Nothing here that a new one would not have: it may be forgotten.
  bool fresh(TimePoint now) const {
    return sites == 0 && one_by_one_until <= now && std::all_of(egress.begin(), egress.end(), [now](const Egress& each) {
      return !each.ip->curve && each.paused_until <= now && each.limiter.next(now) <= now;
    });
  }
};

}  // namespace mailsbuddy::engine
