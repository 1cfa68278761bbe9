#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "bounce/classes.h"
#include "bounce/fold.h"
#include "bounce/ruleset.h"

namespace mailsbuddy::bounce {
namespace {

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
    {Cause::kEightBitUnavailable, "cause.eight_bit_unavailable", Class::kRfcNoncompliant},
    {Cause::kRequireTlsUnavailable, "cause.require_tls_unavailable", Class::kTlsRequired},
    {Cause::kAuthUnavailable, "cause.auth_unavailable", Class::kRelayDenied},
    {Cause::kTransactionFull, "cause.transaction_full", Class::kTooManyRecipients},
    {Cause::kNoSuchDomain, "cause.no_such_domain", Class::kDomainUnknown},
    {Cause::kNullMx, "cause.null_mx", Class::kNullMx},
    {Cause::kMailLoop, "cause.mail_loop", Class::kRoutingError},
    {Cause::kProhibitedAddress, "cause.prohibited_address", Class::kRoutingError},
    {Cause::kDnsFailure, "cause.dns_failure", Class::kDnsFailure},
    {Cause::kRenderFailed, "cause.render_failed", Class::kUndetermined},
    {Cause::kSignFailed, "cause.sign_failed", Class::kUndetermined},
    {Cause::kSuppressed, "cause.suppressed", Class::kSuppressed},
    {Cause::kExpired, "cause.expired", Class::kExpired},
    {Cause::kCancelled, "cause.cancelled", Class::kUndetermined},
    {Cause::kOverCap, "cause.over_cap", Class::kUndetermined},
};
constexpr bool complete() {
  for (std::size_t i = 0; i < std::size(kCauses); ++i) {
    if (static_cast<std::size_t>(kCauses[i].cause) != i) return false;
  }
  return std::size(kCauses) == static_cast<std::size_t>(Cause::kOverCap) + 1;
}
static_assert(complete());

Verdict verdict_of(Class klass, std::string_view rule) {
  const ClassRow& row = row_of(klass);
  return {row.klass, row.permanence, row.scope, row.reaction, rule, {}};
}

Verdict from_cause(Cause cause) {
  const CauseRow& row = kCauses[static_cast<std::size_t>(cause)];
  Verdict verdict = verdict_of(row.klass, row.rule);
  // Our own doing, and the end of this message to this recipient.
  if (cause == Cause::kRenderFailed || cause == Cause::kSignFailed || cause == Cause::kCancelled ||
      cause == Cause::kOverCap) {
    verdict.permanence = Permanence::kAdmin;
    verdict.reaction = Reaction::kFailMessage;
  }
  // The domain's DNS says so, and trying again would not change it. Nobody is suppressed for it: it may be a slip.
  if (cause == Cause::kMailLoop || cause == Cause::kProhibitedAddress) {
    verdict.permanence = Permanence::kHard;
    verdict.reaction = Reaction::kFailMessage;
  }
  return verdict;
}

// No rule fits: the shipped ones end in rules for all codes, a user's reply may have another.
constexpr std::string_view kNoRule = "none";

bool transient(const Reply& reply) noexcept {
  return reply.transient() || (reply.code == 0 && reply.enhanced && reply.enhanced->klass == 4);
}

Verdict verdict_of(const Ruleset::Found& found, const Reply& reply) {
  if (found.rule == nullptr) return verdict_of(Class::kUndetermined, kNoRule);
  const Rule& rule = *found.rule;
  Verdict verdict = verdict_of(rule.klass, rule.id);
  verdict.scope = rule.scope.value_or(verdict.scope);
  verdict.reaction = rule.reaction.value_or(verdict.reaction);
  verdict.matched = std::string_view(reply.text).substr(found.begin, found.end - found.begin);
  return verdict;
}

Verdict from_reply(const Ruleset& rules, const Reply& reply, Stage stage, const ProviderId& provider) {
  Verdict verdict = verdict_of(rules.find(reply, stage, provider), reply);
  if (transient(reply)) {
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

// The server's word: a refusal, or what a report quotes of one.
bool refused(const Outcome& outcome) noexcept {
  const Reply& reply = outcome.reply;
  if (outcome.cause != Cause::kReply) return false;
  return reply.transient() || reply.permanent() || (reply.code == 0 && (reply.enhanced || !reply.text.empty()));
}

Result<std::vector<Rule>> shipped_rules() {
  std::vector<Rule> rules;
  std::set<std::string> ids;
  for (const RuleFile& file : shipped_rule_files()) {
    auto more = parse_rules(file.tsv, file.name);
    if (!more) return more.error();
    for (Rule& rule : *more) {
      if (!ids.insert(rule.id).second) {
        return Error{ErrorCode::kInternal, fmt::format("{}: id \"{}\" stands twice", rule.place, rule.id)};
      }
      rules.push_back(std::move(rule));
    }
  }
  return rules;
}

// A stage and a provider at which `rule` is asked.
Stage stage_for(const Rule& rule) { return std::clamp(Stage::kRcptTo, rule.fit.from, rule.fit.to); }
ProviderId provider_for(const Rule& rule) {
  return {rule.fit.providers.empty() ? std::string() : rule.fit.providers.front()};
}

// A reply that has nothing but what the rule asks for, and one of its alternatives.
Reply barest_reply(const Rule& rule, std::string_view alternative) {
  const Fit& fit = rule.fit;
  const int of_class = fit.code_last - fit.code_first == 99 ? 50 : 0;  // "4yz": 450.
  const int code = fit.codeless ? 0 : fit.code_first == 0 ? 550 : fit.code_first + of_class;
  Reply reply{.code = code, .enhanced = {}, .text = text_of_alternative(alternative)};
  if (fit.subject >= 0) {
    reply.enhanced = EnhancedCode{static_cast<std::uint8_t>(reply.code / 100), static_cast<std::uint16_t>(fit.subject),
                                  static_cast<std::uint16_t>(fit.detail_first)};
  }
  return reply;
}

void check_rule(const Ruleset& rules, const Rule& rule, std::vector<std::string>& faults) {
  const auto check = [&](const Reply& reply, std::string_view what) {
    const Ruleset::Found found = rules.find(reply, stage_for(rule), provider_for(rule));
    if (found.rule == &rule) return;
    faults.push_back(fmt::format("{}: {}: {} is decided by {}", rule.place, rule.id, what,
                                 found.rule == nullptr ? "no rule" : found.rule->id + " (" + found.rule->place + ")"));
  };
  check(parse_reply_line(rule.sample), "the sample");
  std::string_view rest = rule.pattern;
  if (rest.empty()) check(barest_reply(rule, ""), "a reply without words");
  while (!rest.empty()) {
    const std::string_view alternative = take_until(rest, '|');
    check(barest_reply(rule, alternative), fmt::format("\"{}\" alone", alternative));
  }
}

}  // namespace

struct Classifier::Compiled {
  Ruleset rules;
  std::size_t own = 0;  // The user's, which stand first.
};

const Classifier& Classifier::shipped() {
  static const Classifier classifier = make("", "").value();  // A test holds that ours are well-formed.
  return classifier;
}

Result<Classifier> Classifier::make(std::string_view rules_tsv, std::string_view name) {
  auto rules = parse_rules(rules_tsv, name);
  if (!rules) return rules.error();
  auto shipped = shipped_rules();
  if (!shipped) return shipped.error();
  const std::size_t own = rules->size();
  std::set<std::string, std::less<>> ids;
  for (const Rule& rule : *rules) ids.insert(rule.id);
  for (Rule& rule : *shipped) {
    if (!ids.contains(rule.id)) rules->push_back(std::move(rule));
  }
  auto compiled = Ruleset::make(std::move(*rules));
  if (!compiled) return compiled.error();
  return Classifier(std::make_shared<Compiled>(Compiled{std::move(*compiled), own}));
}

Verdict Classifier::classify(const Outcome& outcome, const ProviderId& provider) const noexcept {
  if (outcome.delivered()) return verdict_of(Class::kDelivered, "delivered");
  if (!refused(outcome)) return from_cause(outcome.cause);
  return from_reply(compiled_->rules, outcome.reply, outcome.stage, provider);
}

std::size_t Classifier::rule_count() const noexcept { return compiled_->rules.rules().size(); }

std::vector<std::string> Classifier::faults() const {
  std::vector<std::string> faults;
  const auto rules = compiled_->rules.rules();
  for (const Rule& rule : rules.first(compiled_->own == 0 ? rules.size() : compiled_->own)) {
    check_rule(compiled_->rules, rule, faults);
  }
  return faults;
}

Verdict classify(const Outcome& outcome, const ProviderId& provider) noexcept {
  return Classifier::shipped().classify(outcome, provider);
}

}  // namespace mailsbuddy::bounce
