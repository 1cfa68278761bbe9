// The queue, asked about and commanded by filter. Who is where is the spool's to know: rows are gone through page by
// page, and what a worker has of them in memory is looked at once more before it is sent (Worker::look()).
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/base/ascii.h"
#include "core/base/log.h"
#include "engine/core.h"

namespace mailsbuddy {
namespace {

using engine::Job;
using engine::JobPtr;

constexpr std::size_t kPageRows = 8192;     // Changed in one write.
constexpr std::size_t kMovedAtOnce = 64;    // Each is a wait for the disk.
constexpr std::size_t kJobsAtOnce = 4096;   // Looked at in one call, for one that fits.
constexpr std::size_t kJobsListed = 1024;   // In one call.

constexpr std::uint32_t bit(spool::State state) { return 1U << static_cast<unsigned>(state); }

}  // namespace

// ---------------------------------------------------------------------------------------------------------------------
// Finding

bool Engine::Core::fits(const QueueFilter& filter, const Job& job) const {
  return (filter.job.empty() || job.id == filter.job) && (filter.account.empty() || job.account == filter.account) &&
         (filter.pool.empty() || job.current_pool() == filter.pool) && job.created + filter.age_min <= now();
}

// Of a listing or a command that has begun the job may be gone since: that is its end.
Result<void> Engine::Core::check_filter(const QueueFilter& filter, const spool::ListCursor& cursor) const {
  if (cursor.job == 0 && !filter.job.empty() && find(filter.job) == nullptr) {
    return Error{ErrorCode::kNotFound, fmt::format("no campaign or message '{}'", filter.job)};
  }
  return {};
}

// The first job from number `from` on that fits. Null: none; or, with `more`, none among so many, `from` is behind
// them.
JobPtr Engine::Core::next_job(const QueueFilter& filter, spool::JobNumber& from, bool& more) const {
  more = false;
  if (!filter.job.empty()) {
    JobPtr job = find(filter.job);
    return job != nullptr && job->number >= from && fits(filter, *job) ? job : nullptr;
  }
  const std::lock_guard lock(mutex_);
  std::size_t left = kJobsAtOnce;
  for (auto each = jobs_by_number_.lower_bound(from); each != jobs_by_number_.end(); ++each) {
    from = each->first;
    if (fits(filter, *each->second)) return each->second;
    if (--left > 0) continue;
    ++from;
    more = true;
    break;
  }
  return nullptr;
}

bool Engine::Core::list_rows(const QueueFilter& filter, spool::ListCursor& cursor, std::size_t max,
                             std::vector<Listed>& out) const {
  spool::ListQuery query{.states = filter.states};
  if (!filter.domain.empty()) query.domain = filter.domain;
  if (const std::size_t at = filter.address.rfind('@'); !filter.address.empty()) {
    query.local = filter.address.substr(0, at);
    query.domain = ascii::to_lower(filter.address.substr(at + 1));
    if (!filter.domain.empty() && *query.domain != filter.domain) return false;
  }
  const bool by_job = !filter.job.empty() || !filter.account.empty() || !filter.pool.empty() || filter.age_min.count() > 0;
  std::vector<spool::ListedRow> rows;
  const bool more = by_job ? list_jobs(filter, query, cursor, max, rows) : spool().list(query, cursor, max, rows);
  for (spool::ListedRow& row : rows) {
    JobPtr job = find(row.key.job);
    if (job == nullptr) continue;  // Set aside, or its import is not complete: not the queue's.
    std::string provider = known_providers_.find(row.key.domain);
    out.push_back({std::move(row), std::move(job), std::move(provider)});
  }
  return more;
}

// One job after the other. A page has those of many, so that thousands of messages are changed in one write.
bool Engine::Core::list_jobs(const QueueFilter& filter, spool::ListQuery query, spool::ListCursor& cursor,
                             std::size_t max, std::vector<spool::ListedRow>& out) const {
  for (std::size_t left = kJobsListed; left > 0 && out.size() < max; --left) {
    spool::JobNumber number = cursor.job;
    bool more = false;
    const JobPtr job = next_job(filter, number, more);
    if (job != nullptr) number = job->number;
    if (number != cursor.job) cursor = {.job = number, .domain = 0, .row = 0};
    if (job == nullptr) return more;
    query.job = number;
    if (spool().list(query, cursor, max - out.size(), out)) return true;
    cursor = {.job = number + 1, .domain = 0, .row = 0};
    if (!filter.job.empty()) return false;
  }
  return true;
}

// Its owner asks the DNS, which has most answers at hand.
void Engine::Core::ask_provider(spool::DomainNumber number) const {
  const std::string domain = spool().domain_name(number);
  const int owner = owner_of(domain);
  runtime().loop(owner).post([this, worker = workers_[static_cast<std::size_t>(owner)].get(), number, domain] {
    worker->find_provider(domain, [this, number](const ProviderId* provider) {
      if (provider != nullptr) known_providers_.learn(number, provider->name);
      lookups_.answered(number, now());
    });
  });
}

std::uint64_t Engine::Core::find_providers(const QueueFilter& filter, Duration time) const {
  if (filter.provider.empty() || time.count() <= 0 || on_a_loop()) return 0;
  std::vector<spool::DomainNumber> domains = unknown_domains(filter);
  lookups_.add(domains, now());
  return lookups_.wait(std::move(domains), time, runtime().clock());
}

Result<bool> Engine::Core::list(const QueueFilter& filter, spool::ListCursor& cursor, std::size_t max,
                                std::vector<QueuedRecipient>& out) const {
  if (auto checked = check_filter(filter, cursor); !checked) return std::move(checked).error();
  if (cursor.job == 0) find_providers(filter, filter.provider_wait);
  std::vector<Listed> rows;
  const bool more = list_rows(filter, cursor, std::min(max, kPageRows), rows);
  for (Listed& each : rows) {
    if (!filter.provider.empty() && each.provider != filter.provider) continue;
    out.push_back({.job = each.job->id,
                   .campaign = std::string(each.job->campaign_id()),
                   .account = each.job->account,
                   .address = each.row.local.empty() ? std::string() : each.row.local + "@" + each.row.domain,
                   .row = engine::row_number(each.row.key),
                   .state = each.row.state,
                   .attempts = each.row.attempts,
                   .due = each.row.due,
                   .provider = std::move(each.provider),
                   .unreadable = std::move(each.row.unreadable)});
  }
  return more;
}

// Whose they are is not to be read, now or ever: nobody could be told of what becomes of them.
std::uint64_t Engine::Core::leave_unreadable(std::vector<Listed>& rows) const {
  return std::erase_if(rows, [this](const Listed& each) {
    if (each.row.unreadable.empty()) return false;
    log(options_.log.get(), LogLevel::kError, "engine", "job '{}': row {} of {} is left as it is: {}", each.job->id, each.row.key.row,
        each.row.domain, each.row.unreadable);
    return true;
  });
}

std::vector<std::string> Engine::Core::campaigns() const {
  std::vector<std::string> ids;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [token, job] : campaigns_by_token_) ids.push_back(job->id);
    for (const auto& [id, job] : interrupted_) ids.push_back(id);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

// ---------------------------------------------------------------------------------------------------------------------
// Changing

Result<bool> Engine::Core::fail(const QueueFilter& filter, std::string_view reason, spool::ListCursor& cursor,
                                QueueChange& change) {
  return withdraw(filter, QueueFilter::kOpen, spool::State::kFailed, EventKind::kFailed, reason, cursor, change);
}

Result<bool> Engine::Core::hold(const QueueFilter& filter, std::string_view reason, spool::ListCursor& cursor,
                                QueueChange& change) {
  constexpr std::uint32_t kMoving = QueueFilter::kOpen & ~bit(spool::State::kHeld);
  return withdraw(filter, kMoving, spool::State::kHeld, EventKind::kHeld, reason, cursor, change);
}

// What is taken out of the hands of those who deliver, in one of `states`, with an event for each.
Result<bool> Engine::Core::withdraw(const QueueFilter& filter, std::uint32_t states, spool::State to, EventKind kind,
                                    std::string_view reason, spool::ListCursor& cursor, QueueChange& change) {
  if (auto checked = check_filter(filter, cursor); !checked) return std::move(checked).error();
  withdrawn_ = true;
  const Outcome outcome{.stage = Stage::kMake, .cause = Cause::kCancelled, .reply = {}, .detail = std::string(reason)};
  QueueFilter open = filter;
  open.states &= states;
  if (cursor.job == 0) change.unknown_domains += left_unknown(open);
  std::vector<Listed> rows;
  const bool more = list_rows(open, cursor, kPageRows, rows);
  if (!filter.provider.empty()) {
    for (const Listed& each : rows) change.unknown += each.provider.empty() ? 1 : 0;
    std::erase_if(rows, [&](const Listed& each) { return each.provider != filter.provider; });
  }
  change.unreadable += leave_unreadable(rows);
  std::vector<spool::Settlement> withdrawn;
  for (const Listed& each : rows) {
    const bounce::Verdict verdict = bounce::classify(outcome, ProviderId{each.provider});
    Event event{.kind = kind,
                .time = now(),
                .job = each.job->id,
                .campaign = std::string(each.job->campaign_id()),
                .account = each.job->account,
                .recipient = each.row.local + "@" + each.row.domain,
                .row = engine::row_number(each.row.key),
                .attempt = each.row.attempts,
                .outcome = outcome,
                .verdict = verdict,
                .rule = std::string(verdict.rule),
                .provider = each.provider};
    event.verdict.matched = {};
    if (each.row.local.empty()) engine::erase_recipient(event);
    withdrawn.push_back(
        {.key = each.row.key, .state = to, .attempts = each.row.attempts, .event = engine::encode_event(event)});
  }
  if (withdrawn.empty()) return more;
  const std::vector<bool> done = spool().withdraw(std::move(withdrawn));
  auto kept = spool().sync();
  events_.notify();
  std::set<JobPtr> cancelled;  // Meanwhile: what is held of them is to be cancelled, too.
  for (std::size_t i = 0; i < done.size(); ++i) {
    (done[i] ? change.rows : change.under_way) += 1;
    if (!done[i]) continue;
    const JobPtr& job = rows[i].job;
    if (!spool::is_final(to)) {
      if (job->cancelled) cancelled.insert(job);
      continue;
    }
    job->rate.count(now(), 1);
    if (!job->campaign) end_if_settled(job);
  }
  for (const JobPtr& job : cancelled) wake_workers(job);
  if (!kept) return std::move(kept).error();
  return more;
}

Result<bool> Engine::Core::release(const QueueFilter& filter, spool::ListCursor& cursor, QueueChange& change) {
  if (auto checked = check_filter(filter, cursor); !checked) return std::move(checked).error();
  QueueFilter waiting = filter;
  waiting.states &= bit(spool::State::kDeferred) | bit(spool::State::kHeld) | bit(spool::State::kClaimed);
  if (cursor.job == 0) change.unknown_domains += left_unknown(waiting);
  std::vector<Listed> rows;
  const bool more = list_rows(waiting, cursor, kPageRows, rows);
  if (!filter.address.empty()) change.unreadable += leave_unreadable(rows);  // May be another one's.
  std::vector<spool::RowKey> keys;
  for (const Listed& each : rows) {
    if (!filter.provider.empty()) change.unknown += each.provider.empty() ? 1 : 0;
    if (!filter.provider.empty() && each.provider != filter.provider) continue;
    if (each.row.state == spool::State::kClaimed) {
      ++change.under_way;
    } else {
      keys.push_back(each.row.key);
    }
  }
  if (keys.empty()) return more;
  change.rows += spool().make_due(keys, now());
  if (auto kept = spool().sync(); !kept) return std::move(kept).error();
  committed(now(), {});
  return more;
}

// True: it was elsewhere.
Result<bool> Engine::Core::move_job(const JobPtr& job, const std::string& pool) {
  const std::lock_guard lock(control_mutex_);
  if (job->current_pool() == pool) return false;
  if (auto kept = keep_control(*job, job->paused, job->cancelled, pool); !kept) {
    if (kept.error().code == ErrorCode::kNotFound) return false;  // A message that was settled meanwhile.
    return std::move(kept).error();
  }
  job->moved_to = &pool;
  return true;
}

Result<bool> Engine::Core::move(const QueueFilter& filter, std::string_view pool, spool::ListCursor& cursor,
                                std::uint64_t& moved) {
  if (auto checked = check_filter(filter, cursor); !checked) return std::move(checked).error();
  if (!filter.whole_jobs()) {
    return Error{ErrorCode::kInvalidArgument,
                 "campaigns and messages are moved whole: by job, account, pool and age, and by nothing else"};
  }
  if (pool.empty() || pool.find('\0') != std::string_view::npos) {
    return Error{ErrorCode::kInvalidArgument, "a pool's name has at least one octet, and no NUL"};
  }
  if (options_.deliver && !has_pool(pool)) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("no egress IP is in pool '{}'", pool)};
  }
  const std::string* name = nullptr;
  {
    const std::lock_guard lock(mutex_);
    name = &*pool_names_.emplace(pool).first;
  }
  bool more = true;
  std::size_t done = 0;
  Result<bool> changed = true;
  for (std::size_t left = kMovedAtOnce; more && changed && left > 0; --left) {
    const JobPtr job = next_job(filter, cursor.job, more);
    if (job == nullptr) break;
    more = true;
    cursor.job = job->number + 1;
    changed = move_job(job, *name);
    if (changed && *changed) ++done;
  }
  moved += done;
  if (done > 0) wake_workers(nullptr);
  if (!changed) return std::move(changed).error();
  return more;
}

// ---------------------------------------------------------------------------------------------------------------------
// Egress IPs

Result<void> Engine::Core::drain_egress(std::string_view address, bool draining) {
  const auto found = std::find_if(options_.egress.begin(), options_.egress.end(),
                                  [&](const EgressIp& each) { return each.address == address; });
  if (found == options_.egress.end()) {
    return Error{ErrorCode::kNotFound, fmt::format("no egress IP '{}'", address)};
  }
  draining_[static_cast<std::size_t>(found - options_.egress.begin())] = draining;
  each_worker([](engine::Worker& worker) { worker.drain_egress(); });
  return {};
}

std::vector<EgressStatus> Engine::Core::egress() const {
  std::vector<EgressStatus> all;
  for (std::size_t i = 0; i < options_.egress.size(); ++i) {
    all.push_back({.address = options_.egress[i].address, .pool = options_.egress[i].pool, .draining = draining_[i]});
  }
  for (int i = 0; i < runtime().workers(); ++i) {
    on_worker(i, [&all](engine::Worker& worker) {
      for (std::size_t ip = 0; ip < all.size(); ++ip) all[ip].connections += worker.connections(ip);
    });
  }
  return all;
}

}  // namespace mailsbuddy
