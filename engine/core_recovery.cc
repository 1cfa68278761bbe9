// What the process before left in the spool: jobs go on from where they were, rows that may have been on the wire are
// unknown. Runs while the engine is opened, before anybody else can call it.
#include <fmt/format.h>

#include <map>

#include "engine/core.h"
#include "engine/job_record.h"

namespace mailsbuddy {

using engine::FeedPtr;
using engine::JobPtr;

// Nothing goes before all of it is known: a row that is claimed from now on is not one that was on its way, and one
// that is due belongs to a job that must be there.
Result<void> Engine::Core::recover() {
  spool().hand_out_anew();
  std::vector<JobPtr> to_release;
  const auto visited = spool().visit_jobs([this, &to_release](const spool::Spool::StoredJob& stored) {
    if (JobPtr job = recover(stored)) to_release.push_back(std::move(job));
    return true;
  });
  if (!visited) {
    log(options_.log.get(), LogLevel::kError, "engine", "set aside until an engine opens the spool again: {}", visited.error().detail);
  }
  if (!options_.deliver) return {};
  if (auto recovered = recover_unsettled(); !recovered) return recovered;
  for (const JobPtr& job : to_release) {
    release(job);
    // Cancelled, but not all of its rows were settled so.
    if (job->cancelled) wake_workers(job);
  }
  runtime().loop(0).post([worker = workers_[0].get()] { worker->hand_out_due(); });
  if (spool().event_count() > 0) events_.notify();
  return {};
}

// By the pool that it was moved to, unless no IP is in that one, and the one that it was started in has some.
void Engine::Core::place(engine::Job& job, const std::string& moved_to) {
  if (!moved_to.empty()) job.moved_to = &*pool_names_.insert(moved_to).first;
  if (!options_.deliver || has_pool(job.current_pool())) return;
  const bool back = has_pool(job.pool);
  log(options_.log.get(), LogLevel::kError, "engine", "job '{}': no egress IP is in its pool '{}': {}", job.id, job.current_pool(),
      back ? "it goes by the one that it was started in" : "it waits until it is moved to another one, or expires");
  if (back) job.moved_to = nullptr;
}

// Null: nothing of it is to be released. A job whose record cannot be read is left as it is: it may be readable to
// another version, and the rest goes on.
JobPtr Engine::Core::recover(const spool::Spool::StoredJob& stored) {
  auto job = engine::decode_job(stored.record.content);
  const auto control = engine::decode_control(stored.record.control);
  if (!job || !control) {
    log(options_.log.get(), LogLevel::kError, "engine", "job '{}' is set aside, its rows stay: {}", stored.record.id,
        job ? control.error().detail : job.error().detail);
    return nullptr;
  }
  if (auto zone = set_zone(**job); !zone) {
    log(options_.log.get(), LogLevel::kError, "engine", "job '{}' is set aside, its rows stay: {}", stored.record.id,
        zone.error().detail);
    return nullptr;
  }
  (*job)->number = stored.number;
  (*job)->created = stored.record.created;
  (*job)->data.drop();  // Read again when it is sent.
  place(**job, control->pool);
  (*job)->paused = control->paused;
  (*job)->cancelled = control->cancelled;
  (*job)->expires = control->expires;
  if (!control->complete) {
    interrupted_[(*job)->id] = *job;
    return nullptr;
  }
  if (!(*job)->campaign && CampaignStatus{.counts = spool().counts(stored.number)}.settled()) {
    if (options_.deliver) spool().erase(stored.number);  // Settled, or without rows: the process ended while it was taken, unanswered.
    return nullptr;
  }
  add(*job);
  return *job;
}

// Some of them alone would be worse than none: the rest would stay claimed for as long as this engine is there.
Result<void> Engine::Core::recover_unsettled() {
  constexpr std::size_t kAtOnce = 1024;
  for (;;) {
    std::vector<spool::Row> rows;
    if (auto taken = spool().take_unsettled(kAtOnce, rows); !taken) return taken;
    if (rows.empty()) return {};
    std::map<std::pair<spool::JobNumber, spool::DomainNumber>, FeedPtr> feeds;
    for (spool::Row& row : rows) {
      FeedPtr& feed = feeds[{row.key.job, row.key.domain}];
      if (feed == nullptr)
        feed = engine::make_feed(find(row.key.job), row.key.domain, spool().domain_name(row.key.domain));
      feed->rows.push_back(std::move(row));
    }
    for (auto& [key, feed] : feeds) {
      if (feed->job == nullptr) continue;  // Set aside.
      const int owner = owner_of(feed->domain);
      runtime().loop(owner).post([worker = workers_[static_cast<std::size_t>(owner)].get(),
                                  feed = std::move(feed)]() mutable { worker->settle_unsettled(std::move(feed)); });
    }
  }
}

}  // namespace mailsbuddy
