// Mail for the inbound domains of a submission listener, on its way to Engine::inbound().
#include <algorithm>
#include <memory>

#include "mailsbuddy/engine.h"

namespace mailsbuddy {
namespace {

using Answered = smtp::ListenHandler::Answered;
using Keep = std::function<void(smtp::Submission, UniqueFunction<void(bool)>)>;

Reply answer(int code, EnhancedCode enhanced, std::string text) {
  return {.code = code, .enhanced = enhanced, .text = std::move(text)};
}

// The message is read once for each recipient, for each may have a token of its own; nearly every report has one.
constexpr std::size_t kRecipientsMax = 20;

void take(Engine& engine, smtp::Submission submission, const Keep& keep, Answered done) {
  if (submission.envelope.recipients.size() > kRecipientsMax)
    return done(answer(452, {4, 5, 3}, "Too many recipients"));
  bool reported = false;
  for (const smtp::EnvelopeRecipient& each : submission.envelope.recipients) {
    const auto report = engine.inbound(submission.data, {.recipient = each.address.str()});
    if (!report) return done(answer(451, {4, 3, 0}, "Cannot take the message now"));
    reported = reported || report->report.kind != bounce::ReportKind::kNone;
  }
  if (reported) return done(answer(250, {2, 0, 0}, {}));
  if (!keep) return done(answer(550, {5, 7, 1}, "This address takes reports alone; write to the address in From"));
  keep(std::move(submission), [done = std::move(done)](bool kept) mutable {
    done(kept ? answer(250, {2, 0, 0}, {}) : answer(452, {4, 3, 1}, "Cannot keep the message now"));
  });
}

}  // namespace

std::function<void(smtp::Submission, Answered)> make_inbound_handler(
    Engine& engine, Executor* executor, std::function<bool(const smtp::Submission&)> keep) {
  if (!keep) return make_inbound_handler(engine, executor, Keep());
  Keep at_once = [keep = std::move(keep)](const smtp::Submission& submission, UniqueFunction<void(bool)> kept) {
    kept(keep(submission));
  };
  return make_inbound_handler(engine, executor, std::move(at_once));
}

std::function<void(smtp::Submission, Answered)> make_inbound_handler(Engine& engine, Executor* executor, Keep keep) {
  return [&engine, executor, keep = std::move(keep)](smtp::Submission submission, Answered done) {
    if (executor == nullptr) return take(engine, std::move(submission), keep, std::move(done));
    executor->post([&engine, keep, submission = std::move(submission), done = std::move(done)]() mutable {
      take(engine, std::move(submission), keep, std::move(done));
    });
  };
}

}  // namespace mailsbuddy
