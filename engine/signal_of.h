// signal_of.h - what a verdict tells the warming room: rooms that are siblings never meet, so the engine maps it.
#pragma once

#include "mailsbuddy/bounce.h"
#include "mailsbuddy/warming.h"

namespace mailsbuddy::engine {

inline warming::SignalScope scope_of(bounce::Scope scope) {
  switch (scope) {
    case bounce::Scope::kSourceIp:
      return warming::SignalScope::kIp;
    case bounce::Scope::kSenderDomain:
      return warming::SignalScope::kSenderDomain;
    case bounce::Scope::kHost:
      return warming::SignalScope::kHost;
    default:
      return warming::SignalScope::kRecipient;
  }
}

inline warming::SignalKind kind_of(const bounce::Verdict& verdict) {
  using bounce::Class;
  using warming::SignalKind;
  switch (verdict.klass) {
    case Class::kDelivered:
      return SignalKind::kDelivered;
    case Class::kUserUnknown:
    case Class::kMailboxDisabled:
      return SignalKind::kUnknownUser;
    case Class::kRateLimited:
      return SignalKind::kRateLimited;
    case Class::kTooManyConnections:
      return SignalKind::kTooManyConnections;
    case Class::kIpReputation:
    case Class::kDomainReputation:
      return SignalKind::kReputation;
    case Class::kIpBlocklisted:
      return SignalKind::kBlocked;
    case Class::kNoAnswer:
    case Class::kConnectionError:
    case Class::kDnsFailure:
      return SignalKind::kUnreachable;
    default:
      break;
  }
  // The rest: tried again, or not.
  return verdict.reaction == bounce::Reaction::kRetry || verdict.reaction == bounce::Reaction::kSlow ||
                 verdict.reaction == bounce::Reaction::kPause
             ? SignalKind::kDeferred
             : SignalKind::kRejected;
}

inline warming::Signal signal_of(const bounce::Verdict& verdict) {
  warming::Signal signal{.kind = kind_of(verdict), .scope = scope_of(verdict.scope), .rule = verdict.rule};
  // What is said of a message or its recipient stops nobody else's mail.
  const bool of_us = verdict.scope == bounce::Scope::kSourceIp || verdict.scope == bounce::Scope::kSenderDomain;
  signal.needs_operator = of_us && verdict.reaction == bounce::Reaction::kSuspendAlert;
  signal.slow_restart = of_us && verdict.reaction == bounce::Reaction::kPause;
  return signal;
}

}  // namespace mailsbuddy::engine
