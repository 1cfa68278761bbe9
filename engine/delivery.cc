#include "engine/delivery.h"

#include <algorithm>

#include "engine/maker.h"

namespace mailsbuddy::engine {
namespace {

struct Fate {
  spool::State state;
  EventKind kind;
};
constexpr Fate kDelivered{spool::State::kDelivered, EventKind::kDelivered};
constexpr Fate kDeferred{spool::State::kDeferred, EventKind::kDeferred};
constexpr Fate kBounced{spool::State::kBounced, EventKind::kBounced};
constexpr Fate kFailed{spool::State::kFailed, EventKind::kFailed};

// A 5yz about the message or the recipient ends it. Before MAIL FROM a 5yz is about the connection, and a reply that
// asks for something else of us (TLS), or says that our commands came in a wrong order (503), is worth another try.
bool refused_for_good(const Outcome& outcome, const bounce::Verdict& verdict) {
  return outcome.reply.permanent() && outcome.stage >= Stage::kMailFrom &&
         verdict.klass != bounce::Class::kTlsRequired && outcome.reply.code != 503;
}

Fate fate(const Job& job, const Outcome& outcome, const bounce::Verdict& verdict) {
  if (outcome.delivered()) return kDelivered;
  if (outcome.unknown()) {
    switch (job.on_unknown) {
      case OnUnknown::kResend:
        return kDeferred;
      case OnUnknown::kHold:
        return {spool::State::kHeld, EventKind::kHeld};
      case OnUnknown::kDrop:
        return kFailed;
    }
  }
  switch (outcome.cause) {
    case Cause::kReply:
      return refused_for_good(outcome, verdict) ? kBounced : kDeferred;
    case Cause::kNoSuchDomain:
    case Cause::kNullMx:
    case Cause::kMailLoop:
    case Cause::kProhibitedAddress:
    case Cause::kSmtpUtf8Unavailable:
    case Cause::kEightBitUnavailable:
      return kBounced;
    case Cause::kTooLarge:
      return outcome.stage == Stage::kMake ? kFailed : kBounced;
    case Cause::kRenderFailed:
    case Cause::kSignFailed:
    case Cause::kOverCap:
      return kFailed;
    case Cause::kSuppressed:
      return {spool::State::kSuppressed, EventKind::kSuppressed};
    case Cause::kExpired:
      return {spool::State::kExpired, EventKind::kExpired};
    case Cause::kCancelled:
      return {spool::State::kCancelled, EventKind::kCancelled};
    default:
      return kDeferred;
  }
}

// A deferred row carries the class of a verdict that counts as a soft bounce: it may expire before it is tried again.
std::uint8_t mark_of(const bounce::Verdict& verdict) {
  return bounce::advise(verdict) == bounce::Advice::kCount ? static_cast<std::uint8_t>(verdict.klass) : std::uint8_t{0};
}

bounce::Verdict marked_verdict(std::uint8_t mark) {
  return {.klass = static_cast<bounce::Class>(mark),
          .permanence = bounce::Permanence::kSoft,
          .scope = bounce::Scope::kRecipient,
          .reaction = bounce::Reaction::kRetry,
          .rule = {}};
}

}  // namespace

Delivery::Delivery(net::Loop& loop, spool::Spool& spool, const bounce::SuppressionPolicy& suppression,
                   const ErasedAddresses& erased, RetrySchedule retries, Random random, Committed committed,
                   std::shared_ptr<Gate> gate)
    : loop_(loop),
      spool_(spool),
      suppressor_(spool, suppression),
      erased_(erased),
      retries_(retries),
      random_(random),
      committed_(std::move(committed)),
      gate_(std::move(gate)),
      flush_timer_([this] { flush(); }) {}

// Rows 8 and 10 of the way through: classify, then settle with the event in the same write.
bounce::Verdict Delivery::settle(const Attempted& attempted, const Outcome& outcome, const Carrier& carrier) {
  const Job& job = *attempted.job;
  const spool::Row& row = attempted.row;
  const bounce::Verdict verdict = bounce::classify(outcome, ProviderId{std::string(carrier.provider)});
  const std::uint32_t attempt = row.attempts + (attempted.counts ? 1U : 0U);
  Next next = this->next(attempted, outcome, verdict, attempt);
  Event event{.kind = next.kind,
              .time = loop_.now(),
              .job = job.id,
              .campaign = std::string(job.campaign_id()),
              .account = job.account,
              .recipient = std::string(attempted.recipient),
              .row = row_number(row.key),
              .attempt = attempt,
              .outcome = outcome,
              .verdict = verdict,
              .rule = std::string(verdict.rule),
              .provider = std::string(carrier.provider),
              .egress = std::string(carrier.egress),
              .mx_host = std::string(carrier.mx_host),
              .tls = carrier.tls,
              .tls_verified = carrier.tls_verified,
              .due = next.due};
  if (outcome.cause == Cause::kExpired && job.not_after != TimePoint{} && job.expires == job.not_after) {
    event.outcome.detail = "the not_after of its schedule has passed";
  }
  event.verdict.matched = {};  // A view into the caller's outcome, which the event outlives.
  if (row.local.empty() || erased_.contains(row.key.job, attempted.recipient)) {
    forget(event, next);
  } else {
    learn(attempted, outcome, verdict, next.state);
  }
  if (!job.campaign) messages_.push_back(attempted.job);
  if (next.state == spool::State::kDeferred) attempted.job->data.drop();  // Until it is tried again.
  if (spool::is_final(next.state)) attempted.job->rate.count(loop_.now(), 1);
  earliest_due_ = std::min(earliest_due_, next.state == spool::State::kDeferred ? next.due : TimePoint::max());
  add({.key = row.key,
       .position = row.position,
       .state = next.state,
       .attempts = static_cast<std::uint16_t>(std::min<std::uint32_t>(attempt, UINT16_MAX)),
       .due = next.due,
       .mark = mark_of(verdict),
       .event = encode_event(event)});
  return verdict;
}

// It was erased while it was on its way. Nothing is left to try again with.
void Delivery::forget(Event& event, Next& next) const {
  if (!spool::is_final(next.state)) next = {spool::State::kCancelled, EventKind::kCancelled, {}};
  event.kind = next.kind;
  event.due = {};
  erase_recipient(event);
}

// What the recipient's address is known for from now on.
void Delivery::learn(const Attempted& attempted, const Outcome& outcome, const bounce::Verdict& verdict,
                     spool::State state) {
  const std::string& account = attempted.job->account;
  if (state == spool::State::kDelivered) {
    suppressor_.delivered(account, attempted.recipient, loop_.now(), batch_);
  } else if (state == spool::State::kBounced || state == spool::State::kExpired) {
    const bool untried = outcome.cause == Cause::kExpired;
    suppressor_.bounced({.account = account,
                         .address = attempted.recipient,
                         .verdict = untried ? marked_verdict(attempted.row.mark) : verdict},
                        loop_.now(), batch_);
  }
}

// A recipient whose next attempt would come after its expiry is looked at once more exactly then. A single message's
// recipients who were deferred together are tried again together, for they share transactions.
Delivery::Next Delivery::next(const Attempted& attempted, const Outcome& outcome, const bounce::Verdict& verdict,
                              std::uint32_t attempt) {
  const Job& job = *attempted.job;
  const Fate fate = engine::fate(job, outcome, verdict);
  if (fate.state != spool::State::kDeferred) return {fate.state, fate.kind, {}};
  const TimePoint now = loop_.now();
  if (job.cancelled) return {spool::State::kCancelled, EventKind::kCancelled, {}};
  if (job.expires <= now || retries_.last(attempt, job.attempts_max)) {
    return {spool::State::kExpired, EventKind::kExpired, {}};
  }
  Random of_message(job.uid.low + attempt);
  Random& random = job.campaign ? random_ : of_message;
  const TimePoint due = job.opens(attempted.row.fields, now + retries_.after_attempt(attempt, random));
  return {fate.state, fate.kind, std::min(job.expires, due)};
}

void Delivery::wait(const spool::Row& row, TimePoint until) {
  earliest_due_ = std::min(earliest_due_, until);
  add({.key = row.key,
       .position = row.position,
       .state = spool::State::kDeferred,
       .attempts = row.attempts,
       .due = until,
       .mark = row.mark});
}

void Delivery::give_back(const spool::Row& row) {
  add({.key = row.key, .position = row.position, .state = spool::State::kQueued, .attempts = row.attempts});
}

void Delivery::add(spool::Settlement settlement) {
  batch_.settlements.push_back(std::move(settlement));
  if (batch_.settlements.size() >= kFlushRows) return flush();
  flush_soon();
}

void Delivery::flush_soon() {
  if (!flush_timer_.armed()) loop_.timers().arm(flush_timer_, loop_.now() + kFlushDelay);
}

void Delivery::report(const std::vector<warming::Decision>& decisions) {
  for (const warming::Decision& each : decisions) batch_.events.push_back(encode_decision(each));
  flush_soon();
}

void Delivery::keep(spool::Snapshot snapshot, Task durable) {
  batch_.snapshots.push_back(std::move(snapshot));
  durable_.push_back(std::move(durable));
  flush_soon();
}

// One write: what is given back goes first in it, so that the same row can be claimed again, and what a snapshot covers
// is covered when these are sent.
void Delivery::claim(std::vector<spool::RowKey> keys, Task durable) {
  batch_.claims = std::move(keys);
  durable_.push_back(std::move(durable));
  flush();
}

void Delivery::flush() {
  loop_.timers().cancel(flush_timer_);
  if (batch_.empty()) return;
  const bool reports = !batch_.settlements.empty() || !batch_.events.empty();
  auto durable = [committed = committed_, reports, due = std::exchange(earliest_due_, TimePoint::max()),
                  messages = std::exchange(messages_, {}), tasks = std::exchange(durable_, {})]() mutable {
    if (reports) committed(due, messages);
    for (Task& task : tasks) task();
  };
  spool_.commit(std::exchange(batch_, {}), Gate::guarded(gate_, std::move(durable)));
}

}  // namespace mailsbuddy::engine
