#include "engine/site.h"

#include <algorithm>

#include "core/base/ascii.h"
#include "engine/worker.h"

namespace mailsbuddy::engine {
namespace {

constexpr Priority kPriorities[] = {Priority::kTransactional, Priority::kBulk};

Outcome not_tried(Cause cause) { return {.stage = Stage::kMake, .cause = cause, .reply = {}, .detail = {}}; }

}  // namespace

Site::Site(Worker& worker, Provider& provider, std::string key, std::vector<smtp::RouteHost> hosts,
           std::string_view pool)
    : worker_(worker),
      provider_(provider),
      key_(std::move(key)),
      hosts_(std::move(hosts)),
      queue_(worker.spool()),
      reroute_at_(worker.now() + kRouteAge),
      timer_([this] { pump(); }) {
  ++provider_.sites;
  for (Egress& egress : provider_.egress) {
    if (egress.ip->pool == pool) lanes_.push_back(std::make_unique<Lane>(*this, worker_, egress));
  }
}

Site::~Site() {
  --provider_.sites;
  if (waits_in != nullptr) std::erase(*waits_in, this);
}

void Site::push(FeedPtr feed) { queue_.push(std::move(feed)); }

void Site::push_front(Prepared& prepared) {
  worker_.delivery().give_back(prepared.row);
  std::string domain = prepared.recipient.substr(prepared.recipient.rfind('@') + 1);
  queue_.push_front({.job = std::move(prepared.job), .row = std::move(prepared.row), .domain = std::move(domain)});
}

bool Site::unused(TimePoint now) const {
  return queue_.empty() && ahead_[0].size() == 0 && ahead_[1].size() == 0 &&
         std::all_of(lanes_.begin(), lanes_.end(), [now](const auto& lane) {
           return lane->open_connections() == 0 &&
                  (lane->failures() == 0 || lane->set_aside_until() + kFailuresRemembered <= now);
         });
}

std::uint64_t Site::waiting() const {
  std::uint64_t count = 0;
  for (const Priority priority : kPriorities) {
    count += queue_.waiting(priority, kWantedMax) + ahead_[static_cast<std::size_t>(priority)].size();
  }
  return count;
}

int Site::open_connections() const {
  int open = 0;
  for (const auto& lane : lanes_) open += lane->open_connections();
  return open;
}

void Site::pump() {
  const TimePoint now = worker_.now();
  settle_ended(now);
  reroute(now);
  send_ready(now);
  if (can_carry(now)) {
    refill(now);
    open_connections(now);
  } else {
    give_back_ready();  // Leave it unexpanded until something can carry it.
    wait_for_connection();
  }
  if (waiting() == 0 && worker_.someone_waits(provider_)) quit_spare();
  arm(now);
  if (unused(now)) worker_.retire(*this);
}

void Site::quit_spare() {
  if (waiting() > 0) return;
  for (const auto& lane : lanes_) lane->quit_idle();
}

void Site::settle_ended(TimePoint now) {
  if (queue_.earliest_expiry() <= now) settle_feeds(queue_.take_ended(now));
}

void Site::settle_feeds(std::vector<FeedPtr> ended) {
  for (FeedPtr& feed : ended) {
    const Cause cause = feed->job->cancelled ? Cause::kCancelled : Cause::kExpired;
    worker_.settle_feed(std::move(feed), not_tried(cause), provider_.id.name);
  }
}

// The hosts of a domain change (RFC 5321 5.1): rows that have waited long, or whose site could not be reached, are routed
// anew, which costs little while the answers are in the resolver's cache.
void Site::reroute(TimePoint now) {
  if (now < reroute_at_) return;
  reroute_at_ = now + kRouteAge;
  for (FeedPtr& feed : queue_.take_all()) worker_.route_again(std::move(feed));
}

// Row 5: the last look before the wire.
bool Site::stopped(Prepared& prepared, TimePoint now) {
  const Job& job = *prepared.job;
  Outcome outcome;
  bool tried = false;
  if (job.cancelled) {
    outcome = not_tried(Cause::kCancelled);
  } else if (job.expires <= now) {
    outcome = not_tried(Cause::kExpired);
  } else if (worker_.spool().suppressed(job.account, ascii::to_lower(prepared.recipient))) {
    outcome = not_tried(Cause::kSuppressed);
  } else if (prepared.failure) {
    outcome = *prepared.failure;
    tried = true;
  } else {
    return false;
  }
  worker_.delivery().settle(
      {.job = prepared.job, .row = prepared.row, .recipient = prepared.recipient, .counts = tried}, outcome,
      {.provider = provider_.id.name});
  return true;
}

std::optional<std::pair<Lane*, smtp::ConnectionId>> Site::idle_lane(TimePoint now) {
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    Lane& lane = *lanes_[(turn_ + i) % lanes_.size()];
    const smtp::ConnectionId connection = lane.idle();
    if (connection == 0 || lane.egress().ready_at(now) > now) continue;
    turn_ = (turn_ + i + 1) % lanes_.size();
    return std::pair(&lane, connection);
  }
  return std::nullopt;
}

