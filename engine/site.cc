#include "engine/site.h"

#include <algorithm>
#include <utility>

#include "core/base/ascii.h"
#include "engine/worker.h"

namespace mailsbuddy::engine {
namespace {

constexpr Priority kPriorities[] = {Priority::kTransactional, Priority::kBulk};
constexpr Duration kUnreadAgain = std::chrono::seconds(1);  // After the disk could not be read.

Outcome not_tried(Cause cause) { return {.stage = Stage::kMake, .cause = cause, .reply = {}, .detail = {}}; }

// Settings name a site by its first host.
warming::Draw draw_of(const Job& job, const std::vector<smtp::RouteHost>& hosts, std::uint64_t bytes) {
  return {.bytes = bytes,
          .site = hosts.front().host,
          .campaign = job.campaign ? std::string_view(job.id) : std::string_view(job.tag),
          .account = job.account,
          .sender_domain = job.from_domain};
}

}  // namespace

Site::Site(Worker& worker, Provider& provider, std::string key, const smtp::Route& route, std::string_view pool)
    : worker_(worker),
      provider_(provider),
      key_(std::move(key)),
      tls_(route.tls),
      hosts_(route.hosts),
      relay_(route.relay),
      pool_(pool),
      rules_(worker.pool_options(pool)),
      queue_(worker.spool()),
      engaged_(worker.spool()),
      rest_(worker.spool()),
      gate_([this](const Job& job) { return opens(job, provider_.pacer.next_named(draw(job, 0), worker_.now())); }),
      joining_gate_(
          [this](const Job& job) { return opens(job, provider_.pacer.next_joining(draw(job, 0), worker_.now())); }),
      reroute_at_(worker.now() + kRouteAgeMax),
      timer_([this] { pump(); }) {
  provider_.sites.push_back(this);
  for (Egress& egress : provider_.egress) {
    if (!worker.may_carry(pool, *egress.ip)) continue;
    const bool guest = egress.ip->pool != pool;
    lanes_.push_back(std::make_unique<Lane>(*this, worker_, egress, guest));
    mixed_ |= egress.ip->curve.has_value() || guest;
  }
  change();
}

Site::~Site() {
  std::erase(provider_.sites, this);
  leave_line();
}

// Others would end connections for it, and so would it itself.
void Site::leave_line() {
  if (waits_in != nullptr) std::erase(*std::exchange(waits_in, nullptr), this);
}

void Site::push(FeedPtr feed, std::chrono::seconds ttl) {
  const TimePoint until = worker_.now() + std::clamp<Duration>(ttl, kRouteAgeMin, kRouteAgeMax);
  const bool first = queue_.empty() && engaged_.empty() && rest_.empty();
  reroute_at_ = first ? until : std::min(reroute_at_, until);
  if (feed->since == TimePoint{}) feed->since = worker_.now();
  windows_ |= !feed->job->windows.empty();
  queue_.push(std::move(feed));
}

void Site::change() {
  connections_max_ = provider_.pacer.connections_max(warming::Subject::kSite, name());
  for (const auto& lane : lanes_) lane->change();
  queue_.ask_again();
  engaged_.ask_again();
  rest_.ask_again();
}

// When its rows are pulled that get a permit then. TimePoint{}: now.
TimePoint Site::opens(const Job& job, TimePoint permit) const {
  const TimePoint now = worker_.now();
  const TimePoint opens = job.opens(now);
  const TimePoint made = permit > now + kMakeAhead ? permit - kMakeAhead : TimePoint{};
  return opens > now ? std::max(opens, made) : made;
}

warming::Draw Site::draw(const Prepared& prepared) const {
  return draw_of(*prepared.job, hosts_, prepared.wire.size());
}

warming::Draw Site::draw(const Job& job, std::uint64_t bytes) const { return draw_of(job, hosts_, bytes); }

void Site::make_seven_bit() { seven_bit_until_ = worker_.now() + kSevenBitBelieved; }

void Site::let_go(Prepared& prepared, TimePoint now) {
  if (std::exchange(prepared.holds, false)) provider_.pacer.let_go(draw(prepared), now);
}

void Site::requeue(Prepared& recipient) {
  let_go(recipient, worker_.now());
  worker_.delivery().give_back(recipient.row);
  std::string domain = recipient.recipient.substr(recipient.recipient.rfind('@') + 1);
  queue_.push_front({.job = std::move(recipient.job),
                     .row = std::move(recipient.row),
                     .domain = std::move(domain),
                     .since = recipient.since});
}

// The first one last, so that they are pulled in their order, and together.
void Site::push_front(Prepared& message) {
  for (std::size_t left = message.recipients(); left > 0; --left) requeue(message.at(left - 1));
}

bool Site::unused(TimePoint now) const {
  return queue_.empty() && engaged_.empty() && rest_.empty() && ahead_[0].size() == 0 && ahead_[1].size() == 0 &&
         std::all_of(lanes_.begin(), lanes_.end(), [now](const auto& lane) {
           return lane->open_connections() == 0 &&
                  (lane->failures() == 0 || lane->set_aside_until() + kFailuresRemembered <= now);
         });
}

const FairQueue::Gate& Site::gate() const {
  static const FairQueue::Gate kOpen;
  return gated(worker_.now()) ? gate_ : kOpen;
}

std::uint64_t Site::waiting() const {
  const TimePoint now = worker_.now();
  std::uint64_t count = 0;
  for (const Priority priority : kPriorities) {
    count += ahead_[static_cast<std::size_t>(priority)].size();
    for (const FairQueue* queue : {&queue_, &engaged_, &rest_}) {
      count += queue->waiting(priority, kWantedMax, now, gate());
      if (rules_.engaged_only == std::nullopt) break;
    }
  }
  return count;
}

std::uint64_t Site::all_rows() const {
  std::uint64_t rows = ahead_[0].preparing + ahead_[1].preparing;
  for (const LookAhead& ahead : ahead_) {
    for (const PreparedPtr& each : ahead.ready) rows += each->recipients();
  }
  for (const FairQueue* queue : {&queue_, &engaged_, &rest_}) rows += queue->all_rows();
  return rows;
}

void Site::jobs(std::set<const Job*>& out) const {
  for (const FairQueue* queue : {&queue_, &engaged_, &rest_}) queue->jobs(out);
}

void Site::held(const Job& job, Held& held) const {
  for (const FairQueue* queue : {&queue_, &engaged_, &rest_}) queue->held(job, held);
  for (const LookAhead& ahead : ahead_) {
    for (const PreparedPtr& each : ahead.ready) {
      if (each->job.get() == &job) held.add(each->since, each->recipients());
    }
  }
}

int Site::open_connections() const {
  int open = 0;
  for (const auto& lane : lanes_) open += lane->open_connections();
  return open;
}

void Site::pump() {
  const TimePoint now = worker_.now();
  opens_at_ = TimePoint::max();
  settle_ended(now);
  reroute(now);
  if (provider_.curves) worker_.keep_snapshot(provider_);
  if (mixed_) fail_overflow(now);
  sift(now);
  send_ready(now);
  give_back_blocked(now);
  if (can_carry(now)) {
    refill(now);
    open_connections(now);
  } else {
    give_back_ready();  // Leave it unexpanded until something can carry it.
    again_ = false;     // Nothing refills until then.
    wait_for_connection();
  }
  if (waiting() == 0) leave_line();
  if (waiting() == 0 && worker_.someone_waits(provider_)) quit_spare();
  arm(now);
  worker_.report(provider_);
  if (unused(now)) worker_.retire(*this);
}

void Site::quit_draining() {
  for (const auto& lane : lanes_) lane->quit_draining();
}

void Site::send_home() {
  for (FairQueue* queue : {&queue_, &engaged_, &rest_}) {
    for (FeedPtr& feed : queue->take_if([this](const Feed& each) { return misplaced(*each.job); })) {
      worker_.route_again(std::move(feed));
    }
  }
}

void Site::shed(TimePoint until) {
  const bool stuck = !can_carry(worker_.now());
  for (FairQueue* queue : {&queue_, &engaged_, &rest_}) {
    const auto sheds = [stuck](const Feed& each) { return each.at_hand.rows() > 0 && (stuck || each.job->paused); };
    for (FeedPtr& feed : queue->take_if(sheds)) worker_.shed(std::move(feed), until);
  }
}

void Site::quit_spare() {
  if (waiting() > 0) return;
  for (const auto& lane : lanes_) lane->quit_idle();
}

void Site::settle_ended(TimePoint now) {
  for (FairQueue* queue : {&queue_, &engaged_, &rest_}) {
    if (queue->earliest_end() <= now) settle_feeds(queue->take_ended(now));
  }
}

void Site::settle_feeds(std::vector<FeedPtr> ended) {
  for (FeedPtr& feed : ended) {
    const Cause cause = feed->job->cancelled ? Cause::kCancelled : Cause::kExpired;
    worker_.settle_feed(std::move(feed), not_tried(cause), provider_.id.name);
  }
}

// The hosts of a domain change (RFC 5321 5.1): rows that have waited long, or whose site could not be reached, are
// routed anew, which costs little while the answers are in the resolver's cache.
void Site::reroute(TimePoint now) {
  if (now < reroute_at_) return;
  reroute_at_ = now + kRouteAgeMax;  // Those that come back bring their own.
  for (FairQueue* queue : {&queue_, &engaged_, &rest_}) {
    for (FeedPtr& feed : queue->take_all()) worker_.route_again(std::move(feed));
  }
}

// Row 5: the last look before the wire.
bool Site::stopped(Prepared& message, TimePoint now) {
  return !keep_recipients(
      message, [&](Prepared& each) { return each.part != Part::kOpen || !stopped_alone(each, message.failure, now); });
}

bool Site::stopped_alone(Prepared& recipient, const std::optional<Outcome>& failure, TimePoint now) {
  const Job& job = *recipient.job;
  const Worker::Look look = worker_.look(job, recipient.row);
  if (look == Worker::Look::kGone) {  // It has had its event.
    let_go(recipient, now);
    return true;
  }
  if (look == Worker::Look::kUnclaimed && recipient.claimed &&
      !job.cancelled) {  // Held when it was, and released since.
    requeue(recipient);
    return true;
  }
  Outcome outcome;
  bool tried = false;
  if (job.cancelled || recipient.row.local.empty() || worker_.erased(job.number, recipient.recipient)) {
    outcome = not_tried(Cause::kCancelled);
  } else if (job.expires <= now) {
    outcome = not_tried(Cause::kExpired);
  } else if (const TimePoint opens = job.opens(recipient.row.fields, now); opens > now) {
    let_go(recipient, now);
    worker_.delivery().wait(recipient.row, std::min(opens, job.expires));
    return true;
  } else if (worker_.spool().suppressed(job.account, ascii::to_lower(recipient.recipient))) {
    outcome = not_tried(Cause::kSuppressed);
  } else if (failure) {
    outcome = *failure;
    tried = true;
  } else {
    return false;
  }
  let_go(recipient, now);
  worker_.delivery().settle(
      {.job = recipient.job, .row = recipient.row, .recipient = recipient.recipient, .counts = tried}, outcome,
      {.provider = provider_.id.name});
  return true;
}

void Site::review() {
  const TimePoint now = worker_.now();
  for (FairQueue* queue : {&queue_, &engaged_, &rest_}) settle_feeds(queue->take_ended(now));
  for (LookAhead& ahead : ahead_) {
    for (std::size_t left = ahead.ready.size(); left > 0; --left) {
      PreparedPtr prepared = take_ready(ahead, 0);
      if (stopped(*prepared, now)) continue;
      if (prepared->job->paused || misplaced(*prepared->job)) {
        push_front(*prepared);
      } else {
        ready_bytes_ += prepared->wire.size();
        ahead.ready.push_back(std::move(prepared));
      }
    }
  }
  send_home();
}

void Site::lane_failed(const Outcome& outcome) {
  const TimePoint now = worker_.now();
  if (std::any_of(lanes_.begin(), lanes_.end(), [this, now](const auto& lane) { return has_work(*lane, now) && lane->reachable(now); })) return;
  for (const auto& lane : lanes_) reroute_at_ = std::min(reroute_at_, std::max(lane->set_aside_until(), now));
  const auto hopeless = std::ranges::count_if(lanes_, [](const auto& lane) { return lane->hopeless(); });
  if (hopeless == std::ssize(lanes_)) return give_up(outcome);
  if (hopeless_for_good(outcome)) return;  // Others may reach it yet: they bear what comes of that.
  failure_ = outcome;
  charge();
}

// The hosts are none that mail is sent to, from wherever: so it is for every row, and will be when it is tried again.
void Site::give_up(const Outcome& outcome) {
  failure_ = outcome;
  charge();
  for (FairQueue* queue : {&queue_, &engaged_, &rest_}) {
    for (FeedPtr& feed : queue->take_all()) worker_.settle_feed(std::move(feed), outcome, provider_.id.name);
  }
}

void Site::know_tls(const std::string& domain, const smtp::RouteTls& tls) {
  if (tls.sts != nullptr || !tls.sts_failure.empty()) {
    tls_of_domains_.insert_or_assign(domain, tls);
  } else {
    tls_of_domains_.erase(domain);
  }
}

void Site::tls_failed(const smtp::TlsResult& result) {
  if (tls_failures_.size() < kTlsFailuresMax) tls_failures_.push_back(result);
}

void Site::count_tls(std::string_view recipient, const smtp::TlsResult* session) {
  if (session == nullptr && tls_failures_.empty()) return;
  const std::string domain(recipient.substr(recipient.rfind('@') + 1));
  const auto own = tls_of_domains_.find(domain);
  const smtp::RouteTls& tls = own != tls_of_domains_.end() ? own->second : tls_;
  for (const smtp::TlsResult& failure : std::exchange(tls_failures_, {})) worker_.tls_reports().record(domain, tls, failure);
  if (session != nullptr) worker_.tls_reports().record(domain, tls, *session);
}

// With every lane set aside, the rest of the queue waits where it is: rows are not churned through retries that would
// fail alike. The one that bears the failure tells people what is wrong, and is tried again like any deferred one.
void Site::charge() {
  if (!failure_) return;
  const TimePoint now = worker_.now();
  for (LookAhead& ahead : ahead_) {
    while (!ahead.ready.empty()) {
      PreparedPtr prepared = take_ready(ahead, 0);
      if (stopped(*prepared, now)) continue;
      if (prepared->job->paused) {
        push_front(*prepared);
        continue;
      }
      let_go(*prepared, now);
      count_tls(prepared->recipient, nullptr);
      worker_.delivery().settle({.job = prepared->job, .row = prepared->row, .recipient = prepared->recipient},
                                *failure_, {.provider = provider_.id.name});
      if (keep_recipients(*prepared, [&](const Prepared& each) { return &each != prepared.get(); }))
        push_front(*prepared);
      failure_.reset();
      return;
    }
  }
  if (ahead_[0].preparing + ahead_[1].preparing > 0) return;  // Comes back with them.
  for (const Priority priority : kPriorities) {
    std::size_t rest_wanted = 1;
    const auto pulled = pull(priority, rest_wanted, now);
    if (!pulled || worker_.look(*pulled->job, pulled->row) == Worker::Look::kGone) continue;
    count_tls(pulled->domain, nullptr);
    worker_.delivery().settle(
        {.job = pulled->job, .row = pulled->row, .recipient = pulled->row.local + "@" + pulled->domain}, *failure_,
        {.provider = provider_.id.name});
    break;
  }
  failure_.reset();
}

// Sleeps exactly until something that time alone brings.
void Site::arm(TimePoint now) {
  TimePoint wake = TimePoint::max();
  const auto at = [&wake, now](TimePoint time) {
    if (time > now) wake = std::min(wake, time);
  };
  for (const FairQueue* queue : {&queue_, &engaged_, &rest_}) {
    if (!queue->empty()) wake = std::min({wake, queue->earliest_end(), reroute_at_});
    if (queue->unread() && !queue->empty()) wake = std::min(wake, now + kUnreadAgain);
    if (gated(now)) at(queue->opens_at(now));
  }
  at(ready_opens_);
  at(opens_at_);
  if (again_) wake = now;
  const bool work = waiting() > 0;
  const bool anyway = work && mixed_ && above_cap(now);
  for (const auto& lane : lanes_) {
    if (work) {
      if (!lane->guest() || has_work(*lane, now)) at(lane->wakes_at(now, anyway && lane->capped()));
    } else if (lane->failures() > 0) {
      wake = std::min(wake, std::max(now + kOpenAhead, lane->set_aside_until() + kFailuresRemembered));
    }
  }
  if (work && mixed_ && overflow_way(now) == warming::Way::kWait) at(oldest(now) + rules_.overflow.hold_max);
  TimerWheel& timers = worker_.loop().timers();
  if (wake == TimePoint::max()) {
    timers.cancel(timer_);
  } else if (!timer_.armed() || timer_.at() != wake) {
    timers.arm(timer_, wake);
  }
}

}  // namespace mailsbuddy::engine
