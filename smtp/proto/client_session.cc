#include "smtp/proto/client_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "smtp/proto/capabilities.h"

namespace mailsbuddy::smtp {
namespace {

// The argument of EHLO goes on the wire as it is configured: printable ASCII without a space, or it ends the line
// early.
bool is_ehlo_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= kDomainMax &&
         std::ranges::all_of(name, [](char c) { return c > ' ' && c < 0x7f; });
}

}  // namespace

// ---------------------------------------------------------------------------------------------------------------------
// The door

ClientSession::ClientSession(SessionOptions options) : state_(std::make_unique<State>(std::move(options))) {}
ClientSession::~ClientSession() = default;
ClientSession::ClientSession(ClientSession&&) noexcept = default;
ClientSession& ClientSession::operator=(ClientSession&&) noexcept = default;

void ClientSession::connected(TimePoint now) { state_->connected(now); }
void ClientSession::feed(std::string_view bytes, TimePoint now) { state_->feed(bytes, now); }
std::string_view ClientSession::output() const { return state_->output(); }
std::size_t ClientSession::outputs(std::span<std::string_view> pieces) const { return state_->outputs(pieces); }
void ClientSession::consume(std::size_t count, TimePoint now) { state_->consume(count, now); }
std::optional<SessionEvent> ClientSession::poll() { return state_->poll(); }
bool ClientSession::room() const { return state_->room(); }
void ClientSession::begin(const Transaction& transaction, TimePoint now) { state_->begin(transaction, now); }
void ClientSession::quit(TimePoint now) { state_->quit(now); }
void ClientSession::tls_started(TimePoint now) { state_->tls_started(now); }
void ClientSession::on_timeout(TimePoint now) { state_->on_timeout(now); }
TimePoint ClientSession::deadline() const { return state_->deadline_; }
const Capabilities& ClientSession::capabilities() const noexcept { return state_->capabilities_; }
bool ClientSession::tls() const noexcept { return state_->tls_; }
void ClientSession::on_disconnect(Cause cause, std::string_view detail, TimePoint) { state_->fail(cause, detail); }

// ---------------------------------------------------------------------------------------------------------------------
// Bytes and events

void ClientSession::State::connected(TimePoint now) {
  if (step_ != Step::kConnecting) return;
  awaited_.push({.step = Step::kGreeting, .recipient = 0, .end = 0});
  enter(Step::kGreeting, now);
}

void ClientSession::State::feed(std::string_view bytes, TimePoint now) {
  while (!bytes.empty() && step_ != Step::kClosed) {
    // What comes between the 220 and the handshake was not sent by the one we are about to shake hands with.
    if (step_ == Step::kHandshake) return fail(Cause::kProtocolError, "clear text after the reply to STARTTLS");
    switch (parser_.parse(bytes, row(step_).enhanced)) {
      case ReplyParser::Status::kMore:
        return;
      case ReplyParser::Status::kError:
        return fail(Cause::kProtocolError, parser_.error());
      case ReplyParser::Status::kReply:
        on_reply(parser_.reply(), now);
        break;
    }
  }
}

std::string_view ClientSession::State::output() const noexcept {
  std::string_view piece;
  outputs({&piece, 1});
  return piece;
}

std::size_t ClientSession::State::outputs(std::span<std::string_view> pieces) const noexcept {
  const std::size_t count = std::min(pieces.size(), pieces_.size());
  std::size_t at = commands_at_;
  for (std::size_t i = 0; i < count; ++i) {
    const Piece& piece = pieces_[i];
    pieces[i] = piece.message != nullptr ? std::string_view(piece.message, piece.size)
                                         : std::string_view(commands_).substr(at, piece.size);
    if (piece.message == nullptr) at += piece.size;
  }
  return count;
}

void ClientSession::State::consume(std::size_t count, TimePoint now) {
  while (count > 0 && !pieces_.empty()) {
    Piece& piece = pieces_.front();
    const std::size_t taken = std::min(count, piece.size);
    if (piece.message != nullptr) {
      piece.message += taken;
    } else {
      commands_at_ += taken;
    }
    piece.size -= taken;
    count -= taken;
    sent_ += taken;
    unsent_ -= taken;
    if (piece.size == 0) pieces_.pop();
  }
  if (commands_at_ == commands_.size()) {
    commands_.clear();
    commands_at_ = 0;
  }
  if (step_ == Step::kMessage) enter_awaited(now);  // It is sent, or there was progress: its time runs anew.
}

