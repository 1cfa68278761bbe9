// The providers of a worker: the pace of each, what it decides, and where it is kept.
#include <algorithm>
#include <set>

#include "engine/worker.h"

namespace mailsbuddy::engine {
namespace {

constexpr std::string_view kSnapshotPrefix =
    "warming/";  // Then the provider's name: part of what a durable spool keeps.

bool is_trouble(warming::DecisionKind kind) {
  using warming::DecisionKind;
  return kind == DecisionKind::kStepBack || kind == DecisionKind::kSuspend || kind == DecisionKind::kRestart ||
         kind == DecisionKind::kCut || kind == DecisionKind::kPauseDomain;
}

}  // namespace

// ---------------------------------------------------------------------------------------------------------------------
// Made, and forgotten

Provider& Worker::provider(const ProviderId& id) {
  auto& found = providers_[id];
  if (found != nullptr) return *found;
  std::vector<Egress> egress;
  warming::PacerOptions pacing{.provider = id,
                               .ips = {},
                               .settings = settings_,
                               .zone = shared_.options.zone,
                               .adaptive = shared_.options.adaptive,
                               .started = shared_.started};
  bool curves = false;
  for (std::size_t i = 0; i < shared_.egress.size(); ++i) {
    const EgressIp& ip = shared_.options.egress[i];
    egress.push_back({.ip = &ip, .address = shared_.egress[i], .number = i});
    pacing.ips.push_back({.address = ip.address, .curve = ip.curve});
    curves |= ip.curve.has_value();
  }
  found = std::make_unique<Provider>(
      Provider{.id = id, .egress = std::move(egress), .pacer = warming::Pacer(std::move(pacing)), .curves = curves});
  if (!shared_.snapshots) return *found;
  // What was granted before is not granted again, and nothing goes from now on that is not kept first.
  if (const auto bytes = spool().snapshot(std::string(kSnapshotPrefix) + id.name)) {
    if (auto restored = found->pacer.restore(*bytes, now()); !restored) {
      log(LogLevel::kError, "the warm-up at {} begins anew: {}", id.name, restored.error().detail);
    }
  }
  found->pacer.require_snapshots();
  return *found;
}

void Worker::forget_if_fresh(const ProviderId& id) {
  const auto found = providers_.find(id);
  if (found != providers_.end() && found->second->fresh(now())) providers_.erase(found);
}

const PoolOptions& Worker::pool_options(std::string_view pool) const {
  static const PoolOptions kDefault;
  const auto found = shared_.options.pools.find(std::string(pool));
  return found == shared_.options.pools.end() ? kDefault : found->second;
}

// ---------------------------------------------------------------------------------------------------------------------
// Kept, and told

void Worker::report(Provider& provider) {
  if (!provider.pacer.any_decisions()) return;
  const std::vector<warming::Decision> decisions = provider.pacer.take_decisions();
  for (const warming::Decision& each : decisions) {
    log(is_trouble(each.kind) ? LogLevel::kWarning : LogLevel::kInfo, "{}", each.str());
  }
  delivery_.report(decisions);
  if (shared_.snapshots) stage_snapshot(provider);  // What was decided is not forgotten by a restart.
}

void Worker::keep_snapshot(Provider& provider) {
  if (shared_.snapshots && !provider.snapshot_staged && provider.pacer.snapshot_due()) stage_snapshot(provider);
}

// One at a time: what is stored is then what snapshot_stored() speaks of.
void Worker::stage_snapshot(Provider& provider) {
  if (std::exchange(provider.snapshot_staged, true)) return;
  delivery_.keep(
      {.name = std::string(kSnapshotPrefix) + provider.id.name, .bytes = provider.pacer.stage_snapshot(now())},
      [this, id = provider.id] {
        loop_.post([this, id] {
          const auto found = providers_.find(id);
          if (stopped_ || found == providers_.end()) return;
          found->second->snapshot_staged = false;
          found->second->pacer.snapshot_stored();
          wake(*found->second);
        });
      });
}

void Worker::wake(Provider& provider) {
  for (Site* site : std::vector<Site*>(provider.sites)) {
    site->change();
    site->pump();
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Asked and told from outside

Result<warming::Explanation> Worker::explain(const ProviderId& id, std::string_view ip) {
  const bool known = providers_.contains(id);
  auto explained = provider(id).pacer.explain(ip, now());
  if (!known) providers_.erase(id);  // What it stands for is where it was: in the spool, or nowhere.
  return explained;
}

Result<void> Worker::command(const ProviderId& id, std::string_view ip, warming::Command command, std::uint64_t value) {
  Provider& told = provider(id);
  auto done = told.pacer.command(ip, command, now(), value);
  report(told);
  wake(told);
  forget_if_fresh(id);
  return done;
}

void Worker::resume_domain(const ProviderId& id, std::string_view sender_domain) {
  Provider& told = provider(id);
  told.pacer.resume_domain(sender_domain, now());
  report(told);
  wake(told);
  forget_if_fresh(id);
}

void Worker::paces(std::vector<warming::Explanation>& out) {
  for (const auto& [id, each] : providers_) {
    for (const Egress& egress : each->egress) {
      if (auto explained = each->pacer.explain(egress.ip->address, now())) out.push_back(*std::move(explained));
    }
  }
}

void Worker::change(const std::shared_ptr<const warming::Settings>& settings) {
  settings_ = settings;
  for (const auto& [id, each] : providers_) {
    each->pacer.change(settings_, now());
    report(*each);
    wake(*each);
  }
}

// The row does not say which IP carried it, and the token in its return path has no room for it: the pool's IPs bear
// what comes back in turns. With one IP that is exact; with several their shares are about right, since a campaign goes
// over all.
void Worker::learn_late(const ProviderId& id, const JobPtr& job, const warming::Signal& told) {
  if (stopped_) return;
  warming::Signal signal = told;
  const auto found = providers_.find(id);
  if (found == providers_.end()) return;  // Nothing is being sent there: nobody to slow down.
  Provider& at = *found->second;
  std::vector<std::size_t> ips;
  for (const Egress& each : at.egress) {
    if (each.ip->pool == job->current_pool()) ips.push_back(each.number);
  }
  if (ips.empty()) return;
  signal.sender_domain = job->from_domain;
  at.pacer.learn(ips[at.complained++ % ips.size()], signal, now());
  report(at);
}

void Worker::find_provider(const std::string& domain, std::function<void(const ProviderId*)> found) {
  if (stopped_) return;
  router_.route(domain, [this, found = std::move(found)](const smtp::RouteAnswer& answer) {
    if (!stopped_) found(answer.route ? &answer.route->provider : nullptr);
  });
}

void Worker::backlog(const Job& job, std::vector<Backlog>& out) {
  for (const auto& [id, each] : providers_) {
    Backlog found{.provider = id, .curves = each->curves, .paces = {}};
    std::set<const Job*> jobs;
    for (const Site* site : each->sites) {
      const std::uint64_t rows = site->waiting(job);
      found.rows += rows;
      found.others += site->all_rows() - rows;
      site->jobs(jobs);
    }
    if (found.rows == 0) continue;
    found.jobs = std::max<std::size_t>(1, jobs.size());
    for (const Egress& egress : each->egress) {
      if (egress.ip->pool != job.current_pool()) continue;
      if (auto explained = each->pacer.explain(egress.ip->address, now())) found.paces.push_back(*std::move(explained));
    }
    out.push_back(std::move(found));
  }
}

}  // namespace mailsbuddy::engine