void Site::send_ready(TimePoint now) {
  while (!ahead_[0].ready.empty() || !ahead_[1].ready.empty()) {
    const auto lane = idle_lane(now);
    if (!lane) return;
    PreparedPtr prepared = next_ready(now);
    if (prepared == nullptr) return;
    lane->first->send(lane->second, std::move(prepared));
  }
}

PreparedPtr Site::next_ready(TimePoint now) {
  for (LookAhead& ahead : ahead_) {
    while (!ahead.ready.empty()) {
      PreparedPtr prepared = take_ready(ahead);
      if (stopped(*prepared, now)) continue;
      if (!prepared->job->paused) return prepared;
      push_front(*prepared);
    }
  }
  return nullptr;
}

PreparedPtr Site::take_ready(LookAhead& ahead) {
  PreparedPtr prepared = std::move(ahead.ready.front());
  ahead.ready.pop_front();
  ready_bytes_ -= prepared->wire.size();
  return prepared;
}

bool Site::can_carry(TimePoint now) {
  return open_connections() > 0 || (!worker_.connections_full() && lane_to_open(now) != nullptr);
}

void Site::give_back_ready() {
  for (LookAhead& ahead : ahead_) {
    for (; !ahead.ready.empty(); ahead.ready.pop_back()) {
      ready_bytes_ -= ahead.ready.back()->wire.size();
      push_front(*ahead.ready.back());
    }
  }
}

int Site::ready_connections() const {
  int ready = 0;
  for (const auto& lane : lanes_) ready += lane->ready_connections();
  return ready;
}

// Only what a ready connection will soon carry is expanded: thousands of sites that are still connecting, or never
// will, hold rows and no messages.
void Site::refill(TimePoint now) {
  const auto ready = static_cast<std::size_t>(ready_connections());
  if (ready == 0) return;
  const std::size_t target = std::min(kLookAheadMax, kAheadPerConnection * ready);
  for (const Priority priority : kPriorities) refill(priority, target, now);
}

// Pulls, claims and sends to the CPU pool. Waits until half of the look-ahead is used, so that tasks are not tiny.
void Site::refill(Priority priority, std::size_t target, TimePoint now) {
  LookAhead& ahead = ahead_[static_cast<std::size_t>(priority)];
  if (ahead.size() * 2 > target) return;
  std::vector<PreparedPtr> batch;
  const auto bytes = [&] {
    return ready_bytes_ + (ahead_[0].preparing + ahead_[1].preparing + batch.size()) * message_bytes_;
  };
  while (ahead.size() + batch.size() < target && (bytes() < kLookAheadBytesMax || ahead.size() + batch.size() == 0)) {
    auto pulled = queue_.pull(priority);
    if (!pulled) break;
    auto prepared = std::make_unique<Prepared>();
    prepared->recipient = pulled->row.local + "@" + pulled->domain;
    prepared->job = std::move(pulled->job);
    prepared->row = std::move(pulled->row);
    if (!stopped(*prepared, now)) batch.push_back(std::move(prepared));
  }
  if (batch.empty()) return;
  ahead.preparing += batch.size();
  worker_.make(key_, std::move(batch), kMakeBatch);
}

void Site::made(std::vector<PreparedPtr> batch) {
  const TimePoint now = worker_.now();
  for (PreparedPtr& prepared : batch) {
    LookAhead& ahead = ahead_[static_cast<std::size_t>(prepared->job->priority)];
    --ahead.preparing;
    if (stopped(*prepared, now)) continue;
    if (prepared->job->paused) {
      push_front(*prepared);
      continue;
    }
    message_bytes_ = prepared->wire.size();
    ready_bytes_ += prepared->wire.size();
    ahead.ready.push_back(std::move(prepared));
  }
  charge();
  pump();
}

