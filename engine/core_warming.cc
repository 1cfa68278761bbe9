// What the engine is asked and told about warming, and what follows from it for a campaign's end.
#include <fmt/format.h>

#include <future>

#include "core/base/ascii.h"
#include "engine/core.h"
#include "engine/signal_of.h"

namespace mailsbuddy {
namespace {

using engine::JobPtr;
using engine::Worker;

constexpr Duration kFinishBelieved =
    std::chrono::seconds(5);  // A plan costs a look at every site of the job's providers.
constexpr std::size_t kFinishesMax = 1'000;

}  // namespace

Error Engine::Core::stopping() {
  return {ErrorCode::kUnavailable, "the engine is stopping, or this was asked from one of its own loops"};
}

bool Engine::Core::on_a_loop() const {
  for (int i = 0; i < runtime().workers(); ++i) {
    if (runtime().loop(i).is_owner()) return true;
  }
  return false;
}

bool Engine::Core::on_worker(int index, const std::function<void(Worker&)>& task) const {
  Worker& worker = *workers_[static_cast<std::size_t>(index)];
  net::Loop& loop = runtime().loop(index);
  if (loop.is_owner()) return task(worker), true;
  if (on_a_loop()) return false;
  // What a loop that stops does not run is destroyed with it, and the promise too, which ends the wait as well.
  const auto done = std::make_shared<bool>(false);
  std::promise<void> promise;
  const std::future<void> ended = promise.get_future();
  loop.post([&worker, &task, done, promise = std::move(promise)]() mutable {
    task(worker);
    *done = true;
    promise.set_value();
  });
  ended.wait();
  return *done;
}

// Providers and domains are named as DNS compares them: who writes "Google" means google.
Result<warming::Explanation> Engine::Core::explain(std::string_view ip, std::string_view provider) const {
  const ProviderId id{ascii::to_lower(provider)};
  Result<warming::Explanation> explained = stopping();
  on_worker(owner_of(id.name), [&](Worker& worker) { explained = worker.explain(id, ip); });
  return explained;
}

Result<void> Engine::Core::command(std::string_view ip, std::string_view provider, warming::Command command,
                                   std::uint64_t value) {
  const ProviderId id{ascii::to_lower(provider)};
  Result<void> done = stopping();
  on_worker(owner_of(id.name), [&](Worker& worker) { done = worker.command(id, ip, command, value); });
  return done;
}

Result<void> Engine::Core::resume_domain(std::string_view sender_domain, std::string_view provider) {
  const ProviderId id{ascii::to_lower(provider)};
  Result<void> done = stopping();
  on_worker(owner_of(id.name), [&](Worker& worker) { done = worker.resume_domain(id, ascii::to_lower(sender_domain)); });
  return done;
}

std::vector<warming::Explanation> Engine::Core::paces() const {
  std::vector<warming::Explanation> all;
  for (int i = 0; i < runtime().workers(); ++i) on_worker(i, [&all](Worker& worker) { worker.paces(all); });
  return all;
}

void Engine::Core::change(std::shared_ptr<const warming::Settings> settings) {
  {
    const std::lock_guard lock(finish_mutex_);
    settings_ = settings;
    finishes_.clear();
  }
  for (int i = 0; i < runtime().workers(); ++i) on_worker(i, [&](Worker& worker) { worker.change(settings); });
}

// The domain's owner knows its provider, most often without DNS; the provider's owner learns.
void Engine::Core::learn_late(const JobPtr& job, const engine::Inbound::Late& late) {
  // Of what bounces late only unknown users count: another word is often that of a forwarder, and not the provider's.
  const warming::SignalKind what =
      late.kind == EventKind::kComplaint ? warming::SignalKind::kComplaint : engine::kind_of(late.verdict);
  if (what != warming::SignalKind::kComplaint && what != warming::SignalKind::kUnknownUser) return;
  const warming::Signal signal{.kind = what};
  const int owner = owner_of(late.domain);
  runtime().loop(owner).post([this, owner, job, signal, domain = late.domain, from = late.source_ip] {
    Worker& finder = *workers_[static_cast<std::size_t>(owner)];
    finder.find_provider(domain, [this, job, signal, from](const ProviderId* provider) {
      if (provider == nullptr) return;
      const int at = owner_of(provider->name);
      runtime().loop(at).post([worker = workers_[static_cast<std::size_t>(at)].get(), provider = *provider, job, signal, from] {
        worker->learn_late(provider, job, signal, from);
      });
    });
  });
}

// ---------------------------------------------------------------------------------------------------------------------
// When a campaign will be finished

namespace {

// What waits elsewhere, deferred or not routed yet, goes where the rest goes, in proportion. The rows of others share
// the permits: with k jobs that take turns the campaign needs k turns a row at most, and no more than all rows that
// wait.
std::uint64_t turns_needed(const Worker::Backlog& at, double scale) {
  const auto rows = static_cast<std::uint64_t>(static_cast<double>(at.held.rows) * scale + 0.5);
  return std::min(rows + at.others, rows * at.jobs);
}

// What the campaign's plan at one provider rests on besides.
struct Terms {
  const engine::Job& job;
  const EngineOptions& options;
  const warming::Settings* settings;
  TimePoint now;
  TimePoint from;
};

bool takes_overflow(const warming::OverflowPolicy& policy, warming::Overflow now, const EgressIp& ip) {
  return now == warming::Overflow::kNamedPool && ip.pool == policy.pool;
}

// As the pool's IPs stand, while `overflow` is what happens to what they do not take.
warming::PlanRequest request_for(const Worker::Backlog& at, const Terms& terms, const warming::OverflowPolicy& policy,
                                 warming::Overflow overflow, double scale) {
  warming::PlanRequest request{.audience = {{at.provider, turns_needed(at, scale)}},
                               .ips = {},
                               .start = terms.now,
                               .from = terms.from,
                               .settings = terms.settings,
                               .zone = terms.options.zone};
  if (!terms.job.windows.empty()) {
    request.open = [&job = terms.job](TimePoint from, TimePoint to) {
      return engine::open_between(job.windows, job.zone, from, to);
    };
  }
  std::uint64_t left = 0;
  for (const warming::Explanation& each : at.paces) {
    const auto ip = std::find_if(terms.options.egress.begin(), terms.options.egress.end(),
                                 [&](const EgressIp& egress) { return egress.address == each.ip; });
    if (ip == terms.options.egress.end()) continue;
    if (ip->pool != terms.job.current_pool() && !takes_overflow(policy, overflow, *ip)) continue;
    const bool pinned = each.pinned;
    warming::PlanIp planned{.address = each.ip, .curve = ip->curve, .day = each.day, .cap = each.cap, .used = each.used,
                            .from = each.next == warming::kNever ? warming::kNever : each.suspended_until,
                            .pinned = pinned};
    if (pinned) {
      const double hour_share = ip->curve ? ip->curve->hour_share : 0;
      planned.curve = warming::Curve{.name = "pinned", .daily = {each.cap}, .hour_share = hour_share};
    }
    if (overflow == warming::Overflow::kSendAnyway) planned.curve.reset();
    left += planned.curve ? each.cap - std::min(each.cap, each.used) : warming::kCurveMessagesMax;
    request.ips.push_back(std::move(planned));
  }
  std::uint64_t& messages = request.audience.front().messages;
  if (overflow == warming::Overflow::kFail) messages = std::min(messages, left);  // The rest fails when they are used up.
  messages = std::min(messages, warming::kCurveMessagesMax);
  return request;
}

struct Ends {
  TimePoint finish;
  std::string bound;
};

// Under the pool's overflow policy and, if that is sooner, under the one that follows the longest hold: the first of
// its rows go when they have been held so long, and none later than when the last has been.
std::optional<Ends> ends_at(const Worker::Backlog& at, Terms terms, double scale) {
  static const PoolOptions kDefault;
  const auto pool = terms.options.pools.find(terms.job.current_pool());
  const warming::OverflowPolicy& policy = pool == terms.options.pools.end() ? kDefault.overflow : pool->second.overflow;
  const auto first = warming::plan(request_for(at, terms, policy, policy.when, scale));
  if (!first) return std::nullopt;
  Ends ends{first->finish, first->bound};
  const TimePoint held = at.held.first + policy.hold_max;
  if (policy.hold_max <= Duration(0) || ends.finish <= held) return ends;
  terms.from = std::max(terms.from, held);
  const auto then = warming::plan(request_for(at, terms, policy, policy.then, scale));
  if (!then) return ends;
  const TimePoint finish = std::max(then->finish, at.held.last + policy.hold_max);
  if (finish >= ends.finish) return ends;
  return Ends{finish, held > terms.now || finish > then->finish ? "longest hold" : then->bound};
}

}  // namespace

void Engine::Core::plan_finish(const engine::Job& job, std::uint64_t open, CampaignStatus& status) const {
  const TimePoint asked = now();
  if (job.paused) {
    status.finish_bound = "paused";
    return;
  }
  {
    const std::lock_guard lock(finish_mutex_);
    const auto known = finishes_.find(job.id);
    if (known != finishes_.end() && asked - known->second.asked < kFinishBelieved) {
      status.finish = known->second.finish;
      status.finish_bound = known->second.bound;
      return;
    }
  }
  std::shared_ptr<const warming::Settings> settings;
  {
    const std::lock_guard lock(finish_mutex_);
    settings = settings_;
  }
  std::vector<Worker::Backlog> backlog;
  for (int i = 0; i < runtime().workers(); ++i) {
    on_worker(i, [&](Worker& worker) { worker.backlog(job, backlog); });
  }
  std::uint64_t waiting = 0;
  for (const Worker::Backlog& each : backlog) waiting += each.held.rows;
  const double scale = waiting == 0 ? 0 : static_cast<double>(std::max(open, waiting)) / static_cast<double>(waiting);
  const Terms terms{job, options_, settings.get(), asked, std::max(asked, job.not_before)};
  Finish latest{.asked = asked, .finish = {}, .bound = {}};
  for (const Worker::Backlog& each : backlog) {
    if (!each.curves) continue;
    auto ends = ends_at(each, terms, scale);
    if (!ends || (latest.finish && ends->finish <= *latest.finish)) continue;
    latest.finish = std::max(ends->finish, asked);
    latest.bound = std::move(ends->bound);
  }
  if (waiting == 0 && job.opens(asked) > asked) latest.bound = "schedule";
  if (latest.finish && *latest.finish > job.expires) {  // The rest is settled then, unsent.
    latest.finish = job.expires;
    latest.bound += ", until it expires";
  }
  if (latest.finish == warming::kNever) latest.finish.reset();  // Not within a year.
  status.finish = latest.finish;
  status.finish_bound = latest.bound;
  const std::lock_guard lock(finish_mutex_);
  if (finishes_.size() >= kFinishesMax) finishes_.clear();
  finishes_[job.id] = std::move(latest);
}

}  // namespace mailsbuddy
