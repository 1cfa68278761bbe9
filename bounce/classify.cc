#include <algorithm>
#include <iterator>
#include <vector>

#include "bounce/classes.h"
#include "bounce/phrases.h"
#include "bounce/rules.h"

namespace mailsbuddy::bounce {
namespace {

// What is said after so many octets decides nothing.
constexpr std::size_t kTextBytesMax = 8 * 1024;

// What it means when it is not the server's word.
struct CauseRow {
  Cause cause;
  std::string_view rule;
  Class klass;
};
constexpr CauseRow kCauses[] = {
    {Cause::kReply, "cause.reply", Class::kUndetermined},
    {Cause::kTimeout, "cause.timeout", Class::kNoAnswer},
    {Cause::kConnectionLost, "cause.connection_lost", Class::kConnectionError},
    {Cause::kConnectFailed, "cause.connect_failed", Class::kNoAnswer},
    {Cause::kProtocolError, "cause.protocol_error", Class::kProtocolError},
    {Cause::kTlsUnavailable, "cause.tls_unavailable", Class::kTlsRequired},
    {Cause::kTlsFailed, "cause.tls_failed", Class::kTlsFailure},
    // The message cannot go there in the form it has.
    {Cause::kSmtpUtf8Unavailable, "cause.smtputf8_unavailable", Class::kRfcNoncompliant},
    {Cause::kTooLarge, "cause.too_large", Class::kTooLarge},
    {Cause::kNoSuchDomain, "cause.no_such_domain", Class::kDomainUnknown},
    {Cause::kNullMx, "cause.null_mx", Class::kNullMx},
    {Cause::kDnsFailure, "cause.dns_failure", Class::kDnsFailure},
    {Cause::kRenderFailed, "cause.render_failed", Class::kUndetermined},
    {Cause::kSignFailed, "cause.sign_failed", Class::kUndetermined},
    {Cause::kSuppressed, "cause.suppressed", Class::kSuppressed},
    {Cause::kExpired, "cause.expired", Class::kExpired},
    {Cause::kCancelled, "cause.cancelled", Class::kUndetermined},
};
constexpr bool complete() {
  for (std::size_t i = 0; i < std::size(kCauses); ++i) {
    if (static_cast<std::size_t>(kCauses[i].cause) != i) return false;
  }
  return std::size(kCauses) == static_cast<std::size_t>(Cause::kCancelled) + 1;
}
static_assert(complete());

Verdict verdict_of(Class klass, std::string_view rule) {
  const ClassRow& row = row_of(klass);
  return {row.klass, row.permanence, row.scope, row.reaction, rule};
}

Verdict from_cause(Cause cause) {
  const CauseRow& row = kCauses[static_cast<std::size_t>(cause)];
  Verdict verdict = verdict_of(row.klass, row.rule);
  // Our own doing, and the end of this message to this recipient.
  if (cause == Cause::kRenderFailed || cause == Cause::kSignFailed || cause == Cause::kCancelled) {
    verdict.permanence = Permanence::kAdmin;
    verdict.reaction = Reaction::kFailMessage;
  }
  return verdict;
}

Verdict from_reply(const Reply& reply, Stage stage, const ProviderId& provider) {
  const Rule& rule = rule_for(reply, stage, provider);
  Verdict verdict = verdict_of(rule.klass, rule.id);
  verdict.scope = rule.own.scope.value_or(verdict.scope);
  verdict.reaction = rule.own.reaction.value_or(verdict.reaction);
  if (reply.transient()) {
    // "450 User unknown": whatever the words, a 4yz asks for another try (RFC 5321 4.2.1).
    if (verdict.permanence == Permanence::kHard) verdict.permanence = Permanence::kSoft;
    if (verdict.reaction == Reaction::kSuppress || verdict.reaction == Reaction::kFailMessage ||
        verdict.reaction == Reaction::kAlert) {
      verdict.reaction = Reaction::kRetry;
    }
  } else if (verdict.klass == Class::kUndetermined) {
    verdict.reaction = Reaction::kFailMessage;
  }
  return verdict;
}

bool fits(const Status& status, const std::optional<EnhancedCode>& enhanced) {
  return status.subject < 0 || (enhanced && enhanced->subject == status.subject && enhanced->detail >= status.first &&
                                enhanced->detail <= status.last);
}

// All but the text.
bool fits(const Fit& fit, const Reply& reply, Stage stage, const ProviderId& provider) {
  return (fit.provider.empty() || fit.provider == provider.name) && fit.from <= stage && stage <= fit.to &&
         (fit.code == 0 || fit.code == reply.code || fit.code == reply.code / 100) && fits(fit.status, reply.enhanced);
}

Phrases make_phrases() {
  std::vector<Phrase> phrases;
  for (std::uint16_t id = 0; id < rules().size(); ++id) {
    for (std::string_view text = rules()[id].fit.text; !text.empty();) {
      const std::string_view phrase = text.substr(0, text.find('|'));
      phrases.push_back({.text = phrase, .id = id});
      text.remove_prefix(std::min(text.size(), phrase.size() + 1));
    }
  }
  return Phrases(phrases);
}

}  // namespace

const Rule& rule_for(const Reply& reply, Stage stage, const ProviderId& provider) {
  static const Phrases phrases = make_phrases();
  const PhraseHits said = phrases.find(std::string_view(reply.text).substr(0, kTextBytesMax));
  for (std::size_t i = 0; i < rules().size(); ++i) {
    const Rule& rule = rules()[i];
    if ((rule.fit.text.empty() || said[i]) && fits(rule.fit, reply, stage, provider)) return rule;
  }
  return rules().back();
}

Verdict classify(const Outcome& outcome, const ProviderId& provider) {
  if (outcome.delivered()) return verdict_of(Class::kDelivered, "delivered");
  const Reply& reply = outcome.reply;
  const bool refused = outcome.cause == Cause::kReply && (reply.transient() || reply.permanent());
  return refused ? from_reply(reply, outcome.stage, provider) : from_cause(outcome.cause);
}

}  // namespace mailsbuddy::bounce