std::optional<SessionEvent> ClientSession::State::poll() {
  if (!events_.empty()) return events_.pop();
  switch (std::exchange(notice_, Notice::kNone)) {
    case Notice::kNone:
      return std::nullopt;
    case Notice::kStartTls:
      return SessionEvent{.kind = SessionEvent::Kind::kStartTls};
    case Notice::kReady:
      return SessionEvent{.kind = SessionEvent::Kind::kReady};
    case Notice::kSending:
      return SessionEvent{.kind = SessionEvent::Kind::kSending};
    case Notice::kRoom:
      return SessionEvent{.kind = SessionEvent::Kind::kRoom};
    case Notice::kClosed:
      return SessionEvent{.kind = SessionEvent::Kind::kClosed, .recipient = 0, .outcome = closed_};
  }
  return std::nullopt;
}

void ClientSession::State::put(std::initializer_list<std::string_view> line, Step step, std::size_t recipient) {
  const std::size_t before = commands_.size();
  for (const std::string_view part : line) commands_.append(part);
  commands_.append("\r\n");
  const std::size_t size = commands_.size() - before;
  if (!pieces_.empty() && pieces_.back().message == nullptr) {
    pieces_.back().size += size;
  } else {
    pieces_.push({.message = nullptr, .size = size});
  }
  unsent_ += size;
  awaited_.push({.step = step, .recipient = recipient, .end = put_end()});
}

void ClientSession::State::put_message(std::string_view message) {
  pieces_.push({.message = message.data(), .size = message.size()});
  unsent_ += message.size();
}

void ClientSession::State::enter(Step step, TimePoint now) {
  step_ = step;
  Duration Timeouts::*const timeout = row(step).timeout;
  deadline_ = timeout == nullptr ? TimePoint::max() : now + options_.timeouts.*timeout;
}

// What is awaited next. Of a message that is not sent yet, room to send it comes first.
void ClientSession::State::enter_awaited(TimePoint now) {
  const Awaited& next = awaited_.front();
  enter(next.step == Step::kFinalDot && next.end > sent_ ? Step::kMessage : next.step, now);
}

void ClientSession::State::ready(TimePoint now) {
  enter(Step::kReady, now);
  notice_ = Notice::kReady;
}

// ---------------------------------------------------------------------------------------------------------------------
// Endings

void ClientSession::State::close(Outcome reason) {
  if (step_ == Step::kClosed) return;
  end_all(reason);
  step_ = Step::kClosed;
  deadline_ = TimePoint::max();
  notice_ = Notice::kClosed;
  closed_ = std::move(reason);
  awaited_.clear();
  pieces_.clear();
  commands_.clear();
  commands_at_ = unsent_ = 0;
}

void ClientSession::State::fail(Cause cause, std::string_view detail, const Reply& last_words) {
  close({.stage = row(step_).stage, .cause = cause, .reply = last_words, .detail = std::string(detail)});
}

// The reply ends the session: a refusal by what it says, anything else because it makes no sense here.
void ClientSession::State::refuse(const Reply& reply) {
  if (reply.code < 400)
    return fail(Cause::kProtocolError, fmt::format("{} is no {}", reply.code, row(step_).name), reply);
  close({.stage = row(step_).stage, .cause = Cause::kReply, .reply = reply, .detail = {}});
}

void ClientSession::State::on_timeout(TimePoint now) {
  if (now < deadline_) return;
  const auto limit = std::chrono::duration_cast<std::chrono::seconds>(options_.timeouts.*row(step_).timeout);
  fail(Cause::kTimeout, fmt::format("no {} in {} s", row(step_).name, limit.count()));
}

void ClientSession::State::quit(TimePoint now) {
  if (step_ != Step::kReady) return;
  notice_ = Notice::kNone;
  put({"QUIT"}, Step::kQuit);
  enter(Step::kQuit, now);
}

