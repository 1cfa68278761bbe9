// What a site has made ahead: pulled from its queue, on its way to be made, ready to be sent.
#include <algorithm>

#include "core/base/encoding.h"
#include "engine/site.h"
#include "engine/worker.h"

namespace mailsbuddy::engine {
namespace {

constexpr Duration kReadAgain = std::chrono::seconds(30);  // After a message could not be read from the disk.
constexpr Priority kPriorities[] = {Priority::kTransactional, Priority::kBulk};

}  // namespace

// Connections pull: those of cold IPs first, which are for some of the mail alone.
void Site::send_ready(TimePoint now) {
  ready_opens_ = TimePoint::max();
  if (mixed_) send_ready(true, now);
  send_ready(false, now);
}

// Idle ones by turns, and then those whose window has room.
void Site::send_ready(bool cold, TimePoint now) {
  const auto none = [this] { return ahead_[0].ready.empty() && ahead_[1].ready.empty(); };
  for (std::size_t passed = 0; passed < lanes_.size(); ++passed) {
    if (none()) return;
    Lane& lane = *lanes_[turn_];
    turn_ = (turn_ + 1) % lanes_.size();
    if (lane.idle() == 0 || (mixed_ && lane.cold() != cold)) continue;
    PreparedPtr prepared = next_for(lane, now);
    if (prepared == nullptr) continue;
    lane.send(lane.idle(), std::move(prepared));
    passed = 0;
  }
  for (const auto& lane : lanes_) {
    if (none()) return;
    if (!mixed_ || lane->cold() == cold) lane->feed();
  }
}

// Most often the first that is ready. Others are looked at where names or cold IPs hold some of them up.
PreparedPtr Site::next_for(Lane& lane, TimePoint now) {
  if (!mixed_ && lane.ready_at(now) > now) return nullptr;
  warming::Pacer& pacer = provider_.pacer;
  const bool names = pacer.any_names(now);
  const Ways left = mixed_ ? ways(now) : Ways{};
  for (LookAhead& ahead : ahead_) {
    for (std::size_t i = 0; i < ahead.ready.size();) {
      const Prepared& each = *ahead.ready[i];
      const TimePoint octets = pacer.next_bytes(lane.egress().number, each.wire.size(), now);
      const TimePoint open = names ? std::max(octets, pacer.blocked_until(draw(each), now)) : octets;
      if (open > now) ready_opens_ = std::min(ready_opens_, open);
      if (open > now || (mixed_ && !may_carry(lane, each, left, now)) || (names && !take_places(*ahead.ready[i], now))) {
        ++i;
        continue;
      }
      PreparedPtr prepared = take_ready(ahead, i);
      if (stopped(*prepared, now)) continue;
      if (prepared->job->paused) {
        push_front(*prepared);
        continue;
      }
      return prepared;
    }
  }
  return nullptr;
}

// It has them since it was made, unless the settings were others or it was a part of another one.
bool Site::take_places(Prepared& message, TimePoint now) {
  if (!message.places.empty()) return true;
  auto places = provider_.pacer.places(draw(message), now);
  if (!places) ready_opens_ = std::min(ready_opens_, now + kHeldBackMax);
  if (!places) return false;
  message.places = *std::move(places);
  if (!message.places.empty()) provider_.to_the_end(*this);  // The others come first next time.
  return true;
}

bool Site::may_join(const Lane& lane, const Prepared& recipient, TimePoint now) const {
  if (provider_.pacer.any_names(now) && provider_.pacer.blocked_until(draw(recipient), now) > now) return false;
  return mixed_ ? may_carry(lane, recipient, ways(now), now) : lane.ready_at(now) <= now;
}

PreparedPtr Site::take_ready(LookAhead& ahead, std::size_t index) {
  PreparedPtr prepared = std::move(ahead.ready[index]);
  ahead.ready.erase(ahead.ready.begin() + static_cast<std::ptrdiff_t>(index));
  ready_bytes_ -= prepared->wire.size();
  return prepared;
}

// Made too soon for its names: a domain was paused, or an account's octets are used up.
void Site::give_back_blocked(TimePoint now) {
  if (!provider_.pacer.any_names(now)) return;
  for (LookAhead& ahead : ahead_) {
    for (std::size_t i = 0; i < ahead.ready.size();) {
      if (provider_.pacer.blocked_until(draw(*ahead.ready[i]), now) <= now + kHeldBackMax) {
        ++i;
      } else {
        push_front(*take_ready(ahead, i));
      }
    }
  }
}

void Site::give_back_ready() {
  for (LookAhead& ahead : ahead_) {
    for (; !ahead.ready.empty(); ahead.ready.pop_back()) {
      ready_bytes_ -= ahead.ready.back()->wire.size();
      push_front(*ahead.ready.back());
    }
  }
}

// Rows for the connections of warm IPs come from those that no cold one is for, as long as there are any.
std::optional<Pulled> Site::pull(Priority priority, std::size_t& rest_wanted, TimePoint now) {
  if (!rules_.engaged_only) return queue_.pull(priority, now, gate());
  if (rest_wanted > 0) {
    if (auto pulled = rest_.pull(priority, now, gate())) {
      --rest_wanted;
      sifted_ -= std::min<std::uint64_t>(sifted_, 1);
      return pulled;
    }
  }
  return engaged_.pull(priority, now, gate());
}

// Only what a ready connection will soon carry is expanded: thousands of sites that are still connecting, or never
// will, hold rows and no messages.
void Site::refill(TimePoint now) {
  again_ = false;
  std::size_t appetite = 0;
  for (const auto& lane : lanes_) appetite += lane->appetite(now);
  if (appetite == 0) return;
  const std::size_t target = std::min(kLookAheadMax, appetite);
  for (const Priority priority : kPriorities) refill(priority, target, now);
}

// Pulls, claims and sends to the CPU pool. Waits until half of the look-ahead is used, so that tasks are not tiny.
void Site::refill(Priority priority, std::size_t target, TimePoint now) {
  LookAhead& ahead = ahead_[static_cast<std::size_t>(priority)];
  if (ahead.size() * 2 > target) return;
  std::vector<PreparedPtr> batch;
  std::size_t rest_wanted = rest_target(now);
  const auto bytes = [&] {
    return ready_bytes_ + (ahead_[0].preparing + ahead_[1].preparing + batch.size()) * message_bytes_;
  };
  std::size_t left = kLookedAtMax;
  while (ahead.size() + batch.size() < target && (bytes() < kLookAheadBytesMax || ahead.size() + batch.size() == 0)) {
    if (left-- == 0) {
      again_ = true;
      break;
    }
    auto pulled = pull(priority, rest_wanted, now);
    if (!pulled) break;
    const bool more = pulled->more;
    PreparedPtr prepared = prepare(*std::move(pulled), now);
    take_places(*prepared, now);
    if (more) join(*prepared, now);
    if (!stopped(*prepared, now)) batch.push_back(std::move(prepared));
  }
  if (batch.empty()) return;
  ahead.preparing += batch.size();
  worker_.make(key_, std::move(batch), kMakeBatch);
}

PreparedPtr Site::prepare(Pulled pulled, TimePoint now) {
  auto prepared = std::make_unique<Prepared>();
  prepared->recipient = pulled.row.local + "@" + pulled.domain;
  prepared->job = std::move(pulled.job);
  prepared->row = std::move(pulled.row);
  prepared->since = pulled.since;
  prepared->seven_bit = seven_bit_until_ > now;
  prepared->holds = provider_.pacer.any_names(now);
  if (prepared->holds) provider_.pacer.hold(draw(*prepared), now);
  return prepared;
}

// As many as one of the lanes may name at once. What its limits are, which may be others, is seen when it sends.
std::size_t Site::recipients_max(const Job& job) const {
  int most = 1;
  for (const auto& lane : lanes_) {
    most = std::max(most, provider_.pacer.recipients_per_transaction(lane->egress().number, draw(job, 0)));
  }
  return static_cast<std::size_t>(most);
}

// The message's other recipients of the domain. Those of another one have a transaction of their own even at the same
// hosts, for Google answers 451 to a second domain in one; a relay takes what it is given. Kept apart are those who
// would cost the others something: an address that needs SMTPUTF8, and retries, which cold IPs leave to warm ones.
// Where rows are sifted, each goes alone.
void Site::join(Prepared& first, TimePoint now) {
  if (rules_.engaged_only) return;
  const bool any_domain = relay_ != nullptr;
  const std::size_t most = recipients_max(*first.job);
  while (first.recipients() < most) {
    auto next = queue_.pull_more(first.job, first.row.key.domain, any_domain, now, gated(now) ? joining_gate_ : gate());
    if (!next) return;
    const bool alike =
        (next->row.attempts > 0) == (first.row.attempts > 0) && is_ascii(next->row.local) == is_ascii(first.row.local);
    if (!alike) return queue_.push_front(*std::move(next));
    first.others.push_back(prepare(*std::move(next), now));
  }
}

// They hold places at the pacer like all that is made.
void Site::put_back(PreparedPtr message) {
  const TimePoint now = worker_.now();
  each_recipient(*message, [&](Prepared& each) {
    each.part = Part::kOpen;
    if (each.holds || !provider_.pacer.any_names(now)) return;
    provider_.pacer.hold(draw(each), now);
    each.holds = true;
  });
  ready_bytes_ += message->wire.size();
  ahead_[static_cast<std::size_t>(message->job->priority)].ready.push_front(std::move(message));
}

void Site::made(std::vector<PreparedPtr> batch) {
  const TimePoint now = worker_.now();
  bool moved = false;
  for (PreparedPtr& prepared : batch) {
    LookAhead& ahead = ahead_[static_cast<std::size_t>(prepared->job->priority)];
    --ahead.preparing;
    if (stopped(*prepared, now)) continue;
    if (prepared->unread) {  // No attempt: the disk may let it be read later.
      each_recipient(*prepared, [&](Prepared& each) {
        let_go(each, now);
        worker_.delivery().wait(each.row, now + kReadAgain);
      });
      continue;
    }
    if (prepared->job->paused || misplaced(*prepared->job)) {
      moved |= misplaced(*prepared->job);
      push_front(*prepared);
      continue;
    }
    message_bytes_ = prepared->wire.size();
    ready_bytes_ += prepared->wire.size();
    ahead.ready.push_back(std::move(prepared));
  }
  if (moved) send_home();
  charge();
  pump();
}

}  // namespace mailsbuddy::engine
