// stages.h - what an SMTP client can be waiting for: one row a step, with its stage, time-out and name.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "mailsbuddy/smtp.h"

namespace mailsbuddy::smtp {

enum class Step : std::uint8_t {
  kConnecting,
  kGreeting,
  kEhlo,
  kHelo,
  kLhlo,
  kStartTls,
  kHandshake,
  kAuth,
  kReady,  // Between transactions.
  kRset,
  kMailFrom,
  kRcptTo,
  kData,
  kMessage,  // Sending it.
  kFinalDot,
  kQuit,
  kClosed,
};

struct StepRow {
  Step step;
  std::string_view name;        // What is waited for, for people.
  Stage stage;                  // Where an outcome in this step belongs.
  Duration Timeouts::*timeout;  // Null: no limit here.
  bool enhanced;                // A 2yz reply may begin with an enhanced code: not before EHLO is done (RFC 2034 4).
};

// Between transactions and at QUIT the stage is that of the command that would come next.
inline constexpr std::array kSteps = {
    StepRow{Step::kConnecting, "connection", Stage::kConnect, nullptr, false},
    StepRow{Step::kGreeting, "greeting", Stage::kGreeting, &Timeouts::greeting, false},
    StepRow{Step::kEhlo, "reply to EHLO", Stage::kEhlo, &Timeouts::ehlo, false},
    StepRow{Step::kHelo, "reply to HELO", Stage::kEhlo, &Timeouts::ehlo, false},
    StepRow{Step::kLhlo, "reply to LHLO", Stage::kEhlo, &Timeouts::ehlo, false},
    StepRow{Step::kStartTls, "reply to STARTTLS", Stage::kStartTls, &Timeouts::start_tls, true},
    StepRow{Step::kHandshake, "TLS handshake", Stage::kStartTls, &Timeouts::start_tls, true},
    StepRow{Step::kAuth, "reply to AUTH", Stage::kAuth, &Timeouts::auth, true},
    StepRow{Step::kReady, "next message", Stage::kMailFrom, nullptr, true},
    StepRow{Step::kRset, "reply to RSET", Stage::kMailFrom, &Timeouts::mail_from, true},
    StepRow{Step::kMailFrom, "reply to MAIL FROM", Stage::kMailFrom, &Timeouts::mail_from, true},
    StepRow{Step::kRcptTo, "reply to RCPT TO", Stage::kRcptTo, &Timeouts::rcpt_to, true},
    StepRow{Step::kData, "reply to DATA", Stage::kData, &Timeouts::data, true},
    StepRow{Step::kMessage, "room for more of the message", Stage::kData, &Timeouts::data_block, true},
    StepRow{Step::kFinalDot, "reply to the end of data", Stage::kFinalDot, &Timeouts::final_dot, true},
    StepRow{Step::kQuit, "reply to QUIT", Stage::kMailFrom, &Timeouts::quit, true},
    StepRow{Step::kClosed, "nothing", Stage::kMailFrom, nullptr, true},
};

constexpr const StepRow& row(Step step) noexcept { return kSteps[static_cast<std::size_t>(step)]; }

static_assert([] {
  for (std::size_t i = 0; i < kSteps.size(); ++i) {
    if (static_cast<std::size_t>(kSteps[i].step) != i) return false;
  }
  return kSteps.size() == static_cast<std::size_t>(Step::kClosed) + 1;
}());

}  // namespace mailsbuddy::smtp