// ---------------------------------------------------------------------------------------------------------------------
// Replies

void ClientSession::State::on_reply(const Reply& reply, TimePoint now) {
  // "421 ... This may be a reply to any command if the service knows it must shut down" (RFC 5321 4.2.3), or to none.
  if (reply.code == 421) return refuse(reply);
  if (awaited_.empty() || awaited_.front().end > sent_) return on_unexpected(reply);
  dispatch(awaited_.pop(), reply, now);
  if (!awaited_.empty()) enter_awaited(now);
}

// A refusal while the message is being sent is an answer to it, but leaves no way to go on: what is left of the message
// would be read as commands. Any other reply to nothing means that the two sides no longer agree on what answers what.
void ClientSession::State::on_unexpected(const Reply& reply) {
  if (step_ == Step::kMessage && reply.code >= 400) return refuse(reply);
  fail(Cause::kProtocolError, "a reply to nothing", reply);
}

void ClientSession::State::dispatch(const Awaited& awaited, const Reply& reply, TimePoint now) {
  switch (awaited.step) {
    case Step::kGreeting:
      return on_greeting(reply);
    case Step::kEhlo:
      return on_ehlo(reply, now);
    case Step::kHelo:
      return on_helo(reply, now);
    case Step::kStartTls:
      return on_start_tls(reply, now);
    case Step::kRset:
      return on_rset(reply, now);
    case Step::kMailFrom:
      return on_mail_from(reply, now);
    case Step::kRcptTo:
      return on_rcpt_to(awaited.recipient, reply, now);
    case Step::kData:
      return on_data(reply, now);
    case Step::kFinalDot:
      return on_final_dot(reply, now);
    case Step::kQuit:
      return close({.stage = row(step_).stage, .cause = Cause::kReply, .reply = reply, .detail = {}});
    case Step::kConnecting:
    case Step::kHandshake:
    case Step::kReady:
    case Step::kMessage:
    case Step::kClosed:
      return;  // Never awaited.
  }
}

void ClientSession::State::on_greeting(const Reply& reply) {
  if (reply.code != 220) return refuse(reply);
  if (!is_ehlo_name(options_.ehlo_name)) {
    step_ = Step::kEhlo;
    return fail(Cause::kProtocolError, "the EHLO name is not a host name");
  }
  put({"EHLO ", options_.ehlo_name}, Step::kEhlo);
}

void ClientSession::State::on_ehlo(const Reply& reply, TimePoint now) {
  if (reply.permanent()) return put({"HELO ", options_.ehlo_name}, Step::kHelo);  // RFC 5321 3.2
  if (reply.code >= 300) return refuse(reply);
  capabilities_ = parse_capabilities(reply.text);
  after_ehlo(now);
}

void ClientSession::State::on_helo(const Reply& reply, TimePoint now) {
  if (reply.code >= 300) return refuse(reply);
  capabilities_ = {};
  after_ehlo(now);
}

void ClientSession::State::after_ehlo(TimePoint now) {
  if (tls_ || options_.tls == TlsPolicy::kNone) return ready(now);
  if (capabilities_.start_tls) return put({"STARTTLS"}, Step::kStartTls);
  if (options_.tls == TlsPolicy::kOpportunistic) return ready(now);
  close({.stage = Stage::kStartTls, .cause = Cause::kTlsUnavailable, .reply = {}, .detail = "STARTTLS is not offered"});
}

void ClientSession::State::on_start_tls(const Reply& reply, TimePoint now) {
  if (reply.code == 220) {
    enter(Step::kHandshake, now);
    notice_ = Notice::kStartTls;
  } else if (options_.tls == TlsPolicy::kOpportunistic) {
    ready(now);
  } else {
    refuse(reply);
  }
}

// "The client MUST discard any knowledge obtained from the server" (RFC 3207 4.2) and asks again.
void ClientSession::State::tls_started(TimePoint now) {
  if (step_ != Step::kHandshake) return;
  notice_ = Notice::kNone;
  tls_ = true;
  capabilities_ = {};
  put({"EHLO ", options_.ehlo_name}, Step::kEhlo);
  enter(Step::kEhlo, now);
}

}  // namespace mailsbuddy::smtp
