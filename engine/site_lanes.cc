// Which lanes of a site carry what: cold IPs, warm ones, and those of the pool that takes the overflow.
#include <algorithm>
#include <climits>

#include "engine/fields.h"
#include "engine/site.h"
#include "engine/worker.h"

namespace mailsbuddy::engine {

using warming::Overflow;
using warming::Way;

// ---------------------------------------------------------------------------------------------------------------------
// What may go which way

Site::Ways Site::ways(TimePoint now) const {
  Ways found;
  for (const auto& lane : lanes_) {
    if (lane->exhausted(now)) continue;
    (lane->guest() ? found.guest_permit : lane->cold() ? found.cold_left : found.warm_left) = true;
    found.warm_able |= !lane->guest() && !lane->cold() && lane->reachable(now);
  }
  return found;
}

// The policy is asked for what the pool's own IPs have nothing left for: as long as one has, they pull.
Way Site::way(const Ways& left, bool admitted, bool retry, TimePoint since, TimePoint now) const {
  if (left.warm_left) return Way::kWarm;
  if (left.cold_left && admitted) return Way::kCold;
  return warming::choose(rules_.overflow, {.pool_permit = left.guest_permit, .retry = retry, .waited = now - since});
}

bool Site::for_cold(const Lane& lane, const Job& job, const spool::Row& row) const {
  if (!rules_.engaged_only) return true;
  std::string_view value;
  const auto end = job.columns.begin() + static_cast<std::ptrdiff_t>(job.row_columns);
  const auto column = std::find(job.columns.begin(), end, rules_.engaged_only->field);
  if (column != end) {
    std::vector<std::string_view> values;
    unpack_fields(row.fields, values);
    const auto index = static_cast<std::size_t>(column - job.columns.begin());
    if (index < values.size()) value = values[index];
  }
  return rules_.engaged_only->admits(provider_.pacer.sending_day(lane.egress().number), value);
}

bool Site::for_cold(const Job& job, const spool::Row& row) const {
  return std::any_of(lanes_.begin(), lanes_.end(),
                     [&](const auto& lane) { return !lane->guest() && lane->cold() && for_cold(*lane, job, row); });
}

bool Site::may_carry(const Lane& lane, const Prepared& each, const Ways& left, TimePoint now) const {
  const bool cold = lane.cold() && !lane.guest();
  const bool ready = lane.ready_at(now) <= now;
  if (!lane.guest() && !cold && (ready || !lane.capped())) return ready;
  const bool retry = each.row.attempts > 0;
  const bool admitted = !cold || for_cold(lane, *each.job, each.row);
  if (!lane.guest() && ready && admitted && !(retry && left.warm_able)) return true;
  const bool any_admits = admitted || for_cold(*each.job, each.row);
  const Way by_policy = way(left, any_admits, retry, each.since, now);
  return lane.guest() ? ready && by_policy == Way::kNamedPool
                      : by_policy == Way::kColdAnyway && lane.ready_at(now, true) <= now;
}

// When the row that waits longest could first have gone. Where nobody is held for a time, nobody needs to know.
TimePoint Site::oldest(TimePoint now) const {
  return rules_.overflow.hold_max <= Duration(0) ? now : waits_since(now);
}

TimePoint Site::waits_since(TimePoint now) const {
  TimePoint since = std::min({now, queue_.oldest(now), engaged_.oldest(now), rest_.oldest(now)});
  for (const LookAhead& ahead : ahead_) {
    for (const PreparedPtr& each : ahead.ready) since = std::min(since, each->since);
  }
  return since;
}

// Of the rows that wait, those that the fewest may carry.
Way Site::overflow_way(TimePoint now) const {
  const Ways left = ways(now);
  const bool own = left.warm_left || (left.cold_left && rest_.empty());
  return own ? Way::kWarm : way(left, rest_.empty(), false, oldest(now), now);
}

// Rows for which the policy says so may be sent over cold IPs above their caps.
bool Site::above_cap(TimePoint now) const {
  if (rules_.overflow.when != Overflow::kSendAnyway && rules_.overflow.then != Overflow::kSendAnyway) return false;
  return overflow_way(now) == Way::kColdAnyway;
}

// Whether a connection of this lane would have something to carry.
bool Site::has_work(const Lane& lane, TimePoint now) const {
  if (!mixed_) return true;
  if (lane.guest()) return overflow_way(now) == Way::kNamedPool;
  if (!lane.cold() || !rules_.engaged_only) return true;
  const auto is_for = [&](const PreparedPtr& each) { return for_cold(lane, *each->job, each->row); };
  return !engaged_.empty() || std::any_of(ahead_[0].ready.begin(), ahead_[0].ready.end(), is_for) ||
         std::any_of(ahead_[1].ready.begin(), ahead_[1].ready.end(), is_for) || above_cap(now);
}

// Sorts the queue's next rows by whom they may go over, so that those no cold IP is for do not stand before the others.
// What is set apart is in memory, hence the cap: then cold IPs wait until the others have taken some.
void Site::sift(TimePoint now) {
  if (!rules_.engaged_only) return;
  for (const Priority priority : {Priority::kTransactional, Priority::kBulk}) {
    while (sifted_ < kSiftedMax && engaged_.waiting(priority, kEngagedAhead) < kEngagedAhead) {
      auto pulled = queue_.pull(priority, now, gate());
      if (!pulled) break;
      const bool engaged = for_cold(*pulled->job, pulled->row);
      auto feed = std::make_unique<Feed>();
      feed->job = std::move(pulled->job);
      feed->domain_number = pulled->row.key.domain;
      feed->domain = std::move(pulled->domain);
      feed->since = pulled->since;
      feed->rows.push_back(std::move(pulled->row));
      sifted_ += engaged ? 0 : 1;
      (engaged ? engaged_ : rest_).push(std::move(feed));
    }
  }
  if (rest_.empty()) sifted_ = 0;
}

// How many rows that no cold IP is for may be made: as many as the connections of others will carry.
std::size_t Site::rest_target(TimePoint now) const {
  if (!rules_.engaged_only) return 0;
  const bool anyway = above_cap(now);
  std::size_t appetite = 0;
  for (const auto& lane : lanes_) {
    if (!lane->cold() || lane->guest() || anyway) appetite += lane->appetite(now);
  }
  std::size_t made = 0;
  for (const LookAhead& ahead : ahead_) {
    made += ahead.preparing;
    made += static_cast<std::size_t>(std::count_if(
        ahead.ready.begin(), ahead.ready.end(), [this](const auto& each) { return !for_cold(*each->job, each->row); }));
  }
  return appetite - std::min(appetite, made);
}

// ---------------------------------------------------------------------------------------------------------------------
// What the policy fails

void Site::settle_over_cap(std::vector<FeedPtr> feeds) {
  for (FeedPtr& feed : feeds) worker_.settle_feed(std::move(feed), over_cap(), provider_.id.name);
}

Outcome Site::over_cap() const {
  return {.stage = Stage::kMake,
          .cause = Cause::kOverCap,
          .reply = {},
          .detail = "pool '" + pool_ + "' may send no more to " + provider_.id.name + " for now"};
}

void Site::fail_overflow(TimePoint now) {
  const warming::OverflowPolicy& policy = rules_.overflow;
  if (policy.when != Overflow::kFail && policy.then != Overflow::kFail) return;
  Ways left = ways(now);
  // Who is drained has not used up its cap: what it would carry waits for it, and is not failed for good.
  for (const auto& lane : lanes_) {
    if (lane->guest() || !lane->draining() || provider_.pacer.exhausted(lane->egress().number, now)) continue;
    (lane->cold() ? left.cold_left : left.warm_left) = true;
  }
  if (left.warm_left) return;
  const TimePoint since = policy.when == Overflow::kFail ? now : now - policy.hold_max;
  const bool holds = policy.when != Overflow::kFail && policy.hold_max <= Duration(0);
  if (holds) return;
  settle_over_cap(rest_.take_older(since));
  if (!left.cold_left) {
    settle_over_cap(queue_.take_older(since));
    settle_over_cap(engaged_.take_older(since));
  }
  for (LookAhead& ahead : ahead_) {
    for (std::size_t i = 0; i < ahead.ready.size();) {
      const Prepared& each = *ahead.ready[i];
      if (way(left, for_cold(*each.job, each.row), each.row.attempts > 0, each.since, now) != Way::kFail) {
        ++i;
        continue;
      }
      const PreparedPtr prepared = take_ready(ahead, i);
      each_recipient(*prepared, [&](Prepared& recipient) {
        let_go(recipient, now);
        worker_.delivery().settle(
            {.job = recipient.job, .row = recipient.row, .recipient = recipient.recipient, .counts = false}, over_cap(),
            {.provider = provider_.id.name});
      });
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Connections

bool Site::full() const { return connections_max_ < INT_MAX && open_connections() >= connections_max_; }

bool Site::can_carry(TimePoint now) {
  return open_connections() > 0 ||
         (!worker_.connections_full() && lane_to_open(now) != nullptr && opens_for(now).has_value());
}

// One is opened for whom nothing keeps from it, as long as their rows are more than the connections; else for the first
// whose campaign, account and From domain have a permit.
std::optional<const Job*> Site::opens_for(TimePoint now) {
  warming::Pacer& pacer = provider_.pacer;
  if (!pacer.any_openings()) return nullptr;
  std::uint64_t free = 0;
  std::uint64_t wanted = 0;
  const Job* first = nullptr;
  TimePoint next = TimePoint::max();
  const auto count = [&](const Job& job, std::uint64_t rows) {
    const auto at = pacer.next_opening(draw(job, 0), now);
    if (!at) free += rows;
    if (at && *at > now) next = std::min(next, *at);
    if (at && *at > now) return;
    wanted += rows;
    if (at && first == nullptr) first = &job;
  };
  for (const LookAhead& ahead : ahead_) {
    for (const PreparedPtr& each : ahead.ready) count(*each->job, 1);
  }
  for (const FairQueue* queue : {&queue_, &engaged_, &rest_}) {
    queue->each_open(now, gate(), count);
    if (!rules_.engaged_only) break;
  }
  const auto open = static_cast<std::uint64_t>(open_connections());
  if (free > open) return nullptr;
  if (first != nullptr && wanted > open) return first;
  opens_at_ = std::min(opens_at_, next);
  return std::nullopt;
}

void Site::open_for(const Job* whom, Lane& lane, TimePoint now) {
  if (whom != nullptr) provider_.pacer.take_opening(draw(*whom, 0), now);
  lane.open();
}

// The least used lane that may have a further connection.
Lane* Site::lane_to_open(TimePoint now) {
  Lane* best = nullptr;
  const bool anyway = mixed_ && above_cap(now);
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    Lane& lane = *lanes_[(turn_ + i) % lanes_.size()];
    if (!has_work(lane, now) || !lane.may_open(now, lane.capped() && anyway)) continue;
    if (best == nullptr || lane.open_connections() < best->open_connections()) best = &lane;
  }
  return best;
}

// What a cold IP has tried is to go over a warm one, and none has a connection; null: there is no such need.
Lane* Site::lane_for_retry(TimePoint now) {
  const auto is_retry = [](const PreparedPtr& each) { return each->row.attempts > 0; };
  const bool any = std::any_of(std::begin(ahead_), std::end(ahead_), [&](const LookAhead& ahead) {
    return std::any_of(ahead.ready.begin(), ahead.ready.end(), is_retry);
  });
  if (!any) return nullptr;
  Lane* found = nullptr;
  for (const auto& lane : lanes_) {
    if (lane->cold() || lane->guest()) continue;
    if (lane->open_connections() > 0) return nullptr;
    if (found == nullptr && lane->may_open(now)) found = lane.get();
  }
  return found;
}

void Site::open_connections(TimePoint now) {
  if (mixed_ && !worker_.connections_full()) {
    Lane* const lane = lane_for_retry(now);
    const auto whom = lane == nullptr ? std::nullopt : opens_for(now);
    if (whom) open_for(*whom, *lane, now);
  }
  const std::uint64_t wanted = waiting();
  for (auto open = static_cast<std::uint64_t>(open_connections()); open < wanted; ++open) {
    Lane* lane = worker_.connections_full() ? nullptr : lane_to_open(now);
    if (lane == nullptr) return wait_for_connection();
    const auto whom = opens_for(now);
    if (!whom) return;
    open_for(*whom, *lane, now);
  }
}

// When it is for want of connections, at the provider or in all, other sites' that end wake this one.
void Site::wait_for_connection() {
  if (waits_in != nullptr || waiting() == 0) return;
  const TimePoint now = worker_.now();
  const bool full = std::any_of(lanes_.begin(), lanes_.end(),
                                [this, now](const auto& each) { return each->full(now) && has_work(*each, now); });
  if (worker_.connections_full()) {
    worker_.wait(*this, worker_.waiting_sites());
  } else if (full) {
    worker_.wait(*this, provider_.waiting);
  }
}

}  // namespace mailsbuddy::engine
