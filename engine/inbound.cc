#include "engine/inbound.h"

#include <algorithm>

#include "core/base/ascii.h"
#include "engine/events.h"
#include "engine/maker.h"

namespace mailsbuddy {

std::string_view to_string(Attribution value) noexcept {
  static constexpr std::string_view kNames[] = {"none", "trusted", "unknown_campaign", "expired", "row"};
  static_assert(std::size(kNames) == static_cast<std::size_t>(Attribution::kRow) + 1);
  return kNames[static_cast<std::size_t>(value)];
}

namespace engine {
namespace {

using bounce::Report;
using bounce::ReportedRecipient;
using bounce::ReportKind;

// What comes back, with the kind of the note that a row has of it (part of what a durable spool keeps) and the reason
// it gives when it suppresses at once.
struct Return {
  EventKind event;
  std::uint8_t note;
  SuppressionReason reason;
  std::uint64_t CampaignStatus::*count;
};
constexpr Return kReturns[] = {
    {EventKind::kLateBounce, 0, SuppressionReason::kHardBounce, &CampaignStatus::late_bounces},
    {EventKind::kComplaint, 1, SuppressionReason::kComplaint, &CampaignStatus::complaints},
    {EventKind::kUnsubscribed, 2, SuppressionReason::kUnsubscribe, &CampaignStatus::unsubscribed},
    {EventKind::kAutoReply, 3, SuppressionReason::kManual, &CampaignStatus::auto_replies},
};
static_assert(std::size(kReturns) <= spool::kNoteKinds);

const Return& row_of(EventKind event) {
  return *std::find_if(std::begin(kReturns), std::end(kReturns),
                       [event](const Return& each) { return each.event == event; });
}

bounce::Verdict wish_of(const Report& report) {
  const bool complains =
      report.complaint && (report.complaint->feedback_type == "abuse" || report.complaint->feedback_type == "fraud");
  const bool leave = report.kind == ReportKind::kUnsubscribe || (report.kind == ReportKind::kArf && complains);
  return {.klass = bounce::Class::kUndetermined,
          .permanence = bounce::Permanence::kNone,
          .scope = bounce::Scope::kRecipient,
          .reaction = leave ? bounce::Reaction::kSuppress : bounce::Reaction::kNone,
          .rule = report.sign};
}

// What to report of it. A delay, a success and a person's words are no event, and neither is a complaint that is none
// (RFC 5965 7.3: "not-spam") nor a failure of authentication.
std::optional<EventKind> event_of(ReportKind kind, const bounce::Verdict& verdict) {
  switch (kind) {
    case ReportKind::kDsn:
      return EventKind::kLateBounce;
    case ReportKind::kArf:
      if (verdict.reaction != bounce::Reaction::kSuppress) return std::nullopt;
      return EventKind::kComplaint;
    case ReportKind::kUnsubscribe:
      return EventKind::kUnsubscribed;
    case ReportKind::kAutoReply:
      return EventKind::kAutoReply;
    case ReportKind::kDelay:
    case ReportKind::kSuccess:
    case ReportKind::kNone:
      return std::nullopt;
  }
  return std::nullopt;
}

// What the report says of `address`. Where it names others alone, the address led to them: if to one, that is the one;
// if to several, the least bad of them counts, for some may have got the message.
const ReportedRecipient* about(const Report& report, std::string_view address) {
  const ReportedRecipient* chosen = nullptr;
  for (const ReportedRecipient& each : report.recipients) {
    if (each.action != bounce::Action::kNone && each.action != bounce::Action::kFailed) continue;
    if (ascii::iequals(each.address, address)) return &each;
    if (chosen == nullptr || bounce::advise(each.verdict) < bounce::advise(chosen->verdict)) chosen = &each;
  }
  return chosen;
}

Event make_event(EventKind kind, const ReportedRecipient* recipient, const bounce::Verdict& verdict, TimePoint now) {
  Event event{.kind = kind, .time = now, .job = {}, .account = {}, .recipient = {}, .outcome = {}, .verdict = verdict};
  event.outcome.stage = Stage::kFinalDot;  // It was taken there.
  event.rule = verdict.rule;
  event.verdict.rule = {};
  if (recipient == nullptr) return event;
  event.recipient = recipient->address;
  event.outcome.reply = recipient->diagnostic;
  if (!event.outcome.reply.enhanced) event.outcome.reply.enhanced = recipient->status;
  event.mx_host = recipient->remote_mta;
  return event;
}

}  // namespace

void count_notes(const spool::NoteCounts& notes, CampaignStatus& status) {
  for (const Return& each : kReturns) status.*each.count = notes[each.note];
}

struct Inbound::Subject {
  JobPtr job;
  spool::RowKey key;
  spool::RowRecord row;
  bounce::Day sent = 0;
};

Inbound::Inbound(spool::Spool& spool, const EngineOptions& options, const ErasedAddresses& erased,
                 FindCampaign find_campaign, Learn learn)
    : spool_(spool),
      verp_key_(bounce::VerpKey::make(options.verp_key).value()),  // Its length is checked.
      report_age_(options.report_age),
      erased_(erased),
      suppressor_(spool, options.suppression),
      find_campaign_(std::move(find_campaign)),
      learn_(std::move(learn)) {}

bool Inbound::carries_token(const Address& address, TimePoint now) const {
  const std::string_view local = address.local();
  return local.size() >= bounce::kVerpBytes &&
         verp_key_.decode(local.substr(local.size() - bounce::kVerpBytes), day_of(now), UINT32_MAX).has_value();
}

InboundReport Inbound::take(std::string_view message, const InboundEnvelope& envelope, TimePoint now) {
  InboundReport result;
  result.report = bounce::parse(message, {.verp_key = &verp_key_,
                                          .today = day_of(now),
                                          .verp_days_max = UINT32_MAX,  // attribute() knows what ends when.
                                          .envelope_recipient = envelope.recipient});
  const std::lock_guard lock(mutex_);
  spool::Batch batch;
  if (result.report.token) {
    if (const auto subject = attribute(result, now)) take_signed(result, *subject, now, batch);
  } else {
    take_unsigned(result, envelope, now, batch);
  }
  std::erase_if(batch.suppressions, [this](const spool::NewSuppression& each) {
    return spool_.suppressed(each.who.account, each.who.address).has_value();
  });
  for (const spool::NewSuppression& each : batch.suppressions) result.suppressed.push_back(each.who.address);
  if (!batch.empty()) spool_.commit(std::move(batch), nullptr);
  return result;
}

std::optional<Inbound::Subject> Inbound::attribute(InboundReport& result, TimePoint now) const {
  const bounce::VerpToken& token = *result.report.token;
  result.attribution = Attribution::kUnknownJob;
  JobPtr job = find_campaign_(token.campaign);
  if (job == nullptr) return std::nullopt;
  const spool::RowKey key = row_key(job->number, token.recipient);
  auto row = spool_.row(key);
  if (!row) return std::nullopt;
  result.attribution = token.day + report_age_.count() < day_of(now) ? Attribution::kExpired : Attribution::kRow;
  result.campaign = job->id;
  result.account = job->account;
  if (!row->local.empty()) result.recipient = row->local + "@" + row->domain;
  if (erased_.contains(job->number, result.recipient)) result.recipient.clear();
  return Subject{std::move(job), key, *std::move(row), static_cast<bounce::Day>(token.day)};
}

void Inbound::take_signed(InboundReport& result, const Subject& subject, TimePoint now, spool::Batch& batch) const {
  const Report& report = result.report;
  const ReportedRecipient* said = about(report, result.recipient);
  const bounce::Verdict verdict = said != nullptr ? said->verdict : wish_of(report);
  result.event = event_of(report.kind, verdict);
  if (!result.event) return;
  const Return& came = row_of(*result.event);
  result.repeated = (subject.row.notes & (1U << came.note)) != 0;
  if (!result.repeated) {
    Event event = make_event(came.event, said, verdict, now);
    event.job = event.campaign = subject.job->id;
    event.account = subject.job->account;
    event.recipient = result.recipient;
    if (event.recipient.empty()) erase_recipient(event);
    event.row = row_number(subject.key);
    batch.notes.push_back({.key = subject.key, .kind = came.note, .event = encode_event(event)});
    const bool of_pace = came.event == EventKind::kComplaint || came.event == EventKind::kLateBounce;
    if (of_pace && result.attribution == Attribution::kRow) {
      learn_(subject.job, {.kind = came.event,
                           .verdict = verdict,
                           .domain = subject.row.domain,
                           .source_ip = report.complaint ? report.complaint->source_ip : std::string()});
    }
  }
  if (result.recipient.empty()) return;  // Whom it was about nobody knows any more.
  // Who wants no more mail is heard as long as the row is known, and a soft bounce counts once.
  if (result.attribution == Attribution::kExpired && came.event != EventKind::kUnsubscribed) return;
  if (result.repeated && bounce::advise(verdict) == bounce::Advice::kCount) return;
  suppressor_.bounced({.account = result.account,
                       .address = result.recipient,
                       .verdict = verdict,
                       .at_once = came.reason,
                       .sent = subject.sent},
                      now, batch);
}

// Auto-replies without a token could be about anything.
void Inbound::take_unsigned(InboundReport& result, const InboundEnvelope& envelope, TimePoint now,
                            spool::Batch& batch) const {
  if (envelope.trust_unsigned) result.attribution = Attribution::kTrusted;
  if (result.report.kind == ReportKind::kAutoReply) return;
  for (const ReportedRecipient& each : result.report.recipients) {
    const auto kind = event_of(result.report.kind, each.verdict);
    if (!kind) continue;
    result.event = kind;
    if (batch.events.size() < kUnsignedEventsMax || envelope.trust_unsigned) {
      Event event = make_event(*kind, &each, each.verdict, now);
      event.account = envelope.trust_unsigned ? envelope.account : std::string_view();
      batch.events.push_back(encode_event(event));
    }
    if (!envelope.trust_unsigned) continue;
    const auto address = Address::parse(each.address);
    if (!address) continue;
    suppressor_.bounced({.account = envelope.account,
                         .address = address->str(),
                         .verdict = each.verdict,
                         .at_once = row_of(*kind).reason},
                        now, batch);
  }
}

}  // namespace engine
}  // namespace mailsbuddy
