#include "smtp/proto/client_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "smtp/proto/auth_exchange.h"

namespace mailsbuddy::smtp {

// ---------------------------------------------------------------------------------------------------------------------
// The door

ClientSession::ClientSession(SessionOptions options) : state_(std::make_unique<State>(std::move(options))) {}
ClientSession::~ClientSession() = default;
ClientSession::ClientSession(ClientSession&&) noexcept = default;
ClientSession& ClientSession::operator=(ClientSession&&) noexcept = default;

void ClientSession::connected(TimePoint now, bool verified) { state_->connected(now, verified); }
void ClientSession::feed(std::string_view bytes, TimePoint now) { state_->feed(bytes, now); }
std::string_view ClientSession::output() const { return state_->output(); }
std::size_t ClientSession::outputs(std::span<std::string_view> pieces) const { return state_->outputs(pieces); }
void ClientSession::consume(std::size_t count, TimePoint now) { state_->consume(count, now); }
bool ClientSession::poll(SessionEvent& event) { return state_->poll(event); }
std::optional<SessionEvent> ClientSession::poll() {
  std::optional<SessionEvent> event(std::in_place);
  if (!state_->poll(*event)) event.reset();
  return event;
}
bool ClientSession::room() const { return state_->room(); }
void ClientSession::begin(const Transaction& transaction, TimePoint now) { state_->begin(transaction, now); }
void ClientSession::quit(TimePoint now) { state_->quit(now); }
void ClientSession::tls_started(TimePoint now, bool verified) { state_->tls_started(now, verified); }
void ClientSession::on_timeout(TimePoint now) { state_->on_timeout(now); }
TimePoint ClientSession::deadline() const { return state_->deadline_; }
const Capabilities& ClientSession::capabilities() const noexcept { return state_->capabilities_; }
bool ClientSession::tls() const noexcept { return state_->tls_; }
bool ClientSession::secret() const noexcept { return state_->secret_; }
std::size_t ClientSession::recipients_max() const noexcept { return state_->recipients_max(); }
void ClientSession::on_disconnect(Cause cause, std::string_view detail, TimePoint) { state_->fail(cause, detail); }

// ---------------------------------------------------------------------------------------------------------------------
// Bytes and events

void assign(SessionEvent& event, SessionEvent::Kind kind, std::size_t recipient, const OutcomeView& outcome) {
  event.kind = kind;
  event.recipient = recipient;
  event.outcome.stage = outcome.stage;
  event.outcome.cause = outcome.cause;
  event.outcome.reply = outcome.reply;
  event.outcome.detail = outcome.detail;
}

void EventRing::push(SessionEvent::Kind kind, std::size_t recipient, const OutcomeView& outcome) {
  if (count_ == events_.size()) grow();
  assign(events_[(first_ + count_++) % events_.size()], kind, recipient, outcome);
}

void EventRing::pop_into(SessionEvent& event) {
  std::swap(event, events_[first_]);
  first_ = (first_ + 1) % events_.size();
  --count_;
}

void EventRing::grow() {
  std::rotate(events_.begin(), events_.begin() + static_cast<std::ptrdiff_t>(first_), events_.end());
  first_ = 0;
  events_.resize(std::max<std::size_t>(4, 2 * events_.size()));
}

ClientSession::State::~State() {
  forget_commands();
  wipe(options_.login.password);
  wipe(options_.login.token);
}

void ClientSession::State::connected(TimePoint now, bool verified) {
  if (step_ != Step::kConnecting) return;
  tls_ = options_.implicit_tls;
  verified_ = tls_ && verified;
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
  if (commands_at_ == commands_.size()) forget_commands();
  if (step_ == Step::kMessage) enter_awaited(now);  // It is sent, or there was progress: its time runs anew.
}

bool ClientSession::State::poll(SessionEvent& event) {
  if (!events_.empty()) {
    events_.pop_into(event);
    return true;
  }
  const Notice notice = std::exchange(notice_, Notice::kNone);
  if (notice == Notice::kNone) return false;
  using Kind = SessionEvent::Kind;
  constexpr Kind kKinds[] = {Kind::kClosed, Kind::kStartTls, Kind::kReady, Kind::kSending, Kind::kRoom, Kind::kClosed};
  static_assert(std::size(kKinds) == static_cast<std::size_t>(Notice::kClosed) + 1);
  const Outcome none;
  assign(event, kKinds[static_cast<std::size_t>(notice)], 0, notice == Notice::kClosed ? closed_ : none);
  return true;
}

void ClientSession::State::put(std::initializer_list<std::string_view> line, Step step, std::size_t recipient) {
  const std::size_t before = commands_.size();
  for (const std::string_view part : line) commands_.append(part);
  end_line(before, step, recipient);
}

// What was appended to commands_ is a command.
void ClientSession::State::end_line(std::size_t before, Step step, std::size_t recipient) {
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
  if (used_up()) return quit(now);
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
  forget_commands();
  unsent_ = 0;
}

void ClientSession::State::forget_commands() noexcept {
  if (std::exchange(secret_, false)) wipe(commands_);
  commands_.clear();
  commands_at_ = 0;
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

}  // namespace mailsbuddy::smtp
