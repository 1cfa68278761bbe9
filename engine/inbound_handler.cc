// Mail for the inbound domains of a submission listener, on its way to Engine::inbound().
#include <algorithm>
#include <memory>

#include "mailsbuddy/engine.h"

namespace mailsbuddy {
namespace {

using Keep = std::function<bool(const smtp::Submission&)>;

Reply answer(int code, EnhancedCode enhanced, std::string text) {
  return {.code = code, .enhanced = enhanced, .text = std::move(text)};
}

// The message is read once for each recipient, for each may have a token of its own; nearly every report has one.
constexpr std::size_t kRecipientsMax = 20;

Reply take(Engine& engine, const smtp::Submission& submission, const Keep& keep) {
  if (submission.envelope.recipients.size() > kRecipientsMax) return answer(452, {4, 5, 3}, "Too many recipients");
  bool reported = false;
  for (const smtp::EnvelopeRecipient& each : submission.envelope.recipients) {
    const auto report = engine.inbound(submission.data, {.recipient = each.address.str()});
    if (!report) return answer(451, {4, 3, 0}, "Cannot take the message now");
    reported = reported || report->report.kind != bounce::ReportKind::kNone;
  }
  if (reported) return answer(250, {2, 0, 0}, {});
  if (!keep) return answer(550, {5, 7, 1}, "This address takes reports alone; write to the address in From");
  return keep(submission) ? answer(250, {2, 0, 0}, {}) : answer(452, {4, 3, 1}, "Cannot keep the message now");
}

}  // namespace

std::function<void(smtp::Submission, smtp::ListenHandler::Answered)> make_inbound_handler(Engine& engine,
                                                                                          Executor* executor,
                                                                                          Keep keep) {
  return [&engine, executor, keep = std::move(keep)](smtp::Submission submission, smtp::ListenHandler::Answered done) {
    if (executor == nullptr) return done(take(engine, submission, keep));
    executor->post([&engine, keep, submission = std::move(submission), done = std::move(done)]() mutable {
      done(take(engine, submission, keep));
    });
  };
}

}  // namespace mailsbuddy
