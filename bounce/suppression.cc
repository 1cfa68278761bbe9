// When an address is sent nothing more. docs/bounces.md has the policy in words.
#include "bounce/classes.h"
#include "mailsbuddy/bounce.h"

namespace mailsbuddy::bounce {
namespace {

// A message that was made before midnight may have been delivered after it.
constexpr int kMadeToDelivered = 1;

// Classes that say that the mailbox itself took nothing. Not those about our ways with it (greylisted, recipient_rate)
// or about a policy (recipient_filtered): they would go on for as long as we do, and the mailbox is well.
bool mailbox_took_nothing(Class klass) noexcept {
  switch (klass) {
    case Class::kUserUnknown:  // These are soft in a 4yz.
    case Class::kMailboxMoved:
    case Class::kDomainUnknown:
    case Class::kNullMx:
    case Class::kMailboxDisabled:
    case Class::kMailboxFull:
      return true;
    default:
      return false;
  }
}

// The run that a bounce today continues. A delivery since the last bounce has ended it, but for one of the very message
// that bounces now: that host takes everything and looks later.
SoftRun continued(const SoftRun& before, Day today, std::optional<Day> sent, const SuppressionPolicy& policy) noexcept {
  if (today - before.last_day > policy.soft_memory.count()) return {};
  const int late = sent ? before.delivered_day - *sent : -1;
  const bool refuted = late >= 0 && late <= kMadeToDelivered;
  if (before.delivered_day != 0 && !refuted) return {};
  return before;
}

}  // namespace

Advice advise(const Verdict& verdict) noexcept {
  if (verdict.scope != Scope::kRecipient || row_of(verdict.klass).permanence == Permanence::kBlock)
    return Advice::kNone;
  const bool about_recipient = row_of(verdict.klass).scope == Scope::kRecipient;
  switch (verdict.permanence) {
    case Permanence::kHard:
      return about_recipient && verdict.reaction == Reaction::kSuppress ? Advice::kSuppress : Advice::kNone;
    case Permanence::kSoft:
      return mailbox_took_nothing(verdict.klass) ? Advice::kCount : Advice::kNone;
    case Permanence::kNone:  // No bounce: a complaint, or a wish to be left alone.
      return verdict.reaction == Reaction::kSuppress ? Advice::kSuppress : Advice::kNone;
    case Permanence::kBlock:
    case Permanence::kAdmin:
    case Permanence::kUndetermined:
      return Advice::kNone;
  }
  return Advice::kNone;
}

Decision after_bounce(const Verdict& verdict, const SoftRun& before, Day today, std::optional<Day> sent,
                      const SuppressionPolicy& policy) noexcept {
  switch (advise(verdict)) {
    case Advice::kNone:
      return {.suppress = false, .run = before};
    case Advice::kSuppress:
      return {.suppress = true, .run = {}};
    case Advice::kCount:
      break;
  }
  SoftRun run = continued(before, today, sent, policy);
  if (run.bounces == 0) run.first_day = today;
  if (run.bounces == 0 || run.last_day < today) {
    run.bounces = static_cast<std::uint16_t>(run.bounces + (run.bounces < UINT16_MAX ? 1 : 0));
    run.last_day = today;
  }
  run.delivered_day = 0;
  const bool suppress = policy.soft_bounces > 0 && run.bounces >= policy.soft_bounces &&
                        run.last_day - run.first_day >= policy.soft_span.count();
  return {.suppress = suppress, .run = suppress ? SoftRun{} : run};
}

SoftRun after_delivery(const SoftRun& before, Day today) noexcept {
  if (before.bounces == 0) return {};
  if (before.delivered_day != 0 && before.delivered_day < today) return {};  // The last one did not come back.
  SoftRun run = before;
  run.delivered_day = today;
  return run;
}

}  // namespace mailsbuddy::bounce
