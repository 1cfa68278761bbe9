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
  const EgressIp* ip = nullptr;  // Lives in the engine's options.
  net::IpAddress address;
  std::size_t number = 0;  // Its place in EngineOptions::egress, and in the pacer.
  int connections = 0;     // Open or opening, over all sites of the provider.
  double blame = 0;        // What it has yet to bear of complaints of which nobody knows who sent the message.
};

// Threads: one worker's. Invariants: all sites of a provider live on that worker, so its limits are exact without
// locks.
struct Provider {
  ProviderId id;
  std::vector<Egress> egress;    // As in EngineOptions::egress.
  warming::Pacer pacer;          // Permits, budgets and what replies make of them.
  bool curves = false;           // Some IP has one.
  bool snapshot_staged = false;  // Under way to the spool.
  bool wakes = false;            // Its sites are about to be woken.
  TimePoint one_by_one_until{};  // It does not like messages that overlap.
  std::deque<Site*> waiting{};   // Sites that found every connection of an egress IP taken, first come first.
  std::vector<Site*> sites{};    // Who last took a place of a name (warming::Pacer::places()) is the last.

  void to_the_end(Site& site) {
    const auto at = std::find(sites.begin(), sites.end(), &site);
    std::rotate(at, at + 1, sites.end());
  }
  int connections() const {
    int sum = 0;
    for (const Egress& each : egress) sum += each.connections;
    return sum;
  }
  // Nothing goes on here: it may be forgotten, once what the pacer knows is kept.
  bool idle(TimePoint now) const {
    return sites.empty() && one_by_one_until <= now && !snapshot_staged && pacer.at_rest(now);
  }
};

}  // namespace mailsbuddy::engine