void Site::review() {
  const TimePoint now = worker_.now();
  settle_feeds(queue_.take_ended(now));
  for (LookAhead& ahead : ahead_) {
    for (std::size_t left = ahead.ready.size(); left > 0; --left) {
      PreparedPtr prepared = take_ready(ahead);
      if (stopped(*prepared, now)) continue;
      if (prepared->job->paused) {
        push_front(*prepared);
      } else {
        ready_bytes_ += prepared->wire.size();
        ahead.ready.push_back(std::move(prepared));
      }
    }
  }
}

// The least used lane that may have a further connection.
Lane* Site::lane_to_open(TimePoint now) {
  Lane* best = nullptr;
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    Lane& lane = *lanes_[(turn_ + i) % lanes_.size()];
    if (!lane.may_open(now)) continue;
    if (best == nullptr || lane.open_connections() < best->open_connections()) best = &lane;
  }
  return best;
}

void Site::open_connections(TimePoint now) {
  const std::uint64_t wanted = waiting();
  for (auto open = static_cast<std::uint64_t>(open_connections()); open < wanted; ++open) {
    Lane* lane = worker_.connections_full() ? nullptr : lane_to_open(now);
    if (lane == nullptr) return wait_for_connection();
    lane->open();
  }
}

// When it is for want of connections, at the provider or in all, other sites' that end wake this one.
void Site::wait_for_connection() {
  if (waits_in != nullptr || waiting() == 0) return;
  const bool full = std::any_of(lanes_.begin(), lanes_.end(), [](const auto& each) { return each->full(); });
  if (worker_.connections_full()) {
    worker_.wait(*this, worker_.waiting_sites());
  } else if (full) {
    worker_.wait(*this, provider_.waiting);
  }
}

void Site::lane_failed(const Outcome& outcome) {
  const TimePoint now = worker_.now();
  if (std::any_of(lanes_.begin(), lanes_.end(), [now](const auto& lane) { return lane->reachable(now); })) return;
  for (const auto& lane : lanes_) reroute_at_ = std::min(reroute_at_, std::max(lane->set_aside_until(), now));
  failure_ = outcome;
  charge();
}

// With every lane set aside, the rest of the queue waits where it is: rows are not churned through retries that would
// fail alike. The one that bears the failure tells people what is wrong, and is tried again like any deferred one.
void Site::charge() {
  if (!failure_) return;
  const TimePoint now = worker_.now();
  for (LookAhead& ahead : ahead_) {
    while (!ahead.ready.empty()) {
      PreparedPtr prepared = take_ready(ahead);
      if (stopped(*prepared, now)) continue;
      if (prepared->job->paused) {
        push_front(*prepared);
        continue;
      }
      worker_.delivery().settle({.job = prepared->job, .row = prepared->row, .recipient = prepared->recipient},
                                *failure_, {.provider = provider_.id.name});
      failure_.reset();
      return;
    }
  }
  if (ahead_[0].preparing + ahead_[1].preparing > 0) return;  // Comes back with them.
  for (const Priority priority : kPriorities) {
    const auto pulled = queue_.pull(priority);
    if (!pulled) continue;
    worker_.delivery().settle(
        {.job = pulled->job, .row = pulled->row, .recipient = pulled->row.local + "@" + pulled->domain}, *failure_,
        {.provider = provider_.id.name});
    break;
  }
  failure_.reset();
}

// Sleeps exactly until something that time alone brings.
void Site::arm(TimePoint now) {
  TimePoint wake = queue_.empty() ? TimePoint::max() : std::min(queue_.earliest_expiry(), reroute_at_);
  const bool work = waiting() > 0;
  for (const auto& lane : lanes_) {
    if (work) {
      TimePoint at = lane->egress().ready_at(now);
      if (lane->open_connections() == 0) at = std::max(at > now ? at - kOpenAhead : at, lane->set_aside_until());
      if (at > now) wake = std::min(wake, at);
      if (at <= now && lane->egress().ready_at(now) > now) wake = std::min(wake, lane->egress().ready_at(now));
    } else if (lane->failures() > 0) {
      wake = std::min(wake, std::max(now + kOpenAhead, lane->set_aside_until() + kFailuresRemembered));
    }
  }
  TimerWheel& timers = worker_.loop().timers();
  if (wake == TimePoint::max()) {
    timers.cancel(timer_);
  } else if (!timer_.armed() || timer_.at() != wake) {
    timers.arm(timer_, wake);
  }
}

}  // namespace mailsbuddy::engine
