// What the server says between the greeting and the first message, and which answer a reply is.
#include <fmt/format.h>

#include <algorithm>

#include "smtp/proto/auth_exchange.h"
#include "smtp/proto/capabilities.h"
#include "smtp/proto/client_session.h"

namespace mailsbuddy::smtp {
namespace {

// The argument of EHLO goes on the wire as it is configured: printable ASCII without a space, or it ends the line
// early.
bool is_ehlo_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= kDomainMax &&
         std::ranges::all_of(name, [](char c) { return c > ' ' && c < 0x7f; });
}

}  // namespace

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
    case Step::kLhlo:
      return on_ehlo(reply, now);
    case Step::kStartTls:
      return on_start_tls(reply, now);
    case Step::kAuth:
      return on_auth(reply, now);
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
  greet();
}

void ClientSession::State::greet() {
  const bool ehlo = options_.protocol == Protocol::kSmtp;
  put({ehlo ? "EHLO " : "LHLO ", options_.ehlo_name}, ehlo ? Step::kEhlo : Step::kLhlo);
}

void ClientSession::State::on_ehlo(const Reply& reply, TimePoint now) {
  if (reply.permanent() && !lmtp()) return put({"HELO ", options_.ehlo_name}, Step::kHelo);  // RFC 5321 3.2
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
  if (tls_ || options_.tls == TlsPolicy::kNone) return log_in(now);
  if (capabilities_.start_tls) return put({"STARTTLS"}, Step::kStartTls);
  if (options_.tls == TlsPolicy::kOpportunistic) return log_in(now);
  close({.stage = Stage::kStartTls, .cause = Cause::kTlsUnavailable, .reply = {}, .detail = "STARTTLS is not offered"});
}

void ClientSession::State::on_start_tls(const Reply& reply, TimePoint now) {
  if (reply.code == 220) {
    enter(Step::kHandshake, now);
    notice_ = Notice::kStartTls;
  } else if (options_.tls == TlsPolicy::kOpportunistic) {
    log_in(now);
  } else {
    refuse(reply);
  }
}

// "The client MUST discard any knowledge obtained from the server" (RFC 3207 4.2) and asks again.
void ClientSession::State::tls_started(TimePoint now, bool verified) {
  if (step_ != Step::kHandshake) return;
  notice_ = Notice::kNone;
  tls_ = true;
  verified_ = verified;
  capabilities_ = {};
  greet();
  enter_awaited(now);
}

// Whoever is to log in sends no mail without: a relay that takes it from anybody today does not tomorrow.
void ClientSession::State::log_in(TimePoint now) {
  Login& login = options_.login;
  if (login.user.empty()) return ready(now);
  const auto stop = [this](Cause cause, std::string_view why) {
    close({.stage = Stage::kAuth, .cause = cause, .reply = {}, .detail = std::string(why)});
  };
  if (!tls_ && !login.in_clear) return stop(Cause::kTlsUnavailable, "no TLS, and a login is not sent in clear");
  if (login.tokens) login.token = login.tokens->token();
  mechanism_ = choose_mechanism(login, capabilities_);
  if (mechanism_ == ClientMechanism::kNone) return stop(Cause::kAuthUnavailable, "no AUTH mechanism in common");
  if (const auto fault = login_fault(login, mechanism_); !fault.empty()) return stop(Cause::kProtocolError, fault);
  say_auth();
}

void ClientSession::State::say_auth() {
  const std::size_t before = commands_.size();
  secret_ = append_auth(options_.login, mechanism_, commands_);
  auth_turn_ = secret_ ? 1 : 0;
  end_line(before, Step::kAuth);
}

// A token that expired is refused as one that never was good. True: there is another, and it is said.
bool ClientSession::State::renew_token() {
  Login& login = options_.login;
  if (mechanism_ != ClientMechanism::kXoauth2 || !login.tokens || std::exchange(renewed_, true)) return false;
  login.tokens->refused(login.token);
  std::string next = login.tokens->token();
  if (next.empty() || next == login.token) return false;
  login.token.swap(next);
  wipe(next);
  if (!login_fault(login, mechanism_).empty()) return false;
  say_auth();
  return true;
}

void ClientSession::State::on_auth(const Reply& reply, TimePoint now) {
  if (reply.positive() && reply.code < 300) return ready(now);
  if (reply.code != 334 && reply.code != 421 && renew_token()) return;
  if (reply.code != 334) return refuse(reply);
  const std::size_t before = commands_.size();
  // The challenge stays out of the Outcome: nothing there is for people, and it may repeat what we said.
  if (!append_response(options_.login, mechanism_, auth_turn_++, commands_))
    return fail(Cause::kProtocolError, fmt::format("a challenge that AUTH {} has not", to_string(mechanism_)));
  secret_ = true;
  end_line(before, Step::kAuth);
}

}  // namespace mailsbuddy::smtp
