#include "engine/worker.h"

#include <algorithm>
#include <utility>

namespace mailsbuddy::engine {

smtp::RouterOptions router_options(const EngineOptions& options) {
  smtp::RouterOptions router{.relays = options.relays, .own_names = {}};
  if (!options.refuse_loops) return router;
  router.own_names = options.own_names;
  for (const EgressIp& egress : options.egress) router.own_names.push_back(egress.ehlo_name);
  return router;
}

Worker::Worker(const Shared& shared, int index)
    : shared_(shared),
      index_(index),
      loop_(shared.runtime.loop(index)),
      transport_(shared.runtime.transport(index)),
      resolver_(shared.runtime.resolver(index)),
      random_(shared.runtime.seed() + static_cast<std::uint64_t>(index)),
      retries_(shared.options.first_retry, static_cast<std::uint64_t>(shared.options.attempts_max)),
      delivery_(loop_, shared.spool, shared.options.suppression, shared.erased, retries_, Random(random_()),
                shared.committed, shared.gate),
      tls_(shared.options, shared.runtime, index),
      router_(smtp::Router::make(resolver_, router_options(shared.options), tls_.sources())
                  .value()),  // Core::open() has tried it.
      aside_timer_([this] { wake_aside(); }),
      unrouted_timer_([this] {
        trickle_ = kTrickle;
        route_next();
      }),
      due_timer_([this] { hand_out_due(); }),
      settings_(shared.options.settings),
      connections_max_(std::max(1, shared.options.connections_max / shared.runtime.workers())) {
  for (std::size_t i = 0; i < shared.options.egress.size(); ++i) {
    if (const auto& proxy = shared.options.egress[i].proxy) {
      proxied_[i] = {smtp::make_proxied_transport(transport_, *proxy), std::make_unique<smtp::BadHosts>()};
    }
  }
  if (shared.snapshots) tls_.load(shared.spool);
}

Worker::~Worker() = default;

// ---------------------------------------------------------------------------------------------------------------------
// Routes

void Worker::route(FeedPtr feed) {
  if (stopped_) return;
  to_route_.push_back(std::move(feed));
  route_next();
}

void Worker::route(Unrouted domains) {
  if (stopped_) return;
  unrouted_.push_back(std::move(domains));
  route_next();
}

void Worker::route_next() {
  int settled = 0;
  while (routes_under_way_ < kRoutesAtOnce) {
    FeedPtr feed = next_to_route();
    if (feed == nullptr) return;
    if (feed->job->cancelled && settled_if_ended(feed)) {
      if (++settled < kRoutesAtOnce) continue;
      return loop_.post([this] {
        if (!stopped_) route_next();
      });
    }
    const TimePoint opens = feed->job->opens(std::max(now(), feed->job->not_before));
    if (opens > now() && feed->job->expires > now()) {
      const TimePoint until = std::min(opens, feed->job->expires);
      set_aside(std::move(feed), until);
      continue;
    }
    ++routes_under_way_;
    const std::string domain = feed->domain;
    router_.route(domain, [this, feed = std::move(feed)](const smtp::RouteAnswer& answer) mutable {
      --routes_under_way_;
      routed(std::move(feed), answer);
      route_next();
    });
  }
}

FeedPtr Worker::next_to_route() {
  if (to_route_.empty()) return next_unrouted();
  FeedPtr feed = std::move(to_route_.front());
  to_route_.pop_front();
  return feed;
}

// A job's domain becomes a feed when there is room for one, so that memory is bounded by what is being sent and not by
// what is queued. Jobs take turns.
FeedPtr Worker::next_unrouted() {
  TimePoint wake = TimePoint::max();
  for (std::size_t turns = unrouted_.size(); turns > 0; --turns) {
    Unrouted& next = unrouted_.front();
    const JobPtr job = next.job;
    const TimePoint at = job->cancelled ? TimePoint{} : std::min(opens(*job), job->expires);
    const bool full = !job->cancelled && job->expires > now() && counter_.use_count() > kFeedsMax;
    if (at > now() || (full && trickle_ == 0)) {
      wake = std::min(wake, std::max(at, now() + kLookAgain));
      unrouted_.push_back(std::move(next));
      unrouted_.pop_front();
      continue;
    }
    if (full) --trickle_;
    const Unrouted::Domain domain = next.domains.back();
    next.domains.pop_back();
    if (!next.domains.empty()) unrouted_.push_back(std::move(next));
    unrouted_.pop_front();
    FeedPtr feed = make_feed(job, domain.number, spool().domain_name(domain.number), domain.rows);
    feed->counted = counter_;
    return feed;
  }
  if (wake != TimePoint::max()) loop_.timers().arm(unrouted_timer_, wake);
  return nullptr;
}

TimePoint Worker::opens(const Job& job) const {
  return job.paused ? TimePoint::max() : job.opens(std::max(now(), job.not_before));
}

void Worker::routed(FeedPtr feed, const smtp::RouteAnswer& answer) {
  if (stopped_) return;
  if (shared_.snapshots) {
    if (auto policies = tls_.save(now())) delivery_.keep(*std::move(policies), [] {});
  }
  if (answer.route) shared_.known_providers.learn(feed->domain_number, answer.route->provider.name);
  // Also what expired is routed: its event says at whom.
  if (settled_if_ended(feed, answer.route ? answer.route->provider.name : std::string())) return;
  if (answer.route) return shared_.deliver(std::move(feed), *answer.route);
  const bool passes = answer.failure.cause == Cause::kDnsFailure || answer.failure.cause == Cause::kTlsFailed;
  if (!passes) return settle_feed(std::move(feed), answer.failure, {});
  count_unroutable(feed->domain, answer);
  charge(*feed, answer.failure);
  if (feed->size() == 0) return;
  const TimePoint again = std::min(now() + retries_.after_failures(++feed->route_failures), feed->job->expires);
  set_aside(std::move(feed), again);
}

void Worker::set_aside(FeedPtr feed, TimePoint until) {
  const auto entry = aside_.emplace(until, std::move(feed));
  if (entry == aside_.begin()) loop_.timers().arm(aside_timer_, until);
}

void Worker::charge(Feed& feed, const Outcome& outcome) {
  if (feed.job->paused || !feed.fill(spool(), 1)) return;
  const spool::Row row = feed.take();
  if (look(*feed.job, row) == Look::kGone) return;
  delivery_.settle({.job = feed.job, .row = row, .recipient = row.local + "@" + feed.domain}, outcome, {});
}

void Worker::count_unroutable(const std::string& domain, const smtp::RouteAnswer& answer) {
  if (shared_.options.tls_reports && answer.failure.cause == Cause::kTlsFailed)
    tls_.reports.record(domain, answer.tls, {.detail = answer.failure.detail});
}

void Worker::wake_aside() {
  while (!aside_.empty() && aside_.begin()->first <= now()) {
    FeedPtr feed = std::move(aside_.begin()->second);
    aside_.erase(aside_.begin());
    route(std::move(feed));
  }
  if (!aside_.empty()) loop_.timers().arm(aside_timer_, aside_.begin()->first);
}

bool Worker::settled_if_ended(FeedPtr& feed, std::string provider) {
  const Job& job = *feed->job;
  if (job.ends() > now()) return false;
  const Cause cause = job.cancelled ? Cause::kCancelled : Cause::kExpired;
  settle_feed(std::move(feed), {.stage = Stage::kRoute, .cause = cause, .reply = {}, .detail = {}}, std::move(provider));
  return true;
}

void Worker::settle_unsettled(FeedPtr feed) {
  if (stopped_) return;
  settle_feed(std::move(feed),
              {.stage = Stage::kFinalDot,
               .cause = Cause::kConnectionLost,
               .reply = {},
               .detail = "the process ended while the message was on its way"},
              {});
}

// A disk that cannot be read just now is asked again later: the feed takes its way from the start then.
void Worker::settle_feed(FeedPtr feed, Outcome outcome, std::string provider) {
  const bool tried = outcome.cause != Cause::kCancelled && outcome.cause != Cause::kExpired &&
                     outcome.cause != Cause::kOverCap;
  std::size_t settled = 0;
  for (; settled < kSettleAtOnce && feed->fill(spool(), kSettleAtOnce); ++settled) {
    const spool::Row row = feed->take();
    if (look(*feed->job, row) == Look::kGone) continue;
    delivery_.settle({.job = feed->job, .row = row, .recipient = row.local + "@" + feed->domain, .counts = tried},
                     outcome, {.provider = provider});
  }
  if (feed->size() == 0) return;
  if (settled == 0) return set_aside(std::move(feed), now() + kUnreadAgain);
  loop_.post([this, feed = std::move(feed), outcome = std::move(outcome), provider = std::move(provider)]() mutable {
    if (!stopped_) settle_feed(std::move(feed), std::move(outcome), std::move(provider));
  });
}

// ---------------------------------------------------------------------------------------------------------------------
// Sites

void Worker::deliver(FeedPtr feed, smtp::Route route) {
  if (stopped_) return;
  // A pool's name holds no NUL, so that the key stays injective.
  const std::string& pool = feed->job->current_pool();
  const std::string key = pool + '\0' + route.site;
  auto& site = sites_[key];
  if (site == nullptr) {
    site = std::make_unique<Site>(*this, provider(route.provider), key, route, pool);
  }
  if (shared_.options.tls_reports) site->know_tls(feed->domain, route.tls);
  site->push(std::move(feed), route.ttl);
  site->pump();
}

std::unique_ptr<smtp::Pool> Worker::make_pool(const Egress& egress, Site& site, smtp::PoolHandler& handler,
                                              smtp::Tracer& tracer,
                                              std::function<void(const smtp::TlsResult&)> on_tls) {
  warming::Pacer& pacer = site.provider().pacer;
  const auto proxied = proxied_.find(egress.number);
  const bool direct = proxied == proxied_.end();
  smtp::PoolOptions options{.local = egress.address,
                            .session = {.ehlo_name = egress.ip->ehlo_name,
                                        .tls = shared_.options.tls,
                                        .timeouts = shared_.options.timeouts,
                                        .recipients_max = SIZE_MAX},  // The lane sees to it, by limits that may change.
                            .port = shared_.options.port,
                            .connections_max = std::max(1, pacer.connections(egress.number, now())),
                            .messages_per_connection = pacer.messages_per_connection(egress.number, site.name()),
                            .tls = site.tls(),
                            .secure = tls_.secure(),
                            .targets = shared_.targets,
                            .tracer = &tracer,
                            .bad_hosts = direct ? &bad_hosts_ : proxied->second.bad_hosts.get()};
  if (shared_.options.tls_reports) options.on_tls = std::move(on_tls);
  if (const smtp::Relay* relay = site.relay()) {
    options.relay = true;
    options.session.implicit_tls = relay->implicit_tls;
    options.session.protocol = relay->protocol;
    options.session.login = relay->login;
  }
  return std::make_unique<smtp::Pool>(loop_, direct ? transport_ : *proxied->second.transport, resolver_,
                                      std::move(options), site.hosts(), handler, random_);
}

// Row 6. The claims are durable before the messages are made, so before they can be sent. What is quickly made is made
// here, between other things; the rest on the CPU pool.
void Worker::make(const std::string& site, std::vector<PreparedPtr> prepared, std::size_t batch) {
  std::vector<spool::RowKey> keys;
  keys.reserve(prepared.size());
  const std::uint64_t number = parts_;
  for (std::size_t i = 0; i < prepared.size(); ++i) {
    if (i % batch == 0) ++parts_;
    each_recipient(*prepared[i], [&](Prepared& recipient) {
      recipient.claimed = true;
      const spool::Row& row = recipient.row;
      keys.push_back(row.key);
      making_[parts_ - 1].push_back({.key = row.key, .position = row.position, .attempts = row.attempts, .local = {}, .fields = {}});
    });
  }
  auto make_all = [this, site, batch, number, prepared = std::move(prepared)]() mutable {
    for (std::size_t from = 0; from < prepared.size(); from += batch) {
      const auto begin = prepared.begin() + static_cast<std::ptrdiff_t>(from);
      const auto end = prepared.begin() + static_cast<std::ptrdiff_t>(std::min(from + batch, prepared.size()));
      std::vector<PreparedPtr> part(std::make_move_iterator(begin), std::make_move_iterator(end));
      const bool small = std::all_of(part.begin(), part.end(), [](const auto& p) { return p->job->make_cost.small(); });
      Executor& executor = small ? static_cast<Executor&>(loop_) : shared_.runtime.cpu();
      executor.post([this, site, number = number + from / batch, part = std::move(part)]() mutable {
        make_part(site, number, std::move(part));
      });
    }
  };
  delivery_.claim(std::move(keys), std::move(make_all));
}

void Worker::make_part(const std::string& site, std::uint64_t number, std::vector<PreparedPtr> part) {
  const Clock& clock = shared_.runtime.clock();
  const TimePoint made_at = clock.now();
  TimePoint begun = made_at;
  const std::size_t at_once = shared_.maker.signs() ? dkim::kSignedAtOnce : 1;
  for (std::size_t from = 0; from < part.size(); from += at_once) {
    if (shared_.stopping) return;
    const auto few = std::span<const PreparedPtr>(part).subspan(from, std::min(at_once, part.size() - from));
    shared_.maker.make(few, made_at);
    const TimePoint ended = clock.now();
    for (const PreparedPtr& each : few) each->job->make_cost.count((ended - begun) / static_cast<int>(few.size()));
    begun = ended;
  }
  auto give_back = [this, site, number, part = std::move(part)]() mutable {
    if (stopped_) return;
    making_.erase(number);
    sites_.at(site)->made(std::move(part));
  };
  if (loop_.is_owner()) return give_back();
  loop_.post(std::move(give_back));
}

// The first to wait asks those who have connections and no work.
void Worker::wait(Site& site, std::deque<Site*>& line) {
  const bool first = line.empty();
  line.push_back(&site);
  site.waits_in = &line;
  if (!first) return;
  for (auto& [key, other] : sites_) other->quit_spare();
}

// Those that wait come before the site that had the connection: one of its provider, else the first of all. Who does
// not take it after all (its work went elsewhere) passes it on.
void Worker::connection_released(Provider& provider) {
  for (std::deque<Site*>* line : {&provider.waiting, &waiting_}) {
    for (std::size_t left = line->size(); left > 0 && !line->empty(); --left) {
      Site* site = line->front();
      line->pop_front();
      site->waits_in = nullptr;
      const int before = connections_;
      site->pump();
      if (connections_ > before) return;
    }
  }
}

// Later, because the site is in the middle of something.
void Worker::retire(Site& site) {
  loop_.post([this, key = site.key()] {
    const auto found = sites_.find(key);
    if (found == sites_.end() || !found->second->unused(now())) return;
    const ProviderId id = found->second->provider().id;
    sites_.erase(found);
    forget_idle(id);
  });
}

// ---------------------------------------------------------------------------------------------------------------------
// Time and commands

void Worker::hand_out_due() {
  if (stopped_ || !shared_.options.deliver) return;
  constexpr std::size_t kAtOnce = 1024;
  std::vector<spool::Row> rows;
  if (*shared_.due_at_hand < shared_.options.due_rows_max) {
    spool().take_due(now(), kAtOnce, rows);
  } else if (now() >= shed_again_) {
    shed_again_ = now() + kShedAgain;
    shared_.shed();  // What is stuck, of a paused campaign or at a host that is down, holds up nobody else's retries.
  }
  std::map<std::pair<spool::JobNumber, spool::DomainNumber>, FeedPtr> feeds;
  for (spool::Row& row : rows) {
    FeedPtr& feed = feeds[{row.key.job, row.key.domain}];
    if (feed == nullptr) {
      feed = make_feed(shared_.find_job(row.key.job), row.key.domain, spool().domain_name(row.key.domain));
    }
    feed->rows.push_back(std::move(row));
  }
  for (auto& [key, feed] : feeds) {
    if (feed->job == nullptr) continue;
    feed->at_hand.count(shared_.due_at_hand, feed->rows.size());
    shared_.route(std::move(feed));
  }
  const TimePoint next = spool().next_due();
  if (next == TimePoint::max()) return;
  // Due, and not handed out: there is no room, or the disk cannot be read just now.
  const bool unread = rows.empty() && next <= now();
  loop_.timers().arm(due_timer_, unread ? now() + kUnreadAgain : std::max(next, now()));
}

void Worker::shed() {
  if (stopped_) return;
  for (auto& [at, feed] : std::exchange(aside_, {})) {
    if (feed->at_hand.rows() > 0) {
      shed(std::move(feed), at);
    } else {
      set_aside(std::move(feed), at);
    }
  }
  for (auto& [key, site] : sites_) site->shed(now() + kShedFor);
}

void Worker::shed(FeedPtr feed, TimePoint until) {
  for (const spool::Row& row : feed->rows) delivery_.wait(row, std::min(until, feed->job->expires));
}

void Worker::cancel_waiting(const JobPtr& job) {
  std::map<spool::DomainNumber, FeedPtr> feeds;
  std::vector<spool::Row> rows;
  spool().take_waiting(job->number, kSettleAtOnce, rows);
  for (spool::Row& row : rows) {
    FeedPtr& feed = feeds[row.key.domain];
    if (feed == nullptr) feed = make_feed(job, row.key.domain, spool().domain_name(row.key.domain));
    feed->rows.push_back(std::move(row));
  }
  for (auto& [domain, feed] : feeds) settled_if_ended(feed);
  if (rows.empty()) return;
  loop_.post([this, job] {
    if (!stopped_) cancel_waiting(job);
  });
}

// What is cancelled ends, held or not.
Worker::Look Worker::look(const Job& job, const spool::Row& row) const {
  if (!shared_.withdrawn.load(std::memory_order_relaxed)) return Look::kAsItWas;
  const auto state = job.cancelled ? shared_.spool.state(row.key) : shared_.spool.look(row.key);
  if (!state || spool::is_final(*state) || (*state == spool::State::kHeld && !job.cancelled)) return Look::kGone;
  return *state == spool::State::kClaimed ? Look::kAsItWas : Look::kUnclaimed;
}

void Worker::drain_egress() {
  if (stopped_) return;
  for (auto& [key, site] : sites_) {
    site->change();
    site->quit_draining();
    site->pump();
  }
}

int Worker::connections(std::size_t egress) const {
  int open = 0;
  for (const auto& [id, each] : providers_) open += each->egress[egress].connections;
  return open;
}

void Worker::wake(const JobPtr& job) {
  if (stopped_) return;
  if (job != nullptr && job->cancelled) {
    delivery_.flush();  // What this worker deferred a moment ago is in the spool, to be found there.
    cancel_waiting(job);
  }
  for (auto& [at, feed] : std::exchange(aside_, {})) {  // What cannot be settled just now goes back into it.
    if (!settled_if_ended(feed)) set_aside(std::move(feed), at);
  }
  route_next();
  for (auto& [key, site] : sites_) {
    site->review();
    site->pump();
  }
}

// What is on the wire is unknown to the next engine. The rest of what was claimed is given back.
void Worker::stop() {
  stopped_ = true;
  loop_.timers().cancel(aside_timer_);
  loop_.timers().cancel(due_timer_);
  loop_.timers().cancel(unrouted_timer_);
  for (auto& [key, site] : sites_) {
    site->waits_in = nullptr;
    site->give_back_ready();
  }
  for (const auto& [number, rows] : making_) {
    for (const spool::Row& row : rows) delivery_.give_back(row);
  }
  making_.clear();
  delivery_.flush();
  waiting_.clear();
  sites_.clear();
  providers_.clear();
  to_route_.clear();
  unrouted_.clear();
  aside_.clear();
}

}  // namespace mailsbuddy::engine
