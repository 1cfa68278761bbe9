// Any reply gets a verdict; a 4yz never ends a recipient, and no block suppresses one.
// Input: stage, cause, provider, code (2), enhanced (4), then the text.
#include <cstdlib>
#include <string>

#include "mailsbuddy/bounce.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mailsbuddy;
  constexpr std::size_t kHead = 9;
  constexpr std::string_view kProviders[] = {"google", "yahoo", "microsoft", "apple", "comcast", "example.net"};
  if (size < kHead) return 0;
  Outcome outcome;
  outcome.stage = static_cast<Stage>(data[0] % 11);
  outcome.cause = data[1] % 2 == 0 ? Cause::kReply : static_cast<Cause>(data[1] % 17);
  outcome.reply.code = (data[3] << 8 | data[4]) % 600;
  if (data[5] != 0) {
    outcome.reply.enhanced =
        EnhancedCode{data[5], data[6], static_cast<std::uint16_t>((data[7] << 8 | data[8]) % 1000)};
  }
  outcome.reply.text.assign(reinterpret_cast<const char*>(data) + kHead, size - kHead);
  const auto verdict = bounce::classify(outcome, ProviderId{std::string(kProviders[data[2] % 6])});
  const char* begin = outcome.reply.text.data();
  const bool within =
      verdict.matched.empty() || (verdict.matched.data() >= begin &&
                                  verdict.matched.data() + verdict.matched.size() <= begin + outcome.reply.text.size());
  if (!within) std::abort();
  if (verdict.rule.empty() || bounce::to_string(verdict.klass).empty()) std::abort();
  if (verdict.permanence == bounce::Permanence::kBlock && verdict.reaction == bounce::Reaction::kSuppress) std::abort();
  if (outcome.cause == Cause::kReply && outcome.reply.transient() &&
      (verdict.permanence == bounce::Permanence::kHard || verdict.reaction == bounce::Reaction::kSuppress)) {
    std::abort();
  }
  return 0;
}
