// A listener's session: envelopes and messages.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/base/ascii.h"
#include "core/mail/mime.h"
#include "smtp/fix_ups.h"
#include "smtp/listen_reply.h"
#include "smtp/listen_session.h"
#include "smtp/owed_answer.h"

namespace mailsbuddy::smtp {
namespace {

constexpr std::size_t kReserveMax = 64 << 10;  // SIZE is a claim: no more than this is believed before it comes.

// RFC 6409 4.2: "example" and "host" are completed by nobody here.
bool qualified(const Address& address) noexcept {
  return address.is_literal() || address.domain().find('.') != std::string_view::npos;
}

}  // namespace

bool Identity::may_send_as(const Address& address) const noexcept {
  return senders.empty() || std::any_of(senders.begin(), senders.end(), [&](const std::string& each) {
           return ascii::iequals(each, address.str()) || ascii::iequals(each, address.domain());
         });
}

// ---------------------------------------------------------------------------------------------------------------------
// Envelope

void ListenSession::on_mail(std::string_view mail_from) {
  drop_message();
  message_.envelope = {};
  if (trace_) trace_->sender(mail_from);
  const std::string refusal = refuse_mail(mail_from);
  if (!refusal.empty()) return answer(refusal);
  const MailParameters& parameters = session_.mail_parameters();
  message_.envelope.ret = parameters.ret;
  message_.envelope.envid = parameters.envid;
  message_.envelope.eight_bit = parameters.eight_bit;
  message_.envelope.smtputf8 = parameters.smtputf8;
  message_.data.reserve(static_cast<std::size_t>(std::min<std::uint64_t>(parameters.size, kReserveMax)));
  answer("250 2.1.0 Ok");
}

std::string ListenSession::refuse_mail(std::string_view mail_from) {
  if (shared_.draining) return std::string(kShuttingDown);
  switch (shared_.handler->pressure()) {
    case Pressure::kShutdown:
      return std::string(kShuttingDown);
    case Pressure::kFull:
      return "452 4.3.1 Insufficient system storage";
    case Pressure::kNone:
      break;
  }
  // A claim that there is no room for is cheaper to refuse now than after the message; one that is false is seen later.
  if (shared_.held->used() + session_.mail_parameters().size > limits().held_bytes_max)
    return "452 4.3.1 Insufficient memory";
  if (!mail_from.empty()) {
    auto address = Address::parse(mail_from);
    if (!address) return "501 5.1.7 Bad sender address";
    if (!endpoint().inbound && !qualified(*address)) return "550 5.1.8 Sender's domain is not fully qualified";
    if (!identity_.may_send_as(*address)) return "550 5.7.1 Not allowed to send as this address";  // RFC 6409 6.1.
    message_.envelope.sender = *std::move(address);
  }
  if (!shared_.clients.take_message(client_, now_)) return "450 4.7.1 Too many messages, slow down";
  return {};
}

void ListenSession::on_rcpt(std::string_view recipient) {
  const bool postmaster = recipient.find('@') == std::string_view::npos;  // RFC 5321 4.5.1: always, and the only such.
  auto address =
      Address::parse(postmaster ? fmt::format("postmaster@{}", shared_.options.host) : std::string(recipient));
  if (!address) return answer("501 5.1.3 Bad recipient address");
  if (endpoint().inbound && !postmaster && !shared_.is_inbound(address->domain()))
    return answer("550 5.7.1 Relaying denied");
  if (!endpoint().inbound && !qualified(*address)) return answer("550 5.1.2 Recipient's domain is not fully qualified");
  const Reply reply = shared_.handler->on_recipient(identity_, *address, endpoint().inbound);
  if (reply.code != 0) return answer(take_recipient(*std::move(address), reply));
  asked_at_ = now_;
  ++question_;
  sought_ = *std::move(address);
  shared_.handler->find_recipient(*sought_, recipient_answer());
}

std::string ListenSession::take_recipient(Address address, const Reply& reply) {
  if (reply.code / 100 != 2) return reply_line(reply, "451 4.3.0 Try again later");
  const RcptParameters& parameters = session_.rcpt_parameters();
  if (!hold(sizeof(EnvelopeRecipient) + address.str().size() + parameters.orcpt.size()))
    return "452 4.3.1 Insufficient memory";
  message_.envelope.recipients.push_back(
      {.address = std::move(address), .notify = parameters.notify, .orcpt = parameters.orcpt});
  return "250 2.1.5 Ok";
}

void ListenSession::recipient_answered(std::uint64_t question, const Reply& reply) {
  if (question != question_ || !session_.answer_owed()) return;
  ++question_;
  now_ = last_input_ = connection_.now();
  answer(take_recipient(*std::exchange(sought_, std::nullopt), reply));
  run();
  connection_.progress();
}

ListenHandler::Answered ListenSession::recipient_answer() {
  auto owed = std::make_unique<OwedAnswer<Reply>>(
      connection_.home, self_,
      [question = question_](ListenSession& session, const Reply& reply) {
        session.recipient_answered(question, reply);
      },
      Reply{.code = 451, .enhanced = EnhancedCode{4, 3, 0}, .text = "Cannot look the address up now, try again later"});
  return [owed = std::move(owed)](Reply reply) { owed->answer(std::move(reply)); };
}

// ---------------------------------------------------------------------------------------------------------------------
// Message

void ListenSession::on_content(std::string_view piece) {
  if (no_room_) return;
  if (hold(piece.size())) {
    message_.data.append(piece);
    return;
  }
  no_room_ = true;
  const std::uint64_t kept = held_ - message_.data.size();  // The recipients'.
  shared_.held->give_back(std::exchange(held_, kept) - kept);
  std::string().swap(message_.data);
}

bool ListenSession::hold(std::uint64_t bytes) noexcept {
  const bool held = shared_.held->take(bytes);
  held_ += held ? bytes : 0;
  return held;
}

void ListenSession::drop_message() noexcept {
  message_.data.clear();
  if (message_.data.capacity() > kReserveMax) std::string().swap(message_.data);  // What is not counted is not kept.
  decltype(message_.envelope.recipients)().swap(message_.envelope.recipients);
  message_.envelope.sender.reset();
  shared_.held->give_back(std::exchange(held_, 0));
  no_room_ = false;
}

std::string ListenSession::refuse_message() {
  if (no_room_) return "452 4.3.1 Insufficient memory";
  switch (shared_.handler->pressure()) {
    case Pressure::kShutdown:
      return std::string(kShuttingDown);
    case Pressure::kFull:
      return "452 4.3.1 Insufficient system storage";
    case Pressure::kNone:
      break;
  }
  if (read_head(message_.data).received >= kReceivedMax) return "554 5.4.6 Too many Received fields: a loop";
  return {};
}

Submission ListenSession::make_submission() {
  Submission submission;
  std::swap(submission.envelope, message_.envelope);
  std::swap(submission.data, message_.data);
  submission.id = Id128::make(now_, random_);
  submission.identity = identity_;
  submission.inbound = endpoint().inbound;
  submission.client = client_;
  submission.hello = xclient_hello_.empty() ? session_.hello_name() : xclient_hello_;
  submission.tls = session_.tls();
  if (shared_.options.bare_line_ends == BareLineEnds::kNormalise) {
    std::string normal;
    append_crlf(normal, submission.data);
    submission.data = std::move(normal);
  } else if (!submission.data.empty() && !submission.data.ends_with("\r\n")) {
    submission.data += "\r\n";  // The last BDAT chunk may end anywhere.
  }
  apply_fix_ups(submission, shared_.options.fix_ups, shared_.options.host, session_.extended(), now_);
  return submission;
}

void ListenSession::on_message() {
  content_begun_.reset();
  if (const std::string refusal = refuse_message(); !refusal.empty()) {
    ListenCounters::add(shared_.counters.messages_refused);
    drop_message();
    return answer(refusal);
  }
  asked_at_ = now_;
  ++question_;
  message_bytes_ = message_.data.size();
  Submission submission = make_submission();
  message_.id = submission.id;
  shared_.handler->on_message(std::move(submission), message_answer());
}

void ListenSession::message_answered(std::uint64_t question, const Reply& reply) {
  if (question != question_ || !session_.answer_owed()) return;
  ++question_;
  now_ = last_input_ = connection_.now();
  const std::string line = reply_line(reply, "451 4.3.0 Try again later", message_.id);
  const bool taken = line.front() == '2';
  ListenCounters::add(taken ? shared_.counters.messages : shared_.counters.messages_refused);
  if (taken) ListenCounters::add(shared_.counters.bytes, message_bytes_);
  if (shared_.options.log)
    log(taken ? LogLevel::kInfo : LogLevel::kWarning, fmt::format("message {}: {}", message_.id.str(), line));
  drop_message();
  answer(line);
  run();
  connection_.progress();
}

ListenHandler::Answered ListenSession::message_answer() {
  auto owed = std::make_unique<OwedAnswer<Reply>>(
      connection_.home, self_,
      [question = question_](ListenSession& session, Reply reply) { session.message_answered(question, reply); },
      Reply{.code = 451, .enhanced = EnhancedCode{4, 3, 0}, .text = "Not handled, try again later"});
  // The memory is the handler's until it answers or throws the question away, whatever the client does meanwhile.
  return [owed = std::move(owed), held = Quota::Share(shared_.held, std::exchange(held_, 0))](Reply reply) mutable {
    held.give_back();
    owed->answer(std::move(reply));
  };
}

}  // namespace mailsbuddy::smtp
