// Rows 1 and 2 of the way through, for what comes by SMTP: from a smtp::Listener into Engine::submit().
#include <fmt/format.h>

#include <utility>

#include "core/base/ascii.h"
#include "core/mail/header.h"
#include "engine/submission_fields.h"
#include "mailsbuddy/engine.h"

namespace mailsbuddy {
namespace {

using smtp::ListenHandler;

Reply refusal(int code, EnhancedCode enhanced, std::string text) {
  return {.code = code, .enhanced = enhanced, .text = std::move(text)};
}

// What the client is told of an Error: a fault of the message is for good, all else may pass.
Reply refusal_of(const Error& error) {
  switch (error.code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kUnsupported:
      return refusal(550, {5, 6, 0}, error.detail);
    case ErrorCode::kResourceExhausted:
      return refusal(452, {4, 3, 1}, "Insufficient system storage");
    default:
      return refusal(451, {4, 3, 0}, "Cannot store the message now");
  }
}

Reply answer_of(bool found) {
  if (!found) return refusal(550, {5, 1, 1}, "No such address here");
  return {.code = 250, .enhanced = EnhancedCode{2, 1, 5}, .text = "Ok"};
}

// The engine signs for the domain of From: who may not send as it must not write as it (RFC 6409 6.1). What is judged
// is what Engine::submit() and a receiver read: a line that is no field ends no header there, and what encoded words
// say is never an address (RFC 2047 5).
std::optional<Reply> refuse_author(const smtp::Submission& submission) {
  int froms = 0;
  for (std::string_view rest = submission.data; const auto field = next_field(rest);) {
    if (field->name.empty()) return refusal(550, {5, 6, 0}, "A line of the header is no field");
    if (!ascii::iequals(field->name, "From")) continue;
    if (++froms > 1) return refusal(550, {5, 6, 0}, "More than one From");
    if (submission.identity.senders.empty()) continue;
    const auto from = NamedAddress::parse(unfold(field->value));
    if (!from || !submission.identity.may_send_as(from->address))
      return refusal(550, {5, 7, 1}, "Not allowed to write as this From");
  }
  return std::nullopt;
}

class SubmissionHandler final : public ListenHandler, public std::enable_shared_from_this<SubmissionHandler> {
 public:
  SubmissionHandler(Engine& engine, SubmissionOptions options) : engine_(engine), options_(std::move(options)) {}

  void authenticate(const smtp::Credentials& credentials, Authenticated done) override {
    options_.authenticate(credentials, std::move(done));
  }

  void on_message(smtp::Submission submission, Answered done) override {
    if (submission.inbound) {
      if (!options_.inbound) return done(refusal(451, {4, 3, 0}, "No inbound mail is taken now"));
      return options_.inbound(std::move(submission), std::move(done));
    }
    if (options_.executor == nullptr) return done(submit(std::move(submission)));
    options_.executor->post([self = shared_from_this(), submission = std::move(submission),
                             done = std::move(done)]() mutable { done(self->submit(std::move(submission))); });
  }

  Reply on_recipient(const smtp::Identity&, const Address& address, bool inbound) override {
    const bool asks = options_.inbound_address || options_.find_inbound_address;
    if (!inbound || !asks || ascii::iequals(address.local(), "postmaster") || engine_.carries_token(address))
      return answer_of(true);
    return options_.inbound_address ? answer_of(options_.inbound_address(address)) : Reply{};
  }

  void find_recipient(const Address& address, Answered done) override {
    options_.find_inbound_address(address, [done = std::move(done)](bool found) mutable { done(answer_of(found)); });
  }

  smtp::Pressure pressure() override {
    const bool full = options_.open_rows_max != 0 && engine_.open_rows() >= options_.open_rows_max;
    return full || engine_.pressure().refuses ? smtp::Pressure::kFull : smtp::Pressure::kNone;
  }

 private:
  Reply submit(smtp::Submission submission) {
    auto fields = engine::take_routing_fields(submission.data, clock().now());
    if (!fields) return refusal_of(fields.error());
    if (fields->any && !submission.identity.may_route)
      return refusal(550, {5, 7, 1}, "X-MB- header fields are not allowed to this sender");
    if (auto refused = refuse_author(submission)) return *std::move(refused);
    Message message{.sender = submission.envelope.sender.value_or(Address()),
                    .recipients = {},
                    .data = std::move(submission.data),
                    .account = submission.identity.account.empty() ? options_.account : submission.identity.account,
                    .priority = fields->priority.value_or(Priority::kTransactional),
                    .campaign = std::move(fields->campaign),
                    .not_before = fields->not_before,
                    .ret = submission.envelope.ret,
                    .envid = std::move(submission.envelope.envid)};
    if (!fields->pool.empty()) message.pool = std::move(fields->pool);
    for (smtp::EnvelopeRecipient& each : submission.envelope.recipients) {
      message.recipients.push_back(std::move(each.address));
      message.reports.push_back({.notify = each.notify, .orcpt = std::move(each.orcpt)});
    }
    const auto id = engine_.submit(std::move(message));
    if (!id) return refusal_of(id.error());
    return {.code = 250, .enhanced = EnhancedCode{2, 0, 0}, .text = "Queued as " + id->str()};
  }

  const Clock& clock() const noexcept { return options_.clock != nullptr ? *options_.clock : system_clock_; }

  Engine& engine_;
  SubmissionOptions options_;
  SystemClock system_clock_;
};

}  // namespace

std::shared_ptr<ListenHandler> make_submission_handler(Engine& engine, SubmissionOptions options) {
  return std::make_shared<SubmissionHandler>(engine, std::move(options));
}

}  // namespace mailsbuddy
