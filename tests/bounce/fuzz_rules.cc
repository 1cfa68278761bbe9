// Any rule file is refused with its name and line, or makes a classifier that judges, and whose blocks suppress nobody.
#include <cstdlib>
#include <string>

#include "mailsbuddy/bounce.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mailsbuddy;
  const std::string_view tsv(reinterpret_cast<const char*>(data), size);
  const auto classifier = bounce::Classifier::make(tsv, "f");
  if (!classifier) {
    if (!classifier.error().detail.starts_with("f:") && classifier.error().code == ErrorCode::kInvalidArgument)
      std::abort();
    return 0;
  }
  Outcome outcome{
      .stage = Stage::kRcptTo, .cause = Cause::kReply, .reply = bounce::parse_reply_line(tsv), .detail = {}};
  if (outcome.reply.code == 0) outcome.reply.code = 550;
  const auto verdict = classifier->classify(outcome, ProviderId{"google"});
  if (verdict.permanence == bounce::Permanence::kBlock && verdict.reaction == bounce::Reaction::kSuppress) std::abort();
  static_cast<void>(classifier->faults());
  return 0;
}
