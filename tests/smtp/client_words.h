// client_words.h - outcomes and session events in one line each, for tables.
#pragma once

#include <fmt/format.h>

#include <string>

#include "mailsbuddy/smtp.h"

namespace mailsbuddy::test {

// "rcpt_to reply 550 5.1.1 No such user", "greeting timeout (no greeting in 300 s)"
inline std::string words(const Outcome& outcome) {
  std::string text = fmt::format("{} {}", to_string(outcome.stage), to_string(outcome.cause));
  if (outcome.reply.code != 0) text += fmt::format(" {}", outcome.reply.code);
  if (const auto& e = outcome.reply.enhanced) text += fmt::format(" {}.{}.{}", e->klass, e->subject, e->detail);
  if (!outcome.reply.text.empty()) text += " " + outcome.reply.text;
  if (!outcome.detail.empty()) text += fmt::format(" ({})", outcome.detail);
  return text;
}

// "0: rcpt_to reply 550 No", "done", "ready", "sending", "tls", "closed: greeting timeout (no greeting in 300 s)"
inline std::string words(const smtp::SessionEvent& event) {
  switch (event.kind) {
    case smtp::SessionEvent::Kind::kStartTls:
      return "tls";
    case smtp::SessionEvent::Kind::kReady:
      return "ready";
    case smtp::SessionEvent::Kind::kRecipient:
      return fmt::format("{}: {}", event.recipient, words(event.outcome));
    case smtp::SessionEvent::Kind::kTransactionDone:
      return "done";
    case smtp::SessionEvent::Kind::kSending:
      return "sending";
    case smtp::SessionEvent::Kind::kRoom:
      return "room";
    case smtp::SessionEvent::Kind::kClosed:
      break;
  }
  return "closed: " + words(event.outcome);
}

}  // namespace mailsbuddy::test
