// The providers of a worker: the pace of each, what it decides, and where it is kept.
#include <algorithm>
#include <set>

#include "engine/worker.h"

namespace mailsbuddy::engine {
namespace {

constexpr std::string_view kSnapshotPrefix =
    "warming/";  // Then the provider's name: part of what a durable spool keeps.

// With more than so many providers on a worker the idle are forgotten; until then who asks sees what was sent today.
constexpr std::size_t kIdleKept = 200;

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
  // What was granted before is not granted again, and nothing goes from now on that is not kept first.
  if (const auto bytes = kept(id)) {
    if (auto restored = found->pacer.restore(*bytes, now()); !restored) {
      log(LogLevel::kError, "the warm-up at {} begins anew: {}", id.name, restored.error().detail);
    }
  }
  if (shared_.snapshots) {
    found->pacer.require_snapshots();
  } else {
    found->pacer.waive_snapshots();
  }
  return *found;
}

std::optional<std::string> Worker::kept(const ProviderId& id) {
  return spool().snapshot(std::string(kSnapshotPrefix) + id.name);
}

// The spool gives it at once to who asks, durable or not, and nothing of it is under way that could come later.
void Worker::forget_if_idle(const ProviderId& id) {
  const auto found = providers_.find(id);
  if (found == providers_.end() || !found->second->idle(now())) return;
  warming::Pacer& pacer = found->second->pacer;
  const bool has_state = !pacer.as_made(now()) || kept(id);
  if (has_state && providers_.size() <= kIdleKept) return;
  if (has_state) {
    spool::Batch batch;
    batch.snapshots.push_back({.name = std::string(kSnapshotPrefix) + id.name, .bytes = pacer.last_snapshot(now())});
    spool().commit(std::move(batch), nullptr);
  }
  providers_.erase(found);
}

// Whoever comes back is new then, as it is to the receiver. While no site ends all of it stays, and does not grow.
void Worker::drop_outlived() {
  constexpr int kAtOnce = 2;
  for (int i = 0; i < kAtOnce; ++i) {
    auto name = spool().next_snapshot(std::max(kept_looked_at_, std::string(kSnapshotPrefix)));
    if (!name || !name->starts_with(kSnapshotPrefix)) {
      kept_looked_at_.clear();
      return;
    }
    kept_looked_at_ = *name;
    const ProviderId id{name->substr(kSnapshotPrefix.size())};
    if (shared_.owner_of(id.name) != index_ || providers_.contains(id)) continue;
    if (provider(id).pacer.outlived(now())) {
      spool::Batch batch;
      batch.snapshots.push_back({.name = *std::move(name), .bytes = {}});
      spool().commit(std::move(batch), nullptr);
    }
    providers_.erase(id);
  }
}

// One that was not idle yet when its last site went is found when others are forgotten: no timer need run for it.
void Worker::forget_idle(const ProviderId& id) {
  constexpr int kOthers = 2;
  forget_if_idle(id);
  drop_outlived();
  for (int i = 0; i < kOthers && !providers_.empty(); ++i) {
    auto next = providers_.upper_bound(looked_at_);
    if (next == providers_.end()) next = providers_.begin();
    looked_at_ = next->first;
    forget_if_idle(looked_at_);
  }
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
          forget_if_idle(id);
        });
      });
}

// Soon: whoever tells is in the midst of something.
void Worker::place_free(Provider& provider) {
  if (!provider.pacer.any_places() || std::exchange(provider.wakes, true)) return;
  loop_.post([this, id = provider.id] {
    const auto found = providers_.find(id);
    if (stopped_ || found == providers_.end()) return;
    found->second->wakes = false;
    wake(*found->second, true);
  });
}

void Worker::wake(Provider& provider, bool with_rows) {
  for (Site* site : std::vector<Site*>(provider.sites)) {
    if (with_rows && site->all_rows() == 0) continue;
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
  forget_if_idle(id);
  return done;
}

Result<void> Worker::resume_domain(const ProviderId& id, std::string_view sender_domain) {
  const bool known = providers_.contains(id);
  Provider& told = provider(id);
  auto done = told.pacer.resume_domain(sender_domain, now());
  if (!done && !known) return providers_.erase(id), done;
  report(told);
  wake(told);
  forget_if_idle(id);
  return done;
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

bool Worker::may_carry(std::string_view pool, const EgressIp& ip) const {
  const warming::OverflowPolicy& overflow = pool_options(pool).overflow;
  const bool named = overflow.when == warming::Overflow::kNamedPool || overflow.then == warming::Overflow::kNamedPool;
  return ip.pool == pool || (named && ip.pool == overflow.pool);
}

// Who bears what came back: the IP that the report names, if the row may have gone over it; a report is written by
// anybody. The row does not say which it was, and the token in its return path is made before that is known. Where the
// report is silent too, those IPs bear it in proportion to what each delivered: none more than its own mail, were it
// all the job's.
Egress* Worker::bearer(Provider& provider, const Job& job, std::string_view source_ip) {
  const auto named = net::IpAddress::parse(source_ip);  // None: it does not say, or nothing that is one.
  double all = 0;
  std::vector<std::pair<Egress*, double>> carriers;
  for (Egress& each : provider.egress) {
    if (!may_carry(job.current_pool(), *each.ip)) continue;
    if (named && each.address == *named) return &each;
    const auto delivered = static_cast<double>(provider.pacer.delivered_lately(each.number, now()));
    carriers.emplace_back(&each, delivered);
    all += delivered;
  }
  Egress* most = nullptr;
  for (const auto& [each, delivered] : carriers) {
    each->blame += all > 0 ? delivered / all : 1.0 / static_cast<double>(carriers.size());
    if (most == nullptr || each->blame > most->blame) most = each;
  }
  if (most != nullptr) most->blame -= 1;
  return most;
}

void Worker::learn_late(const ProviderId& id, const JobPtr& job, const warming::Signal& told, std::string_view source_ip) {
  if (stopped_ || (!providers_.contains(id) && !kept(id))) return;  // Nothing is known there: nobody to slow down.
  Provider& at = provider(id);
  if (const Egress* const who = bearer(at, *job, source_ip)) {
    warming::Signal signal = told;
    signal.sender_domain = job->from_domain;
    at.pacer.learn(who->number, signal, now());
    report(at);
  }
  forget_if_idle(id);
}

void Worker::find_provider(const std::string& domain, std::function<void(const ProviderId*)> found) {
  if (stopped_) return;
  router_.route(domain, [this, found = std::move(found)](const smtp::RouteAnswer& answer) {
    if (!stopped_) found(answer.route ? &answer.route->provider : nullptr);
  });
}

void Worker::backlog(const Job& job, std::vector<Backlog>& out) {
  for (const auto& [id, each] : providers_) {
    Backlog found{.provider = id, .held = {}, .curves = each->curves, .paces = {}};
    std::set<const Job*> jobs;
    for (const Site* site : each->sites) {
      site->held(job, found.held);
      found.others += site->all_rows();
      site->jobs(jobs);
    }
    if (found.held.rows == 0) continue;
    found.others -= found.held.rows;
    found.jobs = std::max<std::size_t>(1, jobs.size());
    for (const Egress& egress : each->egress) {
      if (draining(egress.number) || !may_carry(job.current_pool(), *egress.ip)) continue;
      if (auto explained = each->pacer.explain(egress.ip->address, now())) found.paces.push_back(*std::move(explained));
    }
    out.push_back(std::move(found));
  }
}

}  // namespace mailsbuddy::engine
